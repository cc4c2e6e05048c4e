use super::*;
use proptest::prelude::*;
use std::os::unix::ffi::OsStringExt;

fn split(line: &str) -> Vec<OsString> {
    line.split(' ').filter(|word| !word.is_empty()).map(Into::into).collect()
}

fn joined(arguments: &[OsString]) -> String {
    arguments.iter().map(|argument| argument.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

#[test]
fn what_is_typed_goes_before_what_an_earlier_run_was_asked() {
    let table = [
        ("--max-rate 10", "-sT --max-rate 2000 -p1-9 host", "--max-rate 10 -sT -p1-9 host"),
        ("--max-rate=10 -v3", "--max-rate=5 -vv -d host", "--max-rate=10 --verbose=3 --debug host"),
        ("-T 2", "-T4 -T polite host", "-T2 host"),
        ("-T2", "-p acket-trace -T host", "-T2 -p acket-trace"),
        ("-R", "-n -oX a host", "-R --output-xml=a host"),
        ("--system-dns", "--dns-servers ::1 --dns-servers ::2 host", "--system-dns host"),
        (
            "-oX b",
            "-oA a host",
            "--output-xml=b --output-normal=a.nmap --output-grepable=a.gnmap --output-json=a.ndjson host",
        ),
        ("-oA b", "-oX a -oJ c -oH d host", "--output-all=b --output-html=d host"),
        ("--proxies socks5://joe:x@::1", "--proxies socks5://::1 host", "--proxies socks5://joe:x@::1 host"),
        // What would make it another scan is there twice, and refused for it.
        ("-p 1", "-p 2 --shard 1/2 host", "-p1 -p2 --shard 1/2 host"),
        ("--shard 2/2 -6", "--shard 1/2 -4 host", "--shard 2/2 -6 --shard 1/2 -4 host"),
        // Behind the dashes are only targets.
        ("--max-rate 10 --", "--max-rate 5 -- --max-rate 5", "--max-rate 10 -- --max-rate 5"),
    ];
    for (typed, earlier, expected) in table {
        let both = normalize(split(typed)).before(normalize(split(earlier)));
        assert_eq!(joined(&both.arguments), expected, "{typed} before {earlier}");
        assert_eq!(normalize(both.arguments.clone()).arguments, both.arguments, "{typed} before {earlier}");
    }
}

#[test]
fn every_spelling_has_one_canonical_form() {
    let table = [
        ("-sT 127.0.0.1", "-sT 127.0.0.1"),
        ("-Pn -P0 -PN -PD", "-Pn -Pn -Pn -Pn"),
        ("-p 22 -p22 -p-", "-p22 -p22 -p-"),
        ("-p - host", "-p- host"),
        ("-p -100 host", "-p-100 host"),
        ("-p T:22,U:53", "-pT:22,U:53"),
        ("-p acket-trace", "-p acket-trace"),
        ("-T4 -T 4 -T polite -Tinsane", "-T4 -T4 -Tpolite -Tinsane"),
        ("-n -6 -nvv -4R", "-n -6 -n --verbose --verbose -4 -R"),
        (
            "-vv -v2 -v -v0 -vvv",
            "--verbose --verbose --verbose=2 --verbose --verbose=0 --verbose --verbose --verbose",
        ),
        ("-d HOST -dd -d3 -d", "--debug HOST --debug --debug --debug=3 --debug"),
        ("-vd3n", "--verbose --debug=3 -n"),
        ("-Fp 22", "-F -p22"),
        ("-oN out.txt host", "--output-normal=out.txt host"),
        ("-oN - host", "--output-normal=- host"),
        ("-oN=out.txt", "--output-normal=out.txt"),
        ("-oN -sT", "--output-normal=-sT"),
        ("-oN", "--output-normal"),
        ("-iL list -iL -", "--input-list=list --input-list=-"),
        ("-packet-trace", "--packet-trace"),
        ("-packet_trace --packet_trace", "--packet-trace --packet-trace"),
        ("--packet-trace net", "--packet-trace net"),
        ("-packet-trace=net --packet-trace=all", "--packet-trace=net --packet-trace=all"),
        ("-pack", "--packet-trace"),
        ("--top 10 -top 10 -top-ports=10", "--top-ports 10 --top-ports 10 --top-ports=10"),
        ("--exclude-ports -100 host", "--exclude-ports=-100 host"),
        ("--open -open -reason --seed 7", "--open --open --reason --seed 7"),
        ("--dns_servers 198.18.0.1", "--dns-servers 198.18.0.1"),
        ("-h -V -help --help", "-h -V --help --help"),
        ("-- -oN -sS --packet_trace", "-- -oN -sS --packet_trace"),
        ("-n -- -n", "-n -- -n"),
        ("- host", "- host"),
        ("-z -nz --frobnicate --frobnicate=3", "-z -nz --frobnicate --frobnicate=3"),
        ("--seed", "--seed"),
    ];
    for (typed, expected) in table {
        let normalized = normalize(split(typed));
        assert_eq!(normalized.refusal, None, "{typed}");
        assert_eq!(joined(&normalized.arguments), expected, "{typed}");
        assert_eq!(normalize(normalized.arguments.clone()).arguments, normalized.arguments, "{typed}");
    }
}

#[test]
fn an_empty_value_is_kept() {
    let normalized = normalize(vec!["-p".into(), OsString::new(), "host".into()]);
    assert_eq!(normalized.arguments, ["-p", "", "host"]);
}

#[test]
fn what_was_typed_can_be_named() {
    let normalized = normalize(split("-oN a -packet-trace --top 5 -d3 -n"));
    for (canonical, typed) in [
        ("--output-normal", "-oN"),
        ("--packet-trace", "-packet-trace"),
        ("--top-ports", "--top"),
        ("--debug", "-d3"),
        ("-n", "-n"),
        ("--seed", "--seed"),
    ] {
        assert_eq!(normalized.typed(canonical), typed);
    }
}

#[test]
fn every_refused_option_is_named_with_what_to_use_instead() {
    for typed in refused::spellings() {
        let normalized = normalize(vec![OsString::from(&typed), "198.18.0.1".into()]);
        let Some(refusal @ Refusal::NotSupported { .. }) = &normalized.refusal else {
            panic!("{typed}: {:?}", normalized.refusal)
        };
        let line = refusal.to_string();
        assert!(line.starts_with(&format!("{typed} is not supported: ")), "{line}");
        assert!(line.len() <= 160 && !line.contains('\n'), "{line}");
        assert_eq!(normalized.arguments, [OsString::from(&typed), "198.18.0.1".into()]);
    }
    for typed in [
        "-sTO",
        "-PO",
        "-sZ",
        "-A",
        "-nA",
        "-oS",
        "-iR",
        "-sV",
        "--script=x",
        "-script",
        "--osscan_guess",
        "--version-intensity=5",
        "-traceroute",
        "--port-r",
    ] {
        let refusal = normalize(split(typed)).refusal;
        assert!(matches!(refusal, Some(Refusal::NotSupported { .. })), "{typed}: {refusal:?}");
    }
}

#[test]
fn other_refusals_are_one_clear_line() {
    let table = [
        ("-sQ x", "-sQ: Scantype Q not supported; use -sS, -sT or -sU"),
        ("-s x", "option requires an argument -- 's'; use -sS, -sT or -sU"),
        ("-PQ x", "-PQ: Illegal Argument to -P, use -Pn, -PE, -PS, -PA, -PP, -PM or -PU"),
        ("-P x", "-P: Illegal Argument to -P, use -Pn, -PE, -PS, -PA, -PP, -PM or -PU"),
        ("-Pn80 x", "-Pn80: Illegal Argument to -P, use -Pn, -PE, -PS, -PA, -PP, -PM or -PU"),
        ("--min-r 5", "option '--min-r' is ambiguous; possibilities: '--min-rate' '--min-rtt-timeout'"),
        (
            "--excl 1",
            "option '--excl' is ambiguous; possibilities: '--exclude-ports' '--exclude' '--excludefile'",
        ),
        ("x –sT", "Unparseable option (dash, not '-') in argument 2: \"–sT\""),
        ("−n", "Unparseable option (dash, not '-') in argument 1: \"−n\""),
    ];
    for (typed, expected) in table {
        let normalized = normalize(split(typed));
        assert_eq!(
            normalized.refusal.map(|refusal| refusal.to_string()).as_deref(),
            Some(expected),
            "{typed}"
        );
        assert_eq!(joined(&normalized.arguments), typed);
    }
    assert!(
        normalize(split("--ver"))
            .refusal
            .is_some_and(|why| why.to_string().contains("'--verbose' '--version'"))
    );
}

fn argument() -> impl Strategy<Value = OsString> {
    let pieces = [
        "-",
        "--",
        "p",
        "s",
        "T",
        "v",
        "d",
        "3",
        "oN",
        "iL",
        "packet",
        "-trace",
        "_",
        "=",
        "top-ports",
        "open",
        "n",
        "acket-trace",
        "P",
        "A",
        "reason",
        "",
        "–",
        "exclude",
    ];
    let built = proptest::collection::vec(proptest::sample::select(pieces.to_vec()), 0..4)
        .prop_map(|pieces| pieces.concat().into());
    let bytes = proptest::collection::vec(any::<u8>(), 0..6).prop_map(OsString::from_vec);
    let dashed = proptest::collection::vec(any::<u8>(), 0..4)
        .prop_map(|bytes| OsString::from_vec([b"-".to_vec(), bytes].concat()));
    prop_oneof![4 => built, 1 => bytes, 1 => dashed]
}

proptest! {
    #[test]
    fn normalizing_twice_changes_nothing(arguments in proptest::collection::vec(argument(), 0..6)) {
        let once = normalize(arguments);
        let twice = normalize(once.arguments.clone());
        prop_assert_eq!(&once.arguments, &twice.arguments);
        prop_assert_eq!(once.refusal.is_some(), twice.refusal.is_some());
    }

    #[test]
    fn full_names_with_two_dashes_stay_as_they_are(
        picks in proptest::collection::vec((0..options::LONGS.len(), "[a-z0-9.:/][a-z0-9.:/-]{0,8}", any::<bool>()), 0..6),
    ) {
        let mut arguments: Vec<OsString> = Vec::new();
        for (index, value, joined) in picks {
            let option = &options::LONGS[index];
            match option.value {
                Value::None => arguments.push(option.spelling.into()),
                _ if joined || option.disguised => arguments.push(format!("{}={value}", option.spelling).into()),
                Value::Attached => arguments.push(option.spelling.into()),
                Value::Required => arguments.extend([option.spelling.into(), value.into()]),
            }
        }
        let normalized = normalize(arguments.clone());
        prop_assert_eq!(normalized.arguments, arguments);
        prop_assert_eq!(normalized.refusal, None);
    }
}
