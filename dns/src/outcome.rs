//! What becomes of a request.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::name::{HostName, InvalidName};
use crate::request::{Family, Request, RequestId};
use crate::server::ServerId;

/// The end of one request. Every request that [`start`](crate::Resolver::start) took gets exactly one.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Answer {
    /// The request this settles.
    pub id: RequestId,
    /// What had been asked. Of a name the final dot is gone, and the case is that of whoever asked first.
    pub request: Request,
    /// What came of it.
    pub outcome: Outcome,
    /// Who said so.
    pub source: Source,
    /// Datagrams sent for it; 0 if it was answered from memory. Requests that share a question share the number.
    pub tries: u8,
    /// From the request to this answer.
    pub elapsed: Duration,
    /// From the query to the response, if a server answered.
    pub round_trip: Option<Duration>,
    /// How long the outcome may be kept, if someone said so.
    pub time_to_live: Option<Duration>,
}

impl Answer {
    /// Writes one line that says what was asked, what came of it, and who said so after how many tries and how long.
    /// `server` is the address of the server in [`source`](Self::source), if there is one.
    ///
    /// ```
    /// use std::time::Instant;
    /// use dns::{Config, Request, Resolver};
    /// let mut resolver = Resolver::new(Config::new(vec![]), || 7)?;
    /// resolver.start(Instant::now(), Request::Reverse("127.0.0.1".parse()?))?;
    /// let answer = resolver.poll_answer().ok_or("no answer")?;
    /// assert_eq!(answer.explained(None).to_string(), "DNS: 127.0.0.1 is localhost (hosts file)");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn explained(&self, server: Option<SocketAddr>) -> Explained<'_> {
        Explained { answer: self, server }
    }
}

/// The line of an [`Answer`]; made by [`Answer::explained`].
#[derive(Clone, Copy, Debug)]
pub struct Explained<'a> {
    answer: &'a Answer,
    server: Option<SocketAddr>,
}

impl fmt::Display for Explained<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let answer = self.answer;
        match &answer.request {
            Request::Forward(name, family) => {
                let kind = if *family == Family::V4 { "A" } else { "AAAA" };
                // Whoever asked may have typed anything.
                let name = HostName::parse(name).map_or_else(|_| "?".to_owned(), |name| name.to_string());
                write!(f, "DNS: {name} ({kind})")?;
            }
            Request::Reverse(address) => write!(f, "DNS: {address}")?,
        }
        let is_found = matches!(answer.outcome, Outcome::Names(_) | Outcome::Addresses(_));
        write!(f, "{} {} (", if is_found { " is" } else { ":" }, answer.outcome)?;
        match (answer.source, self.server) {
            (Source::Cache, _) => f.write_str("cache")?,
            (Source::Hosts, _) => f.write_str("hosts file")?,
            (Source::Resolver, _) => f.write_str("nobody answered")?,
            (Source::Server(_), Some(server)) => write!(f, "{server}")?,
            (Source::Server(id), None) => write!(f, "server {id}")?,
        }
        if answer.tries > 0 {
            write!(f, ", {} {}", answer.tries, if answer.tries == 1 { "try" } else { "tries" })?;
        }
        if let Some(took) = answer.round_trip {
            write!(f, ", {:.1} ms", took.as_secs_f64() * 1e3)?;
        }
        let is_said = matches!(answer.source, Source::Server(_));
        if let Some(code) = answer.outcome.response_code().filter(|_| is_said) {
            match code {
                0 => f.write_str(", NOERROR")?,
                3 => f.write_str(", NXDOMAIN")?,
                code => write!(f, ", {}", ServerFault::Rcode(code))?,
            }
        }
        if let Some(time) = answer.time_to_live {
            write!(f, ", for {} s", time.as_secs())?;
        }
        f.write_str(")")
    }
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Outcome {
    /// The addresses of a name, at least one, in the server's order.
    Addresses(Vec<IpAddr>),
    /// The request could not be asked: the caller's fault. Nothing was sent.
    BadInput(InvalidName),
    /// [`cancel`](crate::Resolver::cancel) was faster.
    Cancelled,
    /// This machine could not send, several times in a row.
    LocalError(SystemError),
    /// The names of an address, at least one, sorted.
    Names(Vec<HostName>),
    /// The name exists, but has no record of the kind asked for, or only some that name nothing.
    NoData,
    /// No server is configured.
    NoServers,
    /// The name does not exist (NXDOMAIN). For a reverse look-up: the address has no name.
    NoSuchName,
    /// Every server that answered refused to (REFUSED): policy, not absence.
    Refused,
    /// Every server that answered could not find out.
    ServerFailure(ServerFault),
    /// Nobody answered in time.
    TimedOut,
    /// No server could be reached: no service on its port, or no way to it.
    Unreachable(SystemError),
}

