//! The least that a sweep of PTR queries can be: a window, `sendmmsg`, `recvmmsg`, and a bit for each id.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use testkit::DatagramBatch;
use testkit::dns_name;

/// Queries in flight at once: as many as the resolver allows itself.
const WINDOW: usize = 256;

/// Without an answer for this long the sweep has failed: nothing is lost here, so nothing is sent again.
const PATIENCE: Timespec = Timespec { tv_sec: 2, tv_nsec: 0 };

/// Asks for the names of that many addresses from `first` on, at most 65,536, and gives how long it took.
pub(crate) fn sweep(server: SocketAddr, first: Ipv4Addr, count: usize) -> io::Result<Duration> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.connect(server)?;
    // A whole window of answers has to fit, or some are lost, and nothing here asks again.
    socket2::SockRef::from(&socket).set_recv_buffer_size(1 << 20)?;
    socket.set_nonblocking(true)?;
    let start = Instant::now();
    let (mut queries, mut answers) = (DatagramBatch::new(), DatagramBatch::new());
    let mut is_answered = vec![false; count];
    let (mut next, mut done) = (0, 0);
    while done < count {
        queries.clear();
        while next < count && next - done < WINDOW && queries.push(&query(first, next)) {
            next += 1;
        }
        let mut sent = 0;
        while sent < queries.len() {
            sent += queries.send(&socket, sent)?;
        }
        match answers.receive(&socket) {
            Ok(_) => {}
            Err(why) if why.kind() == io::ErrorKind::WouldBlock => {
                if next - done >= WINDOW || next == count {
                    let mut waiting = [PollFd::new(&socket, PollFlags::IN)];
                    if poll(&mut waiting, Some(&PATIENCE))? == 0 {
                        return Err(io::Error::other(format!("{} answers are missing", count - done)));
                    }
                }
                continue;
            }
            Err(why) => return Err(why),
        }
        for answer in answers.iter() {
            if let Some(&[high, low]) = answer.first_chunk::<2>() {
                let is_new = is_answered.get_mut(usize::from(u16::from_be_bytes([high, low])));
                done += usize::from(is_new.is_some_and(|is_answered| !std::mem::replace(is_answered, true)));
            }
        }
    }
    Ok(start.elapsed())
}

fn query(first: Ipv4Addr, index: usize) -> Vec<u8> {
    let id = u16::try_from(index).unwrap_or(u16::MAX);
    let address = Ipv4Addr::from_bits(first.to_bits() + u32::from(id));
    let labels = address.octets().map(|octet| octet.to_string());
    let mut query = [&id.to_be_bytes()[..], b"\x01\0\0\x01\0\0\0\0\0\0"].concat();
    let [a, b, c, d] = labels.each_ref().map(|label| label.as_bytes());
    query.extend_from_slice(&dns_name(&[d, c, b, a, b"in-addr", b"arpa"]));
    query.extend_from_slice(b"\0\x0c\0\x01");
    query
}
