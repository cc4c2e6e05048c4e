//! The integration tests of the workspace: one binary, one module per situation.

mod contract;
// The lints know a test by this: without it, they would refuse `unwrap` in what tests share.
#[cfg(test)]
mod engine_properties;
#[cfg(test)]
mod found_by_the_model;
#[cfg(test)]
mod model;
