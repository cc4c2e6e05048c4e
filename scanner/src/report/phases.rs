//! The lines that tell of the parts of a scan.

use std::time::Duration;

use super::{HostReport, Phase};

/// The name of a part in progress lines.
#[must_use]
pub fn phase_name(phase: Phase) -> &'static str {
    match phase {
        Phase::Discovery(sweep) => sweep.title(),
        Phase::Names => "Parallel DNS resolution",
        Phase::Ports(technique) => technique.title(),
    }
}

pub(super) fn phase_started(phase: Phase, hosts: usize, only: Option<&HostReport>, probes: usize) -> String {
    let (name, time) = (phase_name(phase), local_minute());
    let s = |count: usize| if count == 1 { "" } else { "s" };
    if phase == Phase::Names {
        return format!("Initiating {name} of {hosts} host{}. at {time}\n", s(hosts));
    }
    let what = match only {
        Some(host) => format!("{} [{probes} port{}]", host.title(), s(probes)),
        None => format!("{hosts} hosts [{probes} port{}/host]", s(probes)),
    };
    format!("Initiating {name} at {time}\nScanning {what}\n")
}

pub(super) fn phase_completed(phase: Phase, elapsed: Duration, total: usize) -> String {
    let (name, time, seconds) = (phase_name(phase), local_minute(), elapsed.as_secs_f64());
    let s = if total == 1 { "" } else { "s" };
    match phase {
        Phase::Names => format!("Completed {name} of {total} host{s}. at {time}, {seconds:.2}s elapsed\n"),
        Phase::Discovery(_) => {
            format!("Completed {name} at {time}, {seconds:.2}s elapsed ({total} total hosts)\n")
        }
        Phase::Ports(_) => {
            format!("Completed {name} at {time}, {seconds:.2}s elapsed ({total} total ports)\n")
        }
    }
}

fn local_minute() -> String {
    jiff::Zoned::now().strftime("%H:%M").to_string()
}
