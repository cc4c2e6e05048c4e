//! Probes as packets: the numbers they carry, and how an answer is known by them.
//!
//! Pure. A probe has no entry in any table of this module: a keyed hash of its addresses, ports and try stands in its
//! sequence and acknowledgment numbers (or in the id and sequence number of an echo), and the try is readable from its
//! source port. An answer counts if it repeats them; what was not asked for, or is asked by somebody who cannot see the
//! probes, does not.
//!
//! | probe | what its answer must repeat |
//! |---|---|
//! | TCP without ACK | the sequence number, as the acknowledgment number of the answer |
//! | TCP with ACK | the acknowledgment number, as the sequence number of a reset |
//! | UDP | both ports; the source port follows from the key and the target |
//! | echo, timestamp, address mask | id and sequence number |
//! | any of these, quoted in an ICMP error | ports and sequence number, or id and sequence number |
//! | ARP, neighbor solicitation | the address: these protocols have nothing else |
//!
//! A SYN without ACK, the split handshake of spec 4.2, repeats nothing and therefore is no answer here.

mod cookie;
mod heard;
mod judge;
mod recognize;
mod source_ports;

#[cfg(test)]
mod tests;

use std::net::IpAddr;

pub use cookie::Cookies;
pub use heard::{Heard, Inquiry, Message, Quote, Quoted, Segment};
pub use recognize::{Recognized, Subject};
pub use source_ports::{SPAN, SourcePorts};

use crate::plan::{Method, ProbeKind};
use crate::technique::{Technique, tcp_flags};

/// What the probes of one stage of a scan have in common: the questions asked, and the key of the numbers.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Probing {
    /// The key.
    pub cookies: Cookies,
    /// The source ports of the whole run.
    pub source_ports: SourcePorts,
    /// The discovery methods, as the plan has them.
    pub methods: Vec<Method>,
    /// How ports are probed, if they are and by packets.
    pub technique: Option<Technique>,
    /// The TCP flags to send in place of the technique's own (`--scanflags`).
    pub flags: Option<u8>,
    /// Bytes of payload that every TCP probe carries, which answers acknowledge.
    pub payload_bytes: u32,
    /// The highest try number there is.
    pub tries_max: u8,
    /// Which part of the source ports is this stage's: answers to an earlier stage are not taken for answers to it.
    pub stage: u16,
}

/// The numbers of one probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outline {
    /// A TCP segment.
    Tcp {
        /// Source port.
        source_port: u16,
        /// Destination port.
        port: u16,
        /// Flags.
        flags: u8,
        /// Sequence number.
        sequence: u32,
        /// Acknowledgment number; 0 unless the ACK flag is set.
        acknowledgment: u32,
    },
    /// A UDP datagram.
    Udp {
        /// Source port.
        source_port: u16,
        /// Destination port.
        port: u16,
    },
    /// An ICMP request.
    Icmp {
        /// What is asked for.
        inquiry: Inquiry,
        /// The identifier.
        id: u16,
        /// The sequence number.
        sequence: u16,
    },
    /// An ARP request or a neighbor solicitation.
    Neighbor,
}

/// Something that can be asked of a target, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Question {
    subject: Subject,
    port: u16,
    // Part of the key, so that the same port asked for two reasons has two cookies.
    tag: u8,
    carrier: Carrier,
    stage: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Carrier {
    Tcp(u8),
    Udp,
    Icmp(Inquiry),
}

impl Probing {
    /// The numbers of a probe from `source` to `target`; `None` for a probe that is not a packet.
    #[must_use]
    pub fn outline(
        &self,
        source: IpAddr,
        target: IpAddr,
        kind: ProbeKind,
        try_number: u8,
    ) -> Option<Outline> {
        let question = match kind {
            ProbeKind::Discovery(Method::Neighbor) => return Some(Outline::Neighbor),
            ProbeKind::Discovery(method) => {
                let index = self.methods.iter().position(|&known| known == method)?;
                self.method_question(index, method)?
            }
            ProbeKind::Port(port) => self.port_question(port)?,
        };
        let port = question.port;
        Some(match question.carrier {
            Carrier::Tcp(flags) => {
                let source_port = self.source_ports.port(question.stage, 0, try_number);
                let numbers =
                    self.cookies.numbers(source, target, source_port, port, question.tag, try_number);
                let has_ack = flags & tcp_flags::ACK != 0;
                Outline::Tcp {
                    source_port,
                    port,
                    flags,
                    sequence: numbers.sequence,
                    acknowledgment: if has_ack { numbers.acknowledgment } else { 0 },
                }
            }
            Carrier::Udp => {
                let lane = self.cookies.lane(source, target, port, question.tag);
                Outline::Udp { source_port: self.source_ports.port(question.stage, lane, try_number), port }
            }
            Carrier::Icmp(inquiry) => {
                let numbers =
                    self.cookies.numbers(source, target, question.stage, 0, question.tag, try_number);
                Outline::Icmp { inquiry, id: numbers.id(), sequence: numbers.id_sequence() }
            }
        })
    }

    fn method_question(&self, index: usize, method: Method) -> Option<Question> {
        let (port, tag, carrier) = match method {
            Method::Syn(port) => (port, 0x80, Carrier::Tcp(tcp_flags::SYN)),
            Method::Ack(port) => (port, 0x81, Carrier::Tcp(tcp_flags::ACK)),
            Method::Udp(port) => (port, 0x82, Carrier::Udp),
            Method::Echo => (0, 0x83, Carrier::Icmp(Inquiry::Echo)),
            Method::Timestamp => (0, 0x84, Carrier::Icmp(Inquiry::Timestamp)),
            Method::AddressMask => (0, 0x85, Carrier::Icmp(Inquiry::AddressMask)),
            Method::Connect(_) | Method::Neighbor => return None,
        };
        // Discovery and port probes of one plan have parts of their own.
        Some(Question { subject: Subject::Method(index), port, tag, carrier, stage: self.stage })
    }

    fn port_question(&self, port: u16) -> Option<Question> {
        let technique = self.technique?;
        let carrier = match (technique, self.flags.or_else(|| technique.flags())) {
            (Technique::Udp, _) => Carrier::Udp,
            (_, Some(flags)) => Carrier::Tcp(flags),
            (_, None) => return None,
        };
        let stage = self.stage.wrapping_add(1);
        Some(Question { subject: Subject::Port(port), port, tag: technique as u8, carrier, stage })
    }

    /// Everything that may have been asked of a port of a target.
    fn questions_to(&self, port: u16) -> impl Iterator<Item = Question> {
        let methods = self.methods.iter().enumerate().filter_map(move |(index, &method)| {
            self.method_question(index, method).filter(|question| question.port == port)
        });
        self.port_question(port).into_iter().chain(methods)
    }

    /// Everything that may have been asked of a target by ICMP.
    fn inquiries(&self, inquiry: Inquiry) -> impl Iterator<Item = Question> {
        self.methods.iter().enumerate().filter_map(move |(index, &method)| {
            let question = self.method_question(index, method)?;
            (question.carrier == Carrier::Icmp(inquiry)).then_some(question)
        })
    }
}
