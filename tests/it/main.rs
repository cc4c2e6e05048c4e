//! The integration tests of the workspace: one binary, one module per situation.

mod contract;
mod examples;
