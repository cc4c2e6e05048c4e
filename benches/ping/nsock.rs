//! The client as a program on nsock writes it: handlers that are methods, write first and then read.

use std::collections::VecDeque;
use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use nsock::{Connected, Event, EventId, Failure, Io, IodId, Pool, Received, Sent, Stop};

use super::{IN_FLIGHT_MAX, PING_BYTES};

/// Connections of one pool.
pub(crate) struct Client {
    pool: Pool<Pings>,
    state: Pings,
}

/// `connect_tcp` or `connect_ssl`.
type Request = fn(&mut Io<Pings>, IodId, SocketAddr, Option<Duration>, Handler) -> EventId;

type Handler = fn(&mut Pings, &mut Io<Pings>, Event<Connected>);

/// What the handlers work on.
struct Pings {
    request: Request,
    server: SocketAddr,
    /// The time limit of each read.
    limit: Option<Duration>,
    /// Connections still to make, then pings still to send.
    left: usize,
    idle: VecDeque<IodId>,
    failure: Option<Failure>,
}

impl Client {
    /// Connects; each read will have the limit.
    pub(crate) fn connect(
        server: SocketAddr,
        connections: usize,
        limit: Option<Duration>,
    ) -> Result<Self, Box<dyn Error>> {
        Self::connect_by(Io::connect_tcp, server, connections, limit)
    }

    /// Connects by TLS.
    pub(crate) fn connect_ssl(server: SocketAddr, connections: usize) -> Result<Self, Box<dyn Error>> {
        Self::connect_by(Io::connect_ssl, server, connections, None)
    }

    fn connect_by(
        request: Request,
        server: SocketAddr,
        connections: usize,
        limit: Option<Duration>,
    ) -> Result<Self, Box<dyn Error>> {
        let idle = VecDeque::new();
        let state = Pings { request, server, limit, left: connections, idle, failure: None };
        let mut client = Self { pool: Pool::new()?, state };
        for _ in 0..connections.min(IN_FLIGHT_MAX) {
            client.state.connect(&mut client.pool);
        }
        client.finish()?;
        Ok(client)
    }

    /// Keeps the last records of the trace from now on.
    #[allow(dead_code, reason = "not every bench that has this module traces")]
    pub(crate) fn trace_ring(&mut self, records: usize) {
        self.pool.trace_ring(records);
    }

    /// Sends so many pings and takes their echoes.
    pub(crate) fn run(&mut self, pings: usize) -> Result<(), Box<dyn Error>> {
        self.state.left = pings;
        for _ in 0..self.state.idle.len().min(IN_FLIGHT_MAX) {
            self.state.ping(&mut self.pool);
        }
        self.finish()
    }

    fn finish(&mut self) -> Result<(), Box<dyn Error>> {
        let stop = self.pool.run(&mut self.state, None)?;
        match self.state.failure {
            Some(failure) => Err(failure.into()),
            None if stop == Stop::NoEvents && self.state.left == 0 => Ok(()),
            None => Err("the loop stopped early".into()),
        }
    }
}

impl Pings {
    fn connect(&mut self, io: &mut Io<Self>) {
        if self.left > 0 {
            self.left -= 1;
            let iod = io.iod_new();
            (self.request)(io, iod, self.server, self.limit, Self::connected);
        }
    }

    fn connected(&mut self, io: &mut Io<Self>, event: Event<Connected>) {
        match event.outcome {
            Ok(_) => {
                self.idle.push_back(event.iod);
                self.connect(io);
            }
            Err(failure) => self.fail(io, failure),
        }
    }

    fn ping(&mut self, io: &mut Io<Self>) {
        if self.left > 0
            && let Some(iod) = self.idle.pop_front()
        {
            self.left -= 1;
            io.write(iod, &[b'.'; PING_BYTES], None, Self::sent);
        }
    }

    fn sent(&mut self, io: &mut Io<Self>, event: Event<Sent>) {
        match event.outcome {
            Ok(_) => {
                io.readbytes(event.iod, PING_BYTES, self.limit, Self::echoed);
            }
            Err(failure) => self.fail(io, failure),
        }
    }

    fn echoed(&mut self, io: &mut Io<Self>, event: Event<Received>) {
        match event.outcome {
            Ok(received) if received.bytes.len() == PING_BYTES => {
                self.idle.push_back(event.iod);
                self.ping(io);
            }
            Ok(_) => self.fail(io, Failure::Eof),
            Err(failure) => self.fail(io, failure),
        }
    }

    fn fail(&mut self, io: &mut Io<Self>, failure: Failure) {
        self.failure = Some(failure);
        io.loop_quit();
    }
}
