//! The classic text against the worked examples of spec nsock 7.8, byte for byte; in `tests/fixtures/classic` only
//! addresses have a name instead of a number, and times are `[t]`.
//!
//! Where our form differs, on purpose:
//! * No handler runs inside a request, a cancel or a delete, so its `Callback:` line comes from the loop. In example B
//!   that moves no line; in example C `Callback: TIMER CANCELLED for EID 20` comes after everything that the handler
//!   which cancelled did, its second cancel of 20 included.
//! * At `DEBUG FULL` the lines `Processing event`, `Sending event` and `Removing event from list` do not exist.

use std::net::SocketAddr;

use nsock::trace::Level;
use nsock::{Alarm, Connected, Event, Failure, Io, IodId, Pool, Received, Stop};
use testkit::{LOOPBACK_V6, Step, TcpEcho, TcpScript, UdpEcho, UdpServer, closed_port, full_backlog};

use crate::support::{LIMIT, Saw, Seen, Transcript, finish, ms, read};

const NO_LIMIT: Option<std::time::Duration> = None;

/// The text with times masked, after a look at their form, and addresses by name.
fn masked(transcript: &Transcript, names: &[(&str, SocketAddr)]) -> String {
    let mut text = String::new();
    for line in transcript.text().lines() {
        let (level, rest) = line.split_once(" [").unwrap();
        let (time, message) = rest.split_once("s] ").unwrap();
        let (seconds, decimals) = time.split_once('.').unwrap();
        assert!(seconds.parse::<u64>().is_ok() && decimals.len() == 4 && decimals.ends_with('0'), "{line}");
        text.push_str(&format!("{level} [t] {message}\n"));
    }
    for (name, address) in names {
        // As the trace writes addresses: IPv6 without brackets.
        text = text.replace(&format!("{}:{}", address.ip(), address.port()), name);
    }
    text
}

fn pool(level: Level) -> (Pool<Seen>, Seen, Transcript) {
    let mut pool = Pool::new().unwrap();
    let transcript = Transcript::of(&mut pool, level);
    (pool, Seen::default(), transcript)
}

#[test]
fn a_udp_exchange_at_info() {
    let expected = include_str!("../fixtures/classic/udp_info.txt");
    let shown = expected.lines().find_map(|line| line.split_once("(65 bytes): ")).unwrap().1;
    // Only what is shown matters; a dot on the wire is shown as any byte that cannot be printed.
    let answer = shown.replace('.', "\0").into_bytes();
    let server = UdpServer::start(move |_, _| vec![answer.clone()]).unwrap();
    let (mut pool, mut seen, transcript) = pool(Level::Info);
    let iod = pool.iod_new();
    pool.connect_udp(iod, server.address(), Seen::connected);
    pool.read(iod, None, |_: &mut Seen, io, ev: Event<Received>| {
        io.read(ev.iod, None, Seen::received);
        io.iod_delete(ev.iod);
    });
    pool.write(iod, &[0; 44], LIMIT, Seen::sent);
    finish(&mut pool, &mut seen);
    assert_eq!(masked(&transcript, &[("<server>", server.address())]), expected);
}

fn udp_exchange(level: Level) -> String {
    let server = UdpEcho::start().unwrap();
    let (mut pool, mut seen, transcript) = pool(level);
    let iod = pool.iod_new();
    pool.connect_udp(iod, server.address(), |_: &mut Seen, io, ev: Event<Connected>| {
        io.read(ev.iod, None, |_: &mut Seen, io, ev: Event<Received>| {
            io.read(ev.iod, None, Seen::received);
            io.loop_quit();
        });
        io.write(ev.iod, b"hello-dns", Some(ms(1000)), Seen::sent);
    });
    assert_eq!(pool.run(&mut seen, Some(ms(3000))).unwrap(), Stop::Quit);
    pool.iod_delete(iod);
    masked(&transcript, &[("<server>", server.address())])
}

#[test]
fn a_udp_exchange_at_debug() {
    assert_eq!(udp_exchange(Level::Debug), include_str!("../fixtures/classic/udp_debug.txt"));
}

#[test]
fn a_udp_exchange_at_full_has_the_lines_of_debug_and_shows_what_is_written() {
    let text = udp_exchange(Level::Full);
    let (full, others): (Vec<&str>, Vec<&str>) =
        text.lines().partition(|line| line.starts_with("NSOCK DEBUG FULL"));
    let written = "NSOCK INFO [t] nsock_write(): Write request for 9 bytes to IOD #1 EID 27 [<server>]";
    let payload = format!("{written}: hello-dns");
    assert!(others.contains(&payload.as_str()), "{text}");
    let without = others.join("\n").replace(&payload, written);
    assert_eq!(without, include_str!("../fixtures/classic/udp_debug.txt").trim_end());
    assert_eq!(full[0], "NSOCK DEBUG FULL [t] epoll_loop(): wait for events");
    assert_eq!(full[1], "NSOCK DEBUG FULL [t] process_iod_events(): Processing events on IOD 1 (ev=2)");
}

