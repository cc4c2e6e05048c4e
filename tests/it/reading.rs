//! Reading, rule by rule (spec nsock 3.5, with every fix).

use std::io::Write;
use std::net::UdpSocket;

use nsock::{During, End, Failure, Pool, READ_BYTES_MAX};
use testkit::{LOOPBACK_V4, Step, TcpScript, UdpEcho, UdpServer, closed_port};

use crate::support::{LIMIT, Saw, Seen, connect, connect_udp, datagram, finish, got, ms, read};

fn against(steps: Vec<Step>) -> (TcpScript, Pool<Seen>, Seen, nsock::IodId) {
    let server = TcpScript::start(steps).unwrap();
    let (mut pool, mut seen) = (Pool::new().unwrap(), Seen::default());
    let iod = connect(&mut pool, &mut seen, server.address());
    (server, pool, seen, iod)
}

fn bytes_of(saw: &Saw) -> (&[u8], End) {
    match saw {
        Saw::Got { bytes, end, .. } => (bytes, *end),
        other => panic!("{other:?}"),
    }
}

fn in_pieces() -> Vec<Step> {
    let pieces = ["ab\nc", "d\nef", "\ng\n"];
    pieces.iter().flat_map(|piece| [Step::Send(piece.as_bytes().to_vec()), Step::Sleep(ms(15))]).collect()
}

#[test]
fn at_least_so_many_bytes_over_several_arrivals() {
    let (_server, mut pool, mut seen, iod) = against([in_pieces(), vec![Step::Stall]].concat());
    pool.readbytes(iod, 6, LIMIT, Seen::received);
    let saw = finish(&mut pool, &mut seen);
    let (bytes, end) = bytes_of(&saw[0]);
    assert!(bytes.len() >= 6 && b"ab\ncd\nef\ng\n".starts_with(bytes), "{saw:?}");
    assert_eq!(end, End::Enough);
}

#[test]
fn at_least_so_many_lines_over_several_arrivals() {
    let (_server, mut pool, mut seen, iod) = against([in_pieces(), vec![Step::Stall]].concat());
    pool.readlines(iod, 4, LIMIT, Seen::received);
    assert_eq!(finish(&mut pool, &mut seen), [got("ab\ncd\nef\ng\n", End::Enough)]);
}

#[test]
fn more_than_was_asked_for_is_given_with_it() {
    let (server, mut pool, mut seen, iod) = against(vec![Step::Send(vec![b'\n'; 5000]), Step::Stall]);
    pool.timer_create(ms(50), Seen::alarm);
    finish(&mut pool, &mut seen);
    pool.readbytes(iod, 1, LIMIT, Seen::received);
    assert_eq!(finish(&mut pool, &mut seen), [got(vec![b'\n'; 5000], End::Enough)]);
    drop(server);
}

#[test]
fn zero_bytes_and_zero_lines_are_there_at_once_with_any_data() {
    let (_server, mut pool, mut seen, iod) =
        against(vec![Step::Send(b"x".to_vec()), Step::ReceiveLine, Step::Send(b"y".to_vec()), Step::Stall]);
    pool.readlines(iod, 0, LIMIT, Seen::received);
    assert_eq!(finish(&mut pool, &mut seen), [got("x", End::Enough)]);
    pool.write(iod, b"\n", LIMIT, Seen::sent);
    pool.readbytes(iod, 0, LIMIT, Seen::received);
    assert!(finish(&mut pool, &mut seen).contains(&got("y", End::Enough)));
}

#[test]
fn an_end_of_stream_stands_beside_the_data_before_it() {
    let (server, mut pool, mut seen, iod) = against(vec![Step::Send(b"A\nB".to_vec())]);
    assert!(server.wait_finished(1, ms(5000)));
    pool.readlines(iod, 2, LIMIT, Seen::received);
    assert_eq!(finish(&mut pool, &mut seen), [got("A\nB", End::Eof)]);
    assert_eq!(read(&mut pool, &mut seen, iod), Saw::Failed(Failure::Eof));
}

#[test]
fn an_end_of_stream_is_sticky_and_reaches_every_read_that_waits() {
    let (_server, mut pool, mut seen, iod) = against(vec![Step::ReceiveLine]);
    for _ in 0..3 {
        pool.read(iod, LIMIT, Seen::received);
    }
    pool.write(iod, b"bye\n", LIMIT, Seen::sent);
    let saw = finish(&mut pool, &mut seen);
    assert_eq!(saw[0], Saw::Sent(4));
    assert_eq!(saw[1..], vec![Saw::Failed(Failure::Eof); 3]);
    for _ in 0..2 {
        assert_eq!(read(&mut pool, &mut seen, iod), Saw::Failed(Failure::Eof));
    }
}

