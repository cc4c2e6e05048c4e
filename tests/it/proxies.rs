//! Connections through proxies: what they promise, whoever the proxy is.

mod lying;
mod real;

use std::net::SocketAddr;

use nsock::trace::Level;
use nsock::{
    Connected, During, End, Event, Failure, Fault, Io, IodState, IpVersion, Misuse, Pool, ProxyChain,
    ProxyError, ProxyFailure, Stop,
};
use testkit::{Step, TcpEcho, TcpScript, UdpEcho, closed_port};

use crate::support::{LIMIT, Saw, Seen, Transcript, finish, got, ms, read, run_for};

/// What an HTTP proxy says when it is through.
const THROUGH: &[u8] = b"HTTP/1.1 200 Connection established\r\n\r\n";

fn chain(text: impl AsRef<str>) -> ProxyChain {
    text.as_ref().parse().unwrap_or_else(|why| panic!("{}: {why}", text.as_ref()))
}

/// A pool whose connects go through these proxies.
fn pool_through(proxies: impl AsRef<str>) -> (Pool<Seen>, Seen) {
    let mut pool = Pool::new().unwrap();
    pool.set_proxychain(chain(proxies));
    (pool, Seen::default())
}

/// A proxy that answers a request of two lines, and then does this.
fn http_proxy(then: Vec<Step>) -> TcpScript {
    let mut steps = vec![Step::ReceiveLine, Step::ReceiveLine, Step::ReceiveLine];
    steps.extend(then);
    TcpScript::start(steps).unwrap()
}

fn http(proxy: &TcpScript) -> String {
    format!("http://{}", proxy.address())
}

fn target() -> SocketAddr {
    "198.18.0.9:8888".parse().unwrap()
}

#[test]
fn one_call_with_the_requests_own_id_when_the_target_is_there() {
    let proxy =
        http_proxy(vec![Step::Send(THROUGH.to_vec()), Step::ReceiveLine, Step::Send(b"pong\n".to_vec())]);
    let (mut pool, mut seen) = pool_through(http(&proxy));
    let iod = pool.iod_new();
    // All three are asked for at once: the read and the write wait for the tunnel.
    let connect = pool.connect_tcp(iod, target(), LIMIT, Seen::connected);
    let write = pool.write(iod, b"ping\n", LIMIT, Seen::sent);
    let answer = pool.readlines(iod, 1, LIMIT, Seen::received);
    assert_eq!(pool.run(&mut seen, LIMIT).unwrap(), Stop::NoEvents);
    let expected =
        [(connect, Saw::Connected(target())), (write, Saw::Sent(5)), (answer, got("pong\n", End::Enough))];
    assert_eq!(seen.log, expected);
    assert_eq!(pool.iod_peer(iod), Some(target()));
    assert_eq!(pool.iod_bytes(iod), Some((5, 5)), "what is said to proxies is not counted");
    assert_eq!(pool.iod_proxy_said(iod), Some("200 Connection established"));
    let asked = "CONNECT 198.18.0.9:8888 HTTP/1.1\r\nHost: 198.18.0.9:8888\r\n\r\nping\n";
    assert_eq!(String::from_utf8(proxy.received().remove(0)).unwrap(), asked);
    assert_eq!([connect.number(), write.number(), answer.number()], [8, 19, 26]);
}

#[test]
fn early_bytes_of_the_target_go_to_the_first_read() {
    let early = [THROUGH, b"220 early\r\n"].concat();
    let proxy = http_proxy(vec![Step::Send(early), Step::ReceiveLine, Step::Send(b"250 later\r\n".to_vec())]);
    let (mut pool, mut seen) = pool_through(http(&proxy));
    let iod = pool.iod_new();
    pool.connect_tcp(iod, target(), LIMIT, Seen::connected);
    assert_eq!(finish(&mut pool, &mut seen), [Saw::Connected(target())]);
    assert_eq!(read(&mut pool, &mut seen, iod), got("220 early\r\n", End::Enough));
    pool.write(iod, b"HELO\n", LIMIT, Seen::sent);
    finish(&mut pool, &mut seen);
    assert_eq!(read(&mut pool, &mut seen, iod), got("250 later\r\n", End::Enough));
    assert_eq!(pool.iod_bytes(iod), Some((22, 5)));
}

