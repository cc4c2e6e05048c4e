//! Random opens, reads, cancels and deletes of captures; an oracle judges the trace, and every capture has to get every
//! frame that was sent after it was opened, in order, whatever was cancelled.

use std::collections::HashMap;

use fastrand::Rng;
use nsock::trace::Level;
use nsock::{Event, EventId, Failure, Io, IodId, Kind, Packet, Pool};
use testkit::{Oracle, SCANNER_LINK, TraceEnd};

use super::wire::{Wire, frame, no_flood, options};
use crate::support::ms;

const STEPS: usize = 4_000;
const CAPTURES_MAX: usize = 5;
const READS_MAX: usize = 60;

#[derive(Default)]
struct Model {
    /// The number of the frame that each open capture gets next.
    captures: HashMap<IodId, u32>,
    /// Reads whose handler has not run, and whether they were cancelled.
    reads: HashMap<EventId, bool>,
    packets: usize,
    timed_out: usize,
    cancelled: usize,
}

impl Model {
    fn seen(&mut self, _: &mut Io<Self>, event: Event<Packet>) {
        let cancelled = self.reads.remove(&event.id).expect("once, and only if it was not silenced");
        assert_eq!(cancelled, event.outcome == Err(Failure::Cancelled), "{:?}", event.outcome);
        match event.outcome {
            Ok(packet) => {
                let due = self.captures.get_mut(&event.iod).expect("the capture is open");
                assert_eq!(packet.bytes, frame(*due, 60), "not the next frame");
                *due += 1;
                self.packets += 1;
            }
            Err(Failure::TimedOut) => self.timed_out += 1,
            Err(Failure::Cancelled) => self.cancelled += 1,
            Err(other) => panic!("{other}"),
        }
    }

    fn read(&mut self, pool: &mut Pool<Self>, rng: &mut Rng) {
        let Some(iod) = self.any_capture(rng) else { return };
        let limit = rng.choice([None, Some(ms(0)), Some(ms(1)), Some(ms(9))]).flatten();
        let id = pool.pcap_read_packet(iod, limit, Self::seen);
        assert_eq!(id.number() & 7, Kind::PcapRead as u64);
        self.reads.insert(id, false);
    }

    fn end_read(&mut self, pool: &mut Pool<Self>, rng: &mut Rng) {
        let mut ids: Vec<_> = self.reads.keys().copied().collect();
        ids.sort_unstable_by_key(|id| id.number());
        let Some(id) = rng.choice(ids) else { return };
        if rng.bool() {
            let before = self.reads.insert(id, true);
            assert_eq!(pool.event_cancel(id), before == Some(false));
        } else {
            assert!(pool.forget(id));
            self.reads.remove(&id);
        }
    }

    fn delete(&mut self, pool: &mut Pool<Self>, rng: &mut Rng) {
        let Some(iod) = self.any_capture(rng) else { return };
        self.captures.remove(&iod);
        let report = pool.report();
        let on_it = report.events.iter().filter(|event| event.iod == Some(iod)).map(|event| event.id);
        if rng.bool() {
            // What was cancelled before has left its IOD, and is told all the same.
            self.reads.retain(|id, cancelled| *cancelled || !on_it.clone().any(|event| event == *id));
            assert!(pool.iod_delete(iod));
        } else {
            self.reads.extend(on_it.map(|id| (id, true)));
            assert!(pool.iod_delete_notify(iod));
        }
    }

    fn any_capture(&self, rng: &mut Rng) -> Option<IodId> {
        let mut iods: Vec<_> = self.captures.keys().copied().collect();
        iods.sort_unstable_by_key(|iod| iod.number());
        rng.choice(iods)
    }
}

#[test]
fn random_requests_on_captures_keep_the_contract_and_lose_no_frame() {
    let _quiet = no_flood();
    let Some(wire) = Wire::new("model").unwrap() else { return };
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    wire.lab.in_scanner(|| steps(&wire, &mut Rng::with_seed(seed))).unwrap();
}

fn steps(wire: &Wire, rng: &mut Rng) {
    let (mut pool, mut model, mut sent) = (Pool::new().unwrap(), Model::default(), 0);
    let oracle = Oracle::new();
    pool.trace_to(Level::Full, oracle.clone());
    for _ in 0..STEPS {
        match rng.usize(0..100) {
            0..=4 if model.captures.len() < CAPTURES_MAX => {
                let iod = pool.iod_new();
                let mut roomy = options();
                roomy.buffer_bytes = 16 << 20;
                roomy.ignore_outgoing = true;
                pool.pcap_open(iod, SCANNER_LINK, &roomy).unwrap();
                model.captures.insert(iod, sent);
            }
            0..=39 if model.reads.len() < READS_MAX => model.read(&mut pool, rng),
            0..=49 => model.end_read(&mut pool, rng),
            50 => model.delete(&mut pool, rng),
            51..=65 => {
                let frames: Vec<_> = (sent..sent + rng.u32(1..5)).map(|number| frame(number, 60)).collect();
                sent += u32::try_from(frames.len()).unwrap();
                wire.send(&frames.iter().map(Vec::as_slice).collect::<Vec<_>>());
            }
            _ => drop(pool.run(&mut model, Some(ms(rng.u64(0..2)))).unwrap()),
        }
        assert_eq!((pool.pending(), oracle.violations()), (model.reads.len(), vec![]));
    }
    // Everything that was sent is there.
    for id in std::mem::take(&mut model.reads).into_keys() {
        assert!(pool.forget(id));
    }
    for (iod, due) in model.captures.clone() {
        for _ in due..sent {
            model.reads.insert(pool.pcap_read_packet(iod, crate::support::LIMIT, Model::seen), false);
        }
    }
    pool.run(&mut model, crate::support::LIMIT).unwrap();
    assert!(model.captures.values().all(|due| *due == sent), "{:?} of {sent}", model.captures);
    let (packets, timed_out, cancelled) = (model.packets, model.timed_out, model.cancelled);
    assert!(packets > 100 && timed_out > 0 && cancelled > 0, "{packets} {timed_out} {cancelled}");
    assert_eq!(oracle.finish(TraceEnd::Complete), []);
}
