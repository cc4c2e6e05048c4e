//! DNS servers that are not real ones: one that is fast, and one that lies.

mod lying;
mod message;
mod responder;

pub use lying::{DnsQuestion, DnsTransport, LyingDns, Say};
pub use message::{DnsAnswer, answer_in_place, dns_name, pointer_name, question_end};
pub use responder::{DnsConditions, DnsResponder};
