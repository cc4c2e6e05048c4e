//! What a scan by packets may do, what its packets look like, and what is listed without any.

use crate::network::{Network, PLAIN, SILENT};

#[test]
fn without_the_capability_a_syn_scan_is_refused_and_the_default_falls_back() {
    if !testkit::need_tool("setpriv") {
        return;
    }
    let Some(network) = Network::new("raw-caps") else { return };
    let bare = "setpriv --bounding-set -net_raw --inh-caps -net_raw";
    let refused = network.shell(&format!("{bare} $SCANNER -n -sS -p22 {PLAIN}"));
    assert_eq!((refused.code, refused.stdout.as_str()), (Some(4), ""), "{refused:#?}");
    assert!(refused.stderr.contains("-sS needs raw packets: CAP_NET_RAW is missing"), "{refused:#?}");
    assert!(refused.stderr.contains("sudo setcap cap_net_raw+ep "), "{refused:#?}");
    let fallen = network.shell(&format!("{bare} $SCANNER -n -p22,81 --reason {PLAIN}"));
    assert_eq!(fallen.code, Some(0), "{fallen:#?}");
    assert!(fallen.stderr.contains("scanning by TCP connect (-sT): CAP_NET_RAW is missing"), "{fallen:#?}");
    assert_eq!(fallen.port(81), ("closed", "conn-refused".to_owned()));
}

#[test]
fn the_capability_alone_is_enough_and_is_given_up_after_the_start() {
    if !testkit::need_tool("setpriv") {
        return;
    }
    let Some(network) = Network::new("raw-user") else { return };
    // An ordinary user who has nothing but the one capability, and no way to a folder of root's.
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("scanner");
    std::fs::copy(crate::support::SCANNER, &copy).unwrap();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(folder.path(), std::fs::Permissions::clone(&open)).unwrap();
    std::fs::set_permissions(&copy, open).unwrap();
    let user =
        "setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps +net_raw --ambient-caps +net_raw";
    let done = network.shell(&format!("{user} {} -n -sS -p22,23 --reason {PLAIN}", copy.display())).expect(0);
    assert_eq!(done.port(22), ("open", "syn-ack ttl 64".to_owned()));
    assert_eq!(done.port(23), ("closed", "reset ttl 64".to_owned()));
    // While it scans silent ports it holds no capability.
    let script =
        format!("$SCANNER -n -sS -Pn -p1-3000 {SILENT} >/dev/null & sleep 0.5; cat /proc/$!/status; kill $!");
    let status = network.shell(&script);
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert!(status.stdout.contains(&format!("{set}:\t0000000000000000")), "{set} {status:#?}");
    }
    assert!(status.stdout.contains("NoNewPrivs:\t1"), "{status:#?}");
}

#[test]
fn a_run_that_sends_no_packets_of_its_own_opens_no_capture() {
    let Some(network) = Network::new("raw-unused") else { return };
    let captures = |line: &str| {
        let done = network.scan(&format!("-n -p22,81 --reason --packet-trace=all {line}"));
        (done.stderr + &done.stdout).matches("nsock_pcap_read_packet").count()
    };
    let plain = PLAIN.to_string();
    for line in ["-sT 127.0.0.1 127.0.0.9 ::1", "-sn 127.0.0.0/30", &format!("-sT -Pn {plain}"), "-sL ::1"] {
        assert_eq!(captures(line), 0, "{line}");
    }
    for line in ["-sS 127.0.0.1", &format!("-sT {plain}"), &format!("-sT 127.0.0.1 {plain}")] {
        assert!(captures(line) > 0, "{line}");
    }
    let done = network.scan("-n -sT -p22,81 --reason 127.0.0.1").expect(0);
    assert!(done.stdout.contains("Host is up, received localhost-response"), "{done:#?}");
    assert_eq!(done.port(81), ("closed", "conn-refused".to_owned()));
}

#[test]
fn what_packets_are_to_look_like_is_what_they_look_like() {
    let Some(network) = Network::new("raw-options") else { return };
    let line = format!(
        "-n -sS -Pn -p22 -g 4444 --ttl 9 --data-string abcd -D 198.18.64.77,ME --max-retries 0 --packet-trace {PLAIN}"
    );
    let done = network.scan(&line).expect(0);
    let sent: Vec<&str> =
        done.stdout.lines().filter(|line| line.starts_with("SENT") && line.contains(" S ")).collect();
    assert_eq!(sent.len(), 2, "{done:#?}");
    assert!(sent[0].contains("TCP 198.18.64.77:4444 > 198.18.64.10:22 S ttl=9 "), "{sent:?}");
    assert!(sent[1].contains("TCP 198.18.64.5:4444 > 198.18.64.10:22 S ttl=9 "), "{sent:?}");
    assert!(sent.iter().all(|line| line.contains(" iplen=48 ")), "{sent:?}");
    assert_eq!(done.port(22).0, "open");
    // Whoever looks at checksums answers nothing.
    let bad = network.scan(&format!("-n -sS -Pn -p22 --badsum --max-retries 0 {PLAIN}")).expect(0);
    assert_eq!(bad.port(22).0, "filtered");
    let fragments = network.scan(&format!("-n -sS -Pn -p22,23 -f {PLAIN}")).expect(0);
    assert_eq!((fragments.port(22).0, fragments.port(23).0), ("open", "closed"));
    let ip = network.scan(&format!("-n -sS -p22,23 --send-ip {PLAIN}")).expect(0);
    assert_eq!((ip.port(22).0, ip.port(23).0), ("open", "closed"));
}

#[test]
fn listed_hosts_are_named_and_not_asked() {
    let Some(network) = Network::new("raw-list") else { return };
    let done = network.scan(&format!("-sL {PLAIN} 198.18.64.99")).expect(0);
    let hosts: Vec<&str> = done.stdout.lines().filter(|line| line.starts_with("Scan report")).collect();
    assert_eq!(hosts, ["Scan report for plain.example (198.18.64.10)", "Scan report for 198.18.64.99"]);
    assert!(done.stdout.contains("scanner done: 2 IP addresses (0 hosts up) scanned in "), "{done:#?}");
}

#[test]
fn interfaces_and_routes_are_listed() {
    let Some(network) = Network::new("raw-iflist") else { return };
    let done = network.scan("--iflist").expect(0);
    assert!(done.stdout.contains("198.18.64.5/24"), "{done:#?}");
    assert!(done.stdout.contains("DST/MASK"), "{done:#?}");
}
