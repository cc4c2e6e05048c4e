//! The ports of one host: which are fresh, which wait for a retry, which are known.
//!
//! Everything is counted in positions of the host's own seeded order. An unanswered port is a bit in the set of its
//! next try; an answer that may still be improved on is a two-byte number of an interned verdict.

use super::bitmap::Bitmap;
use super::evidence::Tries;
use super::settings::{PortOrder, Settings};
use crate::order::{Permutation, derive_seed};

/// While there are fresh ports, every so many probes one is a retry: early retries show loss, and a limit on
/// answers, before the whole list has been sent into it.
const RETRY_SHARE: u32 = 8;

/// What may be sent to a host's ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pick {
    /// This position, with this try number.
    Probe(u32, u8),
    /// Nothing, until an outcome changes that.
    Nothing,
}

/// The port table of a host.
#[derive(Clone, Debug, Default)]
pub(super) struct PortTable {
    order: Permutation,
    len: u32,
    // Positions below were sent at least once.
    fresh: u32,
    // Ports that are not probed any more.
    done: Bitmap,
    // Of the done, those that were never to be probed.
    left_out: u32,
    // Ports whose result was reported.
    told: Bitmap,
    // By try number less one: ports waiting for that try.
    waiting: Vec<Bitmap>,
    // Numbers of answers to be reported at the end; empty until there is one.
    answers: Vec<u16>,
    turn: u32,
    tries: Tries,
    retries_max: u8,
}

impl PortTable {
    /// Makes the table of the host with this serial.
    pub(super) fn new(settings: &Settings, serial: u32) -> Self {
        let len = u32::try_from(settings.ports.len()).unwrap_or(u32::MAX);
        let order = match settings.port_order {
            PortOrder::Seeded => Permutation::new(len.into(), derive_seed(settings.seed, serial.into())),
            PortOrder::Ascending => Permutation::identity(len.into()),
        };
        Self {
            order,
            len,
            fresh: 0,
            done: Bitmap::new(len),
            left_out: 0,
            told: Bitmap::new(len),
            waiting: Vec::new(),
            answers: Vec::new(),
            turn: 0,
            tries: Tries::default(),
            retries_max: settings.timing.retries_max,
        }
    }

    /// Where the port at `position` stands in the settings' list.
    pub(super) fn index(&self, position: u32) -> Option<usize> {
        (position < self.len).then(|| usize::try_from(self.order.at(position.into())).ok()).flatten()
    }

    /// The position of the port at `index` of the settings' list.
    pub(super) fn position(&self, index: usize) -> Option<u32> {
        let index = u64::try_from(index).ok().filter(|&index| index < u64::from(self.len))?;
        u32::try_from(self.order.position_of(index)).ok()
    }

    /// The next port worth a probe. Fresh ports first, as they teach most; then the lowest try number.
    pub(super) fn pick(&mut self) -> Pick {
        let fresh = self.fresh < self.len;
        if fresh {
            self.turn += 1;
            if !self.turn.is_multiple_of(RETRY_SHARE) {
                return self.pick_fresh();
            }
        }
        let worth = usize::from(self.tries.retries_worth(self.retries_max));
        for (waiting, try_number) in self.waiting.iter_mut().take(worth).zip(1u8..) {
            while let Some(position) = waiting.take_next() {
                // A late answer can have settled a port that was waiting.
                if !self.done.contains(position) {
                    return Pick::Probe(position, try_number);
                }
            }
        }
        if fresh { self.pick_fresh() } else { Pick::Nothing }
    }

    fn pick_fresh(&mut self) -> Pick {
        let position = self.fresh;
        self.fresh += 1;
        self.pass_over_known();
        Pick::Probe(position, 0)
    }

    /// What is known from an earlier run is not fresh.
    fn pass_over_known(&mut self) {
        while self.fresh < self.len && self.done.contains(self.fresh) {
            self.fresh += 1;
        }
    }

    /// True if no probe is left that is worth sending and none of the `in_flight` can change that.
    pub(super) fn is_over(&self, in_flight: u32) -> bool {
        if self.done.count() == self.len {
            return true;
        }
        if in_flight > 0 || self.fresh < self.len {
            return false;
        }
        // This is asked several times a probe; what retries are worth is the costly part.
        let worth = usize::from(self.tries.retries_worth(self.retries_max));
        self.waiting.iter().take(worth).all(|waiting| waiting.count() == 0)
    }

    /// Try `try_number` stayed without an answer.
    pub(super) fn handle_timeout(&mut self, position: u32, try_number: u8) {
        if self.done.contains(position) || try_number >= self.retries_max {
            return;
        }
        while self.waiting.len() <= usize::from(try_number) {
            self.waiting.push(Bitmap::new(self.len));
        }
        self.waiting[usize::from(try_number)].insert(position);
    }

