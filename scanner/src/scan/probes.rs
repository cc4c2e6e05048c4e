//! Probes by `connect`: sending one, judging its end, and the `CONN` lines.

use std::net::{IpAddr, UdpSocket};
use std::time::Duration;

use nsock::{Connected, During, Event, Failure, Io};

use super::Scan;
use super::proxied::{judge_proxied, warning};
use crate::plan::{Method, Probe, ProbeId, ProbeKind};
use crate::report::ScanEvent;
use crate::target::Address;
use crate::technique::Technique;
use crate::verdict::{ConnectOutcome, Errno, IcmpError, IcmpVersion, judge_connect};

impl Scan {
    pub(super) fn send(&mut self, io: &mut Io<Self>, probe: &Probe) {
        let id = probe.id;
        let port = match probe.kind {
            ProbeKind::Port(port) if self.technique_at_hand() == Some(Technique::Connect) => port,
            ProbeKind::Discovery(Method::Connect(port)) => port,
            _ => return self.send_packet(io, probe),
        };
        let Some(address) = self.host_mut(probe.host).map(|host| host.report.address) else { return };
        let iod = io.iod_new();
        self.probes.insert(id, iod);
        if id.is_discovery()
            && let Some(host) = self.host_mut(probe.host)
        {
            host.asking.push((id, iod));
        }
        let event = io.connect_tcp(
            iod,
            address.socket(port),
            Some(probe.timeout),
            move |scan: &mut Self, io, event| {
                scan.connected(io, id, address, port, &event);
            },
        );
        if self.options.trace_connects {
            match io.failure(event) {
                None => self.conn(io, address, port, Errno::EINPROGRESS),
                Some(failure) => self.conn_failure(io, address, port, failure),
            }
        }
    }

    /// Puts a probe by packet into its box, which the pump empties.
    fn send_packet(&mut self, io: &mut Io<Self>, probe: &Probe) {
        let packed = match &mut self.raw {
            Some(raw) => raw.pack(probe),
            None => Err(Errno::EPERM),
        };
        if let Err(errno) = packed {
            self.plan.handle_local_trouble(io.now(), probe.id, errno);
        }
    }

    pub(super) fn abandon(&mut self, io: &mut Io<Self>, id: ProbeId) {
        if let Some(iod) = self.probes.remove(&id) {
            io.iod_delete(iod);
        }
    }

    fn connected(
        &mut self,
        io: &mut Io<Self>,
        id: ProbeId,
        to: Address,
        port: u16,
        event: &Event<Connected>,
    ) {
        let now = io.now();
        self.probes.remove(&id);
        if id.is_discovery()
            && let Some(host) = self.host_mut(id.host())
        {
            host.asking.retain(|(asking, _)| *asking != id);
        }
        let outcome = match event.outcome {
            Ok(connected) if io.iod_local(event.iod) == Some(connected.peer) => {
                // The system chose the very port that is looked at, and we are talking to ourselves.
                ConnectOutcome::LocalTrouble(Errno::EADDRINUSE)
            }
            Ok(_) => {
                self.conn_text(io, to, port, "Connected");
                // A reset leaves no TIME_WAIT behind, and what cannot be set changes nothing else.
                let _ = io.iod_set_linger(event.iod, Duration::ZERO);
                judge_connect(None, None)
            }
            Err(Failure::Io { errno, during }) => {
                let failure = Failure::Io { errno, during };
                let icmp = io.iod_icmp_error(event.iod).map(|error| icmp_error(to.ip(), error));
                if during == During::Handshake {
                    self.conn_failure(io, to, port, failure);
                }
                // First, so that a descriptor is free to find out who sent the error.
                io.iod_delete(event.iod);
                let by_us =
                    icmp.and_then(|icmp| icmp.sender).is_some_and(|sender| self.is_own(sender, to.ip()));
                judge(Errno::new(errno), during, icmp, by_us)
            }
            Err(Failure::Proxy(failure)) => {
                self.conn_text(io, to, port, &failure.to_string());
                judge_proxied(failure)
            }
            Err(_) => ConnectOutcome::Silence,
        };
        io.iod_delete(event.iod);
        if let Some(line) = event.outcome.as_ref().err().and_then(warning) {
            self.warn_once(line);
        }
        match outcome {
            ConnectOutcome::Answer(verdict) => self.plan.handle_reply(now, id, verdict),
            ConnectOutcome::Silence => self.plan.handle_timeout(now, id),
            ConnectOutcome::LocalTrouble(errno) => self.plan.handle_local_trouble(now, id, errno),
        }
        self.pump(io);
    }

