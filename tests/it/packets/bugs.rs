//! What was wrong with nsock's packet events, by the numbers of its specification and of its users' threads.

use nsock::{Failure, LinkType, Misuse, PcapError, Pool};
use testkit::{Lab, SCANNER_LINK, UdpEcho, in_own_process, open_descriptors};

use super::wire::{Caught, Wire, frame, no_flood, options, run};
use crate::support::{LIMIT, Saw, Seen, connect_udp, finish, ms};
use crate::sys::open_tun;

/// `ARPHRD_CAN`: a link that the network layer is not on.
const CAN: u16 = 280;

#[test]
fn bug_11_deleting_a_packet_iod_leaves_nothing_behind_and_a_failed_open_no_junk() {
    let name = "packets::bugs::bug_11_deleting_a_packet_iod_leaves_nothing_behind_and_a_failed_open_no_junk";
    let _quiet = no_flood();
    in_own_process(name, bug_11);
}

fn bug_11() {
    let Some(wire) = Wire::new("bug-11").unwrap() else { return };
    wire.capture(|wire, pool, caught| {
        // The test's own sockets come and go between the two counts.
        let before = open_descriptors().unwrap();
        for round in 0..20 {
            let iod = pool.iod_new();
            assert!(pool.pcap_open(iod, "no-such", &options()).is_err());
            assert!(pool.iod_fd(iod).is_none() && pool.iod_link_type(iod).is_none());
            pool.pcap_open(iod, SCANNER_LINK, &options()).unwrap();
            pool.pcap_read_packet(iod, None, Caught::packet);
            wire.send(&[&frame(round, 60), &frame(round, 60)]);
            run(pool, caught);
            assert_eq!(caught.only().bytes, frame(round, 60));
            assert!(pool.iod_delete(iod));
            assert_eq!(open_descriptors().unwrap(), before);
        }
        // The loop neither fails nor spins: a timer is all there is to do.
        let transcript = crate::support::Transcript::of(pool, nsock::trace::Level::Full);
        pool.timer_create(ms(20), |_, _, _| ());
        wire.send(&[&frame(0, 60)]);
        run(pool, caught);
        let looks =
            transcript.messages().iter().filter(|line| line.starts_with("process_iod_events")).count();
        assert_eq!(looks, 0, "{}", transcript.text());
    });
}

#[test]
fn bug_12_an_unknown_link_type_is_an_error_and_not_the_end_of_the_program() {
    let _quiet = no_flood();
    let Some(lab) = Lab::new("bug-12").unwrap() else { return };
    let _tun = lab.in_scanner(|| open_tun("can0", Some(CAN))).unwrap().unwrap();
    assert!(lab.scanner_command("ip").args(["link", "set", "can0", "up"]).status().unwrap().success());
    lab.in_scanner(|| {
        let mut pool = Pool::<()>::new().unwrap();
        let iod = pool.iod_new();
        let error = pool.pcap_open(iod, "can0", &options()).unwrap_err();
        assert_eq!(error.to_string(), "cannot capture on can0: its link type 280 is not supported");
        assert!(matches!(error, PcapError::UnknownLinkType { hardware: CAN, .. }));
        pool.pcap_open(iod, "lo", &options()).unwrap();
        assert_eq!(pool.iod_link_type(iod), Some(LinkType::Ethernet));
    })
    .unwrap();
}

#[test]
fn bug_23_a_packet_read_without_any_deadline_is_woken_by_its_packet() {
    let _quiet = no_flood();
    let Some(wire) = Wire::new("bug-23").unwrap() else { return };
    wire.capture(|wire, pool, caught| {
        let iod = pool.iod_new();
        pool.pcap_open(iod, SCANNER_LINK, &options()).unwrap();
        pool.pcap_read_packet(iod, None, Caught::packet);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(ms(30));
                wire.send(&[&frame(3, 60)]);
            });
            pool.run(caught, None).unwrap();
        });
        assert_eq!(caught.only().bytes, frame(3, 60));
    });
}

