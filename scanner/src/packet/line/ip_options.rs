//! The options of an IPv4 header in words (spec 1.4).

use std::fmt;

use crate::packet::view::{be16, be32, v4};

/// Options, as bytes; nothing is written if there are none.
pub(super) struct IpOptions<'a>(&'a [u8]);

impl<'a> IpOptions<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for IpOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return Ok(());
        }
        f.write_str("ipopts={")?;
        let mut rest = self.0;
        while let [kind, ..] = rest {
            match kind {
                0 => {
                    f.write_str(" EOL")?;
                    break;
                }
                1 => {
                    f.write_str(" NOP")?;
                    rest = &rest[1..];
                }
                _ => {
                    let length = rest.get(1).map_or(0, |length| usize::from(*length));
                    let (option, after) = match length {
                        2.. if length <= rest.len() => rest.split_at(length),
                        // A length that leads nowhere: what is left is shown as it is.
                        _ => (rest, &rest[rest.len()..]),
                    };
                    one(f, option)?;
                    rest = after;
                }
            }
        }
        f.write_str("}")
    }
}

/// Writes an option that has a length.
fn one(f: &mut fmt::Formatter<'_>, option: &[u8]) -> fmt::Result {
    let whole = option.get(1).is_some_and(|length| usize::from(*length) == option.len());
    match option[0] {
        7 if whole && option.len() >= 3 => route(f, "RR", option),
        131 if whole && option.len() >= 3 => route(f, "LSRR", option),
        137 if whole && option.len() >= 3 => route(f, "SSRR", option),
        68 if whole && option.len() >= 4 => timestamps(f, option),
        136 if whole && option.len() >= 4 => {
            write!(f, " SI{{id={}", be16(option, 2).unwrap_or(0))?;
            if option.len() != 4 {
                write!(f, "[bad len {:02}]", option.len())?;
            }
            f.write_str("}")
        }
        _ => {
            f.write_str(" ??{")?;
            hex(f, option)?;
            f.write_str("}")
        }
    }
}

fn hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "\\x{byte:02x}"))
}

/// Writes the addresses of a route; `#` stands where the pointer points.
fn route(f: &mut fmt::Formatter<'_>, name: &str, option: &[u8]) -> fmt::Result {
    write!(f, " {name}{{")?;
    let pointer = usize::from(option[2]);
    if pointer < 4 || !pointer.is_multiple_of(4) {
        write!(f, " [bad ptr={pointer:02x}]")?;
        hex(f, &option[3..])?;
        return f.write_str("}");
    }
    let mut at = 3;
    while let Some(address) = v4(option, at) {
        write!(f, "{}{address}", if pointer == at + 1 { '#' } else { ' ' })?;
        at += 4;
    }
    hex(f, &option[at.min(option.len())..])?;
    f.write_str(if pointer > at { "#}" } else { "}" })
}

/// Writes time stamps, with addresses if the flags say that there are some.
fn timestamps(f: &mut fmt::Formatter<'_>, option: &[u8]) -> fmt::Result {
    let (pointer, missed, flags) = (usize::from(option[2]), option[3] >> 4, option[3] & 0x0f);
    f.write_str(" TM{")?;
    let size = match flags {
        0 => 4,
        1 | 3 => 8,
        _ => {
            write!(f, "[bad flags=\\x{flags:x}]")?;
            hex(f, &option[4..])?;
            return f.write_str("}");
        }
    };
    if pointer < 5 || !(pointer - 1).is_multiple_of(4) {
        write!(f, " [bad ptr={pointer:02x}]")?;
        hex(f, &option[4..])?;
        return f.write_str("}");
    }
    write!(f, "[{missed} hosts not recorded]")?;
    let mut at = 4;
    while at + size <= option.len() {
        f.write_str(if pointer == at + 1 { "#" } else { " " })?;
        if size == 8
            && let Some(address) = v4(option, at)
        {
            write!(f, "{address}@")?;
        }
        write!(f, "{}", be32(option, at + size - 4).unwrap_or(0))?;
        at += size;
    }
    hex(f, &option[at..])?;
    f.write_str(if pointer > at { "#}" } else { " }" })
}
