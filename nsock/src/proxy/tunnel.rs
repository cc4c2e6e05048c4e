//! The way through a chain, proxy by proxy.

use std::mem;

use super::{Endpoint, Protocol, Proxy, ProxyChain, ProxyError, ProxyFailure, http, socks4, socks5};
use crate::op::Until;

/// What came from a proxy, as its protocol understands it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It goes on.
    Incomplete,
    /// So much of it was understood, and this is to be sent.
    Say { consumed: usize, bytes: Vec<u8> },
    /// So much of it was understood, and what follows is the other end's.
    Through { consumed: usize },
}

/// What a [`Tunnel`] does next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// It waits for bytes from the proxy, or for its own to be sent.
    Wait,
    /// It has so many bytes to send to a proxy that speaks this, and `until` says how much of an answer it needs.
    Ask { bytes: usize, by: &'static str, until: Until },
    /// It is through to the target, which has sent this.
    Through(Vec<u8>),
}

/// A connection on its way through a chain of proxies: bytes in, bytes out.
#[derive(Debug)]
pub(crate) struct Tunnel {
    chain: ProxyChain,
    target: Endpoint,
    /// Index of the proxy that is asked.
    hop: usize,
    asking: Asking,
    /// What is to be sent, and how much of that was.
    outgoing: Vec<u8>,
    sent: usize,
    /// What came and was not understood yet.
    incoming: Vec<u8>,
    said: String,
}

/// The conversation with one proxy.
#[derive(Debug)]
enum Asking {
    /// It was not asked yet.
    Nothing,
    Http(http::Asking),
    Socks4,
    Socks5(socks5::Asking),
}

/// Whether a proxy can be asked for this.
pub(super) fn check(proxy: &Proxy, endpoint: &Endpoint) -> Result<(), ProxyError> {
    match proxy.protocol {
        Protocol::Http | Protocol::Socks5 => Ok(()),
        Protocol::Socks4 => socks4::check(socks4::Names::NotTaken, endpoint),
        Protocol::Socks4a => socks4::check(socks4::Names::Taken, endpoint),
    }
}

impl Tunnel {
    /// A way through a chain that is not empty; an error if one of its proxies cannot be asked for the next, or the last
    /// one for the target.
    pub(crate) fn new(chain: ProxyChain, target: Endpoint) -> Result<Self, ProxyFailure> {
        if chain.first_name().is_some() {
            return Err(ProxyFailure::new(0, chain.len(), ProxyError::Unresolved));
        }
        chain.check()?;
        if let Some(last) = chain.proxies().last() {
            check(last, &target).map_err(|error| ProxyFailure::new(chain.len() - 1, chain.len(), error))?;
        }
        Ok(Self {
            chain,
            target,
            hop: 0,
            asking: Asking::Nothing,
            outgoing: Vec::new(),
            sent: 0,
            incoming: Vec::new(),
            said: String::new(),
        })
    }

    /// What the connection is to lead to.
    pub(crate) fn target(&self) -> &Endpoint {
        &self.target
    }

    /// The proxy being asked, as it is shown.
    pub(crate) fn proxy(&self) -> String {
        self.chain.proxies().get(self.hop).map_or_else(String::new, ToString::to_string)
    }

    /// What the last proxy that spoke HTTP said: status and reason.
    pub(crate) fn said(&self) -> &str {
        &self.said
    }

    /// A failure at the proxy being asked.
    pub(crate) fn failed(&self, error: ProxyError) -> ProxyFailure {
        ProxyFailure::new(self.hop, self.chain.len(), error)
    }

    /// The failure of time running out now.
    pub(crate) fn timed_out(&self) -> ProxyFailure {
        let asked = match &self.asking {
            Asking::Nothing => false,
            Asking::Http(_) | Asking::Socks4 => true,
            Asking::Socks5(asking) => asking.has_asked(),
        };
        self.failed(if asked { ProxyError::NoAnswer } else { ProxyError::TimedOut })
    }

    /// What is to be sent.
    pub(crate) fn outgoing(&self) -> &[u8] {
        &self.outgoing[self.sent..]
    }

    /// So many bytes of [`outgoing`](Self::outgoing) were sent.
    pub(crate) fn sent(&mut self, bytes: usize) {
        self.sent += bytes;
    }

    /// Takes what came; [`next`](Self::next) looks at it.
    pub(crate) fn receive(&mut self, bytes: &[u8]) {
        self.incoming.extend_from_slice(bytes);
    }

