//! Whatever a server answers to the question it was asked, by UDP and TCP: the request is settled, and what comes out
//! is harmless.
#![no_main]

use std::time::{Duration, Instant};

use dns::{Config, Family, Request, Resolver, Transport};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((&choice, tail)) = bytes.split_first() else { return };
    let server = "198.18.0.53:53".parse().unwrap();
    let mut config = Config::new(vec![server]);
    if choice & 1 == 1 {
        config.by_tcp.insert(server);
    }
    let mut ids = 1_u16..;
    let mut resolver = Resolver::new(config, move || ids.next().unwrap_or(1)).unwrap();
    let mut now = Instant::now();
    let request = match choice >> 1 & 3 {
        0 => Request::Forward("a.example".to_owned(), Family::V4),
        1 => Request::Forward("a.example".to_owned(), Family::V6),
        _ => Request::Reverse("198.18.0.1".parse().unwrap()),
    };
    resolver.start(now, request).unwrap();
    // The same tail behind each question: aliases and TCP ask again.
    for _ in 0..40 {
        while let Some(transmit) = resolver.poll_transmit(now) {
            let is_tcp = transmit.transport == Transport::Tcp;
            let query = &transmit.bytes[if is_tcp { 2 } else { 0 }..];
            let name: usize = query[12..].iter().position(|&byte| byte == 0).unwrap_or(0);
            let mut answer = query[..12 + name + 5].to_vec();
            answer[2] = 0x80 | tail.first().copied().unwrap_or(0) & 0x07;
            answer[3] = tail.get(1).copied().unwrap_or(0);
            for at in 6..12 {
                answer[at] = if at % 2 == 1 { tail.get(at).copied().unwrap_or(0) } else { 0 };
            }
            answer.extend_from_slice(tail.get(12..).unwrap_or_default());
            if is_tcp {
                let length = u16::try_from(answer.len()).unwrap_or(u16::MAX);
                resolver.handle_stream(now, transmit.socket, &[&length.to_be_bytes()[..], &answer].concat());
            } else {
                let _ = resolver.handle_datagram(now, transmit.socket, server, &answer);
            }
        }
        while resolver.poll_close().is_some() {}
        if let Some(due) = resolver.poll_timeout() {
            now = now.max(due);
            resolver.handle_timeout(now);
        }
    }
    now += Duration::from_secs(60);
    resolver.handle_timeout(now);
    let answer = resolver.poll_answer().expect("it is settled");
    assert!(resolver.poll_answer().is_none() && resolver.is_idle());
    let shown = answer.explained(None).to_string();
    assert!(shown.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{shown:?}");
});
