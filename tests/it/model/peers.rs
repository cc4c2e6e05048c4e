//! The other ends, and what each is known to send.

use std::net::SocketAddr;
use std::time::Duration;

use testkit::{
    ClosedPort, FullBacklog, Step, TcpEcho, TcpScript, UdpEcho, UdpServer, closed_port, full_backlog,
};

use super::streams::pattern;

/// What a peer does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Peer {
    TcpEcho,
    /// Sends, ends its side, and listens on.
    HalfClose,
    /// The same with more than the socket buffers hold.
    Flood,
    Dribble,
    Reset,
    CloseAtOnce,
    Stall,
    Refuse,
    Silent,
    UdpEcho,
    /// Answers some datagrams with an empty one besides, and drops others.
    UdpMoody,
    UdpRefuse,
    /// Nobody yet: the IOD listens.
    Door,
    /// Somebody who came to a door, sent something, ended that side and waits.
    Visitor,
}

impl Peer {
    /// By how often each is connected to.
    pub(super) const ALL: [Self; 20] = [
        Self::TcpEcho,
        Self::TcpEcho,
        Self::TcpEcho,
        Self::TcpEcho,
        Self::TcpEcho,
        Self::HalfClose,
        Self::HalfClose,
        Self::Flood,
        Self::Dribble,
        Self::Dribble,
        Self::Reset,
        Self::CloseAtOnce,
        Self::Stall,
        Self::Refuse,
        Self::Silent,
        Self::UdpEcho,
        Self::UdpEcho,
        Self::UdpMoody,
        Self::UdpRefuse,
        Self::Door,
    ];

    pub(super) fn is_udp(self) -> bool {
        matches!(self, Self::UdpEcho | Self::UdpMoody | Self::UdpRefuse)
    }

    /// How many bytes of the pattern it sends, unless stopped.
    pub(super) fn sends(self) -> usize {
        match self {
            Self::HalfClose => 3_000,
            Self::Flood => 900_000,
            Self::Dribble => 60,
            Self::Reset => 500,
            Self::Visitor => 300,
            _ => 0,
        }
    }

    /// Whether its end of stream means that all of this has come.
    pub(super) fn ends_in_order(self) -> bool {
        matches!(self, Self::HalfClose | Self::Flood | Self::Visitor)
    }
}

/// All the servers.
#[derive(Debug)]
pub(super) struct Peers {
    tcp_echo: TcpEcho,
    scripts: Vec<(Peer, TcpScript)>,
    refuse: ClosedPort,
    silent: FullBacklog,
    udp_echo: UdpEcho,
    udp_moody: UdpServer,
}

impl Peers {
    pub(super) fn start() -> Self {
        let script = |peer: Peer, mut steps: Vec<Step>| {
            if peer.sends() > 0 && peer != Peer::Dribble {
                steps.insert(0, Step::Send(pattern(0..peer.sends())));
            }
            (peer, TcpScript::start(steps).expect("a server starts"))
        };
        let ms = Duration::from_millis;
        let end = || vec![Step::HalfClose, Step::ReceiveToEnd];
        let dribble = Step::Dribble { bytes: pattern(0..Peer::Dribble.sends()), every: ms(1) };
        Self {
            tcp_echo: TcpEcho::start().expect("a server starts"),
            scripts: vec![
                script(Peer::HalfClose, end()),
                script(Peer::Flood, end()),
                script(Peer::Dribble, vec![dribble]),
                script(Peer::Reset, vec![Step::Sleep(ms(1)), Step::Reset]),
                script(Peer::CloseAtOnce, vec![Step::Close]),
                script(Peer::Stall, vec![Step::Stall]),
            ],
            refuse: closed_port().expect("a port is free"),
            silent: full_backlog().expect("a queue fills"),
            udp_echo: UdpEcho::start().expect("a server starts"),
            udp_moody: UdpServer::start(|datagram, _| {
                match datagram.last().copied().unwrap_or_default() % 4 {
                    0 => vec![],
                    1 => vec![datagram.to_vec(), Vec::new()],
                    2 => vec![Vec::new(), datagram.to_vec()],
                    _ => vec![datagram.to_vec()],
                }
            })
            .expect("a server starts"),
        }
    }

    pub(super) fn address(&self, peer: Peer) -> SocketAddr {
        match peer {
            // A connect of what listens, or is connected, goes nowhere.
            Peer::TcpEcho | Peer::Door | Peer::Visitor => self.tcp_echo.address(),
            Peer::Refuse | Peer::UdpRefuse => self.refuse.address(),
            Peer::Silent => self.silent.address(),
            Peer::UdpEcho => self.udp_echo.address(),
            Peer::UdpMoody => self.udp_moody.address(),
            _ => {
                let script = self.scripts.iter().find(|(its, _)| *its == peer);
                script.expect("every other peer has a script").1.address()
            }
        }
    }
}
