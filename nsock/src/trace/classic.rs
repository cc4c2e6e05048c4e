//! nsock's own text, byte for byte (spec nsock 7).

mod request;

use std::fmt;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use super::{Asked, Callback, Level, ProxyStep, Record, Sink, Step};
use crate::error::{During, Failure, SocketOption, errno_text};
use crate::event::{End, Kind};

/// nsock's read timeout on Linux, which its line names. There is none here: packets are delivered at once.
const PCAP_TO_MS: u32 = 200;

/// Payloads as long as this or longer are not shown.
const PAYLOAD_SHOWN_MAX: usize = 80;

/// Writes the classic text, a line per record: `NSOCK INFO [0.0910s] nsock_read(): Read request from …`.
///
/// Write errors are swallowed: a broken trace must not stop the work it traces.
#[derive(Debug)]
pub struct Classic<W> {
    writer: W,
    start: Instant,
    payloads: bool,
}

impl<W: Write> Classic<W> {
    /// Times in the text count from `start`. `level` should be the one the sink is installed with: payloads of
    /// writes are shown at [`Level::Full`] only.
    #[must_use]
    pub fn new(writer: W, start: Instant, level: Level) -> Self {
        Self { writer, start, payloads: level == Level::Full }
    }
}

impl<W: Write> Sink for Classic<W> {
    fn record(&mut self, record: &Record<'_>) {
        if let Some(mut text) = ClassicText::new(record, self.start) {
            text.payloads = self.payloads;
            let _ = writeln!(self.writer, "{text}");
        }
    }
}

/// The classic line of a record, without the line end; `Display` writes it.
#[derive(Debug)]
pub struct ClassicText<'a> {
    record: &'a Record<'a>,
    start: Instant,
    payloads: bool,
}

impl<'a> ClassicText<'a> {
    /// `None` for the steps that nsock has no line for.
    #[must_use]
    pub fn new(record: &'a Record<'a>, start: Instant) -> Option<Self> {
        match record.step {
            Step::Partial { .. } | Step::TimerFired => None,
            _ => Some(Self { record, start, payloads: false }),
        }
    }
}

