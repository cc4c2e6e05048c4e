//! A page fetched through a chain of proxies; the last one looks up the name. With `--tls`, by HTTPS.
//!
//! ```text
//! cargo run --example proxy_get -- socks5://127.0.0.1:1080 host.example:80
//! cargo run --example proxy_get -- --tls http://joe:s3cret@proxy.example,socks5://10.0.0.1 host.example:443 /index.html
//! ```
#![expect(clippy::print_stderr, reason = "an example says what it does")]

use std::io::Write;
use std::net::ToSocketAddrs;
use std::time::Duration;

use nsock::{Connected, Event, Failure, Io, Pool, ProxyChain, Received, Sent};

const LIMIT: Option<Duration> = Some(Duration::from_secs(30));

struct Get {
    request: String,
    failure: Option<Failure>,
}

impl Get {
    fn connected(&mut self, io: &mut Io<Self>, ev: Event<Connected>) {
        if let Some(said) = io.iod_proxy_said(ev.iod) {
            eprintln!("the proxy said: {}", said.escape_debug());
        }
        match ev.outcome {
            Ok(_) => drop(io.write(ev.iod, self.request.as_bytes(), LIMIT, Self::asked)),
            Err(why) => self.failure = Some(why),
        }
    }

    fn asked(&mut self, io: &mut Io<Self>, ev: Event<Sent>) {
        match ev.outcome {
            Ok(_) => drop(io.read(ev.iod, LIMIT, Self::answered)),
            Err(why) => self.failure = Some(why),
        }
    }

    fn answered(&mut self, io: &mut Io<Self>, ev: Event<Received>) {
        match ev.outcome {
            Ok(got) => match std::io::stdout().write_all(&got.bytes) {
                Ok(()) => drop(io.read(ev.iod, LIMIT, Self::answered)),
                Err(_) => io.loop_quit(),
            },
            Err(Failure::Eof) => {}
            Err(why) => self.failure = Some(why),
        }
    }
}

/// The name of the first proxy is the only one that nobody else can look up.
fn with_address(chain: ProxyChain) -> Result<ProxyChain, Box<dyn std::error::Error>> {
    let Some(name) = chain.first_name() else { return Ok(chain) };
    let address = (name, 0).to_socket_addrs()?.next().ok_or("the first proxy has no address")?;
    Ok(chain.with_first_address(address.ip()))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (flags, words): (Vec<_>, Vec<_>) = std::env::args().skip(1).partition(|arg| arg == "--tls");
    let (proxies, target, path) = match &words[..] {
        [proxies, target] => (proxies, target, "/"),
        [proxies, target, path] => (proxies, target, path.as_str()),
        _ => return Err("usage: proxy_get [--tls] proxy[,proxy...] host:port [path]".into()),
    };
    let (host, port) = target.rsplit_once(':').ok_or("the target is host:port")?;
    let request = format!("GET {path} HTTP/1.0\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    let mut pool = Pool::<Get>::new()?;
    pool.set_proxychain(with_address(proxies.parse()?)?);
    let iod = pool.iod_new();
    if flags.is_empty() {
        pool.connect_tcp_host(iod, host, port.parse()?, LIMIT, Get::connected);
    } else {
        pool.connect_ssl_host(iod, host, port.parse()?, LIMIT, Get::connected);
    }
    let mut get = Get { request, failure: None };
    pool.run(&mut get, None)?;
    match get.failure {
        Some(why) => Err(format!("{why} ({:?} fault)", why.fault()).into()),
        None => Ok(()),
    }
}
