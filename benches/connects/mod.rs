//! A connect scan without a library, and what a program took.

pub(crate) mod bare;
pub(crate) mod child;
mod sys;
