//! The options about scan types, host discovery and packets, from words to values.

use std::ffi::OsString;
use std::net::IpAddr;

use super::definition::all;
use super::values::Values;
use super::{Arguments, Discovery, UsageError, Work};
use crate::escape::Escaped;
use crate::packet::line::Format;
use crate::plan::Method;
use crate::ports::{PortList, Protocol};
use crate::privilege::Privileges;
use crate::raw_options::{
    DATA_BYTES_MAX, Data, Decoy, RawOptions, Sending, SpoofedMac, hex_bytes, ip_options,
};
use crate::technique::{Technique, tcp_flags};
use crate::verdict::ResetEvidence;

/// More decoys than this only make noise.
const DECOYS_MAX: usize = 128;

impl Values<'_> {
    /// Reads what is to be done: which scans, or none.
    pub(super) fn work(&self, arguments: Arguments) -> Result<Arguments, UsageError> {
        let mut arguments = arguments;
        for letter in all(self.matches, "scan") {
            let technique = match letter.as_encoded_bytes() {
                b"n" | b"P" => {
                    arguments.work = Work::Discovery;
                    continue;
                }
                b"L" => {
                    arguments.work = Work::List;
                    continue;
                }
                b"T" => Technique::Connect,
                b"S" => Technique::Syn,
                b"A" => Technique::Ack,
                b"W" => Technique::Window,
                b"F" => Technique::Fin,
                b"N" => Technique::Null,
                b"X" => Technique::Xmas,
                b"M" => Technique::Maimon,
                _ => Technique::Udp,
            };
            if !arguments.techniques.contains(&technique) {
                arguments.techniques.push(technique);
            }
        }
        check_work(&arguments)?;
        Ok(arguments)
    }

    /// Reads how hosts are to be found.
    pub(super) fn discovery(&self, arguments: Arguments) -> Result<Arguments, UsageError> {
        let mut methods = Vec::new();
        let (mut skip, mut seen) = (false, Vec::new());
        for value in all(self.matches, "ping") {
            let text = self.text("-P", &value)?;
            let (kind, list) = text.split_at(text.len().min(1));
            let default = match kind {
                "S" | "A" | "T" | "B" => 80,
                "U" => 40_125,
                _ => 0,
            };
            if matches!(kind, "S" | "A" | "U") && seen.contains(&kind.to_owned()) {
                let why = format!("Only one -P{kind} option is allowed. Combine port ranges with commas.");
                return Err(UsageError::new(why));
            }
            seen.push(kind.to_owned());
            let ports = ping_ports(kind, list, default)?;
            let each = |method: fn(u16) -> Method| ports.iter().copied().map(method).collect::<Vec<_>>();
            match kind {
                "n" => skip = true,
                "E" | "I" => methods.push(Method::Echo),
                "P" => methods.push(Method::Timestamp),
                "M" => methods.push(Method::AddressMask),
                "S" => methods.extend(each(Method::Syn)),
                "A" | "T" => methods.extend(each(Method::Ack)),
                "B" => {
                    methods.push(Method::Echo);
                    methods.extend(each(Method::Ack));
                }
                "U" => methods.extend(each(Method::Udp)),
                // -PR asks for what is done on the local link anyway.
                _ => {}
            }
        }
        if skip && !methods.is_empty() {
            return Err(UsageError::new("-Pn asks no host whether it is up; leave out the other -P options"));
        }
        let discovery = match (skip, methods.is_empty()) {
            (true, _) => Discovery::Skip,
            (false, true) => Discovery::Usual,
            (false, false) => Discovery::By(in_order(methods)),
        };
        Ok(Arguments {
            discovery,
            neighbors: !self.matches.get_flag("disable-arp-ping"),
            resets: match self.matches.get_flag("discovery-ignore-rst") {
                true => ResetEvidence::Ignored,
                false => ResetEvidence::ProvesUp,
            },
            ..arguments
        })
    }

    /// Reads from where packets come, and what they look like.
    pub(super) fn packets(&self, arguments: Arguments) -> Result<Arguments, UsageError> {
        let source = self.once("source", "-S")?;
        let source = source.map(|value| match value.to_str().and_then(|text| text.parse::<IpAddr>().ok()) {
            Some(address) => Ok(address),
            None => Err(self.refuse("-S", &value, "an IP address of this machine")),
        });
        let interface = self.once("interface", "-e")?.map(|value| self.text("-e", &value)).transpose()?;
        Ok(Arguments {
            source: source.transpose()?,
            interface,
            raw: self.raw_options()?,
            privileges: match self
                .either(("privileged", "--privileged"), ("unprivileged", "--unprivileged"))?
            {
                Some("privileged") => Privileges::Assume,
                Some(_) => Privileges::Renounce,
                None => Privileges::Detect,
            },
            trace_format: match self.once("trace-format", "--trace-format")? {
                None => Format::Classic,
                Some(value) => match value.to_str() {
                    Some("classic") => Format::Classic,
                    Some("bracket") => Format::Bracket,
                    _ => return Err(self.refuse("--trace-format", &value, "classic or bracket")),
                },
            },
            ..arguments
        })
    }

    fn raw_options(&self) -> Result<RawOptions, UsageError> {
        let ttl = self.count("--ttl", 0, 255)?.and_then(|ttl| u8::try_from(ttl).ok());
        let port = self.count("--source-port", 0, 65_535)?.and_then(|port| u16::try_from(port).ok());
        let ip_options = match self.once("ip-options", "--ip-options")? {
            None => Vec::new(),
            Some(value) => {
                let text = self.text("--ip-options", &value)?;
                ip_options(&text).map_err(|why| self.refuse("--ip-options", &value, why))?
            }
        };
        let flags = self.once("scanflags", "--scanflags")?;
        let flags = flags.map(|value| {
            let text = self.text("--scanflags", &value)?;
            scan_flags(&text).ok_or_else(|| {
                self.refuse(
                    "--scanflags",
                    &value,
                    "flags such as SYNFIN, URGACKPSH, or a number from 0 to 255",
                )
            })
        });
        let spoofed = self.once("spoof-mac", "--spoof-mac")?;
        let spoofed = spoofed.map(|value| {
            let text = self.text("--spoof-mac", &value)?;
            let wanted =
                "0 for a random address, six bytes such as 02:00:00:00:00:01, three of a vendor, or its name";
            spoofed_mac(&text).ok_or_else(|| self.refuse("--spoof-mac", &value, wanted))
        });
        Ok(RawOptions {
            source_port: port,
            ttl,
            bad_checksums: self.matches.get_flag("badsum"),
            data: self.data()?,
            ip_options,
            fragment_bytes: self.fragment_bytes()?,
            decoys: self.decoys()?,
            flags: flags.transpose()?,
            spoofed_mac: spoofed.transpose()?,
            sending: match self.either(("send-ip", "--send-ip"), ("send-eth", "--send-eth"))? {
                Some("send-ip") => Sending::Ip,
                Some(_) => Sending::Ethernet,
                None => Sending::Either,
            },
        })
    }

    fn data(&self) -> Result<Data, UsageError> {
        let bytes = self.once("data", "--data")?;
        let string = self.once("data-string", "--data-string")?;
        let length = self.count("--data-length", 0, DATA_BYTES_MAX as u64)?;
        if usize::from(bytes.is_some()) + usize::from(string.is_some()) + usize::from(length.is_some()) > 1 {
            return Err(UsageError::new(
                "--data, --data-string and --data-length exclude each other; use one",
            ));
        }
        let fits = |option: &'static str, value: &OsString, bytes: Vec<u8>| match bytes.len() {
            0..=DATA_BYTES_MAX => Ok(Data::Bytes(bytes)),
            _ => Err(self.refuse(option, value, &format!("at most {DATA_BYTES_MAX} bytes"))),
        };
        if let Some(value) = bytes {
            let text = self.text("--data", &value)?;
            let wanted = "bytes in hexadecimal, such as 0xdeadbeef or \\xde\\xad";
            let bytes = hex_bytes(&text).ok_or_else(|| self.refuse("--data", &value, wanted))?;
            return fits("--data", &value, bytes);
        }
        if let Some(value) = string {
            let bytes = value.as_encoded_bytes().to_vec();
            return fits("--data-string", &value, bytes);
        }
        Ok(match length {
            Some(length) => Data::Random(u16::try_from(length).unwrap_or(0)),
            None => Data::Usual,
        })
    }

    fn fragment_bytes(&self) -> Result<Option<u16>, UsageError> {
        let times = self.matches.get_count("fragment");
        match self.count("--mtu", 8, 65_528)? {
            Some(_) if times > 0 => Err(UsageError::new("-f and --mtu exclude each other; use one")),
            Some(mtu) if !mtu.is_multiple_of(8) => {
                let why = format!("--mtu: {mtu} is not a multiple of 8; try {}", mtu / 8 * 8);
                Err(UsageError::new(why))
            }
            Some(mtu) => Ok(u16::try_from(mtu).ok()),
            None => Ok((times > 0).then(|| 8 * u16::from(times.min(2)))),
        }
    }

    fn decoys(&self) -> Result<Vec<Decoy>, UsageError> {
        let Some(value) = self.once("decoys", "-D")? else { return Ok(Vec::new()) };
        let text = self.text("-D", &value)?;
        let mut decoys = Vec::new();
        for word in text.split(',') {
            let random = word.strip_prefix("RND").map(|count| count.strip_prefix(':').unwrap_or(count));
            match (word, random) {
                ("ME" | "me", _) if decoys.contains(&Decoy::Me) => {
                    return Err(UsageError::new("-D: ME can be given only once"));
                }
                ("ME" | "me", _) => decoys.push(Decoy::Me),
                (_, Some(count)) => {
                    let count = if count.is_empty() { Some(1) } else { count.parse::<usize>().ok() };
                    let count = count.filter(|count| (1..=DECOYS_MAX).contains(count));
                    let wanted = format!(
                        "a list of decoys: \"{}\" has no number from 1 to {DECOYS_MAX}",
                        Escaped::new(word)
                    );
                    let count = count.ok_or_else(|| self.refuse("-D", &value, &wanted))?;
                    decoys.extend(std::iter::repeat_n(Decoy::Random, count));
                }
                _ => match word.parse() {
                    Ok(address) => decoys.push(Decoy::Address(address)),
                    Err(_) => {
                        let wanted = "a list of IP addresses, ME and RND:number, such as 198.18.0.7,ME,RND:3";
                        return Err(self.refuse("-D", &value, wanted));
                    }
                },
            }
        }
        match decoys.len() {
            0..=DECOYS_MAX => Ok(decoys),
            count => Err(UsageError::new(format!("-D: {count} decoys, at most {DECOYS_MAX}"))),
        }
    }
}

