//! The results of a host's ports, in four bytes each.

use crate::verdict::{PortState, Verdict};

/// Ports and their verdicts; a verdict that many ports share is kept once.
#[derive(Debug, Clone, Default)]
pub struct PortResults {
    verdicts: Vec<Verdict>,
    /// Port and index into `verdicts`.
    ports: Vec<(u16, u16)>,
}

impl PortResults {
    /// Adds the result of a port.
    pub fn add(&mut self, port: u16, verdict: Verdict) {
        let index = self.verdicts.iter().rposition(|&known| known == verdict).unwrap_or_else(|| {
            self.verdicts.push(verdict);
            self.verdicts.len() - 1
        });
        // There are no more verdicts than ports, so the index fits.
        self.ports.push((port, u16::try_from(index).unwrap_or(u16::MAX)));
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

    /// The ports by number, with their verdicts.
    #[must_use]
    pub fn sorted(&self) -> Vec<(u16, Verdict)> {
        let mut ports = self.ports.clone();
        ports.sort_unstable();
        ports
            .into_iter()
            .filter_map(|(port, index)| Some((port, *self.verdicts.get(usize::from(index))?)))
            .collect()
    }

    /// Whether a port is open, or may be.
    #[must_use]
    pub fn has_open(&self) -> bool {
        self.verdicts.iter().any(|verdict| {
            matches!(verdict.state, PortState::Open | PortState::OpenFiltered | PortState::Unfiltered)
        })
    }
}
