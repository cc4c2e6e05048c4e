//! Ports of one address by `connect`, in one loop on `epoll_wait`, with the system calls that the scanner makes.
//!
//! Per port: `socket`, `IP_RECVERR`, `connect`, one registration for both directions, then `SO_ERROR`; for a refused
//! one the error queue, for an open one the local address and the linger time; `close`. It plans nothing: there is no
//! order, no retry, no time-out, and the number in flight is fixed.

use std::error::Error;
use std::fmt;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::sockopt::{set_socket_linger, socket_error};
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, getsockname, socket_with};
use slab::Slab;

use super::sys;

/// Connects under way at a time: plenty where answers take microseconds.
const IN_FLIGHT_MAX: usize = 128;
const EVENTS_MAX: usize = 1024;

/// How many ports were in which state.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) open: u32,
    pub(crate) closed: u32,
    pub(crate) other: u32,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} open, {} closed, {} other", self.open, self.closed, self.other)
    }
}

/// Scans the ports of the address, whose own port does not matter.
pub(crate) fn scan(
    address: SocketAddr,
    ports: RangeInclusive<u16>,
) -> Result<Counts, Box<dyn Error + Send + Sync>> {
    let mut scan = Scan {
        epoll: epoll::create(CreateFlags::CLOEXEC)?,
        sockets: Slab::with_capacity(IN_FLIGHT_MAX),
        address,
        ports,
        counts: Counts::default(),
    };
    let mut events = Vec::with_capacity(EVENTS_MAX);
    while scan.sockets.len() < IN_FLIGHT_MAX && scan.start_next()? {}
    while !scan.sockets.is_empty() {
        epoll::wait(&scan.epoll, spare_capacity(&mut events), None)?;
        for event in events.drain(..) {
            // Copied out: the structure is packed, as the kernel has it.
            let epoll::Event { data, .. } = event;
            scan.judge(usize::try_from(data.u64())?)?;
            scan.start_next()?;
        }
    }
    Ok(scan.counts)
}

struct Scan {
    epoll: OwnedFd,
    sockets: Slab<OwnedFd>,
    address: SocketAddr,
    ports: RangeInclusive<u16>,
    counts: Counts,
}

impl Scan {
    /// False if there is no port left.
    fn start_next(&mut self) -> Result<bool, Errno> {
        let Some(port) = self.ports.next() else { return Ok(false) };
        self.address.set_port(port);
        let family = if self.address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = socket_with(family, SocketType::STREAM, flags, None)?;
        sys::set_icmp_errors(socket.as_fd(), self.address.is_ipv6())?;
        match connect(&socket, &self.address) {
            Ok(()) | Err(Errno::INPROGRESS) => {}
            Err(errno) => return Err(errno),
        }
        let watch = EventFlags::IN | EventFlags::OUT | EventFlags::PRI | EventFlags::RDHUP | EventFlags::ET;
        let entry = self.sockets.vacant_entry();
        epoll::add(&self.epoll, &socket, EventData::new_u64(entry.key() as u64), watch)?;
        entry.insert(socket);
        Ok(true)
    }

    fn judge(&mut self, key: usize) -> Result<(), Errno> {
        let socket = self.sockets.remove(key);
        match socket_error(&socket)? {
            Ok(()) => {
                getsockname(&socket)?;
                set_socket_linger(&socket, Some(Duration::ZERO))?;
                self.counts.open += 1;
            }
            Err(errno) => {
                let by_icmp = sys::has_queued_error(socket.as_fd());
                if errno == Errno::CONNREFUSED && !by_icmp {
                    self.counts.closed += 1;
                } else {
                    self.counts.other += 1;
                }
            }
        }
        Ok(())
    }
}
