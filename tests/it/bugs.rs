//! The bugs of nsock that its specification lists in 9.1, each with a test that it is not made here again.
//!
//! Not here, because what they are about does not exist yet: 2, 7 and 18 (TLS), 8, 9 and 10 (proxies), 11 and 23
//! (capture), the half of 24 about Unix sockets, the half of 20 about completion ports, which is Windows' own. Gone by
//! design: 13 (no engine has a name), the negative timer of 14 (a `Duration` has no sign), the caller's address
//! structure of 17 (addresses are values).

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::fd::AsFd;

use nsock::trace::{Level, Record, Step as Trace};
use nsock::{During, End, EventId, Failure, Misuse, Pool, READ_BYTES_MAX, SocketOptions, Stop};
use rustix::fs::{OFlags, fcntl_getfl};
use testkit::{Step, TcpEcho, TcpScript, UdpServer, in_own_process, open_descriptors};

use crate::support::{LIMIT, Saw, Seen, connect, connect_udp, datagram, finish, got, ms, read};
use crate::sys;

fn pool() -> (Pool<Seen>, Seen) {
    (Pool::new().unwrap(), Seen::default())
}

#[test]
fn bug_01_queued_writes_keep_their_order() {
    let server = TcpScript::start(vec![Step::ReceiveToEnd]).unwrap();
    let (mut pool, mut seen) = pool();
    let iod = pool.iod_new();
    pool.connect_tcp(iod, server.address(), LIMIT, Seen::connected);
    // The second is more than the socket takes at once, so the third has to wait behind a part of it.
    let writes = [b"first".to_vec(), vec![b'2'; 8 << 20], b"third".to_vec()];
    for data in &writes {
        pool.write(iod, data, LIMIT, Seen::sent);
    }
    let lengths = writes.each_ref().map(|data| Saw::Sent(data.len()));
    assert_eq!(finish(&mut pool, &mut seen)[1..], lengths);
    pool.write(iod, b"fourth", LIMIT, Seen::sent);
    pool.write(iod, b"fifth", LIMIT, Seen::sent);
    finish(&mut pool, &mut seen);
    pool.iod_delete(iod);
    assert!(server.wait_finished(1, ms(5000)));
    let mut sent = writes.concat();
    sent.extend(b"fourthfifth");
    assert!(server.received()[0] == sent, "the bytes arrived in another order");
}

#[test]
fn bug_01_a_write_made_while_many_wait_does_not_overtake_them() {
    let server = TcpScript::start(vec![Step::ReceiveToEnd]).unwrap();
    let (mut pool, mut seen) = pool();
    let iod = pool.iod_new();
    pool.connect_tcp(iod, server.address(), LIMIT, |_: &mut Seen, io, ev| {
        io.write(ev.iod, b"last", LIMIT, Seen::sent);
    });
    // More than are sent at one look.
    let writes: Vec<String> = (0..200).map(|number| format!("{number} ")).collect();
    for data in &writes {
        pool.write(iod, data.as_bytes(), LIMIT, Seen::sent);
    }
    finish(&mut pool, &mut seen);
    pool.iod_delete(iod);
    assert!(server.wait_finished(1, ms(5000)));
    assert_eq!(String::from_utf8_lossy(&server.received()[0]), writes.concat() + "last");
}

#[test]
fn bug_03_a_request_made_in_a_cancelled_handler_is_served() {
    let server = TcpEcho::start().unwrap();
    let (mut pool, mut seen) = pool();
    let iod = connect(&mut pool, &mut seen, server.address());
    let waiting = pool.read(iod, LIMIT, |seen: &mut Seen, io, ev| {
        assert_eq!(ev.outcome, Err(Failure::Cancelled));
        io.read(ev.iod, LIMIT, Seen::received);
        io.write(ev.iod, b"again", LIMIT, Seen::sent);
        io.timer_create(ms(5), Seen::alarm);
        seen.received(io, ev);
    });
    assert!(pool.event_cancel(waiting));
    let saw = finish(&mut pool, &mut seen);
    assert_eq!(saw.len(), 4);
    assert_eq!(saw[0], Saw::Failed(Failure::Cancelled));
    for served in [got("again", End::Enough), Saw::Sent(5), Saw::Alarm] {
        assert!(saw.contains(&served), "{served:?} in {saw:?}");
    }
}

