//! What the system and the peers do wrong: each becomes an outcome that says whose fault it was.

use std::net::UdpSocket;

use nsock::trace::Level;
use nsock::{During, End, Error, Failure, Fault, IodId, Pool, SocketOption, SocketOptions, Stop};
use testkit::{
    Lab, SCANNER_LINK, Step, TARGETS_V6, TcpEcho, TcpScript, UdpEcho, closed_port, descriptor_limit_leaving,
    exclusive, full_backlog, in_own_process, need_tool, open_descriptors, with_descriptor_limit,
};

use crate::support::{LIMIT, Saw, Seen, Transcript, connect, connect_udp, finish, got, ms, read};
use crate::sys;

fn against(steps: Vec<Step>) -> (TcpScript, Pool<Seen>, Seen, IodId) {
    let server = TcpScript::start(steps).unwrap();
    let (mut pool, mut seen) = (Pool::new().unwrap(), Seen::default());
    let iod = connect(&mut pool, &mut seen, server.address());
    (server, pool, seen, iod)
}

#[test]
fn running_out_of_descriptors_is_a_local_failure_of_each_request_and_passes() {
    in_own_process(
        "faults::running_out_of_descriptors_is_a_local_failure_of_each_request_and_passes",
        || {
            let server = TcpEcho::start().unwrap();
            let (mut pool, mut seen) = (Pool::new().unwrap(), Seen::default());
            let transcript = Transcript::of(&mut pool, Level::Error);
            let right = exclusive();
            let open = open_descriptors().unwrap();
            let limit = descriptor_limit_leaving(0).unwrap();
            with_descriptor_limit(&right, limit, || {
                let (tcp, udp, bound) = (pool.iod_new(), pool.iod_new(), pool.iod_new());
                let id = pool.connect_tcp(tcp, server.address(), LIMIT, Seen::connected);
                pool.connect_udp(udp, server.address(), Seen::connected);
                let no_descriptor = Failure::Io { errno: libc::EMFILE, during: During::Socket };
                assert_eq!(pool.failure(id), Some(no_descriptor));
                assert_eq!(pool.setup_udp(bound, testkit::LOOPBACK_V4), Err(no_descriptor));
                assert_eq!(finish(&mut pool, &mut seen), vec![Saw::Failed(no_descriptor); 2]);
                assert_eq!(no_descriptor.fault(), Fault::Local);
                assert!(matches!(Pool::<Seen>::new(), Err(Error::Create(_))));
                assert!(matches!(pool.iod_stdin(), Err(Error::Adopt(_))));
                for iod in [tcp, udp, bound] {
                    assert!(pool.iod_delete(iod));
                }
            })
            .unwrap();
            let trouble = "nsock_make_socket(): Socket trouble: Too many open files";
            assert_eq!(transcript.messages(), [trouble; 3]);
            assert!(transcript.text().starts_with("NSOCK ERROR ["));
            assert_eq!(open_descriptors().unwrap(), open);
            connect(&mut pool, &mut seen, server.address());
        },
    );
}

#[test]
fn a_full_send_queue_is_a_local_failure() {
    if !need_tool("tc") {
        return;
    }
    let Some(lab) = Lab::new("full-queue").unwrap() else { return };
    // A queue of no packets: the kernel answers ENOBUFS to every send that asked to be told.
    let queue = ["qdisc", "add", "dev", SCANNER_LINK, "root", "pfifo", "limit", "0"];
    assert!(lab.scanner_command("tc").args(queue).status().unwrap().success());
    lab.in_scanner(|| {
        let (mut pool, mut seen) = (Pool::new().unwrap(), Seen::default());
        let iod = connect_udp(&mut pool, &mut seen, (TARGETS_V6[0], 9).into());
        sys::report_send_errors(pool.iod_fd(iod).unwrap()).unwrap();
        pool.write(iod, b"dropped here", LIMIT, Seen::sent);
        let full = Failure::Io { errno: libc::ENOBUFS, during: During::Write };
        assert_eq!(finish(&mut pool, &mut seen), [Saw::Failed(full)]);
        assert_eq!(full.fault(), Fault::Local);
        assert_eq!(pool.iod_bytes(iod), Some((0, 0)));
    })
    .unwrap();
}