/// nmap/nmap#176: the chain was ignored by IODs made before it was set.
#[test]
fn nmap_176_the_chain_counts_that_is_set_when_the_connect_is_asked_for() {
    let proxy = http_proxy(vec![Step::Send(THROUGH.to_vec()), Step::Stall]);
    let echo = TcpEcho::start().unwrap();
    let (mut pool, mut seen) = (Pool::new().unwrap(), Seen::default());
    let (early, direct) = (pool.iod_new(), pool.iod_new());
    pool.set_proxychain(chain(http(&proxy)));
    pool.iod_set_proxychain(direct, ProxyChain::default());
    pool.connect_tcp(early, target(), LIMIT, Seen::connected);
    pool.connect_tcp(direct, echo.address(), LIMIT, Seen::connected);
    let mut saw = finish(&mut pool, &mut seen);
    saw.sort_by_key(|saw| *saw == Saw::Connected(echo.address()));
    assert_eq!(saw, [Saw::Connected(target()), Saw::Connected(echo.address())]);
    pool.set_proxychain(ProxyChain::default());
    let iod = pool.iod_new();
    pool.connect_tcp(iod, echo.address(), LIMIT, Seen::connected);
    assert_eq!(finish(&mut pool, &mut seen), [Saw::Connected(echo.address())]);
}

#[test]
fn what_would_go_around_the_proxies_is_refused() {
    let echo = UdpEcho::start().unwrap();
    let (mut pool, mut seen) = pool_through("socks5://127.0.0.1:1");
    let refused = Failure::Misuse(Misuse::AroundProxies);
    let iod = pool.iod_new();
    pool.connect_udp(iod, echo.address(), Seen::connected);
    assert_eq!(finish(&mut pool, &mut seen), [Saw::Failed(refused)]);
    assert_eq!(pool.setup_udp(iod, "127.0.0.1:0".parse().unwrap()), Err(refused));
    assert_eq!(pool.setup_raw(iod, IpVersion::V4, 255), Err(refused));
    assert_eq!(pool.packet_open(iod), Err(refused));
    assert_eq!(refused.fault(), Fault::Caller);
    // Whoever means it says so.
    pool.iod_set_proxychain(iod, ProxyChain::default());
    pool.connect_udp(iod, echo.address(), Seen::connected);
    assert_eq!(finish(&mut pool, &mut seen), [Saw::Connected(echo.address())]);
}

#[test]
fn names_are_looked_up_by_proxies_only() {
    let (mut pool, mut seen) = (Pool::new().unwrap(), Seen::default());
    let iod = pool.iod_new();
    let no_name = || Saw::Failed(Failure::Misuse(Misuse::NoName));
    pool.connect_tcp_host(iod, "localhost", 80, LIMIT, Seen::connected);
    assert_eq!(finish(&mut pool, &mut seen), [no_name()], "without proxies");
    pool.set_proxychain(chain("socks5://127.0.0.1:1"));
    for odd in ["", "a b", "a\r\nHost: b", "[::1]", "1.2.3.4.5", &"a".repeat(256)] {
        pool.connect_tcp_host(iod, odd, 80, LIMIT, Seen::connected);
        assert_eq!(finish(&mut pool, &mut seen), [no_name()], "{odd}");
    }
    for (proxies, error) in
        [("socks4://127.0.0.1:1", ProxyError::NoNames), ("socks5://proxy.example:1", ProxyError::Unresolved)]
    {
        pool.set_proxychain(chain(proxies));
        pool.connect_tcp_host(iod, "host.example", 80, LIMIT, Seen::connected);
        let [Saw::Failed(Failure::Proxy(failure))] = finish(&mut pool, &mut seen)[..] else {
            panic!("{proxies}")
        };
        assert_eq!((failure.error, failure.fault()), (error, Fault::Caller));
    }
    // None of that has used the IOD up.
    let echo = TcpEcho::start().unwrap();
    pool.set_proxychain(ProxyChain::default());
    pool.connect_tcp(iod, echo.address(), LIMIT, Seen::connected);
    assert_eq!(finish(&mut pool, &mut seen), [Saw::Connected(echo.address())]);
}

#[test]
fn a_proxy_that_cannot_be_reached_is_no_word_on_the_target() {
    let closed = closed_port().unwrap();
    let (mut pool, mut seen) = pool_through(format!("socks5://{}", closed.address()));
    let iod = pool.iod_new();
    let connect = pool.connect_tcp(iod, target(), LIMIT, Seen::connected);
    let behind = pool.read(iod, LIMIT, Seen::received);
    pool.run(&mut seen, LIMIT).unwrap();
    let error = ProxyError::Io { errno: libc::ECONNREFUSED, during: During::Handshake };
    for id in [connect, behind] {
        let Some(Saw::Failed(Failure::Proxy(failure))) = seen.of(id) else { panic!("{:?}", seen.log) };
        assert_eq!((failure.hop, failure.of, failure.error), (1, 1, error));
        assert_eq!((failure.target(), failure.fault()), (None, Fault::Proxy));
        assert_eq!(failure.to_string(), "proxy 1 of 1: connecting: Connection refused (111)");
    }
}

