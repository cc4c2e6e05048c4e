//! Host names: checked on the way out, made harmless on the way in; and the names of reverse look-ups.

use std::fmt;
use std::net::IpAddr;

use domain::base::name::{Name, ToLabelIter, ToName};

/// Longest label, in bytes (RFC 1035 2.3.4).
pub const LABEL_BYTES_MAX: usize = 63;

/// Longest name as text without the final dot: 255 bytes on the wire less the first length byte and the root (RFC 1035
/// 2.3.4).
pub const NAME_BYTES_MAX: usize = 253;

/// A domain name that can be shown, compared and asked for without a second thought.
///
/// What a server sends as a name is a claim by whoever owns the address, and may hold any byte. No method gives those
/// bytes away raw: [`Display`](fmt::Display) puts `*` for each byte that is not a letter, a digit or one of
/// `-_+=:~*`, as scanners always did, and [`escaped`](Self::escaped) is lossless. Both are printable ASCII without
/// quotes, blanks or markup. Names compare without regard to ASCII case, as RFC 4343 asks.
///
/// ```
/// let name = dns::HostName::parse("Www.Example.test.")?;
/// assert_eq!(name, dns::HostName::parse("www.example.test")?);
/// assert_eq!(name.to_string(), "Www.Example.test");
/// # Ok::<(), dns::InvalidName>(())
/// ```
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct HostName(Name<Box<[u8]>>);

impl HostName {
    /// Checks a name someone typed. One final dot is taken off; no search list is applied.
    ///
    /// # Errors
    ///
    /// Fails if the text is empty, has an empty label, a label over 63 bytes, over 253 bytes in all, or a character
    /// other than letters, digits, `-` and `_`. A name in another script becomes what DNS has for it, the `xn--` form
    /// (UTS 46), or fails if that script does not allow it.
    ///
    /// ```
    /// assert_eq!(dns::HostName::parse("Bücher.example")?.to_string(), "xn--bcher-kva.example");
    /// # Ok::<(), dns::InvalidName>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        if !text.is_ascii() {
            let foreign = text.chars().find(|found| !found.is_ascii()).unwrap_or_default();
            let ascii = idna::domain_to_ascii_strict(text).map_err(|_| InvalidName::Character(foreign))?;
            return Self::parse(&ascii);
        }
        let text = text.strip_suffix('.').unwrap_or(text);
        if text.is_empty() {
            return Err(InvalidName::Empty);
        }
        if let Some(found) = text.chars().find(|&found| !is_typed_character(found)) {
            return Err(InvalidName::Character(found));
        }
        if text.len() > NAME_BYTES_MAX {
            return Err(InvalidName::LongName(text.len()));
        }
        let mut wire = Vec::with_capacity(text.len() + 2);
        for label in text.split('.') {
            let length = match u8::try_from(label.len()) {
                Ok(0) => return Err(InvalidName::EmptyLabel),
                Ok(length) if label.len() <= LABEL_BYTES_MAX => length,
                _ => return Err(InvalidName::LongLabel(label.len())),
            };
            wire.push(length);
            wire.extend_from_slice(label.as_bytes());
        }
        wire.push(0);
        // All limits of `from_octets` have been checked above; it is asked all the same rather than trusted to agree.
        Name::from_octets(wire.into_boxed_slice()).map(Self).map_err(|_| InvalidName::LongName(text.len()))
    }

    /// The name whose PTR records name `address`: `in-addr.arpa` (RFC 1035 3.5) or `ip6.arpa` (RFC 3596 2.5).
    ///
    /// ```
    /// let name = dns::HostName::reverse("192.168.1.103".parse()?);
    /// assert_eq!(name.to_string(), "103.1.168.192.in-addr.arpa");
    /// # Ok::<(), std::net::AddrParseError>(())
    /// ```
    #[must_use]
    pub fn reverse(address: IpAddr) -> Self {
        let mut name =
            Name::<Vec<u8>>::reverse_from_addr(address).expect("at most 74 bytes: 32 nibbles and ip6.arpa");
        // Lower-case nibbles, as RFC 3596 2.5 writes them and every other resolver sends them.
        name.make_canonical();
        Self(name_in_a_box(name))
    }

    /// Writes the name without loss: RFC 1035 5.1 escapes (`\.`, `\\`, `\DDD`) for every byte that `Display` would
    /// have to replace.
    ///
    /// ```
    /// let name = dns::HostName::parse("a_b.test")?;
    /// assert_eq!(name.escaped().to_string(), "a_b.test");
    /// # Ok::<(), dns::InvalidName>(())
    /// ```
    #[must_use]
    pub const fn escaped(&self) -> Escaped<'_> {
        Escaped(self)
    }

    /// Returns true if `Display` replaces a byte of this name, so that a report can say so once per name.
    #[must_use]
    pub fn is_altered(&self) -> bool {
        self.label_bytes().any(|byte| !is_shown(byte))
    }

    /// Takes in the target of a record. Returns `None` for the root and for a name of which nothing could be shown.
    pub(crate) fn received(name: &impl ToName) -> Option<Self> {
        let name = Self::from_wire(name);
        let showable = name.label_bytes().any(|byte| is_shown(byte) && byte != b'*');
        showable.then_some(name)
    }

    /// Keeps a name as it is, the root included: for names that are only compared and asked for again.
    pub(crate) fn from_wire(name: &impl ToName) -> Self {
        let flat: Name<Vec<u8>> = name.to_name();
        Self(name_in_a_box(flat))
    }

    /// The name as the wire codec wants it.
    pub(crate) const fn as_wire(&self) -> &Name<Box<[u8]>> {
        &self.0
    }

    /// The bytes of all labels, without lengths and separators.
    fn label_bytes(&self) -> impl Iterator<Item = u8> {
        self.0.iter_labels().flat_map(|label| label.as_slice().iter().copied())
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_labels(self, f, |f, byte| {
            fmt::Write::write_char(f, if is_shown(byte) { char::from(byte) } else { '*' })
        })
    }
}

