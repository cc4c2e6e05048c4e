//! The codes the process ends with.

use std::process::ExitCode;

/// How a run ended, as scripts see it. The numbers are part of the interface and never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum Exit {
    /// 0: the scan is done, or help or the version was printed.
    Done = 0,
    /// 1: something failed while running, such as a file that cannot be read.
    Failed = 1,
    /// 2: the command line is wrong; nothing was scanned.
    Usage = 2,
    /// 3: done, but some targets or ports could not be looked at (bad, unresolved, no route, local errors).
    Partial = 3,
    /// 4: the system does not permit what was asked.
    Privileges = 4,
    /// 129: ended as the terminal was closed; what was known has been written.
    HungUp = 129,
    /// 130: ended by an interrupt (Ctrl-C); what was known has been reported.
    Interrupted = 130,
    /// 143: ended by a termination signal; what was known has been reported.
    Terminated = 143,
}

impl Exit {
    /// Returns the number handed to the parent process.
    pub const fn code(self) -> u8 {
        self as u8
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_the_documented_ones() {
        let all = [
            (Exit::Done, 0),
            (Exit::Failed, 1),
            (Exit::Usage, 2),
            (Exit::Partial, 3),
            (Exit::Privileges, 4),
            (Exit::HungUp, 129),
            (Exit::Interrupted, 130),
            (Exit::Terminated, 143),
        ];
        for (exit, code) in all {
            assert_eq!(exit.code(), code);
        }
    }
}
