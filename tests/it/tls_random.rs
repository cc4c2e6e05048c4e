//! Random reads, cancels and time-outs over TLS: every byte comes once and in order, and the trace keeps the contract.

use nsock::trace::Level;
use nsock::{Event, EventId, Failure, Io, Pool, Received};
use testkit::{Oracle, TlsServer, TlsSetup, TraceEnd};

use crate::support::{LIMIT, ms};

/// What has come back so far, and the reads that are pending.
#[derive(Default)]
struct Stream {
    received: Vec<u8>,
    reads: Vec<EventId>,
    connected: bool,
}

impl Stream {
    fn received(&mut self, _: &mut Io<Self>, ev: Event<Received>) {
        self.reads.retain(|&id| id != ev.id);
        match ev.outcome {
            Ok(got) => self.received.extend(got.bytes),
            Err(Failure::Cancelled | Failure::TimedOut) => {}
            Err(why) => panic!("{why}"),
        }
    }
}

fn play(seed: u64, server: &TlsServer) {
    let mut random = fastrand::Rng::with_seed(seed);
    let oracle = Oracle::new();
    let mut pool = Pool::<Stream>::new().unwrap();
    pool.trace_to(Level::Full, oracle.clone());
    let mut stream = Stream::default();
    let iod = pool.iod_new();
    pool.connect_ssl(iod, server.address(), LIMIT, |stream: &mut Stream, _, ev| {
        stream.connected = ev.outcome.is_ok();
    });
    let mut sent = Vec::new();
    for _ in 0..200 {
        match random.u32(0..10) {
            0..3 => {
                let most = if random.u32(0..8) == 0 { 60_000 } else { 300 };
                let data: Vec<u8> = (0..random.usize(..most)).map(|_| random.u8(b'\n'..40)).collect();
                pool.write(iod, &data, None, |_, _, ev| assert_eq!(ev.outcome.err(), None));
                sent.extend(data);
            }
            3..6 => {
                let limit = if random.bool() { None } else { Some(ms(random.u64(..4))) };
                let id = match random.u32(..3) {
                    0 => pool.read(iod, limit, Stream::received),
                    1 => pool.readbytes(iod, random.usize(..2_000), limit, Stream::received),
                    _ => pool.readlines(iod, random.usize(..20), limit, Stream::received),
                };
                stream.reads.push(id);
            }
            6 => {
                if let Some(&id) = random.choice(&stream.reads) {
                    pool.event_cancel(id);
                }
            }
            _ => drop(pool.run(&mut stream, Some(ms(random.u64(..2)))).unwrap()),
        }
    }
    for id in std::mem::take(&mut stream.reads) {
        pool.event_cancel(id);
    }
    pool.run(&mut stream, LIMIT).unwrap();
    assert!(stream.connected, "seed {seed}");
    let left = sent.len() - stream.received.len();
    if left > 0 {
        pool.readbytes(iod, left, LIMIT, Stream::received);
        pool.run(&mut stream, LIMIT).unwrap();
    }
    assert!(stream.received == sent, "seed {seed}: {} of {} bytes", stream.received.len(), sent.len());
    assert_eq!(oracle.finish(TraceEnd::Complete), [], "seed {seed}");
}

#[test]
fn random_requests_over_tls_lose_and_repeat_nothing() {
    let server = TlsServer::echo(TlsSetup::new().unwrap()).unwrap();
    for seed in 0..40 {
        play(seed, &server);
    }
}
