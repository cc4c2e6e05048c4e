//! Being connected to, and ending one direction: what nsock does not have.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::thread;

use nsock::trace::Level;
use nsock::{Accepted, During, End, Event, Failure, Fault, Io, IodId, Kind, Misuse, Notice, Pool};
use testkit::{
    Oracle, TlsServer, TlsSetup, TraceEnd, descriptor_limit_leaving, exclusive, in_own_process,
    with_descriptor_limit,
};

use crate::support::{LIMIT, Saw, Seen, Transcript, finish, got, ms};

/// Who came, in the order of the handlers.
#[derive(Default)]
struct Door {
    came: Vec<Result<Accepted, Failure>>,
}

impl Door {
    fn accepted(&mut self, _: &mut Io<Self>, ev: Event<Accepted>) {
        self.came.push(ev.outcome);
    }
}

/// A pool with an IOD that listens.
fn door() -> (Pool<Door>, IodId, SocketAddr) {
    let mut pool = Pool::<Door>::new().unwrap();
    let iod = pool.iod_new();
    pool.listen_tcp(iod, testkit::LOOPBACK_V4).unwrap();
    let address = pool.iod_local(iod).unwrap();
    assert_ne!(address.port(), 0);
    (pool, iod, address)
}

fn visit(address: SocketAddr) -> (TcpStream, SocketAddr) {
    let visitor = TcpStream::connect(address).unwrap();
    let local = visitor.local_addr().unwrap();
    (visitor, local)
}

#[test]
fn each_connection_goes_to_one_accept_in_the_order_of_both() {
    let (mut pool, iod, address) = door();
    let transcript = Transcript::of(&mut pool, Level::Info);
    let visitors: Vec<_> = (0..3).map(|_| visit(address)).collect();
    for _ in 0..3 {
        pool.accept(iod, LIMIT, Door::accepted);
    }
    let mut door = Door::default();
    pool.run(&mut door, LIMIT).unwrap();
    let peers: Vec<_> = door.came.iter().map(|came| came.unwrap().peer.unwrap()).collect();
    assert_eq!(peers, visitors.iter().map(|(_, local)| *local).collect::<Vec<_>>());
    let numbers: Vec<_> = door.came.iter().map(|came| came.unwrap().iod.number()).collect();
    assert_eq!(numbers, [2, 3, 4]);
    let lines = transcript.messages();
    let first = lines.iter().position(|line| line.contains("Callback: ACCEPT SUCCESS for EID 15")).unwrap();
    assert_eq!(lines[first + 1], "nsock_iod_new2(): nsock_iod_new (IOD #2)", "{lines:#?}");
    for came in &door.came {
        assert_eq!(pool.iod_peer(came.unwrap().iod), came.unwrap().peer);
        assert!(pool.iod_delete(came.unwrap().iod));
    }
    let lines = transcript.messages();
    let accepted = "nsock_accept(): Accept request from IOD #1 (timeout: 5000ms) EID 15";
    assert_eq!(lines[0], accepted, "{lines:#?}");
    let callbacks: Vec<_> =
        lines.iter().filter(|line| line.contains("Callback: ACCEPT SUCCESS for EID ")).collect();
    assert_eq!(callbacks.len(), 3, "{lines:#?}");
    for (callback, (_, local)) in callbacks.iter().zip(&visitors) {
        assert!(callback.ends_with(&format!(" [{local}]")), "{callback} names the visitor");
    }
}

#[test]
fn an_accept_waits_for_its_time_and_the_connection_that_comes_later_is_not_lost() {
    let (mut pool, iod, address) = door();
    pool.accept(iod, Some(ms(5)), Door::accepted);
    let mut door = Door::default();
    pool.run(&mut door, LIMIT).unwrap();
    assert_eq!(door.came, [Err(Failure::TimedOut)]);
    let _visitor = visit(address);
    pool.accept(iod, LIMIT, Door::accepted);
    pool.run(&mut door, LIMIT).unwrap();
    assert!(door.came[1].is_ok());
}