#[test]
fn a_reset_in_the_middle_of_a_read_comes_after_the_data() {
    let (_server, mut pool, mut seen, iod) =
        against(vec![Step::Send(b"one\n".to_vec()), Step::Sleep(ms(30)), Step::Reset]);
    pool.readlines(iod, 3, LIMIT, Seen::received);
    assert_eq!(finish(&mut pool, &mut seen), [got("one\n", End::Error)]);
    let reset = Failure::Io { errno: libc::ECONNRESET, during: During::Read };
    assert_eq!(read(&mut pool, &mut seen, iod), Saw::Failed(reset));
    assert_eq!(reset.fault(), Fault::Peer);
    // Whatever the system says of a dead socket, it is said at once.
    assert!(matches!(read(&mut pool, &mut seen, iod), Saw::Failed(_)));
    pool.write(iod, b"too late", LIMIT, Seen::sent);
    let broken = Failure::Io { errno: libc::EPIPE, during: During::Write };
    assert_eq!(finish(&mut pool, &mut seen), [Saw::Failed(broken)]);
}

#[test]
fn a_reset_that_was_there_before_the_read_comes_after_the_data_too() {
    let (server, mut pool, mut seen, iod) = against(vec![Step::Send(b"one\ntwo".to_vec()), Step::Reset]);
    assert!(server.wait_finished(1, ms(5000)));
    pool.readlines(iod, 2, LIMIT, Seen::received);
    assert_eq!(finish(&mut pool, &mut seen), [got("one\ntwo", End::Error)]);
    pool.readlines(iod, 2, LIMIT, Seen::received);
    let reset = Failure::Io { errno: libc::ECONNRESET, during: During::Read };
    assert_eq!(finish(&mut pool, &mut seen), [Saw::Failed(reset)]);
}

#[test]
fn a_peer_that_half_closes_can_still_be_written_to() {
    let (server, mut pool, mut seen, iod) =
        against(vec![Step::Send(b"bye".to_vec()), Step::HalfClose, Step::ReceiveLine]);
    pool.readlines(iod, 1, LIMIT, Seen::received);
    assert_eq!(finish(&mut pool, &mut seen), [got("bye", End::Eof)]);
    assert_eq!(read(&mut pool, &mut seen, iod), Saw::Failed(Failure::Eof));
    pool.write(iod, b"and thanks\n", LIMIT, Seen::sent);
    assert_eq!(finish(&mut pool, &mut seen), [Saw::Sent(11)]);
    assert!(server.wait_finished(1, ms(5000)));
    assert_eq!(server.received(), [b"and thanks\n"]);
}

#[test]
fn a_peer_that_dribbles_is_read_to_the_line_or_to_the_limit() {
    let dribble = Step::Dribble { bytes: b"220 hello\r\n".repeat(2), every: ms(8) };
    let (_server, mut pool, mut seen, iod) = against(vec![dribble]);
    pool.trace_ring(1000);
    pool.readlines(iod, 1, LIMIT, Seen::received);
    assert_eq!(finish(&mut pool, &mut seen), [got("220 hello\r\n", End::Enough)]);
    let pieces = pool
        .ring()
        .unwrap()
        .iter()
        .filter(|record| matches!(record.step, nsock::trace::Step::Partial { bytes: 1, .. }));
    assert!(pieces.count() > 3, "it came in pieces");
    pool.readlines(iod, 1, Some(ms(40)), Seen::received);
    let saw = finish(&mut pool, &mut seen);
    let Saw::Got { bytes, end: End::TimedOut, .. } = &saw[0] else { panic!("{saw:?}") };
    assert!(!bytes.is_empty() && b"220 hello".starts_with(bytes), "{saw:?}");
}

