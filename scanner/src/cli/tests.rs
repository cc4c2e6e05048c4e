use super::*;
use crate::pace::Pace;
use crate::pacer::Rate;
use nsock::ProxyChain;
use proptest::prelude::*;
use std::os::unix::ffi::OsStringExt;

fn request(line: &str) -> Result<Request, UsageError> {
    parse(line.split(' ').filter(|word| !word.is_empty()).map(Into::into).collect())
}

fn arguments(line: &str) -> Arguments {
    match request(line) {
        Ok(Request::Scan(arguments)) => *arguments,
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn a_resumed_run_may_have_another_pace_and_other_reports_but_not_other_ports() {
    let words = |line: &str| line.split(' ').map(OsString::from).collect::<Vec<_>>();
    let earlier = "-sT -p 22 -T4 --max-retries 9 --min-rate 5 --max-rate 50 --host-timeout 9m --max-runtime 1h \
         --stats-every 9s --color=always --scan-delay 1s --max-scan-delay 2s --initial-rtt-timeout 2s \
         --min-rtt-timeout 1s --max-rtt-timeout 3s --min-parallelism 2 --max-parallelism 3 --min-hostgroup 2 \
         --max-hostgroup 3 --dns-max-rate 9 --trace-format bracket --trace-out t --packet-trace=all --unprivileged \
         -v -d2 -n -oN n -oX x -oG g -oJ j -oH h 198.18.0.1";
    let now = "-T2 --max-retries 1 --min-rate 6 --max-rate 60 --host-timeout 8m --max-runtime 2h \
         --stats-every 8s --color=never --scan-delay 2s --max-scan-delay 3s --initial-rtt-timeout 3s \
         --min-rtt-timeout 2s --max-rtt-timeout 4s --min-parallelism 3 --max-parallelism 4 --min-hostgroup 3 \
         --max-hostgroup 4 --dns-max-rate 8 --trace-format classic --trace-out T --packet-trace=net --privileged \
         -vv -d1 -R -oN N -oX X -oG G -oJ J -oH H";
    let (earlier, now) = (words(&earlier.replace("  ", "")), words(&now.replace("  ", "")));
    let Ok(Request::Scan(both)) = parse_again(now.clone(), earlier.clone()) else { panic!("this is a scan") };
    let alone = [now, words("-sT -p 22 198.18.0.1")].concat();
    assert_eq!(Ok(Request::Scan(both)), parse(alone));
    let error = parse_again(words("-p 23"), earlier).unwrap_err();
    assert!(error.to_string().starts_with("Only 1 -p option allowed"), "{error}");
}

#[test]
fn every_option_reaches_its_field() {
    let typed = arguments(
        "-sT -p 22 --exclude-ports 23 -iL list --exclude a,b --exclude c --excludefile out -Pn -n \
         --dns-servers 198.18.0.1 -T4 --max-retries 2 --open --reason -vv -d3 -4 --seed 0x10 --packet-trace=net \
         --trace-out t.json -oN o.txt -oX o.xml -oJ o.json -oH o.html --max-rate 50 -M 7 -r -rH --shard 2/3 \
         --append-output --resume r.ndjson --stats-every 1.5m --noninteractive --color=never --workers 3 host other",
    );
    let expected = Arguments {
        targets: vec!["host".into(), "other".into()],
        input_list: Some("list".into()),
        exclude: vec!["a,b".into(), "c".into()],
        exclude_file: Some("out".into()),
        families: Families::V4,
        work: Work::Ports,
        techniques: vec![Technique::Connect],
        discovery: Discovery::Skip,
        neighbors: true,
        resets: ResetEvidence::ProvesUp,
        source: None,
        interface: None,
        raw: RawOptions::default(),
        privileges: Privileges::Detect,
        trace_format: Format::Classic,
        name_lookup: NameLookup::Never,
        dns_servers: vec!["198.18.0.1".into()],
        system_dns: false,
        dns_rate_max: None,
        resolve_all: false,
        proxies: ProxyChain::default(),
        ports: Some("22".into()),
        fast: false,
        top_ports: None,
        exclude_ports: Some("23".into()),
        timing: Timing::Aggressive,
        pace: Pace {
            retries_max: Some(2),
            max_rate: Rate::per_second(50.0),
            parallelism_max: Some(7),
            ..Pace::default()
        },
        ascending: true,
        randomize_hosts: true,
        shard: Shard::new(2, 3),
        seed: Some(16),
        open: true,
        reason: true,
        verbose: vec![Level::Raise, Level::Raise],
        debug: vec![Level::Set(3)],
        packet_trace: PacketTrace::Network,
        trace_out: Some("t.json".into()),
        output_normal: Some("o.txt".into()),
        output_xml: Some("o.xml".into()),
        output_grepable: None,
        output_json: Some("o.json".into()),
        output_html: Some("o.html".into()),
        append: true,
        resume: Some("r.ndjson".into()),
        stats_every: Some(Duration::from_secs(90)),
        noninteractive: true,
        color: Color::Never,
        workers: NonZeroU32::new(3),
    };
    assert_eq!(typed, expected);
}

#[test]
fn forms_that_differ_mean_the_same() {
    assert_eq!(arguments("-F -6 -R x"), arguments("x -F6R"));
    assert_eq!(arguments("-p- x").ports.as_deref(), Some("-"));
    assert_eq!(arguments("-p -100 x").ports.as_deref(), Some("-100"));
    assert_eq!(arguments("--top 10 x").top_ports, Some(10));
    for (name, timing) in [("paranoid", Timing::Paranoid), ("INSANE", Timing::Insane), ("2", Timing::Polite)]
    {
        assert_eq!(arguments(&format!("-T {name} x")).timing, timing);
        assert_eq!(arguments(&format!("-T{name} x")).timing, timing);
    }
    assert_eq!(arguments("-T1 -T5 x").timing, Timing::Insane);
    assert_eq!(arguments("-n -n --open --open x"), arguments("-n --open x"));
    let trace = arguments("--packet-trace net");
    assert_eq!((trace.packet_trace, trace.targets), (PacketTrace::Classic, vec!["net".into()]));
    let debug = arguments("-d HOST");
    assert_eq!((debug.debug, debug.targets), (vec![Level::Raise], vec!["HOST".into()]));
    assert_eq!(arguments("-packet_trace x").packet_trace, PacketTrace::Classic);
    assert_eq!(arguments("-- -x").targets, ["-x"]);
    assert_eq!(arguments("-iL - -oN -").output_normal, Some("-".into()));
}

#[test]
fn help_and_version_are_requests() {
    let table = [
        ("-h", Request::ShortHelp),
        ("--help", Request::LongHelp),
        ("-V", Request::Version),
        ("--version x", Request::Version),
        ("-nh x", Request::ShortHelp),
        ("", Request::Nothing),
    ];
    for (line, expected) in table {
        assert_eq!(request(line), Ok(expected), "{line}");
    }
    assert!(version().starts_with("scanner "));
}

#[test]
fn usage_errors_are_one_line_that_names_what_was_typed() {
    let table = [
        ("--frobnicate x", "unrecognized option '--frobnicate'; see scanner -h for a summary of options"),
        ("--reasons x", "unrecognized option '--reasons'; did you mean '--reason'?"),
        ("-z x", "unrecognized option '-z'; see scanner -h for a summary of options"),
        ("-nz x", "unrecognized option '-z'; see scanner -h for a summary of options"),
        ("-p", "option requires an argument -- '-p'; see scanner -h"),
        ("x -oN", "option requires an argument -- '-oN'; see scanner -h"),
        ("x -top", "option requires an argument -- '-top'; see scanner -h"),
        ("x --seed", "option requires an argument -- '--seed'; see scanner -h"),
        ("--reason=3 x", "option '--reason' takes no value"),
        (
            "--packet-trace=packets x",
            "--packet-trace: \"packets\" is not net, nsock or all, or no value at all",
        ),
        ("-packet-trace=x x", "-packet-trace: \"x\" is not net, nsock or all, or no value at all"),
        (
            "-T9 x",
            "Unknown timing mode (-T argument) \"9\".  Use either \"Paranoid\", \"Sneaky\", \"Polite\", \"Normal\", \
          \"Aggressive\", \"Insane\" or a number from 0 (Paranoid) to 5 (Insane)",
        ),
        ("--max-retries -1 x", "--max-retries: \"-1\" is not a number from 0 to 255"),
        ("--max-retries +1 x", "--max-retries: \"+1\" is not a number from 0 to 255"),
        ("--top-ports 0 x", "--top-ports: \"0\" is not a number from 1 to 65535"),
        ("--top-ports ten x", "--top-ports: \"ten\" is not a number from 1 to 65535"),
        ("-v99 x", "-v99: \"99\" is not a number from 0 to 10"),
        ("-p 1 -p 2 x", "Only 1 -p option allowed, separate multiple ranges with commas."),
        ("-oN a -oN b x", "-oN can be given only once"),
        (
            "-F -p 22 x",
            "You cannot use -F (fast scan) with -p (explicit port selection); --top-ports N takes the likeliest of -p",
        ),
        ("-F --top-ports 5 x", "-F means --top-ports 100; use one of them"),
        ("-4 -6 x", "-4 and -6 exclude each other; use one or none"),
        ("-n -R x", "-n and -R exclude each other; use one or none"),
        (
            "--system-dns --dns-servers ::1 x",
            "--system-dns and --dns-servers exclude each other: the system chooses its own servers",
        ),
        (
            "-sY x",
            "-sY is not supported: scans of other protocols than TCP and UDP are not available; use -sS, -sT or -sU",
        ),
        (
            "-sS -sT x",
            "You specified more than one type of TCP scan.  Please choose only one of -sA, -sT, -sF, -sM, -sN, -sS, -sW, and -sX",
        ),
        ("-sn -sS x", "-sn scans no ports; leave out -sS, or -sn"),
        (
            "-sL -p 80 x",
            "You cannot use -F (fast scan) or -p (explicit port selection) when not doing a port scan",
        ),
        ("-PS1 -PS2 x", "Only one -PS option is allowed. Combine port ranges with commas."),
        ("-PE80 x", "-PE takes no ports"),
        ("-Pn -PE x", "-Pn asks no host whether it is up; leave out the other -P options"),
        ("--mtu 9 x", "--mtu: 9 is not a multiple of 8; try 8"),
        ("-S host x", "-S: \"host\" is not an IP address of this machine"),
        (
            "--data 0x --data-length 3 x",
            "--data, --data-string and --data-length exclude each other; use one",
        ),
        ("--data xyz x", "--data: \"xyz\" is not bytes in hexadecimal, such as 0xdeadbeef or \\xde\\xad"),
        ("-D ME,ME x", "-D: ME can be given only once"),
        ("--ttl 256 x", "--ttl: \"256\" is not a number from 0 to 255"),
        (
            "--port-ratio 0.1 x",
            "--port-ratio is not supported: there are no measured frequencies of ports to compare with; use --top-ports N",
        ),
    ];
    for (line, expected) in table {
        assert_eq!(request(line).unwrap_err().to_string(), expected, "{line}");
    }
}

#[test]
fn bytes_that_are_no_text_are_refused_where_text_is_needed() {
    let bytes = OsString::from_vec(b"\xff\x1b".to_vec());
    let mut ports = OsString::from("-p");
    ports.push(&bytes);
    assert_eq!(parse(vec![ports]).unwrap_err().to_string(), r#"-p: "\xff\x1b" is not UTF-8 text"#);
    let Ok(Request::Scan(typed)) = parse(vec!["-oN".into(), bytes.clone(), bytes.clone()]) else {
        panic!("a scan")
    };
    assert_eq!((typed.output_normal, typed.targets), (Some(bytes.clone().into()), vec![bytes]));
}

#[test]
fn the_parser_is_well_formed() {
    definition::command().debug_assert();
}

proptest! {
    #[test]
    fn no_command_line_makes_it_panic(words in proptest::collection::vec(
        prop_oneof![
            "-{0,2}[a-zA-Z0-9=,-]{0,8}".prop_map(OsString::from),
            proptest::sample::select(vec!["-p", "-oN", "-iL", "-T", "--seed", "--exclude", "-v", "-d3", "--", "-h"]).prop_map(Into::into),
            proptest::collection::vec(any::<u8>(), 0..8).prop_map(OsString::from_vec),
        ], 0..6)) {
        if let Err(why) = parse(words) {
            let line = why.to_string();
            prop_assert!(!line.is_empty() && !line.chars().any(char::is_control), "{line:?}");
        }
    }
}
