//! One question on its way: from the queue over one or more tries to its end.

use std::time::{Duration, Instant};

use crate::accept::Discard;
use crate::capability::Dress;
use crate::message::Asked;
use crate::outcome::{Outcome, ServerFault, SystemError};
use crate::request::{Question, RequestId};
use crate::server::ServerId;
use crate::sockets::TransmitId;

/// Tries of one question. With fewer, names go missing at 5 % loss: the chance that eight are lost in a row is one in
/// twenty-five thousand million.
pub const TRIES_MAX: u8 = 8;

/// Failed sends of one question by the fault of this machine before it gives up.
pub(crate) const LOCAL_FAILURES_MAX: u8 = 8;

/// Names one question in flight. The serial tells it from an earlier one in the same slot, and orders the queue.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct QueryKey {
    pub(crate) serial: u64,
    pub(crate) slot: usize,
}

/// A question and all that has happened to it.
///
/// | state | then |
/// |---|---|
/// | waiting | sent → in flight; its time is over → settled |
/// | in flight | answered → settled, or waiting with the alias's name; a time-out, a refusal or a fault → waiting again, or settled if there is nobody left to ask |
#[derive(Debug)]
pub(crate) struct Query {
    /// As in its key.
    pub(crate) serial: u64,
    pub(crate) question: Question,
    /// What is asked now: the question itself, or the end of its aliases.
    pub(crate) asked: Asked,
    /// Questions asked anew for an alias.
    pub(crate) aliases: u8,
    /// Who wants to know, in the order of asking. Never empty.
    pub(crate) waiters: Vec<Waiter>,
    pub(crate) state: State,
    /// All is over then: the end of the queueing time while nothing was sent, then of the budget.
    pub(crate) expires: Instant,
    /// What stands in the table of deadlines.
    pub(crate) alarm: Instant,
    /// Datagrams sent for what is asked now.
    pub(crate) tries: u8,
    /// Datagrams sent in all.
    pub(crate) sent: u8,
    /// Tries that may still be answered, the current one included.
    pub(crate) open: Vec<TransmitId>,
    /// The server asked last, for the rotation.
    pub(crate) last_server: Option<ServerId>,
    /// Servers that have said that they cannot answer.
    pub(crate) failed_at: ServerSet,
    pub(crate) local_failures: u8,
    /// How the next try leaves.
    pub(crate) transport: Transport,
    /// Whom the next try goes to, if it matters.
    pub(crate) stick_to: Option<ServerId>,
    /// Datagrams that had the id of an open try and were no answer.
    pub(crate) suspicions: u8,
    /// Why it is asked by TCP, if not for its length.
    pub(crate) doubt: Option<Discard>,
    /// What fitted a datagram of a longer answer: better than nothing.
    pub(crate) partial: Option<Box<Outcome>>,
    /// How long the last response took.
    pub(crate) round_trip: Option<Duration>,
    /// What went wrong last, and decides the outcome if nothing better comes.
    pub(crate) trouble: Trouble,
}

/// A request that nobody has looked at yet: of the hundred thousand a batch may have, all but a few hundred are this.
#[derive(Debug)]
pub(crate) struct InLine {
    pub(crate) waiter: Waiter,
    pub(crate) question: Question,
    /// The end of its queueing time; never before that of the one ahead.
    pub(crate) expires: Instant,
}

/// One request that waits for the answer.
#[derive(Clone, Debug)]
pub(crate) struct Waiter {
    pub(crate) id: RequestId,
    pub(crate) started: Instant,
}

/// Where a query stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum State {
    /// In one of the two queues.
    Waiting(Queue),
    /// Sent, and waited for.
    InFlight(Flight),
}

/// How a message travels.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "what else there is goes through one of the two")]
pub enum Transport {
    /// A datagram.
    #[default]
    Udp,
    /// A connection that carries any number of messages, each behind its length (RFC 7766).
    Tcp,
}

/// Which queue a waiting query stands in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Queue {
    /// Never sent.
    Fresh,
    /// Sent before; goes first.
    Retry,
}

/// The current try.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Flight {
    pub(crate) at: TransmitId,
    pub(crate) server: ServerId,
    pub(crate) sent_at: Instant,
    pub(crate) deadline: Instant,
    pub(crate) dress: Dress,
}

/// What went wrong last.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Trouble {
    /// A server answered that it cannot. Weighs more than silence of the others.
    Failure(ServerFault),
    /// This machine could not send.
    Local(SystemError),
    /// Nothing was heard.
    Silence,
    /// There is no way to the server, or no service.
    Unreachable(SystemError),
}

impl Trouble {
    /// The outcome of a query that ends with this.
    pub(crate) const fn outcome(self) -> Outcome {
        match self {
            Self::Failure(ServerFault::Rcode(5)) => Outcome::Refused,
            Self::Failure(fault) => Outcome::ServerFailure(fault),
            Self::Local(error) => Outcome::LocalError(error),
            Self::Silence => Outcome::TimedOut,
            Self::Unreachable(error) => Outcome::Unreachable(error),
        }
    }
}

impl Query {
    pub(crate) fn new(serial: u64, question: Question, waiter: Waiter, expires: Instant) -> Self {
        Self {
            serial,
            asked: question.asked(),
            question,
            aliases: 0,
            waiters: vec![waiter],
            state: State::Waiting(Queue::Fresh),
            expires,
            alarm: expires,
            tries: 0,
            sent: 0,
            open: Vec::new(),
            last_server: None,
            failed_at: ServerSet::default(),
            local_failures: 0,
            transport: Transport::Udp,
            stick_to: None,
            suspicions: 0,
            doubt: None,
            partial: None,
            round_trip: None,
            trouble: Trouble::Silence,
        }
    }

    /// The try that is waited for.
    pub(crate) const fn flight(&self) -> Option<Flight> {
        match self.state {
            State::InFlight(flight) => Some(flight),
            State::Waiting(_) => None,
        }
    }

    /// Notes that a datagram leaves. `budget` runs from the first one.
    pub(crate) fn sent(&mut self, flight: Flight, budget: Duration) {
        if self.sent == 0 {
            self.expires = flight.sent_at + budget;
        }
        self.state = State::InFlight(flight);
        self.stick_to = None;
        self.open.push(flight.at);
        self.last_server = Some(flight.server);
        self.tries += 1;
        self.sent = self.sent.saturating_add(1);
    }

    /// Notes what went wrong. What a server said stays, for it is more than silence; only another server's word
    /// replaces it.
    pub(crate) const fn troubled(&mut self, trouble: Trouble) {
        if !matches!(
            (self.trouble, trouble),
            (Trouble::Failure(_), Trouble::Local(_) | Trouble::Silence | Trouble::Unreachable(_))
        ) {
            self.trouble = trouble;
        }
    }

    /// The outcome if nothing better comes.
    pub(crate) fn last_word(&mut self) -> Outcome {
        self.partial.take().map_or_else(|| self.trouble.outcome(), |partial| *partial)
    }

    /// When this query next needs attention.
    pub(crate) fn next_alarm(&self) -> Instant {
        self.flight().map_or(self.expires, |flight| flight.deadline.min(self.expires))
    }
}

/// A set of servers.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct ServerSet(u16);

/// One bit for each.
const _: () = assert!(crate::resolv_conf::SERVERS_MAX <= u16::BITS as usize);

impl ServerSet {
    pub(crate) const fn insert(&mut self, server: ServerId) {
        self.0 |= 1 << server.0;
    }

    pub(crate) const fn contains(self, server: ServerId) -> bool {
        self.0 & (1 << server.0) != 0
    }
}
