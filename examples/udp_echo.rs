//! Sends datagrams to a UDP echo server and shows what comes back, with the round-trip times.
//!
//! ```text
//! cargo run --example udp_echo -- 127.0.0.1:7 3
//! ```
#![expect(clippy::print_stdout, reason = "an example shows what it found")]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use nsock::{Event, Failure, Io, IodId, Pool, Received};

const ANSWER_LIMIT: Option<Duration> = Some(Duration::from_secs(1));

struct Echo {
    to: SocketAddr,
    number: u32,
    last: u32,
    sent_at: Instant,
    lost: u32,
}

impl Echo {
    fn send(&mut self, io: &mut Io<Self>, iod: IodId) {
        if self.number == self.last {
            io.iod_delete(iod);
            return;
        }
        self.number += 1;
        self.sent_at = io.now();
        let text = format!("datagram {}", self.number);
        io.sendto(iod, self.to, text.as_bytes(), ANSWER_LIMIT, |_, _, ev| {
            if let Err(why) = ev.outcome {
                println!("not sent: {why} ({:?} fault)", why.fault());
            }
        });
        io.read(iod, ANSWER_LIMIT, Self::answered);
    }

    fn answered(&mut self, io: &mut Io<Self>, ev: Event<Received>) {
        match ev.outcome {
            Ok(got) => {
                let text = String::from_utf8_lossy(&got.bytes).escape_debug().to_string();
                let from = got.from.map_or_else(|| "?".into(), |from| from.to_string());
                println!("{text} from {from} after {:?}", io.now() - self.sent_at);
            }
            Err(Failure::TimedOut) => {
                println!("no answer to datagram {}", self.number);
                self.lost += 1;
            }
            Err(why) => {
                println!("datagram {}: {why}", self.number);
                self.lost += 1;
            }
        }
        self.send(io, ev.iod);
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let to: SocketAddr = arguments.next().ok_or("give ADDRESS:PORT and a count")?.parse()?;
    let last = arguments.next().map_or(Ok(3), |count| count.parse())?;
    let mut pool = Pool::<Echo>::new()?;
    let mut echo = Echo { to, number: 0, last, sent_at: pool.now(), lost: 0 };
    let iod = pool.iod_new();
    let any: SocketAddr = if to.is_ipv4() { "0.0.0.0:0".parse()? } else { "[::]:0".parse()? };
    pool.setup_udp(iod, any)?;
    echo.send(&mut pool, iod);
    pool.run(&mut echo, None)?;
    println!("{} sent, {} without answer", echo.number, echo.lost);
    Ok(())
}
