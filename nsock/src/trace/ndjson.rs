//! A line of JSON per record, for programs.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use super::{Asked, Callback, ProxyStep, Record, Sink, Step};
use crate::error::errno_text;
use crate::op::Until;
use crate::request::SocketKind;

/// Writes each record as one JSON object and a newline.
///
/// Every object has `t` (seconds since the start), `step` and, where they apply, `scope`, `iod`, `fd`, `peer`, `path`,
/// `eid`, `kind`, `parent` and `place`; the rest depends on the step. Payloads are given by their length.
/// Write errors are swallowed: a broken trace must not stop the work it traces.
#[derive(Debug)]
pub struct Ndjson<W> {
    writer: W,
    start: Instant,
}

impl<W: Write> Ndjson<W> {
    /// Times count from `start`.
    #[must_use]
    pub fn new(writer: W, start: Instant) -> Self {
        Self { writer, start }
    }
}

impl<W: Write> Sink for Ndjson<W> {
    fn record(&mut self, record: &Record<'_>) {
        let _ = write_json(&mut self.writer, record, self.start);
    }
}

/// Writes one record as a line of JSON, its time counted from `start`.
///
/// # Errors
/// The writer's.
pub fn write_json(mut writer: impl Write, record: &Record<'_>, start: Instant) -> io::Result<()> {
    let mut object = Map::new();
    let micros = record.at.saturating_duration_since(start).as_micros();
    object.insert("t".into(), json!(micros as f64 / 1e6));
    object.insert("step".into(), step_name(record.step).into());
    let mut put = |name: &str, value: Value| {
        if !value.is_null() {
            object.insert(name.into(), value);
        }
    };
    put("scope", if record.scope.is_empty() { Value::Null } else { record.scope.into() });
    put("iod", json!(record.iod));
    put("fd", json!(record.fd));
    put("peer", json!(record.peer.map(|peer| peer.to_string())));
    put("path", json!(record.path.map(|path| path.to_string_lossy())));
    put("eid", json!(record.event));
    put("kind", json!(record.kind.map(|kind| kind.to_string())));
    put("parent", json!(record.parent));
    put("place", json!(record.place.map(|place| format!("{}:{}", place.file(), place.line()))));
    if let Step::Request { asked: Asked::ConnectHost { .. }, .. } = record.step {
        put("host", String::from_utf8_lossy(record.payload).into());
    }
    detail(record.step, put);
    serde_json::to_writer(&mut writer, &object)?;
    writer.write_all(b"\n")
}

fn detail(step: Step, mut put: impl FnMut(&str, Value)) {
    let seconds = |limit: Option<Duration>| json!(limit.map(|limit| limit.as_secs_f64()));
    match step {
        Step::EventNew
        | Step::IodNew
        | Step::IodDelete
        | Step::Released
        | Step::SetupUdp
        | Step::Listening
        | Step::TimerFired
        | Step::Turn => {}
        Step::Request { asked, limit } => {
            request(asked, &mut put);
            put("limit", seconds(limit));
        }
        Step::Binding { local } => put("local", local.to_string().into()),
        Step::SetupFailed { during, local, errno } => {
            put("during", during.to_string().into());
            put("local", json!(local.map(|local| local.to_string())));
            failure(errno, &mut put);
        }
        Step::TlsFailed { error } => put("error", error.to_string().into()),
        Step::PcapRequested { device, promiscuous, snaplen } => {
            put("device", device.to_string().into());
            put("promiscuous", promiscuous.into());
            put("snaplen", snaplen.into());
        }
        Step::PcapOpened { device, l3_offset } => {
            put("device", device.to_string().into());
            put("l3_offset", l3_offset.into());
        }
        Step::PcapFailed { device, filter } => {
            put("device", device.to_string().into());
            put("during", if filter { "filter" } else { "open" }.into());
        }
        Step::Proxy(step) => proxy(step, &mut put),
        Step::Armed { limit } => put("limit", seconds(limit)),
        Step::LoopStarted { limit, pending } => {
            put("limit", seconds(limit));
            put("pending", pending.into());
        }
        Step::WaitFailed { errno } => failure(errno, &mut put),
        Step::Ready { mask } => put("mask", mask.into()),
        Step::Partial { bytes, total } => {
            put("bytes", bytes.into());
            put("total", total.into());
        }
        Step::Callback(callback) => outcome(callback, &mut put),
        Step::Cancel { found, notice } => {
            put("found", found.into());
            put("notice", notice.into());
        }
        Step::Removed { notice } => put("notice", notice.into()),
    }
}

