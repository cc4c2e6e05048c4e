//! The integration tests of the workspace: one binary, one module per situation.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on may panic, in its helpers too")]

mod bugs;
mod classic_text;
mod contract;
mod descriptors;
mod faults;
mod introspection;
mod misuse;
mod reading;
mod stdin;
mod support;
mod sys;
mod traces;