impl fmt::Debug for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HostName({})", self.escaped())
    }
}

/// The lossless text of a [`HostName`]; made by [`HostName::escaped`].
#[derive(Clone, Copy, Debug)]
pub struct Escaped<'a>(&'a HostName);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_labels(self.0, f, |f, byte| match byte {
            b'.' | b'\\' => write!(f, "\\{}", char::from(byte)),
            byte if is_shown(byte) => write!(f, "{}", char::from(byte)),
            byte => write!(f, "\\{byte:03}"),
        })
    }
}

/// Why a text is not a host name. The caller's fault; the text itself is left out, for it may be hostile.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidName {
    /// A character that no host name has.
    #[error("a host name cannot hold the character U+{:04X}", u32::from(*.0))]
    Character(char),
    /// No text, or a lone dot.
    #[error("the host name is empty")]
    Empty,
    /// Two dots in a row, or one at the start.
    #[error("the host name has an empty label")]
    EmptyLabel,
    /// A label of this many bytes.
    #[error("a label of {0} bytes is longer than {LABEL_BYTES_MAX}")]
    LongLabel(usize),
    /// A name of this many bytes.
    #[error("a host name of {0} bytes is longer than {NAME_BYTES_MAX}")]
    LongName(usize),
}

/// Writes the labels with dots between them, each byte by `byte`; the root is a single dot.
fn write_labels(
    name: &HostName,
    f: &mut fmt::Formatter<'_>,
    byte: impl Fn(&mut fmt::Formatter<'_>, u8) -> fmt::Result,
) -> fmt::Result {
    if name.0.is_root() {
        return f.write_str(".");
    }
    for (index, label) in name.0.iter_labels().filter(|label| !label.is_root()).enumerate() {
        if index > 0 {
            f.write_str(".")?;
        }
        label.as_slice().iter().try_for_each(|&found| byte(f, found))?;
    }
    Ok(())
}

/// Bytes that `Display` lets through: harmless in a terminal, a shell, XML and JSON (`spec/dns.md` 5.2).
const fn is_shown(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'+' | b'=' | b':' | b'~' | b'*')
}

/// Characters of names that people may ask for.
const fn is_typed_character(found: char) -> bool {
    found.is_ascii_alphanumeric() || matches!(found, '-' | '_' | '.')
}

