//! Descriptors that somebody else made: pipes, files, terminals, sockets.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::net::UdpSocket;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use nsock::trace::Step;
use nsock::{During, End, Failure, Pool};
use rustix::fs::{OFlags, fcntl_getfl};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use testkit::{LOOPBACK_V4, UdpEcho};

use crate::support::{LIMIT, Saw, Seen, datagram, finish, got, ms, read, run_for};

fn pool() -> (Pool<Seen>, Seen) {
    (Pool::new().unwrap(), Seen::default())
}

/// The two sides of a new terminal: the one that types, and the one that programs read from.
pub(crate) fn terminal() -> (File, OwnedFd) {
    let typist = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&typist).unwrap();
    unlockpt(&typist).unwrap();
    let name = ptsname(&typist, Vec::new()).unwrap();
    let flags = OFlags::RDWR | OFlags::NOCTTY;
    let program = rustix::fs::open(name.as_c_str(), flags, rustix::fs::Mode::empty()).unwrap();
    (typist.into(), program)
}

#[test]
fn a_mebibyte_goes_through_both_ends_of_a_pipe() {
    let (reader, writer) = std::io::pipe().unwrap();
    let (mut pool, mut seen) = pool();
    let (from, into) = (pool.iod_adopt(&reader).unwrap(), pool.iod_adopt(&writer).unwrap());
    let all: Vec<u8> = (0..1 << 20).map(|at: u32| at.to_le_bytes()[usize::from(at & 8 == 0)]).collect();
    let reading = pool.readbytes(from, all.len(), LIMIT, Seen::received);
    let writing = pool.write(into, &all, LIMIT, Seen::sent);
    pool.run(&mut seen, LIMIT).unwrap();
    assert_eq!(seen.of(writing), Some(&Saw::Sent(all.len())));
    assert!(seen.of(reading) == Some(&got(&all, End::Enough)), "{:?} bytes", pool.iod_bytes(from));
    seen.take();
    // Both ends of the writing side have to go before the reader sees the end.
    pool.iod_delete(into);
    pool.read(from, Some(ms(20)), Seen::received);
    assert_eq!(finish(&mut pool, &mut seen), [Saw::Failed(Failure::TimedOut)]);
    drop(writer);
    assert_eq!(read(&mut pool, &mut seen, from), Saw::Failed(Failure::Eof));
}

#[test]
fn a_pipe_nobody_reads_takes_what_it_holds_and_then_times_out() {
    let (reader, writer) = std::io::pipe().unwrap();
    let (mut pool, mut seen) = pool();
    let into = pool.iod_adopt(&writer).unwrap();
    pool.write(into, &vec![b'p'; 1 << 20], Some(ms(30)), Seen::sent);
    assert_eq!(finish(&mut pool, &mut seen), [Saw::Failed(Failure::TimedOut)]);
    let (_, sent) = pool.iod_bytes(into).unwrap();
    assert!(sent > 0 && sent < 1 << 20, "{sent}");
    drop(reader);
    pool.write(into, b"x", LIMIT, Seen::sent);
    let broken = Failure::Io { errno: libc::EPIPE, during: During::Write };
    assert_eq!(finish(&mut pool, &mut seen), [Saw::Failed(broken)]);
}

#[test]
fn a_file_is_read_to_its_end_and_written_though_no_queue_takes_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lines");
    std::fs::write(&path, "one\ntwo\nthree").unwrap();
    let file = OpenOptions::new().read(true).append(true).open(&path).unwrap();
    let (mut pool, mut seen) = pool();
    let iod = pool.iod_adopt(&file).unwrap();
    pool.readlines(iod, 3, LIMIT, Seen::received);
    assert_eq!(finish(&mut pool, &mut seen), [got("one\ntwo\nthree", End::Eof)]);
    assert_eq!(read(&mut pool, &mut seen, iod), Saw::Failed(Failure::Eof));
    pool.write(iod, b"\nfour", LIMIT, Seen::sent);
    assert_eq!(finish(&mut pool, &mut seen), [Saw::Sent(5)]);
    assert_eq!(std::fs::read(&path).unwrap(), b"one\ntwo\nthree\nfour");
}

#[test]
fn the_null_device_is_at_its_end_and_takes_everything() {
    let null = OpenOptions::new().read(true).write(true).open("/dev/null").unwrap();
    let (mut pool, mut seen) = pool();
    let iod = pool.iod_adopt(&null).unwrap();
    pool.write(iod, &vec![0; 1 << 20], LIMIT, Seen::sent);
    assert_eq!(finish(&mut pool, &mut seen), [Saw::Sent(1 << 20)]);
    assert_eq!(read(&mut pool, &mut seen, iod), Saw::Failed(Failure::Eof));
}

#[test]
fn a_folder_cannot_be_read_and_says_so() {
    let folder = File::open("/").unwrap();
    let (mut pool, mut seen) = pool();
    let iod = pool.iod_adopt(&folder).unwrap();
    let a_folder = Failure::Io { errno: libc::EISDIR, during: During::Read };
    assert_eq!(read(&mut pool, &mut seen, iod), Saw::Failed(a_folder));
}

