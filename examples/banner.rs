//! Connects to a list of addresses, a few at a time, and reads the line that each greets with.
//!
//! ```text
//! cargo run --example banner -- 127.0.0.1:22 127.0.0.1:25
//! RUST_LOG=nsock=info cargo run --example banner -- 127.0.0.1:22
//! ```
#![expect(clippy::print_stdout, reason = "an example shows what it found")]

use std::net::SocketAddr;
use std::time::Duration;

use nsock::trace::{Level, Log};
use nsock::{Connected, End, Event, Failure, Io, IodId, Pool, Received};

const CONNECT_LIMIT: Option<Duration> = Some(Duration::from_secs(3));
const GREETING_LIMIT: Option<Duration> = Some(Duration::from_secs(2));

/// Connections at a time: a list of any length needs no more descriptors than this.
const OPEN_MAX: usize = 64;

struct Banners {
    targets: std::vec::IntoIter<SocketAddr>,
}

impl Banners {
    fn next(&mut self, io: &mut Io<Self>) {
        if let Some(target) = self.targets.next() {
            let iod = io.iod_new();
            io.connect_tcp(iod, target, CONNECT_LIMIT, Self::connected);
        }
    }

    fn connected(&mut self, io: &mut Io<Self>, ev: Event<Connected>) {
        match ev.outcome {
            Ok(_) => {
                io.readlines(ev.iod, 1, GREETING_LIMIT, Self::greeted);
            }
            Err(why) => self.done(io, ev.iod, &why.to_string()),
        }
    }

    fn greeted(&mut self, io: &mut Io<Self>, ev: Event<Received>) {
        match ev.outcome {
            Ok(got) => {
                let text = String::from_utf8_lossy(&got.bytes);
                let note = if got.end == End::TimedOut { " (unfinished)" } else { "" };
                self.done(io, ev.iod, &format!("{}{note}", text.trim_end().escape_debug()));
            }
            Err(Failure::TimedOut) => self.done(io, ev.iod, "connected, says nothing"),
            Err(why) => self.done(io, ev.iod, &why.to_string()),
        }
    }

    fn done(&mut self, io: &mut Io<Self>, iod: IodId, what: &str) {
        if let Some(peer) = io.iod_peer(iod) {
            println!("{peer}: {what}");
        }
        io.iod_delete(iod);
        self.next(io);
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    env_logger::init();
    let targets: Result<Vec<SocketAddr>, _> = std::env::args().skip(1).map(|target| target.parse()).collect();
    let mut banners = Banners { targets: targets?.into_iter() };
    let mut pool = Pool::<Banners>::new()?;
    let start = pool.now();
    if log::log_enabled!(target: "nsock::callback", log::Level::Info) {
        pool.trace_to(Level::Full, Log::new(start));
    }
    for _ in 0..OPEN_MAX {
        banners.next(&mut pool);
    }
    pool.run(&mut banners, None)?;
    Ok(())
}
