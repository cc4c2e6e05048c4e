use super::*;
use crate::cli::{Request, parse};
use crate::exit::Exit;
use crate::plan::Method;
use crate::raw_options::{Data, Decoy, Sending, SpoofedMac};
use crate::target::{Address, AddressesOfAName, Directory};
use proptest::prelude::*;
use std::ffi::OsString;

fn arguments(line: &str) -> Arguments {
    match parse(line.split(' ').filter(|word| !word.is_empty()).map(Into::into).collect()) {
        Ok(Request::Scan(arguments)) => *arguments,
        other => panic!("{line}: {other:?}"),
    }
}

/// Reads two files that are made up; all others are missing.
fn read(input: Input<'_>) -> io::Result<Vec<u8>> {
    match input {
        Input::Stdin => Ok(b"198.18.0.77\n".to_vec()),
        Input::File(path) if path == Path::new("list") => Ok(b"198.18.0.8 # eight\n198.18.0.9\n".to_vec()),
        Input::File(path) if path == Path::new("mixed") => Ok(b"198.18.0.8\n1.2.3.999\n".to_vec()),
        Input::File(_) => Err(io::Error::from_raw_os_error(2)),
    }
}

fn build(line: &str) -> Result<Config, ConfigError> {
    Config::build(&arguments(line), &mut read)
}

fn config(line: &str) -> Config {
    build(line).unwrap_or_else(|why| panic!("{line}: {why}"))
}

struct Nobody;

impl Directory for Nobody {
    fn addresses(&mut self, _: &str) -> Result<Vec<Address>, String> {
        Err(String::new())
    }

    fn interface_index(&mut self, _: &str) -> Option<u32> {
        None
    }
}

fn scanned(config: &Config) -> Vec<String> {
    config
        .targets
        .resolve(&mut Nobody, AddressesOfAName::First)
        .unwrap()
        .set
        .iter()
        .map(|address| address.to_string())
        .collect()
}

#[test]
fn ports_are_chosen_by_list_rank_and_exclusion() {
    let table = [
        ("-p 22,80 x", "T:22,80"),
        ("-p 22,80,443 --exclude-ports 80 x", "T:22,443"),
        ("-p 1-1000 --top-ports 3 x", "T:22,80,443"),
        ("-p 1-1000 --top-ports 3 --exclude-ports http x", "T:22,25,443"),
        ("--top-ports 3 x", "T:22,80,443"),
        ("--top-ports 1 --exclude-ports 80 x", "T:443"),
        ("-p- x", "T:1-65535"),
        ("-p 0 x", "T:0"),
        ("-p T:22,U:53 x", "T:22"),
        ("-p 22 --exclude-ports U:22 x", "T:22"),
    ];
    for (line, expected) in table {
        let ports = config(line).ports.to_string();
        assert_eq!(ports, expected, "{line}");
    }
    assert_eq!(config("x").ports.len(), 1000);
    assert_eq!(config("-F x").ports.len(), 100);
    assert_eq!(config("-F --exclude-ports 80,443 x").ports.len(), 100);
    assert_eq!(config("--top-ports 5000 x").ports.len(), 5000);
    assert_eq!(config("--top-ports 65535 x").ports.len(), 65_535);
}

#[test]
fn discovery_leaves_excluded_ports_alone() {
    let methods = |line: &str, raw| config(line).methods(raw).methods;
    assert_eq!(methods("x", false), [Method::Connect(80), Method::Connect(443)]);
    assert_eq!(methods("--exclude-ports 80 x", false), [Method::Connect(443)]);
    assert_eq!(methods("-Pn x", false), []);
    let none = config("--exclude-ports 80,443 x").methods(false);
    assert_eq!((none.methods.len(), none.warnings.len()), (0, 1));
    let usual = [Method::Echo, Method::Syn(443), Method::Ack(80), Method::Timestamp];
    assert_eq!(methods("x", true), usual);
    assert_eq!(methods("--exclude-ports 80,443 x", true), [Method::Echo, Method::Timestamp]);
}

#[test]
fn methods_are_in_the_order_of_asking_and_become_connects_without_privileges() {
    let line = "-PP -PA -PS22,25 -PU53 -PE -PM x";
    let all = [
        Method::Echo,
        Method::Syn(22),
        Method::Syn(25),
        Method::Ack(80),
        Method::Timestamp,
        Method::Udp(53),
        Method::AddressMask,
    ];
    assert_eq!(config(line).methods(true).methods, all);
    let without = config("-PS22 -PA22 -PE x").methods(false);
    assert_eq!(without.methods, [Method::Connect(80), Method::Connect(22)]);
    assert_eq!(without.warnings, ["Warning:  You are not root -- using TCP pingscan rather than ICMP"]);
    assert_eq!(config("-PU x").needs_raw_packets().as_deref(), Some("-PU"));
    assert_eq!(config("-PS x").needs_raw_packets(), None);
}

