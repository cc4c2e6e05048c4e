//! Devices other than a veth, and devices that cannot be opened.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::UdpSocket;

use nsock::{
    BpfInstruction, Failure, Fault, Filter, IodState, LinkType, Misuse, PacketType, PcapError, PcapOptions,
    Pool,
};
use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
use testkit::{Lab, SCANNER_LINK};

use super::wire::{Caught, Wire, frame, no_flood, options, run};
use crate::support::{LIMIT, ms};
use crate::sys::open_tun;

/// The load that every filter here begins with: a byte of the packet.
fn load(offset: u32) -> BpfInstruction {
    BpfInstruction { code: 0x30, jt: 0, jf: 0, k: offset }
}

/// Lets a packet through whose loaded byte is this one.
fn if_equal(byte: u32) -> [BpfInstruction; 3] {
    [
        BpfInstruction { code: 0x15, jt: 0, jf: 1, k: byte },
        BpfInstruction { code: 0x06, jt: 0, jf: 0, k: 0x40000 },
        BpfInstruction { code: 0x06, jt: 0, jf: 0, k: 0 },
    ]
}

/// UDP in IPv4 that starts at this offset.
fn udp_at(offset: u32) -> PcapOptions {
    let mut options = PcapOptions::default();
    options.filter = Some(Filter::bpf([&[load(offset + 9)][..], &if_equal(17)].concat()));
    options
}

/// An IPv4 packet with a UDP header and some data, without checksums.
fn udp_packet() -> Vec<u8> {
    let mut packet = vec![0x45, 0, 0, 32, 0, 0, 0, 0, 64, 17, 0, 0, 198, 18, 65, 2, 198, 18, 65, 1];
    packet.extend([0, 53, 0, 53, 0, 12, 0, 0, 1, 2, 3, 4]);
    packet
}

#[test]
fn on_the_loopback_each_packet_is_there_once_as_ethernet() {
    let _quiet = no_flood();
    let Some(lab) = Lab::new("loopback").unwrap() else { return };
    lab.in_scanner(|| {
        let (mut pool, mut caught) = (Pool::new().unwrap(), Caught::default());
        let iod = pool.iod_new();
        pool.pcap_open(iod, "lo", &udp_at(14)).unwrap();
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        for text in [b"one", b"two"] {
            sender.send_to(text, receiver.local_addr().unwrap()).unwrap();
        }
        for _ in 0..3 {
            pool.pcap_read_packet(iod, Some(ms(200)), Caught::packet);
        }
        run(&mut pool, &mut caught);
        assert_eq!(caught.log.pop().unwrap().1, Err(Failure::TimedOut));
        let packets = caught.take();
        assert_eq!(packets.len(), 2);
        for (packet, text) in packets.iter().zip([b"one", b"two"]) {
            assert_eq!((packet.link_type, packet.l2().len()), (LinkType::Ethernet, 14));
            assert_eq!((packet.length, &packet.l3()[28..]), (14 + 28 + 3, &text[..]));
            assert_eq!(packet.packet_type, PacketType::Host);
        }
        assert_eq!(pool.iod_pcap_stats(iod).unwrap().received, 2);
    })
    .unwrap();
}

#[test]
fn on_a_tun_device_packets_start_with_the_network_layer() {
    let _quiet = no_flood();
    let Some(lab) = Lab::new("tun").unwrap() else { return };
    let mut tun = lab.in_scanner(|| open_tun("tun0", None)).unwrap().unwrap();
    let up = lab.scanner_command("ip").args(["link", "set", "tun0", "up"]).status().unwrap();
    assert!(up.success());
    lab.in_scanner(|| {
        let (mut pool, mut caught) = (Pool::new().unwrap(), Caught::default());
        let iod = pool.iod_new();
        pool.pcap_open(iod, "tun0", &udp_at(0)).unwrap();
        pool.pcap_read_packet(iod, LIMIT, Caught::packet);
        tun.write_all(&udp_packet()).unwrap();
        run(&mut pool, &mut caught);
        let packet = caught.only();
        assert_eq!((packet.link_type, packet.length), (LinkType::Raw, 32));
        assert_eq!(packet.split(), (&[][..], &udp_packet()[..]));
    })
    .unwrap();
}

