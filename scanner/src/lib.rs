//! A port scanner with Nmap's command line, on `nsock` events.

pub mod argv;
pub mod cli;
pub mod config;
pub mod connect;
pub mod escape;
pub mod exit;
pub mod ports;
pub mod services;
pub mod target;
pub mod top_ports;