#[test]
fn bug_04_deleting_an_iod_and_requesting_in_a_killed_handler_are_harmless() {
    let server = TcpEcho::start().unwrap();
    let (mut pool, mut seen) = pool();
    let iod = connect(&mut pool, &mut seen, server.address());
    for _ in 0..2 {
        pool.read(iod, None, |seen: &mut Seen, io, ev| {
            io.iod_delete(ev.iod);
            assert_eq!(io.timer_create(ms(1), Seen::alarm), EventId::REFUSED);
            assert_eq!(io.read(ev.iod, None, Seen::received), EventId::REFUSED);
            seen.received(io, ev);
        });
    }
    pool.timer_create(ms(10_000), Seen::alarm);
    pool.shutdown(&mut seen);
    // The first read's handler deletes the IOD silently, so the second read's never runs.
    assert_eq!(seen.take(), vec![Saw::Failed(Failure::Killed); 2]);
}

#[test]
fn bug_05_the_standard_input_is_not_closed_with_its_iod() {
    let (mut pool, _) = pool();
    let before = rustix::fs::fstat(rustix::stdio::stdin()).unwrap();
    let iod = pool.iod_stdin().unwrap();
    assert!(pool.iod_delete(iod));
    drop(pool);
    let after = rustix::fs::fstat(rustix::stdio::stdin()).unwrap();
    assert_eq!((before.st_dev, before.st_ino), (after.st_dev, after.st_ino));
}

#[test]
fn bug_06_datagrams_are_neither_ends_of_stream_nor_cut_nor_merged() {
    let answers = [Vec::new(), vec![b'a'; 9000], b"four".to_vec(), vec![b'b'; 65_507], Vec::new()];
    let all = answers.to_vec();
    let server = UdpServer::start(move |_, _| all.clone()).unwrap();
    let (mut pool, mut seen) = pool();
    let iod = connect_udp(&mut pool, &mut seen, server.address());
    pool.write(iod, b"go", LIMIT, Seen::sent);
    finish(&mut pool, &mut seen);
    for answer in &answers {
        assert!(read(&mut pool, &mut seen, iod) == datagram(answer, server.address()), "{}", answer.len());
    }
}

#[test]
fn bug_12_a_file_and_a_stale_id_end_no_process() {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(b"in a file").unwrap();
    file.rewind().unwrap();
    let (mut pool, mut seen) = pool();
    let iod = pool.iod_adopt(&file).unwrap();
    assert_eq!(read(&mut pool, &mut seen, iod), got("in a file", End::Enough));
    assert_eq!(read(&mut pool, &mut seen, iod), Saw::Failed(Failure::Eof));

    let over = pool.timer_create(ms(0), Seen::alarm);
    finish(&mut pool, &mut seen);
    for stale in [over, EventId::REFUSED] {
        assert!(!pool.event_cancel(stale));
        assert!(!pool.forget(stale));
        assert!(!pool.is_pending(stale));
    }
}

#[test]
fn bug_14_zero_timers_that_rearm_do_not_starve_the_loop() {
    fn again(seen: &mut Seen, io: &mut nsock::Io<Seen>, ev: nsock::Alarm) {
        seen.alarm(io, ev);
        io.timer_create(ms(0), again);
    }
    let server = TcpEcho::start().unwrap();
    let (mut pool, mut seen) = pool();
    let iod = connect(&mut pool, &mut seen, server.address());
    pool.timer_create(ms(0), again);
    // One turn fires one generation.
    assert_eq!(pool.run(&mut seen, Some(ms(0))).unwrap(), Stop::TimedOut);
    assert_eq!(seen.take(), [Saw::Alarm]);
    let reading = pool.read(iod, LIMIT, Seen::received);
    pool.write(iod, b"hello", LIMIT, Seen::sent);
    let start = pool.now();
    assert_eq!(pool.run(&mut seen, Some(ms(100))).unwrap(), Stop::TimedOut);
    let took = pool.now() - start;
    assert!(took >= ms(100) && took < ms(1000), "{took:?}");
    assert_eq!(seen.of(reading), Some(&got("hello", End::Enough)));
    assert!(seen.log.len() > 10);
}