#[test]
fn a_connection_whose_accept_was_cancelled_goes_to_the_next_one() {
    let (mut pool, iod, address) = door();
    let (mut visitor, local) = visit(address);
    // Of two accepts, the handler of a timer that is older cancels the first when both may be finished.
    let first = pool.accept(iod, LIMIT, Door::accepted);
    let mut door = Door::default();
    pool.run(&mut door, Some(ms(0))).unwrap();
    if door.came.is_empty() {
        assert!(pool.event_cancel(first));
    }
    pool.accept(iod, LIMIT, Door::accepted);
    pool.run(&mut door, Some(ms(50))).unwrap();
    let accepted = door.came.iter().find_map(|came| came.ok()).expect("the connection is not lost");
    assert_eq!(accepted.peer, Some(local));
    visitor.write_all(b"still here").unwrap();
    pool.iod_delete(accepted.iod);
}

#[test]
fn a_finished_accept_that_is_cancelled_gives_its_connection_back() {
    let mut engine = nsock::Engine::new().unwrap();
    let iod = engine.iod_new();
    engine.listen_tcp(iod, testkit::LOOPBACK_V4).unwrap();
    let (_visitor, local) = visit(engine.iod_local(iod).unwrap());
    let first = engine.submit(nsock::Request::Accept { iod }, None);
    engine.turn(LIMIT).unwrap();
    // Finished, not delivered.
    assert!(engine.is_pending(first) && engine.cancel(first, Notice::Silent));
    assert_eq!(engine.report().iods.len(), 1, "no IOD for a connection that nobody took");
    let second = engine.submit(nsock::Request::Accept { iod }, None);
    let done = loop {
        engine.turn(LIMIT).unwrap();
        if let Some(done) = engine.next_done() {
            break done;
        }
    };
    assert_eq!((done.id, done.kind), (second, Kind::Accept));
    let Ok(nsock::Output::Accepted(accepted)) = done.outcome else { panic!("{done:?}") };
    assert_eq!(accepted.peer, Some(local));
    assert_eq!(engine.iod_peer(accepted.iod), Some(local));
}

#[test]
fn deleting_a_listener_ends_its_accepts_and_refuses_later_visitors() {
    let (mut pool, iod, address) = door();
    pool.accept(iod, LIMIT, Door::accepted);
    pool.iod_delete_notify(iod);
    let mut door = Door::default();
    pool.run(&mut door, LIMIT).unwrap();
    assert_eq!(door.came, [Err(Failure::Cancelled)]);
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn without_descriptors_an_accept_fails_here_and_the_connection_waits() {
    in_own_process("listening::without_descriptors_an_accept_fails_here_and_the_connection_waits", || {
        let (mut pool, iod, address) = door();
        let _visitor = visit(address);
        let mut door = Door::default();
        let limit = descriptor_limit_leaving(0).unwrap();
        with_descriptor_limit(&exclusive(), limit, || {
            pool.accept(iod, LIMIT, Door::accepted);
            pool.run(&mut door, LIMIT).unwrap();
        })
        .unwrap();
        let failure = door.came[0].unwrap_err();
        assert_eq!(failure, Failure::Io { errno: libc::EMFILE, during: During::Accept });
        assert_eq!(failure.fault(), Fault::Local);
        pool.accept(iod, LIMIT, Door::accepted);
        pool.run(&mut door, LIMIT).unwrap();
        assert!(door.came[1].is_ok(), "{:?}", door.came);
    });
}

#[test]
fn a_unix_socket_listens_and_its_path_has_to_be_free() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("door");
    let mut pool = Pool::<Door>::new().unwrap();
    let (iod, other) = (pool.iod_new(), pool.iod_new());
    pool.listen_unixsock(iod, &path).unwrap();
    let taken = pool.listen_unixsock(other, &path).unwrap_err();
    assert_eq!(taken, Failure::Io { errno: libc::EADDRINUSE, during: During::Bind });
    let _visitor = UnixStream::connect(&path).unwrap();
    pool.accept(iod, LIMIT, Door::accepted);
    let mut door = Door::default();
    pool.run(&mut door, LIMIT).unwrap();
    assert_eq!(door.came[0].unwrap().peer, None);
}

