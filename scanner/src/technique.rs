//! The techniques of a port scan: what is sent, what silence means, and the words for each.

use crate::ports::Protocol;
use crate::verdict::PortState;

/// TCP flags as they stand in the header's fourteenth byte (RFC 9293 section 3.1).
pub mod tcp_flags {
    /// No more data from the sender.
    pub const FIN: u8 = 0x01;
    /// Synchronize sequence numbers.
    pub const SYN: u8 = 0x02;
    /// Reset the connection.
    pub const RST: u8 = 0x04;
    /// Push.
    pub const PSH: u8 = 0x08;
    /// The acknowledgment number counts.
    pub const ACK: u8 = 0x10;
    /// The urgent pointer counts.
    pub const URG: u8 = 0x20;
    /// Explicit congestion notification echo (RFC 3168).
    pub const ECE: u8 = 0x40;
    /// Congestion window reduced (RFC 3168).
    pub const CWR: u8 = 0x80;
}

/// A way to find out the state of ports (spec 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Technique {
    /// `-sT`: the system's own connect.
    Connect,
    /// `-sS`: a SYN, never completed.
    Syn,
    /// `-sA`: an ACK, to map filters.
    Ack,
    /// `-sW`: an ACK whose reset shows a window.
    Window,
    /// `-sF`: a FIN.
    Fin,
    /// `-sN`: no flags.
    Null,
    /// `-sX`: FIN, PSH and URG.
    Xmas,
    /// `-sM`: FIN and ACK.
    Maimon,
    /// `-sU`: a datagram.
    Udp,
}

impl Technique {
    /// The name in progress lines: `SYN Stealth Scan`.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Connect => "Connect Scan",
            Self::Syn => "SYN Stealth Scan",
            Self::Ack => "ACK Scan",
            Self::Window => "Window Scan",
            Self::Fin => "FIN Scan",
            Self::Null => "NULL Scan",
            Self::Xmas => "XMAS Scan",
            Self::Maimon => "Maimon Scan",
            Self::Udp => "UDP Scan",
        }
    }

    /// The word in the XML element `scaninfo`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Syn => "syn",
            Self::Ack => "ack",
            Self::Window => "window",
            Self::Fin => "fin",
            Self::Null => "null",
            Self::Xmas => "xmas",
            Self::Maimon => "maimon",
            Self::Udp => "udp",
        }
    }

    /// Reads the word of the XML.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        let all = [
            Self::Connect,
            Self::Syn,
            Self::Ack,
            Self::Window,
            Self::Fin,
            Self::Null,
            Self::Xmas,
            Self::Maimon,
            Self::Udp,
        ];
        all.into_iter().find(|technique| technique.word() == word)
    }

    /// The option that asks for it.
    #[must_use]
    pub const fn option(self) -> &'static str {
        match self {
            Self::Connect => "-sT",
            Self::Syn => "-sS",
            Self::Ack => "-sA",
            Self::Window => "-sW",
            Self::Fin => "-sF",
            Self::Null => "-sN",
            Self::Xmas => "-sX",
            Self::Maimon => "-sM",
            Self::Udp => "-sU",
        }
    }

    /// The protocol whose ports it scans.
    #[must_use]
    pub const fn protocol(self) -> Protocol {
        match self {
            Self::Udp => Protocol::Udp,
            _ => Protocol::Tcp,
        }
    }

    /// Whether it sends packets of its own making, which takes privileges.
    #[must_use]
    pub const fn is_raw(self) -> bool {
        !matches!(self, Self::Connect)
    }

    /// The TCP flags it sends, if it sends TCP packets of its own.
    #[must_use]
    pub const fn flags(self) -> Option<u8> {
        use tcp_flags::{ACK, FIN, PSH, SYN, URG};
        match self {
            Self::Syn => Some(SYN),
            Self::Ack | Self::Window => Some(ACK),
            Self::Fin => Some(FIN),
            Self::Null => Some(0),
            Self::Xmas => Some(FIN | PSH | URG),
            Self::Maimon => Some(FIN | ACK),
            Self::Connect | Self::Udp => None,
        }
    }

    /// The state of a port that never answers (spec 4.2, 4.3).
    #[must_use]
    pub const fn silence(self) -> PortState {
        match self {
            Self::Connect | Self::Syn | Self::Ack | Self::Window => PortState::Filtered,
            Self::Fin | Self::Null | Self::Xmas | Self::Maimon | Self::Udp => PortState::OpenFiltered,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_means_open_or_filtered_where_open_ports_are_silent() {
        assert_eq!(Technique::Syn.silence(), PortState::Filtered);
        assert_eq!(Technique::Ack.silence(), PortState::Filtered);
        assert_eq!(Technique::Xmas.silence(), PortState::OpenFiltered);
        assert_eq!(Technique::Udp.silence(), PortState::OpenFiltered);
    }
}
