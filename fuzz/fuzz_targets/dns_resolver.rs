//! The whole resolver under any order of requests, cancels, datagrams, errors and time: each request is settled once,
//! in bounded time, and nothing unsanitized comes out.
#![no_main]

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use dns::{Config, Family, Request, RequestId, Resolver, Transmit, Transport};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
enum Step<'a> {
    Ask(u8),
    AskForward(&'a str),
    Cancel(u8),
    Wait(u16),
    /// What comes to one of the queries sent: its question, with this behind it.
    Answer { which: u8, flags: u16, counts: [u8; 3], tail: &'a [u8] },
    Garbage { which: u8, bytes: &'a [u8] },
    SocketError(u8, u8),
    SendError(u8, u8),
}

#[derive(Arbitrary, Debug)]
struct Play<'a> {
    servers: u8,
    by_tcp: u8,
    window: u8,
    rate: u8,
    steps: Vec<Step<'a>>,
}

struct Stage {
    resolver: Resolver,
    now: Instant,
    sent: Vec<Transmit>,
    settled: BTreeMap<RequestId, usize>,
}

impl Stage {
    fn drain(&mut self) {
        while let Some(transmit) = self.resolver.poll_transmit(self.now) {
            self.sent.push(transmit);
        }
        while self.resolver.poll_close().is_some() {}
        while let Some(answer) = self.resolver.poll_answer() {
            let shown = answer.explained(None).to_string();
            assert!(shown.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{shown:?}");
            *self.settled.entry(answer.id).or_default() += 1;
        }
    }

    fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(due) = self.resolver.poll_timeout().filter(|&due| due <= end) {
            self.now = self.now.max(due);
            self.resolver.handle_timeout(self.now);
            self.drain();
        }
        self.now = end;
    }
}

fn error(kind: u8) -> io::Error {
    let kinds = [
        io::ErrorKind::ConnectionRefused,
        io::ErrorKind::ConnectionReset,
        io::ErrorKind::UnexpectedEof,
        io::ErrorKind::OutOfMemory,
        io::ErrorKind::PermissionDenied,
        io::ErrorKind::NetworkUnreachable,
    ];
    kinds[usize::from(kind) % kinds.len()].into()
}

fuzz_target!(|play: Play<'_>| {
    let servers: Vec<SocketAddr> =
        (0..play.servers % 4).map(|last| (Ipv4Addr::new(198, 18, 0, last), 53).into()).collect();
    let mut config = Config::new(servers.clone());
    config.by_tcp.extend(servers.iter().enumerate().filter(|(at, _)| play.by_tcp >> at & 1 == 1).map(|(_, it)| *it));
    config.window_max = play.window.into();
    config.rate_max = std::num::NonZeroU32::new(play.rate.into());
    let mut ids = 0_u16;
    let resolver = Resolver::new(config, move || {
        ids = ids.wrapping_mul(25_173).wrapping_add(13_849);
        ids
    });
    let mut stage =
        Stage { resolver: resolver.unwrap(), now: Instant::now(), sent: Vec::new(), settled: BTreeMap::new() };
    let mut asked = Vec::new();
    for step in play.steps.iter().take(200) {
        let sent = |stage: &Stage, which: u8| match stage.sent.len() {
            0 => None,
            count => stage.sent.get(count - 1 - usize::from(which) % count).cloned(),
        };
        match *step {
            Step::Ask(last) => {
                let request = Request::Reverse(IpAddr::from([198, 18, 1, last]));
                asked.push(stage.resolver.start(stage.now, request).unwrap());
            }
            Step::AskForward(name) => {
                let request = Request::Forward(name.to_owned(), Family::V6);
                asked.push(stage.resolver.start(stage.now, request).unwrap());
            }
            Step::Cancel(which) => {
                if let Some(&id) = asked.get(usize::from(which)) {
                    stage.resolver.cancel(stage.now, id);
                }
            }
            Step::Wait(time) => stage.wait(Duration::from_millis(time.into())),
            Step::Answer { which, flags, counts, tail } => {
                let Some(transmit) = sent(&stage, which) else { continue };
                let is_tcp = transmit.transport == Transport::Tcp;
                let query = &transmit.bytes[if is_tcp { 2 } else { 0 }..];
                let name = query[12..].iter().position(|&byte| byte == 0).unwrap_or(0);
                let mut answer = query[..12 + name + 5].to_vec();
                answer[2..4].copy_from_slice(&(flags | 0x8000).to_be_bytes());
                (answer[7], answer[9], answer[11]) = (counts[0], counts[1], counts[2]);
                answer.extend_from_slice(tail);
                if is_tcp {
                    let length = u16::try_from(answer.len()).unwrap_or(u16::MAX);
                    let framed = [&length.to_be_bytes()[..], &answer].concat();
                    stage.resolver.handle_stream(stage.now, transmit.socket, &framed);
                } else {
                    let (socket, from) = (transmit.socket, transmit.address);
                    let _ = stage.resolver.handle_datagram(stage.now, socket, from, &answer);
                }
            }
            Step::Garbage { which, bytes } => {
                let Some(transmit) = sent(&stage, which) else { continue };
                let (socket, from) = (transmit.socket, transmit.address);
                let _ = stage.resolver.handle_datagram(stage.now, socket, from, bytes);
                stage.resolver.handle_stream(stage.now, socket, bytes);
            }
            Step::SocketError(which, kind) => {
                let Some(transmit) = sent(&stage, which) else { continue };
                stage.resolver.handle_socket_failure(stage.now, transmit.socket, &error(kind));
            }
            Step::SendError(which, kind) => {
                let Some(transmit) = sent(&stage, which) else { continue };
                stage.resolver.handle_send_failure(stage.now, transmit.id, &error(kind));
            }
        }
        stage.drain();
    }
    // The budget, and a second or more for each name in front of it at the slowest rate.
    stage.wait(Duration::from_secs(5 + 2 * asked.len() as u64 + 20));
    assert!(stage.resolver.is_idle(), "it does not end");
    assert!(asked.iter().all(|id| stage.settled.get(id) == Some(&1)), "settled once");
    assert_eq!(stage.settled.len(), asked.len());
});