/// Drops the spare capacity: names are kept by the hundred thousand.
fn name_in_a_box(name: Name<Vec<u8>>) -> Name<Box<[u8]>> {
    Name::from_octets(name.into_octets().into_boxed_slice()).expect("the octets of a name are a name")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A name from raw labels, as only a hostile server sends them.
    fn raw(labels: &[&[u8]]) -> Name<Vec<u8>> {
        let mut wire = Vec::new();
        for label in labels {
            wire.push(u8::try_from(label.len()).unwrap());
            wire.extend_from_slice(label);
        }
        wire.push(0);
        Name::from_octets(wire).unwrap()
    }

    #[test]
    fn reverse_names_of_both_families() {
        let v6 = HostName::reverse("2001:db8::567:89ab".parse().unwrap());
        let text = "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa";
        assert_eq!(v6.to_string(), text);
        assert_eq!(HostName::reverse("10.0.200.1".parse().unwrap()).to_string(), "1.200.0.10.in-addr.arpa");
    }

    #[test]
    fn d11_a_final_dot_is_taken_off() {
        assert_eq!(HostName::parse("two.test."), HostName::parse("two.test"));
        assert_eq!(HostName::parse("two.test.."), Err(InvalidName::EmptyLabel));
    }

    #[test]
    fn d12_bad_names_are_refused_before_anything_is_sent() {
        let label = "a".repeat(64);
        let long = ["abcdefghi."; 26].concat();
        assert_eq!(HostName::parse(""), Err(InvalidName::Empty));
        assert_eq!(HostName::parse("."), Err(InvalidName::Empty));
        assert_eq!(HostName::parse("a..b"), Err(InvalidName::EmptyLabel));
        assert_eq!(HostName::parse(".b"), Err(InvalidName::EmptyLabel));
        assert_eq!(HostName::parse(&label), Err(InvalidName::LongLabel(64)));
        assert_eq!(HostName::parse(&long), Err(InvalidName::LongName(259)));
        assert_eq!(HostName::parse("a b"), Err(InvalidName::Character(' ')));
        let bidi = HostName::parse("a\u{202e}b").unwrap_err();
        assert_eq!(bidi.to_string(), "a host name cannot hold the character U+202E");
    }

    #[test]
    fn a_name_of_the_longest_length_is_taken() {
        let text = format!("{0}.{0}.{0}.{1}", "a".repeat(63), "b".repeat(61));
        assert_eq!(text.len(), NAME_BYTES_MAX);
        assert_eq!(HostName::parse(&text).unwrap().to_string(), text);
    }

    #[test]
    fn d20_nul_inner_dots_and_escapes_are_visible_and_harmless() {
        let name = HostName::received(&raw(&[b"a\x1b[31", b"a.b", b"c\0d\x9b", b"<x>\"\\"])).unwrap();
        assert_eq!(name.to_string(), "a**31.a*b.c*d*.*x***");
        assert_eq!(name.escaped().to_string(), r"a\027\09131.a\.b.c\000d\155.\060x\062\034\\");
        assert!(name.is_altered());
        assert!(!HostName::parse("plain.test").unwrap().is_altered());
    }

    #[test]
    fn d20_the_root_and_names_of_nothing_are_no_names() {
        assert_eq!(HostName::received(&raw(&[])), None);
        assert_eq!(HostName::received(&raw(&[b"*", b"\0\0"])), None);
        assert!(HostName::received(&raw(&[b"*", b"test"])).is_some());
    }

    proptest! {
        #[test]
        fn d19_whatever_a_server_calls_itself_comes_out_harmless(
            labels in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..=20), 0..=10)
        ) {
            let labels: Vec<&[u8]> = labels.iter().map(Vec::as_slice).collect();
            if let Some(name) = HostName::received(&raw(&labels)) {
                let harmless = |text: &str, also: &[u8]| {
                    text.bytes().all(|byte| byte == b'.' || is_shown(byte) || also.contains(&byte))
                };
                prop_assert!(harmless(&name.to_string(), b""));
                prop_assert!(harmless(&name.escaped().to_string(), b"\\"));
            }
        }

        #[test]
        fn any_text_is_parsed_or_refused(text in "\\PC{0,300}") {
            if let Ok(name) = HostName::parse(&text) {
                let shown = name.to_string();
                prop_assert_eq!(HostName::parse(&shown), Ok(name.clone()));
                prop_assert!(!text.is_ascii() || shown == text.strip_suffix('.').unwrap_or(&text));
                prop_assert!(!name.is_altered());
            }
        }
    }
}
