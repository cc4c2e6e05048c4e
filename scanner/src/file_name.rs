//! Names of files with the time in them: `-oX scan-%F-%R.xml`, by the conversions that Nmap documents.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use jiff::civil::DateTime;

/// Puts the time where a name asks for it: `%H`, `%M`, `%S`, `%m`, `%d`, `%y` and `%Y` are parts of it, `%T` is `%H%M%S`,
/// `%R` is `%H%M`, `%D` is `%m%d%y` and `%F` is `%Y-%m-%d`. A percent sign before anything else is left out, so `%%` is
/// one of them.
///
/// ```
/// use scanner::file_name::expand;
/// let time = jiff::civil::date(2026, 11, 5).at(7, 3, 9, 0);
/// assert_eq!(expand("scan-%D-%T.xml".as_ref(), time), "scan-110526-070309.xml");
/// assert_eq!(expand("100%%-%Y%".as_ref(), time), "100%-2026%");
/// ```
#[must_use]
pub fn expand(name: &OsStr, time: DateTime) -> OsString {
    let mut bytes = name.as_bytes().iter().copied();
    let mut expanded = Vec::new();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            expanded.push(byte);
            continue;
        }
        let format = match bytes.next() {
            Some(b'T') => "%H%M%S",
            Some(b'R') => "%H%M",
            Some(b'D') => "%m%d%y",
            Some(b'F') => "%Y-%m-%d",
            Some(b'H') => "%H",
            Some(b'M') => "%M",
            Some(b'S') => "%S",
            Some(b'm') => "%m",
            Some(b'd') => "%d",
            Some(b'y') => "%y",
            Some(b'Y') => "%Y",
            other => {
                expanded.push(other.unwrap_or(b'%'));
                continue;
            }
        };
        expanded.extend_from_slice(time.strftime(format).to_string().as_bytes());
    }
    OsString::from_vec(expanded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_documented_conversion_is_known() {
        let time = jiff::civil::date(2026, 11, 22).at(11, 39, 6, 0);
        let table = [
            ("%H.%M.%S", "11.39.06"),
            ("%m.%d.%y.%Y", "11.22.26.2026"),
            ("%T.%R.%D.%F", "113906.1139.112226.2026-11-22"),
            ("%%H", "%H"),
            ("%x", "x"),
            ("plain", "plain"),
        ];
        for (name, expected) in table {
            assert_eq!(expand(OsStr::new(name), time), expected);
        }
        let bytes = OsStr::from_bytes(b"\xff%H%");
        assert_eq!(expand(bytes, time).as_bytes(), b"\xff11%");
    }
}
