//! x
mod accept;
mod cache;
mod config;
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
#[cfg(test)]
mod testing;
mod text;

pub use accept::Discard;
pub use cache::CACHE_ENTRIES_DEFAULT;
pub use config::{BUDGET_DEFAULT, Config, ConfigError, Counters, Rotation};
pub use hosts::{HOSTS_NAMES_MAX, Hosts};
pub use name::{Escaped, HostName, InvalidName, LABEL_BYTES_MAX, NAME_BYTES_MAX};
pub use outcome::{Answer, Outcome, ServerFault, Source, SystemError};
pub use query::TRIES_MAX;
pub use request::{Family, Request, RequestId};
pub use resolv_conf::{NOTES_MAX, NameServer, Note, Problem, ResolvConf, SEARCH_MAX, SERVERS_MAX};
pub use resolver::{Full, REQUESTS_MAX, Resolver, Transmit};
pub use server::{ServerId, TRY_TIMEOUT_MAX, WINDOW_MAX};
pub use sockets::{IN_FLIGHT_PER_SOCKET, SOCKETS_PER_SERVER_MAX, SocketId, TransmitId};
