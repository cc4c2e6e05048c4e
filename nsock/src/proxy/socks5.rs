//! Asking a SOCKS5 proxy (RFC 1928), with user and password where it wants them (RFC 1929).

use std::net::IpAddr;

use super::tunnel::Answer;
use super::{Endpoint, Host, ProxyError, User};

const VERSION: u8 = 5;
const CONNECT: u8 = 1;
const NO_PROOF: u8 = 0;
const USER_AND_PASSWORD: u8 = 2;
const NO_METHOD: u8 = 0xff;
/// The version of RFC 1929.
const PROOF_VERSION: u8 = 1;
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

/// What is asked next.
#[derive(Debug)]
pub(super) struct Asking {
    user: Option<User>,
    /// Kept until it is its turn.
    request: Vec<u8>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// How to prove who asks was asked.
    Method,
    /// User and password were sent.
    Proof,
    /// The connection was asked for.
    Connection,
}

/// The greeting, which offers the ways to prove who asks.
pub(super) fn ask(user: Option<&User>, target: &Endpoint) -> (Asking, Vec<u8>) {
    let greeting = match user {
        Some(_) => vec![VERSION, 2, NO_PROOF, USER_AND_PASSWORD],
        None => vec![VERSION, 1, NO_PROOF],
    };
    (Asking { user: user.cloned(), request: request(target), state: State::Method }, greeting)
}

fn request(target: &Endpoint) -> Vec<u8> {
    let mut request = vec![VERSION, CONNECT, 0];
    match &target.host {
        Host::Address(IpAddr::V4(address)) => {
            request.push(IPV4);
            request.extend_from_slice(&address.octets());
        }
        Host::Address(IpAddr::V6(address)) => {
            request.push(IPV6);
            request.extend_from_slice(&address.octets());
        }
        Host::Name(name) => {
            request.push(NAME);
            push_counted(&mut request, name);
        }
    }
    request.extend_from_slice(&target.port.to_be_bytes());
    request
}

/// A text of at most 255 bytes, behind their number.
fn push_counted(request: &mut Vec<u8>, text: &str) {
    let length = u8::try_from(text.len()).unwrap_or(u8::MAX);
    request.push(length);
    request.extend_from_slice(&text.as_bytes()[..usize::from(length)]);
}

impl Asking {
    /// Whether the proxy was asked for the connection; before that, it knows nothing of the target.
    pub(super) fn has_asked(&self) -> bool {
        self.state == State::Connection
    }

    /// The least that the answer to what was asked last takes.
    pub(super) fn answer_bytes_min(&self) -> usize {
        match self.state {
            State::Method | State::Proof => 2,
            // With an empty name for an address.
            State::Connection => 7,
        }
    }

    /// Looks at what has come and was not consumed. A refusal may be cut short: its code is enough.
    pub(super) fn receive(&mut self, bytes: &[u8]) -> Result<Answer, ProxyError> {
        match self.state {
            State::Method => self.method(bytes),
            State::Proof => self.proof(bytes),
            State::Connection => connection(bytes),
        }
    }

    fn method(&mut self, bytes: &[u8]) -> Result<Answer, ProxyError> {
        match *bytes {
            [] | [VERSION] => Ok(Answer::Incomplete),
            [VERSION, NO_PROOF, ..] => Ok(self.ask_for_connection()),
            [VERSION, USER_AND_PASSWORD, ..] => match &self.user {
                Some(User { name, password }) => {
                    let mut proof = vec![PROOF_VERSION];
                    push_counted(&mut proof, name);
                    push_counted(&mut proof, password);
                    self.state = State::Proof;
                    Ok(Answer::Say { consumed: 2, bytes: proof })
                }
                None => Err(ProxyError::AuthRequired),
            },
            [VERSION, NO_METHOD, ..] => Err(ProxyError::AuthRequired),
            // A method that was not offered.
            [VERSION, ..] => Err(ProxyError::Garbage),
            [version, ..] => Err(ProxyError::Version(version)),
        }
    }

    fn proof(&mut self, bytes: &[u8]) -> Result<Answer, ProxyError> {
        match *bytes {
            [] | [PROOF_VERSION] => Ok(Answer::Incomplete),
            [PROOF_VERSION, 0, ..] => Ok(self.ask_for_connection()),
            [PROOF_VERSION, ..] => Err(ProxyError::AuthRefused),
            _ => Err(ProxyError::Garbage),
        }
    }

    fn ask_for_connection(&mut self) -> Answer {
        self.state = State::Connection;
        Answer::Say { consumed: 2, bytes: std::mem::take(&mut self.request) }
    }
}

