//! Real proxies: tinyproxy, dante, microsocks.

use nsock::{End, Failure, Fault, ProxiedTarget, ProxyError, TlsOptions, TlsRoots, TlsVerify};
use rustix::net::getpeername;
use testkit::{ProxyServer, TLS_HOST, TcpEcho, TlsServer, TlsSetup, closed_port};

use super::pool_through;
use crate::support::{LIMIT, Saw, Seen, finish, got};

const USER: Option<(&str, &str)> = Some(("joe", "s3cret"));

/// Every kind of proxy, and a chain for each; `None` if one of the programs is missing.
struct Proxies {
    tinyproxy: ProxyServer,
    dante: ProxyServer,
    microsocks: ProxyServer,
}

impl Proxies {
    fn start() -> Option<Self> {
        Some(Self {
            tinyproxy: ProxyServer::tinyproxy(USER).unwrap()?,
            dante: ProxyServer::dante().unwrap()?,
            microsocks: ProxyServer::microsocks(USER).unwrap()?,
        })
    }

    fn http(&self) -> String {
        format!("http://joe:s3cret@{}", self.tinyproxy.address())
    }

    fn socks4(&self) -> String {
        format!("socks4://{}", self.dante.address())
    }

    /// Dante takes addresses from it, but no names: it reads them as 0.0.0.1.
    fn socks4a(&self) -> String {
        format!("socks4a://joe@{}", self.dante.address())
    }

    fn socks5(&self) -> String {
        format!("socks5://{}", self.dante.address())
    }

    fn socks5_user(&self) -> String {
        format!("socks5://joe:s3cret@{}", self.microsocks.address())
    }

    fn chains(&self) -> Vec<String> {
        vec![
            self.http(),
            self.socks4(),
            self.socks4a(),
            self.socks5(),
            self.socks5_user(),
            [self.http(), self.socks5(), self.socks5_user()].join(","),
            [self.socks5_user(), self.socks4(), self.http()].join(","),
            [self.socks4a(), self.http(), self.socks5()].join(","),
        ]
    }
}

#[test]
fn bytes_go_both_ways_through_each_and_through_three_at_once() {
    let Some(proxies) = Proxies::start() else { return };
    let echo = TcpEcho::start().unwrap();
    for chain in proxies.chains() {
        let (mut pool, mut seen) = pool_through(&chain);
        let iod = pool.iod_new();
        pool.connect_tcp(iod, echo.address(), LIMIT, Seen::connected);
        assert_eq!(finish(&mut pool, &mut seen), [Saw::Connected(echo.address())], "{chain}");
        let peer = getpeername(pool.iod_fd(iod).unwrap()).unwrap().unwrap();
        assert_ne!(std::net::SocketAddr::try_from(peer).unwrap(), echo.address(), "the connection is direct");
        let sent: Vec<u8> = (0..200_000_u32).map(|at| at.to_le_bytes()[1]).collect();
        pool.write(iod, &sent, LIMIT, Seen::sent);
        pool.readbytes(iod, sent.len(), LIMIT, Seen::received);
        let saw = finish(&mut pool, &mut seen);
        assert!(saw.contains(&Saw::Sent(sent.len())) && saw.contains(&got(&sent, End::Enough)), "{chain}");
    }
}

#[test]
fn tls_is_agreed_on_with_the_target_and_not_with_a_proxy() {
    let Some(proxies) = Proxies::start() else { return };
    let server = TlsServer::echo(TlsSetup::new().unwrap()).unwrap();
    for chain in proxies.chains() {
        let (mut pool, mut seen) = pool_through(&chain);
        let iod = pool.iod_new();
        let mut options = TlsOptions::default();
        options.server_name = Some(TLS_HOST.to_owned());
        options.verify = TlsVerify::Against(TlsRoots::from_der([server.identity().root()]).unwrap());
        pool.iod_set_tls_options(iod, options);
        pool.connect_ssl(iod, server.address(), LIMIT, Seen::connected);
        assert_eq!(finish(&mut pool, &mut seen), [Saw::Connected(server.address())], "{chain}");
        assert!(pool.iod_tls(iod).is_some());
        pool.write(iod, b"secret\n", LIMIT, Seen::sent);
        pool.readlines(iod, 1, LIMIT, Seen::received);
        assert!(finish(&mut pool, &mut seen).contains(&got("secret\n", End::Enough)), "{chain}");
    }
}

