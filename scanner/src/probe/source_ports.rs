//! Source ports: the try of a probe can be read from its port.
//!
//! A run has [`SPAN`] ports in a row, beginning at random. Each stage of the scan has the next 256 of them, 16 for each
//! try. TCP probes use the first of these 16; datagrams have nothing but ports to be known by, so which of the 16 they
//! use follows from the key.

use std::ops::RangeInclusive;

/// Ports of a run.
pub const SPAN: u16 = STAGES * STAGE;
/// Stages until the ports of the first are used again.
const STAGES: u16 = 32;
/// Workers that can have ports of their own: each needs those of a plan, and of the one before it.
const SHARES_MAX: u16 = STAGES / 4;
/// Ports of a stage.
const STAGE: u16 = TRIES * LANES;
/// Tries that can be told apart. The plan makes fewer by itself.
const TRIES: u16 = 16;
/// Ports of a try.
const LANES: u16 = 16;
/// Below, services and the connects of other programs are more likely.
const FIRST_MIN: u16 = 33_000;

/// The source ports of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SourcePorts {
    /// Always this one (`-g`): an answer is then known by its cookie alone.
    Fixed(u16),
    /// Ports in a row.
    From {
        /// The first of them.
        first: u16,
        /// Stages until they are used again.
        stages: u16,
    },
}

impl SourcePorts {
    /// Begins at a port that follows from a random number.
    #[must_use]
    pub fn random(random: u16) -> Self {
        Self::From { first: FIRST_MIN + random % (u16::MAX - SPAN - FIRST_MIN), stages: STAGES }
    }

    /// The part of one of several workers that share a run, so that none hears what is for another. Beyond
    /// so many workers some have the same ports, and know their answers by the key alone.
    #[must_use]
    pub fn of_worker(self, worker: u16, workers: u16) -> Self {
        match self {
            Self::Fixed(port) => Self::Fixed(port),
            Self::From { first, stages } => {
                let shares = workers.next_power_of_two().clamp(1, SHARES_MAX);
                let stages = stages / shares;
                Self::From { first: first + worker % shares * stages * STAGE, stages }
            }
        }
    }

    /// The ports that answers to the run can come to.
    #[must_use]
    pub fn all(self) -> RangeInclusive<u16> {
        match self {
            Self::Fixed(port) => port..=port,
            Self::From { first, stages } => first..=first.saturating_add(stages * STAGE - 1),
        }
    }

    /// The source port of a try in a stage. Of the lane the low bits count.
    pub(super) fn port(self, stage: u16, lane: u8, try_number: u8) -> u16 {
        match self {
            Self::Fixed(port) => port,
            Self::From { first, stages } => {
                let place = u16::from(try_number) % TRIES * LANES + u16::from(lane) % LANES;
                first.wrapping_add(stage % stages * STAGE + place)
            }
        }
    }

    /// Whether a port is one of a stage, or of the one after it: a plan has both.
    #[must_use]
    pub fn is_of_stage(self, port: u16, stage: u16) -> bool {
        match self {
            Self::Fixed(fixed) => port == fixed,
            Self::From { first, stages } => {
                let offset = port.wrapping_sub(first);
                let found = offset / STAGE;
                found < stages && (found == stage % stages || found == stage.wrapping_add(1) % stages)
            }
        }
    }

    /// The tries up to `tries_max` that a stage sends from this port. The lane is not looked at.
    pub(super) fn tries(self, port: u16, stage: u16, tries_max: u8) -> impl Iterator<Item = u8> {
        let (first, step) = match self {
            Self::Fixed(fixed) => (if port == fixed { 0 } else { u8::MAX }, 1),
            Self::From { first, stages } => {
                let offset = port.wrapping_sub(first);
                let is_ours = offset / STAGE < stages && offset / STAGE == stage % stages;
                let try_number = u8::try_from(offset % STAGE / LANES).unwrap_or(u8::MAX);
                (if is_ours { try_number } else { u8::MAX }, usize::from(TRIES))
            }
        };
        (first..=tries_max.min(u8::MAX - 1)).step_by(step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_try_is_read_from_its_port_and_from_no_other_stage(
            random: u16, stage in 0u16..1000, other in 1u16..STAGES, lane: u8, try_number in 0u8..40,
        ) {
            let ports = SourcePorts::random(random);
            let port = ports.port(stage, lane, try_number);
            prop_assert!(port >= FIRST_MIN && ports.all().contains(&port));
            let tries: Vec<u8> = ports.tries(port, stage, 60).collect();
            prop_assert!(tries.contains(&try_number) && tries.len() <= 4);
            prop_assert_eq!(ports.tries(port, stage + other, 60).count(), 0);
        }
    }

    #[test]
    fn workers_have_ports_of_their_own() {
        let whole = SourcePorts::random(77);
        for workers in [2, 3, 8] {
            let mut taken = std::collections::BTreeSet::new();
            for worker in 0..workers {
                let share = whole.of_worker(worker, workers);
                for port in share.all() {
                    assert!(
                        whole.all().contains(&port) && taken.insert(port),
                        "{port} of {worker}/{workers}"
                    );
                }
                let port = share.port(9, 1, 3);
                assert!(share.is_of_stage(port, 9) && share.tries(port, 9, 10).eq([3]));
            }
        }
        assert_eq!(whole.of_worker(0, 1), whole);
        assert_eq!(SourcePorts::Fixed(53).of_worker(1, 2), SourcePorts::Fixed(53));
    }

    #[test]
    fn a_fixed_port_says_nothing_about_the_try() {
        let ports = SourcePorts::Fixed(53);
        assert_eq!(ports.port(7, 3, 2), 53);
        assert_eq!(ports.tries(53, 9, 2).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(ports.tries(54, 9, 2).count(), 0);
        assert_eq!(ports.all(), 53..=53);
    }
}