#[test]
fn a_terminal_gives_what_is_typed_line_by_line() {
    let (mut typist, program) = terminal();
    let (mut pool, mut seen) = pool();
    let iod = pool.iod_adopt(&program).unwrap();
    pool.readlines(iod, 1, Some(ms(30)), Seen::received);
    typist.write_all(b"no return pressed").unwrap();
    assert_eq!(finish(&mut pool, &mut seen), [Saw::Failed(Failure::TimedOut)]);
    typist.write_all(b"\n").unwrap();
    pool.readlines(iod, 1, LIMIT, Seen::received);
    assert_eq!(finish(&mut pool, &mut seen), [got("no return pressed\n", End::Enough)]);
    pool.write(iod, b"prompt> ", LIMIT, Seen::sent);
    finish(&mut pool, &mut seen);
    // Before the prompt the terminal shows what was typed; all of it may come in pieces.
    let mut shown = Vec::new();
    while !shown.ends_with(b"prompt> ") {
        let mut buffer = [0; 64];
        let count = typist.read(&mut buffer).unwrap();
        shown.extend(&buffer[..count]);
    }
    assert!(shown.starts_with(b"no return pressed"), "{}", String::from_utf8_lossy(&shown));
    // Control-D at the start of a line.
    typist.write_all(b"\x04").unwrap();
    assert_eq!(read(&mut pool, &mut seen, iod), Saw::Failed(Failure::Eof));
}

#[test]
fn a_terminal_that_is_hung_up_ends_the_read() {
    let (typist, program) = terminal();
    let (mut pool, mut seen) = pool();
    let iod = pool.iod_adopt(&program).unwrap();
    pool.read(iod, LIMIT, Seen::received);
    drop(typist);
    assert!(matches!(finish(&mut pool, &mut seen)[..], [Saw::Failed(Failure::Eof | Failure::Io { .. })]));
}

#[test]
fn sockets_of_others_keep_their_blocking_mode_and_stay_open() {
    let (near, mut far) = UnixStream::pair().unwrap();
    far.set_read_timeout(LIMIT).unwrap();
    let (mut pool, mut seen) = pool();
    let iod = pool.iod_adopt(&near).unwrap();
    let flags = fcntl_getfl(&near).unwrap();
    pool.write(iod, b"through the pool", LIMIT, Seen::sent);
    pool.read(iod, Some(ms(20)), Seen::received);
    assert_eq!(finish(&mut pool, &mut seen), [Saw::Sent(16), Saw::Failed(Failure::TimedOut)]);
    far.read_exact(&mut [0; 16]).unwrap();
    far.write_all(b"back").unwrap();
    assert_eq!(read(&mut pool, &mut seen, iod), got("back", End::Enough));
    assert!(pool.iod_delete(iod));
    assert_eq!(fcntl_getfl(&near).unwrap(), flags);
    (&near).write_all(b"ours").unwrap();
    far.read_exact(&mut [0; 4]).unwrap();
}

#[test]
fn a_datagram_socket_of_others_keeps_its_boundaries_and_its_peer() {
    let echo = UdpEcho::start().unwrap();
    let socket = UdpSocket::bind(LOOPBACK_V4).unwrap();
    socket.connect(echo.address()).unwrap();
    let (mut pool, mut seen) = pool();
    let iod = pool.iod_adopt(&socket).unwrap();
    assert_eq!(pool.iod_peer(iod), Some(echo.address()));
    assert_eq!(pool.iod_local(iod), Some(socket.local_addr().unwrap()));
    for text in ["one", "", "two"] {
        pool.write(iod, text.as_bytes(), LIMIT, Seen::sent);
    }
    finish(&mut pool, &mut seen);
    for text in ["one", "", "two"] {
        assert_eq!(read(&mut pool, &mut seen, iod), datagram(text, echo.address()));
    }
}

#[test]
fn the_watch_of_an_adopted_descriptor_ends_with_its_iod() {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let (mut pool, mut seen) = pool();
    let iods = [0, 1].map(|_| pool.iod_adopt(&reader).unwrap());
    assert_ne!(iods[0], iods[1], "twice is not forbidden");
    for iod in iods {
        assert!(pool.iod_delete(iod));
    }
    pool.trace_ring(1000);
    pool.timer_create(Duration::from_secs(10), Seen::alarm);
    writer.write_all(b"unseen").unwrap();
    run_for(&mut pool, &mut seen, ms(20));
    let looks = pool.ring().unwrap().iter().filter(|record| matches!(record.step, Step::Ready { .. }));
    assert_eq!(looks.count(), 0);
    let turns = pool.ring().unwrap().iter().filter(|record| record.step == Step::Turn).count();
    assert!(turns <= 3, "{turns} turns: the loop is woken for nobody");
    assert!(reader.as_fd().try_clone_to_owned().is_ok());
}
