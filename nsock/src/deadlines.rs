//! Deadlines in order, each removable: a four-way heap that knows where every entry stands. Pure.
//!
//! Insert and remove are O(log n), the earliest is O(1), and a removed deadline is gone: nothing stale is kept, so
//! a program that cancels most of its time-outs does not grow.

use std::cmp::Ordering;

use crate::slots::slot_number;

/// Children per node: a shallower heap touches fewer cache lines than a binary one.
const ARITY: usize = 4;

const ABSENT: u32 = u32::MAX;

/// Capacities up to this are kept.
const KEPT_MIN: usize = 1024;

/// Sixteen bytes, so that the four children of a node share a cache line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    /// Nanoseconds on the caller's clock.
    at: u64,
    /// Breaks ties: whoever was made first is due first. The low half of the caller's count is enough, since entries
    /// that are due in the same nanosecond were made far fewer than two thousand million apart.
    order: u32,
    slot: u32,
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        let before = |ahead: u32| {
            if ahead == 0 {
                Ordering::Equal
            } else if ahead > u32::MAX / 2 {
                Ordering::Less
            } else {
                Ordering::Greater
            }
        };
        self.at.cmp(&other.at).then_with(|| before(self.order.wrapping_sub(other.order)))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// At most one deadline per slot number, earliest first, ties by `order`.
#[derive(Debug, Default)]
pub(crate) struct Deadlines {
    heap: Vec<Entry>,
    /// Index into `heap` by slot.
    positions: Vec<u32>,
    /// How many deadlines there were when `positions` was last cut, if few have been there since: finding the end of
    /// what is used walks it, so that is worth another try only when half of these are gone too.
    left: Option<usize>,
    #[cfg(test)]
    moves: usize,
}

impl Deadlines {
    /// Sets the deadline of a slot that has none.
    pub(crate) fn insert(&mut self, slot: u32, at: u64, order: u64) {
        let index = slot as usize;
        if self.positions.len() <= index {
            self.positions.resize(index + 1, ABSENT);
        }
        debug_assert_eq!(self.positions[index], ABSENT, "a slot has one deadline");
        self.heap.push(Entry { at, order: low_half(order), slot });
        self.sift_up(self.heap.len() - 1);
    }

    /// Takes a slot's deadline out, if it has one.
    pub(crate) fn remove(&mut self, slot: u32) -> bool {
        let Some(position) = self.positions.get_mut(slot as usize) else { return false };
        if *position == ABSENT {
            return false;
        }
        let hole = *position as usize;
        *position = ABSENT;
        let last = self.heap.len() - 1;
        self.heap.swap_remove(hole);
        if hole != last {
            self.sift_down(hole);
            self.sift_up(hole);
        }
        true
    }

    /// The earliest deadline.
    pub(crate) fn next(&self) -> Option<u64> {
        self.heap.first().map(|entry| entry.at)
    }

    /// Takes out the earliest deadline, if it is not after `now`.
    pub(crate) fn pop_due(&mut self, now: u64) -> Option<u32> {
        let first = *self.heap.first()?;
        if first.at > now {
            return None;
        }
        self.remove(first.slot);
        Some(first.slot)
    }

    /// Gives memory back after a burst. To be called now and then.
    pub(crate) fn shrink(&mut self) {
        let (capacity, deadlines) = (self.heap.capacity(), self.heap.len());
        if capacity > KEPT_MIN && deadlines < capacity / 8 {
            self.heap.shrink_to(capacity / 4);
        }
        let slots = self.positions.len();
        if deadlines >= slots / 4 {
            self.left = None;
        } else if slots > KEPT_MIN
            && deadlines < slots / 8
            && self.left.is_none_or(|left| deadlines <= left / 2)
        {
            self.left = Some(deadlines);
            let used =
                self.positions.iter().rposition(|&position| position != ABSENT).map_or(0, |last| last + 1);
            self.positions.truncate(used);
            self.positions.shrink_to_fit();
        }
    }

    fn sift_up(&mut self, mut index: usize) {
        let entry = self.heap[index];
        while index > 0 {
            let parent = (index - 1) / ARITY;
            if self.heap[parent] <= entry {
                break;
            }
            self.put(index, self.heap[parent]);
            index = parent;
        }
        self.put(index, entry);
    }

