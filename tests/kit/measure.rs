//! Measuring one thing against another on a machine that drifts: in pairs that alternate, by medians, with the spread.

mod echo_process;
mod process;
mod spread;

use std::fmt;
use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};

pub use echo_process::EchoProcess;
pub use process::{Ended, build_program};
pub use spread::Spread;

/// How long a bench may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Effort {
    /// Long enough for figures to keep.
    Full,
    /// Seconds: shows that the bench works, its figures mean nothing.
    Smoke,
}

impl Effort {
    /// Smoke if the program was started with `--smoke`.
    #[must_use]
    pub fn from_args() -> Self {
        if std::env::args().any(|argument| argument == "--smoke") { Self::Smoke } else { Self::Full }
    }

    /// The one or the other.
    #[must_use]
    pub fn choose<T>(self, full: T, smoke: T) -> T {
        match self {
            Self::Full => full,
            Self::Smoke => smoke,
        }
    }

    /// How many pairs [`interleaved`] is to measure.
    #[must_use]
    pub fn pairs(self) -> usize {
        self.choose(15, 3)
    }
}

/// Measures the one and the other by turns, and which goes first by turns too, so that a machine which slows down
/// meanwhile favors neither.
///
/// ```
/// let mut order = Vec::new();
/// let pairs = {
///     let order = std::cell::RefCell::new(&mut order);
///     let note = |name| { order.borrow_mut().push(name); std::io::Result::Ok(name) };
///     testkit::measure::interleaved(2, || note('a'), || note('b'))?
/// };
/// assert_eq!(pairs, [('a', 'b'), ('a', 'b')]);
/// assert_eq!(order, ['a', 'b', 'b', 'a']);
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// The first of either.
pub fn interleaved<T, E>(
    pairs: usize,
    mut one: impl FnMut() -> Result<T, E>,
    mut other: impl FnMut() -> Result<T, E>,
) -> Result<Vec<(T, T)>, E> {
    (0..pairs)
        .map(|pair| {
            if pair % 2 == 0 {
                let first = one()?;
                Ok((first, other()?))
            } else {
                let first = other()?;
                Ok((one()?, first))
            }
        })
        .collect()
}

/// What some work took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cost {
    /// Time on the clock.
    pub wall: Duration,
    /// Time the calling thread was computing, in the kernel too.
    pub cpu: Duration,
}

impl Cost {
    /// Does the work and tells what it took.
    ///
    /// # Errors
    /// The work's.
    #[expect(clippy::disallowed_methods, reason = "a driver: this is the stopwatch")]
    pub fn of<E>(work: impl FnOnce() -> Result<(), E>) -> Result<Self, E> {
        let (wall, cpu) = (Instant::now(), thread_time());
        work()?;
        Ok(Self { wall: wall.elapsed(), cpu: thread_time().saturating_sub(cpu) })
    }

    /// As it was measured elsewhere.
    #[must_use]
    pub fn new(wall: Duration, cpu: Duration) -> Self {
        Self { wall, cpu }
    }

    /// How much faster this was than another: above 1 if this took less time on the clock.
    #[must_use]
    pub fn rate_against(self, other: Self) -> f64 {
        other.wall.as_secs_f64() / self.wall.as_secs_f64()
    }

    /// How much less this computed than another: above 1 if this took less of the processor.
    #[must_use]
    pub fn thrift_against(self, other: Self) -> f64 {
        other.cpu.as_secs_f64() / self.cpu.as_secs_f64()
    }
}