/// The answer ends with the address that the proxy connects from, of any of three lengths.
fn connection(bytes: &[u8]) -> Result<Answer, ProxyError> {
    let address_bytes = match *bytes {
        [version, ..] if version != VERSION => return Err(ProxyError::Version(version)),
        [_, code, ..] if code != 0 => return Err(ProxyError::Socks5(code)),
        [_, _, _, IPV4, ..] => 4,
        [_, _, _, IPV6, ..] => 16,
        [_, _, _, NAME, length, ..] => 1 + usize::from(length),
        [_, _, _, NAME] | [] | [_] | [_, _] | [_, _, _] => return Ok(Answer::Incomplete),
        _ => return Err(ProxyError::Garbage),
    };
    let consumed = 4 + address_bytes + 2;
    Ok(if bytes.len() < consumed { Answer::Incomplete } else { Answer::Through { consumed } })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn joe() -> User {
        User { name: "joe".into(), password: "s3cret".into() }
    }

    fn target() -> Endpoint {
        Endpoint::named("host.example", 443).unwrap()
    }

    #[test]
    fn the_conversation_is_that_of_the_rfcs() {
        let (mut asking, greeting) = ask(Some(&joe()), &target());
        assert_eq!(greeting, [5, 2, 0, 2]);
        let proof = b"\x01\x03joe\x06s3cret".to_vec();
        assert_eq!(asking.receive(&[5, 2]), Ok(Answer::Say { consumed: 2, bytes: proof }));
        assert!(!asking.has_asked());
        let request = b"\x05\x01\0\x03\x0chost.example\x01\xbb".to_vec();
        assert_eq!(asking.receive(&[1, 0]), Ok(Answer::Say { consumed: 2, bytes: request }));
        assert!(asking.has_asked());
        assert_eq!(asking.receive(b"\x05\0\0\x01\x7f\0\0\x01\0"), Ok(Answer::Incomplete));
        assert_eq!(asking.receive(b"\x05\0\0\x01\x7f\0\0\x01\0\x50hi"), Ok(Answer::Through { consumed: 10 }));
    }

    #[test]
    fn addresses_of_both_families_are_named() {
        assert_eq!(
            request(&Endpoint::named("10.1.2.3", 80).unwrap()),
            b"\x05\x01\0\x01\x0a\x01\x02\x03\0\x50"
        );
        let ipv6 = request(&Endpoint::named("fd00::1", 80).unwrap());
        assert_eq!(ipv6, b"\x05\x01\0\x04\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\x50");
    }

    #[test]
    fn every_answer_has_its_meaning() {
        for (bytes, meaning) in [
            (&b"\x05\0\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0!"[..], Ok(Answer::Through { consumed: 22 })),
            (b"\x05\0\0\x03\x02ab\0\0", Ok(Answer::Through { consumed: 9 })),
            (b"\x05\0\0\x03\0\0\0", Ok(Answer::Through { consumed: 7 })),
            (b"\x05\0\0\x03", Ok(Answer::Incomplete)),
            (b"\x05\0\0\x05", Err(ProxyError::Garbage)),
            (b"\x05\x05", Err(ProxyError::Socks5(5))),
            (b"\0\x5a", Err(ProxyError::Version(0))),
        ] {
            assert_eq!(connection(bytes), meaning, "{bytes:?}");
        }
    }

    #[test]
    fn it_says_why_it_lets_nobody_in() {
        let first = |user: Option<&User>, bytes: &[u8]| ask(user, &target()).0.receive(bytes);
        assert_eq!(first(None, &[5, 0xff]), Err(ProxyError::AuthRequired));
        assert_eq!(first(None, &[5, 2]), Err(ProxyError::AuthRequired), "it was not offered");
        assert_eq!(first(Some(&joe()), &[5, 0xff]), Err(ProxyError::AuthRequired));
        assert_eq!(first(Some(&joe()), &[5, 1]), Err(ProxyError::Garbage), "it was not offered");
        assert_eq!(first(None, b"HT"), Err(ProxyError::Version(b'H')));
        let (mut asking, _) = ask(Some(&joe()), &target());
        assert!(asking.receive(&[5, 2]).is_ok());
        assert_eq!(asking.receive(&[1, 1]), Err(ProxyError::AuthRefused));
        assert_eq!(asking.receive(&[5, 0]), Err(ProxyError::Garbage));
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_answer_a_part_of_one_or_none(bytes: Vec<u8>, with_user: bool, steps in 0..3_usize) {
            let user = joe();
            let (mut asking, _) = ask(Some(&user).filter(|_| with_user), &target());
            for answer in [&[5, 2][..], &[1, 0]].into_iter().take(steps) {
                let _ = asking.receive(answer);
            }
            match asking.receive(&bytes) {
                Ok(Answer::Say { consumed, .. } | Answer::Through { consumed }) => prop_assert!(consumed <= bytes.len()),
                Ok(Answer::Incomplete) => prop_assert!(bytes.len() < 4 + 1 + 255 + 2),
                Err(_) => {}
            }
        }
    }
}
