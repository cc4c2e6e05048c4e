//! Batches of datagrams, raw sockets, and queues that are full.

use std::net::{SocketAddr, UdpSocket};

use nsock::{
    Datagram, Failure, Io, IpVersion, LinkDestination, Misuse, PcapOptions, Pool, READ_BATCH_MAX,
    SocketOptions,
};
use testkit::{Lab, SCANNER_LINK, TARGET_LINK, TARGETS_V4, TcpEcho};

use super::wire::{Caught, Wire, frame, no_flood, options, run};
use crate::support::{LIMIT, Saw, Seen, connect, ms};

/// Datagrams of many lengths, the empty one included, each told by its number.
fn texts(count: usize) -> Vec<Vec<u8>> {
    (0..count)
        .map(|number| match number % 50 {
            0 => Vec::new(),
            rest => [&number.to_be_bytes()[..], &vec![7; rest * 20]].concat(),
        })
        .collect()
}

#[test]
fn batches_arrive_whole_and_in_order_and_many_in_one_event() {
    const COUNT: usize = 1_000;
    let (mut pool, mut caught) = (Pool::new().unwrap(), Caught::default());
    let (sender, receiver) = (pool.iod_new(), pool.iod_new());
    pool.setup_udp(receiver, testkit::LOOPBACK_V4).unwrap();
    pool.setup_udp(sender, testkit::LOOPBACK_V4).unwrap();
    let fd = pool.iod_fd(receiver).unwrap();
    socket2::SockRef::from(&fd).set_recv_buffer_size(1 << 24).unwrap();
    let to = pool.iod_local(receiver).unwrap();
    let texts = texts(COUNT);
    pool.read_batch(receiver, LIMIT, Caught::datagrams);
    for batch in texts.chunks(90) {
        let batch: Vec<_> = batch.iter().map(|text| Datagram::new(to, text)).collect();
        pool.send_batch(sender, &batch, LIMIT, Caught::sent);
        pool.run(&mut caught, Some(ms(0))).unwrap();
    }
    run(&mut pool, &mut caught);
    let sent: usize = caught.sent.iter().map(|sent| sent.as_ref().unwrap().datagrams).sum();
    let bytes: usize = caught.sent.iter().map(|sent| sent.as_ref().unwrap().bytes).sum();
    assert_eq!((sent, bytes), (COUNT, texts.iter().map(Vec::len).sum()));
    assert!(caught.datagrams == texts, "{} of {COUNT}", caught.datagrams.len());
    assert!(caught.count < COUNT as u64 / 4, "{} events for {COUNT} datagrams", caught.count);
    assert_eq!(pool.iod_bytes(sender), Some((0, bytes as u64)));
    assert_eq!(pool.iod_peer(receiver), pool.iod_local(sender));
}

#[test]
fn a_connected_socket_sends_a_batch_to_its_peer_and_an_empty_batch_is_sent_at_once() {
    let (mut pool, mut caught) = (Pool::new().unwrap(), Caught::default());
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let iod = pool.iod_new();
    pool.connect_udp(iod, server.local_addr().unwrap(), |_, _, _| ());
    let peer = |data| Datagram::new(nsock::Destination::Peer, data);
    pool.send_batch(iod, &[peer(b"one"), peer(b"two")], LIMIT, Caught::sent);
    pool.send_batch(iod, &[], LIMIT, Caught::sent);
    run(&mut pool, &mut caught);
    let counts: Vec<_> = caught.sent.iter().map(|sent| sent.as_ref().unwrap().datagrams).collect();
    assert_eq!(counts, [2, 0]);
    let mut buffer = [0; 10];
    for text in [b"one", b"two"] {
        let length = server.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], text);
    }
}

