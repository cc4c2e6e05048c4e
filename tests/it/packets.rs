//! Captures, packet sockets and raw sockets, on wires that the tests make themselves.

mod batches;
mod bugs;
mod devices;
#[cfg(test)]
mod model;
mod wire;

use std::time::SystemTime;

use nsock::trace::Level;
use nsock::{BpfInstruction, Failure, Filter, LinkType, PacketType, Pool, SNAPLEN_MAX};
use testkit::{Lab, SCANNER_LINK};

use crate::support::{LIMIT, Transcript, ms};
use wire::{Caught, TEST_TYPE, Wire, backlog_drops, flood, frame, no_flood, only_ours, options, run};

#[test]
#[expect(clippy::disallowed_methods, reason = "the kernel's time stamps are of this clock")]
fn a_frame_on_a_veth_arrives_with_its_lengths_time_and_split() {
    let _quiet = no_flood();
    let Some(wire) = Wire::new("veth").unwrap() else { return };
    wire.capture(|wire, pool, caught| {
        let mut few = options();
        few.snaplen = 60;
        let iod = pool.iod_new();
        pool.pcap_open(iod, SCANNER_LINK, &few).unwrap();
        assert_eq!(pool.iod_link_type(iod), Some(LinkType::Ethernet));
        pool.pcap_read_packet(iod, LIMIT, Caught::packet);
        let before = SystemTime::now();
        wire.send(&[&frame(7, 100)]);
        run(pool, caught);
        let packet = caught.only();
        assert!(packet.time >= before && packet.time <= SystemTime::now(), "{:?}", packet.time);
        assert_eq!((packet.length, &packet.bytes[..]), (100, &frame(7, 100)[..60]));
        assert_eq!((packet.l2(), packet.l3()), (&frame(7, 100)[..14], &frame(7, 100)[14..60]));
        assert_eq!((packet.link_type, packet.packet_type), (LinkType::Ethernet, PacketType::Host));
        assert_eq!(packet.interface, nsock::Io::<()>::interface_index(SCANNER_LINK).unwrap());
    });
}

#[test]
fn a_vlan_tag_is_where_it_was_on_the_wire_and_belongs_to_the_link_layer() {
    let _quiet = no_flood();
    let Some(wire) = Wire::new("vlan").unwrap() else { return };
    wire.capture(|wire, pool, caught| {
        let mut tagged = frame(1, 96);
        tagged.splice(12..12, [0x81, 0x00, 0x20, 0x05]);
        let iod = pool.iod_new();
        pool.pcap_open(iod, SCANNER_LINK, &options()).unwrap();
        pool.pcap_read_packet(iod, LIMIT, Caught::packet);
        wire.send(&[&tagged]);
        run(pool, caught);
        let packet = caught.only();
        assert_eq!((packet.length, &packet.bytes), (100, &tagged));
        assert_eq!((packet.l2().len(), packet.l3()), (18, &frame(1, 96)[14..]));
    });
}

#[test]
fn both_directions_are_seen_unless_one_is_not_wanted() {
    let _quiet = no_flood();
    let Some(wire) = Wire::new("directions").unwrap() else { return };
    wire.capture(|wire, pool, caught| {
        let (both, incoming) = (pool.iod_new(), pool.iod_new());
        let mut only_incoming = options();
        only_incoming.ignore_outgoing = true;
        pool.pcap_open(both, SCANNER_LINK, &options()).unwrap();
        pool.pcap_open(incoming, SCANNER_LINK, &only_incoming).unwrap();
        wire.send_out(pool, caught, &frame(1, 60));
        wire.send(&[&frame(2, 60)]);
        for iod in [both, both, incoming] {
            pool.pcap_read_packet(iod, LIMIT, Caught::packet);
        }
        run(pool, caught);
        let mut seen: Vec<_> =
            caught.take().into_iter().map(|packet| (packet.packet_type, packet.bytes)).collect();
        seen.sort_by_key(|(_, bytes)| bytes.clone());
        let (out, back) = ((PacketType::Outgoing, frame(1, 60)), (PacketType::Host, frame(2, 60)));
        assert_eq!(seen, [out, back.clone(), back]);
    });
}

#[test]
fn what_is_for_other_machines_is_seen_in_promiscuous_mode_only() {
    let _quiet = no_flood();
    let Some(wire) = Wire::new("promiscuous").unwrap() else { return };
    wire.capture(|wire, pool, caught| {
        let mut others = frame(1, 60);
        others[5] = 0x77;
        let iod = pool.iod_new();
        let mut all = options();
        all.promiscuous = true;
        pool.pcap_open(iod, SCANNER_LINK, &all).unwrap();
        pool.pcap_read_packet(iod, LIMIT, Caught::packet);
        wire.send(&[&others]);
        run(pool, caught);
        let packet = caught.only();
        assert_eq!((packet.packet_type, packet.bytes), (PacketType::OtherHost, others));
    });
}

