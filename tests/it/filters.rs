//! Expressions of pcap-filter(7): the examples of tcpdump's manual select what tcpdump selects.

use std::collections::HashSet;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;
use std::{env, fs};

use fastrand::Rng;
use nsock::trace::Level;
use nsock::{
    Datagram, Event, Filter, Io, IodId, LinkDestination, LinkType, Packet, PcapError, PcapOptions, Pool, Stop,
};
use testkit::{Lab, SCANNER_LINK, need_tool};

use crate::support::{LIMIT, Transcript};

/// The examples of tcpdump(8), and some for what they leave out.
const EXPRESSIONS: [&str; 20] = [
    "host sundown",
    "host helios and ( hot or ace )",
    "ip host ace and not helios",
    "net ucb-ether",
    "gateway snup and (port ftp or ftp-data)",
    "ip and not net localnet",
    "tcp[tcpflags] & (tcp-syn|tcp-fin) != 0 and not src and dst net localnet",
    "tcp[tcpflags] & (tcp-rst|tcp-ack) == (tcp-rst|tcp-ack)",
    "tcp port 80 and (((ip[2:2] - ((ip[0]&0xf)<<2)) - ((tcp[12]&0xf0)>>2)) != 0)",
    "gateway snup and ip[2:2] > 576",
    "ether[0] & 1 = 0 and ip[16] >= 224",
    "icmp[icmptype] != icmp-echo and icmp[icmptype] != icmp-echoreply",
    // What `gateway snup` means, pcap-filter(7) says.
    "ether host snup and not host snup and (port ftp or ftp-data)",
    "ether host snup and not host snup and ip[2:2] > 576",
    "arp",
    "ip6 and tcp",
    "udp dst portrange 20-80",
    "less 100",
    "greater 500 and not broadcast",
    "src host hot or dst net 198.18.80.0/20",
];

/// libpcap knows it only where it was built without IPv6, and tcpdump with it.
const NOT_EVERYWHERE: &str = "gateway ";

/// The names of the manual.
const HOSTS: [(&str, Ipv4Addr); 5] = [
    ("sundown", Ipv4Addr::new(198, 18, 64, 20)),
    ("helios", Ipv4Addr::new(198, 18, 64, 21)),
    ("hot", Ipv4Addr::new(198, 18, 80, 22)),
    ("ace", Ipv4Addr::new(198, 18, 80, 23)),
    ("snup", Ipv4Addr::new(198, 18, 64, 24)),
];
const NETWORKS: &str = "ucb-ether 198.18.80\nlocalnet 198.18.64\n";
const SNUP: [u8; 6] = [2, 0, 0, 0, 0x64, 0x24];
/// Set where the names are known.
const INNER: &str = "FILTERS_INNER";
const FRAMES: usize = 3_000;