    /// True if no try follows this one, or if only last tries are waiting.
    pub(super) fn is_last(&self, try_number: u8) -> bool {
        let others = usize::from(self.retries_max.saturating_sub(1));
        let only_last = self.fresh == self.len && self.waiting.iter().take(others).all(|w| w.count() == 0);
        try_number >= self.retries_max || only_last
    }

    /// True if the port need not be probed any more.
    pub(super) fn is_done(&self, position: u32) -> bool {
        self.done.contains(position)
    }

    /// An answer, or the end of all tries, settles the port. False if it was settled before.
    pub(super) fn settle(&mut self, position: u32) -> bool {
        position < self.len && self.done.insert(position)
    }

    /// The share of tries lost so far.
    pub(super) fn share_lost(&self) -> f64 {
        self.tries.share_lost()
    }

    /// Counts an answer to try `try_number` as evidence about loss.
    pub(super) fn note_answer(&mut self, try_number: u8) {
        self.tries.handle_answer(try_number);
    }

    /// Keeps the number of an answer for the end.
    pub(super) fn keep(&mut self, position: u32, number: u16) {
        if self.answers.is_empty() {
            self.answers.resize(self.len as usize, 0);
        }
        if let Some(kept) = self.answers.get_mut(position as usize) {
            *kept = number;
        }
    }

    /// The number of the kept answer, 0 for none.
    pub(super) fn kept(&self, position: u32) -> u16 {
        self.answers.get(position as usize).copied().unwrap_or(0)
    }

    /// Marks the port as reported. False if it was.
    pub(super) fn tell(&mut self, position: u32) -> bool {
        self.told.insert(position)
    }

    /// How many ports are reported.
    pub(super) const fn told(&self) -> u32 {
        self.told.count()
    }

    /// How many ports there are.
    pub(super) const fn len(&self) -> u32 {
        self.len
    }

    /// How many probes a port without an answer got: it waits for the next try, or had the last one.
    pub(super) fn tries_of_silent(&self, position: u32) -> u8 {
        let waiting = self.waiting.iter().zip(1u8..).find(|(waiting, _)| waiting.contains(position));
        waiting.map_or_else(|| self.retries_max.saturating_add(1), |(_, tries)| tries)
    }

    /// Marks the port as known from an earlier run: neither probed nor reported.
    pub(super) fn leave_out(&mut self, position: u32) {
        self.settle(position);
        self.tell(position);
        self.left_out += 1;
        self.pass_over_known();
    }

    /// The share of the work on the ports that is done, from 0 to 1: a silent port counts by its tries.
    pub(super) fn share_done(&self) -> f64 {
        let own = self.len - self.left_out;
        if own == 0 {
            return 1.0;
        }
        let rounds = f64::from(self.tries.retries_worth(self.retries_max)) + 1.0;
        let tried = self
            .waiting
            .iter()
            .zip(1u8..)
            .map(|(waiting, tries)| f64::from(waiting.count()) * (f64::from(tries) / rounds).min(1.0));
        let done = f64::from(self.done.count() - self.left_out) + tried.sum::<f64>();
        (done / f64::from(own)).min(1.0)
    }

    /// Gives back what only a running scan needs.
    pub(super) fn shrink(&mut self) {
        for waiting in self.waiting.iter_mut().filter(|waiting| waiting.count() == 0) {
            *waiting = Bitmap::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::Template;

    #[test]
    fn a_full_table_of_every_port_takes_a_quarter_of_a_megabyte() {
        let settings = Settings::new(Template::Normal, (0..=u16::MAX).collect());
        let mut table = PortTable::new(&settings, 0);
        for position in 0..table.len() {
            for try_number in 0..=settings.timing.retries_max {
                table.handle_timeout(position, try_number);
            }
            table.keep(position, 1);
        }
        let bitmaps = 2 + table.waiting.len();
        let bytes = bitmaps * Bitmap::new(table.len()).bytes() + table.answers.capacity() * size_of::<u16>();
        assert_eq!(bitmaps, 12);
        assert!(bytes < 256 * 1024, "{bytes}");
    }

    #[test]
    fn every_position_is_a_port_and_back() {
        let settings = Settings::new(Template::Normal, (1..=777).collect());
        let table = PortTable::new(&settings, 3);
        for position in 0..table.len() {
            assert_eq!(table.index(position).and_then(|index| table.position(index)), Some(position));
        }
        assert_eq!(table.index(777), None);
        assert_eq!(table.position(777), None);
    }
}
