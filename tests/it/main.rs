//! The integration tests of the workspace: one binary, one module per situation.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod contract;
mod examples;
mod rdns;
mod tidy;
