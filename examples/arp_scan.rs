//! Asks a range of addresses on the local link who they are, and prints those that answer.
//!
//! `cargo run --example arp_scan -- eth0 198.18.64.1 198.18.64.254` as root.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;
use std::{env, fs};

use nsock::{
    BpfInstruction, Datagram, Event, Failure, Filter, Io, LinkDestination, Packet, PcapOptions, Pool, Sent,
};

/// How long to listen after the last answer.
const LIMIT: Option<Duration> = Some(Duration::from_secs(1));
/// The EtherType of ARP.
const ARP: u16 = 0x0806;

/// The answers so far.
struct Sweep {
    first: Ipv4Addr,
    last: Ipv4Addr,
    answers: usize,
}

impl Sweep {
    fn sent(&mut self, io: &mut Io<Self>, event: Event<Sent>) {
        match event.outcome {
            Ok(sent) => println!("{} requests sent", sent.datagrams),
            Err(failure) => {
                println!("{failure}");
                io.loop_quit();
            }
        }
    }

    fn heard(&mut self, io: &mut Io<Self>, event: Event<Packet>) {
        match event.outcome {
            Ok(packet) => {
                // RFC 826: operation at 6, then hardware and protocol address of the sender.
                if let [_, _, _, _, _, _, 0, 2, mac @ .., _, _, _, _, _, _, _, _, _, _] =
                    packet.l3().get(..28).unwrap_or_default()
                    && let [a, b, c, d, e, f, ip @ ..] = mac
                    && let Ok(ip) = <[u8; 4]>::try_from(ip).map(Ipv4Addr::from)
                    && (self.first..=self.last).contains(&ip)
                {
                    println!("{ip} is at {a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}");
                    self.answers += 1;
                }
                io.pcap_read_packet(event.iod, LIMIT, Self::heard);
            }
            Err(Failure::TimedOut) => println!("{} answered", self.answers),
            Err(failure) => println!("{failure}"),
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [device, first, last] = arguments.as_slice() else {
        return Err("usage: arp_scan DEVICE FIRST LAST".into());
    };
    let mut sweep = Sweep { first: first.parse()?, last: last.parse()?, answers: 0 };
    let hex = fs::read_to_string(format!("/sys/class/net/{device}/address"))?;
    let mac: Vec<u8> =
        hex.trim().split(':').map(|byte| u8::from_str_radix(byte, 16)).collect::<Result<_, _>>()?;
    let route = UdpSocket::bind("0.0.0.0:0")?;
    route.connect((sweep.first, 9))?;
    let SocketAddr::V4(own) = route.local_addr()? else { return Err("no IPv4 address".into()) };

    let requests: Vec<Vec<u8>> = (u32::from(sweep.first)..=u32::from(sweep.last))
        .map(|ip| {
            // To everybody, from us, ARP for Ethernet and IPv4, a request: from us, for an address of nobody known yet.
            let header = [&[0xff; 6], &mac[..], &ARP.to_be_bytes(), &[0, 1, 8, 0, 6, 4, 0, 1]].concat();
            [&header[..], &mac, &own.ip().octets(), &[0; 6], &ip.to_be_bytes()].concat()
        })
        .collect();
    let mut pool = Pool::new()?;
    let (capture, packets) = (pool.iod_new(), pool.iod_new());
    let mut options = PcapOptions::default();
    options.ignore_outgoing = true;
    let step = |code, jt, jf, k| BpfInstruction { code, jt, jf, k };
    // tcpdump -dd arp
    let arp = [step(0x28, 0, 0, 12), step(0x15, 0, 1, ARP.into()), step(6, 0, 0, 65_535), step(6, 0, 0, 0)];
    options.filter = Some(Filter::bpf(arp));
    pool.pcap_open(capture, device, &options)?;
    pool.packet_open(packets)?;
    let to = LinkDestination::new(Io::<Sweep>::interface_index(device)?, ARP);
    let batch: Vec<_> = requests.iter().map(|request| Datagram::new(to, request)).collect();
    pool.pcap_read_packet(capture, LIMIT, Sweep::heard);
    pool.send_batch(packets, &batch, None, Sweep::sent);
    pool.run(&mut sweep, None)?;
    Ok(())
}
