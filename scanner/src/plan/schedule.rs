//! Which probe goes next: the common gates, the turns of the hosts, and the sending itself.

use std::time::{Duration, Instant};

use super::discovery::Discovery;
use super::event::Target;
use super::host::{Gates, Offer, Phase};
use super::settings::Asked;
use super::{Ending, HostId, Method, Next, Plan, Probe, ProbeId, ProbeKind, Timer};

/// Answers about the local link come sooner than others, so a neighbor is waited for this long at most.
const NEIGHBOR_TIMEOUT_MAX: Duration = Duration::from_millis(400);

impl Plan {
    /// Until when no probe may go to any host: `Some(None)` is until an outcome.
    pub(super) fn common_gate(&mut self, now: Instant, gates: Gates) -> Option<Option<Instant>> {
        if let Some(wait) = self.local.wait_for_room(now, self.flights.live()) {
            return Some(wait);
        }
        let rate = self.max_rate.and_then(|max_rate| max_rate.wait(now));
        if let Some(at) = self.local.pause(now).max(rate) {
            return Some(Some(at));
        }
        if gates == Gates::Observed {
            return self.silence.wait(now).map(Some);
        }
        None
    }

    pub(super) fn wait_or_finish(&self, until: Option<Instant>) -> Next {
        if self.active == 0 && self.ended {
            return Next::Finished;
        }
        let timer = self.calendar.next();
        Next::Wait(until.into_iter().chain(timer).min())
    }

    /// The next host to ask, and among those held by a gate if gates are overruled.
    pub(super) fn next_candidate(&mut self, gates: Gates) -> Option<HostId> {
        loop {
            let (id, held) = match self.ready.pop_front() {
                Some(id) => (id, false),
                None if gates == Gates::Overruled => (self.held.pop_front()?, true),
                None => return None,
            };
            let Some(host) = self.host_mut(id) else { continue };
            if held {
                host.held = false;
            } else {
                host.queued = false;
            }
            return Some(id);
        }
    }

    /// Asks one host for a probe; parks it if it has none.
    pub(super) fn ask(&mut self, now: Instant, id: HostId, gates: Gates) -> Option<Probe> {
        // Only discovery wants to know how many rounds are worth it, and every port probe passes here.
        let worth = match self.host(id)?.phase {
            Phase::Discovery(_) => (self.rounds_worth(), self.discovery_timeout(id)),
            _ => (0, Duration::ZERO),
        };
        let host = self.hosts.get_mut(id.slot as usize)?.as_deref_mut().filter(|host| host.id == id)?;
        match host.offer(now, gates, &mut self.flights, worth) {
            Offer::Probe(target, try_number) => {
                self.wake(id);
                self.send(now, ProbeId { host: id, target, try_number })
            }
            Offer::Held(until) => {
                self.hold(id);
                self.rest(id, until);
                None
            }
            Offer::Idle(until) => {
                self.rest(id, until);
                None
            }
            Offer::Absent(status, verdict) => {
                self.host_is_absent(now, id, status, verdict);
                None
            }
            Offer::Over => {
                self.finish(now, id, Ending::Complete);
                None
            }
        }
    }

    /// Puts a host back into the queue of those to be asked.
    pub(super) fn wake(&mut self, id: HostId) {
        if let Some(host) = self.host_mut(id)
            && host.is_active()
            && !std::mem::replace(&mut host.queued, true)
        {
            self.ready.push_back(id);
        }
    }

    /// A gate holds a host, which a minimum rate may overrule.
    fn hold(&mut self, id: HostId) {
        if self.min_rate.is_some()
            && let Some(host) = self.host_mut(id)
            && !std::mem::replace(&mut host.held, true)
        {
            self.held.push_back(id);
        }
    }

    /// A host is to be asked again at a time. A timer that strikes earlier sets this one then.
    fn rest(&mut self, id: HostId, until: Option<Instant>) {
        if let Some(at) = until
            && let Some(host) = self.host_mut(id)
            && host.wake.is_none_or(|wake| at < wake)
        {
            host.wake = Some(at);
            self.calendar.push(at, Timer::Wake(id));
        }
    }

