//! What answers tell about loss: how many tries silence is worth.

/// Retries go on until fewer answering ports than this are expected to have been missed.
const MISSED_MAX: f64 = 0.01;
/// Answered first tries assumed before any was seen, so that one lucky retry does not look like heavy loss.
const PRIOR_ANSWERS: f64 = 8.0;
/// Up to here one answered retry is worth another round; beyond, only the loss as a whole is.
const BEYOND_HIGHEST_MAX: u8 = 3;

/// How many tries answers took.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Tries {
    answered: u32,
    lost: u32,
    highest: u8,
}

impl Tries {
    /// An answer to try `try_number` arrived; the tries before it were lost.
    pub(super) fn handle_answer(&mut self, try_number: u8) {
        self.answered = self.answered.saturating_add(1);
        self.lost = self.lost.saturating_add(u32::from(try_number));
        self.highest = self.highest.max(try_number);
    }

    /// The share of tries that were lost, of ports that did answer.
    pub(super) fn share_lost(&self) -> f64 {
        f64::from(self.lost) / (f64::from(self.lost) + f64::from(self.answered)).max(1.0)
    }

    /// How many retries an unanswered probe is worth, at most `max`.
    ///
    /// One more than ever brought an answer (as the reference does, spec 5.5), but by that rule alone few, or as many
    /// as it takes until, at the loss seen so far, a missed answer is unlikely: with `a` answers and a share `q` of
    /// lost tries, `n` tries leave about `a * q^n` answers behind.
    pub(super) fn retries_worth(&self, max: u8) -> u8 {
        let answered = f64::from(self.answered);
        let lost = f64::from(self.lost);
        let share = lost / (lost + answered + PRIOR_ANSWERS);
        let mut missed = answered * share;
        let mut retries = self.highest.saturating_add(1).min(BEYOND_HIGHEST_MAX).min(max);
        for _ in 0..retries {
            missed *= share;
        }
        while retries < max && missed / (1.0 - share) > MISSED_MAX {
            missed *= share;
            retries += 1;
        }
        retries
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tries(answers: &[u32]) -> Tries {
        let mut tries = Tries::default();
        for (try_number, &count) in (0u8..).zip(answers) {
            for _ in 0..count {
                tries.handle_answer(try_number);
            }
        }
        tries
    }

    #[test]
    fn retries_follow_the_loss() {
        assert_eq!(tries(&[]).retries_worth(10), 1, "silence gets one retry");
        assert_eq!(tries(&[1000]).retries_worth(10), 1, "no loss seen");
        assert_eq!(tries(&[1, 1]).retries_worth(10), 2, "one lucky retry is no heavy loss");
        assert_eq!(tries(&[9000, 900, 90]).retries_worth(10), 5);
        assert_eq!(tries(&[64, 23, 8]).retries_worth(10), 7);
        assert_eq!(tries(&[64, 23, 8]).retries_worth(5), 5, "the cap holds");
        assert_eq!(tries(&[64, 23, 8]).retries_worth(0), 0);
    }

    proptest! {
        #[test]
        fn retries_stay_below_the_cap(answers in proptest::collection::vec(0u32..500, 0..12), max in 0u8..20) {
            let worth = tries(&answers).retries_worth(max);
            prop_assert!(worth <= max);
            prop_assert!(max == 0 || worth >= 1);
        }
    }
}
