//! The program as its users meet it: command line, streams, exit codes, signals, and in a lab beside Debian's `nmap`.
//!
//! What needs root or a tool is skipped loudly where it is missing, and may not be missing in continuous integration.
#![expect(clippy::unwrap_used, reason = "what fails in a helper fails the test")]

mod bad_input;
mod book;
mod differs;
mod formats;
mod full;
mod html;
mod journal;
mod names;
mod network;
mod options;
mod outputs;
mod pace;
mod packets;
mod proxied;
mod raw;
mod readers;
mod same;
mod shards;
mod signals;
mod support;
mod terminal;
mod transcript;
mod trouble;
mod workers;