#[test]
fn techniques_follow_from_options_and_privileges() {
    let techniques = |line: &str, raw| config(line).techniques(raw);
    assert_eq!(techniques("x", true), [Technique::Syn]);
    assert_eq!(techniques("x", false), [Technique::Connect]);
    assert_eq!(techniques("-sUS -p T:22,U:53 x", true), [Technique::Udp, Technique::Syn]);
    assert_eq!(techniques("--scanflags URG x", true), [Technique::Syn]);
    assert_eq!(techniques("-sn x", true), []);
    assert_eq!(config("-sA x").needs_raw_packets().as_deref(), Some("-sA"));
    assert_eq!(config("-sU x").ports.to_string().split(':').next(), Some("U"));
    let none = build("-sU -p T:22 x").unwrap_err().to_string();
    assert_eq!(
        none,
        "-p: a UDP scan type was requested, but no udp ports were specified; add some, such as U:1-1024"
    );
    assert_eq!(config("-sT --badsum x").not_honored(true).len(), 2);
    assert_eq!(config("-sS --badsum x").not_honored(true).len(), 0);
}

#[test]
fn raw_options_reach_their_fields() {
    let raw = config("-g 53 --ttl 9 --badsum --data 0xcafe -f -f -D 198.18.0.7,ME,RND:2 --spoof-mac 0 --send-ip --scanflags SYNFIN x").raw;
    assert_eq!((raw.source_port, raw.ttl, raw.bad_checksums), (Some(53), Some(9), true));
    assert_eq!((raw.data, raw.fragment_bytes), (Data::Bytes(vec![0xca, 0xfe]), Some(16)));
    let decoys = [Decoy::Address([198, 18, 0, 7].into()), Decoy::Me, Decoy::Random, Decoy::Random];
    assert_eq!(raw.decoys, decoys);
    assert_eq!((raw.spoofed_mac, raw.sending, raw.flags), (Some(SpoofedMac::Random), Sending::Ip, Some(3)));
    let config = config("-S 198.18.0.1 -e va --unprivileged --trace-format bracket --disable-arp-ping x");
    assert_eq!((config.source, config.interface.as_deref()), (Some([198, 18, 0, 1].into()), Some("va")));
    assert_eq!((config.privileges, config.trace_format), (Privileges::Renounce, Format::Bracket));
    assert!(!config.neighbors);
}

#[test]
fn levels_imply_each_other() {
    let table = [
        ("x", (0, 0, false, PacketTrace::Off)),
        ("-v x", (1, 0, false, PacketTrace::Off)),
        ("-vv x", (2, 0, true, PacketTrace::Off)),
        ("-v2 x", (2, 0, true, PacketTrace::Off)),
        ("-d x", (1, 1, true, PacketTrace::Off)),
        ("-dd x", (2, 2, true, PacketTrace::Off)),
        ("-d3 x", (3, 3, true, PacketTrace::Classic)),
        ("-ddd x", (3, 3, true, PacketTrace::Classic)),
        ("-d3 --packet-trace=net x", (3, 3, true, PacketTrace::Network)),
        ("-v -d x", (2, 1, true, PacketTrace::Off)),
        ("-vvvvvvvvvvvv x", (10, 0, true, PacketTrace::Off)),
        ("--reason x", (0, 0, true, PacketTrace::Off)),
    ];
    for (line, expected) in table {
        let config = config(line);
        assert_eq!((config.verbosity, config.debug, config.reason, config.packet_trace), expected, "{line}");
        assert!(!config.silent);
    }
    assert!(config("-v0 x").silent);
}

#[test]
fn targets_come_from_the_command_line_and_then_from_the_file() {
    assert_eq!(scanned(&config("-iL list 198.18.0.1")), ["198.18.0.1", "198.18.0.8", "198.18.0.9"]);
    assert_eq!(scanned(&config("-iL -")), ["198.18.0.77"]);
    assert_eq!(scanned(&config("198.18.0.8/30 --excludefile list")), ["198.18.0.10", "198.18.0.11"]);
    assert_eq!(scanned(&config("198.18.0.8/30 --exclude 198.18.0.8,198.18.0.10/31")), ["198.18.0.9"]);
}

#[test]
fn one_bad_target_among_good_ones_does_not_stop_the_run() {
    let config = config("198.18.0.1 198.18.0.300 -iL mixed 127.0.0.1/33");
    let lines: Vec<String> = config.targets.problems().iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "Invalid address specification: \"198.18.0.300\": \"300\" (character 10) is no octet or range of octets \
             from 0 to 255",
            "Illegal netmask in \"127.0.0.1/33\": use /0 to /32",
            "mixed:2: Invalid address specification: \"1.2.3.999\": \"999\" (character 7) is no octet or range of \
             octets from 0 to 255",
        ]
    );
    assert_eq!(scanned(&config), ["198.18.0.1", "198.18.0.8"]);
}

