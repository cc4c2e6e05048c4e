//! Asks web servers for their first line: the smallest complete probe.
//!
//! ```text
//! cargo run --example hello -- 127.0.0.1:80 [::1]:80
//! ```
#![expect(clippy::print_stdout, reason = "an example shows what it found")]

use std::net::SocketAddr;
use std::time::Duration;

use nsock::{Connected, Event, Failure, Io, IodId, Pool, Received, Sent};

const LIMIT: Option<Duration> = Some(Duration::from_secs(5));

#[derive(Default)]
struct Hello {
    greeted: u32,
    failed: u32,
}

impl Hello {
    fn connected(&mut self, io: &mut Io<Self>, ev: Event<Connected>) {
        match ev.outcome {
            Ok(_) => {
                io.printf(ev.iod, LIMIT, format_args!("HEAD / HTTP/1.0\r\n\r\n"), Self::sent);
            }
            Err(why) => self.give_up(io, ev.iod, why),
        }
    }

    fn sent(&mut self, io: &mut Io<Self>, ev: Event<Sent>) {
        match ev.outcome {
            Ok(_) => {
                io.readlines(ev.iod, 1, LIMIT, Self::greeted);
            }
            Err(why) => self.give_up(io, ev.iod, why),
        }
    }

    fn greeted(&mut self, io: &mut Io<Self>, ev: Event<Received>) {
        match ev.outcome {
            Ok(got) => {
                let text = String::from_utf8_lossy(&got.bytes);
                let line = text.lines().next().unwrap_or_default();
                println!("{}: {}", who(io, ev.iod), line.escape_debug());
                self.greeted += 1;
                io.iod_delete(ev.iod);
            }
            Err(why) => self.give_up(io, ev.iod, why),
        }
    }

    fn give_up(&mut self, io: &mut Io<Self>, iod: IodId, why: Failure) {
        println!("{}: {why} ({:?} fault)", who(io, iod), why.fault());
        self.failed += 1;
        io.iod_delete(iod);
    }
}

fn who(io: &Io<Hello>, iod: IodId) -> String {
    io.iod_peer(iod).map_or_else(|| "?".to_owned(), |peer| peer.to_string())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut pool = Pool::<Hello>::new()?;
    for target in std::env::args().skip(1) {
        let address: SocketAddr = target.parse().map_err(|_| format!("{target}: give ADDRESS:PORT"))?;
        let iod = pool.iod_new();
        pool.connect_tcp(iod, address, LIMIT, Hello::connected);
    }
    let mut hello = Hello::default();
    pool.run(&mut hello, None)?;
    println!("{} greeted, {} did not", hello.greeted, hello.failed);
    Ok(())
}
