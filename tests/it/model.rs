//! Random requests, cancels, deletes, panics and quits against peers that misbehave; an oracle judges the trace, and
//! the handlers judge what they see themselves.
//!
//! `MODEL_STEPS` and `MODEL_SEED` change how many steps are taken and which. The network is real, so a seed repeats
//! the choices and not the timing: a rare failure may need several runs of its seed.

mod act;
mod back;
mod ends;
mod ledger;
mod peers;
mod settle;
mod state;
mod streams;

use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::time::Duration;

use fastrand::Rng;
use nsock::trace::Level;
use nsock::{Pool, Stop};
use testkit::{Oracle, TraceEnd, in_own_process, open_descriptors};

use peers::Peers;
use state::{Model, OnPurpose};

/// Steps of one pool; then another one begins.
const STEPS_PER_POOL: usize = 5_000;
/// Steps unless `MODEL_STEPS` says otherwise.
const STEPS: usize = 100_000;

#[test]
fn random_requests_against_peers_that_misbehave_keep_the_contract() {
    let name = "model::random_requests_against_peers_that_misbehave_keep_the_contract";
    in_own_process(name, || {
        let number = |name| env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
        let seed = number("MODEL_SEED").unwrap_or_else(|| fastrand::u64(..));
        let steps = number("MODEL_STEPS").and_then(|steps| usize::try_from(steps).ok()).unwrap_or(STEPS);
        let before = open_descriptors().expect("/proc is there");
        if let Err(cause) = catch_unwind(|| run(seed, steps)) {
            println!("replay with: MODEL_SEED={seed} MODEL_STEPS={steps} cargo test --test it {name}");
            resume_unwind(cause);
        }
        assert_eq!(open_descriptors().expect("/proc is there"), before, "descriptors leak, seed {seed}");
    });
}

/// How a pool's life ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Drop,
    Settle,
    Shutdown,
}

fn run(seed: u64, steps: usize) {
    let mut rng = Rng::with_seed(seed);
    let peers = Rc::new(Peers::start());
    let mut left = steps;
    let mut seen = state::Seen::default();
    for ending in [Ending::Settle, Ending::Shutdown, Ending::Settle, Ending::Drop].into_iter().cycle() {
        let steps = left.min(STEPS_PER_POOL);
        let mut model = Model::new(rng.fork(), Rc::clone(&peers), steps);
        one_pool(&mut model, ending);
        seen.add(&model.seen);
        left -= steps;
        if left == 0 {
            break;
        }
    }
    println!("seed {seed}: {seen:?}");
    if steps >= STEPS {
        seen.assert_all_seen();
    }
}

fn one_pool(model: &mut Model, ending: Ending) {
    let oracle = Oracle::new();
    let mut pool = Pool::<Model>::new().expect("a pool needs two descriptors");
    pool.trace_to(Level::Full, oracle.clone());
    model.enter(&mut pool);
    while model.steps > 0 {
        for _ in 0..model.rng.usize(0..4) {
            model.act(&mut pool);
        }
        turn(model, &mut pool);
        model.check_report(&mut pool);
        assert_eq!(oracle.violations(), []);
    }
    let mut end = TraceEnd::Complete;
    match ending {
        Ending::Settle => model.settle(&mut pool),
        Ending::Shutdown => {
            model.shutting_down = true;
            pool.shutdown(model);
        }
        Ending::Drop => {
            end = TraceEnd::Pending;
            model.ledger.silence_all();
            drop(pool);
        }
    }
    model.check_ended();
    assert_eq!(oracle.finish(end), []);
}

/// Runs the loop for a moment.
fn turn(model: &mut Model, pool: &mut Pool<Model>) {
    let limit = Duration::from_micros(model.rng.choice([0, 0, 0, 0, 0, 100, 1000]).unwrap_or(0));
    let started = pool.now();
    let stopped = catch_unwind(AssertUnwindSafe(|| pool.run(model, Some(limit))));
    let quit = model.quit_asked;
    match stopped {
        Err(cause) if cause.is::<OnPurpose>() => return,
        Err(cause) => resume_unwind(cause),
        Ok(stop) => match stop.expect("waiting works") {
            Stop::Quit => assert!(quit, "nobody quit"),
            Stop::NoEvents => assert!(!quit && pool.pending() == 0),
            _ => assert!(!quit && pool.pending() > 0 && pool.now() >= started + limit, "timed out early"),
        },
    }
    model.quit_asked = false;
    model.ledger.check();
}