fn step_name(step: Step) -> &'static str {
    match step {
        Step::Armed { .. } => "armed",
        Step::Binding { .. } => "binding",
        Step::Callback(_) => "callback",
        Step::Cancel { .. } => "cancel",
        Step::EventNew => "event_new",
        Step::IodDelete => "iod_delete",
        Step::IodNew => "iod_new",
        Step::LoopStarted { .. } => "loop",
        Step::Partial { .. } => "partial",
        Step::PcapFailed { .. } => "pcap_failed",
        Step::PcapOpened { .. } => "pcap_opened",
        Step::PcapRequested { .. } => "pcap_open",
        Step::Proxy(ProxyStep::Asked { .. }) => "proxy_asked",
        Step::Proxy(ProxyStep::Awaited { .. }) => "proxy_awaited",
        Step::Proxy(ProxyStep::Failed(_)) => "proxy_failed",
        Step::Proxy(ProxyStep::Redirected) => "proxy_redirected",
        Step::Proxy(ProxyStep::Refused(_)) => "proxy_refused",
        Step::Proxy(ProxyStep::Through) => "proxy_through",
        Step::Ready { .. } => "ready",
        Step::Released => "released",
        Step::Removed { .. } => "removed",
        Step::Request { .. } => "request",
        Step::SetupFailed { .. } => "setup_failed",
        Step::SetupUdp => "setup_udp",
        Step::Listening => "listen",
        Step::TimerFired => "timer",
        Step::TlsFailed { .. } => "tls_failed",
        Step::Turn => "turn",
        Step::WaitFailed { .. } => "wait_failed",
    }
}

fn proxy(step: ProxyStep, put: &mut impl FnMut(&str, Value)) {
    match step {
        ProxyStep::Redirected | ProxyStep::Through => {}
        ProxyStep::Asked { by, bytes } => {
            put("by", by.into());
            put("bytes", bytes.into());
        }
        ProxyStep::Awaited { limit, .. } => put("limit", json!(limit.map(|limit| limit.as_secs_f64()))),
        ProxyStep::Refused(failure) | ProxyStep::Failed(failure) => {
            put("hop", failure.hop.into());
            put("error", failure.to_string().into());
        }
    }
}

fn request(asked: Asked, put: &mut impl FnMut(&str, Value)) {
    let mut call = |call: &str| put("call", call.into());
    let to = |to: SocketAddr| Value::from(to.to_string());
    match asked {
        Asked::ConnectTcp(address) => {
            call("connect_tcp");
            put("to", to(address));
        }
        Asked::ConnectUdp(address) => {
            call("connect_udp");
            put("to", to(address));
        }
        Asked::ConnectSsl(address) => {
            call("connect_ssl");
            put("to", to(address));
        }
        Asked::ReconnectSsl => call("reconnect_ssl"),
        Asked::ConnectHost { port, secure } => {
            call(if secure { "connect_ssl_host" } else { "connect_tcp_host" });
            put("port", port.into());
        }
        Asked::ConnectUnix(SocketKind::Stream) => call("connect_unixsock_stream"),
        Asked::ConnectUnix(SocketKind::Datagram) => call("connect_unixsock_datagram"),
        #[cfg(feature = "vsock")]
        Asked::ConnectVsock { cid, port, kind } => {
            call(match kind {
                SocketKind::Stream => "connect_vsock_stream",
                SocketKind::Datagram => "connect_vsock_datagram",
            });
            put("to", format!("{cid}:{port}").into());
        }
        Asked::Read(Until::Any) => call("read"),
        Asked::Read(Until::Bytes(wanted)) => {
            call("readbytes");
            put("wanted", wanted.into());
        }
        Asked::Read(Until::Lines(wanted)) => {
            call("readlines");
            put("wanted", wanted.into());
        }
        Asked::Write(bytes) => {
            call("write");
            put("bytes", bytes.into());
        }
        Asked::Printf(bytes) => {
            call("printf");
            put("bytes", bytes.into());
        }
        Asked::Sendto(address, bytes) => {
            call("sendto");
            put("to", to(address));
            put("bytes", bytes.into());
        }
        Asked::PcapRead => call("pcap_read_packet"),
        Asked::ReadBatch => call("read_batch"),
        Asked::SendBatch { datagrams, bytes } => {
            call("send_batch");
            put("datagrams", datagrams.into());
            put("bytes", bytes.into());
        }
        Asked::Accept => call("accept"),
        Asked::Shutdown => call("shutdown_write"),
        Asked::Timer => call("timer_create"),
        Asked::Wake => call("wake_wait"),
    }
}

fn outcome(callback: Callback, put: &mut impl FnMut(&str, Value)) {
    match callback {
        Callback::Success { bytes } => {
            put("status", "SUCCESS".into());
            put("bytes", bytes.into());
        }
        Callback::Received { bytes, end } => {
            put("status", "SUCCESS".into());
            put("bytes", bytes.into());
            put("end", format!("{end:?}").to_lowercase().into());
        }
        Callback::Failed(cause) => {
            put("status", cause.status().into());
            if let Some(errno) = cause.errno() {
                failure(errno, put);
            } else if matches!(cause.status(), "ERROR" | "PROXY ERROR") {
                put("error", cause.to_string().into());
            }
        }
    }
}

fn failure(errno: i32, put: &mut impl FnMut(&str, Value)) {
    put("errno", errno.into());
    put("error", errno_text(errno).into());
}