#[test]
fn bug_15_a_read_that_meets_its_bound_does_not_stall_what_is_left() {
    let long = vec![b'x'; READ_BYTES_MAX + 70_000];
    let server = TcpScript::start(vec![Step::Send(long.clone()), Step::Stall]).unwrap();
    let (mut pool, mut seen) = pool();
    let iod = connect(&mut pool, &mut seen, server.address());
    pool.readlines(iod, 1, LIMIT, Seen::received);
    let saw = finish(&mut pool, &mut seen).remove(0);
    let Saw::Got { bytes, end: End::Full, .. } = saw else { panic!("{saw:?}") };
    // The news of the rest is taken in while nobody reads. After that, nothing more comes: what is in the kernel's
    // buffer has to be found without news.
    pool.timer_create(ms(50), Seen::alarm);
    finish(&mut pool, &mut seen);
    pool.readbytes(iod, long.len() - bytes.len(), LIMIT, Seen::received);
    let saw = finish(&mut pool, &mut seen).remove(0);
    let Saw::Got { bytes: rest, end: End::Enough, .. } = saw else { panic!("{saw:?}") };
    assert!([bytes, rest].concat() == long);
}

#[test]
fn bug_16_a_second_connect_on_an_iod_is_refused_and_leaks_nothing() {
    in_own_process("bugs::bug_16_a_second_connect_on_an_iod_is_refused_and_leaks_nothing", || {
        let server = TcpEcho::start().unwrap();
        let (mut pool, mut seen) = pool();
        let iod = connect(&mut pool, &mut seen, server.address());
        pool.write(iod, b"one", LIMIT, Seen::sent);
        pool.readbytes(iod, 3, LIMIT, Seen::received);
        finish(&mut pool, &mut seen);
        let open = open_descriptors().unwrap();
        pool.connect_tcp(iod, server.address(), LIMIT, Seen::connected);
        pool.connect_udp(iod, server.address(), Seen::connected);
        let refused = Saw::Failed(Failure::Misuse(Misuse::AlreadyConnected));
        assert_eq!(finish(&mut pool, &mut seen), [refused.clone(), refused]);
        assert_eq!(open_descriptors().unwrap(), open);
        // The first connection still works.
        pool.write(iod, b"two", LIMIT, Seen::sent);
        finish(&mut pool, &mut seen);
        assert_eq!(read(&mut pool, &mut seen, iod), got("two", End::Enough));
    });
}

#[test]
fn bug_17_an_adopted_descriptor_keeps_its_flags() {
    let (reader, writer) = std::io::pipe().unwrap();
    let (socket, _peer) = std::os::unix::net::UnixStream::pair().unwrap();
    let (mut pool, mut seen) = pool();
    for descriptor in [reader.as_fd(), writer.as_fd(), socket.as_fd()] {
        let before = fcntl_getfl(descriptor).unwrap();
        assert!(!before.contains(OFlags::NONBLOCK));
        let iod = pool.iod_adopt(descriptor).unwrap();
        pool.read(iod, Some(ms(10)), Seen::received);
        assert_eq!(fcntl_getfl(descriptor).unwrap(), before);
        finish(&mut pool, &mut seen);
        assert_eq!(fcntl_getfl(descriptor).unwrap(), before);
        pool.iod_delete(iod);
        assert_eq!(fcntl_getfl(descriptor).unwrap(), before);
    }
}

