//! Options of Nmap's that this scanner does not have, each with what to do instead.

const RAW_SCAN: &str = "scans of other protocols than TCP and UDP are not available; use -sS, -sT or -sU";
const NO_VERSIONS: &str =
    "services are not probed for versions; the SERVICE column tells the usual service of a port";
const NO_SCRIPTS: &str = "there are no scripts; give the open ports to a tool made for the check";
const NO_OS: &str = "operating systems are not detected; leave it out";
const NO_IDLE: &str = "scans through third parties are not available; use -sT";
const PING: &str = "hosts are not found by this protocol; use -PE, -PS, -PA, -PU or -PP";
const NORMAL_ONLY: &str =
    "results are written by -oN, -oX, -oG, -oJ, -oH or -oA, trace records by --trace-out FILE";
const OWN_PACKETS: &str = "it belongs to protocols that are not spoken here; leave it out";
const OWN_PACE: &str = "the scan sets its own pace; choose a template with -T0 to -T5, or --max-rate";
const OWN_DATA: &str = "tables are built in; choose ports with -p";

/// `-sX`, by letter.
const SCANS: &[(u8, &str)] = &[
    (b'O', RAW_SCAN),
    (b'Y', RAW_SCAN),
    (b'Z', RAW_SCAN),
    (b'V', NO_VERSIONS),
    (b'R', NO_VERSIONS),
    (b'C', NO_SCRIPTS),
    (b'I', NO_IDLE),
];

/// First letters of what may follow `-P`.
const PINGS: &[u8] = b"OY";

/// Short options, by letter.
const SHORTS: &[(u8, &str)] = &[
    (b'A', "OS and version detection, scripts and traceroute are not available; use -sT --reason -v"),
    (b'O', NO_OS),
    (b'b', NO_IDLE),
    (b'I', "the owner of a service is not asked for; leave it out"),
    (b'm', "grepable output is not available; results are written by -oN FILE"),
    (b'o', "say which format, as in -oN FILE"),
    (b'i', "say where the targets are, as in -iL FILE"),
];

/// Names of two or more letters behind one dash that are no clusters.
const DISGUISED: &[(&str, &str)] = &[
    ("oS", NORMAL_ONLY),
    ("oM", NORMAL_ONLY),
    ("iR", "targets are not picked at random; name them, or read them with -iL FILE"),
    ("sI", NO_IDLE),
];

/// Long options by name.
const LONGS: &[(&str, &str)] = &[
    ("adler32", OWN_PACKETS),
    ("allports", NO_VERSIONS),
    ("datadir", OWN_DATA),
    ("defeat-icmp-ratelimit", OWN_PACE),
    ("deprecated-xml-osclass", NORMAL_ONLY),
    ("log-errors", "errors go to stderr; redirect it"),
    ("max-os-tries", NO_OS),
    ("no-stylesheet", NORMAL_ONLY),
    ("nogcc", OWN_PACE),
    ("nsock-engine", "there is one engine; leave it out"),
    ("osscan-guess", NO_OS),
    ("osscan-limit", NO_OS),
    ("port-ratio", "there are no measured frequencies of ports to compare with; use --top-ports N"),
    ("release-memory", "memory is released anyway; leave it out"),
    ("route-dst", "routes are not shown; ask the system with `ip route get`"),
    ("script", NO_SCRIPTS),
    ("script-args", NO_SCRIPTS),
    ("script-args-file", NO_SCRIPTS),
    ("script-help", NO_SCRIPTS),
    ("script-timeout", NO_SCRIPTS),
    ("script-trace", NO_SCRIPTS),
    ("script-updatedb", NO_SCRIPTS),
    ("servicedb", OWN_DATA),
    ("stylesheet", NORMAL_ONLY),
    ("timing", "use -T0 to -T5"),
    ("traceroute", "paths are not traced; ask the system with `tracepath`"),
    ("unique", "every address is scanned once anyway; leave it out"),
    ("version-all", NO_VERSIONS),
    ("version-intensity", NO_VERSIONS),
    ("version-light", NO_VERSIONS),
    ("version-trace", NO_VERSIONS),
    ("versiondb", NO_VERSIONS),
    ("vlan", OWN_PACKETS),
    ("webxml", NORMAL_ONLY),
];

pub(super) fn scan(letter: u8) -> Option<&'static str> {
    SCANS.iter().find(|(known, _)| *known == letter).map(|(_, instead)| *instead)
}

pub(super) fn ping(letter: u8) -> Option<&'static str> {
    PINGS.contains(&letter).then_some(PING)
}

pub(super) fn short(letter: u8) -> Option<&'static str> {
    SHORTS.iter().find(|(known, _)| *known == letter).map(|(_, instead)| *instead)
}

pub(super) fn disguised(name: &str) -> Option<&'static str> {
    DISGUISED.iter().find(|(known, _)| *known == name).map(|(_, instead)| *instead)
}

pub(super) fn long(name: &str) -> Option<&'static str> {
    LONGS.iter().find(|(known, _)| *known == name).map(|(_, instead)| *instead)
}

pub(super) fn long_names() -> impl Iterator<Item = &'static str> {
    LONGS.iter().map(|(name, _)| *name)
}

/// Every option that is refused, as it is typed.
#[cfg(test)]
pub(super) fn spellings() -> Vec<String> {
    let scans = SCANS.iter().map(|(letter, _)| format!("-s{}", char::from(*letter)));
    let pings = PINGS.iter().map(|letter| format!("-P{}", char::from(*letter)));
    let shorts = SHORTS.iter().map(|(letter, _)| format!("-{}", char::from(*letter)));
    let disguised = DISGUISED.iter().map(|(name, _)| format!("-{name}"));
    let longs = long_names().map(|name| format!("--{name}"));
    scans.chain(pings).chain(shorts).chain(disguised).chain(longs).collect()
}
