//! The scanner.

pub mod order;
pub mod pacer;
pub mod plan;
pub mod rtt;
pub mod simulator;
pub mod template;
pub mod verdict;
pub mod window;
