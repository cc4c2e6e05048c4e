//! Answers worth keeping: found and absent, for as long as the zone says and no longer.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use crate::outcome::Outcome;
use crate::request::Question;

/// Entries kept unless the configuration says otherwise: a /20 of targets and the hops before them, about 1 MB.
pub const CACHE_ENTRIES_DEFAULT: usize = 8192;

/// Longest time an answer is kept: no scan outlives a day's names (`spec/dns.md` 4.1.13).
const FOUND_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Longest time an absence is kept.
const ABSENT_MAX: Duration = Duration::from_secs(15 * 60);

/// Shortest time anything is kept, so that the passes of one scan agree with each other.
const KEPT_MIN: Duration = Duration::from_secs(1);

/// A bounded table of answers. What expires first makes room first.
#[derive(Debug)]
pub(crate) struct Cache {
    entries: HashMap<Question, Entry>,
    by_expiry: BTreeSet<(Instant, Question)>,
    entries_max: usize,
}

#[derive(Debug)]
struct Entry {
    outcome: Outcome,
    expires: Instant,
}

impl Cache {
    pub(crate) fn new(entries_max: usize) -> Self {
        Self { entries: HashMap::new(), by_expiry: BTreeSet::new(), entries_max }
    }

    /// What is known at `now`, and for how long still.
    pub(crate) fn lookup(&mut self, now: Instant, question: &Question) -> Option<(Outcome, Duration)> {
        self.expire(now);
        let entry = self.entries.get(question)?;
        Some((entry.outcome.clone(), entry.expires.saturating_duration_since(now)))
    }

    /// Keeps an outcome. Only answers are kept, and absence only for a time that the zone gave.
    pub(crate) fn insert(
        &mut self,
        now: Instant,
        question: &Question,
        outcome: &Outcome,
        time: Option<Duration>,
    ) {
        let time_max = match outcome {
            Outcome::Addresses(_) | Outcome::Names(_) => FOUND_MAX,
            Outcome::NoData | Outcome::NoSuchName => ABSENT_MAX,
            _ => return,
        };
        let Some(time) = time else { return };
        let Some(expires) = now.checked_add(time.clamp(KEPT_MIN, time_max)) else { return };
        if self.entries_max == 0 {
            return;
        }
        self.remove(question);
        while self.entries.len() >= self.entries_max {
            let Some((_, first)) = self.by_expiry.pop_first() else { break };
            self.entries.remove(&first);
        }
        self.by_expiry.insert((expires, question.clone()));
        self.entries.insert(question.clone(), Entry { outcome: outcome.clone(), expires });
    }

    fn remove(&mut self, question: &Question) {
        if let Some((question, entry)) = self.entries.remove_entry(question) {
            self.by_expiry.remove(&(entry.expires, question));
        }
    }

    fn expire(&mut self, now: Instant) {
        while let Some((expires, question)) = self.by_expiry.first()
            && *expires <= now
        {
            self.entries.remove(question);
            self.by_expiry.pop_first();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn question(last: u8) -> Question {
        Question::Reverse([198, 18, 0, last].into())
    }

    #[expect(clippy::disallowed_methods, reason = "virtual time starts somewhere")]
    fn start() -> Instant {
        Instant::now()
    }

    #[test]
    fn d25_an_entry_ends_when_its_time_is_over() {
        let (mut cache, now) = (Cache::new(8), start());
        cache.insert(now, &question(1), &Outcome::NoSuchName, Some(2 * SECOND));
        assert_eq!(cache.lookup(now + SECOND, &question(1)), Some((Outcome::NoSuchName, SECOND)));
        assert_eq!(cache.lookup(now + 2 * SECOND, &question(1)), None);
        assert!(cache.entries.is_empty() && cache.by_expiry.is_empty());
    }

    #[test]
    fn what_ends_first_makes_room() {
        let (mut cache, now) = (Cache::new(2), start());
        for (last, seconds) in [(1, 9), (2, 5), (3, 7)] {
            cache.insert(now, &question(last), &Outcome::NoData, Some(seconds * SECOND));
        }
        assert!(cache.lookup(now, &question(2)).is_none());
        assert!(cache.lookup(now, &question(1)).is_some() && cache.lookup(now, &question(3)).is_some());
        cache.insert(now, &question(3), &Outcome::NoSuchName, Some(20 * SECOND));
        assert_eq!(cache.entries.len(), 2);
        assert_eq!(cache.by_expiry.len(), 2);
    }

    #[test]
    fn times_are_capped_and_failures_are_not_kept() {
        let (mut cache, now) = (Cache::new(8), start());
        cache.insert(now, &question(1), &Outcome::NoData, Some(Duration::MAX));
        cache.insert(now, &question(2), &Outcome::TimedOut, Some(SECOND));
        cache.insert(now, &question(3), &Outcome::NoData, None);
        cache.insert(now, &question(4), &Outcome::Names(vec![]), Some(Duration::ZERO));
        assert_eq!(cache.lookup(now, &question(1)).unwrap().1, ABSENT_MAX);
        assert!(cache.lookup(now, &question(2)).is_none() && cache.lookup(now, &question(3)).is_none());
        assert_eq!(cache.lookup(now, &question(4)).unwrap().1, KEPT_MIN);
    }
}
