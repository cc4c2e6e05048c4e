//! Event-driven network I/O after Nmap's nsock: a pool of I/O descriptors (IODs), requests that become one-shot
//! events with an EID, a handler for each, and a trace record for every step.
//!
//! A probe reads as the story it is: each handler is a method of the program's own state, which is lent to the loop.
//!
//! ```
//! use nsock::{Connected, Event, Failure, Io, IodId, Pool, Received, Sent};
//! use std::{net::SocketAddr, time::Duration};
//! const LIMIT: Option<Duration> = Some(Duration::from_secs(5));
//!
//! #[derive(Default)]
//! struct Hello { greetings: Vec<Vec<u8>>, failures: Vec<Failure> }
//!
//! impl Hello {
//!     fn connected(&mut self, io: &mut Io<Self>, ev: Event<Connected>) {
//!         match ev.outcome {
//!             Ok(_) => { io.printf(ev.iod, LIMIT, format_args!("HEAD / HTTP/1.0\r\n\r\n"), Self::sent); }
//!             Err(why) => self.give_up(io, ev.iod, why),
//!         }
//!     }
//!     fn sent(&mut self, io: &mut Io<Self>, ev: Event<Sent>) {
//!         match ev.outcome {
//!             Ok(_) => { io.readlines(ev.iod, 1, LIMIT, Self::greeted); }
//!             Err(why) => self.give_up(io, ev.iod, why),
//!         }
//!     }
//!     fn greeted(&mut self, io: &mut Io<Self>, ev: Event<Received>) {
//!         match ev.outcome {
//!             Ok(got) => { self.greetings.push(got.bytes); io.iod_delete(ev.iod); }
//!             Err(why) => self.give_up(io, ev.iod, why),
//!         }
//!     }
//!     fn give_up(&mut self, io: &mut Io<Self>, iod: IodId, why: Failure) {
//!         self.failures.push(why);
//!         io.iod_delete(iod);
//!     }
//! }
//!
//! # let server = std::net::TcpListener::bind("127.0.0.1:0")?;
//! # let target = server.local_addr()?;
//! # let peer = std::thread::spawn(move || -> std::io::Result<()> {
//! #     use std::io::{BufRead, BufReader, Write};
//! #     let (mut socket, _) = server.accept()?;
//! #     BufReader::new(socket.try_clone()?).read_line(&mut String::new())?;
//! #     socket.write_all(b"HTTP/1.0 200 OK\r\n\r\n")
//! # });
//! # let targets = [target];
//! let mut pool = Pool::<Hello>::new()?;
//! for address in targets {
//!     let iod = pool.iod_new();
//!     pool.connect_tcp(iod, address, LIMIT, Hello::connected);
//! }
//! let mut hello = Hello::default();
//! pool.run(&mut hello, None)?;                       // the only place where handlers run
//! # peer.join().unwrap()?;
//! # assert_eq!(hello.greetings, [b"HTTP/1.0 200 OK\r\n\r\n"]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The contract
//!
//! Each line is a promise, and the name of a test.
//!
//! 1. No handler runs inside a request, a cancel or a delete; only inside [`Pool::run`] or [`Pool::shutdown`].
//! 2. Every accepted request ends exactly once: with one call, or silently by [`Io::forget`], [`Io::iod_delete`] or
//!    dropping the pool.
//! 3. After a cancel that returned true, the handler sees only [`Failure::Cancelled`], even if another result was
//!    already queued; bytes already received are kept for the IOD's next read.
//! 4. Requests of one kind on one IOD complete in the order made. (A time-out may overtake: each has its own limit.)
//! 5. Within a turn, IODs in the order they were made, on each connect, read, write; then timers. Results come before
//!    time-outs, so data beats its deadline.
//! 6. IOD and event ids are never reused while a pool lives; a stale id is a harmless no-op that says so.
//! 7. Work per turn is bounded: a handler that always asks again, or a zero timer that re-arms, starves nobody.
//! 8. [`Io::now`] is monotonic and constant within a turn; deadlines are computed from it, waits are rounded up.
//! 9. Submit and cancel are O(log n) or better, dispatch is O(1), memory returns after a burst.
//! 10. A panic in a handler leaves the pool usable.
//! 11. `EID = serial << 3 | kind`, serials from 1 per scope; IOD ids from 1 per scope; classic trace text, byte for
//!     byte.
//! 12. No exit, abort, panic or process-wide side effect on anything the peer, the kernel or the caller does.
//!
//! # How it fits together
//!
//! [`Engine`] takes requests and returns completions; it calls nobody. [`Pool`] keeps a handler for each pending event
//! and calls it after taking it out. [`Io`] is what a handler may do, which is everything but running the loop: a
//! nested loop cannot be written. Several users share one pool through [scopes](Io::scope), each with its own serials,
//! label and trace switch; a library that is one of them is found through a projection, `fn(&mut S) -> &mut Library`.
//!
//! # Reading the trace
//!
//! [`Io::trace_to`] installs a sink from [`trace`], [`Io::trace_ring`] keeps the last records in memory, and
//! [`Io::report`] tells at any moment which IODs are open, which events are pending, since when, for what, and where in
//! the program they were asked for.
//!
//! # TLS
//!
//! With the feature `tls`, which is on by default, `Io::connect_ssl` connects and agrees on TLS under one limit, and
//! `Io::reconnect_ssl` does so on a connection that has been used without (STARTTLS). From then on the IOD is read and
//! written as any other. `TlsOptions` say which host to ask for, which protocols to offer, whether the certificate must
//! be good, which session to resume and who is told the secrets; what was agreed on is in `Io::iod_tls`.
//!
//! - Certificates are not verified unless roots are given: a scanner wants to talk to whoever is there. Such a connection
//!   is encrypted, and that is all.
//! - TLS 1.2 and 1.3 are spoken. A peer that has older versions only is [`TlsError::Version`]; there is no DTLS, so no
//!   TLS on a datagram socket; renegotiation is refused.
//! - What came is delivered before what went wrong. A peer that closes without saying so in TLS is let pass, unless it
//!   does so within a record. After an error of TLS, every read ends with it.
//! - A write has ended when the system has taken the last of its records. Deleting the IOD says goodbye once
//!   (`close_notify`), without waiting.
//!
//! # Proxies
//!
//! [`Io::set_proxychain`] sends TCP connects, with TLS or without, through a chain of HTTP, SOCKS4, SOCKS4a and SOCKS5
//! proxies. Nothing goes around it: datagrams and raw packets are refused, and names are looked up by the proxies, through
//! [`Io::connect_tcp_host`]. [`ProxyFailure`] says which proxy it was, and whether it speaks of the target.
//!
//! # Being connected to
//!
//! [`Io::listen_tcp`] and [`Io::listen_unixsock`] have an IOD listen, [`Io::accept`] takes connections, and
//! [`Io::shutdown_write`] ends one direction after the writes before it.
//!
//! # Straight-line code
//!
//! With the feature `async` the module `tasks` has every request as a future and repeated ones as streams, over the same
//! engine.
//!
//! # Where it differs from nsock
//!
//! The page `parity` has each of nsock's functions and what there is in its place.
//!
//!
//! Queued writes keep their order (nsock reverses them). Handlers of cancelled events and of requests that fail at once
//! run from the loop. Datagrams keep their boundaries up to 64 KiB, an empty one is not the end, and its sender is in
//! the event. What arrived before an error is delivered before the error. A descriptor's flags are not touched when it
//! is adopted, and the standard input is never closed. Nothing exits, ignores signals or raises limits.

