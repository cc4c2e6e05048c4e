//! The terminal and a TCP server, each shown what the other says; with `--tls`, through TLS.
//!
//! ```text
//! cargo run --example telnet -- 127.0.0.1:25
//! cargo run --example telnet -- --tls 127.0.0.1:443
//! ```
#![expect(clippy::print_stderr, reason = "an example says what it does")]

use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use nsock::{Connected, Event, Failure, Io, IodId, Pool, Received, Sent};

const CONNECT_LIMIT: Option<Duration> = Some(Duration::from_secs(10));

/// How long the server may still answer when the terminal's input has ended.
const LAST_WORDS: Duration = Duration::from_millis(500);

struct Telnet {
    server: IodId,
    terminal: IodId,
    failure: Option<Failure>,
}

impl Telnet {
    fn connected(&mut self, io: &mut Io<Self>, ev: Event<Connected>) {
        match ev.outcome {
            Ok(to) => {
                match io.iod_tls(self.server) {
                    Some(tls) => eprintln!("connected to {} by {} {}", to.peer, tls.version, tls.cipher),
                    None => eprintln!("connected to {}", to.peer),
                }
                io.read(self.server, None, Self::heard);
                io.read(self.terminal, None, Self::typed);
            }
            Err(why) => self.leave(io, why),
        }
    }

    fn heard(&mut self, io: &mut Io<Self>, ev: Event<Received>) {
        match ev.outcome {
            Ok(got) => {
                let mut screen = std::io::stdout().lock();
                if screen.write_all(&got.bytes).and_then(|()| screen.flush()).is_err() {
                    return io.loop_quit();
                }
                io.read(self.server, None, Self::heard);
            }
            Err(why) => self.leave(io, why),
        }
    }

    fn typed(&mut self, io: &mut Io<Self>, ev: Event<Received>) {
        match ev.outcome {
            // The next line is read when this one is sent: a slow server slows the typist, not the memory.
            Ok(got) => drop(io.write(self.server, &got.bytes, None, Self::sent)),
            Err(Failure::Eof) => drop(io.timer_create(LAST_WORDS, |_, io, _| io.loop_quit())),
            Err(why) => self.leave(io, why),
        }
    }

    fn sent(&mut self, io: &mut Io<Self>, ev: Event<Sent>) {
        match ev.outcome {
            Ok(_) => drop(io.read(self.terminal, None, Self::typed)),
            Err(why) => self.leave(io, why),
        }
    }

    fn leave(&mut self, io: &mut Io<Self>, why: Failure) {
        eprintln!("{why}");
        self.failure = Some(why).filter(|&why| why != Failure::Eof);
        io.loop_quit();
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (flags, addresses): (Vec<_>, Vec<_>) = std::env::args().skip(1).partition(|arg| arg == "--tls");
    let [address] = &addresses[..] else { return Err("usage: telnet [--tls] address:port".into()) };
    let address: SocketAddr = address.parse()?;
    let mut pool = Pool::<Telnet>::new()?;
    let (server, terminal) = (pool.iod_new(), pool.iod_stdin()?);
    if flags.is_empty() {
        pool.connect_tcp(server, address, CONNECT_LIMIT, Telnet::connected);
    } else {
        pool.connect_ssl(server, address, CONNECT_LIMIT, Telnet::connected);
    }
    let mut telnet = Telnet { server, terminal, failure: None };
    pool.run(&mut telnet, None)?;
    pool.iod_delete(server);
    telnet.failure.map_or(Ok(()), |why| Err(why.into()))
}