#[test]
fn time_runs_out_with_the_proxy_that_is_waited_for() {
    let silent = || TcpScript::start(vec![Step::Stall]).unwrap();
    let greets = TcpScript::start(vec![Step::Receive(3), Step::Send(vec![5, 0]), Step::Stall]).unwrap();
    let first = http_proxy(vec![Step::Send(THROUGH.to_vec()), Step::Stall]);
    let (silent_socks5, silent_http) = (silent(), silent());
    for (proxies, hop, of, error, fault) in [
        (format!("socks5://{}", silent_socks5.address()), 1, 1, ProxyError::TimedOut, Fault::Proxy),
        (format!("socks5://{}", greets.address()), 1, 1, ProxyError::NoAnswer, Fault::Peer),
        (
            format!("http://{},http://198.18.0.1", silent_http.address()),
            1,
            2,
            ProxyError::NoAnswer,
            Fault::Proxy,
        ),
        (format!("{},socks5://198.18.0.1", http(&first)), 2, 2, ProxyError::TimedOut, Fault::Proxy),
    ] {
        let (mut pool, mut seen) = pool_through(&proxies);
        let iod = pool.iod_new();
        pool.connect_tcp(iod, target(), Some(ms(100)), Seen::connected);
        let [Saw::Failed(Failure::Proxy(failure))] = finish(&mut pool, &mut seen)[..] else {
            panic!("{proxies}")
        };
        assert_eq!((failure.hop, failure.of, failure.error), (hop, of, error), "{proxies}");
        assert_eq!(failure.fault(), fault, "{proxies}: {failure}");
        // What is asked for afterwards ends the same way.
        assert_eq!(read(&mut pool, &mut seen, iod), Saw::Failed(Failure::Proxy(failure)));
    }
}

#[test]
fn a_connect_without_a_limit_goes_through() {
    let proxy = http_proxy(vec![Step::Dribble { bytes: THROUGH.to_vec(), every: ms(1) }, Step::Stall]);
    let (mut pool, mut seen) = pool_through(http(&proxy));
    let iod = pool.iod_new();
    pool.connect_tcp(iod, target(), None, Seen::connected);
    assert_eq!(finish(&mut pool, &mut seen), [Saw::Connected(target())]);
}

#[test]
fn a_connect_can_be_cancelled_while_a_proxy_is_asked() {
    let proxy = TcpScript::start(vec![Step::Stall]).unwrap();
    let (mut pool, mut seen) = pool_through(http(&proxy));
    let iod = pool.iod_new();
    let connect = pool.connect_tcp(iod, target(), LIMIT, Seen::connected);
    assert_eq!(run_for(&mut pool, &mut seen, ms(50)), []);
    assert_eq!(pool.report().iods[0].state, IodState::Tunneling, "{}", pool.report());
    assert!(pool.event_cancel(connect));
    assert_eq!(finish(&mut pool, &mut seen), [Saw::Failed(Failure::Cancelled)]);
    assert_eq!(pool.report().iods[0].fd, None);
    let shut_down = pool.iod_new();
    pool.connect_tcp(shut_down, target(), LIMIT, Seen::connected);
    assert_eq!(run_for(&mut pool, &mut seen, ms(50)), []);
    pool.shutdown(&mut seen);
    assert_eq!(seen.take(), [Saw::Failed(Failure::Killed)]);
}

