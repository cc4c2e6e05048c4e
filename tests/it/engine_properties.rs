//! Promises of the engine for any input, without handlers and without a network.

use std::io::{Read as _, Write as _};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use nsock::{Completion, Engine, EventId, Failure, IodId, Kind, Notice, Output, Request, Until};
use proptest::collection::vec;
use proptest::prelude::*;

/// Deliveries in one turn, at most.
const DELIVERIES_PER_TURN_MAX: usize = 4096;
/// No wait here is for more than what is there already.
const PATIENCE: Option<Duration> = Some(Duration::from_secs(1));

fn few() -> ProptestConfig {
    ProptestConfig {
        cases: 64,
        failure_persistence: None,
        max_shrink_time: 10_000,
        ..ProptestConfig::default()
    }
}

/// An IOD, and the other end.
fn pair(engine: &mut Engine) -> (IodId, UnixStream) {
    let (near, far) = UnixStream::pair().unwrap();
    far.set_nonblocking(true).unwrap();
    (engine.iod_adopt(near.as_fd()).unwrap(), far)
}

fn drain(engine: &mut Engine) -> Vec<Completion> {
    std::iter::from_fn(|| engine.next_done()).collect()
}

#[derive(Debug, Clone)]
enum Action {
    Read(Until),
    Write(usize),
    /// The peer sends.
    Arrive(usize),
    /// Of the pending events, the one at this place.
    Cancel(usize, Notice),
    Turn,
    /// A turn whose completions stay where they can still be cancelled.
    TurnOnly,
}

fn action() -> impl Strategy<Value = Action> {
    let until = prop_oneof![
        Just(Until::Any),
        (0..40usize).prop_map(Until::Bytes),
        (0..4usize).prop_map(Until::Lines)
    ];
    let notice = prop_oneof![Just(Notice::Given), Just(Notice::Silent)];
    prop_oneof![
        4 => until.prop_map(Action::Read),
        3 => (0..50usize).prop_map(Action::Write),
        3 => (1..60usize).prop_map(Action::Arrive),
        2 => (0..20usize, notice).prop_map(|(place, notice)| Action::Cancel(place, notice)),
        2 => Just(Action::Turn),
        2 => Just(Action::TurnOnly),
    ]
}

/// The `place`th byte of anything.
fn byte(place: usize) -> u8 {
    if place % 13 == 7 { b'\n' } else { b'a' + u8::try_from(place % 25).unwrap() }
}

/// One connection, and what is known of it.
struct Connection {
    engine: Engine,
    iod: IodId,
    far: UnixStream,
    pending: Vec<EventId>,
    cancelled: Vec<EventId>,
    ended: Vec<EventId>,
    arrived: usize,
    received: usize,
    written: usize,
}

impl Connection {
    fn new() -> Self {
        let mut engine = Engine::new().unwrap();
        let (iod, far) = pair(&mut engine);
        let (pending, cancelled, ended) = (Vec::new(), Vec::new(), Vec::new());
        Self { engine, iod, far, pending, cancelled, ended, arrived: 0, received: 0, written: 0 }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Read(until) => {
                let id = self.engine.submit(Request::Read { iod: self.iod, until }, None);
                self.pending.push(id);
            }
            Action::Write(length) => {
                let data: Vec<u8> = (self.written..self.written + length).map(byte).collect();
                self.written += length;
                self.pending.push(self.engine.submit(Request::Write { iod: self.iod, data: &data }, None));
            }
            Action::Arrive(length) => {
                let data: Vec<u8> = (self.arrived..self.arrived + length).map(byte).collect();
                self.arrived += length;
                self.far.write_all(&data).unwrap();
            }
            Action::Cancel(place, notice) => self.cancel(place, notice),
            Action::Turn => self.turn(),
            Action::TurnOnly => self.engine.turn(Some(Duration::ZERO)).unwrap(),
        }
    }

    fn cancel(&mut self, place: usize, notice: Notice) {
        let Some(&id) = self.pending.get(place) else { return };
        let before = self.cancelled.contains(&id);
        assert_eq!(self.engine.cancel(id, notice), !before || notice == Notice::Silent);
        if notice == Notice::Silent {
            self.pending.retain(|pending| *pending != id);
            self.ended.push(id);
        } else {
            self.cancelled.push(id);
        }
    }

    /// A turn; what it delivers of one kind comes in the order of the requests, and the bytes as they were sent.
    fn turn(&mut self) {
        self.engine.turn(Some(Duration::ZERO)).unwrap();
        for done in drain(&mut self.engine) {
            let place = self.pending.iter().position(|id| *id == done.id).expect("delivered once");
            self.pending.remove(place);
            self.ended.push(done.id);
            let cancelled = self.cancelled.contains(&done.id);
            assert_eq!(cancelled, done.outcome == Err(Failure::Cancelled));
            if cancelled {
                continue;
            }
            let overtaken = |id: &&EventId| {
                id.number() & 7 == done.kind as u64
                    && id.serial() < done.id.serial()
                    && !self.cancelled.contains(id)
            };
            assert_eq!(self.pending.iter().find(overtaken), None);
            if let Output::Received(received) = done.outcome.unwrap() {
                let end = self.received + received.bytes.len();
                assert!(received.bytes.iter().copied().eq((self.received..end).map(byte)));
                self.received = end;
            }
        }
        assert_eq!(self.engine.pending(), self.pending.len());
        for id in &self.ended {
            assert!(!self.engine.is_pending(*id) && !self.engine.cancel(*id, Notice::Given));
        }
    }

    /// What is left arrives; nothing was lost, on either side.
    fn finish(mut self) {
        for id in std::mem::take(&mut self.pending) {
            if id.number() & 7 == Kind::Read as u64 {
                self.engine.cancel(id, Notice::Silent);
            }
        }
        drain(&mut self.engine);
        if self.received < self.arrived {
            let until = Until::Bytes(self.arrived - self.received);
            let id = self.engine.submit(Request::Read { iod: self.iod, until }, PATIENCE);
            let mut left = Vec::new();
            while self.engine.is_pending(id) {
                self.engine.turn(PATIENCE).unwrap();
                for done in drain(&mut self.engine) {
                    if let Ok(Output::Received(received)) = done.outcome {
                        left = received.bytes;
                    }
                }
            }
            assert!(left.into_iter().eq((self.received..self.arrived).map(byte)));
        }
        self.engine.iod_delete(self.iod, Notice::Silent);
        let mut came = Vec::new();
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = self.far.read(&mut buffer) {
            came.extend_from_slice(&buffer[..count]);
        }
        assert!(came.into_iter().eq((0..self.written).map(byte)));
    }
}

