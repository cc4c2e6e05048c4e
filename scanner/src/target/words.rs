//! Words of a target file.

/// Longest word of a target file. No address expression or host name is near it; a longer word is a sign of a file that
/// is no target list.
pub const WORD_BYTES_MAX: usize = 1023;

/// A word of a target file and the line it stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Word<'a> {
    /// The line, counted from 1.
    pub line: u32,
    /// The bytes of the word, which may be anything but white space.
    pub bytes: &'a [u8],
}

/// Yields the words of `text`: separated by white space, several to a line, `#` starting a comment to the line's end.
///
/// ```
/// let words: Vec<_> = scanner::target::words(b"198.18.0.1 # gateway\nhost.test ::1\n").collect();
/// assert_eq!(words.len(), 3);
/// assert_eq!((words[2].line, words[2].bytes), (2, &b"::1"[..]));
/// ```
pub fn words(text: &[u8]) -> impl Iterator<Item = Word<'_>> {
    (1..).zip(text.split(|byte| *byte == b'\n')).flat_map(|(line, bytes)| {
        let code = bytes.split(|byte| *byte == b'#').next().unwrap_or_default();
        let words = code.split(|byte| byte.is_ascii_whitespace() || *byte == 0x0b || *byte == 0);
        words.filter(|word| !word.is_empty()).map(move |bytes| Word { line, bytes })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_tabs_and_several_words_to_a_line() {
        let text = b"198.18.64.10\n# comment line\n198.18.64.12/32 198.18.64.99\r\n\t198.18.65.10#x\n\n#";
        let found: Vec<(u32, &[u8])> = words(text).map(|word| (word.line, word.bytes)).collect();
        let expected: Vec<(u32, &[u8])> =
            vec![(1, b"198.18.64.10"), (3, b"198.18.64.12/32"), (3, b"198.18.64.99"), (4, b"198.18.65.10")];
        assert_eq!(found, expected);
        assert_eq!(words(b"").count(), 0);
    }
}