    /// How much of what came is not understood yet.
    pub(super) fn not_understood(&self) -> usize {
        self.incoming.len()
    }

    /// Goes one step on, as far as what has come allows.
    pub(crate) fn next(&mut self) -> Result<Next, ProxyFailure> {
        if !self.outgoing().is_empty() {
            return Ok(Next::Wait);
        }
        let (hop, of) = (self.hop, self.chain.len());
        self.step().map_err(|error| ProxyFailure::new(hop, of, error))
    }

    fn step(&mut self) -> Result<Next, ProxyError> {
        loop {
            let answer = match &mut self.asking {
                Asking::Nothing => return Ok(self.ask()),
                Asking::Http(asking) => asking.receive(&self.incoming, &mut self.said)?,
                Asking::Socks4 => {
                    let user = self.chain.proxies().get(self.hop).and_then(|proxy| proxy.user.as_ref());
                    socks4::receive(&self.incoming, user.is_some())?
                }
                Asking::Socks5(asking) => asking.receive(&self.incoming)?,
            };
            match answer {
                Answer::Incomplete => return Ok(Next::Wait),
                Answer::Say { consumed, bytes } => {
                    self.incoming.drain(..consumed);
                    if !bytes.is_empty() {
                        return Ok(self.say(bytes));
                    }
                }
                Answer::Through { consumed } => {
                    self.incoming.drain(..consumed);
                    if self.hop + 1 == self.chain.len() {
                        return Ok(Next::Through(mem::take(&mut self.incoming)));
                    }
                    self.hop += 1;
                    self.asking = Asking::Nothing;
                }
            }
        }
    }

    /// Begins the conversation with the proxy at hand.
    fn ask(&mut self) -> Next {
        let proxies = self.chain.proxies();
        let endpoint = proxies.get(self.hop + 1).map_or_else(|| self.target.clone(), Proxy::endpoint);
        let Some(Proxy { protocol, user, .. }) = proxies.get(self.hop) else { return Next::Wait };
        let (asking, bytes) = match protocol {
            Protocol::Http => {
                let (asking, bytes) = http::ask(user.as_ref(), &endpoint);
                (Asking::Http(asking), bytes)
            }
            Protocol::Socks4 | Protocol::Socks4a => (Asking::Socks4, socks4::ask(user.as_ref(), &endpoint)),
            Protocol::Socks5 => {
                let (asking, bytes) = socks5::ask(user.as_ref(), &endpoint);
                (Asking::Socks5(asking), bytes)
            }
        };
        self.asking = asking;
        self.say(bytes)
    }

