//! What somebody who watches is told while the scan runs: the status, and answers to keys.

use std::time::{Duration, Instant};

use nsock::Io;

use super::{Scan, Stage};
use crate::cli::LEVEL_MAX;
use crate::packet::line::Detail;
use crate::progress::{Estimate, Progress};
use crate::report::{Cut, Levels, Phase, ScanEvent, Telling, phase_name};
use crate::target::Shard;
use crate::tracing::SIGNALS;

/// So often consumers are told that time passes.
const TICK: Duration = Duration::from_millis(250);

/// So often the line at the bottom of a terminal is written again.
const LINE_EVERY: Duration = Duration::from_secs(1);
/// With `-v` the progress of a long part is told by itself, and no more often than this.
const TIMING_EVERY: Duration = Duration::from_secs(30);

const KEYS: &str = "\
Keys while the scan runs:
  v, V  tell more, less
  d, D  tell more, less of how the scan works
  p, P  show packets and connects, or do not
  ?     show this
  any other: show the status
";

/// Who watches, and what they were told.
#[derive(Debug)]
pub(super) struct Watcher {
    pub(super) levels: Levels,
    /// A status line is wanted.
    pub(super) line: bool,
    /// The status is wanted this often.
    pub(super) stats_every: Option<Duration>,
    estimate: Estimate,
    /// The part of the scan that the estimate is about.
    part: (Stage, Instant),
    replies: u64,
    line_told: Instant,
    stats_told: Instant,
    timing_told: Instant,
}

impl Watcher {
    pub(super) fn new(levels: Levels, line: bool, stats_every: Option<Duration>, now: Instant) -> Self {
        Self {
            levels,
            line,
            stats_every,
            estimate: Estimate::new(now),
            part: (Stage::Over, now),
            replies: 0,
            line_told: now,
            stats_told: now,
            timing_told: now,
        }
    }
}

impl Scan {
    /// Tells every now and then that time passes.
    pub(super) fn begin_ticks(&mut self, io: &mut Io<Self>) {
        let scope = *self.quiet.get_or_insert_with(|| io.scope(SIGNALS));
        let tick = io.with_scope(scope, |io| {
            io.timer_create(TICK, |scan: &mut Self, io, _| {
                scan.tell(ScanEvent::Tick);
                if scan.stage != Stage::Over {
                    scan.watch(io.now());
                }
                scan.begin_ticks(io);
                scan.stop_if_unheard(io);
            })
        });
        self.tick = Some(tick);
    }

    /// Where nobody takes the results any more there is nothing to scan for.
    pub(super) fn stop_if_unheard(&mut self, io: &mut Io<Self>) -> bool {
        let stops = self.unheard && self.stage != Stage::Over;
        if stops {
            self.stop(io, Cut::Interrupted);
        }
        stops
    }

    /// A moment passed: tells what is due.
    pub(super) fn watch(&mut self, now: Instant) {
        let progress = self.progress(now);
        let watcher = &mut self.watcher;
        let due = |told: &mut Instant, every: Duration| {
            let is_due = now.saturating_duration_since(*told) >= every;
            if is_due {
                *told = now;
            }
            is_due
        };
        let line = watcher.line && due(&mut watcher.line_told, LINE_EVERY);
        let stats = watcher.stats_every.is_some_and(|every| due(&mut watcher.stats_told, every));
        let long_left = progress.remaining.is_some_and(|left| left >= TIMING_EVERY);
        let timing = watcher.levels.verbosity > 0
            && (long_left || progress.stalled >= TIMING_EVERY)
            && now.saturating_duration_since(watcher.part.1) >= TIMING_EVERY
            && due(&mut watcher.timing_told, TIMING_EVERY);
        if stats {
            self.tell(ScanEvent::Progress(&progress, Telling::Stats));
        } else if timing {
            self.tell(ScanEvent::Progress(&progress, Telling::Timing));
        }
        if line {
            self.tell(ScanEvent::Progress(&progress, Telling::Line));
        }
    }

