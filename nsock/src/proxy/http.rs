//! Asking an HTTP proxy with CONNECT (RFC 9110 9.3.6).

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::tunnel::Answer;
use super::{Endpoint, ProxyError, User};

/// The most that the head of an answer may take, interim ones included: what servers take for theirs, times eight.
const HEAD_BYTES_MAX: usize = 64 << 10;

/// The answer to one CONNECT, as far as it has come.
#[derive(Debug)]
pub(super) struct Asking {
    has_user: bool,
    /// Bytes of the present head that have been looked at.
    seen: usize,
    /// Bytes of interim heads.
    before: usize,
}

/// The request, user and password included where there are any.
pub(super) fn ask(user: Option<&User>, target: &Endpoint) -> (Asking, Vec<u8>) {
    let mut request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n");
    if let Some(User { name, password }) = user {
        let proof = BASE64_STANDARD.encode(format!("{name}:{password}"));
        request.push_str("Proxy-Authorization: Basic ");
        request.push_str(&proof);
        request.push_str("\r\n");
    }
    request.push_str("\r\n");
    (Asking { has_user: user.is_some(), seen: 0, before: 0 }, request.into_bytes())
}

impl Asking {
    /// Looks at what has come and was not consumed. The body of a 2xx answer is the tunnel already, whatever the head says
    /// of its length. `said` gets status and reason.
    pub(super) fn receive(&mut self, bytes: &[u8], said: &mut String) -> Result<Answer, ProxyError> {
        if !starts_like_http(bytes) {
            return Err(ProxyError::Garbage);
        }
        let head = end_of_head(bytes, self.seen);
        if self.before + head.unwrap_or(bytes.len()) > HEAD_BYTES_MAX {
            return Err(ProxyError::TooLong);
        }
        let Some(end) = head else {
            self.seen = bytes.len();
            return Ok(Answer::Incomplete);
        };
        let line = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default();
        let (status, shown) = status(line).ok_or(ProxyError::Garbage)?;
        *said = shown;
        match status {
            // Interim answers (RFC 9110 15.2) say that another one is coming.
            100 | 102..=199 => {
                self.before += end;
                self.seen = 0;
                Ok(Answer::Say { consumed: end, bytes: Vec::new() })
            }
            200..=299 => Ok(Answer::Through { consumed: end }),
            // 401 is tinyproxy's for a wrong password.
            401 | 407 if self.has_user => Err(ProxyError::AuthRefused),
            401 | 407 => Err(ProxyError::AuthRequired),
            _ => Err(ProxyError::Status(status)),
        }
    }
}

/// Whether this can be the beginning of an answer: garbage is not waited for to end.
fn starts_like_http(bytes: &[u8]) -> bool {
    let start = b"HTTP/1.";
    let length = bytes.len().min(start.len());
    bytes[..length] == start[..length]
}

/// Where the head ends, behind its empty line. Lines may end without a carriage return (RFC 9112 2.2). What was `seen`
/// is not looked at again.
fn end_of_head(bytes: &[u8], seen: usize) -> Option<usize> {
    let start = seen.saturating_sub(2);
    let ends = bytes.iter().enumerate().skip(start).filter(|(_, byte)| **byte == b'\n');
    ends.map(|(at, _)| at).find_map(|at| match &bytes[at + 1..] {
        [b'\n', ..] => Some(at + 2),
        [b'\r', b'\n', ..] => Some(at + 3),
        _ => None,
    })
}

/// The status, and how it is shown together with its reason (RFC 9112 4).
fn status(line: &[u8]) -> Option<(u16, String)> {
    let text = String::from_utf8_lossy(line);
    let mut words = text.trim_end_matches('\r').splitn(3, ' ');
    let version = words.next()?.strip_prefix("HTTP/1.")?;
    let status = words.next()?;
    let digits = |text: &str, length| text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(version, 1) || !digits(status, 3) {
        return None;
    }
    let reason = words.next().unwrap_or_default();
    Some((status.parse().ok()?, format!("{status} {reason}").trim_end().chars().take(SAID_MAX).collect()))
}