    /// Sends again a probe the local system refused before.
    pub(super) fn resume(&mut self, now: Instant, id: ProbeId) -> Option<Probe> {
        let host = self.hosts.get_mut(id.host.slot as usize)?.as_deref_mut().filter(|h| h.id == id.host)?;
        let wanted = host.resume(id.target);
        if wanted {
            return self.send(now, id);
        }
        self.local.forget(id);
        self.wake(id.host);
        self.conclude_if_over(now, id.host);
        None
    }

    pub(super) fn send(&mut self, now: Instant, id: ProbeId) -> Option<Probe> {
        let timeout = self.probe_timeout(id);
        let scan_delay = self.settings.timing.scan_delay;
        let hears_late = self.hears_late(id);
        let host = self.hosts.get_mut(id.host.slot as usize)?.as_deref_mut()?;
        let kind = match id.target {
            Target::Method(method) => ProbeKind::Discovery(self.settings.method(host.asked, method)?),
            Target::Port(position) => ProbeKind::Port(self.settings.port_at(host.ports.index(position)?)?),
        };
        host.handle_sent(now, id, scan_delay);
        self.flights.insert(id, now);
        self.silence.take(now);
        if let Some(max_rate) = &mut self.max_rate {
            max_rate.take(now);
        }
        if let Some(min_rate) = &mut self.min_rate {
            min_rate.take(now);
        }
        if hears_late {
            self.calendar.push(now + timeout, Timer::Deadline(id, now));
        }
        self.statistics.sent += 1;
        self.statistics.retransmitted += u64::from(id.try_number > 0);
        Some(Probe { id, host: id.host, address: host.address, kind, try_number: id.try_number, timeout })
    }

    /// How long a probe is waited for. A host without samples gets the first time-out in full, and more if the
    /// others are slower than that: a time-out learned from near hosts would cost the answers of far ones.
    pub(super) fn probe_timeout(&self, id: ProbeId) -> Duration {
        let Some(host) = self.host(id.host) else { return self.settings.timing.rtt.initial };
        let base = if host.rtt.is_known() {
            host.rtt.timeout_of_try(id.try_number)
        } else {
            host.rtt.timeout_of_try(id.try_number).max(self.rtt.timeout_of_try(id.try_number))
        };
        match id.target {
            Target::Port(_) => base,
            Target::Method(method) => {
                let first = self.discovery_timeout(id.host);
                let first = match self.settings.method(host.asked, method) {
                    Some(Method::Neighbor) => first.min(NEIGHBOR_TIMEOUT_MAX),
                    _ => first,
                };
                Discovery::timeout(first, id.try_number)
            }
        }
    }

    /// The time-out of a host's first discovery round.
    pub(super) fn discovery_timeout(&self, id: HostId) -> Duration {
        let own = self.host(id).map_or(self.settings.timing.rtt.initial, |host| host.rtt.timeout());
        let own = if self.rtt.is_known() { own.max(self.rtt.timeout()) } else { own };
        let neighbors = match self.host(id).map(|host| host.asked) {
            Some(Asked::Neighbor) => true,
            _ => self.settings.methods.iter().all(|&method| method == Method::Neighbor),
        };
        if neighbors { own.min(NEIGHBOR_TIMEOUT_MAX) } else { own }
    }

    /// Discovery rounds worth making, by the loss seen in the discovery of all hosts.
    pub(super) fn rounds_worth(&self) -> u8 {
        self.discovery_tries.retries_worth(self.settings.timing.retries_max).saturating_add(1)
    }

    pub(super) fn handle_timer(&mut self, now: Instant, timer: Timer) {
        match timer {
            Timer::Wake(id) => {
                if let Some(host) = self.host_mut(id) {
                    host.wake = None;
                    host.note_silence(now);
                }
                self.wake(id);
            }
            Timer::Deadline(id, sent) if self.flights.is_live(id, sent) => {
                if !self.hears_late(id) {
                    self.abandoned.push_back(id);
                }
                self.handle_timeout(now, id);
            }
            Timer::Deadline(..) => {}
            Timer::Retry(id) => self.local.retry(id),
            Timer::HostTimeout(id) => self.finish(now, id, Ending::TimedOut),
        }
    }
}