#[test]
fn nmap_313_pcap_read_on_an_ordinary_iod_is_an_error() {
    let server = UdpEcho::start().unwrap();
    let (mut pool, mut seen) = (Pool::<Seen>::new().unwrap(), Seen::default());
    let ordinary = connect_udp(&mut pool, &mut seen, server.address());
    for iod in [ordinary, pool.iod_new()] {
        pool.pcap_read_packet(iod, LIMIT, |seen: &mut Seen, io, event| {
            assert_eq!(event.outcome, Err(Failure::Misuse(Misuse::NotPackets)));
            io.write(event.iod, b"still there", LIMIT, Seen::sent);
            seen.log.clear();
        });
    }
    assert_eq!(
        finish(&mut pool, &mut seen),
        [Saw::Sent(11), Saw::Failed(Failure::Misuse(Misuse::NotConnected))]
    );
    assert_eq!(pool.iod_link_type(ordinary), None);
    assert_eq!(pool.iod_pcap_stats(ordinary), Err(Failure::Misuse(Misuse::NotPackets)));
}

#[test]
fn ordinary_requests_on_a_packet_iod_are_errors() {
    let _quiet = no_flood();
    let Some(lab) = Lab::new("ordinary").unwrap() else { return };
    lab.in_scanner(|| {
        let (mut pool, mut seen) = (Pool::<Seen>::new().unwrap(), Seen::default());
        let iod = pool.iod_new();
        pool.pcap_open(iod, "lo", &options()).unwrap();
        pool.read(iod, LIMIT, Seen::received);
        pool.write(iod, b"x", LIMIT, Seen::sent);
        pool.connect_tcp(iod, "127.0.0.1:9".parse().unwrap(), LIMIT, Seen::connected);
        let misuse = |misuse| Saw::Failed(Failure::Misuse(misuse));
        assert_eq!(
            finish(&mut pool, &mut seen),
            [misuse(Misuse::Packets), misuse(Misuse::Packets), misuse(Misuse::AlreadyConnected)]
        );
    })
    .unwrap();
}

#[test]
fn nmap_961_delete_with_pending_pcap_reads() {
    let _quiet = no_flood();
    let Some(wire) = Wire::new("nmap-961").unwrap() else { return };
    wire.capture(|wire, pool, caught| {
        let open = |pool: &mut Pool<Caught>| {
            let iod = pool.iod_new();
            pool.pcap_open(iod, SCANNER_LINK, &options()).unwrap();
            for _ in 0..3 {
                pool.pcap_read_packet(iod, LIMIT, Caught::packet);
            }
            iod
        };
        let (silent, noticed) = (open(pool), open(pool));
        assert_eq!(pool.iod_delete_idle(silent), Err(3));
        assert!(pool.iod_delete(silent) && pool.iod_delete_notify(noticed));
        assert_eq!(pool.pending(), 3);
        wire.send(&[&frame(1, 60)]);
        run(pool, caught);
        let outcomes: Vec<_> = caught.log.drain(..).map(|(_, outcome)| outcome).collect();
        assert_eq!(outcomes, vec![Err(Failure::Cancelled); 3]);
        // From a handler, with one read finished and others waiting.
        let iod = open(pool);
        pool.pcap_read_packet(iod, LIMIT, |_, _, _| panic!("its IOD was deleted"));
        pool.timer_create(ms(30), move |caught: &mut Caught, io, _| {
            assert_eq!(caught.take().len(), 1);
            assert!(io.iod_delete(iod));
        });
        wire.send(&[&frame(2, 60)]);
        run(pool, caught);
        assert!(caught.log.is_empty() && pool.report().is_empty());
    });
}

#[test]
fn shutting_down_ends_packet_reads_too() {
    let _quiet = no_flood();
    let Some(lab) = Lab::new("shutdown").unwrap() else { return };
    lab.in_scanner(|| {
        let (mut pool, mut caught) = (Pool::new().unwrap(), Caught::default());
        let iod = pool.iod_new();
        pool.pcap_open(iod, "lo", &options()).unwrap();
        pool.pcap_read_packet(iod, LIMIT, Caught::packet);
        pool.shutdown(&mut caught);
        assert_eq!(caught.log.remove(0).1, Err(Failure::Killed));
    })
    .unwrap();
}