impl fmt::Display for ClassicText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let record = self.record;
        let level = match record.level() {
            Level::Error => "ERROR",
            Level::Info => "INFO",
            Level::Debug => "DEBUG",
            Level::Full => "DEBUG FULL",
        };
        // Whole milliseconds, shown with four decimals: the last one is always 0.
        let elapsed = record.at.saturating_duration_since(self.start).as_millis();
        write!(f, "NSOCK {level} [{}.{:03}0s] ", elapsed / 1000, elapsed % 1000)?;
        let iod = record.iod.unwrap_or_default();
        let event = record.event.unwrap_or_default();
        let kind = record.kind.unwrap_or(Kind::Timer);
        match record.step {
            Step::IodNew => write!(f, "nsock_iod_new2(): nsock_iod_new (IOD #{iod})"),
            Step::IodDelete => write!(f, "nsock_iod_delete(): nsock_iod_delete (IOD #{iod})"),
            Step::SetupUdp => write!(f, "nsock_setup_udp(): UDP unconnected socket (IOD #{iod})"),
            Step::Listening => write!(f, "nsock_listen(): Listening (IOD #{iod})"),
            Step::PcapRequested { device, promiscuous, snaplen } => write!(
                f,
                "nsock_pcap_open(): PCAP requested on device '{device}' with berkeley filter '{}' \
                 (promisc={} snaplen={snaplen} to_ms={PCAP_TO_MS}) (IOD #{iod})",
                String::from_utf8_lossy(record.payload),
                u8::from(promiscuous)
            ),
            Step::PcapOpened { device, l3_offset } => write!(
                f,
                "nsock_pcap_open(): PCAP created successfully on device '{device}' (pcap_desc={} bsd_hack=0 \
                 to_valid=1 l3_offset={l3_offset}) (IOD #{iod})",
                record.fd.unwrap_or(-1)
            ),
            Step::PcapFailed { device, filter } => {
                let why = String::from_utf8_lossy(record.payload);
                if filter {
                    write!(f, "nsock_pcap_set_filter(): Error compiling pcap filter: {why}")
                } else {
                    write!(f, "nsock_pcap_open(): pcap_activate({device}) FAILED: {why}.")
                }
            }
            Step::Request { asked, limit } => self.request(f, asked, limit, iod, event),
            Step::Binding { local } => {
                write!(f, "mksock_bind_addr(): Binding to {} (IOD #{iod})", Plain(local))
            }
            Step::SetupFailed { during, local, errno } => setup_failed(f, during, local, errno, iod),
            Step::Armed { limit } => {
                write!(
                    f,
                    "nsock_pool_add_event(): NSE #{event}: Adding event (timeout in {}ms)",
                    Millis(limit)
                )
            }
            Step::LoopStarted { limit: Some(limit), pending } => write!(
                f,
                "nsock_loop(): nsock_loop() started (timeout={}ms). {pending} events pending",
                limit.as_millis()
            ),
            Step::LoopStarted { limit: None, pending } => {
                write!(f, "nsock_loop(): nsock_loop() started (no timeout). {pending} events pending")
            }
            Step::Turn => f.write_str("epoll_loop(): wait for events"),
            Step::WaitFailed { errno } => {
                write!(f, "epoll_loop(): nsock_loop error {errno}: {}", errno_text(errno))
            }
            Step::Ready { mask } => {
                write!(f, "process_iod_events(): Processing events on IOD {iod} (ev={mask})")
            }
            Step::TlsFailed { error } if kind == Kind::ConnectSsl => {
                write!(f, "handle_connect_result(): EID {event} {error}")
            }
            Step::TlsFailed { error } => {
                write!(f, "do_actual_read(): SSL_read() failed for reason 1 on NSI {iod}: {error}")
            }
            Step::Proxy(step) => self.proxy(f, step, iod, event),
            Step::Callback(callback) => self.callback(f, callback, kind, event),
            Step::EventNew => match record.iod {
                Some(iod) => write!(f, "event_new(): event_new (IOD #{iod}) (EID #{event})"),
                None => write!(f, "event_new(): event_new (IOD #NULL) (EID #{event})"),
            },
            Step::Released => match record.iod {
                Some(iod) => write!(f, "event_delete(): event_delete (IOD #{iod}) (EID #{event})"),
                None => write!(f, "event_delete(): event_delete (IOD #NULL) (EID #{event})"),
            },
            Step::Cancel { .. } => {
                write!(f, "nsock_event_cancel(): Event #{event} (type {kind}) cancelled")
            }
            Step::Removed { .. } => {
                write!(f, "nevent_delete(): nevent_delete on event #{event} (type {kind})")
            }
            Step::Partial { .. } | Step::TimerFired => Ok(()),
        }
    }
}

impl ClassicText<'_> {
    /// What nsock writes for the events that it makes of a handshake with a proxy; here all have the connect's EID.
    fn proxy(&self, f: &mut fmt::Formatter<'_>, step: ProxyStep, iod: u64, event: u64) -> fmt::Result {
        let peer = Peer::of(self.record);
        match step {
            ProxyStep::Redirected => write!(
                f,
                "nsock_connect_internal(): TCP connection request (EID {event}) redirected through proxy chain"
            ),
            ProxyStep::Asked { by, bytes } => {
                let function = if by == "http" { "nsock_printf" } else { "nsock_write" };
                write!(f, "{function}(): Write request for {bytes} bytes to IOD #{iod} EID {event} [{peer}]")
            }
            ProxyStep::Awaited { until, limit } => self.request(f, Asked::Read(until), limit, iod, event),
            ProxyStep::Refused(_) => {
                let proxy = String::from_utf8_lossy(self.record.payload);
                match proxy.split_once("://") {
                    Some((socks, _)) if socks.starts_with("socks") => write!(
                        f,
                        "handle_state_tcp_connected(): Ignoring invalid {socks} reply from proxy {proxy}"
                    ),
                    _ => write!(f, "handle_state_tcp_connected(): Connection refused from proxy {proxy}"),
                }
            }
            ProxyStep::Through | ProxyStep::Failed(_) => {
                let status = if step == ProxyStep::Through { "SUCCESS" } else { "PROXY ERROR" };
                write!(
                    f,
                    "forward_event(): Forwarding event upstream: TCP connect {status} (IOD #{iod}) EID {event}"
                )
            }
        }
    }

    fn callback(
        &self,
        f: &mut fmt::Formatter<'_>,
        callback: Callback,
        kind: Kind,
        event: u64,
    ) -> fmt::Result {
        write!(f, "nsock_trace_handler_callback(): Callback: {kind} ")?;
        match callback {
            Callback::Received { bytes, end } => {
                let mark = if end == End::Eof { "[EOF]" } else { "" };
                let peer = Peer::of(self.record);
                let payload = Payload(self.record.payload);
                return write!(f, "SUCCESS for EID {event} [{peer}] {mark}({bytes} bytes){payload}");
            }
            Callback::Success { .. } => f.write_str("SUCCESS ")?,
            Callback::Failed(failure) => {
                write!(f, "{} ", failure.status())?;
                if failure.status() == "ERROR" {
                    let errno = match failure {
                        Failure::Tls(_) => libc::EIO,
                        _ => failure.errno().unwrap_or(libc::EINVAL),
                    };
                    write!(f, "[{} ({errno})] ", errno_text(errno))?;
                }
            }
        }
        write!(f, "for EID {event}")?;
        match self.record.iod {
            // The blank at the end is nsock's.
            Some(_) if kind == Kind::PcapRead => f.write_str(" "),
            Some(_) => write!(f, " [{}]", Peer::of(self.record)),
            None => Ok(()),
        }
    }
}

