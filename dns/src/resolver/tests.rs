//! The resolver in virtual time, against servers that delay, lose, repeat, lie, refuse and keep silent.

mod defects;
mod failures;
mod guards;
mod network;
mod properties;
mod situations;