#[test]
fn an_address_in_use_is_told_and_leaves_the_iod_as_it_was() {
    let (mut pool, _, address) = door();
    let transcript = Transcript::of(&mut pool, Level::Error);
    let other = pool.iod_new();
    let taken = pool.listen_tcp(other, address).unwrap_err();
    assert!(matches!(taken, Failure::Io { errno: libc::EADDRINUSE, during: During::Bind | During::Listen }));
    assert_eq!(taken.fault(), Fault::Local);
    let failed = format!("(IOD #{other}): Address already in use (98)");
    assert!(transcript.messages().iter().any(|line| line.ends_with(&failed)), "{}", transcript.text());
    pool.listen_tcp(other, testkit::LOOPBACK_V4).unwrap();
}

#[test]
fn what_cannot_be_is_a_misuse_with_what_to_do() {
    let (mut pool, iod, address) = door();
    assert_eq!(pool.listen_tcp(iod, address), Err(Failure::Misuse(Misuse::AlreadyConnected)));
    let read = pool.read(iod, LIMIT, |_, _, _| ());
    let write = pool.write(iod, b"x", LIMIT, |_, _, _| ());
    let idle = pool.iod_new();
    let (accept, shutdown) =
        (pool.accept(idle, LIMIT, |_, _, _| ()), pool.shutdown_write(idle, LIMIT, |_, _, _| ()));
    let udp = pool.iod_new();
    pool.setup_udp(udp, testkit::LOOPBACK_V4).unwrap();
    let datagram = pool.shutdown_write(udp, LIMIT, |_, _, _| ());
    let misuses = [read, write, accept, shutdown, datagram].map(|event| pool.failure(event).unwrap());
    let expected =
        [Misuse::Listening, Misuse::Listening, Misuse::NotListening, Misuse::NotConnected, Misuse::NotStream];
    assert_eq!(misuses, expected.map(Failure::Misuse));
    pool.run(&mut Door::default(), LIMIT).unwrap();
}

#[test]
fn half_close_comes_after_the_writes_and_the_answer_is_still_read() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let peer = thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let mut all = Vec::new();
        // To the end, which only a half-close brings.
        socket.read_to_end(&mut all).unwrap();
        socket.write_all(format!("{} bytes", all.len()).as_bytes()).unwrap();
    });
    let (mut pool, mut seen) = (Pool::<Seen>::new().unwrap(), Seen::default());
    let iod = pool.iod_new();
    pool.connect_tcp(iod, address, LIMIT, Seen::connected);
    // More than the socket takes at once.
    pool.write(iod, &vec![7; 4 << 20], LIMIT, Seen::sent);
    pool.shutdown_write(iod, LIMIT, Seen::sent);
    pool.readbytes(iod, 100, LIMIT, Seen::received);
    let expected =
        [Saw::Connected(address), Saw::Sent(4 << 20), Saw::Sent(0), got("4194304 bytes", End::Eof)];
    assert_eq!(finish(&mut pool, &mut seen), expected);
    pool.write(iod, b"late", LIMIT, Seen::sent);
    let late = finish(&mut pool, &mut seen);
    // Not the peer's fault, as EPIPE would be.
    assert_eq!(late, [Saw::Failed(Failure::Misuse(Misuse::WriteShut))]);
    peer.join().unwrap();
}

#[test]
fn half_close_over_tls_tells_the_peer_the_end_there_too() {
    let server = TlsServer::start(TlsSetup::new().unwrap(), |peer| {
        peer.handshake()?;
        let mut all = Vec::new();
        // Without close_notify this would be an error of truncation.
        peer.read_to_end(&mut all)?;
        peer.write_all(&all)?;
        peer.close()
    })
    .unwrap();
    let (mut pool, mut seen) = (Pool::<Seen>::new().unwrap(), Seen::default());
    let iod = pool.iod_new();
    pool.connect_ssl(iod, server.address(), LIMIT, Seen::connected);
    pool.write(iod, b"over and out", LIMIT, Seen::sent);
    pool.shutdown_write(iod, LIMIT, Seen::sent);
    pool.readbytes(iod, 100, LIMIT, Seen::received);
    let expected =
        [Saw::Connected(server.address()), Saw::Sent(12), Saw::Sent(0), got("over and out", End::Eof)];
    assert_eq!(finish(&mut pool, &mut seen), expected);
    pool.write(iod, b"late", LIMIT, Seen::sent);
    assert_eq!(finish(&mut pool, &mut seen), [Saw::Failed(Failure::Misuse(Misuse::WriteShut))]);
}