/// Checks the kinds of work against each other and against the choice of ports.
fn check_work(arguments: &Arguments) -> Result<(), UsageError> {
    let tcp = arguments.techniques.iter().filter(|technique| technique.protocol() == Protocol::Tcp).count();
    if tcp > 1 {
        return Err(UsageError::new(
            "You specified more than one type of TCP scan.  Please choose only one of -sA, -sT, -sF, -sM, -sN, -sS, \
             -sW, and -sX",
        ));
    }
    if arguments.work == Work::Ports {
        return Ok(());
    }
    let option = if arguments.work == Work::List { "-sL" } else { "-sn" };
    if let Some(technique) = arguments.techniques.first() {
        let technique = technique.option();
        return Err(UsageError::new(format!("{option} scans no ports; leave out {technique}, or {option}")));
    }
    if arguments.fast || arguments.ports.is_some() || arguments.top_ports.is_some() {
        return Err(UsageError::new(
            "You cannot use -F (fast scan) or -p (explicit port selection) when not doing a port scan",
        ));
    }
    Ok(())
}

/// The ports of `-PS22,80` and its kin.
fn ping_ports(kind: &str, list: &str, default: u16) -> Result<Vec<u16>, UsageError> {
    if list.is_empty() {
        return Ok(if default == 0 { Vec::new() } else { vec![default] });
    }
    if default == 0 {
        return Err(UsageError::new(format!("-P{kind} takes no ports")));
    }
    let protocol = if kind == "U" { Protocol::Udp } else { Protocol::Tcp };
    let ports =
        PortList::parse(list, &[protocol]).map_err(|why| UsageError::new(format!("-P{kind}: {why}")))?;
    Ok(ports.ports.of(protocol).iter().collect())
}

