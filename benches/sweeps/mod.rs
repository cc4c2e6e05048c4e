//! The parts of the bench `situations`.

pub(crate) mod bare;
pub(crate) mod found;
mod sys;