#[test]
fn tcp_connect_readlines_timeout_end_of_stream_and_refusal_at_info() {
    let server = TcpScript::start(vec![
        Step::Send(b"220 hi\r\n".to_vec()),
        Step::Sleep(ms(400)),
        Step::Send(b"A\nB".to_vec()),
    ])
    .unwrap();
    let (mut pool, mut seen, transcript) = pool(Level::Info);
    let iod = pool.iod_new();
    pool.connect_tcp(iod, server.address(), Some(ms(2000)), Seen::connected);
    finish(&mut pool, &mut seen);
    for (lines, limit) in [(3, 150), (1, 150), (2, 5000)] {
        pool.readlines(iod, lines, Some(ms(limit)), Seen::received);
        finish(&mut pool, &mut seen);
    }
    pool.read(iod, Some(ms(1000)), Seen::received);
    finish(&mut pool, &mut seen);
    assert_eq!(pool.iod_bytes(iod), Some((11, 0)));
    pool.iod_delete(iod);

    let closed = closed_port().unwrap();
    let iod = pool.iod_new();
    pool.connect_tcp(iod, closed.address(), Some(ms(2000)), Seen::connected);
    finish(&mut pool, &mut seen);
    let names = [("<server>", server.address()), ("<closed>", closed.address())];
    assert_eq!(masked(&transcript, &names), include_str!("../fixtures/classic/tcp_info.txt"));
}

#[test]
fn a_silent_host_at_info() {
    let silent = full_backlog().unwrap();
    let (mut pool, mut seen, transcript) = pool(Level::Info);
    let iod = pool.iod_new();
    pool.connect_tcp(iod, silent.address(), Some(ms(50)), Seen::connected);
    finish(&mut pool, &mut seen);
    let text = masked(&transcript, &[("<silent>", silent.address())]);
    assert_eq!(text, include_str!("../fixtures/classic/tcp_silent.txt"));
}

#[test]
fn timers_and_cancel_at_info() {
    let (mut pool, mut seen, transcript) = pool(Level::Info);
    let other = std::rc::Rc::new(std::cell::Cell::new(None));
    let cancelled = other.clone();
    pool.timer_create(ms(100), move |_: &mut Seen, io: &mut Io<Seen>, ev: Alarm| {
        let other = cancelled.get().unwrap();
        assert!(!io.event_cancel(ev.id));
        assert!(io.event_cancel(other));
        assert!(!io.event_cancel(other));
    });
    other.set(Some(pool.timer_create(ms(500), Seen::alarm)));
    assert_eq!(finish(&mut pool, &mut seen), [Saw::Failed(Failure::Cancelled)]);
    let third = pool.timer_create(ms(500), Seen::alarm);
    assert!(pool.forget(third));
    assert_eq!(finish(&mut pool, &mut seen), []);
    assert_eq!(masked(&transcript, &[]), include_str!("../fixtures/classic/timers_info.txt"));
}

/// Sends so many bytes to an address, with nothing said about it but in the trace.
fn send(pool: &mut Pool<Seen>, iod: IodId, to: SocketAddr, bytes: usize) {
    pool.sendto(iod, to, &vec![b'x'; bytes], LIMIT, Seen::sent);
}

#[test]
fn the_other_requests_and_the_end_of_the_pool_at_info() {
    let (echo, v6) = (UdpEcho::start().unwrap(), TcpEcho::start_at(LOOPBACK_V6, None).unwrap());
    let (mut pool, mut seen, transcript) = pool(Level::Info);
    let iod = pool.iod_new();
    pool.setup_udp(iod, testkit::LOOPBACK_V4).unwrap();
    pool.read(iod, Some(ms(2000)), Seen::received);
    pool.sendto(iod, echo.address(), b"ping", LIMIT, Seen::sent);
    finish(&mut pool, &mut seen);
    // As many bytes as this are not shown.
    pool.readbytes(iod, 80, NO_LIMIT, Seen::received);
    send(&mut pool, iod, echo.address(), 79);
    send(&mut pool, iod, echo.address(), 1);
    finish(&mut pool, &mut seen);

    let iod = pool.iod_new();
    pool.connect_tcp(iod, v6.address(), Some(ms(2000)), Seen::connected);
    finish(&mut pool, &mut seen);
    pool.printf(iod, LIMIT, format_args!("{} {}\x7f\u{e9}", 'a', 'b'), Seen::sent);
    finish(&mut pool, &mut seen);
    pool.read(iod, NO_LIMIT, Seen::received);
    finish(&mut pool, &mut seen);

    let iod = pool.iod_new();
    let connecting = pool.connect_udp(iod, v6.address(), Seen::connected);
    assert!(pool.event_cancel(connecting));
    finish(&mut pool, &mut seen);
    pool.read(iod, NO_LIMIT, Seen::received);
    pool.timer_create(ms(9000), Seen::alarm);
    pool.shutdown(&mut seen);
    let names = [("<echo>", echo.address()), ("<v6>", v6.address())];
    assert_eq!(masked(&transcript, &names), include_str!("../fixtures/classic/requests_info.txt"));
}

#[test]
fn a_request_that_makes_no_sense_has_an_error_with_a_number() {
    let (mut pool, mut seen, transcript) = pool(Level::Info);
    let iod = pool.iod_new();
    assert!(matches!(read(&mut pool, &mut seen, iod), Saw::Failed(Failure::Misuse(_))));
    let last = transcript.messages().pop().unwrap();
    assert_eq!(
        last,
        "nsock_trace_handler_callback(): Callback: READ ERROR [Invalid argument (22)] for EID 10 [peer unspecified]"
    );
}
