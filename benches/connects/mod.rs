//! A connect scan without a library.

pub(crate) mod bare;
mod sys;
