//! Data through TLS: where it ends, what a cancel leaves of it, and much of it.

use std::io::{self, ErrorKind, Read, Write};
use std::sync::{Mutex, mpsc};

use nsock::trace::Level;
use nsock::{Connected, End, Event, Failure, Io, IodId, Pool, Received, Sent, Stop, TlsError, TlsOptions};
use rustls::version::{TLS12, TLS13};
use testkit::{TlsServer, TlsSetup};

use super::{pool, secure, speaking};
use crate::support::{LIMIT, Saw, Seen, Transcript, finish, got, ms, read};

#[test]
fn bug_07_data_before_a_bare_close_is_a_success() {
    for version in [&TLS12, &TLS13] {
        let server = TlsServer::start(speaking(version), |peer| peer.write_all(b"the data")).unwrap();
        let (mut pool, mut seen, _) = pool();
        let iod = secure(&mut pool, &mut seen, server.address(), TlsOptions::default());
        pool.readbytes(iod, 100, LIMIT, Seen::received);
        pool.read(iod, LIMIT, Seen::received);
        assert_eq!(finish(&mut pool, &mut seen), [got("the data", End::Eof), Saw::Failed(Failure::Eof)]);
    }
}

#[test]
fn nmap_3430_a_peer_that_closes_without_close_notify_is_let_pass() {
    let server = TlsServer::start(TlsSetup::new().unwrap(), |peer| peer.handshake()).unwrap();
    let (mut pool, mut seen, _) = pool();
    let iod = secure(&mut pool, &mut seen, server.address(), TlsOptions::default());
    assert_eq!(read(&mut pool, &mut seen, iod), Saw::Failed(Failure::Eof));
}

#[test]
fn a_stream_that_ends_within_a_record_gives_its_data_then_the_error() {
    let server = TlsServer::start(TlsSetup::new().unwrap(), |peer| {
        peer.write_all(b"whole")?;
        let mut records = peer.records(b"never seen")?;
        records.truncate(records.len() - 3);
        peer.raw().write_all(&records)
    })
    .unwrap();
    let (mut pool, mut seen, _) = pool();
    let transcript = Transcript::of(&mut pool, Level::Info);
    let iod = secure(&mut pool, &mut seen, server.address(), TlsOptions::default());
    pool.readbytes(iod, 100, LIMIT, Seen::received);
    assert_eq!(finish(&mut pool, &mut seen), [got("whole", End::Error)]);
    for _ in 0..2 {
        assert_eq!(read(&mut pool, &mut seen, iod), Saw::Failed(Failure::Tls(TlsError::Truncated)));
    }
    let told = "do_actual_read(): SSL_read() failed for reason 1 on NSI 1: TLS: the stream ended in the middle of a record";
    assert!(transcript.messages().iter().any(|message| message == told), "{}", transcript.text());
}

#[test]
fn a_reset_and_a_changed_record_come_after_the_data() {
    let server = TlsServer::start(TlsSetup::new().unwrap(), |peer| {
        peer.write_all(b"before")?;
        let mut line = [0; 3];
        peer.read_exact(&mut line)?;
        if &line == b"rst" {
            return peer.reset_at_the_end();
        }
        let mut records = peer.records(b"changed on the way")?;
        records[10] ^= 1;
        peer.raw().write_all(&records)?;
        peer.read(&mut [0; 10]).map(drop)
    })
    .unwrap();
    let reset = Failure::Io { errno: libc::ECONNRESET, during: nsock::During::Read };
    for (line, failure) in [(b"rst", reset), (b"bad", Failure::Tls(TlsError::Protocol))] {
        let (mut pool, mut seen, _) = pool();
        let iod = secure(&mut pool, &mut seen, server.address(), TlsOptions::default());
        pool.readbytes(iod, 100, LIMIT, Seen::received);
        pool.write(iod, line, LIMIT, Seen::sent);
        assert_eq!(finish(&mut pool, &mut seen), [Saw::Sent(3), got("before", End::Error)]);
        assert_eq!(read(&mut pool, &mut seen, iod), Saw::Failed(failure));
    }
}

#[test]
fn nmap_2788_plaintext_that_is_there_is_delivered_without_waiting_for_the_socket() {
    let server = TlsServer::start(speaking(&TLS13), |peer| {
        peer.send_with_handshake(b"with the handshake")?;
        peer.handshake()?;
        let mut byte = [0; 1];
        peer.read_exact(&mut byte)?;
        // Three records in one segment train, and then silence.
        let records = peer.records(&[b'.'; 40_000])?;
        peer.raw().write_all(&records)?;
        peer.stall();
        Ok(())
    })
    .unwrap();
    let (mut pool, mut seen, _) = pool();
    let iod = secure(&mut pool, &mut seen, server.address(), TlsOptions::default());
    assert_eq!(read(&mut pool, &mut seen, iod), got("with the handshake", End::Enough));
    pool.write(iod, b"!", LIMIT, Seen::sent);
    finish(&mut pool, &mut seen);
    let mut total = 0;
    while total < 40_000 {
        let Saw::Got { bytes, end: End::Enough, .. } = read(&mut pool, &mut seen, iod) else {
            panic!("waits after {total} bytes");
        };
        total += bytes.len();
    }
    assert_eq!(total, 40_000);
}

