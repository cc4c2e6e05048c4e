//! Unix sockets: connected by path, and adopted.

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::thread;

use nsock::trace::Level;
use nsock::{During, End, Event, Failure, Fault, Io, Misuse, Pool};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use socket2::{Domain, SockAddr, Socket, Type};

use crate::support::{LIMIT, Saw, Seen, Transcript, finish, got, read};

/// Writes down what came of a connect, without an address.
fn connected(seen: &mut Seen, _: &mut Io<Seen>, ev: Event<()>) {
    seen.log.push((ev.id, ev.outcome.map_or_else(Saw::Failed, |()| Saw::Alarm)));
}

fn pool() -> (Pool<Seen>, Seen, Transcript) {
    let mut pool = Pool::new().unwrap();
    let transcript = Transcript::of(&mut pool, Level::Info);
    (pool, Seen::default(), transcript)
}

#[test]
fn a_stream_is_connected_by_path_and_the_trace_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stream");
    let listener = UnixListener::bind(&path).unwrap();
    let server = thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let mut line = [0; 5];
        socket.read_exact(&mut line).unwrap();
        socket.write_all(&line).unwrap();
    });
    let (mut pool, mut seen, transcript) = pool();
    let iod = pool.iod_new();
    pool.connect_unixsock_stream(iod, &path, LIMIT, connected);
    pool.write(iod, b"hello", LIMIT, Seen::sent);
    pool.readbytes(iod, 6, LIMIT, Seen::received);
    assert_eq!(finish(&mut pool, &mut seen), [Saw::Alarm, Saw::Sent(5), got("hello", End::Eof)]);
    server.join().unwrap();
    assert_eq!(pool.iod_path(iod), Some(path.as_path()));
    let name = path.display();
    assert!(pool.report().to_string().contains(&format!(
        "IOD #1 fd {} {name} ",
        std::os::fd::AsRawFd::as_raw_fd(&pool.iod_fd(iod).unwrap())
    )));
    assert_eq!(
        transcript.messages()[1..],
        [
            format!(
                "nsock_connect_unixsock_stream(): UNIX domain socket (STREAM) connection requested to {name} (IOD #1) (timeout: 5000ms) EID 8"
            ),
            format!("nsock_write(): Write request for 5 bytes to IOD #1 EID 19 [{name}]"),
            format!(
                "nsock_readbytes(): Read request for 6 bytes from IOD #1 [{name}] (timeout: 5000ms) EID 26"
            ),
            format!("nsock_trace_handler_callback(): Callback: CONNECT SUCCESS for EID 8 [{name}]"),
            format!("nsock_trace_handler_callback(): Callback: WRITE SUCCESS for EID 19 [{name}]"),
            format!(
                "nsock_trace_handler_callback(): Callback: READ SUCCESS for EID 26 [{name}] [EOF](5 bytes): hello"
            ),
        ]
    );
}

#[test]
fn datagrams_keep_their_boundaries() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("datagram");
    let server = UnixDatagram::bind(&path).unwrap();
    let (mut pool, mut seen, transcript) = pool();
    let iod = pool.iod_new();
    pool.connect_unixsock_datagram(iod, &path, connected);
    for message in [&b"one"[..], b"", b"three"] {
        pool.write(iod, message, LIMIT, Seen::sent);
    }
    finish(&mut pool, &mut seen);
    let mut buffer = [0; 10];
    let lengths = [(); 3].map(|()| server.recv(&mut buffer).unwrap());
    assert_eq!(lengths, [3, 0, 5]);
    let name = path.display();
    assert_eq!(
        transcript.messages()[1],
        format!(
            "nsock_connect_unixsock_datagram(): UNIX domain socket (DGRAM) connection requested to {name} (IOD #1) EID 8"
        )
    );
}

#[test]
fn a_path_where_nothing_listens_fails_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let gone = folder.path().join("gone");
    drop(UnixListener::bind(&gone).unwrap());
    let long = folder.path().join("x".repeat(200));
    for (path, errno, fault) in [
        (folder.path().join("never"), libc::ENOENT, Fault::Local),
        (gone, libc::ECONNREFUSED, Fault::Peer),
        (long, libc::ENAMETOOLONG, Fault::Local),
    ] {
        let (mut pool, mut seen, _) = pool();
        let iod = pool.iod_new();
        let id = pool.connect_unixsock_stream(iod, &path, LIMIT, connected);
        let failure = Failure::Io { errno, during: During::Connect };
        assert_eq!((pool.failure(id), failure.fault()), (Some(failure), fault));
        assert_eq!(finish(&mut pool, &mut seen), [Saw::Failed(failure)]);
        assert_eq!(read(&mut pool, &mut seen, iod), Saw::Failed(failure));
        pool.connect_unixsock_datagram(iod, &path, connected);
        assert_eq!(finish(&mut pool, &mut seen), [Saw::Failed(Failure::Misuse(Misuse::AlreadyConnected))]);
    }
}

#[test]
fn bug_24_unix_stream_with_a_full_backlog_is_a_failure() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("full");
    let listener = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
    listener.bind(&SockAddr::unix(&path).unwrap()).unwrap();
    listener.listen(0).unwrap();
    let (mut pool, mut seen, _) = pool();
    let mut saw = Vec::new();
    for _ in 0..3 {
        let iod = pool.iod_new();
        pool.connect_unixsock_stream(iod, &path, LIMIT, connected);
        saw.extend(finish(&mut pool, &mut seen));
    }
    let full = Failure::Io { errno: libc::EAGAIN, during: During::Connect };
    assert_eq!(saw, [Saw::Alarm, Saw::Failed(full), Saw::Failed(full)]);
}

#[test]
fn an_adopted_seqpacket_socket_keeps_boundaries_and_has_an_end() {
    let (ours, theirs): (OwnedFd, OwnedFd) =
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
    let (mut pool, mut seen, _) = pool();
    let iod = pool.iod_adopt(&ours).unwrap();
    rustix::io::write(&theirs, b"first").unwrap();
    rustix::io::write(&theirs, b"second").unwrap();
    drop(theirs);
    assert_eq!(read(&mut pool, &mut seen, iod), got("first", End::Enough));
    assert_eq!(read(&mut pool, &mut seen, iod), got("second", End::Enough));
    assert_eq!(read(&mut pool, &mut seen, iod), Saw::Failed(Failure::Eof));
}
