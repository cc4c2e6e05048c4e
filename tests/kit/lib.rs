//! Peers with known behavior, for the examples, integration tests and benches of this workspace.
//!
//! Each server here binds port 0, runs on its own thread, and is a *value*: dropping it stops and joins the
//! thread at once, whatever its peers are doing. No server talks to anything but who connected to it, and nothing
//! here leaves loopback or the namespaces of a [`Lab`].
//!
//! | to see how code treats | use |
//! |---|---|
//! | a fast, correct TCP peer (also thousands of connections, also on a core of its own) | [`TcpEcho`] |
//! | a peer that is slow, silent, half-closed, reset, or answers by script | [`TcpScript`], [`Step`] |
//! | datagrams: echoed, or answered by a closure with none, one or many | [`UdpEcho`], [`UdpServer`] |
//! | many datagrams by one system call | [`DatagramBatch`] |
//! | DNS: a name for every address, as fast as it goes, or slow and lossy | [`DnsResponder`] |
//! | DNS: wrong, late, doubled, malformed and forged answers | [`LyingDns`], [`DnsAnswer`] |
//! | TLS: a server whose conversations are closures, certificates of every fault | [`TlsServer`], [`TlsIdentity`] |
//! | real proxies: tinyproxy, dante, microsocks | [`ProxyServer`] |
//! | a port where nothing listens | [`closed_port`] |
//! | a host that never answers a connect | [`full_backlog`] |
//! | running out of descriptors | [`with_descriptor_limit`] |
//! | whether a page in `docs` prints what it shows | [`Page`] |
//! | how much is allocated | [`CountingAllocator`] |
//! | the cost of one thing against another, on a core of its own | [`measure`] |
//! | whether a trace keeps nsock's contract | [`Oracle`] |
//! | two hosts with a wire between them, loss, filters, ICMP | [`Lab`] |
//! | hosts behind a router | [`Lab::far_side`] |
//! | a real DNS server, or another program that has to run beside the test | [`Lab::dnsmasq`], [`Service`] |
//!
//! A test which needs root or a tool asks [`need_root`], [`need_tool`] or [`need_descriptors`] first; on a developer's machine it is then
//! skipped loudly, and in continuous integration the skip is a failure.
//!
//! ```
//! use std::io::{Read, Write};
//!
//! let echo = testkit::TcpEcho::start()?;
//! let mut client = std::net::TcpStream::connect(echo.address())?;
//! client.write_all(b"hello")?;
//! let mut back = [0; 5];
//! client.read_exact(&mut back)?;
//! assert_eq!(&back, b"hello");
//! # Ok::<(), std::io::Error>(())
//! ```

mod alloc;
mod book;
mod datagrams;
mod dns;
mod lab;
mod limits;
pub mod measure;
mod name_servers;
mod oracle;
mod proxies;
mod refused;
mod skip;
mod tcp;
mod tls;
mod udp;
mod worker;

/// The code in the pages of the book, compiled and run.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../../docs/writing-a-probe.md")]
    mod writing_a_probe {}
    #[doc = include_str!("../../docs/debugging-an-iod.md")]
    mod debugging_an_iod {}
}

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

pub use alloc::CountingAllocator;
pub use book::Page;
pub use datagrams::{BATCH_MAX, DatagramBatch, SLOT_BYTES};
pub use dns::{
    DnsAnswer, DnsConditions, DnsQuestion, DnsResponder, DnsTransport, LyingDns, Say, answer_in_place,
    dns_name, pointer_name, question_end,
};
pub use lab::{
    FAR_V4, FAR_V6, Far, Lab, ROUTER_V4, ROUTER_V6, SCANNER_LINK, SCANNER_V4, SCANNER_V6, Service,
    TARGET_LINK, TARGETS_V4, TARGETS_V6,
};
pub use limits::{
    Exclusive, descriptor_limit_leaving, exclusive, in_own_process, open_descriptors, with_descriptor_limit,
};
pub use name_servers::{MANY_NAMES, NameServer};
pub use oracle::{Contract, Oracle, TraceEnd, Violation};
pub use proxies::ProxyServer;
pub use refused::{ClosedPort, FullBacklog, closed_port, closed_port_at, full_backlog};
pub use skip::{need_descriptors, need_root, need_tool};
pub use tcp::{Step, TcpEcho, TcpScript};
pub use tls::{TLS_HOST, TlsIdentity, TlsPeer, TlsServer, TlsSetup, Validity};
pub use udp::{UdpEcho, UdpServer};

/// IPv4 loopback, any free port: what the servers bind unless told otherwise.
pub const LOOPBACK_V4: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// IPv6 loopback, any free port.
pub const LOOPBACK_V6: SocketAddr = SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), 0);
