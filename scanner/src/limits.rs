//! What this machine grants the process: descriptors.

use std::{fs, io};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CapabilitySet, capabilities};

/// Descriptors left to everything that is not a probe: the event queue, signals, files that the system's libraries open.
const RESERVE: usize = 6;

/// Descriptors left to the sockets of look-ups, where names are looked up.
const RESERVE_FOR_NAMES: usize = 32;

/// More connects at a time than this win nothing, and fill the tables of routers.
const PROBES_MAX: usize = 8192;

/// What `rmem_max` is where nobody has changed it.
const RMEM_MAX_USUAL: usize = 212_992;

/// Raises the soft limit of descriptors to the hard one. A process that may not keeps what it has.
pub fn raise_descriptor_limit() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    }
}

/// How many descriptors probes may use at a time, at least one.
///
/// # Errors
/// The system's, if it does not tell what is open.
pub fn descriptors_for_probes(names: bool) -> io::Result<usize> {
    let limit = getrlimit(Resource::Nofile)
        .current
        .map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    // The listing itself is one of those it lists.
    let open = fs::read_dir("/proc/self/fd")?.count().saturating_sub(1);
    Ok(budget(limit, open, names))
}

fn budget(limit: usize, open: usize, names: bool) -> usize {
    let free = limit.saturating_sub(open);
    let for_names = if names { RESERVE_FOR_NAMES.min(free / 4) } else { 0 };
    free.saturating_sub(RESERVE.min(free / 4) + for_names).clamp(1, PROBES_MAX)
}

/// How many bytes of the `wanted` room for received packets a socket of this process can have (socket(7)): all of them
/// with `CAP_NET_ADMIN`, else what the system's limit leaves.
#[must_use]
pub fn receive_room(wanted: usize) -> usize {
    if capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::NET_ADMIN)) {
        return wanted;
    }
    let limit = fs::read_to_string("/proc/sys/net/core/rmem_max").ok();
    let limit = limit.and_then(|text| text.trim().parse::<usize>().ok()).unwrap_or(RMEM_MAX_USUAL);
    // The kernel doubles it for its bookkeeping.
    wanted.min(2 * limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_leaves_room_for_everything_else_and_is_never_nothing() {
        assert_eq!(budget(1024, 8, false), 1010);
        assert_eq!(budget(1024, 8, true), 978);
        assert_eq!(budget(30, 8, false), 17);
        assert_eq!(budget(8, 8, true), 1);
        assert_eq!(budget(usize::MAX, 8, false), PROBES_MAX);
    }
}