/// Spec nsock 4.6; all steps have the EID of the connect here, which is the only one.
#[test]
fn the_trace_tells_the_way_there() {
    let proxy = http_proxy(vec![Step::Send(THROUGH.to_vec()), Step::Stall]);
    let (mut pool, mut seen) = pool_through(http(&proxy));
    let transcript = Transcript::of(&mut pool, Level::Info);
    let iod = pool.iod_new();
    pool.connect_tcp(iod, "10.1.2.3:8888".parse().unwrap(), None, Seen::connected);
    finish(&mut pool, &mut seen);
    let at = proxy.address();
    assert_eq!(
        transcript.messages(),
        [
            "nsock_iod_new2(): nsock_iod_new (IOD #1)".to_owned(),
            "nsock_connect_tcp(): TCP connection requested to 10.1.2.3:8888 (IOD #1) (timeout: -1ms) EID 8"
                .into(),
            format!("nsock_printf(): Write request for 55 bytes to IOD #1 EID 8 [{at}]"),
            format!("nsock_readlines(): Read request for 1 lines from IOD #1 [{at}] (timeout: -1ms) EID 8"),
            "forward_event(): Forwarding event upstream: TCP connect SUCCESS (IOD #1) EID 8".into(),
            "nsock_trace_handler_callback(): Callback: CONNECT SUCCESS for EID 8 [10.1.2.3:8888]".into(),
        ]
    );
}

#[test]
fn the_trace_tells_which_proxy_refused() {
    let refuses = http_proxy(vec![Step::Send(b"HTTP/1.1 403 No\r\n\r\n".to_vec())]);
    let garbles = TcpScript::start(vec![Step::Receive(9), Step::Send(b"\x04\x07".to_vec())]).unwrap();
    for (proxies, line) in [
        (http(&refuses), format!("Connection refused from proxy {}", http(&refuses))),
        (
            format!("socks4://{}", garbles.address()),
            format!("Ignoring invalid socks4 reply from proxy socks4://{}", garbles.address()),
        ),
    ] {
        let (mut pool, mut seen) = pool_through(proxies);
        let transcript = Transcript::of(&mut pool, Level::Full);
        let iod = pool.iod_new();
        pool.connect_tcp(iod, target(), LIMIT, Seen::connected);
        finish(&mut pool, &mut seen);
        let messages = transcript.messages();
        let after =
            |line: &str| messages.iter().skip_while(|message| *message != line).nth(1).map(String::as_str);
        let redirected =
            "nsock_connect_internal(): TCP connection request (EID 8) redirected through proxy chain";
        assert!(messages.iter().any(|message| message == redirected), "{messages:#?}");
        let forwarded = "forward_event(): Forwarding event upstream: TCP connect PROXY ERROR (IOD #1) EID 8";
        assert_eq!(after(&format!("handle_state_tcp_connected(): {line}")), Some(forwarded), "{messages:#?}");
        let callback = "nsock_trace_handler_callback(): Callback: CONNECT PROXY ERROR for EID 8";
        assert!(messages.iter().any(|message| message.starts_with(callback)), "{messages:#?}");
    }
}

#[test]
fn passwords_are_in_no_trace() {
    let proxy = http_proxy(vec![Step::Send(b"HTTP/1.1 407 Who?\r\n\r\n".to_vec())]);
    let (mut pool, mut seen) = pool_through(format!("http://joe:s3cret@{}", proxy.address()));
    let transcript = Transcript::of(&mut pool, Level::Full);
    let iod = pool.iod_new();
    pool.connect_tcp(iod, target(), LIMIT, Seen::connected);
    let saw = finish(&mut pool, &mut seen);
    let error = ProxyError::AuthRefused;
    assert!(
        matches!(saw[..], [Saw::Failed(Failure::Proxy(ProxyFailure { error: saw, .. }))] if saw == error),
        "{saw:?}"
    );
    let text = transcript.text();
    for secret in ["joe", "s3cret", "am9lOnMzY3JldA"] {
        assert!(!text.contains(secret), "{text}");
    }
    assert!(String::from_utf8(proxy.received().remove(0)).unwrap().contains("am9lOnMzY3JldA"));
}

#[test]
fn a_handler_may_connect_again_on_another_iod() {
    #[derive(Default)]
    struct Twice(Vec<Event<Connected>>);
    impl Twice {
        fn connected(&mut self, io: &mut Io<Self>, event: Event<Connected>) {
            io.iod_delete(event.iod);
            self.0.push(event);
            if self.0.len() < 2 {
                let iod = io.iod_new();
                io.connect_tcp(iod, target(), LIMIT, Self::connected);
            }
        }
    }
    let proxy = http_proxy(vec![Step::Send(THROUGH.to_vec())]);
    let mut pool = Pool::new().unwrap();
    pool.set_proxychain(chain(http(&proxy)));
    let iod = pool.iod_new();
    pool.connect_tcp(iod, target(), LIMIT, Twice::connected);
    let mut twice = Twice::default();
    pool.run(&mut twice, LIMIT).unwrap();
    assert!(twice.0.len() == 2 && twice.0.iter().all(|event| event.outcome.is_ok()), "{:?}", twice.0);
}