#[test]
fn a_listener_of_somebody_else_accepts_without_blocking() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut pool = Pool::<Door>::new().unwrap();
    let iod = pool.iod_adopt(&listener).unwrap();
    let mut door = Door::default();
    pool.accept(iod, Some(ms(5)), Door::accepted);
    pool.run(&mut door, LIMIT).unwrap();
    let (_visitor, local) = visit(listener.local_addr().unwrap());
    pool.accept(iod, LIMIT, Door::accepted);
    // The second finds nobody: the socket is in blocking mode, and the loop goes on nevertheless.
    pool.accept(iod, Some(ms(5)), Door::accepted);
    pool.run(&mut door, LIMIT).unwrap();
    let peers: Vec<_> = door.came.iter().map(|came| came.map(|accepted| accepted.peer)).collect();
    assert_eq!(peers, [Err(Failure::TimedOut), Ok(Some(local)), Err(Failure::TimedOut)]);
    assert!(!rustix::fs::fcntl_getfl(&listener).unwrap().contains(rustix::fs::OFlags::NONBLOCK));
}

#[test]
fn accepted_connections_have_the_options_of_the_listener() {
    let mut pool = Pool::<Door>::new().unwrap();
    let iod = pool.iod_new();
    let mut options = nsock::SocketOptions::default();
    options.nodelay = true;
    options.linger = Some(ms(0));
    pool.iod_set_options(iod, options);
    pool.listen_tcp(iod, testkit::LOOPBACK_V4).unwrap();
    let _visitor = visit(pool.iod_local(iod).unwrap());
    pool.accept(iod, LIMIT, Door::accepted);
    let mut door = Door::default();
    pool.run(&mut door, LIMIT).unwrap();
    let fd = pool.iod_fd(door.came[0].unwrap().iod).unwrap();
    let socket = socket2::SockRef::from(&fd);
    assert_eq!((socket.tcp_nodelay().unwrap(), socket.linger().unwrap()), (true, Some(ms(0))));
}

/// Visitors and accepts in any order, some accepts cancelled, forgotten or out of time: each visitor is let in once, in
/// the order of arrival, and the trace keeps the contract.
#[test]
fn no_visitor_is_lost_or_overtaken_whatever_becomes_of_the_accepts() {
    for seed in 0..20 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let oracle = Oracle::new();
        let (mut pool, iod, address) = {
            let mut pool = Pool::<Door>::new().unwrap();
            pool.trace_to(Level::Full, oracle.clone());
            let iod = pool.iod_new();
            pool.listen_tcp(iod, testkit::LOOPBACK_V4).unwrap();
            let address = pool.iod_local(iod).unwrap();
            (pool, iod, address)
        };
        let (mut door, mut visitors, mut asked) = (Door::default(), Vec::new(), Vec::new());
        for _ in 0..60 {
            match rng.usize(0..6) {
                0 | 1 => visitors.push(visit(address)),
                2 | 3 => {
                    let limit = rng.choice([None, Some(ms(0)), Some(ms(1)), LIMIT]).unwrap();
                    asked.push(pool.accept(iod, limit, Door::accepted));
                }
                4 => {
                    if let Some(&event) = rng.choice(&asked) {
                        let _ = if rng.bool() { pool.event_cancel(event) } else { pool.forget(event) };
                    }
                }
                _ => {
                    pool.run(&mut door, Some(ms(rng.u64(0..2)))).unwrap();
                }
            }
        }
        while door.came.iter().flatten().count() < visitors.len() {
            pool.accept(iod, LIMIT, Door::accepted);
            pool.run(&mut door, Some(ms(1))).unwrap();
        }
        let came: Vec<_> = door.came.iter().flatten().filter_map(|accepted| accepted.peer).collect();
        assert_eq!(came, visitors.iter().map(|(_, local)| *local).collect::<Vec<_>>(), "seed {seed}");
        pool.shutdown(&mut door);
        assert_eq!(oracle.finish(TraceEnd::Complete), [], "seed {seed}");
    }
}
