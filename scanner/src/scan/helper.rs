//! The other end of a crew: a scan that probes ports of the hosts it is given, and tells its lead.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::mpsc::{Receiver, Sender};
use std::time::{Duration, Instant};

use nsock::{Io, Pool, Waker};

use super::{Host, Scan, Stage};
use crate::mac::MacAddress;
use crate::packet::line::{Detail, Format};
use crate::plan::{HostStart, Settings};
use crate::ports::{PortSet, Protocol};
use crate::report::{Cut, HostReport, PacketCounts, PortProof, ScanEvent};
use crate::target::Address;
use crate::technique::Technique;
use crate::tracing::SIGNALS;
use crate::verdict::{Errno, Reason};

/// How often a helper tells how far it has come.
const TELL_EVERY: Duration = Duration::from_millis(250);

/// Whether packets and connects are shown, and how.
pub type Shown = Option<(Detail, Format)>;

/// What a helper is to do.
#[derive(Debug)]
#[non_exhaustive]
pub enum Command {
    /// Hosts are to be probed by this technique from now on; those before are finished.
    Begin(Box<Settings>, Technique),
    /// Probe the ports of a host.
    Host(Job),
    /// Show packets and connects, or do not.
    Show(Shown),
    /// Tell what is known, and end.
    Stop,
}

/// A host whose ports are to be probed.
#[derive(Debug)]
pub struct Job {
    pub(super) address: Address,
    /// What proves it up.
    pub(super) reason: Reason,
    /// Ports that are known, or somebody else's.
    pub(super) leave_out: Option<PortSet>,
    /// Where frames to it are sent, if that is known.
    pub(super) next_mac: Option<MacAddress>,
}

/// What a helper tells, each time from its place in the crew.
pub(super) type Message = (usize, Vec<Told>);

/// What a helper tells.
#[derive(Debug)]
pub(super) enum Told {
    /// As [`ScanEvent::Port`].
    Port {
        /// The host's address.
        address: Address,
        /// The port's protocol.
        protocol: Protocol,
        /// The port.
        port: u16,
        /// Its state, and what proves it.
        proof: PortProof,
    },
    /// As [`ScanEvent::Connect`].
    Connect {
        /// Since the program was started.
        at: Duration,
        /// The address that is connected to.
        to: Address,
        /// The port.
        port: u16,
        /// The system's words for what happened.
        result: String,
    },
    /// As [`ScanEvent::Packet`].
    Packet(String),
    /// As [`ScanEvent::Warning`].
    Warning(String),
    /// All that it was to find out about a host.
    Host(Box<HostReport>),
    /// How many hosts it is done with, parts of hosts included.
    Done(f64),
    /// It has ended, and this is what it came to.
    Ended(Box<Totals>),
}

/// Sums of a helper.
#[derive(Debug, Default)]
pub(super) struct Totals {
    pub(super) sent: u64,
    pub(super) unknown: u64,
    pub(super) troubles: BTreeMap<Errno, u64>,
    pub(super) packets: PacketCounts,
}

/// A helper's link to its lead. However the helper ends, the lead hears of it.
pub struct Link {
    place: usize,
    told: Sender<Message>,
    lead: Waker,
    commands: Receiver<Command>,
    /// What is told together.
    waiting: Vec<Told>,
    totals: Totals,
}

impl Link {
    pub(super) fn new(place: usize, told: Sender<Message>, lead: Waker, commands: Receiver<Command>) -> Self {
        Self { place, told, lead, commands, waiting: Vec::new(), totals: Totals::default() }
    }

    /// Keeps an event for the lead.
    pub(super) fn keep(&mut self, event: ScanEvent<'_>) {
        self.waiting.push(match event {
            ScanEvent::Port { address, protocol, port, proof } => {
                Told::Port { address, protocol, port, proof }
            }
            ScanEvent::Connect { at, to, port, result } => {
                Told::Connect { at, to, port, result: result.to_owned() }
            }
            ScanEvent::Packet { line } => Told::Packet(line.to_owned()),
            ScanEvent::Warning(line) => Told::Warning(line.to_owned()),
            _ => return,
        });
    }

