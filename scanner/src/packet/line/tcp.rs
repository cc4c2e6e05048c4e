//! TCP segments, whole, short and in fragments (spec 1.5).

use std::fmt;

use super::{Detail, Format, Shown};
use crate::packet::view::{be16, be32};
use crate::technique::tcp_flags;

/// Writes the line of a packet that carries TCP.
pub(super) fn describe(f: &mut fmt::Formatter<'_>, shown: &Shown<'_>) -> fmt::Result {
    let bytes = shown.packet.payload();
    match (shown.packet.fragment().offset, bytes.len()) {
        (0, 20..) => whole(f, shown, bytes),
        (0, 16..) => without_checksum(f, shown, bytes),
        (0, 8..) => numbers_only(f, shown, bytes),
        (8, 8..) => second_fragment(f, shown, bytes),
        _ => {
            let (source, destination) = (shown.packet.source(), shown.packet.destination());
            write!(f, "TCP {source}:?? > {destination}:?? ?? ")?;
            shown.write_info(f)?;
            f.write_str(" (incomplete)")
        }
    }
}

fn whole(f: &mut fmt::Formatter<'_>, shown: &Shown<'_>, bytes: &[u8]) -> fmt::Result {
    let ends = shown.ends(be16(bytes, 0).unwrap_or(0), be16(bytes, 2).unwrap_or(0));
    let segment = Fields { bytes, shown, known_from: 0 };
    let flags = Flags(bytes[13]);
    if !shown.is_bracketed() {
        let (sequence, window) = (segment.sequence(), segment.window());
        let options = segment.options();
        return write!(f, "TCP {ends} {flags} {} seq={sequence} win={window} {options}", shown.info());
    }
    write!(f, "TCP [{ends} {flags} seq={}", segment.sequence())?;
    segment.write_after_sequence(f)?;
    write!(f, "] IP [{}]", shown.info())
}

/// A segment that ends in its checksum or urgent pointer.
fn without_checksum(f: &mut fmt::Formatter<'_>, shown: &Shown<'_>, bytes: &[u8]) -> fmt::Result {
    let ends = shown.ends(be16(bytes, 0).unwrap_or(0), be16(bytes, 2).unwrap_or(0));
    let segment = Fields { bytes, shown, known_from: 0 };
    let flags = Flags(bytes[13]);
    let (sequence, window) = (segment.sequence(), segment.window());
    if !shown.is_bracketed() {
        return write!(f, "TCP {ends} {flags} {} seq={sequence} win={window} (incomplete)", shown.info());
    }
    write!(f, "TCP [{ends} {flags} seq={sequence} ack={}", segment.acknowledgment())?;
    if shown.detail == Detail::High {
        write!(f, " off={} res={}", bytes[12] >> 4, bytes[12] & 0x0f)?;
    }
    write!(f, " win={window} (incomplete)] IP [{}]", shown.info())
}

/// A segment that ends before its window: the usual first fragment of eight bytes, and what ICMP errors quote.
fn numbers_only(f: &mut fmt::Formatter<'_>, shown: &Shown<'_>, bytes: &[u8]) -> fmt::Result {
    let ends = shown.ends(be16(bytes, 0).unwrap_or(0), be16(bytes, 2).unwrap_or(0));
    let sequence = be32(bytes, 4).unwrap_or(0);
    match (shown.format, bytes.len()) {
        (Format::Bracket, _) => write!(f, "TCP [{ends} seq={sequence}] IP [{}]", shown.info()),
        (Format::Classic, 12..) => write!(f, "TCP {ends} seq={sequence} (incomplete), {}", shown.info()),
        (Format::Classic, _) => write!(f, "TCP {ends} ?? seq={sequence} (incomplete) {}", shown.info()),
    }
}

/// A fragment that begins with the acknowledgment number.
fn second_fragment(f: &mut fmt::Formatter<'_>, shown: &Shown<'_>, bytes: &[u8]) -> fmt::Result {
    let (source, destination) = (shown.packet.source(), shown.packet.destination());
    let segment = Fields { bytes, shown, known_from: 8 };
    let flags = Flags(bytes[5]);
    let (acknowledgment, window) = (segment.acknowledgment(), segment.window());
    let options = segment.options();
    if shown.detail == Detail::High && bytes.len() >= 12 {
        write!(f, "TCP [{source}:?? > {destination}:?? {flags}")?;
        segment.write_after_sequence(f)?;
        return write!(f, "] IP [{}]", shown.info());
    }
    write!(f, "TCP {source}:?? > {destination}:?? {flags}")?;
    if shown.is_bracketed() {
        return write!(f, " ack={acknowledgment} win={window} {options} IP [{}]", shown.info());
    }
    write!(f, " {} ", shown.info())?;
    if bytes[5] & tcp_flags::ACK != 0 {
        write!(f, "ack={acknowledgment}")?;
    }
    write!(f, " {options}")
}

