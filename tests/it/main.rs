//! The integration tests of the workspace: one binary, one module per situation.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod bugs;
mod classic_text;
mod contract;
mod descriptors;
mod examples;
mod faults;
mod introspection;
mod misuse;
mod rdns;
mod reading;
mod stdin;
mod support;
mod sys;
mod tidy;
mod traces;
