//! Lines and words of configuration files: bytes, because nobody promises that they are UTF-8.

use std::net::IpAddr;

/// Longest line that is looked at; the rest of a longer one is dropped. `search` lines are the longest honest ones.
pub(crate) const LINE_BYTES_MAX: usize = 4096;

/// Splits a file into lines, each cut to [`LINE_BYTES_MAX`].
pub(crate) fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|&byte| byte == b'\n').map(|line| line.get(..LINE_BYTES_MAX).unwrap_or(line))
}

/// Splits a line into words, up to the first of `comments`. A word that is not UTF-8 comes out as `\u{fffd}`, which is
/// no name, number or address.
pub(crate) fn words<'a>(line: &'a [u8], comments: &[u8]) -> impl Iterator<Item = &'a str> + use<'a> {
    let end = line.iter().position(|byte| comments.contains(byte)).unwrap_or(line.len());
    line[..end]
        .split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty())
        .map(|word| str::from_utf8(word).unwrap_or("\u{fffd}"))
}

/// Reads `ADDRESS` or `ADDRESS%SCOPE`; only IPv6 has scopes (RFC 4007 11).
pub(crate) fn address(word: &str) -> Option<(IpAddr, Option<&str>)> {
    match word.split_once('%') {
        None => Some((word.parse().ok()?, None)),
        Some((_, "")) => None,
        Some((address, scope)) => {
            let address: IpAddr = address.parse().ok()?;
            address.is_ipv6().then_some((address, Some(scope)))
        }
    }
}