#[test]
fn a_batch_that_is_cancelled_after_it_was_received_goes_to_the_next_reads() {
    let (mut pool, mut caught) = (Pool::<Caught>::new().unwrap(), Caught::default());
    let (first, second) = (pool.iod_new(), pool.iod_new());
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    for iod in [first, second] {
        pool.setup_udp(iod, testkit::LOOPBACK_V4).unwrap();
        for text in [&b"a"[..], b"", b"ccc"] {
            sender.send_to(text, pool.iod_local(iod).unwrap()).unwrap();
        }
    }
    let finished =
        pool.read_batch(second, LIMIT, |_, _, event| assert_eq!(event.outcome, Err(Failure::Cancelled)));
    pool.read(first, LIMIT, move |_, io: &mut Io<Caught>, _| {
        assert!(io.event_cancel(finished));
        // One by one, and the rest together.
        io.read(second, LIMIT, |caught: &mut Caught, _, event| {
            caught.datagrams.push(event.outcome.unwrap().bytes)
        });
        io.read_batch(second, LIMIT, Caught::datagrams);
    });
    run(&mut pool, &mut caught);
    assert_eq!(caught.datagrams, [&b"a"[..], b"", b"ccc"]);
}

#[test]
fn batches_are_for_datagrams() {
    let server = TcpEcho::start().unwrap();
    let (mut pool, mut seen) = (Pool::<Seen>::new().unwrap(), Seen::default());
    let stream = connect(&mut pool, &mut seen, server.address());
    let idle = pool.iod_new();
    for (iod, misuse) in [(stream, Misuse::NotDatagram), (idle, Misuse::NotConnected)] {
        let failure = Err(Failure::Misuse(misuse));
        pool.send_batch(iod, &[], LIMIT, move |_, _, event| assert_eq!(event.outcome.map(drop), failure));
        pool.read_batch(iod, LIMIT, move |_, _, event| assert_eq!(event.outcome.map(drop), failure));
    }
    assert_eq!(crate::support::finish(&mut pool, &mut seen), Vec::<Saw>::new());
}

/// Unresolved neighbors hold what is sent to them, so a small send buffer fills without a clock.
#[test]
fn a_full_send_buffer_is_waited_for_and_nothing_is_lost() {
    const COUNT: usize = 400;
    let _quiet = no_flood();
    let Some(wire) = Wire::new("buffer").unwrap() else { return };
    let receiver = wire.lab.in_target(|| UdpSocket::bind((TARGETS_V4[0], 4_000))).unwrap().unwrap();
    socket2::SockRef::from(&receiver).set_recv_buffer_size(1 << 24).unwrap();
    let arp_off =
        wire.lab.nft_target("table arp f { chain input { type filter hook input priority 0; drop; }; }");
    arp_off.unwrap();
    let resolve = || {
        let mut command = wire.lab.scanner_command("ip");
        command.args(["neigh", "replace", &TARGETS_V4[0].to_string(), "lladdr", "02:00:00:00:64:10"]);
        command.args(["dev", SCANNER_LINK, "nud", "permanent"]);
        assert!(command.status().unwrap().success());
    };
    wire.capture(|_, pool, caught| {
        let iod = pool.iod_new();
        pool.setup_udp(iod, "0.0.0.0:0".parse().unwrap()).unwrap();
        socket2::SockRef::from(&pool.iod_fd(iod).unwrap()).set_send_buffer_size(8_192).unwrap();
        let to = SocketAddr::from((TARGETS_V4[0], 4_000));
        let texts = texts(COUNT);
        let batch: Vec<_> = texts.iter().map(|text| Datagram::new(to, text)).collect();
        pool.send_batch(iod, &batch, LIMIT, Caught::sent);
        pool.sendto(iod, to, b"behind", LIMIT, Caught::sent);
        pool.run(caught, Some(ms(20))).unwrap();
        assert!(caught.sent.is_empty() && pool.iod_bytes(iod).unwrap().1 > 0, "it is full");
        resolve();
        run(pool, caught);
        let sent: Vec<_> = caught.sent.iter().map(|sent| sent.as_ref().unwrap().datagrams).collect();
        assert_eq!(sent, [COUNT, 1]);
        let mut buffer = [0; 2_000];
        for text in texts.iter().map(Vec::as_slice).chain([&b"behind"[..]]) {
            receiver.set_read_timeout(LIMIT).unwrap();
            let length = receiver.recv(&mut buffer).unwrap();
            assert!(&buffer[..length] == text, "lost or out of order");
        }
    });
}