    /// Somebody pressed a key.
    pub fn key(&mut self, io: &mut Io<Self>, key: u8) {
        let mut levels = self.watcher.levels;
        let raised = |level: u8| level.saturating_add(1).min(LEVEL_MAX);
        let text = match key {
            b'v' | b'V' => {
                let up = key == b'v';
                levels.verbosity =
                    if up { raised(levels.verbosity) } else { levels.verbosity.saturating_sub(1) };
                let word = if up { "Increased" } else { "Decreased" };
                format!("Verbosity {word} to {}.\n", levels.verbosity)
            }
            b'd' | b'D' => {
                let up = key == b'd';
                levels.debug = if up { raised(levels.debug) } else { levels.debug.saturating_sub(1) };
                let word = if up { "Increased" } else { "Decreased" };
                format!("Debugging {word} to {}.\n", levels.debug)
            }
            b'p' | b'P' => {
                let shown = key == b'p';
                self.options.trace_connects = shown;
                let format = self.options.trace_format;
                let detail = Detail::of_debug_level(levels.debug);
                if let Some(raw) = &mut self.raw {
                    raw.show_packets(shown.then_some((detail, format)));
                }
                self.show_packets_of_helpers(shown.then_some((detail, format)));
                format!("Packet Tracing {}.\n", if shown { "enabled" } else { "disabled" })
            }
            b'?' => KEYS.to_owned(),
            _ => {
                let progress = self.progress(io.now());
                return self.tell(ScanEvent::Progress(&progress, Telling::Stats));
            }
        };
        self.watcher.levels = levels;
        self.tell(ScanEvent::Key { levels, text: &text });
    }

    /// Where the scan is.
    fn progress(&mut self, now: Instant) -> Progress {
        let task = match (self.stage, self.technique_at_hand()) {
            (Stage::Discovery, _) => self
                .sweeps
                .front()
                .map_or("Host Discovery", |(sweep, _)| phase_name(Phase::Discovery(*sweep))),
            (Stage::Names, _) => phase_name(Phase::Names),
            (_, Some(technique)) => technique.title(),
            _ => "Host Discovery",
        };
        let elapsed = now.saturating_duration_since(self.options.started);
        let mut progress = Progress::new(task, elapsed);
        let under_way = self.plan.under_way();
        let statistics = self.plan.statistics();
        let at_work = u64::from(under_way.asked + under_way.waiting + under_way.scanned);
        let mut done = statistics.hosts_finished as f64 + under_way.shares;
        let undone = self.crew.undone();
        if undone > 0.0 {
            // A host that is everybody's is as far as its parts are on the average.
            let parts = if self.is_everybodys() { self.crew.workers() as f64 } else { 1.0 };
            done = (done - undone / parts).max(0.0);
        }
        let waiting_for_names = self.names_asked.values().map(Vec::len).sum::<usize>();
        let total = match self.stage {
            Stage::Whole => self.targets_total(),
            Stage::Names => {
                let hosts = self.unreported.len().max(1) as f64;
                progress.share = 1.0 - (waiting_for_names as f64 / hosts).min(1.0);
                0.0
            }
            _ => statistics.hosts_finished as f64 + at_work as f64,
        };
        if total > 0.0 {
            progress.share = (done / total).min(1.0);
        }
        progress.hosts_done = self.summary.hosts;
        let unreported_up = self.hosts.values().filter(|host| host.report.is_up()).count() as u64;
        progress.hosts_up = self.summary.hosts_up + unreported_up;
        progress.under_way = if at_work == 0 { waiting_for_names as u64 } else { at_work };
        progress.waiting_for = under_way.one;
        let part = (self.stage, self.stage_since);
        if self.watcher.part != part {
            self.watcher.part = part;
            self.watcher.estimate = Estimate::new(self.stage_since);
            self.watcher.replies = 0;
        }
        let heard = statistics.replies != self.watcher.replies;
        self.watcher.replies = statistics.replies;
        self.watcher.estimate.note(now, progress.share, heard);
        progress.remaining = self.watcher.estimate.remaining();
        progress.stalled = self.watcher.estimate.stalled(now);
        if let Some(left) = progress.remaining {
            let at = jiff::Zoned::now().checked_add(left);
            progress.done_at = at.as_ref().map(|at| at.strftime("%H:%M").to_string()).unwrap_or_default();
            let seconds = at.map(|at| at.timestamp().as_second()).unwrap_or_default();
            progress.done_epoch = u64::try_from(seconds).unwrap_or_default();
        }
        progress
    }

    /// About how many hosts this run is to look at.
    fn targets_total(&self) -> f64 {
        let shard = self.walk.shard();
        let all = self.targets.span() as f64 / f64::from(Shard::count(shard));
        (all - self.earlier.hosts as f64).max(1.0)
    }

    /// Sets who watches, before the scan begins.
    #[must_use]
    pub fn watched(
        mut self,
        levels: Levels,
        line: bool,
        stats_every: Option<Duration>,
        now: Instant,
    ) -> Self {
        self.watcher = Watcher::new(levels, line, stats_every, now);
        self
    }
}