proptest! {
    #![proptest_config(few())]

    #[test]
    fn requests_of_one_kind_complete_in_order_and_no_byte_is_lost(actions in vec(action(), 1..120)) {
        let mut connection = Connection::new();
        for action in actions {
            connection.act(action);
        }
        connection.finish();
    }

    #[test]
    fn iods_are_served_in_the_order_they_were_made(
        iods in (2..12usize).prop_flat_map(|count| (Just(count), Just((0..count).collect::<Vec<_>>()).prop_shuffle(), Just((0..count).collect::<Vec<_>>()).prop_shuffle())),
    ) {
        let (count, requested, arriving) = iods;
        let mut engine = Engine::new().unwrap();
        let mut pairs: Vec<_> = (0..count).map(|_| pair(&mut engine)).collect();
        let mut ids = vec![EventId::REFUSED; count];
        for at in requested {
            ids[at] = engine.submit(Request::Read { iod: pairs[at].0, until: Until::Any }, Some(Duration::ZERO));
        }
        let timer = engine.submit(Request::Timer, Some(Duration::ZERO));
        for at in arriving {
            pairs[at].1.write_all(b"x").unwrap();
        }
        engine.turn(PATIENCE).unwrap();
        let done = drain(&mut engine);
        prop_assert!(done.iter().all(|done| done.outcome.is_ok()), "data beats its deadline: {:?}", done);
        let order: Vec<_> = done.iter().map(|done| done.id).collect();
        ids.push(timer);
        prop_assert_eq!(order, ids);
    }

    #[test]
    fn work_per_turn_is_bounded_whatever_handlers_ask(first in 1..4usize, each in 1..4usize, late in 0..3usize) {
        let mut engine = Engine::new().unwrap();
        let idle = engine.iod_new();
        let (ready, mut far) = pair(&mut engine);
        far.write_all(b"x").unwrap();
        let nonsense = Request::Read { iod: idle, until: Until::Any };
        for _ in 0..first {
            engine.submit(nonsense, None);
        }
        let other = engine.submit(Request::Read { iod: ready, until: Until::Any }, PATIENCE);
        let mut turns = 0;
        while engine.is_pending(other) {
            turns += 1;
            prop_assert!(turns < 20, "starved");
            engine.turn(PATIENCE).unwrap();
            let mut delivered = 0;
            while let Some(done) = engine.next_done() {
                delivered += 1;
                prop_assert!(delivered <= DELIVERIES_PER_TURN_MAX);
                // Twice as many and more would be for ever: what waits is bounded here, by the one who asks.
                let more = if engine.pending() < 8192 { each } else { 1 };
                for _ in 0..if done.kind == Kind::Read { more } else { 0 } {
                    engine.submit(nonsense, None);
                }
                if engine.pending_of(Kind::Timer) < late {
                    engine.submit(Request::Timer, Some(Duration::ZERO));
                }
            }
        }
    }
}

#[test]
fn a_write_made_while_others_wait_for_their_turn_comes_last() {
    const WAITING: usize = 200;
    let mut engine = Engine::new().unwrap();
    let (iod, mut far) = pair(&mut engine);
    // More than the buffer takes, so that what follows has to wait; and more of that than one look at an IOD sends.
    let wall = vec![b'w'; 4 << 20];
    engine.submit(Request::Write { iod, data: &wall }, None);
    for at in 0..WAITING {
        engine.submit(Request::Write { iod, data: &[byte(at)] }, None);
    }
    let (mut came, mut late) = (Vec::new(), false);
    let mut buffer = vec![0; 1 << 16];
    while engine.pending() > 0 {
        while let Ok(count @ 1..) = far.read(&mut buffer) {
            came.extend_from_slice(&buffer[..count]);
        }
        engine.turn(PATIENCE).unwrap();
        if !late && engine.iod_bytes(iod).unwrap().1 > wall.len() as u64 {
            late = true;
            engine.submit(Request::Write { iod, data: b"!" }, None);
        }
        assert!(drain(&mut engine).iter().all(|done| done.outcome.is_ok()));
    }
    while let Ok(count @ 1..) = far.read(&mut buffer) {
        came.extend_from_slice(&buffer[..count]);
    }
    let waited: Vec<u8> = (0..WAITING).map(byte).chain([b'!']).collect();
    assert!(late && came[wall.len()..] == waited);
}
