//! What a scan by packets needs to be allowed to do, and for how long.

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
