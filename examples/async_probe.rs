//! Asks many services for their first line, each probe written from top to bottom.
//!
//! ```text
//! cargo run --example async_probe -- 127.0.0.1:22 127.0.0.1:80
//! ```
#![expect(clippy::print_stdout, reason = "an example shows what it found")]

use std::net::SocketAddr;
use std::time::Duration;

use nsock::Failure;
use nsock::tasks::{Net, Tasks};

const LIMIT: Option<Duration> = Some(Duration::from_secs(5));

/// How long a service may take to speak first.
const SHYNESS: Option<Duration> = Some(Duration::from_millis(300));

/// What a service says first, by itself or when asked.
async fn probe(net: &Net, address: SocketAddr) -> Result<String, Failure> {
    let iod = net.iod();
    net.connect_tcp(*iod, address, LIMIT).await?;
    let got = match net.readlines(*iod, 1, SHYNESS).await {
        Err(Failure::TimedOut) => {
            net.write(*iod, b"HEAD / HTTP/1.0\r\n\r\n", LIMIT).await?;
            net.readlines(*iod, 1, LIMIT).await?
        }
        spoken => spoken?,
    };
    let line = got.bytes.split(|&byte| byte == b'\r' || byte == b'\n').next().unwrap_or_default();
    Ok(line.escape_ascii().to_string())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let addresses: Vec<SocketAddr> =
        std::env::args().skip(1).map(|word| word.parse()).collect::<Result<_, _>>()?;
    let mut tasks = Tasks::new()?;
    let net = tasks.net();
    tasks.run(async move {
        // All at once; told in the order they were given.
        let probes: Vec<_> = addresses
            .into_iter()
            .map(|address| {
                let own = net.clone();
                (address, net.spawn(async move { probe(&own, address).await }))
            })
            .collect();
        for (address, probe) in probes {
            match probe.await {
                Ok(line) => println!("{address}: {line}"),
                Err(why) => println!("{address}: {why} ({:?} fault)", why.fault()),
            }
        }
    })?;
    Ok(())
}
