//! What a timer costs when many are pending, and whether its memory comes back.
//!
//! `cargo bench --bench deadlines`, or with `-- --smoke` for seconds. An operation is a request with a random
//! deadline and a cancel, inside a handler, where a program does it (the clock is not read again there, so its cost
//! does not hide the difference).
#![expect(clippy::print_stdout, reason = "a bench shows its figures")]

use std::error::Error;
use std::time::Duration;

use fastrand::Rng;
use nsock::{Alarm, EventId, Io, Pool};
use testkit::CountingAllocator;
use testkit::measure::{Cost, Effort, Spread, Table, interleaved, pin_to_core, two_cores};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator::new();

/// No timer here fires in the time a bench takes, but for those that are meant to.
const EARLIEST: Duration = Duration::from_secs(3_600);

fn main() -> Result<(), Box<dyn Error>> {
    let effort = Effort::from_args();
    pin_to_core(two_cores()?.0)?;
    let mut table = Table::default();
    let operations = effort.choose(300_000, 20_000);
    for (change, label) in
        [(Change::One, "one submitted and cancelled"), (Change::Any, "one at random cancelled and replaced")]
    {
        compare(&mut table, change, label, operations, effort.pairs())?;
    }
    let timers = effort.choose(1_000_000, 50_000);
    for (end, label) in [(End::Cancel, "cancelled"), (End::Fire, "fired")] {
        let (before, peak, after) = burst(timers, end)?;
        let detail = format!("{before} before, {peak} at the most, {} a timer", (peak - before) / timers);
        table.count(format!("bytes left after {timers} timers, {label}"), "as before", after as f64, detail);
    }
    println!("{table}");
    Ok(())
}

/// What an operation does.
#[derive(Clone, Copy)]
enum Change {
    /// Adds a timer to those that are pending, and cancels it again.
    One,
    /// Cancels any of those that are pending, and adds another.
    Any,
}

fn compare(
    table: &mut Table,
    change: Change,
    label: &str,
    operations: u32,
    pairs: usize,
) -> Result<(), Box<dyn Error>> {
    let (mut many, mut few) = (Timers::pending(100_000)?, Timers::pending(1_000)?);
    many.operate(change, operations)?;
    few.operate(change, operations)?;
    let costs = interleaved(
        pairs,
        || Cost::of(|| many.operate(change, operations)),
        || Cost::of(|| few.operate(change, operations)),
    )?;
    // Of operations: how much longer one takes with many.
    let ratios: Vec<f64> = costs.iter().map(|&(many, few)| few.rate_against(many)).collect();
    let nanos = |pick: fn(&(Cost, Cost)) -> Cost| {
        let times: Vec<f64> =
            costs.iter().map(|pair| pick(pair).wall.as_secs_f64() * 1e9 / f64::from(operations)).collect();
        Spread::of(&times).median
    };
    table.row(
        format!("{label}, 100,000 pending against 1,000"),
        "<= 2",
        Spread::of(&ratios),
        format!("{:.0} ns, {:.0} ns", nanos(|pair| pair.0), nanos(|pair| pair.1)),
    );
    Ok(())
}

/// A pool with a constant number of pending timers.
struct Timers {
    pool: Pool<State>,
    state: State,
}

struct State {
    /// In an order that has nothing to do with that of the requests or the deadlines.
    pending: Vec<EventId>,
    next: usize,
    random: Rng,
    /// Operations to be made by the next handler, and of which kind.
    operations: u32,
    change: Change,
}

impl Timers {
    fn pending(count: usize) -> Result<Self, Box<dyn Error>> {
        let mut state = State::new();
        let mut pool = Pool::new()?;
        state.pending =
            (0..count).map(|_| pool.timer_create(later(&mut state.random), State::fired)).collect();
        state.random.shuffle(&mut state.pending);
        Ok(Self { pool, state })
    }

    fn operate(&mut self, change: Change, operations: u32) -> Result<(), Box<dyn Error>> {
        self.state.change = change;
        self.state.operations = operations;
        self.pool.timer_create(Duration::ZERO, State::operate);
        self.pool.run(&mut self.state, None)?;
        Ok(())
    }
}

impl State {
    fn new() -> Self {
        Self { pending: Vec::new(), next: 0, random: Rng::with_seed(7), operations: 0, change: Change::One }
    }

    fn operate(&mut self, io: &mut Io<Self>, _: Alarm) {
        for _ in 0..self.operations {
            match self.change {
                Change::One => {
                    let timer = io.timer_create(later(&mut self.random), Self::fired);
                    io.forget(timer);
                }
                Change::Any => {
                    self.next = (self.next + 1) % self.pending.len();
                    io.forget(self.pending[self.next]);
                    self.pending[self.next] = io.timer_create(later(&mut self.random), Self::fired);
                }
            }
        }
        io.loop_quit();
    }

    fn fired(&mut self, _: &mut Io<Self>, _: Alarm) {}
}

fn later(random: &mut Rng) -> Duration {
    EARLIEST.mul_f64(1.0 + random.f64())
}

/// How a burst of timers ends.
#[derive(Clone, Copy)]
enum End {
    Cancel,
    Fire,
}

/// Live bytes before a burst of timers, at its height, and when the loop has turned once more after it.
fn burst(timers: usize, end: End) -> Result<(usize, usize, usize), Box<dyn Error>> {
    let mut random = Rng::with_seed(11);
    let mut state = State::new();
    let mut pool = Pool::new()?;
    pool.run(&mut state, Some(Duration::ZERO))?;
    let before = ALLOCATOR.live_bytes();
    let mut ids = Vec::with_capacity(timers);
    for _ in 0..timers {
        let after = match end {
            End::Cancel => later(&mut random),
            End::Fire => Duration::from_nanos(random.u64(..1_000_000)),
        };
        ids.push(pool.timer_create(after, State::fired));
    }
    let of_the_bench = timers * size_of::<EventId>();
    let peak = ALLOCATOR.live_bytes() - of_the_bench;
    if let End::Cancel = end {
        random.shuffle(&mut ids);
        for id in ids.drain(..) {
            pool.forget(id);
        }
    }
    drop(ids);
    // Fires what is due; then a few turns in which the pool may tidy up.
    pool.run(&mut state, None)?;
    for _ in 0..20 {
        pool.timer_create(Duration::ZERO, State::fired);
        pool.run(&mut state, None)?;
    }
    Ok((before, peak, ALLOCATOR.live_bytes()))
}
