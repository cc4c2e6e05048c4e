//! Proxies that do not keep to their protocol.

use nsock::{During, End, Failure, Fault, Pool, ProxyError};
use testkit::{Step, TcpScript};

use super::{THROUGH, chain, http_proxy, pool_through, target};
use crate::support::{LIMIT, Saw, Seen, finish, got, ms, read};

const GRANTED4: &[u8] = b"\x00\x5a\0\0\0\0\0\0";
const GRANTED5: &[u8] = b"\x05\x00\0\x01\0\0\0\0\0\0";

fn script(steps: Vec<Step>) -> TcpScript {
    TcpScript::start(steps).unwrap()
}

/// How a connect through this proxy ends.
fn error(scheme: &str, proxy: &TcpScript) -> ProxyError {
    let (mut pool, mut seen) = pool_through(format!("{scheme}://{}", proxy.address()));
    let iod = pool.iod_new();
    pool.connect_tcp(iod, target(), LIMIT, Seen::connected);
    match finish(&mut pool, &mut seen)[..] {
        [Saw::Failed(Failure::Proxy(failure))] => {
            assert_eq!((failure.hop, failure.of), (1, 1));
            assert_ne!(failure.fault(), Fault::Peer, "{failure} is not the target's");
            failure.error
        }
        ref saw => panic!("{scheme}: {saw:?}"),
    }
}