#[test]
fn what_stops_a_run_is_one_line_with_its_place() {
    let table = [
        (
            "-p 22,abc%% x",
            2,
            "-p: Found no matches for the service mask 'abc%%' and your specified protocols (character 4 of \"22,abc%%\")",
        ),
        (
            "-p 70000 x",
            2,
            "-p: Ports specified must be between 0 and 65535 inclusive, which 70000 is not (character 1 of \"70000\")",
        ),
        (
            "-p 30-20 x",
            2,
            "-p: Your port range 30-20 is backwards. Did you mean 20-30? (character 1 of \"30-20\")",
        ),
        ("--exclude-ports 22x x", 2, "--exclude-ports: Unexpected \"x\" after the port."),
        ("-p U:53 x", 2, "-p: a TCP scan type was requested, but no tcp ports were specified"),
        ("-p 22 --exclude-ports 22 x", 2, "No ports are left to scan"),
        (
            "-iL /nonexistent x",
            1,
            "Failed to open input file /nonexistent for reading: No such file or directory (2)",
        ),
        (
            "--excludefile /nonexistent x",
            1,
            "Failed to open input file /nonexistent for reading: No such file",
        ),
        ("-iL - --excludefile -", 2, "-iL and --excludefile cannot both read stdin"),
        (
            "--exclude 1.2.3 x",
            2,
            "--exclude: Invalid address specification: \"1.2.3\": an IPv4 address has four octets",
        ),
        ("-n", 2, "No targets were specified, so 0 hosts scanned."),
        ("1.2.3.999", 2, "Invalid address specification: \"1.2.3.999\": \"999\" (character 7)"),
        ("-4 ::1", 2, "Invalid address specification: \"::1\": only IPv4 addresses are scanned. No targets"),
        (
            "1.2.3 4.5.6 7.8.9",
            2,
            "Invalid address specification: \"1.2.3\": an IPv4 address has four octets, this has 3 (and 2 more). No targets were specified",
        ),
        (
            "--dns-servers 198.18.0.1,198.18.0.999 x",
            2,
            "--dns-servers: \"198.18.0.999\" is no address, address:port or host name",
        ),
        ("--dns-servers , x", 2, "--dns-servers: \"\" is no address"),
        ("-oN -sT x", 2, "-oN: \"-sT\" starts with a dash or is empty; is the file name missing?"),
        (
            "-oN same --trace-out same x",
            2,
            "two outputs cannot write to the same place; give each its own name, and - to one at most",
        ),
        (
            "-oN - --trace-out - x",
            2,
            "two outputs cannot write to the same place; give each its own name, and - to one at most",
        ),
    ];
    for (line, code, start) in table {
        let why = build(line).unwrap_err();
        let text = why.to_string();
        assert!(text.starts_with(start), "{line}: {text}");
        assert!(!text.chars().any(char::is_control));
        assert_eq!(why.exit(), if code == 1 { Exit::Failed } else { Exit::Usage }, "{line}");
    }
}

#[test]
fn what_is_hardly_meant_is_warned_of() {
    assert_eq!(
        config("-p 22,22,U:53 x").warnings,
        [
            "WARNING: Duplicate port number(s) specified: 22/tcp is scanned once",
            "WARNING: Your ports include \"U:\" but you haven't specified UDP scan with -sU."
        ]
    );
    assert_eq!(config("-p 22 x").warnings, [""; 0]);
}

#[test]
fn names_are_asked_of_whom_the_user_says() {
    assert_eq!(config("x").name_source, NameSource::ConfiguredServers);
    assert_eq!(config("--system-dns x").name_source, NameSource::SystemResolver);
    let NameSource::Servers(servers) =
        config("--dns-servers 198.18.0.1,fd00::1 --dns-servers ns.test:54 x").name_source
    else {
        panic!("no servers")
    };
    let shown: Vec<String> = servers.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["198.18.0.1:53", "[fd00::1]:53", "ns.test:54"]);
}

#[test]
fn outputs_may_be_stdout() {
    let config = config("-oN - --trace-out t.json x");
    assert_eq!(config.output_normal, Some(Output::Stdout));
    assert_eq!(config.trace_out, Some(Output::File("t.json".into())));
}

proptest! {
    #[test]
    fn no_arguments_make_it_panic(ports in "[-0-9,TU:a-c*]{0,9}", target in "[-0-9a-c./:%]{0,12}", exclude: Vec<u8>) {
        use std::os::unix::ffi::OsStringExt;
        let typed = Arguments {
            ports: Some(ports),
            targets: vec![target.into()],
            exclude: vec![OsString::from_vec(exclude)],
            ..Arguments::default()
        };
        match Config::build(&typed, &mut read) {
            Ok(config) => prop_assert!(!config.ports.is_empty() && !config.targets.is_empty()),
            Err(why) => prop_assert!(!why.to_string().chars().any(char::is_control)),
        }
    }
}