#[test]
fn bug_19_deleted_iods_are_reclaimed_at_once_wherever_they_are_deleted() {
    in_own_process("bugs::bug_19_deleted_iods_are_reclaimed_at_once_wherever_they_are_deleted", || {
        let server = UdpServer::start(|_, _| Vec::new()).unwrap();
        let (mut pool, mut seen) = pool();
        let open = open_descriptors().unwrap();
        let mut options = SocketOptions::default();
        options.ip_options = vec![1, 1, 1, 0];
        let iods: Vec<_> = (0..50)
            .map(|_| {
                let iod = pool.iod_new();
                assert!(pool.iod_set_options(iod, options.clone()));
                assert!(pool.iod_set_options(iod, options.clone()));
                pool.connect_udp(iod, server.address(), Seen::connected);
                pool.read(iod, None, Seen::received);
                iod
            })
            .collect();
        pool.run(&mut seen, Some(ms(0))).unwrap();
        assert_eq!(open_descriptors().unwrap(), open + 50);
        let timed = iods.clone();
        pool.timer_create(ms(0), move |_: &mut Seen, io, _| {
            for iod in timed {
                io.iod_delete(iod);
            }
            assert_eq!(open_descriptors().unwrap(), open);
            assert!(io.report().iods.is_empty());
        });
        seen.take();
        assert_eq!(finish(&mut pool, &mut seen), []);
        assert!(!pool.iod_delete(iods[0]));
    });
}

#[test]
fn bug_20_a_cancelled_read_loses_no_data() {
    let server = TcpScript::start(vec![Step::Send(b"half a line".to_vec()), Step::Stall]).unwrap();
    let (mut pool, mut seen) = pool();
    let iod = connect(&mut pool, &mut seen, server.address());
    let line = pool.readlines(iod, 1, None, Seen::received);
    while pool.iod_bytes(iod) != Some((11, 0)) {
        pool.run(&mut seen, Some(ms(10))).unwrap();
    }
    assert!(pool.event_cancel(line));
    assert_eq!(finish(&mut pool, &mut seen), [Saw::Failed(Failure::Cancelled)]);
    assert_eq!(read(&mut pool, &mut seen, iod), got("half a line", End::Enough));
}

#[test]
fn bug_21_the_last_millisecond_before_a_deadline_is_no_busy_loop() {
    let (mut pool, mut seen) = pool();
    pool.trace_ring(1000);
    let start = pool.now();
    let after = std::time::Duration::from_micros(20_900);
    pool.timer_create(after, Seen::alarm);
    finish(&mut pool, &mut seen);
    assert!(pool.now() - start >= after, "it fired early");
    let turns = pool.ring().unwrap().iter().filter(|record| record.step == Trace::Turn).count();
    assert!(turns <= 2, "{turns} turns for one timer");
}

#[test]
fn bug_22_a_trace_sink_cannot_change_the_error_of_a_request() {
    let (mut pool, mut seen) = pool();
    pool.trace_to(Level::Full, |_: &Record<'_>| {
        // Leaves ENOENT behind in errno.
        assert!(File::open("/nonexistent").and_then(|mut file| file.read(&mut [0])).is_err());
    });
    let mut options = SocketOptions::default();
    options.local = Some("192.0.2.1:0".parse().unwrap());
    pool.set_options(options);
    let iod = pool.iod_new();
    pool.connect_tcp(iod, testkit::LOOPBACK_V4, LIMIT, Seen::connected);
    let unavailable = Failure::Io { errno: libc::EADDRNOTAVAIL, during: During::Bind };
    assert_eq!(finish(&mut pool, &mut seen), [Saw::Failed(unavailable)]);
}

#[test]
fn bug_24_signals_do_not_extend_the_limit_of_the_loop() {
    in_own_process("bugs::bug_24_signals_do_not_extend_the_limit_of_the_loop", || {
        let (mut pool, mut seen) = pool();
        pool.trace_ring(1000);
        pool.timer_create(ms(10_000), Seen::alarm);
        let start = pool.now();
        let (stop, signals) = sys::under_signals(ms(10), || pool.run(&mut seen, Some(ms(200))).unwrap());
        let took = pool.now() - start;
        assert_eq!(stop, Stop::TimedOut);
        assert!(took >= ms(200) && took < ms(400), "{took:?}");
        let turns = pool.ring().unwrap().iter().filter(|record| record.step == Trace::Turn).count();
        assert!(signals >= 5 && turns >= 5, "{signals} signals woke the loop {turns} times");
    });
}