    /// Keeps all that was to be found out about a host for the lead.
    pub(super) fn keep_host(&mut self, report: HostReport) {
        self.waiting.push(Told::Host(Box::new(report)));
    }

    /// Tells the lead what was kept.
    pub(super) fn flush(&mut self) {
        if !self.waiting.is_empty() && self.told.send((self.place, std::mem::take(&mut self.waiting))).is_ok()
        {
            // A lead whose loop is over takes what was told without being woken.
            let _ = self.lead.wake();
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.waiting.push(Told::Ended(Box::new(std::mem::take(&mut self.totals))));
        self.flush();
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Scan {
    /// Helps a lead until it says that the scan is over.
    ///
    /// # Errors
    /// The event loop's.
    pub fn help(mut self, pool: &mut Pool<Self>, link: Link) -> Result<(), nsock::Error> {
        self.link = Some(link);
        self.stage = Stage::Ports;
        self.listen(pool);
        self.hear_lead(pool);
        self.tell_how_far(pool);
        let ended = pool.run(&mut self, None);
        self.count_drops(pool);
        self.count_plan();
        let packets = self.raw.as_ref().map(super::Raw::counts).unwrap_or_default();
        if let Some(link) = &mut self.link {
            let (sent, unknown) = (self.statistics.sent, self.statistics.unknown);
            link.totals = Totals { sent, unknown, troubles: std::mem::take(&mut self.troubles), packets };
        }
        self.release(pool);
        ended.map(drop)
    }

    /// Waits for what the lead says, and does it.
    fn hear_lead(&mut self, io: &mut Io<Self>) {
        io.wake_wait(None, |scan: &mut Self, io, _| {
            scan.hear_lead(io);
            scan.obey(io);
        });
        // What was said before this was listening.
        self.obey(io);
    }

    fn obey(&mut self, io: &mut Io<Self>) {
        while let Some(Ok(command)) = self.link.as_ref().map(|link| link.commands.try_recv()) {
            match command {
                Command::Begin(settings, technique) => {
                    self.options.techniques = vec![technique];
                    self.begin_plan(*settings, Some(technique), io.now());
                }
                Command::Host(job) => self.take_job(job, io.now()),
                Command::Show(shown) => {
                    self.options.trace_connects = shown.is_some();
                    if let Some(raw) = &mut self.raw {
                        raw.show_packets(shown);
                    }
                }
                Command::Stop => {
                    if self.stage != Stage::Over {
                        self.stop(io, Cut::Not);
                    }
                    return;
                }
            }
        }
        self.pump(io);
    }

    fn take_job(&mut self, job: Job, now: Instant) {
        let index = self.next_index;
        self.next_index += 1;
        let start = HostStart::Up(job.reason);
        self.hosts.insert(index, Host::new(HostReport::new(job.address), now));
        self.unreported.push_back(index);
        let id = self.plan.add_host_again(now, job.address.ip(), start, job.leave_out);
        if let Some(raw) = &mut self.raw {
            raw.host_entered(job.address, id);
            raw.learn_next_mac(job.address, job.next_mac);
        }
        self.indices.insert(id, index);
    }

    fn tell_how_far(&mut self, io: &mut Io<Self>) {
        let scope = *self.quiet.get_or_insert_with(|| io.scope(SIGNALS));
        let tick = io.with_scope(scope, |io| {
            io.timer_create(TELL_EVERY, |scan: &mut Self, io, _| {
                let shares = scan.plan.under_way().shares;
                let done = scan.plan.statistics().hosts_finished as f64 + shares;
                if let Some(link) = &mut scan.link {
                    link.waiting.push(Told::Done(done));
                    link.flush();
                }
                scan.tell_how_far(io);
            })
        });
        self.tick = Some(tick);
    }
}