#[test]
fn queued_reads_get_the_packets_in_the_order_they_were_made() {
    let _quiet = no_flood();
    let Some(wire) = Wire::new("fifo").unwrap() else { return };
    wire.capture(|wire, pool, caught| {
        let iod = pool.iod_new();
        pool.pcap_open(iod, SCANNER_LINK, &options()).unwrap();
        let asked: Vec<_> = (0..100).map(|_| pool.pcap_read_packet(iod, LIMIT, Caught::packet)).collect();
        assert_eq!(asked[0].number() & 7, 5);
        let frames: Vec<_> = (0..100).map(|number| frame(number, 60)).collect();
        wire.send(&frames.iter().map(Vec::as_slice).collect::<Vec<_>>());
        run(pool, caught);
        assert_eq!(caught.log.iter().map(|(id, _)| *id).collect::<Vec<_>>(), asked);
        assert_eq!(caught.take().into_iter().map(|packet| packet.bytes).collect::<Vec<_>>(), frames);
    });
}

#[test]
fn two_hundred_thousand_frames_in_bursts_are_delivered_or_reported_dropped() {
    const BURST: u32 = 2_000;
    const BURSTS: u32 = 100;
    let _alone = flood();
    let Some(wire) = Wire::new("bursts").unwrap() else { return };
    let before = backlog_drops();
    wire.capture(|wire, pool, caught| {
        let iod = pool.iod_new();
        let mut small = options();
        small.snaplen = 64;
        small.buffer_bytes = 600_000;
        pool.pcap_open(iod, SCANNER_LINK, &small).unwrap();
        fn again(caught: &mut Caught, io: &mut nsock::Io<Caught>, event: nsock::Event<nsock::Packet>) {
            let packet = event.outcome.unwrap();
            let number = u32::from_be_bytes(packet.bytes[14..18].try_into().unwrap());
            assert!(caught.last.is_none_or(|last| number > last), "{number} behind {:?}", caught.last);
            caught.last = Some(number);
            caught.count += 1;
            io.pcap_read_packet(event.iod, None, again);
        }
        pool.pcap_read_packet(iod, None, again);
        for burst in 0..BURSTS {
            let frames: Vec<_> = (0..BURST).map(|number| frame(burst * BURST + number, 60)).collect();
            wire.send(&frames.iter().map(Vec::as_slice).collect::<Vec<_>>());
            pool.run(caught, Some(ms(1))).unwrap();
        }
        while caught.count > 0 && pool.run(caught, Some(ms(100))).is_ok() {
            let stats = pool.iod_pcap_stats(iod).unwrap();
            if caught.count + stats.dropped == stats.received {
                break;
            }
        }
        let stats = pool.iod_pcap_stats(iod).unwrap();
        assert_eq!(caught.count + stats.dropped, stats.received, "{stats:?}");
        let on_the_way = u64::from(BURST * BURSTS).checked_sub(stats.received).expect("none twice");
        assert!(on_the_way <= backlog_drops() - before, "{stats:?}, and {on_the_way} lost without a trace");
        assert!(caught.count > 0 && stats.dropped > 0, "{stats:?}: both were to be seen");
    });
}

#[test]
fn a_read_that_is_cancelled_leaves_its_packet_to_the_next_one() {
    let _quiet = no_flood();
    let Some(wire) = Wire::new("cancel").unwrap() else { return };
    wire.capture(|wire, pool, caught| {
        let (first, second) = (pool.iod_new(), pool.iod_new());
        pool.pcap_open(first, SCANNER_LINK, &options()).unwrap();
        pool.pcap_open(second, SCANNER_LINK, &options()).unwrap();
        // Waiting: the one behind it moves up.
        let gone = pool.pcap_read_packet(second, LIMIT, Caught::packet);
        assert!(pool.event_cancel(gone));
        // Finished and not delivered: both get the frame in one turn, and the handler of the first cancels the other.
        let finished = pool.pcap_read_packet(second, LIMIT, Caught::packet);
        pool.pcap_read_packet(first, LIMIT, move |_, io, event| {
            assert!(event.outcome.is_ok() && io.event_cancel(finished));
            io.pcap_read_packet(second, LIMIT, Caught::packet);
        });
        wire.send(&[&frame(5, 60), &frame(6, 60)]);
        run(pool, caught);
        let log: Vec<_> =
            caught.log.drain(..).map(|(_, outcome)| outcome.map(|packet| packet.bytes)).collect();
        let cancelled = || Err(Failure::Cancelled);
        assert_eq!(log, [cancelled(), cancelled(), Ok(frame(5, 60))]);
    });
}