#[test]
fn the_any_interface_sees_all_of_them_with_a_cooked_header() {
    let _quiet = no_flood();
    let Some(wire) = Wire::new("any").unwrap() else { return };
    wire.capture(|wire, pool, caught| {
        let iod = pool.iod_new();
        // The type field of the cooked header, which the filter has to ask the kernel for.
        let mut ours = PcapOptions::default();
        ours.filter = Some(Filter::bpf([
            BpfInstruction { code: 0x28, jt: 0, jf: 0, k: 14 },
            BpfInstruction { code: 0x15, jt: 2, jf: 0, k: u32::from(super::TEST_TYPE) },
            load(16 + 9),
            BpfInstruction { code: 0x15, jt: 0, jf: 1, k: 17 },
            BpfInstruction { code: 0x06, jt: 0, jf: 0, k: 0x40000 },
            BpfInstruction { code: 0x06, jt: 0, jf: 0, k: 0 },
        ]));
        pool.pcap_open(iod, "any", &ours).unwrap();
        wire.send(&[&frame(9, 60)]);
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.send_to(b"self", socket.local_addr().unwrap()).unwrap();
        for _ in 0..3 {
            pool.pcap_read_packet(iod, Some(ms(200)), Caught::packet);
        }
        run(pool, caught);
        assert_eq!(
            caught.log.pop().unwrap().1,
            Err(Failure::TimedOut),
            "the loopback's packet is there once"
        );
        let packets = caught.take();
        let interfaces: BTreeSet<_> = packets.iter().map(|packet| packet.interface).collect();
        assert_eq!((packets.len(), interfaces.len()), (2, 2));
        let ours = &packets[0];
        assert_eq!((ours.link_type, ours.length, ours.l2().len()), (LinkType::Cooked, 62, 16));
        assert_eq!(ours.l3(), &frame(9, 60)[14..]);
        // To us; Ethernet; six bytes of address, the sender's; the type.
        let header = [0, 0, 0, 1, 0, 6, 0x02, 0, 0, 0, 0x64, 0x10, 0, 0, 0x88, 0xb5];
        assert_eq!(ours.l2(), header);
        assert_eq!(&packets[1].l3()[28..], b"self");
    });
}

#[test]
fn an_interface_that_goes_down_fails_one_read_and_the_capture_goes_on_when_it_is_up() {
    let _quiet = no_flood();
    let Some(wire) = Wire::new("down").unwrap() else { return };
    let set = |state: &str| {
        let mut command = wire.lab.scanner_command("ip");
        assert!(command.args(["link", "set", SCANNER_LINK, state]).status().unwrap().success());
    };
    wire.capture(|wire, pool, caught| {
        let iod = pool.iod_new();
        pool.pcap_open(iod, SCANNER_LINK, &options()).unwrap();
        pool.pcap_read_packet(iod, LIMIT, Caught::packet);
        set("down");
        run(pool, caught);
        let failure = caught.log.remove(0).1.unwrap_err();
        assert_eq!((failure.errno(), failure.fault()), (Some(libc::ENETDOWN), Fault::Local));
        set("up");
        pool.pcap_read_packet(iod, LIMIT, Caught::packet);
        wire.send(&[&frame(1, 60)]);
        run(pool, caught);
        assert_eq!(caught.only().bytes, frame(1, 60));
    });
}

/// The errors of opening, each on one IOD that stays idle and opens at last.
#[test]
fn what_cannot_be_opened_says_why_and_leaves_the_iod_as_it_was() {
    let name = "packets::devices::what_cannot_be_opened_says_why_and_leaves_the_iod_as_it_was";
    testkit::in_own_process(name, refused);
}

fn refused() {
    let _quiet = no_flood();
    let Some(lab) = Lab::new("refused").unwrap() else { return };
    let down = lab.scanner_command("ip").args(["link", "add", "down0", "type", "dummy"]).status().unwrap();
    let down = if down.success() { "down0" } else { "tun1" };
    let _tun = lab.in_scanner(|| open_tun("tun1", None)).unwrap().unwrap();
    lab.in_scanner(|| {
        let mut pool = Pool::<()>::new().unwrap();
        let iod = pool.iod_new();
        let before = testkit::open_descriptors().unwrap();
        let mut open = |device: &str, options: &PcapOptions| {
            let error = pool.pcap_open(iod, device, options).unwrap_err();
            assert_eq!((pool.iod_fd(iod).is_none(), pool.iod_link_type(iod)), (true, None), "{error}");
            assert_eq!(pool.report().iods[0].state, IodState::Idle);
            error
        };
        assert!(matches!(open("no-such", &options()), PcapError::NoDevice { .. }));
        let error = open(down, &options());
        assert!(matches!(error, PcapError::Down { .. }), "{error}");
        assert!(error.to_string().ends_with(&format!("it is down; `ip link set {down} up` starts it")));
        let mut bad = options();
        bad.filter = Some(Filter::bpf([load(0)]));
        assert!(matches!(open("lo", &bad), PcapError::Filter { .. }), "a program that does not return");
        bad.filter = Some(Filter::bpf([]));
        assert!(matches!(open("lo", &bad), PcapError::Filter { .. }), "no program");
        bad.filter = Some(Filter::bpf(vec![load(0); 70_000]));
        assert!(matches!(open("lo", &bad), PcapError::Filter { .. }), "too long a program");
        let raw = |set: CapabilitySet| set - CapabilitySet::NET_RAW;
        let all = capabilities(None).unwrap();
        let mut fewer = all;
        fewer.effective = raw(fewer.effective);
        set_capabilities(None, fewer).unwrap();
        assert!(matches!(open("lo", &options()), PcapError::NotAllowed { .. }));
        set_capabilities(None, all).unwrap();
        assert_eq!(testkit::open_descriptors().unwrap(), before);
        pool.pcap_open(iod, "lo", &options()).unwrap();
        assert!(matches!(
            pool.pcap_open(iod, "lo", &options()),
            Err(PcapError::Misuse(Misuse::AlreadyConnected))
        ));
        assert_eq!(pool.iod_link_type(iod), Some(LinkType::Ethernet), "the second open changes nothing");
        assert!(pool.iod_delete(iod));
        assert!(matches!(pool.pcap_open(iod, "lo", &options()), Err(PcapError::Misuse(Misuse::StaleIod))));
    })
    .unwrap();
}
