//! The parts of the bench `situations`.

pub(crate) mod bare;
mod crowds;
pub(crate) mod found;
mod losses;
pub(crate) mod networks;
mod silence;
mod sys;