#[test]
fn the_examples_of_tcpdumps_manual_select_what_tcpdump_selects() {
    let name = "filters::the_examples_of_tcpdumps_manual_select_what_tcpdump_selects";
    if env::var_os(INNER).is_some() {
        return compare();
    }
    if !(need_tool("tcpdump") && need_tool("unshare") && need_tool("mount")) {
        return;
    }
    let Some(lab) = Lab::new("filters").unwrap() else { return };
    let folder = tempfile::tempdir().unwrap();
    let etc = folder.path().join("etc");
    // Seen as /etc by the inner test only, in a mount namespace of its own.
    assert!(Command::new("cp").args(["-a", "/etc"]).arg(&etc).status().unwrap().success());
    let hosts: String = HOSTS.iter().map(|(name, ip)| format!("{ip} {name}\n")).collect();
    fs::write(etc.join("hosts"), format!("127.0.0.1 localhost\n{hosts}")).unwrap();
    fs::write(etc.join("networks"), NETWORKS).unwrap();
    fs::write(etc.join("ethers"), format!("{} snup\n", SNUP.map(|byte| format!("{byte:02x}")).join(":")))
        .unwrap();
    fs::write(etc.join("nsswitch.conf"), "hosts: files\nnetworks: files\nethers: files\nservices: files\n")
        .unwrap();
    let inner = lab
        .scanner_command("unshare")
        .args(["-m", "sh", "-c", "mount --bind \"$0\" /etc && exec \"$@\""])
        .arg(&etc)
        .arg(env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(INNER, "1")
        .output()
        .unwrap();
    let said =
        [inner.stdout, inner.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(inner.status.success() && said.contains("1 passed"), "{said}");
}

/// What was captured by one IOD after another.
type Captured = Vec<Vec<u8>>;

fn compare() {
    let mut pool = Pool::<Captured>::new().unwrap();
    let mut open = |filter: Option<&str>| {
        let iod = pool.iod_new();
        let mut options = PcapOptions::default();
        options.buffer_bytes = 64 << 20;
        options.filter = filter.map(Filter::expression);
        pool.pcap_open(iod, SCANNER_LINK, &options).map(|()| iod).map_err(|why| why.to_string())
    };
    let filtered = EXPRESSIONS.map(|expression| open(Some(expression)));
    let all = open(None).unwrap();
    let mut rng = Rng::with_seed(4);
    let frames: Vec<_> = (0..FRAMES).map(|number| frame(&mut rng, number)).collect();
    let out = pool.iod_new();
    pool.packet_open(out).unwrap();
    let to = LinkDestination::new(Io::<()>::interface_index(SCANNER_LINK).unwrap(), 0);
    let batch: Vec<_> = frames.iter().map(|frame| Datagram::new(to, frame)).collect();
    pool.send_batch(out, &batch, LIMIT, |_, _, event| assert_eq!(event.outcome.unwrap().datagrams, FRAMES));
    // The kernel's own packets may be there for one capture and not yet for another.
    let sent: HashSet<_> = frames.iter().cloned().collect();
    let ours =
        |captured: Captured| captured.into_iter().filter(|frame| sent.contains(frame)).collect::<Captured>();
    pool.run(&mut Captured::new(), LIMIT).unwrap();
    assert_eq!(ours(drain(&mut pool, all)), frames);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("all.pcap");
    fs::write(&file, to_pcap(&frames)).unwrap();
    for (expression, iod) in EXPRESSIONS.into_iter().zip(filtered) {
        match (iod, tcpdump(&file, expression)) {
            (Ok(iod), Ok(theirs)) => {
                let selected = ours(drain(&mut pool, iod));
                let count = selected.len();
                assert!(count > 0 && count < FRAMES, "{expression}: {count} frames");
                assert!(selected == theirs, "{expression}: {count} frames, tcpdump {}", theirs.len());
            }
            (Err(ours), Err(theirs)) if expression.starts_with(NOT_EVERYWHERE) => {
                let why = ours.rsplit(": ").next().unwrap();
                assert!(theirs.contains(why), "{ours}, and tcpdump: {theirs}");
            }
            (ours, theirs) => panic!("{expression}: {ours:?}, and tcpdump: {theirs:?}"),
        }
    }
}

/// Everything that a capture has.
fn drain(pool: &mut Pool<Captured>, iod: IodId) -> Captured {
    fn read(captured: &mut Captured, io: &mut Io<Captured>, event: Event<Packet>) {
        if let Ok(packet) = event.outcome {
            captured.push(packet.bytes);
            io.pcap_read_packet(event.iod, Some(std::time::Duration::ZERO), read);
        }
    }
    let mut captured = Captured::new();
    pool.pcap_read_packet(iod, Some(std::time::Duration::ZERO), read);
    assert_eq!(pool.run(&mut captured, LIMIT).unwrap(), Stop::NoEvents);
    let stats = pool.iod_pcap_stats(iod).unwrap();
    assert_eq!((stats.received, stats.dropped), (captured.len() as u64, 0));
    captured
}

/// The frames that tcpdump selects, or why it does not.
fn tcpdump(file: &Path, expression: &str) -> Result<Captured, String> {
    let output = Command::new("tcpdump")
        .args(["-Z", "root", "-w", "-", "-r"])
        .arg(file)
        .arg(expression)
        .output()
        .unwrap();
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let mut rest = output.stdout.get(24..).unwrap_or_default();
    let mut frames = Captured::new();
    while let Some(head) = rest.get(..16) {
        let length = u32::from_le_bytes(head[8..12].try_into().unwrap()) as usize;
        frames.push(rest[16..16 + length].to_vec());
        rest = &rest[16 + length..];
    }
    Ok(frames)
}

/// A capture file (pcap-savefile(5)), of Ethernet.
fn to_pcap(frames: &[Vec<u8>]) -> Vec<u8> {
    let mut file = Vec::new();
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 0x40000, 1] {
        file.extend(word.to_le_bytes());
    }
    for frame in frames {
        let length = u32::try_from(frame.len()).unwrap();
        for word in [0, 0, length, length] {
            file.extend(u32::to_le_bytes(word));
        }
        file.extend(frame);
    }
    file
}

/// A frame that some of the expressions select; no two are alike.
fn frame(rng: &mut Rng, number: usize) -> Vec<u8> {
    let mac = |rng: &mut Rng| match rng.usize(0..5) {
        0 => SNUP,
        1 => [0xff; 6],
        2 => [1, 0, 0x5e, 0, 0, 1],
        _ => [2, 0, 0, 0, 0x64, 0x10],
    };
    let mut frame = [mac(rng), mac(rng)].concat();
    let version = rng.usize(0..10);
    match version {
        0 => frame.extend([0x08, 0x06]),
        1 => frame.extend([0x86, 0xdd]),
        2 => frame.extend([0x88, 0xb5]),
        _ => frame.extend([0x08, 0x00]),
    }
    let data: Vec<u8> = (0..rng.choice([0, 0, 1, 30, 700]).unwrap_or(0)).map(|_| rng.u8(..)).collect();
    let protocol = rng.choice([1, 6, 6, 17]).unwrap_or(6);
    let upper = [header(rng, protocol), data].concat();
    match version {
        0 | 2 => frame.extend((0..28).map(|_| rng.u8(..))),
        1 => {
            frame.extend([0x60, 0, 0, 0]);
            frame.extend(u16::try_from(upper.len()).unwrap().to_be_bytes());
            frame.extend([protocol, 64]);
            frame.extend((0..32).map(|_| rng.u8(..)));
        }
        _ => {
            let options = if rng.usize(0..4) == 0 { 4 } else { 0 };
            frame.extend([0x45 + options / 4, 0]);
            frame.extend(u16::try_from(20 + usize::from(options) + upper.len()).unwrap().to_be_bytes());
            let fragment = if rng.usize(0..8) == 0 { [0x20, 7] } else { [0, 0] };
            frame.extend([0, 0, fragment[0], fragment[1], 64, protocol, 0, 0]);
            for _ in 0..2 {
                let other =
                    Ipv4Addr::new(rng.choice([198, 224]).unwrap_or(198), 18, 64 + rng.u8(0..20), rng.u8(..));
                // glibc takes the name of a network for its address alone: /etc/networks has no masks.
                let network = rng.choice([64, 80]).map_or(other, |third| Ipv4Addr::new(198, 18, third, 0));
                let other = if rng.bool() { other } else { network };
                let named = rng.choice(HOSTS).map_or(other, |(_, ip)| ip);
                frame.extend(if rng.usize(0..3) == 0 { other } else { named }.octets());
            }
            frame.extend(vec![1; usize::from(options)]);
        }
    }
    frame.extend(upper);
    frame.extend(u32::try_from(number).unwrap().to_be_bytes());
    frame
}

fn header(rng: &mut Rng, protocol: u8) -> Vec<u8> {
    let port = |rng: &mut Rng| rng.choice([20_u16, 21, 80, 50_000]).unwrap_or(80).to_be_bytes();
    match protocol {
        1 => vec![rng.choice([0, 3, 8, 11]).unwrap_or(0), 0, 0, 0, 0, 0, 0, 0],
        17 => [port(rng), port(rng), [0, 8], [0, 0]].concat::<u8>(),
        _ => {
            let mut tcp = [port(rng), port(rng)].concat::<u8>();
            tcp.extend([0; 8]);
            tcp.extend([
                0x50,
                rng.choice([0x02, 0x12, 0x10, 0x14, 0x04, 0x01, 0x18]).unwrap_or(2),
                4,
                0,
                0,
                0,
                0,
                0,
            ]);
            tcp
        }
    }
}

#[test]
fn an_expression_that_does_not_compile_says_where_and_leaves_the_iod_idle() {
    let Some(lab) = Lab::new("wrong").unwrap() else { return };
    lab.in_scanner(|| {
        let mut pool = Pool::<()>::new().unwrap();
        let transcript = Transcript::of(&mut pool, Level::Info);
        let iod = pool.iod_new();
        let mut options = PcapOptions::default();
        options.filter = Some(Filter::expression("udp and and"));
        let error = pool.pcap_open(iod, "lo", &options).unwrap_err();
        assert!(matches!(error, PcapError::Filter { .. }));
        assert!(error.to_string().starts_with("cannot filter on lo: "), "{error}");
        options.filter = Some(Filter::expression("udp\0"));
        assert!(matches!(pool.pcap_open(iod, "lo", &options), Err(PcapError::Filter { .. })));
        // What the kernel cannot do on a cooked capture.
        options.filter = Some(Filter::expression("less 100"));
        assert!(matches!(pool.pcap_open(iod, "any", &options), Err(PcapError::Filter { .. })));
        options.filter = Some(Filter::expression("udp and dst port 4567"));
        options.snaplen = 60;
        pool.pcap_open(iod, "lo", &options).unwrap();
        assert_eq!(pool.iod_link_type(iod), Some(LinkType::Ethernet));
        let lines = transcript.messages();
        assert!(lines[2].starts_with("nsock_pcap_set_filter(): Error compiling pcap filter: "), "{lines:?}");
        let asked = "nsock_pcap_open(): PCAP requested on device 'lo' with berkeley filter 'udp and dst port 4567' \
                     (promisc=0 snaplen=60 to_ms=200) (IOD #1)";
        assert!(lines.iter().any(|line| line == asked), "{lines:?}");
    })
    .unwrap();
}

#[test]
fn an_expression_works_on_the_any_interface_too() {
    let Some(lab) = Lab::new("any-filter").unwrap() else { return };
    lab.in_scanner(|| {
        let mut pool = Pool::<Captured>::new().unwrap();
        let iod = pool.iod_new();
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let mut options = PcapOptions::default();
        options.filter = Some(Filter::expression(format!("udp dst port {port} and host 127.0.0.1")));
        pool.pcap_open(iod, "any", &options).unwrap();
        socket.send_to(b"other", "127.0.0.1:9").unwrap();
        socket.send_to(b"ours", socket.local_addr().unwrap()).unwrap();
        let mut captured = Captured::new();
        pool.pcap_read_packet(iod, LIMIT, |captured: &mut Captured, _, event| {
            captured.push(event.outcome.unwrap().l3().to_vec());
        });
        pool.run(&mut captured, LIMIT).unwrap();
        assert_eq!((captured.len(), &captured[0][28..]), (1, &b"ours"[..]));
    })
    .unwrap();
}
