//! Answers that are not yet reported, as two bytes each.

use std::collections::HashMap;

use crate::verdict::Verdict;

/// From here on a verdict is kept without sender and time to live, so that the states and reasons still fit.
const DETAILED_MAX: usize = 60_000;

/// The verdicts seen so far, each once for every number of tries that it took.
#[derive(Clone, Debug, Default)]
pub(super) struct Verdicts {
    known: Vec<(Verdict, u8)>,
    numbers: HashMap<(Verdict, u8), u16>,
}

impl Verdicts {
    /// The number of `verdict` after so many tries, from 1: 0 is free to mean none.
    pub(super) fn intern(&mut self, verdict: Verdict, tries: u8) -> u16 {
        if let Some(&number) = self.numbers.get(&(verdict, tries)) {
            return number;
        }
        if self.known.len() >= DETAILED_MAX && (verdict.from.is_some() || verdict.ttl.is_some()) {
            return self.intern(Verdict::new(verdict.state, verdict.reason), 1);
        }
        // States, reasons and errnos together are some hundred verdicts; a driver that invents more gets the last.
        let number = u16::try_from(self.known.len() + 1).unwrap_or(u16::MAX);
        if number < u16::MAX {
            self.known.push((verdict, tries));
            self.numbers.insert((verdict, tries), number);
        }
        number
    }

    /// The verdict with this number, and its tries.
    pub(super) fn verdict(&self, number: u16) -> Option<(Verdict, u8)> {
        self.known.get(usize::from(number).checked_sub(1)?).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::{PortState, Reason};
    use std::net::Ipv4Addr;

    #[test]
    fn a_flood_of_senders_keeps_states_and_reasons() {
        let mut verdicts = Verdicts::default();
        let plain = Verdict::new(PortState::Filtered, Reason::HostUnreach);
        for sender in 0..100_000u32 {
            let number = verdicts.intern(plain.from_sender(Ipv4Addr::from(sender).into()), 1);
            let (kept, _) = verdicts.verdict(number).unwrap();
            assert_eq!((kept.state, kept.reason), (plain.state, plain.reason));
        }
        let closed = Verdict::new(PortState::Closed, Reason::Reset).with_ttl(3);
        let number = verdicts.intern(closed, 2);
        assert_eq!(verdicts.verdict(number), Some((Verdict::new(PortState::Closed, Reason::Reset), 1)));
        assert_eq!(verdicts.verdict(0), None);
    }
}
