//! The stream of events. The silent ports of a finished host are not stored in it but made when they are polled.

use std::time::Duration;

use super::host::Phase;
use super::{Ending, HostId, HostStatus, Plan, PlanEvent};
use crate::verdict::{Reason, Verdict};

/// What waits to be polled.
#[derive(Clone, Copy, Debug)]
pub(super) enum Queued {
    /// This event.
    Event(PlanEvent),
    /// The rest of a host's ports and its end.
    Report(HostId),
}

impl Plan {
    pub(super) fn tell_status(&mut self, id: HostId, status: HostStatus, verdict: Verdict) {
        let Some(host) = self.host_mut(id) else { return };
        host.status = Some(status);
        let (address, latency) = (host.address, host.rtt.smoothed());
        self.events.push_back(Queued::Event(PlanEvent::HostStatus {
            host: id,
            address,
            status,
            verdict,
            latency,
        }));
    }

    pub(super) fn tell_port(
        &mut self,
        id: HostId,
        position: u32,
        verdict: Verdict,
        tries: u8,
        round_trip: Option<Duration>,
    ) {
        let Some(port) = self.port_at(id, position) else { return };
        let event = PlanEvent::Port { host: id, port, verdict, tries, round_trip };
        self.events.push_back(Queued::Event(event));
    }

    pub(super) fn poll_report(&mut self) -> Option<PlanEvent> {
        loop {
            match *self.events.front()? {
                Queued::Event(event) => {
                    self.events.pop_front();
                    return Some(event);
                }
                Queued::Report(id) => {
                    if let Some(event) = self.next_untold(id) {
                        return Some(event);
                    }
                    self.events.pop_front();
                    if let Some(event) = self.remove_host(id) {
                        return Some(event);
                    }
                }
            }
        }
    }

    fn port_at(&self, id: HostId, position: u32) -> Option<u16> {
        let index = self.host(id)?.ports.index(position)?;
        self.settings.port_at(index)
    }

    /// The result of the next port that was not told. Silence is a result only of a host that ended completely.
    fn next_untold(&mut self, id: HostId) -> Option<PlanEvent> {
        let silence = Verdict::new(self.settings.silence, Reason::NoResponse);
        loop {
            let host = self.host_mut(id)?;
            let Phase::Finished(ending) = host.phase else { return None };
            let position = host.reported;
            if position >= host.ports.len() || host.status != Some(HostStatus::Up) {
                return None;
            }
            host.reported += 1;
            let kept = host.ports.kept(position);
            if (kept == 0 && ending != Ending::Complete) || !host.ports.tell(position) {
                continue;
            }
            let silent_tries = host.ports.tries_of_silent(position);
            let (verdict, tries) = self.verdicts.verdict(kept).unwrap_or((silence, silent_tries));
            if let Some(port) = self.port_at(id, position) {
                return Some(PlanEvent::Port { host: id, port, verdict, tries, round_trip: None });
            }
        }
    }

    /// Forgets a reported host; its id stays stale for ever.
    fn remove_host(&mut self, id: HostId) -> Option<PlanEvent> {
        let host = self.hosts.get_mut(id.slot as usize)?.take_if(|host| host.id == id)?;
        self.free.push(id.slot);
        let Phase::Finished(ending) = host.phase else { return None };
        let ports = self.settings.ports.len();
        Some(PlanEvent::HostFinished {
            host: id,
            address: host.address,
            summary: host.summary(ending, ports),
        })
    }
}
