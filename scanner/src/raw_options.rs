//! What a user wants of packets of the scanner's own making, beyond what the technique says.

use std::net::IpAddr;

use crate::mac::MacAddress;

/// Choices about raw packets; the default is what the reference sends without any option.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RawOptions {
    /// `-g`: every probe comes from this port.
    pub source_port: Option<u16>,
    /// `--ttl`: time to live, or hop limit, of every probe.
    pub ttl: Option<u8>,
    /// `--badsum`: probes with wrong checksums.
    pub bad_checksums: bool,
    /// `--data`, `--data-string`, `--data-length`: what probes carry behind their headers.
    pub data: Data,
    /// `--ip-options`: IPv4 options in wire form, a multiple of four bytes.
    pub ip_options: Vec<u8>,
    /// `-f`, `--mtu`: bytes of payload in a fragment, a multiple of eight.
    pub fragment_bytes: Option<u16>,
    /// `-D`: each probe goes out once from each of these, in this order.
    pub decoys: Vec<Decoy>,
    /// `--scanflags`: the flags of TCP probes, whatever the technique.
    pub flags: Option<u8>,
    /// `--spoof-mac`: frames come from this hardware address.
    pub spoofed_mac: Option<SpoofedMac>,
    /// `--send-ip`, `--send-eth`.
    pub sending: Sending,
}

/// What probes carry behind their headers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Data {
    /// Nothing, or what belongs to the port of a UDP probe.
    #[default]
    Usual,
    /// These bytes.
    Bytes(Vec<u8>),
    /// So many random bytes.
    Random(u16),
}

/// From where a copy of each probe comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Decoy {
    /// From this address, which is not ours.
    Address(IpAddr),
    /// From ourselves.
    Me,
    /// From a random address of the public network; drawn once for the whole scan.
    Random,
}

/// The hardware address frames seem to come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SpoofedMac {
    /// This one.
    Address(MacAddress),
    /// One of this vendor, the rest random: the first three bytes.
    Vendor([u8; 3]),
    /// Any.
    Random,
}

/// By which kind of socket packets go out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Sending {
    /// As frames where the link is Ethernet and the neighbor known, by the system's own IP otherwise.
    #[default]
    Either,
    /// By the system's IP (`--send-ip`).
    Ip,
    /// As frames (`--send-eth`).
    Ethernet,
}

/// Longest payload that can be asked for: what fits an Ethernet frame.
pub const DATA_BYTES_MAX: usize = 1400;