/// Makes the device of one end slow, with a queue of some packets; false if this kernel cannot.
fn slow_down(lab: &Lab, link: &str) -> bool {
    let mut command = lab.scanner_command("tc");
    command.args(["qdisc", "add", "dev", link, "root", "tbf", "rate", "4mbit", "burst", "3k", "limit", "6k"]);
    command.status().unwrap().success()
}

#[test]
fn a_full_queue_of_the_device_is_waited_for_and_nothing_is_lost() {
    const COUNT: u32 = 300;
    let _quiet = no_flood();
    let Some(wire) = Wire::new("queue").unwrap() else { return };
    if !testkit::need_tool("tc") {
        return;
    }
    assert!(slow_down(&wire.lab, SCANNER_LINK), "the kernel has the queue `tbf`");
    let far = wire.lab.in_target(|| {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None).unwrap();
        socket.bind(&SocketAddr::from((TARGETS_V4[0], 4_000)).into()).unwrap();
        socket.set_recv_buffer_size(1 << 22).unwrap();
        UdpSocket::from(socket)
    });
    let far = far.unwrap();
    wire.capture(|_, pool, caught| {
        let out = pool.iod_new();
        let mut outgoing = options();
        outgoing.buffer_bytes = 1 << 22;
        pool.pcap_open(out, SCANNER_LINK, &outgoing).unwrap();
        let iod = pool.iod_new();
        pool.packet_open(iod).unwrap();
        let to = LinkDestination::new(Io::<()>::interface_index(SCANNER_LINK).unwrap(), super::TEST_TYPE);
        let frames: Vec<_> = (0..COUNT).map(|number| frame(number, 500)).collect();
        let batch: Vec<_> = frames.iter().map(|frame| Datagram::new(to, frame)).collect();
        pool.send_batch(iod, &batch, LIMIT, Caught::sent);
        run(pool, caught);
        assert_eq!(caught.sent.remove(0).unwrap().datagrams, COUNT as usize);
        // What the device sent, each once and in order.
        for _ in 0..COUNT {
            pool.pcap_read_packet(out, LIMIT, Caught::packet);
        }
        run(pool, caught);
        assert!(caught.take().into_iter().map(|packet| packet.bytes).eq(frames), "lost or out of order");
        // UDP, where the system is asked to tell.
        let mut telling = SocketOptions::default();
        telling.icmp_errors = true;
        let udp = pool.iod_new();
        pool.iod_set_options(udp, telling);
        pool.setup_udp(udp, "0.0.0.0:0".parse().unwrap()).unwrap();
        let to = SocketAddr::from((TARGETS_V4[0], 4_000));
        let batch: Vec<_> = (0..COUNT).map(|_| Datagram::new(to, &[7; 500])).collect();
        pool.send_batch(udp, &batch, LIMIT, Caught::sent);
        run(pool, caught);
        assert_eq!(caught.sent.remove(0).unwrap().datagrams, COUNT as usize);
        let mut buffer = [0; 600];
        far.set_read_timeout(LIMIT).unwrap();
        for number in 0..COUNT {
            assert_eq!(far.recv(&mut buffer).unwrap_or_else(|why| panic!("{number}: {why}")), 500);
        }
    });
}

