//! A TCP connect scan on nsock events: the first slice of the scanner.
//!
//! Small on purpose. It keeps the engine honest on real sockets; scan plan, discovery, names and file formats take
//! its place.

pub mod connect;