/// The fields of a segment of which only what comes from byte `known_from` on is there.
struct Fields<'a> {
    bytes: &'a [u8],
    shown: &'a Shown<'a>,
    known_from: usize,
}

impl Fields<'_> {
    fn at(&self, offset: usize) -> usize {
        offset - self.known_from
    }

    fn sequence(&self) -> u32 {
        be32(self.bytes, self.at(4)).unwrap_or(0)
    }

    fn acknowledgment(&self) -> u32 {
        be32(self.bytes, self.at(8)).unwrap_or(0)
    }

    fn window(&self) -> u16 {
        be16(self.bytes, self.at(14)).unwrap_or(0)
    }

    fn offset_byte(&self) -> u8 {
        self.bytes.get(self.at(12)).copied().unwrap_or(0)
    }

    fn options(&self) -> Options<'_> {
        let end = usize::from(self.offset_byte() >> 4) * 4;
        let start = self.at(20).min(self.bytes.len());
        let wanted = end.saturating_sub(20);
        if end < 20 {
            Options::None
        } else {
            match self.bytes.get(start..start + wanted) {
                Some([]) if self.bytes.len() >= self.at(20) => Options::None,
                Some(options) if self.bytes.len() >= self.at(20) => Options::Whole(options),
                _ => Options::Cut,
            }
        }
    }

    /// What the bracketed form has after the sequence number.
    fn write_after_sequence(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = self.bytes.get(self.at(13)).copied().unwrap_or(0);
        let classic_high = self.shown.detail == Detail::High && self.shown.format == Format::Classic;
        if classic_high || (self.shown.format == Format::Bracket && flags & tcp_flags::ACK != 0) {
            write!(f, " ack={}", self.acknowledgment())?;
        }
        if self.shown.detail == Detail::High {
            write!(f, " off={} res={}", self.offset_byte() >> 4, self.offset_byte() & 0x0f)?;
        }
        write!(f, " win={}", self.window())?;
        if self.shown.detail > Detail::Low {
            write!(f, " csum=0x{:04X}", be16(self.bytes, self.at(16)).unwrap_or(0))?;
        }
        if self.shown.detail == Detail::High {
            write!(f, " urp={}", be16(self.bytes, self.at(18)).unwrap_or(0))?;
        }
        match self.options() {
            Options::None => Ok(()),
            options => write!(f, " {options}"),
        }
    }
}

/// Flags by their letters.
struct Flags(u8);

impl fmt::Display for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use tcp_flags::{ACK, CWR, ECE, FIN, PSH, RST, SYN, URG};
        let letters =
            [(SYN, "S"), (FIN, "F"), (RST, "R"), (PSH, "P"), (ACK, "A"), (URG, "U"), (ECE, "E"), (CWR, "C")];
        letters.iter().filter(|(flag, _)| self.0 & flag != 0).try_for_each(|(_, letter)| f.write_str(letter))
    }
}

/// Options, as far as they are there.
enum Options<'a> {
    None,
    Whole(&'a [u8]),
    Cut,
}

impl fmt::Display for Options<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = match self {
            Self::None => return Ok(()),
            Self::Cut => return f.write_str("option incomplete"),
            Self::Whole(options) => *options,
        };
        f.write_str("<")?;
        let mut comma = "";
        while let [kind, ..] = rest {
            f.write_str(comma)?;
            comma = ",";
            rest = match kind {
                0 => {
                    f.write_str("eol")?;
                    break;
                }
                1 => {
                    f.write_str("nop")?;
                    &rest[1..]
                }
                _ => match option(f, rest)? {
                    Some(length) => &rest[length..],
                    None => break,
                },
            };
        }
        f.write_str(">")
    }
}

/// Writes an option that has a length and returns that, or `None` where it cannot be right.
fn option(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> Result<Option<usize>, fmt::Error> {
    let kind = bytes[0];
    let length = bytes.get(1).map_or(0, |length| usize::from(*length));
    let Some(data) = bytes.get(2..length) else {
        write!(f, "opt-{kind}(bad len {length})")?;
        return Ok(None);
    };
    match (kind, data.len()) {
        (2, 2) => write!(f, "mss {}", be16(data, 0).unwrap_or(0))?,
        (3, 1) => write!(f, "wscale {}", data[0])?,
        (4, 0) => f.write_str("sackOK")?,
        (5, 8..) if data.len().is_multiple_of(8) => {
            write!(f, "sack {} ", data.len() / 8)?;
            for edges in data.chunks_exact(8) {
                write!(f, "{{{}:{}}}", be32(edges, 0).unwrap_or(0), be32(edges, 4).unwrap_or(0))?;
            }
        }
        (8, 8) => {
            write!(f, "timestamp {} {}", be32(data, 0).unwrap_or(0), be32(data, 4).unwrap_or(0))?;
        }
        (2 | 3 | 4 | 5 | 8, _) => {
            write!(f, "opt-{kind}(bad len {length})")?;
            return Ok(None);
        }
        _ => {
            write!(f, "opt-{kind}:")?;
            data.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        }
    }
    Ok(Some(length))
}