#[test]
fn a_queue_that_stays_full_ends_with_the_limit() {
    let _quiet = no_flood();
    let Some(wire) = Wire::new("stuck").unwrap() else { return };
    let arp_off =
        wire.lab.nft_target("table arp f { chain input { type filter hook input priority 0; drop; }; }");
    arp_off.unwrap();
    wire.capture(|_, pool, caught| {
        let iod = pool.iod_new();
        pool.setup_udp(iod, "0.0.0.0:0".parse().unwrap()).unwrap();
        socket2::SockRef::from(&pool.iod_fd(iod).unwrap()).set_send_buffer_size(4_096).unwrap();
        let to = SocketAddr::from((TARGETS_V4[0], 4_000));
        let batch = vec![Datagram::new(to, &[1; 1_000]); 100];
        pool.send_batch(iod, &batch, Some(ms(50)), Caught::sent);
        run(pool, caught);
        assert_eq!(caught.sent, [Err(Failure::TimedOut)]);
    });
}

#[test]
fn a_batch_stops_at_a_datagram_that_cannot_be_sent() {
    let (mut pool, mut caught) = (Pool::new().unwrap(), Caught::default());
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let iod = pool.iod_new();
    pool.setup_udp(iod, testkit::LOOPBACK_V4).unwrap();
    let to = server.local_addr().unwrap();
    let long = vec![0; 70_000];
    pool.send_batch(
        iod,
        &[Datagram::new(to, b"one"), Datagram::new(to, &long), Datagram::new(to, b"three")],
        LIMIT,
        Caught::sent,
    );
    run(&mut pool, &mut caught);
    assert_eq!(caught.sent.remove(0).unwrap_err().errno(), Some(libc::EMSGSIZE));
    assert_eq!(pool.iod_bytes(iod), Some((0, 3)));
}

#[test]
fn a_raw_socket_sends_an_echo_request_and_reads_its_reply() {
    let _quiet = no_flood();
    let Some(lab) = Lab::new("raw").unwrap() else { return };
    lab.in_scanner(|| {
        let (mut pool, mut caught) = (Pool::new().unwrap(), Caught::default());
        let iod = pool.iod_new();
        pool.setup_raw(iod, IpVersion::V4, 1).unwrap();
        // Echo request, checksum, identifier, sequence number.
        let request = [8, 0, 0xe5, 0xfa, 0x12, 0x04, 0, 1];
        pool.sendto(iod, SocketAddr::from((TARGETS_V4[1], 0)), &request, LIMIT, Caught::sent);
        pool.read(iod, LIMIT, |caught: &mut Caught, _, event| {
            let got = event.outcome.unwrap();
            assert_eq!(got.from.map(|from| from.ip()), Some(TARGETS_V4[1].into()));
            caught.datagrams.push(got.bytes);
        });
        run(&mut pool, &mut caught);
        let reply = &caught.datagrams[0];
        assert_eq!((reply[0], reply[9], reply[20], &reply[24..28]), (0x45, 1, 0, &request[4..]));
        assert_eq!(caught.sent.remove(0).unwrap().datagrams, 1);
        assert_eq!(pool.setup_raw(iod, IpVersion::V6, 58), Err(Failure::Misuse(Misuse::AlreadyConnected)));
    })
    .unwrap();
}

#[test]
fn without_privilege_raw_sockets_are_a_local_failure() {
    if !testkit::need_root() {
        return;
    }
    std::thread::spawn(|| {
        use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
        let mut fewer = capabilities(None).unwrap();
        fewer.effective -= CapabilitySet::NET_RAW;
        set_capabilities(None, fewer).unwrap();
        let mut pool = Pool::<()>::new().unwrap();
        let iod = pool.iod_new();
        for failure in [pool.packet_open(iod), pool.setup_raw(iod, IpVersion::V4, 1)] {
            let failure = failure.unwrap_err();
            assert_eq!((failure.errno(), failure.fault()), (Some(libc::EPERM), nsock::Fault::Local));
        }
        assert!(pool.iod_fd(iod).is_none());
        assert!(pool.pcap_open(iod, TARGET_LINK, &PcapOptions::default()).is_err());
        assert!(READ_BATCH_MAX > 1 && pool.report().iods.len() == 1);
    })
    .join()
    .unwrap();
}