/// Characters of status and reason that are kept.
const SAID_MAX: usize = 128;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn answer(bytes: &[u8]) -> (Result<Answer, ProxyError>, String) {
        let mut said = String::new();
        let (mut asking, _) = ask(None, &Endpoint::named("127.0.0.1", 80).unwrap());
        (asking.receive(bytes, &mut said), said)
    }

    #[test]
    fn the_request_names_the_target_as_http_does() {
        let user = User { name: "Aladdin".into(), password: "open sesame".into() };
        let (_, bytes) = ask(Some(&user), &Endpoint::named("fd00::1", 443).unwrap());
        // The proof is the example of RFC 7617.
        let expected = "CONNECT [fd00::1]:443 HTTP/1.1\r\nHost: [fd00::1]:443\r\n\
            Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n";
        assert_eq!(String::from_utf8(bytes).unwrap(), expected);
        let (_, bytes) = ask(None, &Endpoint::named("host.example", 80).unwrap());
        assert_eq!(bytes, b"CONNECT host.example:80 HTTP/1.1\r\nHost: host.example:80\r\n\r\n");
    }

    #[test]
    fn any_2xx_opens_the_tunnel_and_its_body_is_the_tunnels() {
        for head in [
            "HTTP/1.1 200 OK\r\n\r\n",
            "HTTP/1.0 200 Connection established\r\nVia: x\r\n\r\n",
            "HTTP/1.1 200 \r\nContent-Length: 5\r\n\r\n",
            "HTTP/1.1 200\n\n",
            "HTTP/1.1 299 Odd\nX: y\r\n\n",
        ] {
            let (outcome, said) = answer(format!("{head}220 hi\r\n\r\n").as_bytes());
            assert_eq!(outcome, Ok(Answer::Through { consumed: head.len() }), "{head}");
            assert!(said.starts_with('2'), "{said}");
        }
    }

    #[test]
    fn status_and_reason_are_kept() {
        let (outcome, said) = answer(b"HTTP/1.1 403 Filtered by policy\r\nX: y\r\n\r\nbody");
        assert_eq!((outcome, said.as_str()), (Err(ProxyError::Status(403)), "403 Filtered by policy"));
        assert_eq!(answer(b"HTTP/1.1 407 No\r\n\r\n").0, Err(ProxyError::AuthRequired));
    }

    #[test]
    fn interim_answers_are_passed_over() {
        let mut said = String::new();
        let (mut asking, _) = ask(None, &Endpoint::named("a", 1).unwrap());
        let bytes = b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n\r\n";
        let first = asking.receive(bytes, &mut said);
        assert_eq!(first, Ok(Answer::Say { consumed: 28, bytes: Vec::new() }));
        assert_eq!(asking.receive(&bytes[28..], &mut said), Ok(Answer::Through { consumed: 19 }));
    }

    #[test]
    fn garbage_is_known_by_its_first_byte_and_the_rest_has_an_end() {
        for bytes in [
            &b"\x05\x00"[..],
            b"220 hi\r\n",
            b"HTTP/2 200\r\n\r\n",
            b"HTTP/1.1 2x0 OK\r\n\r\n",
            b"HTTP/1.1\r\n\r\n",
        ] {
            assert_eq!(answer(bytes).0, Err(ProxyError::Garbage));
        }
        let mut long = b"HTTP/1.1 200 OK\r\nX: ".to_vec();
        long.resize(HEAD_BYTES_MAX - 4, b'x');
        long.extend_from_slice(b"\r\n\r\n");
        assert_eq!(answer(&long).0, Ok(Answer::Through { consumed: HEAD_BYTES_MAX }));
        long.insert(20, b'x');
        assert_eq!(answer(&long).0, Err(ProxyError::TooLong));
    }

    proptest! {
        #[test]
        fn the_end_of_the_head_is_found_however_it_comes(
            head in "HTTP/1[.]1 200 [ -~]{0,9}(\r?\n[ -~]{1,9}){0,3}", end in "\r?\n\r?\n", body in "[\r\na]{0,9}", pieces in proptest::collection::vec(1..9_usize, 0..40),
        ) {
            let whole = format!("{head}{end}{body}");
            let mut said = String::new();
            let (mut asking, _) = ask(None, &Endpoint::named("a", 1).unwrap());
            let mut come = 0;
            let mut outcome = Answer::Incomplete;
            for piece in pieces.into_iter().chain(std::iter::repeat(7)) {
                come = (come + piece).min(whole.len());
                outcome = asking.receive(&whole.as_bytes()[..come], &mut said).unwrap();
                if come == whole.len() || outcome != Answer::Incomplete {
                    break;
                }
            }
            prop_assert_eq!(outcome, Answer::Through { consumed: head.len() + end.len() });
        }
    }
}
