//! What the outcome of a probe changes.

use std::time::{Duration, Instant};

use super::event::Target;
use super::host::Phase;
use super::local::Remedy;
use super::report::Queued;
use super::settings::AnswerLimits;
use super::{Ending, HostId, HostStatus, Plan, PlanEvent, ProbeId, Timer};
use crate::verdict::{Errno, PortState, Reason, Verdict};

impl Plan {
    /// A probe left this machine later than it was handed out, as one does that waited for others in a batch. Only the
    /// round-trip time is counted from then.
    pub fn handle_left(&mut self, id: ProbeId, left: Instant) {
        self.flights.note_left(id, left);
    }

    /// Answers came that this machine had no room to keep: fewer probes go out at a time. Those that lost their answer
    /// are asked again when their time-outs pass.
    pub fn handle_lost_answers(&mut self, now: Instant) {
        self.local.halve(now, self.flights.live());
    }

    /// The network answered a probe. A late, repeated or stale answer is harmless.
    pub fn handle_reply(&mut self, now: Instant, id: ProbeId, verdict: Verdict) {
        self.handle_reply_heard_at(now, now, id, verdict);
    }

    /// As [`handle_reply`](Self::handle_reply), for a driver that knows when the answer reached this machine.
    pub fn handle_reply_heard_at(&mut self, now: Instant, heard: Instant, id: ProbeId, verdict: Verdict) {
        let flight = self.flights.remove(id);
        if flight.is_some_and(|flight| flight.live) {
            self.local.handle_completed(id);
            self.silence.refund();
        }
        let late = self.hears_late(id);
        let host = self.host_mut(id.host).filter(|_| flight.is_some() || late);
        let Some(host) = host else {
            self.statistics.duplicates += 1;
            return;
        };
        if let Some(flight) = flight {
            host.handle_landed(flight, id.target);
            if flight.live {
                host.refund();
            }
            // What a router or our own system says takes as long as it likes.
            if verdict.is_by(host.address) {
                let round_trip = heard.saturating_duration_since(flight.left);
                let overdue = host.sample(round_trip);
                self.rtt.sample(round_trip);
                for (sent, id) in overdue {
                    let deadline = sent + self.probe_timeout(id);
                    self.calendar.push(deadline.max(now), Timer::Deadline(id, sent));
                }
            }
        }
        let news = match id.target {
            Target::Method(method) => {
                let round_trip = flight.map(|flight| now.saturating_duration_since(flight.sent));
                self.handle_method_reply(now, id, method, verdict, round_trip)
            }
            Target::Port(position) => {
                let round_trip = flight.map(|flight| heard.saturating_duration_since(flight.left));
                self.handle_port_reply(now, id, position, verdict, flight.map(|f| f.sent), round_trip)
            }
        };
        self.statistics.replies += u64::from(news);
        self.statistics.duplicates += u64::from(!news);
        self.wake(id.host);
        self.conclude_if_over(now, id.host);
    }

    /// A probe's time-out passed without an answer. Only a driver without late replies calls it.
    pub fn handle_timeout(&mut self, now: Instant, id: ProbeId) {
        let flight = if self.hears_late(id) { self.flights.expire(id, now) } else { self.flights.remove(id) };
        let Some(flight) = flight.filter(|flight| flight.live) else { return };
        self.statistics.timeouts += 1;
        self.local.handle_completed(id);
        let Some(host) = self.host_mut(id.host) else { return };
        host.handle_landed(flight, id.target);
        match (&mut host.phase, id.target) {
            (Phase::Discovery(discovery), Target::Method(_)) => discovery.handle_silence(),
            (Phase::Ports, Target::Port(position)) => {
                host.ports.handle_timeout(position, id.try_number);
                host.note_silence(now);
            }
            _ => {}
        }
        self.wake(id.host);
        self.conclude_if_over(now, id.host);
    }

    /// The local system refused to send a probe. It is sent again later, with less in flight if something ran out;
    /// if the trouble stays, its port becomes `unknown` with reason `local-<errno>`.
    pub fn handle_local_trouble(&mut self, now: Instant, id: ProbeId, errno: Errno) {
        let Some(flight) = self.flights.remove(id).filter(|flight| flight.live) else { return };
        self.statistics.local_troubles += 1;
        self.statistics.sent -= 1;
        self.statistics.retransmitted -= u64::from(id.try_number > 0);
        self.silence.refund();
        if !self.local.counts().contains_key(&errno) {
            self.events.push_back(Queued::Event(PlanEvent::LocalTrouble { errno }));
        }
        let remedy = self.local.handle_trouble(now, id, errno, self.flights.live());
        let Some(host) = self.host_mut(id.host).filter(|host| host.is_active()) else { return };
        host.handle_landed(flight, id.target);
        host.refund();
        match remedy {
            Remedy::Soon | Remedy::At(_) => host.postpone(id.target),
            Remedy::GiveUp => self.give_up(id, errno),
        }
        if let Remedy::At(at) = remedy {
            self.calendar.push(at, Timer::Retry(id));
        }
        self.wake(id.host);
        self.conclude_if_over(now, id.host);
    }

    /// True if the answer tells something new.
    fn handle_method_reply(
        &mut self,
        now: Instant,
        id: ProbeId,
        method: u32,
        verdict: Verdict,
        round_trip: Option<Duration>,
    ) -> bool {
        let resets = self.settings.resets;
        let Some(host) = self.host_mut(id.host) else { return false };
        let address = host.address;
        let Phase::Discovery(discovery) = &mut host.phase else { return false };
        if !verdict.proves_up(address, resets) {
            let news = !discovery.is_settled(method);
            if verdict.is_by(address) {
                discovery.handle_disbelieved(method);
            } else {
                discovery.handle_evidence(method, verdict);
                if verdict.reason.is_about_the_host() {
                    discovery.handle_unreachable(now, round_trip.unwrap_or_default());
                }
            }
            return news;
        }
        self.discovery_tries.handle_answer(id.try_number);
        self.host_is_up(now, id.host, verdict);
        true
    }