#[test]
fn what_came_before_the_timeout_is_a_success() {
    let (_server, mut pool, mut seen, iod) = against(vec![Step::Send(b"220 hi\r\n".to_vec()), Step::Stall]);
    pool.readlines(iod, 3, Some(ms(60)), Seen::received);
    assert_eq!(finish(&mut pool, &mut seen), [got("220 hi\r\n", End::TimedOut)]);
    pool.readbytes(iod, 1, Some(ms(20)), Seen::received);
    assert_eq!(finish(&mut pool, &mut seen), [Saw::Failed(Failure::TimedOut)]);
}

#[test]
fn the_limit_is_for_the_whole_request_and_not_for_each_piece() {
    let dribble = Step::Dribble { bytes: vec![b'.'; 200], every: ms(20) };
    let (_server, mut pool, mut seen, iod) = against(vec![dribble]);
    let start = pool.now();
    pool.readlines(iod, 1, Some(ms(120)), Seen::received);
    let saw = finish(&mut pool, &mut seen);
    let (bytes, end) = bytes_of(&saw[0]);
    let took = pool.now() - start;
    assert!(end == End::TimedOut && (1..=7).contains(&bytes.len()), "{saw:?}");
    assert!(took >= ms(120) && took < ms(500), "{took:?}");
}

#[test]
fn one_read_takes_no_more_than_its_bound() {
    let all = READ_BYTES_MAX * 2;
    let (server, mut pool, mut seen, iod) = against(vec![Step::Send(vec![b'z'; all]), Step::Close]);
    let mut total = 0;
    while total < all {
        let saw = read(&mut pool, &mut seen, iod);
        let (bytes, _) = bytes_of(&saw);
        assert!((1..=READ_BYTES_MAX + 65_536).contains(&bytes.len()), "{}", bytes.len());
        total += bytes.len();
    }
    assert_eq!(total, all);
    assert_eq!(read(&mut pool, &mut seen, iod), Saw::Failed(Failure::Eof));
    assert!(server.wait_finished(1, ms(5000)));
}

#[test]
fn lines_that_never_end_are_given_up_at_the_bound() {
    let (_server, mut pool, mut seen, iod) =
        against(vec![Step::Send(vec![b'-'; READ_BYTES_MAX + 1]), Step::Stall]);
    pool.readlines(iod, 1, LIMIT, Seen::received);
    let saw = finish(&mut pool, &mut seen);
    let (bytes, end) = bytes_of(&saw[0]);
    assert!(end == End::Full && bytes.len() >= READ_BYTES_MAX, "{end:?} {}", bytes.len());
}

#[test]
fn a_request_for_more_than_the_bound_gets_it() {
    let wanted = READ_BYTES_MAX * 3;
    let (_server, mut pool, mut seen, iod) = against(vec![Step::Send(vec![b'-'; wanted]), Step::Stall]);
    pool.readbytes(iod, wanted, LIMIT, Seen::received);
    assert_eq!(bytes_of(&finish(&mut pool, &mut seen)[0]), (&vec![b'-'; wanted][..], End::Enough));
}

#[test]
fn what_comes_behind_urgent_data_is_read_without_further_news() {
    // As a telnet server does (RFC 854, "Synch"): the kernel's reads stop at the urgent byte, though more is there.
    let listener = std::net::TcpListener::bind(LOOPBACK_V4).unwrap();
    let (mut pool, mut seen) = (Pool::new().unwrap(), Seen::default());
    let iod = connect(&mut pool, &mut seen, listener.local_addr().unwrap());
    let (mut peer, _) = listener.accept().unwrap();
    peer.write_all(b"before").unwrap();
    socket2::SockRef::from(&peer).send_out_of_band(b"!").unwrap();
    peer.write_all(b"behind\n").unwrap();
    pool.timer_create(ms(30), Seen::alarm);
    finish(&mut pool, &mut seen);
    pool.readlines(iod, 1, LIMIT, Seen::received);
    assert_eq!(finish(&mut pool, &mut seen), [got("beforebehind\n", End::Enough)]);
    // And nothing is different afterwards.
    pool.read(iod, Some(ms(20)), Seen::received);
    assert_eq!(finish(&mut pool, &mut seen), [Saw::Failed(Failure::TimedOut)]);
    peer.write_all(b"more").unwrap();
    assert_eq!(read(&mut pool, &mut seen, iod), got("more", End::Enough));
}