    /// Whether an error about `target` was sent by this machine, which is not the target.
    fn is_own(&mut self, sender: IpAddr, target: IpAddr) -> bool {
        if sender == target {
            return false;
        }
        match self.last_sender {
            Some((known, own)) if known == sender => own,
            _ => {
                // Only an address of this machine can be bound to.
                let own = UdpSocket::bind((sender, 0)).is_ok();
                self.last_sender = Some((sender, own));
                own
            }
        }
    }

    fn conn_failure(&mut self, io: &mut Io<Self>, to: Address, port: u16, failure: Failure) {
        if let Some(errno) = failure.errno() {
            self.conn(io, to, port, Errno::new(errno));
        }
    }

    fn conn(&mut self, io: &mut Io<Self>, to: Address, port: u16, errno: Errno) {
        if self.options.trace_connects {
            let text = std::io::Error::from_raw_os_error(errno.raw()).to_string();
            let text = text.split(" (os error").next().unwrap_or_default();
            self.conn_text(io, to, port, text);
        }
    }

    fn conn_text(&mut self, io: &mut Io<Self>, to: Address, port: u16, result: &str) {
        if self.options.trace_connects {
            let at = io.now().saturating_duration_since(self.options.started);
            self.tell(ScanEvent::Connect { at, to, port, result });
        }
    }
}

/// What the end of a connect means. What `connect` itself refuses never left this machine, and is its own trouble;
/// but for a refusal, which on loopback can be there that fast. An ICMP error that was sent `by_us`, from an
/// address of this machine, is the word of its own firewall.
fn judge(errno: Errno, during: During, icmp: Option<IcmpError>, by_us: bool) -> ConnectOutcome {
    match during {
        During::Handshake if by_us && icmp.is_some_and(|icmp| !says_nobody_is_there(icmp)) => {
            ConnectOutcome::LocalTrouble(errno)
        }
        During::Handshake => judge_connect(Some(errno), icmp),
        During::Connect if errno == Errno::ECONNREFUSED => judge_connect(Some(errno), icmp),
        _ => ConnectOutcome::LocalTrouble(errno),
    }
}

/// Whether it is the host-unreachable that the kernel itself sends when nobody on the link answers for an address: an
/// answer, if not of the network.
fn says_nobody_is_there(icmp: IcmpError) -> bool {
    let host_unreachable = match icmp.version {
        IcmpVersion::V4 => (3, 1),
        IcmpVersion::V6 => (1, 3),
    };
    (icmp.kind, icmp.code) == host_unreachable
}

fn icmp_error(target: IpAddr, error: nsock::IcmpError) -> IcmpError {
    let version = if target.is_ipv4() { IcmpVersion::V4 } else { IcmpVersion::V6 };
    IcmpError::new(version, error.kind, error.code, error.from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_connect_itself_refuses_is_this_machines_trouble() {
        for errno in
            [Errno::EHOSTUNREACH, Errno::ENETUNREACH, Errno::EACCES, Errno::EPERM, Errno::EADDRNOTAVAIL]
        {
            assert_eq!(judge(errno, During::Connect, None, false), ConnectOutcome::LocalTrouble(errno));
        }
        let answer = |errno, during| matches!(judge(errno, during, None, false), ConnectOutcome::Answer(_));
        assert!(answer(Errno::ECONNREFUSED, During::Connect));
        assert!(answer(Errno::EHOSTUNREACH, During::Handshake));
        let outcome = judge(Errno::EMFILE, During::Socket, None, false);
        assert_eq!(outcome, ConnectOutcome::LocalTrouble(Errno::EMFILE));
    }

    #[test]
    fn an_icmp_error_of_this_machine_is_its_firewalls_unless_nobody_is_there() {
        let table = [
            (IcmpVersion::V4, (3, 3), true, true),
            (IcmpVersion::V4, (3, 13), true, true),
            (IcmpVersion::V4, (3, 1), true, false),
            (IcmpVersion::V4, (3, 3), false, false),
            (IcmpVersion::V6, (1, 4), true, true),
            (IcmpVersion::V6, (1, 3), true, false),
        ];
        for (version, (kind, code), by_us, refused) in table {
            let icmp = IcmpError::new(version, kind, code, None);
            let outcome = judge(Errno::ECONNREFUSED, During::Handshake, Some(icmp), by_us);
            let expected = ConnectOutcome::LocalTrouble(Errno::ECONNREFUSED);
            assert_eq!(outcome == expected, refused, "{kind}/{code}");
        }
    }
}