    fn sift_down(&mut self, mut index: usize) {
        let entry = self.heap[index];
        loop {
            let first = index * ARITY + 1;
            let last = (first + ARITY).min(self.heap.len());
            let Some(child) = (first..last).min_by_key(|&child| self.heap[child]) else { break };
            if entry <= self.heap[child] {
                break;
            }
            self.put(index, self.heap[child]);
            index = child;
        }
        self.put(index, entry);
    }

    fn put(&mut self, index: usize, entry: Entry) {
        #[cfg(test)]
        {
            self.moves += 1;
        }
        self.heap[index] = entry;
        self.positions[entry.slot as usize] = slot_number(index);
    }
}

fn low_half(order: u64) -> u32 {
    #[expect(clippy::cast_possible_truncation, reason = "the upper half is meant to go")]
    let half = order as u32;
    half
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Action {
        Insert { slot: u32, at: u64 },
        Remove { slot: u32 },
        PopDue { now: u64 },
        Shrink,
    }

    fn action() -> impl Strategy<Value = Action> {
        prop_oneof![
            4 => (0..200u32, 0..50u64).prop_map(|(slot, at)| Action::Insert { slot, at }),
            3 => (0..200u32).prop_map(|slot| Action::Remove { slot }),
            2 => (0..50u64).prop_map(|now| Action::PopDue { now }),
            1 => Just(Action::Shrink),
        ]
    }

    proptest! {
        #[test]
        fn behaves_like_an_ordered_set(actions in proptest::collection::vec(action(), 1..400)) {
            let mut deadlines = Deadlines::default();
            let mut model = BTreeSet::new();
            for (order, action) in actions.into_iter().enumerate() {
                let order = order as u64;
                match action {
                    Action::Insert { slot, at } => {
                        if !model.iter().any(|&(_, _, taken)| taken == slot) {
                            deadlines.insert(slot, at, order);
                            model.insert((at, order, slot));
                        }
                    }
                    Action::Remove { slot } => {
                        let found = model.iter().copied().find(|&(_, _, taken)| taken == slot);
                        prop_assert_eq!(deadlines.remove(slot), found.is_some());
                        if let Some(found) = found {
                            model.remove(&found);
                        }
                    }
                    Action::PopDue { now } => {
                        let due = model.first().copied().filter(|&(at, _, _)| at <= now);
                        prop_assert_eq!(deadlines.pop_due(now), due.map(|(_, _, slot)| slot));
                        if let Some(due) = due {
                            model.remove(&due);
                        }
                    }
                    Action::Shrink => deadlines.shrink(),
                }
                prop_assert_eq!(deadlines.heap.len(), model.len());
                prop_assert_eq!(deadlines.next(), model.first().map(|&(at, _, _)| at));
            }
        }
    }

    #[test]
    fn ties_are_broken_by_age_even_where_the_count_wraps() {
        let mut deadlines = Deadlines::default();
        let wrap = u64::from(u32::MAX);
        for (slot, order) in [(0, wrap + 2), (1, wrap - 1), (2, wrap + 1), (3, wrap)] {
            deadlines.insert(slot, 7, order);
        }
        let due: Vec<_> = std::iter::from_fn(|| deadlines.pop_due(7)).collect();
        assert_eq!(due, [1, 3, 2, 0]);
    }

    #[test]
    fn contract_09_insert_and_remove_move_logarithmically_many_entries() {
        let mut deadlines = Deadlines::default();
        for slot in 0..100_000u32 {
            // Scattered, so that entries do travel.
            deadlines.insert(slot, u64::from(slot.wrapping_mul(2_654_435_761)), u64::from(slot));
        }
        let levels = 100_000usize.ilog(ARITY) as usize + 1;
        for slot in (0..100_000u32).step_by(7) {
            deadlines.moves = 0;
            deadlines.remove(slot);
            assert!(deadlines.moves <= 2 * levels + 2, "{} moves to remove", deadlines.moves);
            deadlines.moves = 0;
            deadlines.insert(slot, u64::from(slot), u64::from(slot));
            assert!(deadlines.moves <= levels + 1, "{} moves to insert", deadlines.moves);
        }
    }

    #[test]
    fn memory_returns_after_a_burst() {
        let mut deadlines = Deadlines::default();
        for slot in 0..100_000 {
            deadlines.insert(slot, u64::from(slot), u64::from(slot));
        }
        for slot in 0..100_000 {
            assert!(deadlines.remove(slot));
        }
        for _ in 0..20 {
            deadlines.shrink();
        }
        assert!(deadlines.heap.capacity() <= KEPT_MIN && deadlines.positions.capacity() == 0);
    }
}
