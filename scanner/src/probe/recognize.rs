//! Which probe a received packet answers, and what it says about it.

use std::net::IpAddr;

use super::heard::{Heard, Inquiry, Message, Quote, Quoted, Segment};
use super::{Carrier, Probing, Question, judge};
use crate::technique::{Technique, tcp_flags};
use crate::verdict::{IcmpError, PortState, Reason, Verdict, judge_icmp};

/// A packet that answers a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recognized {
    /// Whom the probe was sent to.
    pub target: IpAddr,
    /// What it had asked about.
    pub subject: Subject,
    /// Which try it was; `None` if the answer cannot tell.
    pub try_number: Option<u8>,
    /// What the answer means.
    pub verdict: Verdict,
}

/// What a probe asks about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Subject {
    /// A port.
    Port(u16),
    /// The host, by the method at this place of [`Probing::methods`].
    Method(usize),
    /// The host, as a neighbor on the link.
    Neighbor,
}

impl Probing {
    /// The probe that a packet answers; `None` if none, and then the packet must change nothing.
    #[must_use]
    pub fn recognize(&self, heard: &Heard) -> Option<Recognized> {
        match heard.message {
            Message::Tcp(segment) => self.segment(heard, &segment),
            Message::Udp { source, destination } => self.datagram(heard, source, destination),
            Message::Icmp { inquiry, id, sequence } => {
                let (question, try_number) = self.inquiry(heard.to, heard.from, inquiry, id, sequence)?;
                Some(recognized(heard.from, question, try_number, judge::reply(inquiry).with_ttl(heard.ttl)))
            }
            Message::Error { icmp, about } => self.error(heard, icmp, &about),
            Message::Neighbor { address, .. } => {
                let reason = if address.is_ipv4() { Reason::ArpResponse } else { Reason::NdResponse };
                let verdict = Verdict::new(PortState::Open, reason);
                Some(Recognized { target: address, subject: Subject::Neighbor, try_number: None, verdict })
            }
        }
    }

    fn segment(&self, heard: &Heard, segment: &Segment) -> Option<Recognized> {
        for question in self.questions_to(segment.source) {
            let Carrier::Tcp(flags) = question.carrier else { continue };
            let Some(try_number) = self.tries(segment.destination, question).find(|&try_number| {
                let (sequence, acknowledgment) =
                    self.numbers(heard.to, heard.from, segment.destination, question, try_number);
                repeats(segment, flags, sequence, acknowledgment, self.payload_bytes)
            }) else {
                continue;
            };
            let verdict = match question.subject {
                Subject::Port(_) => judge::segment(self.technique?, segment)?,
                _ => judge::sign_of_life(segment)?,
            };
            return Some(recognized(heard.from, question, try_number, verdict.with_ttl(heard.ttl)));
        }
        None
    }

    fn datagram(&self, heard: &Heard, source: u16, destination: u16) -> Option<Recognized> {
        let (question, try_number) = self.sent_datagram(heard.to, heard.from, destination, source)?;
        Some(recognized(heard.from, question, try_number, judge::datagram().with_ttl(heard.ttl)))
    }

    fn error(&self, heard: &Heard, icmp: IcmpError, about: &Quote) -> Option<Recognized> {
        let verdict = judge_icmp(icmp)?.from_sender(heard.from).with_ttl(heard.ttl);
        let (question, try_number) = match about.message {
            Quoted::Tcp { source, destination, sequence } => {
                self.sent_segment(about.from, about.to, source, destination, sequence)?
            }
            Quoted::Udp { source, destination } => {
                self.sent_datagram(about.from, about.to, source, destination)?
            }
            Quoted::Icmp { inquiry, id, sequence } => {
                self.inquiry(about.from, about.to, inquiry, id, sequence)?
            }
        };
        let by_target = heard.from == about.to;
        let verdict = match question.subject {
            Subject::Port(_) if self.technique == Some(Technique::Udp) => {
                judge::about_datagram(verdict, by_target)
            }
            _ => verdict,
        };
        Some(recognized(about.to, question, try_number, verdict))
    }

    /// The segment of ours with these ports and this sequence number.
    fn sent_segment(
        &self,
        from: IpAddr,
        to: IpAddr,
        source: u16,
        destination: u16,
        sequence: u32,
    ) -> Option<(Question, u8)> {
        self.questions_to(destination)
            .filter(|question| matches!(question.carrier, Carrier::Tcp(_)))
            .find_map(|question| {
                let try_number = self
                    .tries(source, question)
                    .find(|&t| self.numbers(from, to, source, question, t).0 == sequence)?;
                Some((question, try_number))
            })
    }

    /// The datagram of ours with these ports.
    fn sent_datagram(
        &self,
        from: IpAddr,
        to: IpAddr,
        source: u16,
        destination: u16,
    ) -> Option<(Question, u8)> {
        self.questions_to(destination).filter(|question| question.carrier == Carrier::Udp).find_map(
            |question| {
                let lane = self.cookies.lane(from, to, destination, question.tag);
                let try_number = self
                    .tries(source, question)
                    .find(|&t| self.source_ports.port(question.stage, lane, t) == source)?;
                Some((question, try_number))
            },
        )
    }

    /// The ICMP request of ours with this identifier and sequence number.
    fn inquiry(
        &self,
        from: IpAddr,
        to: IpAddr,
        inquiry: Inquiry,
        id: u16,
        sequence: u16,
    ) -> Option<(Question, u8)> {
        self.inquiries(inquiry).find_map(|question| {
            let try_number = (0..=self.tries_max).find(|&try_number| {
                let numbers = self.cookies.numbers(from, to, question.stage, 0, question.tag, try_number);
                (numbers.id(), numbers.id_sequence()) == (id, sequence)
            })?;
            Some((question, try_number))
        })
    }

    fn tries(&self, source_port: u16, question: Question) -> impl Iterator<Item = u8> + use<> {
        self.source_ports.tries(source_port, question.stage, self.tries_max)
    }

    fn numbers(
        &self,
        from: IpAddr,
        to: IpAddr,
        source_port: u16,
        question: Question,
        try_number: u8,
    ) -> (u32, u32) {
        let numbers = self.cookies.numbers(from, to, source_port, question.port, question.tag, try_number);
        (numbers.sequence, numbers.acknowledgment)
    }
}

fn recognized(target: IpAddr, question: Question, try_number: u8, verdict: Verdict) -> Recognized {
    Recognized { target, subject: question.subject, try_number: Some(try_number), verdict }
}

/// Whether a segment repeats the numbers of a probe with these flags (RFC 9293 section 3.10.7).
fn repeats(segment: &Segment, flags: u8, sequence: u32, acknowledgment: u32, payload: u32) -> bool {
    // A reset of a segment with ACK takes its sequence number from there.
    let is_reset = segment.flags & tcp_flags::RST != 0;
    if flags & tcp_flags::ACK != 0 && is_reset && segment.sequence == acknowledgment {
        return true;
    }
    if segment.flags & tcp_flags::ACK == 0 {
        return false;
    }
    // SYN and FIN take a number each. Some hosts do not count the FIN, and most do not take data with a SYN.
    let syn = u32::from(flags & tcp_flags::SYN != 0);
    let fin = u32::from(flags & tcp_flags::FIN != 0);
    let acknowledged = segment.acknowledgment.wrapping_sub(sequence);
    (syn..=syn + fin + payload).contains(&acknowledged)
}
