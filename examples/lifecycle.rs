//! Debugging: three connections, one of which hangs; the report and the last records say which, and why.
//!
//! ```text
//! cargo run --example lifecycle              # NDJSON of every step on stderr, the report on stdout
//! ```
#![expect(clippy::print_stdout, reason = "an example shows what it found")]

use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener};
use std::thread;
use std::time::Duration;

use nsock::trace::{Level, Ndjson};
use nsock::{Connected, Event, Io, Pool, Received, Stop};

const LIMIT: Option<Duration> = Some(Duration::from_secs(30));

#[derive(Default)]
struct Greetings(Vec<String>);

impl Greetings {
    fn connected(&mut self, io: &mut Io<Self>, ev: Event<Connected>) {
        if ev.outcome.is_ok() {
            // Two lines are asked for; the second server sends only one, and keeps the connection open.
            io.readlines(ev.iod, 2, LIMIT, Self::greeted);
        } else {
            io.iod_delete(ev.iod);
        }
    }

    fn greeted(&mut self, io: &mut Io<Self>, ev: Event<Received>) {
        if let Ok(got) = ev.outcome {
            self.0.push(String::from_utf8_lossy(&got.bytes).escape_debug().to_string());
        }
        io.iod_delete(ev.iod);
    }
}

/// A server that greets one client and then waits for it to go.
fn server(greeting: &'static str) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || -> io::Result<()> {
        let (mut client, _) = listener.accept()?;
        client.write_all(greeting.as_bytes())?;
        io::copy(&mut client, &mut io::sink())?;
        Ok(())
    });
    Ok(address)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut pool = Pool::<Greetings>::new()?;
    let start = pool.now();
    pool.trace_to(Level::Full, Ndjson::new(io::stderr(), start));
    pool.trace_ring(8);
    for greeting in ["one\ntwo\n", "one line only\n", "uno\ndue\n"] {
        let iod = pool.iod_new();
        pool.connect_tcp(iod, server(greeting)?, LIMIT, Greetings::connected);
    }
    let mut greetings = Greetings::default();
    // Half a second should be plenty; when it is not, ask what is still there.
    if pool.run(&mut greetings, Some(Duration::from_millis(500)))? == Stop::TimedOut {
        println!("greeted by {}, but:\n{}", greetings.0.len(), pool.report());
        if let Some(ring) = pool.ring() {
            println!("the last steps were:");
            ring.dump(io::stdout(), start)?;
        }
    }
    pool.shutdown(&mut greetings);
    Ok(())
}
