//! Timers: one that comes again, one that is cancelled and one that is forgotten.
//!
//! ```text
//! cargo run --example timers
//! ```
#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use std::time::{Duration, Instant};

use nsock::{Alarm, EventId, Failure, Io, Pool, Stop};

struct Clock {
    start: Instant,
    ticks: u32,
    doomed: EventId,
}

impl Clock {
    fn say(&self, io: &mut Io<Self>, what: &str) {
        println!("{:3} ms  {what}", (io.now() - self.start).as_millis());
    }

    fn tick(&mut self, io: &mut Io<Self>, alarm: Alarm) {
        self.ticks += 1;
        self.say(io, &format!("tick {} (EID {})", self.ticks, alarm.id));
        if self.ticks < 3 {
            // Events are one-shot: whoever wants another asks for it.
            io.timer_create(Duration::from_millis(20), Self::tick);
        } else {
            assert!(io.event_cancel(self.doomed), "it was still pending");
            assert!(!io.event_cancel(alarm.id), "this event is over: its handler is running");
        }
    }

    fn doomed(&mut self, io: &mut Io<Self>, alarm: Alarm) {
        assert_eq!(alarm.outcome, Err(Failure::Cancelled));
        self.say(io, &format!("EID {} was cancelled", alarm.id));
    }
}

fn main() -> Result<(), nsock::Error> {
    let mut pool = Pool::<Clock>::new()?;
    let doomed = pool.timer_create(Duration::from_secs(60), Clock::doomed);
    let forgotten = pool.timer_create(Duration::from_secs(60), |_, _, _| println!("never printed"));
    let mut clock = Clock { start: pool.now(), ticks: 0, doomed };
    pool.timer_create(Duration::from_millis(20), Clock::tick);
    assert!(pool.forget(forgotten));
    let stop = pool.run(&mut clock, Some(Duration::from_secs(10)))?;
    println!("the loop stopped: {stop:?}");
    assert_eq!(stop, Stop::NoEvents);
    Ok(())
}