impl Outcome {
    /// The response code of the server that decided, if one did (RFC 6895 2.3): 0 for names and addresses.
    #[must_use]
    pub const fn response_code(&self) -> Option<u16> {
        match self {
            Self::Addresses(_) | Self::Names(_) | Self::NoData => Some(0),
            Self::NoSuchName => Some(3),
            Self::Refused => Some(5),
            Self::ServerFailure(ServerFault::Rcode(code)) => Some(*code),
            _ => None,
        }
    }

    /// Returns true for an answer that another try could not change: found, absent, or nothing to ask.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        match self {
            Self::Addresses(_) | Self::BadInput(_) | Self::Names(_) | Self::NoData | Self::NoSuchName => true,
            Self::Cancelled
            | Self::LocalError(_)
            | Self::NoServers
            | Self::Refused
            | Self::ServerFailure(_)
            | Self::TimedOut
            | Self::Unreachable(_) => false,
        }
    }
}

impl fmt::Display for Outcome {
    /// One clear phrase; names are harmless and separated by blanks.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Addresses(addresses) => list(f, addresses),
            Self::BadInput(why) => write!(f, "{why}"),
            Self::Cancelled => f.write_str("cancelled"),
            Self::LocalError(error) => write!(f, "cannot send DNS queries from here: {error}"),
            Self::Names(names) => list(f, names),
            Self::NoData => f.write_str("no record of this kind"),
            Self::NoServers => f.write_str("no DNS server is configured; name one with --dns-servers"),
            Self::NoSuchName => f.write_str("no such name"),
            Self::Refused => f.write_str("the DNS servers refused to answer"),
            Self::ServerFailure(fault) => write!(f, "the DNS servers failed: {fault}"),
            Self::TimedOut => f.write_str("no DNS server answered in time"),
            Self::Unreachable(error) => write!(f, "no DNS server can be reached: {error}"),
        }
    }
}

/// Who an outcome comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Source {
    /// An earlier answer, not yet too old.
    Cache,
    /// The hosts file, or `localhost` as RFC 6761 fixes it.
    Hosts,
    /// The resolver itself: nobody answered, or nobody was asked.
    Resolver,
    /// A server.
    Server(ServerId),
}

/// Why a server that did answer gave no verdict on the name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ServerFault {
    /// Aliases that go round in a circle or on for more than ten steps.
    EndlessAlias,
    /// A response code other than NOERROR and NXDOMAIN; SERVFAIL is 2 (RFC 6895 2.3).
    Rcode(u16),
    /// The answer does not fit a datagram, and the server does not answer by TCP.
    Truncated,
}

impl fmt::Display for ServerFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::EndlessAlias => "aliases without an end",
            Self::Truncated => "the answer does not fit a datagram, and there is none by TCP",
            Self::Rcode(1) => "FORMERR",
            Self::Rcode(2) => "SERVFAIL",
            Self::Rcode(4) => "NOTIMP",
            Self::Rcode(5) => "REFUSED",
            Self::Rcode(9) => "NOTAUTH",
            Self::Rcode(code) => return write!(f, "response code {code}"),
        };
        f.write_str(name)
    }
}

/// What a failed system call said, without the call: small, comparable, and printed as the system words it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SystemError {
    kind: io::ErrorKind,
    code: Option<i32>,
}

impl SystemError {
    /// The number of the system's error, such as an `errno`, if it had one.
    #[must_use]
    pub const fn code(&self) -> Option<i32> {
        self.code
    }

    /// The kind of error.
    #[must_use]
    pub const fn kind(&self) -> io::ErrorKind {
        self.kind
    }

    /// Returns true if the error is the end of a connection: the other side closed or reset it, or never took it.
    pub(crate) const fn is_end_of_stream(&self) -> bool {
        matches!(
            self.kind,
            io::ErrorKind::UnexpectedEof
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::BrokenPipe
                | io::ErrorKind::TimedOut
        )
    }

    /// Returns true if the error says that this server cannot be reached, or is not there; false for trouble of this
    /// machine, which would befall every server.
    pub(crate) fn is_about_the_way(&self) -> bool {
        let is_known_kind = matches!(
            self.kind,
            // ICMP port unreachable, on a connected socket.
            io::ErrorKind::ConnectionRefused
                | io::ErrorKind::HostUnreachable
                | io::ErrorKind::NetworkUnreachable
                // A link-local address without a scope id.
                | io::ErrorKind::InvalidInput
        );
        // A family this machine does not speak; the standard library has no kind for it.
        is_known_kind || self.code == Some(libc::EAFNOSUPPORT)
    }
}

impl From<&io::Error> for SystemError {
    fn from(error: &io::Error) -> Self {
        Self { kind: error.kind(), code: error.raw_os_error() }
    }
}

impl fmt::Display for SystemError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            Some(code) => write!(f, "{}", io::Error::from_raw_os_error(code)),
            None => write!(f, "{}", self.kind),
        }
    }
}

/// Writes items with blanks between them.
fn list(f: &mut fmt::Formatter<'_>, items: &[impl fmt::Display]) -> fmt::Result {
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            f.write_str(" ")?;
        }
        write!(f, "{item}")?;
    }
    Ok(())
}