/// Puts methods in the order in which a host is asked (spec 3.2).
fn in_order(mut methods: Vec<Method>) -> Vec<Method> {
    methods.sort_by_key(|method| match method {
        Method::Echo => 0,
        Method::Syn(_) => 1,
        Method::Ack(_) => 2,
        Method::Timestamp => 3,
        Method::Udp(_) => 4,
        Method::AddressMask => 6,
        _ => 5,
    });
    methods.dedup();
    methods
}

/// Reads `SYNFIN`, `18` or `0x12`.
fn scan_flags(text: &str) -> Option<u8> {
    if let Some(digits) = text.strip_prefix("0x") {
        return u8::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with('+'));
    }
    if text.starts_with(|first: char| first.is_ascii_digit()) {
        return text.parse().ok();
    }
    let names = [
        ("FIN", tcp_flags::FIN),
        ("SYN", tcp_flags::SYN),
        ("RST", tcp_flags::RST),
        ("PSH", tcp_flags::PSH),
        ("ACK", tcp_flags::ACK),
        ("URG", tcp_flags::URG),
        ("ECE", tcp_flags::ECE),
        ("CWR", tcp_flags::CWR),
    ];
    let upper = text.to_ascii_uppercase();
    let mut rest = upper.as_str();
    let mut flags = 0;
    if rest == "NONE" {
        return Some(0);
    }
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix([',', '|']) {
            rest = after;
            continue;
        }
        let (name, flag) = names.iter().find(|(name, _)| rest.starts_with(name))?;
        flags |= flag;
        rest = &rest[name.len()..];
    }
    (!text.is_empty()).then_some(flags)
}