mod backend;
mod capture;
mod deadlines;
mod engine;
mod error;
mod event;
#[cfg(feature = "libpcap")]
mod expression;
mod extended_error;
mod io;
mod iod;
mod observe;
mod op;
mod packet;
mod pool;
mod proxy;
mod request;
mod slots;
mod socket;
mod sys;
#[cfg(feature = "async")]
pub mod tasks;
#[cfg(feature = "tls")]
mod tls;
#[cfg(not(feature = "tls"))]
#[path = "no_tls.rs"]
mod tls;
mod tls_error;
pub mod trace;
mod transport;

#[cfg(doc)]
#[doc = include_str!("parity.md")]
pub mod parity {}

pub use backend::Waker;
pub use capture::PcapError;
pub use engine::{Engine, Notice};
pub use error::{During, Error, Failure, Fault, Misuse, SocketOption};
pub use event::{
    Accepted, Alarm, Completion, Connected, End, Event, EventId, IcmpError, IodId, Kind, Output, Received,
    ScopeId, Sent,
};
pub use io::Io;
pub use observe::{EventReport, IodReport, IodState, Report, Waiting};
pub use op::{READ_BYTES_MAX, Until};
pub use packet::{
    BpfInstruction, Datagram, Datagrams, Destination, Filter, LinkDestination, LinkType, Packet, PacketType,
    PcapOptions, PcapStats, READ_BATCH_MAX, SNAPLEN_MAX,
};
pub use pool::{Pool, Stop};
pub use proxy::{
    PROXIES_MAX, ProxiedTarget, ProxyChain, ProxyError, ProxyFailure, ProxySpecError, ProxySpecProblem,
    Rehearsal,
};
pub use request::{Request, SocketKind};
pub use socket::{IpVersion, SocketOptions};
#[cfg(feature = "tls")]
pub use tls::{TlsInfo, TlsKeyLog, TlsOptions, TlsRoots, TlsSession, TlsVerify, TlsVersion};
pub use tls_error::{CertificateError, TlsError};