/// Reads hexadecimal bytes: `0xdeadbeef`, `\xde\xad` or `deadbeef`.
///
/// ```
/// use scanner::raw_options::hex_bytes;
/// assert_eq!(hex_bytes("0xCAFE"), Some(vec![0xca, 0xfe]));
/// assert_eq!(hex_bytes("\\xca\\xfe"), Some(vec![0xca, 0xfe]));
/// assert_eq!(hex_bytes("caf"), None);
/// ```
#[must_use]
pub fn hex_bytes(text: &str) -> Option<Vec<u8>> {
    let digits = match text.strip_prefix("0x") {
        Some(digits) => digits.to_owned(),
        None => text.replace("\\x", ""),
    };
    let digits: Option<Vec<u8>> = digits.chars().map(|digit| digit.to_digit(16)?.try_into().ok()).collect();
    let digits = digits.filter(|digits| !digits.is_empty() && digits.len().is_multiple_of(2))?;
    Some(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

/// Reads IPv4 options: `R` (record route), `T` (time stamps), `U` (both), `L` or `S` with addresses (loose or strict
/// source route), or bytes as `\x01\x07\x04*36`.
///
/// # Errors
/// What is wrong, for a person.
pub fn ip_options(text: &str) -> Result<Vec<u8>, &'static str> {
    let mut options = match text.split_whitespace().collect::<Vec<_>>().as_slice() {
        ["R"] => slots(7, 9 * 4),
        ["T"] => [&[68, 40, 5, 0][..], &[0; 36]].concat(),
        ["U"] => [&[68, 36, 5, 1][..], &[0; 32]].concat(),
        ["L", hops @ ..] => source_route(131, hops)?,
        ["S", hops @ ..] => source_route(137, hops)?,
        [bytes] if bytes.starts_with('\\') => escaped_bytes(bytes)?,
        _ => return Err("R, T, U, L or S with addresses, or bytes such as \\x01\\x07\\x04*36"),
    };
    while !options.len().is_multiple_of(4) {
        options.push(0);
    }
    if options.len() > 40 { Err("at most 40 bytes of options") } else { Ok(options) }
}

/// An option with room for addresses to be filled in, with a NOP before it so that the addresses are aligned.
fn slots(kind: u8, room: u8) -> Vec<u8> {
    let mut option = vec![1, kind, 3 + room, 4];
    option.resize(4 + usize::from(room), 0);
    option
}

fn source_route(kind: u8, hops: &[&str]) -> Result<Vec<u8>, &'static str> {
    let hops: Option<Vec<std::net::Ipv4Addr>> = hops.iter().map(|hop| hop.parse().ok()).collect();
    let hops = hops.filter(|hops| (1..=8).contains(&hops.len()));
    let hops = hops.ok_or("one to eight IPv4 addresses after L or S")?;
    // The kernel and the routers expect room for one address more than is given: the destination goes there.
    let mut option = slots(kind, u8::try_from(hops.len() * 4 + 4).unwrap_or(u8::MAX));
    for (hop, place) in hops.iter().zip(option[4..].chunks_exact_mut(4)) {
        place.copy_from_slice(&hop.octets());
    }
    Ok(option)
}

/// Reads `\x01\x07*3`: bytes in hexadecimal or decimal, each with a number of repetitions after `*`.
fn escaped_bytes(text: &str) -> Result<Vec<u8>, &'static str> {
    const WANTED: &str = "bytes such as \\x01\\x07\\x04*36";
    let mut bytes = Vec::new();
    for word in text.split('\\').skip(1) {
        let (byte, count) = word.split_once('*').unwrap_or((word, "1"));
        let byte = match byte.strip_prefix('x') {
            Some(digits) => u8::from_str_radix(digits, 16),
            None => byte.parse(),
        };
        let count: usize = count.parse().map_err(|_| WANTED)?;
        if count > 40 {
            return Err("at most 40 bytes of options");
        }
        bytes.extend(std::iter::repeat_n(byte.map_err(|_| WANTED)?, count));
    }
    if bytes.is_empty() { Err(WANTED) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ip_options_by_letter_and_by_byte() {
        assert_eq!(ip_options("R").unwrap()[..4], [1, 7, 39, 4]);
        assert_eq!(ip_options("R").unwrap().len(), 40);
        assert_eq!(ip_options("T").unwrap()[..4], [68, 40, 5, 0]);
        let loose = ip_options("L 198.18.64.1").unwrap();
        assert_eq!(loose, [1, 131, 11, 4, 198, 18, 64, 1, 0, 0, 0, 0]);
        assert_eq!(ip_options("\\x01\\x07\\x07\\x04\\x00*4").unwrap(), [1, 7, 7, 4, 0, 0, 0, 0]);
        assert_eq!(ip_options("\\1\\x01").unwrap(), [1, 1, 0, 0]);
        for bad in ["", "X", "L", "L host", "\\", "\\xzz", "\\x01*41", "\\x01*-1", "\\256"] {
            assert!(ip_options(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_options_that_fit_a_header_or_none(text in "[RTULS\\\\x0-9a-f*. ]{0,40}") {
            if let Ok(options) = ip_options(&text) {
                prop_assert!(options.len() <= 40 && options.len().is_multiple_of(4));
            }
            let _ = hex_bytes(&text);
        }
    }
}
