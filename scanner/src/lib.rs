//! A port scanner with Nmap's command line, on `nsock` events.

pub mod argv;
pub mod cli;
pub mod config;
pub mod escape;
pub mod exit;
pub mod limits;
pub mod lookup;
pub mod mac;
pub mod order;
pub mod pace;
pub mod pacer;
pub mod plan;
pub mod ports;
pub mod report;
pub mod rtt;
pub mod scan;
pub mod services;
pub mod signals;
pub mod simulator;
pub mod target;
pub mod technique;
pub mod template;
pub mod top_ports;
pub mod tracing;
pub mod verdict;
pub mod window;