/// The processor time of the calling thread.
fn thread_time() -> Duration {
    // The kernel's count of nanoseconds is never negative.
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

/// The first and the last CPU core this process may use; the same twice if there is only one.
///
/// # Errors
/// The system's.
pub fn two_cores() -> io::Result<(usize, usize)> {
    let allowed = sched_getaffinity(None)?;
    let mut cores = (0..CpuSet::MAX_CPU).filter(|&core| allowed.is_set(core));
    let first = cores.next().unwrap_or(0);
    Ok((first, cores.next_back().unwrap_or(first)))
}

/// Confines the calling thread to a CPU core.
///
/// # Errors
/// When there is no such core, or this process may not run on it.
pub fn pin_to_core(core: usize) -> io::Result<()> {
    if core >= CpuSet::MAX_CPU {
        return Err(io::Error::new(ErrorKind::InvalidInput, format!("there is no CPU core {core}")));
    }
    let mut set = CpuSet::new();
    set.set(core);
    Ok(sched_setaffinity(None, &set)?)
}

/// Lets this process open `wanted` descriptors if that is at all possible, and gives how many it may open now.
///
/// The hard limit is raised too where that is allowed (as root, mostly).
pub fn raise_descriptor_limit(wanted: u64) -> u64 {
    let before = getrlimit(Resource::Nofile);
    let enough = |limit: Option<u64>| limit.is_none_or(|limit| limit >= wanted);
    if !enough(before.current) {
        let hard = if enough(before.maximum) { before.maximum } else { Some(wanted) };
        let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: hard });
        if raised.is_err() {
            // Whether this works shows in what is read back.
            let _ = setrlimit(Resource::Nofile, Rlimit { current: before.maximum, ..before });
        }
    }
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// The figures of a bench. `Display` writes Markdown, to be read on a terminal and kept in a file.
#[derive(Debug, Default)]
pub struct Table {
    rows: Vec<[String; 6]>,
}

impl Table {
    /// Adds what was measured: the work, what is asked of the ratio, the ratio, and the figures behind it.
    pub fn row(&mut self, work: impl fmt::Display, bar: &str, ratio: Spread, detail: impl fmt::Display) {
        self.rows.push([
            work.to_string(),
            bar.to_owned(),
            format!("{:.3}", ratio.median),
            format!("{:.3}-{:.3}", ratio.low_quartile, ratio.high_quartile),
            format!("{:.3}-{:.3}", ratio.min, ratio.max),
            detail.to_string(),
        ]);
    }

    /// Adds something counted, not timed: it has no spread.
    pub fn count(&mut self, work: impl fmt::Display, bar: &str, value: f64, detail: impl fmt::Display) {
        let dash = || "-".to_owned();
        self.rows.push([
            work.to_string(),
            bar.to_owned(),
            format!("{value:.0}"),
            dash(),
            dash(),
            detail.to_string(),
        ]);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = ["work", "bar", "median", "quartiles", "min-max", "detail"].map(str::to_owned);
        let width = |column: usize| {
            self.rows.iter().chain([&head]).map(|row| row[column].chars().count()).max().unwrap_or(0)
        };
        let widths: [usize; 6] = std::array::from_fn(width);
        let rule = widths.map(|width| "-".repeat(width));
        for row in [&head, &rule].into_iter().chain(&self.rows) {
            for (cell, width) in row.iter().zip(widths) {
                write!(f, "| {cell:width$} ")?;
            }
            writeln!(f, "|")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_markdown_with_aligned_columns() {
        let mut table = Table::default();
        table.row("ping", ">= 0.9", Spread::of(&[1.0, 0.5, 2.0]), "3 us");
        table.count("memory", "<= 700", 512.4, "");
        let text = table.to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[2], "| ping   | >= 0.9 | 1.000  | 0.750-1.500 | 0.500-2.000 | 3 us   |");
        assert!(lines.iter().all(|line| line.len() == lines[0].len()), "{text}");
        assert!(lines[3].contains("| 512    | -           | -           |"), "{text}");
    }

    #[test]
    fn cost_counts_sleep_on_the_clock_only() {
        let cost = Cost::of(|| {
            std::thread::sleep(Duration::from_millis(50));
            io::Result::Ok(())
        });
        let cost = cost.unwrap();
        assert!(cost.wall >= Duration::from_millis(50) && cost.cpu < Duration::from_millis(40), "{cost:?}");
        let twice = Cost::new(cost.wall * 2, cost.cpu);
        assert!((cost.rate_against(twice) - 2.0).abs() < 1e-9);
        assert!((cost.thrift_against(twice) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn the_limit_that_is_given_is_the_one_in_force() {
        let now = raise_descriptor_limit(1);
        assert_eq!(
            Some(now),
            getrlimit(Resource::Nofile).current.or(Some(u64::MAX)),
            "1 was granted already"
        );
    }

    #[test]
    fn a_core_that_does_not_exist_is_refused() {
        assert_eq!(pin_to_core(1 << 20).unwrap_err().kind(), ErrorKind::InvalidInput);
        let (first, last) = two_cores().unwrap();
        assert!(first <= last);
    }
}
