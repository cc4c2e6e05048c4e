//! Being connected to, and ending the sending direction of a connection.

use std::collections::VecDeque;
use std::io::Write;
use std::net::{Shutdown, TcpStream};

use nsock::{Accepted, Event, Io, IodId, Kind, Sent};

use super::ledger::Guard;
use super::peers::Peer;
use super::state::{Connection, Model};
use super::streams::{Incoming, pattern};

/// Visitors that wait at a door: fewer than there is room for, so that none has to wait for its connect.
const WAITING_MAX: usize = 8;
/// One accept in so many is asked of what need not listen.
const MISUSE_ONE_IN: usize = 20;

/// How far the sending direction of a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Sending {
    Open,
    /// Its end was asked for.
    Ending,
    /// Its end was told: no write may succeed that is asked for from now on.
    Ended,
}

impl Model {
    /// Goes to a door, or has somebody come to it.
    pub(super) fn door(&mut self, io: &mut Io<Self>) {
        if self.rng.usize(0..MISUSE_ONE_IN) == 0
            && let Some(connection) = self.rng.choice(&self.connections)
        {
            let iod = connection.iod;
            return self.accept(io, iod);
        }
        let doors = self.connections.iter_mut().filter(|connection| connection.peer == Peer::Door);
        let doors: Vec<&mut Connection> = doors.collect();
        let Some(door) = self.rng.choice(doors) else { return self.connect_to(io, Peer::Door) };
        if self.rng.bool() || door.visitors.len() >= WAITING_MAX {
            let iod = door.iod;
            return self.accept(io, iod);
        }
        let address = io.iod_local(door.iod).expect("it listens");
        let mut visitor = TcpStream::connect(address).expect("there is room");
        visitor.write_all(&pattern(0..Peer::Visitor.sends())).expect("nobody has gone");
        visitor.shutdown(Shutdown::Write).expect("nobody has gone");
        door.visitors.push_back(visitor.local_addr().expect("it is connected"));
        self.visits.push(visitor);
    }

    pub(super) fn accept(&mut self, io: &mut Io<Self>, iod: IodId) {
        let limit = self.any_limit();
        let guard = self.ledger.guard();
        let asked = self.asked_for(io, Kind::Accept, Some(iod), limit);
        self.submit(io, guard, asked, |io, guard| {
            io.accept(iod, limit, move |model, io, event| model.accepted(io, &guard, event))
        });
    }

    fn accepted(&mut self, io: &mut Io<Self>, guard: &Guard, event: Event<Accepted>) {
        self.called(io, guard, event.id, event.outcome.as_ref().err().copied());
        if let Ok(accepted) = event.outcome {
            let door = self.connection(event.iod).expect("a door that was deleted lets nobody in");
            assert_eq!(accepted.peer, door.visitors.pop_front(), "not the one who came first");
            let (scope, peer) = (door.scope, Peer::Visitor);
            let visitor = Connection::new(accepted.iod, scope, peer, Incoming::Pattern(0));
            self.connections.push(Connection { connected: true, ..visitor });
            self.seen.accepted += 1;
        }
        self.follow_up(io);
    }

    /// Ends the sending direction of some connection, if it has one.
    pub(super) fn end_writes(&mut self, io: &mut Io<Self>) {
        let Some(at) = self.any_connection() else { return };
        let connection = &mut self.connections[at];
        connection.sending = connection.sending.max(Sending::Ending);
        let iod = connection.iod;
        self.end_writes_of(io, iod);
    }

    pub(super) fn end_writes_of(&mut self, io: &mut Io<Self>, iod: IodId) {
        let limit = self.any_limit();
        let guard = self.ledger.guard();
        let asked = self.asked_for(io, Kind::Write, Some(iod), limit);
        self.submit(io, guard, asked, |io, guard| {
            io.shutdown_write(iod, limit, move |model, io, event| model.ended(io, &guard, event))
        });
    }

    fn ended(&mut self, io: &mut Io<Self>, guard: &Guard, event: Event<Sent>) {
        self.called(io, guard, event.id, event.outcome.as_ref().err().copied());
        if let Ok(sent) = event.outcome {
            let connection = self.connection(event.iod).expect("an IOD that was deleted ends nothing");
            assert_eq!((sent.bytes, connection.peer.is_udp()), (0, false));
            connection.sending = Sending::Ended;
            self.seen.ended += 1;
        }
        self.follow_up(io);
    }
}

impl Connection {
    pub(super) fn new(iod: IodId, scope: nsock::ScopeId, peer: Peer, incoming: Incoming) -> Self {
        let (sending, visitors) = (Sending::Open, VecDeque::new());
        Self { iod, scope, peer, incoming, sending, visitors, connected: false, over: false }
    }
}