fn setup_failed(
    f: &mut fmt::Formatter<'_>,
    during: During,
    local: Option<SocketAddr>,
    errno: i32,
    iod: u64,
) -> fmt::Result {
    let text = errno_text(errno);
    match (during, local) {
        (During::Socket, _) => write!(f, "nsock_make_socket(): Socket trouble: {text}"),
        (During::Bind, Some(local)) => {
            write!(f, "mksock_bind_addr(): Bind to {} failed (IOD #{iod}): {text} ({errno})", Plain(local))
        }
        (During::Option(option), _) => {
            let (function, option) = match option {
                SocketOption::ReuseAddr => ("mksock_bind_addr", "SO_REUSEADDR"),
                SocketOption::IpOptions => ("mksock_set_ipopts", "IP options"),
                SocketOption::BindToDevice => ("mksock_bind_device", "SO_BINDTODEVICE"),
                SocketOption::Broadcast => ("mksock_set_broadcast", "SO_BROADCAST"),
                SocketOption::Linger => ("nsock_make_socket", "SO_LINGER"),
                SocketOption::NoDelay => ("nsock_make_socket", "TCP_NODELAY"),
                SocketOption::RecvErr => ("nsock_make_socket", "IP_RECVERR"),
            };
            if option == "SO_REUSEADDR" {
                return write!(f, "{function}(): Setting of {option} failed (#{iod}): {text} ({errno})");
            }
            write!(f, "{function}(): Setting of {option} failed (IOD #{iod}): {text} ({errno})")
        }
        (during, _) => {
            write!(f, "nsock_make_socket(): Socket trouble (IOD #{iod}) {during}: {text} ({errno})")
        }
    }
}

/// A time limit in whole milliseconds, -1 for none.
struct Millis(Option<Duration>);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(limit) => write!(f, "{}", limit.as_millis()),
            None => f.write_str("-1"),
        }
    }
}

/// `address:port`, IPv6 without brackets.
struct Plain(SocketAddr);

impl fmt::Display for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.0.ip(), self.0.port())
    }
}

/// What stands in brackets.
enum Peer<'a> {
    Internet(SocketAddr),
    Unix(&'a Path),
    Unspecified,
}

impl<'a> Peer<'a> {
    fn of(record: &Record<'a>) -> Self {
        match (record.peer, record.path) {
            (Some(peer), _) => Self::Internet(peer),
            (None, Some(path)) => Self::Unix(path),
            (None, None) => Self::Unspecified,
        }
    }
}

impl fmt::Display for Peer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Internet(peer) => Plain(*peer).fmt(f),
            Self::Unix(path) => path.display().fmt(f),
            Self::Unspecified => f.write_str("peer unspecified"),
        }
    }
}

/// `: ` and the bytes, unprintable ones as dots; nothing if they are too many.
struct Payload<'a>(&'a [u8]);

impl fmt::Display for Payload<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.len() >= PAYLOAD_SHOWN_MAX {
            return Ok(());
        }
        let shown: String = self
            .0
            .iter()
            .map(|&byte| if byte.is_ascii_graphic() || byte == b' ' { char::from(byte) } else { '.' })
            .collect();
        write!(f, ": {shown}")
    }
}
