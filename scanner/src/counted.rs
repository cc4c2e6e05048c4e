//! Numbers with what they count, in the form that the number wants.

use std::fmt::Display;

/// `1 host is`, `2 hosts are`.
///
/// ```
/// use scanner::counted::counted;
///
/// assert_eq!(counted(1, "host is", "hosts are"), "1 host is");
/// assert_eq!(counted(0, "host is", "hosts are"), "0 hosts are");
/// ```
#[must_use]
pub fn counted<N: Display + PartialEq + From<u8>>(count: N, one: &str, more: &str) -> String {
    let what = if count == N::from(1) { one } else { more };
    format!("{count} {what}")
}
