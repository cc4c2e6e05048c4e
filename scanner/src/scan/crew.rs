//! One scan by many threads: the lead finds hosts, knows their names and tells the consumers; the ports it shares with
//! helpers, each of which has an event loop, a plan and sockets of its own.
//!
//! A host with few ports is one worker's, a host with many is everybody's. What helpers find out comes back by a channel,
//! many results at a time, and becomes part of the lead's report of the host. So there is one order of reports, one
//! resolver, one place that writes, and nothing is locked.

use std::sync::mpsc::{Receiver, Sender, channel};

use nsock::Waker;

use super::helper::{Command, Link, Message};
use crate::report::PacketCounts;

/// From so many ports on a host is everybody's: less would not be worth asking twice on its account.
pub(super) const SPLIT_PORTS_MIN: usize = 4096;
/// Hosts times ports that all workers have at a time, if that is not fewer hosts than [`HOSTS_MIN`]. What is known of more
/// would not fit the processor's cache.
const PORTS_AT_A_TIME: usize = 1 << 14;
/// Up hosts that all workers have at a time, at least. They may be finished, and wait for a slow one to be reported.
const HOSTS_MIN: usize = 1024;
/// And at most.
const HOSTS_MAX: usize = 8192;

/// Who probes the ports of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Share {
    /// The lead.
    Lead,
    /// This helper.
    Helper(usize),
    /// Every worker its part of the ports.
    Everybody,
}

/// The helpers of a scan; by default there are none.
#[derive(Debug, Default)]
pub struct Crew {
    pub(super) helpers: Vec<Helper>,
    pub(super) told: Option<(Sender<Message>, Receiver<Message>)>,
    /// Hosts whose ports are the lead's own, and not finished.
    own: usize,
    /// Hosts that were found up, and are not finished.
    pub(super) up: usize,
    pub(super) packets: PacketCounts,
}

#[derive(Debug)]
pub(super) struct Helper {
    commands: Sender<Command>,
    waker: Waker,
    /// Something was said that it does not know of yet.
    is_told: bool,
    /// Hosts that are its own, and not finished.
    hosts: usize,
    /// Hosts that it was given of the plan at hand, and how far it has come with them: finished ones, and shares of others.
    pub(super) given: u64,
    pub(super) done: f64,
    pub(super) ended: bool,
}

impl Crew {
    /// The link of another helper, whose pool is still to be made, to the lead with this waker.
    #[must_use]
    pub fn link(&mut self, lead: Waker) -> (Sender<Command>, Link) {
        let (told, _) = self.told.get_or_insert_with(channel);
        let (commands, heard) = channel();
        (commands, Link::new(self.helpers.len(), told.clone(), lead, heard))
    }

    /// Adds the helper to whom the last link went, with the waker of its pool.
    pub fn add(&mut self, commands: Sender<Command>, waker: Waker) {
        self.helpers.push(Helper {
            commands,
            waker,
            is_told: false,
            hosts: 0,
            given: 0,
            done: 0.0,
            ended: false,
        });
    }

    /// How many share the work.
    pub(super) fn workers(&self) -> usize {
        self.helpers.len() + 1
    }

    pub(super) fn is_empty(&self) -> bool {
        self.helpers.is_empty()
    }

    /// Whether the workers can take another host with so many ports.
    pub(super) fn has_room(&self, ports: usize) -> bool {
        self.helpers.is_empty() || self.up < (PORTS_AT_A_TIME / ports.max(1)).clamp(HOSTS_MIN, HOSTS_MAX)
    }

    fn least_busy(&self) -> (Share, usize) {
        let able = self.helpers.iter().enumerate().filter(|(_, helper)| !helper.ended);
        let helper =
            able.map(|(place, helper)| (Share::Helper(place), helper.hosts)).min_by_key(|(_, hosts)| *hosts);
        helper.filter(|(_, hosts)| *hosts < self.own).unwrap_or((Share::Lead, self.own))
    }

    /// Who is to probe these ports of another host.
    pub(super) fn choose(&mut self, ports: usize) -> Share {
        if ports >= SPLIT_PORTS_MIN {
            return Share::Everybody;
        }
        let (share, _) = self.least_busy();
        match share {
            Share::Helper(place) => self.helpers[place].hosts += 1,
            Share::Lead | Share::Everybody => self.own += 1,
        }
        share
    }

    /// A worker has a host no more.
    pub(super) fn leave(&mut self, share: Share) {
        let hosts = match share {
            Share::Helper(place) => &mut self.helpers[place].hosts,
            Share::Lead => &mut self.own,
            Share::Everybody => return,
        };
        *hosts = hosts.saturating_sub(1);
    }

    pub(super) fn say(&mut self, place: usize, command: Command) {
        let helper = &mut self.helpers[place];
        // One that has ended has said so, or will have.
        helper.is_told |= helper.commands.send(command).is_ok();
    }

    pub(super) fn say_all(&mut self, command: impl Fn() -> Command) {
        (0..self.helpers.len()).for_each(|place| self.say(place, command()));
    }

    /// Wakes those who were told something.
    pub(super) fn flush(&mut self) {
        for helper in &mut self.helpers {
            if std::mem::take(&mut helper.is_told) {
                // Its loop is gone, or it hears of it.
                let _ = helper.waker.wake();
            }
        }
    }

    /// What went over the wire because of helpers.
    pub(super) const fn packets(&self) -> PacketCounts {
        self.packets
    }

    /// How many hosts, or parts of hosts, helpers have still to do.
    pub(super) fn undone(&self) -> f64 {
        self.helpers.iter().map(|helper| (helper.given as f64 - helper.done).max(0.0)).sum()
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.say_all(|| Command::Stop);
        self.flush();
    }
}
