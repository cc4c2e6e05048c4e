//! The least that a SYN scan can be: frames by `sendmmsg`, answers by `recvmmsg`, a bit for each port.

use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;

use etherparse::PacketBuilder;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use testkit::{DatagramBatch, SCANNER_LINK, SCANNER_V4};

use super::sys;

/// Where probes come from.
const SOURCE_PORT: u16 = 40_000;
/// Without an answer for this long nothing more will come.
const PATIENCE: Duration = Duration::from_secs(1);
/// Room for answers that the kernel keeps, as much as the scanner asks for.
const BUFFER_BYTES: usize = 32 << 20;

/// Where the fields are that differ, in a frame of Ethernet, IPv4 and TCP without options.
const IP: usize = 14;
const TCP: usize = IP + 20;

/// Sends a SYN to each of the ports of each address from `first` on, by way of the neighbor `next`, and gives how many
/// SYN/ACKs and resets came.
pub(crate) fn scan(
    first: Ipv4Addr,
    hosts: u32,
    ports: std::ops::RangeInclusive<u16>,
    own: [u8; 6],
    next: [u8; 6],
) -> io::Result<(usize, usize)> {
    let socket = sys::open_frames(SCANNER_LINK)?;
    rustix::net::sockopt::set_socket_recv_buffer_size_force(&socket, BUFFER_BYTES)?;
    let per_host = u32::from(ports.end() - ports.start()) + 1;
    let total = hosts * per_host;
    let mut is_answered = vec![false; total as usize];
    let (mut open, mut closed) = (0, 0);
    let frame = template(own, next);
    let (mut probes, mut answers) = (DatagramBatch::new(), DatagramBatch::new());
    let mut probe = 0;
    while open + closed < total as usize {
        probes.clear();
        while probe < total {
            let address = Ipv4Addr::from_bits(first.to_bits() + probe / per_host);
            let port = ports.start() + u16::try_from(probe % per_host).unwrap_or(0);
            if !probes.push(&patched(frame, address, port)) {
                break;
            }
            probe += 1;
        }
        let mut sent = 0;
        while sent < probes.len() {
            sent += probes.send(&socket, sent)?;
        }
        match answers.receive(&socket) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let patience = Timespec::try_from(PATIENCE).map_err(io::Error::other)?;
                let mut ready = [PollFd::new(&socket, PollFlags::IN)];
                if probe == total && poll(&mut ready, Some(&patience))? == 0 {
                    break;
                }
                continue;
            }
            Err(error) => return Err(error),
        }
        for answer in answers.iter() {
            let Some((address, port, flags)) = read(answer) else { continue };
            let host = address.to_bits().wrapping_sub(first.to_bits());
            let index =
                host.wrapping_mul(per_host).wrapping_add(u32::from(port.wrapping_sub(*ports.start())));
            let Some(known) = is_answered.get_mut(index as usize).filter(|known| !**known) else { continue };
            *known = true;
            *(if flags & 0x04 == 0 { &mut open } else { &mut closed }) += 1;
        }
    }
    Ok((open, closed))
}

fn template(own: [u8; 6], next: [u8; 6]) -> [u8; TCP + 20] {
    let mut bytes = Vec::new();
    // A vector takes every byte.
    let _written = PacketBuilder::ethernet2(own, next)
        .ipv4(SCANNER_V4.octets(), [0; 4], 64)
        .tcp(SOURCE_PORT, 0, 1, 1024)
        .syn()
        .write(&mut bytes, &[]);
    bytes.try_into().unwrap_or([0; TCP + 20])
}

/// The frame to another address and port; its checksums are mended as RFC 1624 does it.
fn patched(mut frame: [u8; TCP + 20], to: Ipv4Addr, port: u16) -> [u8; TCP + 20] {
    let [a, b, c, d] = to.octets();
    let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
    frame[IP + 16..IP + 20].copy_from_slice(&to.octets());
    frame[TCP + 2..TCP + 4].copy_from_slice(&port.to_be_bytes());
    mend(&mut frame, IP + 10, &[high, low]);
    mend(&mut frame, TCP + 16, &[high, low, port]);
    frame
}

/// Takes words that were 0 into the checksum at this place.
fn mend(frame: &mut [u8], at: usize, words: &[u16]) {
    let sum = !u16::from_be_bytes([frame[at], frame[at + 1]]);
    let sum = words.iter().fold(u32::from(sum), |sum, &word| sum + u32::from(word));
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    frame[at..at + 2].copy_from_slice(&(!u16::try_from(sum).unwrap_or(0)).to_be_bytes());
}

/// From where an answer comes, and its flags.
fn read(frame: &[u8]) -> Option<(Ipv4Addr, u16, u8)> {
    let ip = frame.get(IP..)?;
    let tcp = ip.get(usize::from(ip.first()? & 0x0f) * 4..)?;
    let is_answer = ip.get(9) == Some(&6) && tcp.get(2..4)? == SOURCE_PORT.to_be_bytes();
    let from: [u8; 4] = ip.get(12..16)?.try_into().ok()?;
    let port = u16::from_be_bytes(tcp.get(..2)?.try_into().ok()?);
    is_answer.then_some((from.into(), port, *tcp.get(13)?))
}