#[test]
fn every_lie_is_told_apart_and_none_is_the_targets() {
    let http = |bytes: &[u8]| http_proxy(vec![Step::Send(bytes.to_vec()), Step::Close]);
    let socks4 = |bytes: &[u8]| script(vec![Step::Receive(9), Step::Send(bytes.to_vec()), Step::Close]);
    let method = |bytes: &[u8]| script(vec![Step::Receive(3), Step::Send(bytes.to_vec()), Step::Close]);
    let socks5 = |bytes: &[u8]| {
        script(vec![
            Step::Receive(3),
            Step::Send(vec![5, 0]),
            Step::Receive(10),
            Step::Send(bytes.to_vec()),
            Step::Close,
        ])
    };
    let long = [b"HTTP/1.1 200 OK\r\nX: ".as_slice(), &vec![b'x'; 70_000]].concat();
    for (scheme, proxy, expected) in [
        ("http", http(b"SSH-2.0-OpenSSH_9.2\r\n"), ProxyError::Garbage),
        ("http", http(b"HTTP/1.1 200"), ProxyError::Closed),
        ("http", http(b""), ProxyError::Closed),
        ("http", http(b"HTTP/1.1 abc OK\r\n\r\n"), ProxyError::Garbage),
        ("http", http(b"HTTP/1.1 403 Forbidden\r\n\r\n"), ProxyError::Status(403)),
        ("http", http(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"), ProxyError::AuthRequired),
        ("http", http(b"HTTP/1.1 302 Elsewhere\r\nLocation: x\r\n\r\n"), ProxyError::Status(302)),
        ("http", http(&long), ProxyError::TooLong),
        ("socks4", socks4(b"\x05\x00"), ProxyError::Version(5)),
        ("socks4", socks4(b"\x00\x5a\0\0"), ProxyError::Closed),
        ("socks4", socks4(b"\x00\x07"), ProxyError::Garbage),
        ("socks4", socks4(b"\x00\x5d"), ProxyError::AuthRequired),
        ("socks5", method(b"\x04\x5a"), ProxyError::Version(4)),
        ("socks5", method(b"\x05"), ProxyError::Closed),
        ("socks5", method(b"\x05\xff"), ProxyError::AuthRequired),
        ("socks5", method(b"\x05\x01"), ProxyError::Garbage),
        ("socks5", method(b"HTTP/1.1 400 Bad Request\r\n\r\n"), ProxyError::Version(b'H')),
        ("socks5", socks5(b"\x05\x00\0\x09"), ProxyError::Garbage),
        ("socks5", socks5(b"\x05\x00\0\x01\0"), ProxyError::Closed),
        ("socks5", socks5(b"\x05\x01"), ProxyError::Socks5(1)),
        ("socks5", socks5(b"\x05\x02"), ProxyError::Socks5(2)),
    ] {
        assert_eq!(error(scheme, &proxy), expected, "{scheme}");
    }
}

#[test]
fn a_socks4a_proxy_is_given_the_name() {
    let proxy = script(vec![Step::Receive(22), Step::Send(GRANTED4.to_vec()), Step::Stall]);
    let (mut pool, mut seen) = pool_through(format!("socks4a://joe@{}", proxy.address()));
    let iod = pool.iod_new();
    pool.connect_tcp_host(iod, "host.example", 80, LIMIT, Seen::connected);
    assert_eq!(finish(&mut pool, &mut seen), [Saw::Connected(proxy.address())]);
    assert_eq!(proxy.received(), [b"\x04\x01\x00\x50\x00\x00\x00\x01joe\x00host.example\x00"]);
}

#[test]
fn a_reset_is_the_proxys() {
    let resets = script(vec![Step::Receive(1), Step::Reset]);
    for scheme in ["http", "socks4", "socks5"] {
        let error = error(scheme, &resets);
        assert_eq!(error, ProxyError::Io { errno: libc::ECONNRESET, during: During::Read }, "{scheme}");
    }
}

#[test]
fn a_proxy_that_refuses_before_it_was_asked_is_heard() {
    let hasty =
        script(vec![Step::Send(b"HTTP/1.0 503 Busy\r\n\r\n".to_vec()), Step::Sleep(ms(20)), Step::Close]);
    let (mut pool, mut seen) = pool_through(format!("http://{}", hasty.address()));
    let iod = pool.iod_new();
    pool.connect_tcp(iod, target(), LIMIT, Seen::connected);
    let [Saw::Failed(Failure::Proxy(failure))] = finish(&mut pool, &mut seen)[..] else { panic!() };
    assert_eq!(failure.error, ProxyError::Status(503));
    assert_eq!(pool.iod_proxy_said(iod), Some("503 Busy"));
}

#[test]
fn answers_byte_by_byte_with_more_behind_them_lose_nothing() {
    let every = ms(1);
    let dribble = |answer: &[u8]| Step::Dribble { bytes: [answer, b"220 early\r\n"].concat(), every };
    let padded = [b"HTTP/1.1 200 OK\r\nX: ".as_slice(), &[b'x'; 300], b"\r\n\r\n"].concat();
    for (scheme, proxy) in [
        ("http", http_proxy(vec![dribble(&padded), Step::Stall])),
        ("socks4", script(vec![Step::Receive(9), dribble(GRANTED4), Step::Stall])),
        (
            "socks5",
            script(vec![
                Step::Receive(3),
                Step::Dribble { bytes: vec![5, 0], every },
                Step::Receive(10),
                dribble(GRANTED5),
                Step::Stall,
            ]),
        ),
    ] {
        let (mut pool, mut seen) = pool_through(format!("{scheme}://{}", proxy.address()));
        let iod = pool.iod_new();
        pool.connect_tcp(iod, target(), LIMIT, Seen::connected);
        assert_eq!(finish(&mut pool, &mut seen), [Saw::Connected(target())], "{scheme}");
        pool.readlines(iod, 1, LIMIT, Seen::received);
        assert_eq!(finish(&mut pool, &mut seen), [got("220 early\r\n", End::Enough)], "{scheme}");
    }
}

#[test]
fn a_head_of_64_kib_is_taken_and_a_flood_behind_the_answer_is_delivered() {
    let mut head = b"HTTP/1.1 200 OK\r\nX: ".to_vec();
    head.resize((64 << 10) - 4, b'x');
    head.extend_from_slice(b"\r\n\r\n");
    let flood: Vec<u8> = (0..300_000_u32).map(|at| at.to_le_bytes()[0]).collect();
    let proxy = http_proxy(vec![Step::Send([head, flood.clone()].concat()), Step::Close]);
    let (mut pool, mut seen) = pool_through(format!("http://{}", proxy.address()));
    let iod = pool.iod_new();
    pool.connect_tcp(iod, target(), LIMIT, Seen::connected);
    pool.readbytes(iod, flood.len(), LIMIT, Seen::received);
    let saw = finish(&mut pool, &mut seen);
    let [Saw::Connected(_), Saw::Got { bytes, .. }] = &saw[..] else { panic!("{} events", saw.len()) };
    assert!(*bytes == flood);
    assert_eq!(read(&mut pool, &mut seen, iod), Saw::Failed(Failure::Eof));
}

#[test]
fn a_proxy_that_hangs_up_with_the_tunnel_ends_the_stream_and_not_the_connect() {
    let proxy = http_proxy(vec![Step::Send([THROUGH, b"bye"].concat()), Step::Close]);
    let (mut pool, mut seen) = pool_through(format!("http://{}", proxy.address()));
    let iod = pool.iod_new();
    pool.connect_tcp(iod, target(), LIMIT, Seen::connected);
    assert_eq!(finish(&mut pool, &mut seen), [Saw::Connected(target())]);
    pool.readbytes(iod, 10, LIMIT, Seen::received);
    assert_eq!(finish(&mut pool, &mut seen), [got("bye", End::Eof)]);
}

#[test]
fn the_second_of_three_is_named_when_it_lies() {
    // One connection serves all three, so one script does.
    let proxy = http_proxy(vec![
        Step::Send(THROUGH.to_vec()),
        Step::Receive(9),
        Step::Send(b"\x00\x5b\0\0\0\0\0\0".to_vec()),
        Step::Stall,
    ]);
    let mut pool = Pool::new().unwrap();
    pool.set_proxychain(chain(format!("http://{},socks4://198.18.0.1,socks5://198.18.0.2", proxy.address())));
    let iod = pool.iod_new();
    let mut seen = Seen::default();
    pool.connect_tcp(iod, target(), LIMIT, Seen::connected);
    let [Saw::Failed(Failure::Proxy(failure))] = finish(&mut pool, &mut seen)[..] else { panic!() };
    assert_eq!((failure.hop, failure.of, failure.error), (2, 3, ProxyError::Socks4(0x5b)));
    assert_eq!((failure.fault(), failure.target()), (Fault::Proxy, None), "it is about the third proxy");
    let said = "proxy 2 of 3 of proxy 3: rejected or failed (SOCKS4 code 91)";
    assert_eq!(failure.to_string(), said);
}
