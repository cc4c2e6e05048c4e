//! Sends one SYN made by hand and prints what comes back: a probe tool of one's own in a page.
//!
//! `cargo run --example syn_probe -- 198.18.64.10:22` as root. The kernel knows nothing of the SYN, so it resets the
//! connection by itself when the port accepts.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::env;
use std::error::Error;
use std::net::{SocketAddr, SocketAddrV4, UdpSocket};
use std::time::Duration;

use etherparse::{Ipv4HeaderSlice, PacketBuilder, TcpHeaderSlice, TcpOptionElement};
use nsock::{Datagram, Event, Io, IpVersion, Packet, PcapOptions, Pool, Sent};

/// How long to wait for the answer.
const LIMIT: Duration = Duration::from_secs(2);
/// With this protocol a raw socket takes whole packets, header and all (raw(7)).
const WHOLE_PACKETS: u8 = 255;

/// A probe whose answer is awaited.
struct Probe {
    from: SocketAddrV4,
    to: SocketAddrV4,
    sequence: u32,
}

impl Probe {
    fn sent(&mut self, io: &mut Io<Self>, event: Event<Sent>) {
        if let Err(failure) = event.outcome {
            println!("{}: not sent: {failure}", self.to);
            io.loop_quit();
        }
    }

    fn heard(&mut self, io: &mut Io<Self>, event: Event<Packet>) {
        match event.outcome {
            Ok(packet) => match self.judge(packet.l3()) {
                Some(answer) => println!("{}: {answer}", self.to),
                // Somebody else's packet.
                None => {
                    io.pcap_read_packet(event.iod, None, Self::heard);
                    return;
                }
            },
            Err(failure) => println!("{}: {failure}", self.to),
        }
        io.loop_quit();
    }

    /// What a packet says about the port, if it repeats the numbers of the probe.
    fn judge(&self, packet: &[u8]) -> Option<String> {
        let ip = Ipv4HeaderSlice::from_slice(packet).ok()?;
        let tcp = TcpHeaderSlice::from_slice(packet.get(ip.slice().len()..)?).ok()?;
        let from = SocketAddrV4::new(ip.source_addr(), tcp.source_port());
        let to = SocketAddrV4::new(ip.destination_addr(), tcp.destination_port());
        if (from, to) != (self.to, self.from) || tcp.acknowledgment_number() != self.sequence.wrapping_add(1)
        {
            return None;
        }
        let state = match (tcp.rst(), tcp.syn()) {
            (true, _) => "closed",
            (false, true) => "open",
            _ => return None,
        };
        Some(format!("{state}, ttl {}, window {}", ip.ttl(), tcp.window_size()))
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let to: SocketAddrV4 = env::args().nth(1).ok_or("usage: syn_probe ADDRESS:PORT")?.parse()?;
    // Connecting a UDP socket sends nothing, but tells the address and a port that the system would send from.
    let route = UdpSocket::bind("0.0.0.0:0")?;
    route.connect(to)?;
    let local = route.local_addr()?.to_string();
    let mut probe = Probe { from: local.parse()?, to, sequence: fastrand::u32(..) };
    let builder = PacketBuilder::ipv4(probe.from.ip().octets(), to.ip().octets(), 64)
        .tcp(probe.from.port(), to.port(), probe.sequence, 1024)
        .options(&[TcpOptionElement::MaximumSegmentSize(1460)])?
        .syn();
    let mut packet = Vec::new();
    builder.write(&mut packet, &[])?;

    let mut pool = Pool::new()?;
    // First the ear, then the mouth: the answer may be there before the send returns.
    let (capture, raw) = (pool.iod_new(), pool.iod_new());
    pool.pcap_open(capture, "any", &PcapOptions::default())?;
    pool.setup_raw(raw, IpVersion::V4, WHOLE_PACKETS)?;
    pool.pcap_read_packet(capture, None, Probe::heard);
    pool.send_batch(raw, &[Datagram::new(SocketAddr::from(to), &packet)], None, Probe::sent);
    pool.timer_create(LIMIT, |probe: &mut Probe, io, _| {
        println!("{}: no answer", probe.to);
        io.loop_quit();
    });
    pool.run(&mut probe, None)?;
    Ok(())
}
