//! What an answer means (spec 3.4 and 4.2 to 4.4).

use super::heard::{Inquiry, Segment};
use crate::technique::{Technique, tcp_flags};
use crate::verdict::{PortState, Reason, Verdict};

/// What a segment says about a port probed in this way; `None` if nothing.
pub(super) fn segment(technique: Technique, segment: &Segment) -> Option<Verdict> {
    let (state, reason) = match (technique, word(segment)?) {
        (Technique::Syn, Reason::SynAck) => (PortState::Open, Reason::SynAck),
        (_, Reason::SynAck) => return None,
        (Technique::Ack, reset) => (PortState::Unfiltered, reset),
        (Technique::Window, reset) if segment.window != 0 => (PortState::Open, reset),
        (_, reset) => (PortState::Closed, reset),
    };
    Some(Verdict::new(state, reason))
}

/// What a segment says about a host asked by one.
pub(super) fn sign_of_life(segment: &Segment) -> Option<Verdict> {
    let reason = word(segment)?;
    let state = if reason == Reason::SynAck { PortState::Open } else { PortState::Closed };
    Some(Verdict::new(state, reason))
}

/// What a datagram from a port says about it, and about its host.
pub(super) const fn datagram() -> Verdict {
    Verdict::new(PortState::Open, Reason::UdpResponse)
}

/// What the answer to an ICMP request says about a host.
pub(super) const fn reply(inquiry: Inquiry) -> Verdict {
    let reason = match inquiry {
        Inquiry::Echo => Reason::EchoReply,
        Inquiry::Timestamp => Reason::TimestampReply,
        Inquiry::AddressMask => Reason::AddressMaskReply,
    };
    Verdict::new(PortState::Open, reason)
}

/// What an ICMP error that the target itself sent says about a UDP port: a port-unreachable is the word of the port.
pub(super) fn about_datagram(verdict: Verdict, by_target: bool) -> Verdict {
    if by_target && verdict.reason == Reason::PortUnreach {
        return Verdict { state: PortState::Closed, ..verdict };
    }
    verdict
}

fn word(segment: &Segment) -> Option<Reason> {
    const SYN_ACK: u8 = tcp_flags::SYN | tcp_flags::ACK;
    if segment.flags & tcp_flags::RST != 0 {
        return Some(Reason::Reset);
    }
    (segment.flags & SYN_ACK == SYN_ACK).then_some(Reason::SynAck)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(technique: Technique, flags: u8, window: u16) -> Option<(PortState, Reason)> {
        let segment = Segment { source: 1, destination: 2, flags, sequence: 3, acknowledgment: 4, window };
        super::segment(technique, &segment).map(|verdict| (verdict.state, verdict.reason))
    }

    #[test]
    fn each_technique_reads_a_reset_in_its_own_way() {
        use tcp_flags::{ACK, RST, SYN};
        let reset = |state| Some((state, Reason::Reset));
        assert_eq!(judged(Technique::Syn, SYN | ACK, 64_240), Some((PortState::Open, Reason::SynAck)));
        assert_eq!(judged(Technique::Syn, RST | ACK, 0), reset(PortState::Closed));
        assert_eq!(judged(Technique::Syn, ACK, 5), None, "a challenge (RFC 5961)");
        assert_eq!(judged(Technique::Ack, RST, 0), reset(PortState::Unfiltered));
        assert_eq!(judged(Technique::Ack, SYN | ACK, 0), None);
        assert_eq!(judged(Technique::Window, RST, 0), reset(PortState::Closed));
        assert_eq!(judged(Technique::Window, RST, 512), reset(PortState::Open));
        for technique in [Technique::Fin, Technique::Null, Technique::Xmas, Technique::Maimon] {
            assert_eq!(judged(technique, RST | ACK, 0), reset(PortState::Closed));
            assert_eq!(judged(technique, SYN | ACK, 0), None);
        }
    }
}