/// Reads `0`, an address, the first three bytes of one, or the name of a vendor.
fn spoofed_mac(text: &str) -> Option<SpoofedMac> {
    if text == "0" {
        return Some(SpoofedMac::Random);
    }
    if let Ok(address) = text.parse() {
        return Some(SpoofedMac::Address(address));
    }
    let digits: String = text.chars().filter(|character| !matches!(character, ':' | '-' | '.')).collect();
    if let Some(bytes) = hex_bytes(&digits).and_then(|bytes| <[u8; 3]>::try_from(bytes).ok()) {
        return Some(SpoofedMac::Vendor(bytes));
    }
    crate::vendors::prefix_of(text).map(SpoofedMac::Vendor)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn flags_by_name_and_by_number() {
        let table = [
            ("SYNFIN", 0x03),
            ("synfin", 0x03),
            ("URGACKPSHRSTSYNFIN", 0x3f),
            ("SYN,ACK", 0x12),
            ("9", 9),
            ("0x12", 0x12),
            ("NONE", 0),
            ("ECECWR", 0xc0),
        ];
        for (text, flags) in table {
            assert_eq!(scan_flags(text), Some(flags), "{text}");
        }
        for text in ["", "SYNX", "256", "0x", "-1", "0x+1"] {
            assert_eq!(scan_flags(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_an_address_to_pretend_or_none(text in ".{0,20}") {
            let _ = (spoofed_mac(&text), scan_flags(&text));
        }
    }
}
