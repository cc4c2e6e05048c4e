//! The way through a chain of proxies against answers at hand: for tests of proxies, and of this library. Pure.

use super::{Endpoint, Next, ProxyChain, ProxyFailure, Tunnel};

/// What came of [`ProxyChain::rehearse`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rehearsal {
    /// What the proxies were sent, one after the other.
    pub asked: Vec<u8>,
    /// How many bytes were understood as answers of proxies. After them comes what the target sent.
    pub understood: usize,
    /// Whether the target was reached, or what went wrong at which proxy; `None` if the answers go on.
    pub end: Option<Result<(), ProxyFailure>>,
}

impl ProxyChain {
    /// Plays a connect to a host through these proxies, which answer with `pieces`, as they come from the network. Nothing
    /// is sent. `None` if the host is neither a name nor an address.
    ///
    /// ```
    /// let chain: nsock::ProxyChain = "http://127.0.0.1:3128".parse()?;
    /// let refused = chain.rehearse("host.example", 80, &[b"HTTP/1.1 403 ", b"Filtered\r\n\r\n"]).unwrap();
    /// assert!(refused.asked.starts_with(b"CONNECT host.example:80 HTTP/1.1\r\n"));
    /// assert_eq!(refused.end.unwrap().unwrap_err().error, nsock::ProxyError::Status(403));
    /// # Ok::<(), nsock::ProxySpecError>(())
    /// ```
    #[must_use]
    pub fn rehearse(&self, host: &str, port: u16, pieces: &[&[u8]]) -> Option<Rehearsal> {
        let target = Endpoint::named(host, port)?;
        let mut played = Rehearsal::default();
        if self.is_empty() {
            played.end = Some(Ok(()));
            return Some(played);
        }
        let mut tunnel = match Tunnel::new(self.clone(), target) {
            Ok(tunnel) => tunnel,
            Err(failure) => {
                played.end = Some(Err(failure));
                return Some(played);
            }
        };
        let (mut pieces, mut received) = (pieces.iter(), 0);
        let left = loop {
            match tunnel.next() {
                Ok(Next::Ask { bytes, .. }) => {
                    played.asked.extend_from_slice(tunnel.outgoing());
                    tunnel.sent(bytes);
                }
                Ok(Next::Wait) => match pieces.next() {
                    Some(piece) => {
                        tunnel.receive(piece);
                        received += piece.len();
                    }
                    None => break tunnel.not_understood(),
                },
                Ok(Next::Through(early)) => {
                    played.end = Some(Ok(()));
                    break early.len();
                }
                Err(failure) => {
                    played.end = Some(Err(failure));
                    break tunnel.not_understood();
                }
            }
        };
        played.understood = received - left;
        Some(played)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::ProxyError;

    #[test]
    fn what_the_target_sends_behind_the_last_answer_is_not_taken_for_the_proxys() {
        let chain: ProxyChain = "socks5://127.0.0.1,http://127.0.0.2".parse().unwrap();
        let pieces: [&[u8]; 3] =
            [b"\x05\x00\x05\x00\x00\x01\0\0", b"\0\0\0\0HTTP/1.1 200 OK\r\n\r\nSSH-", b"2.0"];
        let played = chain.rehearse("host.example", 22, &pieces).unwrap();
        assert_eq!((played.understood, played.end), (12 + 19, Some(Ok(()))));
        let unfinished = chain.rehearse("host.example", 22, &pieces[..1]).unwrap();
        assert_eq!((unfinished.understood, unfinished.end), (2, None));
    }

    #[test]
    fn a_chain_that_cannot_be_asked_fails_before_anything_is_sent() {
        let chain: ProxyChain = "socks4://127.0.0.1".parse().unwrap();
        let played = chain.rehearse("::1", 22, &[]).unwrap();
        assert_eq!(played.end.unwrap().unwrap_err().error, ProxyError::NoIpv6);
        assert!(played.asked.is_empty());
        assert_eq!(chain.rehearse("no host", 22, &[]), None);
        let direct = ProxyChain::default().rehearse("::1", 22, &[]).unwrap();
        assert_eq!(direct, Rehearsal { end: Some(Ok(())), ..Rehearsal::default() });
    }
}
