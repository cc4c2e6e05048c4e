//! Makes bytes of unknown origin safe to print.
//!
//! A host name, a banner or a line of a target file may hold escape sequences that drive the terminal, characters
//! that reorder the line, or no text at all. Whatever passes through here is one line of printable text.

use std::fmt::{self, Write};

/// The length that suits one field of a line: a host name of 253 bytes fits whole.
pub const FIELD_CHARACTERS_MAX: usize = 256;

/// Marks where a text was cut.
const CUT: &str = "...";

/// Displays bytes with everything unprintable escaped, cut after a number of printed characters.
///
/// Printable text stays as it is, but for the backslash, which is doubled so that the result is unambiguous. Control
/// bytes and bytes that are not UTF-8 become `\x1b`; invisible and direction-changing characters become `\u{202e}`.
///
/// ```
/// use scanner::escape::Escaped;
///
/// assert_eq!(Escaped::new(b"\x1b[31mred").to_string(), r"\x1b[31mred");
/// assert_eq!(Escaped::new("a\u{202e}b".as_bytes()).to_string(), r"a\u{202e}b");
/// assert_eq!(Escaped::new(b"caf\xe9").to_string(), r"caf\xe9");
/// assert_eq!(Escaped::new(b"a long name").limit(6).to_string(), "a long...");
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Escaped<'a> {
    bytes: &'a [u8],
    characters_max: usize,
}

impl<'a> Escaped<'a> {
    /// Wraps `bytes`, to be cut after [`FIELD_CHARACTERS_MAX`].
    pub fn new<B: AsRef<[u8]> + ?Sized>(bytes: &'a B) -> Self {
        Self { bytes: bytes.as_ref(), characters_max: FIELD_CHARACTERS_MAX }
    }

    /// Cuts after `characters_max` printed characters instead; the three dots that mark the cut come on top.
    #[must_use]
    pub const fn limit(self, characters_max: usize) -> Self {
        Self { characters_max, ..self }
    }
}

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left = self.characters_max;
        let mut unit = String::new();
        for chunk in self.bytes.utf8_chunks() {
            for character in chunk.valid().chars() {
                unit.clear();
                escape_character(&mut unit, character)?;
                if !spend(&mut left, unit.chars().count()) {
                    return out.write_str(CUT);
                }
                out.write_str(&unit)?;
            }
            for byte in chunk.invalid() {
                if !spend(&mut left, 4) {
                    return out.write_str(CUT);
                }
                write!(out, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

/// Returns `bytes` as [`Escaped`] shows them.
pub fn escape(bytes: &[u8]) -> String {
    Escaped::new(bytes).to_string()
}

/// Makes a text that was escaped elsewhere, as one in a file of ours, safe to print: only what is unprintable is escaped,
/// and the rest, backslashes included, stays as it is.
#[must_use]
pub fn harmless(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\\' => out.push('\\'),
            // A string takes everything.
            other => drop(escape_character(&mut out, other)),
        }
    }
    out
}

fn spend(left: &mut usize, cost: usize) -> bool {
    left.checked_sub(cost).map(|rest| *left = rest).is_some()
}

fn escape_character(out: &mut String, character: char) -> fmt::Result {
    match character {
        '\\' => out.write_str("\\\\"),
        ' '..='~' => out.write_char(character),
        '\0'..='\x7f' => write!(out, "\\x{:02x}", u32::from(character)),
        _ if is_treacherous(character) => write!(out, "\\u{{{:x}}}", u32::from(character)),
        _ => out.write_char(character),
    }
}

/// Tells whether a character beyond ASCII changes the line without being seen: C1 controls, line and paragraph
/// separators, direction marks (Unicode UAX 9), invisible format characters, tags, variation selectors, fillers,
/// private use and non-characters.
fn is_treacherous(character: char) -> bool {
    matches!(u32::from(character),
        0x80..=0xa0 | 0xad | 0x034f | 0x0600..=0x0605 | 0x061c | 0x06dd | 0x070f | 0x0890..=0x0891 | 0x08e2
        | 0x115f..=0x1160 | 0x17b4..=0x17b5 | 0x180b..=0x180f | 0x2000..=0x200f | 0x2028..=0x202f | 0x205f..=0x206f
        | 0x2800 | 0x3000 | 0x3164 | 0xe000..=0xf8ff | 0xfdd0..=0xfdef | 0xfe00..=0xfe0f | 0xfeff | 0xffa0
        | 0xfff0..=0xfffb | 0x110bd | 0x110cd | 0x13430..=0x1343f | 0x1bca0..=0x1bca3 | 0x1d173..=0x1d17a
        | 0xe0000..=0x10_ffff)
        || u32::from(character) & 0xfffe == 0xfffe
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn hostile_bytes_do_not_reach_the_terminal() {
        let table: &[(&[u8], &str)] = &[
            (b"www.example.test", "www.example.test"),
            (b"\x1b]0;owned\x07", r"\x1b]0;owned\x07"),
            (b"a\nb\r\tc\0", r"a\x0ab\x0d\x09c\x00"),
            (b"del\x7f", r"del\x7f"),
            (b"\xc2\x9b31m", r"\u{9b}31m"),
            (b"\x9b31m", r"\x9b31m"),
            (b"\xff\xfe", r"\xff\xfe"),
            (b"\xe2\x80", r"\xe2\x80"),
            ("\u{2066}x\u{2069}\u{200b}\u{feff}".as_bytes(), r"\u{2066}x\u{2069}\u{200b}\u{feff}"),
            ("\u{2028}\u{e0041}".as_bytes(), r"\u{2028}\u{e0041}"),
            (r"back\slash".as_bytes(), r"back\\slash"),
            ("größe 例".as_bytes(), "größe 例"),
            (b"", ""),
        ];
        for (bytes, text) in table {
            assert_eq!(escape(bytes), *text);
        }
    }

    #[test]
    fn a_text_is_cut_between_units_and_never_inside_an_escape() {
        assert_eq!(Escaped::new("ab\x1b").limit(5).to_string(), "ab...");
        assert_eq!(Escaped::new("ab\x1b").limit(6).to_string(), r"ab\x1b");
        assert_eq!(Escaped::new("ab").limit(0).to_string(), "...");
        assert_eq!(escape(&[b'x'; 4096]).len(), FIELD_CHARACTERS_MAX + 3);
    }

    proptest! {
        #[test]
        fn anything_becomes_one_bounded_printable_line(bytes: Vec<u8>, limit in 0usize..64) {
            let text = Escaped::new(&bytes).limit(limit).to_string();
            prop_assert!(text.chars().count() <= limit + CUT.len());
            prop_assert!(!text.chars().any(|character| character.is_control() || is_treacherous(character)));
        }

        #[test]
        fn different_bytes_stay_different(one: Vec<u8>, other: Vec<u8>) {
            let shown = |bytes: &Vec<u8>| Escaped::new(bytes).limit(usize::MAX).to_string();
            prop_assert_eq!(one == other, shown(&one) == shown(&other));
        }
    }
}
