//! The results of a host's ports, in six bytes each.

use crate::ports::Protocol;
use crate::verdict::{PortState, Verdict};

/// Ports and their verdicts; a verdict that many ports share is kept once.
#[derive(Debug, Clone, Default)]
pub struct PortResults {
    verdicts: Vec<Verdict>,
    /// Protocol, port and index into `verdicts`.
    ports: Vec<(Protocol, u16, u16)>,
}

/// The result of one port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PortResult {
    /// Its protocol.
    pub protocol: Protocol,
    /// Its number.
    pub port: u16,
    /// Its state, and what proves it.
    pub verdict: Verdict,
}

impl PortResults {
    /// Adds the result of a port.
    pub fn add(&mut self, protocol: Protocol, port: u16, verdict: Verdict) {
        let known = self.verdicts.iter().rposition(|&known| known == verdict);
        let index = known.or_else(|| {
            self.verdicts.push(verdict);
            Some(self.verdicts.len() - 1)
        });
        // With three protocols there may be more verdicts than an index can name, though no scan has come near.
        let index = index.and_then(|index| u16::try_from(index).ok()).unwrap_or(u16::MAX);
        self.ports.push((protocol, port, index));
    }

    /// Adds the results of other ports.
    pub fn add_all(&mut self, others: Self) {
        if self.is_empty() {
            *self = others;
            return;
        }
        for PortResult { protocol, port, verdict } in others.sorted() {
            self.add(protocol, port, verdict);
        }
    }

    /// The number of ports.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ports.len()
    }

    /// Whether there is no port.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ports.is_empty()
    }

    /// The results by protocol and number.
    #[must_use]
    pub fn sorted(&self) -> Vec<PortResult> {
        let mut ports = self.ports.clone();
        ports.sort_unstable();
        ports
            .into_iter()
            .filter_map(|(protocol, port, index)| {
                let verdict = *self.verdicts.get(usize::from(index))?;
                Some(PortResult { protocol, port, verdict })
            })
            .collect()
    }

    /// How many ports are in a state.
    #[must_use]
    pub fn count(&self, state: PortState) -> usize {
        let in_state =
            |index: &u16| self.verdicts.get(usize::from(*index)).is_some_and(|known| known.state == state);
        self.ports.iter().filter(|(_, _, index)| in_state(index)).count()
    }

    /// Whether a port is open, or may be.
    #[must_use]
    pub fn has_open(&self) -> bool {
        self.verdicts.iter().any(|verdict| {
            matches!(verdict.state, PortState::Open | PortState::OpenFiltered | PortState::Unfiltered)
        })
    }
}
