//! The integration tests of the workspace: one binary, one module per situation.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod book;
mod bugs;
mod classic_text;
mod contract;
mod descriptors;
#[cfg(test)]
mod engine_properties;
mod examples;
mod faults;
#[cfg(feature = "libpcap")]
mod filters;
#[cfg(test)]
mod found_by_the_model;
mod introspection;
mod listening;
mod lying_dns;
mod misuse;
#[cfg(test)]
mod model;
mod name_servers;
mod packets;
mod parity;
mod proxies;
mod rdns;
mod reading;
mod reports;
mod stdin;
mod suite;
mod support;
mod sys;
mod tasks;
mod tidy;
mod tls;
#[cfg(test)]
mod tls_openssl;
#[cfg(test)]
mod tls_random;
mod traces;
mod unix;
#[cfg(feature = "vsock")]
mod vsock;