#[test]
fn bytes_of_a_cancelled_read_go_to_the_next() {
    let server = TlsServer::start(TlsSetup::new().unwrap(), |peer| {
        peer.write_all(b"kept")?;
        peer.stall();
        Ok(())
    })
    .unwrap();
    let (mut pool, mut seen, _) = pool();
    let iod = secure(&mut pool, &mut seen, server.address(), TlsOptions::default());
    let first = pool.readbytes(iod, 100, None, Seen::received);
    while pool.iod_bytes(iod) == Some((0, 0)) {
        pool.run(&mut seen, Some(ms(5))).unwrap();
    }
    assert!(pool.event_cancel(first));
    pool.read(iod, LIMIT, Seen::received);
    let saw = finish(&mut pool, &mut seen);
    assert_eq!(saw, [Saw::Failed(Failure::Cancelled), got("kept", End::Enough)]);
}

#[test]
fn deleting_an_iod_says_goodbye_in_tls() {
    let (tell, told) = mpsc::channel();
    let tell = Mutex::new(tell);
    let server = TlsServer::start(TlsSetup::new().unwrap(), move |peer| {
        let end = peer.read(&mut [0; 10]).map_err(|error| error.kind());
        tell.lock().unwrap().send(end).map_err(io::Error::other)
    })
    .unwrap();
    let (mut pool, mut seen, _) = pool();
    let iod = secure(&mut pool, &mut seen, server.address(), TlsOptions::default());
    assert!(pool.iod_delete(iod));
    assert_eq!(told.recv().unwrap(), Ok::<_, ErrorKind>(0), "a bare close would be UnexpectedEof");
    secure(&mut pool, &mut seen, server.address(), TlsOptions::default());
    pool.shutdown(&mut seen);
    assert_eq!(told.recv().unwrap(), Ok(0));
}

#[test]
fn a_peer_that_does_not_read_holds_the_write_back() {
    let server = TlsServer::start(TlsSetup::new().unwrap(), |peer| {
        peer.handshake()?;
        peer.stall();
        Ok(())
    })
    .unwrap();
    let (mut pool, mut seen, _) = pool();
    let iod = secure(&mut pool, &mut seen, server.address(), TlsOptions::default());
    let data = vec![0; 32 << 20];
    pool.write(iod, &data, Some(ms(100)), Seen::sent);
    assert_eq!(finish(&mut pool, &mut seen), [Saw::Failed(Failure::TimedOut)]);
    let (_, sent) = pool.iod_bytes(iod).unwrap();
    assert!(sent > 0 && sent < 24 << 20, "{sent} bytes were taken, and the peer read none");
}

/// Sends and receives so much, in pieces of random length.
struct Bulk {
    random: fastrand::Rng,
    iod: IodId,
    unsent: Vec<u8>,
    received: Vec<u8>,
    wanted: usize,
}

impl Bulk {
    fn send(&mut self, io: &mut Io<Self>) {
        let length = self.random.usize(..=100_000).min(self.unsent.len());
        if length > 0 || !self.unsent.is_empty() {
            let piece: Vec<u8> = self.unsent.drain(..length).collect();
            io.write(self.iod, &piece, LIMIT, Self::sent);
        }
    }

    fn sent(&mut self, io: &mut Io<Self>, ev: Event<Sent>) {
        ev.outcome.unwrap();
        self.send(io);
    }

    fn receive(&mut self, io: &mut Io<Self>) {
        let left = self.wanted - self.received.len();
        if left > 0 {
            let bytes = self.random.usize(1..=left.min(50_000));
            io.readbytes(self.iod, bytes, LIMIT, Self::received);
        }
    }

    fn received(&mut self, io: &mut Io<Self>, ev: Event<Received>) {
        self.received.extend(ev.outcome.unwrap().bytes);
        self.receive(io);
    }

    fn connected(&mut self, io: &mut Io<Self>, ev: Event<Connected>) {
        ev.outcome.unwrap();
        self.send(io);
        self.receive(io);
    }
}

#[test]
fn sixteen_mebibytes_go_both_ways_in_random_pieces() {
    const BYTES: usize = 16 << 20;
    for version in [&TLS12, &TLS13] {
        let server = TlsServer::echo(speaking(version)).unwrap();
        let mut pool = Pool::<Bulk>::new().unwrap();
        let iod = pool.iod_new();
        let mut random = fastrand::Rng::with_seed(16);
        let data: Vec<u8> = (0..BYTES / 8).flat_map(|_| random.u64(..).to_ne_bytes()).collect();
        let mut bulk = Bulk { random, iod, unsent: data.clone(), received: Vec::new(), wanted: BYTES };
        pool.connect_ssl(iod, server.address(), LIMIT, Bulk::connected);
        assert_eq!(pool.run(&mut bulk, None).unwrap(), Stop::NoEvents);
        assert!(bulk.received == data, "{version:?}: what came back is not what was sent");
        assert_eq!(pool.iod_bytes(iod), Some((BYTES as u64, BYTES as u64)));
    }
}
