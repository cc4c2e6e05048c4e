//! DNS look-ups for a scanner: many at once, backwards above all, and never a hang.
//!
//! The heart is a state machine. [`Resolver`] takes requests, datagrams and the time, and gives datagrams and answers;
//! it opens no socket and reads no clock, so that every failure of a network can be played through in virtual time.
//! Around it stand the parsers of [`ResolvConf`] and [`Hosts`], which take text and open no file, and [`HostName`],
//! which lets no byte of a hostile name through.
//!
//! What it promises:
//!
//! 1. Each request is settled exactly once, in bounded time, whatever servers, network and system do.
//! 2. An answer is believed only after its sender, its id and its question. Each try has an id and a port of its own.
//! 3. A server that refuses, fails or is not there costs no time-out: the next one is asked at once. Silence is waited
//!    for as long as the server usually takes, not longer.
//! 4. Trouble of this machine is never held against a server.
//! 5. A name that comes out is printable ASCII without blanks, quotes and markup.
//! 6. The first query is the plain one of the public transcripts: 44 bytes for 192.168.1.103.
//!
//! [`Driver`] attaches a resolver to an `nsock` pool, and [`system_config`] reads the system's files.
//!
//! # Driving it by hand
//!
//! After [`start`](Resolver::start), [`cancel`](Resolver::cancel) and every `handle_*`, drain
//! [`poll_transmit`](Resolver::poll_transmit), [`poll_close`](Resolver::poll_close) and
//! [`poll_answer`](Resolver::poll_answer), in this order, and set the timer to
//! [`poll_timeout`](Resolver::poll_timeout):
//!
//! ```
//! use std::time::{Duration, Instant};
//! use dns::{Config, Request, Resolver};
//!
//! let server = "198.18.0.53:53".parse()?;
//! let mut ids = 1000..; // for an example only: ids have to be unpredictable
//! let mut resolver = Resolver::new(Config::new(vec![server]), move || ids.next().unwrap_or(0))?;
//!
//! let mut now = Instant::now(); // the one reading of a clock; from here on time is virtual
//! let id = resolver.start(now, Request::Reverse("192.168.1.103".parse()?))?;
//! let query = resolver.poll_transmit(now).ok_or("nothing to send")?;
//! assert_eq!((query.address, query.bytes.len()), (server, 44));
//! assert_eq!(resolver.poll_timeout(), Some(now + Duration::from_millis(400)));
//!
//! // The server answers with one PTR record.
//! let mut answer = query.bytes.clone();
//! (answer[2], answer[7]) = (0x81, 1);
//! answer.extend_from_slice(b"\xc0\x0c\x00\x0c\x00\x01\x00\x00\x00\x3c\x00\x0a\x04h103\x03lan\x00");
//! now += Duration::from_millis(1);
//! resolver.handle_datagram(now, query.socket, server, &answer)?;
//!
//! assert_eq!(resolver.poll_transmit(now), None);
//! assert_eq!(resolver.poll_close(), Some(query.socket));
//! let answer = resolver.poll_answer().ok_or("no answer")?;
//! assert_eq!((answer.id, answer.outcome.to_string().as_str()), (id, "h103.lan"));
//! assert_eq!(resolver.poll_timeout(), None);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Limits
//!
//! | what | most | named |
//! |---|---|---|
//! | requests held at once | 131,072 | [`REQUESTS_MAX`] |
//! | from the first datagram to the outcome | 5 s | [`BUDGET_DEFAULT`] |
//! | before the first datagram | 5 s, and 10 ms for each question ahead | |
//! | servers silent: a batch of any size | 5 s | |
//! | datagrams per question | 8 | [`TRIES_MAX`] |
//! | wait for one datagram | 2 s | [`TRY_TIMEOUT_MAX`] |
//! | queries in flight per server | 256 | [`WINDOW_MAX`] |
//! | servers | 16 | [`SERVERS_MAX`] |
//! | sockets per server; in flight per socket before the next is opened | 32; 16 | [`SOCKETS_PER_SERVER_MAX`], [`IN_FLIGHT_PER_SOCKET`] |
//! | answers remembered | 8,192 | [`CACHE_ENTRIES_DEFAULT`] |
//! | names or addresses of one answer; aliases on the way | 32; 10 | |
//! | names of a hosts file | 1,048,576 | [`HOSTS_NAMES_MAX`] |
//! | domains of a search list | 32 | [`SEARCH_MAX`] |
//! | bytes of a name; of a label | 253; 63 | [`NAME_BYTES_MAX`], [`LABEL_BYTES_MAX`] |
//!
//! | connections per server; queries waiting at one | 1; 512 | |
//!
//! # What keeps forged answers out
//!
//! Someone who sees no packet has to guess, for each query anew, its id (16 bits), its port (about 14.8 bits on Linux)
//! and the case of the letters of its name: 10 bits for the reverse name of an IPv4 address, about 18 for that of an
//! IPv6 address, one for each letter of a host name. For an IPv4 address that is one chance in 2^40.8 per forged
//! datagram: ten thousand of them for each of a million names succeed once in two hundred runs of that size. With a
//! server that does cookies (RFC 7873) it is one in 2^104.8. Until a server has
//! answered for the first time, its queries (at most ten) are plain, and so have one in 2^30.8; a server that does not keep the letters has the same for all, and is asked by TCP for the first two names.
//!
//! A datagram that fails a check is never the end of a wait. After eight of them for one name, that name is asked for by
//! TCP.

mod accept;
mod cache;
mod capability;
mod config;
mod driver;
mod hosts;
mod message;
mod name;
mod outcome;
mod query;
mod request;
mod resolv_conf;
mod resolver;
mod server;
mod sockets;
mod stream;
mod system;
#[cfg(test)]
mod testing;
mod text;

pub use accept::Discard;
pub use cache::CACHE_ENTRIES_DEFAULT;
pub use config::{BUDGET_DEFAULT, Config, ConfigError, Counters, Rotation, WINDOW_LIMIT};
pub use driver::{Driver, SCOPE, TIMER_SCOPE};
pub use hosts::{HOSTS_NAMES_MAX, Hosts};
pub use name::{Escaped, HostName, InvalidName, LABEL_BYTES_MAX, NAME_BYTES_MAX};
pub use outcome::{Answer, Explained, Outcome, ServerFault, Source, SystemError};
pub use query::{TRIES_MAX, Transport};
pub use request::{Family, Request, RequestId};
pub use resolv_conf::{NOTES_MAX, NameServer, Note, Problem, ResolvConf, SEARCH_MAX, SERVERS_MAX};
pub use resolver::{Full, REQUESTS_MAX, Resolver, Transmit};
pub use server::{ServerId, TRY_TIMEOUT_MAX, WINDOW_MAX};
pub use sockets::{IN_FLIGHT_PER_SOCKET, SOCKETS_PER_SERVER_MAX, SocketId, TransmitId};
pub use system::{config_with_servers, socket_address, system_config, unpredictable_ids};