#[test]
fn a_peer_that_takes_nothing_lets_a_write_time_out_and_what_was_sent_is_counted() {
    let (_server, mut pool, mut seen, iod) = against(vec![Step::Stall]);
    let all = 64 << 20;
    pool.write(iod, &vec![0; all], Some(ms(60)), Seen::sent);
    assert_eq!(finish(&mut pool, &mut seen), [Saw::Failed(Failure::TimedOut)]);
    let (_, sent) = pool.iod_bytes(iod).unwrap();
    assert!(sent > 0 && sent < all as u64, "{sent}");
}

#[test]
fn a_closed_port_refuses_and_that_is_the_peers_doing() {
    let closed = closed_port().unwrap();
    let (mut pool, mut seen) = (Pool::new().unwrap(), Seen::default());
    let iod = pool.iod_new();
    pool.connect_tcp(iod, closed.address(), LIMIT, Seen::connected);
    pool.read(iod, LIMIT, Seen::received);
    pool.write(iod, b"behind it", LIMIT, Seen::sent);
    let saw = finish(&mut pool, &mut seen);
    assert_eq!(saw.len(), 3);
    for saw in saw {
        let Saw::Failed(failure) = saw else { panic!("{saw:?}") };
        assert_eq!((failure.errno(), failure.fault()), (Some(libc::ECONNREFUSED), Fault::Peer));
    }
}

#[test]
fn a_silent_host_times_out_and_what_waits_behind_the_connect_fails() {
    let silent = full_backlog().unwrap();
    let (mut pool, mut seen) = (Pool::new().unwrap(), Seen::default());
    let iod = pool.iod_new();
    let start = pool.now();
    let connecting = pool.connect_tcp(iod, silent.address(), Some(ms(80)), Seen::connected);
    let behind = pool.write(iod, b"behind it", LIMIT, Seen::sent);
    assert_eq!(pool.run(&mut seen, LIMIT).unwrap(), Stop::NoEvents);
    let took = pool.now() - start;
    assert!(took >= ms(80) && took < ms(1000), "{took:?}");
    assert_eq!(seen.of(connecting), Some(&Saw::Failed(Failure::TimedOut)));
    let lost = Failure::Io { errno: libc::ETIMEDOUT, during: During::Handshake };
    assert_eq!(seen.of(behind), Some(&Saw::Failed(lost)));
    assert_eq!((Failure::TimedOut.fault(), lost.fault()), (Fault::Peer, Fault::Peer));
}

/// The outcome of a UDP connect with these options.
fn connect_with(options: SocketOptions, to: &str) -> (Saw, Vec<String>) {
    let (mut pool, mut seen) = (Pool::new().unwrap(), Seen::default());
    let transcript = Transcript::of(&mut pool, Level::Error);
    let iod = pool.iod_new();
    assert!(pool.iod_set_options(iod, options));
    pool.connect_udp(iod, to.parse().unwrap(), Seen::connected);
    (finish(&mut pool, &mut seen).remove(0), transcript.messages())
}

#[test]
fn a_local_address_that_is_not_ours_is_a_local_failure() {
    let mut options = SocketOptions::default();
    options.local = Some("192.0.2.1:0".parse().unwrap());
    let failure = Failure::Io { errno: libc::EADDRNOTAVAIL, during: During::Bind };
    let line =
        "mksock_bind_addr(): Bind to 192.0.2.1:0 failed (IOD #1): Cannot assign requested address (99)";
    assert_eq!(connect_with(options, "127.0.0.1:9"), (Saw::Failed(failure), vec![line.to_owned()]));
    assert_eq!(failure.fault(), Fault::Local);
    assert_eq!(failure.to_string(), "binding the local address: Cannot assign requested address (99)");
}