    /// True if the answer tells something new.
    fn handle_port_reply(
        &mut self,
        now: Instant,
        id: ProbeId,
        position: u32,
        verdict: Verdict,
        sent: Option<Instant>,
        round_trip: Option<Duration>,
    ) -> bool {
        let queued_max = self.driver.queued_max;
        let defied = self.settings.answer_limits == AnswerLimits::Defied;
        let Some(host) = self.host_mut(id.host).filter(|host| matches!(host.phase, Phase::Ports)) else {
            return false;
        };
        let first = host.ports.settle(position);
        let tries = id.try_number.saturating_add(1);
        if first {
            // Where limits on resets are defied, that one came late says nothing about loss.
            let late_by_limit = verdict.state == PortState::Closed && defied;
            let try_number = if late_by_limit { 0 } else { id.try_number };
            host.note_port_answer(now, sent, try_number, queued_max);
        }
        // An answer of the port itself is told at once. Others wait for the end of the host, as a better one may
        // come (spec 4.4).
        if verdict.state.is_final() {
            if !host.ports.tell(position) {
                return false;
            }
            self.tell_port(id.host, position, verdict, tries, round_trip);
            return true;
        }
        if first {
            let number = self.verdicts.intern(verdict, tries);
            if let Some(host) = self.host_mut(id.host) {
                host.ports.keep(position, number);
            }
        }
        first
    }

    /// A probe could not be sent for good.
    fn give_up(&mut self, id: ProbeId, errno: Errno) {
        self.statistics.unknown += u64::from(matches!(id.target, Target::Port(_)));
        let verdict = Verdict::new(PortState::Unknown, Reason::Local(errno));
        // Its last try never left.
        let number = self.verdicts.intern(verdict, id.try_number);
        let Some(host) = self.host_mut(id.host) else { return };
        match (&mut host.phase, id.target) {
            (Phase::Discovery(discovery), Target::Method(method)) => {
                discovery.handle_unsendable(method, errno);
            }
            (_, Target::Port(position)) if host.ports.settle(position) => {
                host.ports.keep(position, number);
            }
            _ => {}
        }
    }

    /// Discovery found the host, or was not asked to: its ports follow, now or when fewer hosts are scanned.
    pub(super) fn host_is_up(&mut self, now: Instant, id: HostId, verdict: Verdict) {
        self.statistics.hosts_up += 1;
        self.asked -= 1;
        self.tell_status(id, HostStatus::Up, verdict);
        let at_once = self.host(id).is_some_and(|host| host.portless);
        if at_once || self.scanned < self.settings.scanned_max() {
            self.start_ports(now, id);
        } else {
            if let Some(host) = self.host_mut(id) {
                host.phase = Phase::Waiting;
            }
            self.waiting.push_back(id);
        }
    }

    /// Begins with the ports of a host.
    fn start_ports(&mut self, now: Instant, id: HostId) {
        let Some(host) = self.hosts.get_mut(id.slot as usize).and_then(Option::as_deref_mut) else { return };
        host.start_ports(&self.settings, now);
        self.scanned += 1;
        if let Some(limit) = self.settings.timing.host_timeout {
            self.calendar.push(now + limit, Timer::HostTimeout(id));
        }
        self.wake(id);
        let nothing_left = self.host(id).is_some_and(|host| host.is_over());
        if self.settings.ports.is_empty() || nothing_left {
            self.finish(now, id, Ending::Complete);
        }
    }

    /// Discovery ended without a sign of life.
    pub(super) fn host_is_absent(&mut self, now: Instant, id: HostId, status: HostStatus, verdict: Verdict) {
        if let Some(reason) = self.host(id).and_then(|host| host.presumed) {
            return self.host_is_up(now, id, Verdict::new(PortState::Unknown, reason));
        }
        self.statistics.hosts_down += u64::from(status == HostStatus::Down);
        self.statistics.unknown += u64::from(status == HostStatus::Unknown);
        self.tell_status(id, status, verdict);
        self.finish(now, id, Ending::Complete);
    }

    /// Finishes a host whose ports need no further probe.
    pub(super) fn conclude_if_over(&mut self, now: Instant, id: HostId) {
        if self.host(id).is_some_and(|host| matches!(host.phase, Phase::Ports) && host.is_over()) {
            self.finish(now, id, Ending::Complete);
        }
    }

    /// Ends a host, lets those be reported whose turn it is, and the next one be scanned.
    pub(super) fn finish(&mut self, now: Instant, id: HostId, ending: Ending) {
        let Some(host) = self.host_mut(id).filter(|host| host.is_active()) else { return };
        let was = std::mem::replace(&mut host.phase, Phase::Finished(ending));
        host.shrink();
        self.active -= 1;
        self.statistics.hosts_finished += 1;
        while let Some(&first) = self.given.front()
            && self.host(first).is_none_or(|host| !host.is_active())
        {
            self.given.pop_front();
            self.events.push_back(Queued::Report(first));
        }
        match was {
            Phase::Discovery(_) => self.asked -= 1,
            Phase::Ports => {
                self.scanned -= 1;
                if let Some(next) = self.waiting.pop_front() {
                    self.start_ports(now, next);
                }
            }
            Phase::Waiting | Phase::Finished(_) => {}
        }
    }
}