#[test]
fn a_read_without_a_packet_times_out_and_one_with_none_waits_without_work() {
    let _quiet = no_flood();
    let Some(wire) = Wire::new("limit").unwrap() else { return };
    wire.capture(|wire, pool, caught| {
        let iod = pool.iod_new();
        pool.pcap_open(iod, SCANNER_LINK, &options()).unwrap();
        pool.pcap_read_packet(iod, Some(ms(20)), Caught::packet);
        run(pool, caught);
        assert_eq!(caught.log.remove(0).1, Err(Failure::TimedOut));
        wire.send(&[&frame(1, 60)]);
        pool.pcap_read_packet(iod, Some(ms(0)), Caught::packet);
        run(pool, caught);
        assert_eq!(caught.only().bytes, frame(1, 60));
    });
}

#[test]
fn a_filter_of_instructions_selects_from_the_first_packet_on_and_cuts() {
    let _quiet = no_flood();
    let Some(wire) = Wire::new("bpf").unwrap() else { return };
    wire.capture(|wire, pool, caught| {
        // Only ours, and of them those whose number is odd.
        let odd = Filter::bpf([
            BpfInstruction { code: 0x28, jt: 0, jf: 0, k: 12 },
            BpfInstruction { code: 0x15, jt: 0, jf: 3, k: u32::from(TEST_TYPE) },
            BpfInstruction { code: 0x30, jt: 0, jf: 0, k: 17 },
            BpfInstruction { code: 0x45, jt: 0, jf: 1, k: 1 },
            BpfInstruction { code: 0x06, jt: 0, jf: 0, k: 0x40000 },
            BpfInstruction { code: 0x06, jt: 0, jf: 0, k: 0 },
        ]);
        let mut selective = options();
        selective.filter = Some(odd);
        selective.snaplen = 20;
        let iod = pool.iod_new();
        pool.pcap_open(iod, SCANNER_LINK, &selective).unwrap();
        let frames: Vec<_> = (0..10).map(|number| frame(number, 90)).collect();
        wire.send(&frames.iter().map(Vec::as_slice).collect::<Vec<_>>());
        for _ in 0..6 {
            pool.pcap_read_packet(iod, Some(ms(300)), Caught::packet);
        }
        run(pool, caught);
        assert_eq!(caught.log.pop().unwrap().1, Err(Failure::TimedOut));
        let got: Vec<_> = caught.take().into_iter().map(|packet| (packet.bytes, packet.length)).collect();
        let expected: Vec<_> = (0..5).map(|half| (frame(2 * half + 1, 90)[..20].to_vec(), 90)).collect();
        assert_eq!(got, expected);
        assert_eq!(pool.iod_pcap_stats(iod).unwrap().received, 5);
    });
}

#[test]
fn the_classic_trace_has_nsocks_lines() {
    let Some(lab) = Lab::new("trace").unwrap() else { return };
    lab.in_scanner(|| {
        let (mut pool, mut caught) = (Pool::<Caught>::new().unwrap(), Caught::default());
        let transcript = Transcript::of(&mut pool, Level::Info);
        let iod = pool.iod_new();
        let mut few = only_ours(SNAPLEN_MAX);
        few.snaplen = 60;
        pool.pcap_open(iod, "lo", &few).unwrap();
        let fd = std::os::fd::AsRawFd::as_raw_fd(&pool.iod_fd(iod).unwrap());
        pool.pcap_read_packet(iod, Some(ms(1)), Caught::packet);
        run(&mut pool, &mut caught);
        let refused = pool.iod_new();
        assert!(pool.pcap_open(refused, "no-such", &options()).is_err());
        assert_eq!(
            transcript.messages(),
            [
                "nsock_iod_new2(): nsock_iod_new (IOD #1)".to_owned(),
                "nsock_pcap_open(): PCAP requested on device 'lo' with berkeley filter '' (promisc=0 snaplen=60 \
                 to_ms=200) (IOD #1)"
                    .to_owned(),
                format!(
                    "nsock_pcap_open(): PCAP created successfully on device 'lo' (pcap_desc={fd} bsd_hack=0 \
                     to_valid=1 l3_offset=14) (IOD #1)"
                ),
                "nsock_pcap_read_packet(): Pcap read request from IOD #1  EID 13".to_owned(),
                "nsock_trace_handler_callback(): Callback: READ-PCAP TIMEOUT for EID 13 ".to_owned(),
                "nsock_iod_new2(): nsock_iod_new (IOD #2)".to_owned(),
                "nsock_pcap_open(): PCAP requested on device 'no-such' with berkeley filter '' (promisc=0 \
                 snaplen=65535 to_ms=200) (IOD #2)"
                    .to_owned(),
                "nsock_pcap_open(): pcap_activate(no-such) FAILED: No such device.".to_owned(),
            ]
        );
    })
    .unwrap();
}
