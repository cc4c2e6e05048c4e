//! The names of the hosts: from the resolver on the same loop, or from the system's own, which blocks and so has a
//! thread to itself.

use std::net::IpAddr;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::{fmt, thread};

use dns::{Answer, Driver, HostName, Outcome, Request, Source};
use nsock::{Io, Waker};

use super::{Index, Lookup, Name, Scan, Stage};
use crate::report::ScanEvent;

/// Who knows the names of addresses.
#[non_exhaustive]
pub enum NameService {
    /// Nobody is asked.
    None,
    /// The resolver, attached to the scan's pool.
    Resolver(Box<Driver<Scan>>),
    /// The system's own resolver.
    System(SystemNames),
}

impl NameService {
    pub(super) fn driver(&mut self) -> &mut Driver<Scan> {
        match self {
            Self::Resolver(driver) => driver,
            // Only an attached resolver has the function that leads here.
            Self::None | Self::System(_) => unreachable!("nothing but the resolver asks for the resolver"),
        }
    }
}

impl fmt::Debug for NameService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Resolver(_) => "Resolver",
            Self::System(_) => "System",
        })
    }
}

/// The system's own resolver, asked one address after the other by a thread of its own.
#[derive(Debug)]
pub struct SystemNames {
    questions: Sender<IpAddr>,
    answers: Receiver<(IpAddr, Option<String>)>,
    waiting: bool,
}

impl SystemNames {
    /// Starts the thread; it ends with this value, after the question at hand. `look_up` asks the system, and blocks.
    #[must_use]
    pub fn start(waker: Waker, look_up: fn(IpAddr) -> Option<String>) -> Self {
        let (questions, asked) = channel::<IpAddr>();
        let (answered, answers) = channel();
        thread::spawn(move || {
            for address in asked {
                if answered.send((address, look_up(address))).is_err() || waker.wake().is_err() {
                    return;
                }
            }
        });
        Self { questions, answers, waiting: false }
    }
}

impl Scan {
    pub(super) fn wants_name(&self, index: Index) -> bool {
        let Some(host) = self.hosts.get(&index) else { return false };
        host.name == Name::NotAsked
            && match self.options.lookup {
                Lookup::Nobody => false,
                Lookup::HostsUp => host.report.is_up(),
                Lookup::Everybody => true,
            }
    }

    pub(super) fn ask_name(&mut self, io: &mut Io<Self>, index: Index) {
        let Some(ip) = self.hosts.get(&index).map(|host| host.report.ip()) else { return };
        let asked = match &mut self.names {
            NameService::None => false,
            NameService::Resolver(driver) => driver.start(io, Request::Reverse(ip)).is_ok(),
            NameService::System(system) => system.questions.send(ip).is_ok(),
        };
        if let Some(host) = self.hosts.get_mut(&index) {
            host.name = if asked { Name::Asked } else { Name::Settled };
        }
        if asked {
            let now = io.now();
            self.names_time.get_or_insert((now, now));
            self.names_asked.entry(ip).or_default().push(index);
        }
        self.wait_for_system(io);
    }

    /// Tells what became of all look-ups, in a line that scripts know from elsewhere: names, absent names, dropped ones,
    /// failures of servers, datagrams; and how long it took.
    pub fn tell_names(&mut self) {
        let (NameService::Resolver(driver), Some((first, last))) = (&self.names, self.names_time) else {
            return;
        };
        let (resolver, counts) = (driver.resolver(), driver.resolver().counters());
        let line = format!(
            "mass_dns: {:.2}s {}/{} [#: {}, OK: {}, NX: {}, DR: {}, SF: {}, TR: {}, SY: 0]",
            last.saturating_duration_since(first).as_secs_f64(),
            counts.settled(),
            counts.settled() + resolver.outstanding() as u64,
            resolver.servers().len(),
            counts.found,
            counts.absent,
            counts.unanswered + counts.unasked,
            counts.failed,
            counts.transmitted,
        );
        self.tell(ScanEvent::Detail(&line));
    }

    /// Takes an answer of the resolver.
    pub fn name_answered(&mut self, io: &mut Io<Self>, answer: Answer) {
        let Request::Reverse(ip) = answer.request else { return };
        if let Some((_, last)) = &mut self.names_time {
            *last = io.now();
        }
        let server = match (&self.names, answer.source) {
            (NameService::Resolver(driver), Source::Server(id)) => {
                driver.resolver().servers().nth(id.index())
            }
            _ => None,
        };
        self.tell(ScanEvent::Detail(&answer.explained(server).to_string()));
        let names = match answer.outcome {
            Outcome::Names(names) => names.iter().map(HostName::to_string).collect(),
            Outcome::Unreachable(_) | Outcome::TimedOut | Outcome::Refused | Outcome::LocalError(_) => {
                self.warn_once(format!("WARNING: names are missing: {}", answer.outcome));
                Vec::new()
            }
            _ => Vec::new(),
        };
        self.name_known(io, ip, names);
    }

    fn wait_for_system(&mut self, io: &mut Io<Self>) {
        if let NameService::System(system) = &mut self.names
            && !self.names_asked.is_empty()
            && !system.waiting
        {
            system.waiting = true;
            io.wake_wait(None, |scan: &mut Self, io, _| scan.system_answered(io));
        }
    }

    fn system_answered(&mut self, io: &mut Io<Self>) {
        let NameService::System(system) = &mut self.names else { return };
        system.waiting = false;
        let answers: Vec<_> = system.answers.try_iter().collect();
        for (ip, name) in answers {
            // The system hands out whatever a server said: it goes through the same check as our own resolver's.
            let name = name.and_then(|name| HostName::parse(&name).ok()).map(|name| name.to_string());
            self.name_known(io, ip, name.into_iter().collect());
        }
        self.wait_for_system(io);
    }

    fn name_known(&mut self, io: &mut Io<Self>, ip: IpAddr, names: Vec<String>) {
        for index in self.names_asked.remove(&ip).unwrap_or_default() {
            if let Some(host) = self.hosts.get_mut(&index) {
                if let Some((first, others)) = names.split_first() {
                    (host.report.dns_name, host.report.other_dns_names) =
                        (Some(first.clone()), others.to_vec());
                }
                host.name = Name::Settled;
            }
        }
        match self.stage {
            Stage::Names if self.names_asked.is_empty() => self.begin_ports(io),
            Stage::Whole => {
                self.report_finished();
                self.pump(io);
            }
            _ => {}
        }
    }
}
