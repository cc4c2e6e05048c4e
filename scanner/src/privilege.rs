//! What the process may do, and giving it up.

use std::fmt;
use std::io;

use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities, set_no_new_privs,
};

/// What the user says about privileges.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Privileges {
    /// Nothing: what the process may do is found out.
    #[default]
    Detect,
    /// `--privileged`, or `NMAP_PRIVILEGED` in the environment: act as if everything were permitted.
    Assume,
    /// `--unprivileged`, or `NMAP_UNPRIVILEGED`: act as if nothing were.
    Renounce,
}

impl Privileges {
    /// Whether raw packets are to be used. The capability counts, whatever the user id.
    #[must_use]
    pub fn allow_raw_packets(self) -> bool {
        match self {
            Self::Detect => may_use_raw_packets(),
            Self::Assume => true,
            Self::Renounce => false,
        }
    }
}

/// Whether this process may send and capture raw packets (`CAP_NET_RAW`), whatever its user id.
#[must_use]
pub fn may_use_raw_packets() -> bool {
    capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::NET_RAW))
}

/// What is missing, and the command that grants it to the program at `path`.
#[derive(Debug, Clone, Copy)]
pub struct Missing<'a> {
    /// The program, as the command needs it.
    path: &'a str,
}

impl<'a> Missing<'a> {
    /// For the program at this path.
    #[must_use]
    pub const fn new(path: &'a str) -> Self {
        Self { path }
    }
}

impl fmt::Display for Missing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "CAP_NET_RAW is missing; run as root, or grant it: sudo setcap cap_net_raw+ep {}",
            self.path
        )
    }
}

/// What was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dropped {
    /// Whether there was anything to give up.
    pub any: bool,
}

/// Gives up every capability of the calling thread, for good: permitted, effective, inheritable and ambient, the bounding
/// set as far as it may be changed, and with `no_new_privs` the way back by set-user-id programs.
///
/// Threads started later have none either; threads that run already keep theirs, so this comes before them. The user id
/// stays: a root without capabilities may no more than the files of root let it.
///
/// # Errors
/// The system's. The process then still has what could not be given up.
pub fn drop_capabilities() -> io::Result<Dropped> {
    let before = capabilities(None)?;
    // Only a process with CAP_SETPCAP may do this, and the rest is enough without it.
    for capability in CapabilitySet::all().iter() {
        if remove_capability_from_bounding_set(capability).is_err() {
            break;
        }
    }
    clear_ambient_capability_set()?;
    let nothing = CapabilitySet::empty();
    set_capabilities(None, CapabilitySets { effective: nothing, permitted: nothing, inheritable: nothing })?;
    set_no_new_privs(true)?;
    Ok(Dropped { any: before.permitted != nothing })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_up_is_gone_and_a_second_time_changes_nothing() {
        // Capabilities are a thread's, so this takes none from other tests.
        let after = std::thread::spawn(|| {
            drop_capabilities().unwrap();
            assert!(!drop_capabilities().unwrap().any);
            (capabilities(None).unwrap(), rustix::thread::no_new_privs().unwrap(), may_use_raw_packets())
        });
        let (sets, no_new_privs, raw) = after.join().unwrap();
        let nothing = CapabilitySet::empty();
        assert_eq!((sets.effective, sets.permitted, sets.inheritable), (nothing, nothing, nothing));
        assert!(no_new_privs && !raw);
    }

    #[test]
    fn what_the_user_says_goes_before_what_is_found_out() {
        assert!(Privileges::Assume.allow_raw_packets());
        assert!(!Privileges::Renounce.allow_raw_packets());
        assert_eq!(Privileges::Detect.allow_raw_packets(), may_use_raw_packets());
    }

    #[test]
    fn the_missing_capability_comes_with_the_command_that_grants_it() {
        let text = Missing::new("/usr/bin/scanner").to_string();
        assert!(text.ends_with("sudo setcap cap_net_raw+ep /usr/bin/scanner"), "{text}");
    }
}