#[test]
fn starttls_works_behind_proxies() {
    let Some(proxies) = Proxies::start() else { return };
    let server = TlsServer::echo(TlsSetup::new().unwrap()).unwrap();
    let (mut pool, mut seen) = pool_through([proxies.socks5(), proxies.http()].join(","));
    let iod = pool.iod_new();
    pool.connect_tcp(iod, server.address(), LIMIT, Seen::connected);
    finish(&mut pool, &mut seen);
    pool.reconnect_ssl(iod, LIMIT, Seen::connected);
    assert_eq!(finish(&mut pool, &mut seen), [Saw::Connected(server.address())]);
    assert!(pool.iod_tls(iod).is_some());
}

#[test]
fn names_are_looked_up_by_the_last_proxy() {
    let Some(proxies) = Proxies::start() else { return };
    let echo = TcpEcho::start().unwrap();
    for chain in [
        proxies.http(),
        proxies.socks5(),
        proxies.socks5_user(),
        // The second proxy is a name too, and looked up by the first.
        format!("{},socks5://localhost:{}", proxies.http(), proxies.dante.address().port()),
    ] {
        let (mut pool, mut seen) = pool_through(&chain);
        let iod = pool.iod_new();
        pool.connect_tcp_host(iod, "localhost", echo.address().port(), LIMIT, Seen::connected);
        let saw = finish(&mut pool, &mut seen);
        assert!(matches!(saw[..], [Saw::Connected(_)]), "{chain}: {saw:?}");
        pool.write(iod, b"hi\n", LIMIT, Seen::sent);
        pool.readlines(iod, 1, LIMIT, Seen::received);
        assert!(finish(&mut pool, &mut seen).contains(&got("hi\n", End::Enough)), "{chain}");
    }
}

#[test]
fn what_they_say_of_the_target_is_the_targets() {
    let Some(proxies) = Proxies::start() else { return };
    let closed = closed_port().unwrap();
    for (chain, target) in [
        (proxies.socks5(), ProxiedTarget::Refused),
        (proxies.socks5_user(), ProxiedTarget::Refused),
        (proxies.socks4(), ProxiedTarget::Failed),
        (proxies.http(), ProxiedTarget::Failed),
        ([proxies.http(), proxies.socks4(), proxies.socks5_user()].join(","), ProxiedTarget::Refused),
    ] {
        let (mut pool, mut seen) = pool_through(&chain);
        let iod = pool.iod_new();
        pool.connect_tcp(iod, closed.address(), LIMIT, Seen::connected);
        let [Saw::Failed(Failure::Proxy(failure))] = finish(&mut pool, &mut seen)[..] else {
            panic!("{chain}")
        };
        assert_eq!((failure.target(), failure.fault()), (Some(target), Fault::Peer), "{chain}: {failure}");
    }
}

#[test]
fn a_proxy_that_a_proxy_cannot_reach_is_no_word_on_the_target() {
    let Some(proxies) = Proxies::start() else { return };
    let closed = closed_port().unwrap();
    let echo = TcpEcho::start().unwrap();
    let (mut pool, mut seen) = pool_through(format!("{},http://{}", proxies.socks5(), closed.address()));
    let iod = pool.iod_new();
    pool.connect_tcp(iod, echo.address(), LIMIT, Seen::connected);
    let [Saw::Failed(Failure::Proxy(failure))] = finish(&mut pool, &mut seen)[..] else { panic!() };
    assert_eq!(failure.to_string(), "proxy 1 of 2 of proxy 2: Connection refused (SOCKS5 code 5)");
    assert_eq!((failure.target(), failure.fault()), (None, Fault::Proxy));
}

#[test]
fn a_wrong_password_and_none_are_told_apart() {
    let Some(proxies) = Proxies::start() else { return };
    let echo = TcpEcho::start().unwrap();
    for (scheme, proxy) in [("http", &proxies.tinyproxy), ("socks5", &proxies.microsocks)] {
        for (user, error) in [("", ProxyError::AuthRequired), ("joe:wrong@", ProxyError::AuthRefused)] {
            let (mut pool, mut seen) = pool_through(format!("{scheme}://{user}{}", proxy.address()));
            let iod = pool.iod_new();
            pool.connect_tcp(iod, echo.address(), LIMIT, Seen::connected);
            let [Saw::Failed(Failure::Proxy(failure))] = finish(&mut pool, &mut seen)[..] else { panic!() };
            assert_eq!((failure.error, failure.fault()), (error, Fault::Caller), "{scheme} {user}");
        }
    }
}