#[test]
fn one_read_is_one_datagram_up_to_the_largest() {
    let echo = UdpEcho::start().unwrap();
    let (mut pool, mut seen) = (Pool::new().unwrap(), Seen::default());
    let iod = connect_udp(&mut pool, &mut seen, echo.address());
    let sizes = [0, 1, 8191, 8192, 8193, 65_507, 0, 3];
    for size in sizes {
        pool.write(iod, &vec![b'u'; size], LIMIT, Seen::sent);
    }
    assert_eq!(finish(&mut pool, &mut seen), sizes.map(Saw::Sent));
    for size in sizes {
        let saw = read(&mut pool, &mut seen, iod);
        assert!(saw == datagram(vec![b'u'; size], echo.address()), "{size}");
    }
    pool.write(iod, &vec![0; 65_508], LIMIT, Seen::sent);
    let too_long = Failure::Io { errno: libc::EMSGSIZE, during: During::Write };
    assert_eq!(finish(&mut pool, &mut seen), [Saw::Failed(too_long)]);
}

#[test]
fn bytes_and_lines_are_gathered_over_datagrams() {
    let answers = ["one\n", "", "tw", "o\nthree\n"].map(|text| text.as_bytes().to_vec());
    let server = UdpServer::start(move |_, _| answers.to_vec()).unwrap();
    let (mut pool, mut seen) = (Pool::new().unwrap(), Seen::default());
    let iod = connect_udp(&mut pool, &mut seen, server.address());
    pool.readlines(iod, 2, LIMIT, Seen::received);
    pool.write(iod, b"?", LIMIT, Seen::sent);
    assert_eq!(finish(&mut pool, &mut seen), [Saw::Sent(1), datagram("one\ntwo\nthree\n", server.address())]);
    pool.readbytes(iod, 5, LIMIT, Seen::received);
    pool.write(iod, b"?", LIMIT, Seen::sent);
    assert_eq!(finish(&mut pool, &mut seen)[1], datagram("one\ntw", server.address()));
}

#[test]
fn an_empty_datagram_wakes_a_read_that_waits() {
    let server = UdpServer::start(|_, _| vec![Vec::new()]).unwrap();
    let (mut pool, mut seen) = (Pool::new().unwrap(), Seen::default());
    let iod = connect_udp(&mut pool, &mut seen, server.address());
    for _ in 0..2 {
        pool.read(iod, LIMIT, Seen::received);
        pool.write(iod, b"?", LIMIT, Seen::sent);
        assert_eq!(finish(&mut pool, &mut seen)[1], datagram("", server.address()));
    }
}

#[test]
fn the_sender_is_in_the_event_and_becomes_the_peer() {
    let (mut pool, mut seen) = (Pool::new().unwrap(), Seen::default());
    let iod = pool.iod_new();
    pool.setup_udp(iod, LOOPBACK_V4).unwrap();
    assert_eq!(pool.iod_peer(iod), None);
    let here = pool.iod_local(iod).unwrap();
    for text in ["first", "second"] {
        let sender = UdpSocket::bind(LOOPBACK_V4).unwrap();
        sender.send_to(text.as_bytes(), here).unwrap();
        let from = sender.local_addr().unwrap();
        assert_eq!(read(&mut pool, &mut seen, iod), datagram(text, from));
        assert_eq!(pool.iod_peer(iod), Some(from));
    }
    let echo = UdpEcho::start().unwrap();
    pool.sendto(iod, echo.address(), b"third", LIMIT, Seen::sent);
    assert_eq!(pool.iod_peer(iod), Some(echo.address()), "at the request, before the loop");
    finish(&mut pool, &mut seen);
    assert_eq!(read(&mut pool, &mut seen, iod), datagram("third", echo.address()));
}

#[test]
fn a_closed_udp_port_is_an_error_of_the_read_and_the_iod_stays_usable() {
    let closed = closed_port().unwrap();
    let (mut pool, mut seen) = (Pool::new().unwrap(), Seen::default());
    let iod = connect_udp(&mut pool, &mut seen, closed.address());
    let refused = Failure::Io { errno: libc::ECONNREFUSED, during: During::Read };
    for _ in 0..3 {
        let reading = pool.read(iod, LIMIT, Seen::received);
        pool.write(iod, b"?", LIMIT, Seen::sent);
        pool.run(&mut seen, LIMIT).unwrap();
        assert_eq!(seen.of(reading), Some(&Saw::Failed(refused)));
        assert_eq!(seen.take()[0], Saw::Sent(1));
        assert_eq!(refused.fault(), nsock::Fault::Peer);
    }
    pool.read(iod, Some(ms(20)), Seen::received);
    assert_eq!(finish(&mut pool, &mut seen), [Saw::Failed(Failure::TimedOut)]);
}
