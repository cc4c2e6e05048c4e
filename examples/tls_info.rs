//! What a TLS server agrees to: version, cipher suite, protocol, certificates. Any certificate will do.
//!
//! ```text
//! cargo run --example tls_info -- 127.0.0.1:443 host.example
//! ```
#![expect(clippy::print_stdout, reason = "an example shows what it found")]

use std::net::SocketAddr;
use std::time::Duration;

use nsock::{Connected, Event, Failure, Io, Pool, TlsInfo, TlsOptions};

const LIMIT: Option<Duration> = Some(Duration::from_secs(10));

#[derive(Default)]
struct Server {
    found: Option<TlsInfo>,
    failure: Option<Failure>,
    cause: Option<String>,
}

impl Server {
    fn agreed(&mut self, io: &mut Io<Self>, ev: Event<Connected>) {
        self.found = io.iod_tls(ev.iod).filter(|_| ev.outcome.is_ok());
        self.failure = ev.outcome.err();
        self.cause = io.iod_tls_cause(ev.iod).map(str::to_owned);
        io.iod_delete(ev.iod);
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let address: SocketAddr =
        arguments.next().ok_or("usage: tls_info address:port [server name]")?.parse()?;
    let mut options = TlsOptions::default();
    options.server_name = arguments.next();
    options.alpn = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let mut pool = Pool::<Server>::new()?;
    let iod = pool.iod_new();
    pool.iod_set_tls_options(iod, options);
    pool.connect_ssl(iod, address, LIMIT, Server::agreed);
    let mut server = Server::default();
    pool.run(&mut server, None)?;
    if let Some(failure) = server.failure {
        let cause = server.cause.map(|cause| format!(" ({cause})")).unwrap_or_default();
        println!("{address}: {failure}{cause}, {:?} fault", failure.fault());
    }
    if let Some(info) = server.found {
        println!("{address}: {} {} (0x{:04x})", info.version, info.cipher, info.cipher_number);
        let protocol = info.alpn.as_deref().map(String::from_utf8_lossy);
        println!("protocol: {}", protocol.as_deref().unwrap_or("none chosen").escape_debug());
        for (place, certificate) in info.certificates.iter().enumerate() {
            println!("certificate {place}: {} bytes", certificate.len());
        }
    }
    Ok(())
}