    fn say(&mut self, bytes: Vec<u8>) -> Next {
        self.sent = 0;
        self.outgoing = bytes;
        let by = self.chain.proxies().get(self.hop).map_or("", |proxy| proxy.protocol.scheme());
        let until = match &self.asking {
            Asking::Nothing | Asking::Http(_) => Until::Lines(1),
            Asking::Socks4 => Until::Bytes(socks4::ANSWER_BYTES),
            Asking::Socks5(asking) => Until::Bytes(asking.answer_bytes_min()),
        };
        Next::Ask { bytes: self.outgoing.len(), by, until }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Runs a tunnel against what the other end sends, in pieces; what was sent, and how it ended.
    fn run(chain: &str, incoming: &[u8], pieces: &[usize]) -> (Vec<u8>, Result<Next, ProxyFailure>) {
        let mut tunnel =
            Tunnel::new(chain.parse().unwrap(), Endpoint::named("host.example", 80).unwrap()).unwrap();
        let mut outgoing = Vec::new();
        let (mut rest, mut pieces) = (incoming, pieces.iter());
        loop {
            match tunnel.next() {
                Ok(Next::Ask { bytes, .. }) => {
                    assert_eq!(tunnel.outgoing().len(), bytes);
                    outgoing.extend_from_slice(tunnel.outgoing());
                    tunnel.sent(bytes);
                }
                Ok(Next::Wait) if !rest.is_empty() => {
                    let (piece, behind) = rest.split_at(rest.len().min(pieces.next().copied().unwrap_or(3)));
                    tunnel.receive(piece);
                    rest = behind;
                }
                Ok(Next::Through(mut early)) => {
                    early.extend_from_slice(rest);
                    return (outgoing, Ok(Next::Through(early)));
                }
                end => return (outgoing, end),
            }
        }
    }

    const CHAIN: &str = "socks5://joe:pw@127.0.0.1,http://[::1]:3128,socks4a://1.2.3.4";
    const ANSWERS: &[u8] =
        b"\x05\x02\x01\x00\x05\x00\x00\x01\0\0\0\0\0\0HTTP/1.1 200 OK\r\n\r\n\0\x5a\0\0\0\0\0\0";
    const ASKED: &[u8] =
        b"\x05\x02\x00\x02\x01\x03joe\x02pw\x05\x01\x00\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x0c\x38\
        CONNECT 1.2.3.4:1080 HTTP/1.1\r\nHost: 1.2.3.4:1080\r\n\r\n\
        \x04\x01\x00\x50\0\0\0\x01\0host.example\0";

    #[test]
    fn each_proxy_is_asked_for_the_next_and_the_last_for_the_target() {
        let (outgoing, end) = run(CHAIN, ANSWERS, &[]);
        assert_eq!(outgoing, ASKED);
        assert_eq!(end, Ok(Next::Through(Vec::new())));
    }

    #[test]
    fn a_failure_names_the_proxy_that_it_happened_at() {
        let at = |bytes: &[u8]| run(CHAIN, bytes, &[]).1.unwrap_err();
        assert_eq!(at(b"\x04"), ProxyFailure { hop: 1, of: 3, error: ProxyError::Version(4) });
        let second = at(b"\x05\x00\x05\x00\x00\x01\0\0\0\0\0\0HTTP/1.1 503 No\r\n\r\n");
        assert_eq!(second, ProxyFailure { hop: 2, of: 3, error: ProxyError::Status(503) });
        let third = [&ANSWERS[..ANSWERS.len() - 7], b"\x5b"].concat();
        assert_eq!(at(&third), ProxyFailure { hop: 3, of: 3, error: ProxyError::Socks4(0x5b) });
    }

    #[test]
    fn time_that_runs_out_says_how_far_it_came() {
        let mut tunnel =
            Tunnel::new("socks5://1".parse().unwrap(), Endpoint::named("a", 1).unwrap()).unwrap();
        assert_eq!(tunnel.timed_out().error, ProxyError::TimedOut);
        for (answer, error) in [(&[5, 0][..], ProxyError::TimedOut), (&[], ProxyError::NoAnswer)] {
            assert!(matches!(tunnel.next(), Ok(Next::Ask { .. })));
            tunnel.sent(tunnel.outgoing().len());
            assert_eq!(tunnel.timed_out().error, error);
            tunnel.receive(answer);
        }
    }

    #[test]
    fn what_cannot_be_asked_is_known_before() {
        let named = || Endpoint::named("host.example", 80).unwrap();
        let refused = |chain: &str, target| Tunnel::new(chain.parse().unwrap(), target).unwrap_err();
        assert_eq!(
            refused("socks5://proxy.example", named()),
            ProxyFailure { hop: 1, of: 1, error: ProxyError::Unresolved }
        );
        assert_eq!(
            refused("http://1,socks4://1,http://proxy.example", named()),
            ProxyFailure { hop: 2, of: 3, error: ProxyError::NoNames }
        );
        assert_eq!(
            refused("http://1,socks4a://1", Endpoint::named("::1", 80).unwrap()),
            ProxyFailure { hop: 2, of: 2, error: ProxyError::NoIpv6 }
        );
    }

    proptest! {
        #[test]
        fn however_the_answers_come_nothing_is_lost(
            early: Vec<u8>, pieces in proptest::collection::vec(1..40_usize, 0..40),
        ) {
            let (outgoing, end) = run(CHAIN, &[ANSWERS, &early].concat(), &pieces);
            prop_assert_eq!(outgoing, ASKED);
            prop_assert_eq!(end, Ok(Next::Through(early)));
        }

        #[test]
        fn changed_answers_end_somewhere(
            at in 0..ANSWERS.len(), byte: u8, pieces in proptest::collection::vec(1..40_usize, 0..40),
        ) {
            let mut answers = ANSWERS.to_vec();
            answers[at] = byte;
            let (_, whole) = run(CHAIN, &answers, &[answers.len()]);
            let (_, piecewise) = run(CHAIN, &answers, &pieces);
            prop_assert_eq!(whole, piecewise);
        }
    }
}
