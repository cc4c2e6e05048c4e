//! Sends back whatever comes, to any number of visitors at once, and says who came and went.
//!
//! ```text
//! cargo run --example echo_server -- 127.0.0.1:7007
//! ```
#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use std::time::Duration;

use nsock::{Accepted, Event, Failure, Io, IodId, Pool, Received, Sent};

/// A visitor that says nothing for so long is shown out.
const PATIENCE: Option<Duration> = Some(Duration::from_secs(60));

#[derive(Default)]
struct Server {
    visitors: usize,
}

impl Server {
    fn came(&mut self, io: &mut Io<Self>, ev: Event<Accepted>) {
        match ev.outcome {
            Ok(Accepted { iod, peer, .. }) => {
                self.visitors += 1;
                println!("{} came, {} here", shown(peer), self.visitors);
                io.read(iod, PATIENCE, Self::heard);
            }
            // Out of descriptors, say: those who are here go on, and the others wait outside.
            Err(why) => {
                println!("nobody can come in: {why}");
                let again = Duration::from_millis(100);
                let door = ev.iod;
                io.timer_create(again, move |_: &mut Self, io, _| {
                    io.accept(door, None, Self::came);
                });
                return;
            }
        }
        io.accept(ev.iod, None, Self::came);
    }

    fn heard(&mut self, io: &mut Io<Self>, ev: Event<Received>) {
        match ev.outcome {
            Ok(got) => {
                io.write(ev.iod, &got.bytes, PATIENCE, Self::said);
            }
            // It sends no more. It has all its echoes, so this is the end of both directions.
            Err(Failure::Eof) => {
                io.shutdown_write(ev.iod, PATIENCE, Self::left);
            }
            Err(why) => self.show_out(io, ev.iod, &why.to_string()),
        }
    }

    fn said(&mut self, io: &mut Io<Self>, ev: Event<Sent>) {
        match ev.outcome {
            Ok(_) => {
                io.read(ev.iod, PATIENCE, Self::heard);
            }
            Err(why) => self.show_out(io, ev.iod, &why.to_string()),
        }
    }

    fn left(&mut self, io: &mut Io<Self>, ev: Event<Sent>) {
        self.show_out(io, ev.iod, "it has said everything");
    }

    fn show_out(&mut self, io: &mut Io<Self>, iod: IodId, why: &str) {
        self.visitors -= 1;
        let (read, written) = io.iod_bytes(iod).unwrap_or_default();
        println!("{} left: {why}; {read} bytes in, {written} out", shown(io.iod_peer(iod)));
        io.iod_delete(iod);
    }
}

fn shown(peer: Option<std::net::SocketAddr>) -> String {
    peer.map_or_else(|| "somebody".to_owned(), |peer| peer.to_string())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:0".to_owned()).parse()?;
    let mut pool = Pool::<Server>::new()?;
    let door = pool.iod_new();
    pool.listen_tcp(door, address)?;
    println!("listening at {}", shown(pool.iod_local(door)));
    pool.accept(door, None, Server::came);
    pool.run(&mut Server::default(), None)?;
    Ok(())
}