#[test]
fn a_device_that_does_not_exist_is_a_local_failure() {
    let mut options = SocketOptions::default();
    options.device = Some("no-such-device".to_owned());
    let during = During::Option(SocketOption::BindToDevice);
    let failure = Failure::Io { errno: libc::ENODEV, during };
    let line = "mksock_bind_device(): Setting of SO_BINDTODEVICE failed (IOD #1): No such device (19)";
    assert_eq!(connect_with(options, "127.0.0.1:9"), (Saw::Failed(failure), vec![line.to_owned()]));
    assert_eq!(failure.fault(), Fault::Local);
}

#[test]
fn ip_options_are_set_and_bad_ones_are_a_local_failure() {
    let mut options = SocketOptions::default();
    options.ip_options = vec![1; 41];
    let during = During::Option(SocketOption::IpOptions);
    let failure = Failure::Io { errno: libc::EINVAL, during };
    let line = "mksock_set_ipopts(): Setting of IP options failed (IOD #1): Invalid argument (22)";
    assert_eq!(connect_with(options.clone(), "127.0.0.1:9"), (Saw::Failed(failure), vec![line.to_owned()]));
    options.ip_options.truncate(40);
    assert!(matches!(connect_with(options.clone(), "127.0.0.1:9").0, Saw::Connected(_)));
    // They are of IPv4: IPv6 does without them.
    options.ip_options = vec![1; 41];
    assert!(matches!(connect_with(options, "[::1]:9").0, Saw::Connected(_)));
}

#[test]
fn a_broadcast_goes_out_only_where_it_was_asked_for() {
    let forbidden = Failure::Io { errno: libc::EACCES, during: During::Connect };
    let to = "127.255.255.255:9";
    assert_eq!(connect_with(SocketOptions::default(), to).0, Saw::Failed(forbidden));
    assert_eq!(forbidden.fault(), Fault::Local);

    let everybody = UdpSocket::bind("0.0.0.0:0").unwrap();
    everybody.set_read_timeout(LIMIT).unwrap();
    let mut options = SocketOptions::default();
    options.broadcast = true;
    let (mut pool, mut seen) = (Pool::new().unwrap(), Seen::default());
    pool.set_options(options);
    let to = format!("127.255.255.255:{}", everybody.local_addr().unwrap().port()).parse().unwrap();
    let iod = connect_udp(&mut pool, &mut seen, to);
    pool.write(iod, b"all", LIMIT, Seen::sent);
    assert_eq!(finish(&mut pool, &mut seen), [Saw::Sent(3)]);
    let mut buffer = [0; 8];
    assert_eq!(everybody.recv(&mut buffer).unwrap(), 3);
}

#[test]
fn a_local_address_of_the_other_family_is_a_local_failure() {
    let mut options = SocketOptions::default();
    options.local = Some("[::1]:0".parse().unwrap());
    let (saw, lines) = connect_with(options, "127.0.0.1:9");
    let Saw::Failed(failure @ Failure::Io { during: During::Bind, .. }) = saw else { panic!("{saw:?}") };
    assert_eq!((failure.fault(), lines.len()), (Fault::Local, 1));
}

#[test]
fn the_local_address_asked_for_is_the_one_used_on_both_families() {
    for (local, lo) in [("127.0.0.7:0", testkit::LOOPBACK_V4), ("[::1]:0", testkit::LOOPBACK_V6)] {
        let echo = UdpEcho::start_at(lo).unwrap();
        let (mut pool, mut seen) = (Pool::new().unwrap(), Seen::default());
        let mut options = SocketOptions::default();
        options.local = Some(local.parse().unwrap());
        pool.set_options(options);
        let iod = connect_udp(&mut pool, &mut seen, echo.address());
        let used = pool.iod_local(iod).unwrap();
        assert_eq!(used.ip(), local.parse::<std::net::SocketAddr>().unwrap().ip());
        assert_ne!(used.port(), 0);
    }
}
