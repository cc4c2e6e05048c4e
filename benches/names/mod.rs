//! The parts of the bench `dns`.

pub(crate) mod bare;
pub(crate) mod ours;
