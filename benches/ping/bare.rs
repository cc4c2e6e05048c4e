//! The same client without a library: one loop on `epoll_wait`, `recv` and `send`, edge-triggered.
//!
//! It makes the system calls that nsock makes, with the same flags and the same size of buffer: one `send` and one
//! `recv` a ping, no `recv` that finds nothing. They are rustix's wrappers, which enter the kernel without the C
//! library and need no `unsafe` here; nsock's own `recv` and `send` are the same ones.

use std::collections::VecDeque;
use std::error::Error;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};

use super::{IN_FLIGHT_MAX, PING_BYTES};

const EVENTS_MAX: usize = 1024;
const BUFFER_BYTES: usize = 65_536;

/// Connections of one loop.
pub(crate) struct Client {
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
    buffer: Vec<u8>,
    connections: Vec<Connection>,
    idle: VecDeque<usize>,
    left: usize,
    in_flight: usize,
}

struct Connection {
    stream: TcpStream,
    /// Bytes of the echo still to come.
    missing: usize,
}

impl Client {
    /// Connects, one after the other.
    pub(crate) fn connect(server: SocketAddr, connections: usize) -> Result<Self, Box<dyn Error>> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        let connections = (0..connections)
            .map(|index| {
                let stream = TcpStream::connect(server)?;
                epoll::add(&epoll, &stream, EventData::new_u64(index as u64), flags)?;
                Ok(Connection { stream, missing: 0 })
            })
            .collect::<Result<Vec<_>, Box<dyn Error>>>()?;
        Ok(Self {
            epoll,
            events: Vec::with_capacity(EVENTS_MAX),
            buffer: vec![0; BUFFER_BYTES],
            idle: (0..connections.len()).collect(),
            connections,
            left: 0,
            in_flight: 0,
        })
    }

    /// Sends so many pings and takes their echoes.
    pub(crate) fn run(&mut self, pings: usize) -> Result<(), Box<dyn Error>> {
        self.left = pings;
        for _ in 0..self.idle.len().min(IN_FLIGHT_MAX) {
            self.ping()?;
        }
        while self.in_flight > 0 {
            epoll::wait(&self.epoll, spare_capacity(&mut self.events), None)?;
            let mut events = std::mem::take(&mut self.events);
            for event in events.drain(..) {
                // Copied out: the structure is packed, as the kernel has it.
                let epoll::Event { flags, data } = event;
                if flags.contains(EventFlags::IN) {
                    self.receive(usize::try_from(data.u64())?)?;
                }
            }
            self.events = events;
        }
        Ok(())
    }

    fn ping(&mut self) -> Result<(), Box<dyn Error>> {
        if self.left == 0 {
            return Ok(());
        }
        let Some(index) = self.idle.pop_front() else { return Ok(()) };
        let connection = &mut self.connections[index];
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        if send(&connection.stream, &[b'.'; PING_BYTES], flags)? != PING_BYTES {
            return Err("a send buffer is full though its connection is idle".into());
        }
        connection.missing = PING_BYTES;
        self.left -= 1;
        self.in_flight += 1;
        Ok(())
    }

    fn receive(&mut self, index: usize) -> Result<(), Box<dyn Error>> {
        let connection = &mut self.connections[index];
        match recv(&connection.stream, &mut self.buffer, RecvFlags::DONTWAIT) {
            Ok((0, _)) => return Err("the server closed a connection".into()),
            Ok((length, _)) => connection.missing = connection.missing.saturating_sub(length),
            Err(Errno::AGAIN | Errno::INTR) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        if connection.missing == 0 {
            self.in_flight -= 1;
            self.idle.push_back(index);
            self.ping()?;
        }
        Ok(())
    }
}
