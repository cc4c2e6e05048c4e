//! The contract of `nsock`, line by line.

use std::time::Duration;

use nsock::{Alarm, Connected, Event, Io, Pool, Received, Sent, Stop};
use testkit::TcpEcho;

const LIMIT: Option<Duration> = Some(Duration::from_secs(5));

#[derive(Default)]
struct Log {
    lines: Vec<String>,
}

impl Log {
    fn connected(&mut self, io: &mut Io<Self>, ev: Event<Connected>) {
        self.lines.push(format!("{:?}", ev.outcome));
        io.write(ev.iod, b"hello\n", LIMIT, Self::sent);
        io.readlines(ev.iod, 1, LIMIT, Self::received);
    }
    fn sent(&mut self, _: &mut Io<Self>, ev: Event<Sent>) {
        self.lines.push(format!("{:?}", ev.outcome));
    }
    fn received(&mut self, io: &mut Io<Self>, ev: Event<Received>) {
        self.lines.push(format!("{:?}", ev.outcome));
        io.iod_delete(ev.iod);
        io.timer_create(Duration::from_millis(10), Self::fired);
    }
    fn fired(&mut self, _: &mut Io<Self>, ev: Alarm) {
        self.lines.push(format!("{:?}", ev.outcome));
    }
}

#[test]
fn smoke() {
    let server = TcpEcho::start().unwrap();
    let mut log = Log::default();
    let mut pool = Pool::<Log>::new().unwrap();
    let start = pool.now();
    pool.trace_to(
        nsock::trace::Level::Full,
        nsock::trace::Classic::new(std::io::stderr(), start, nsock::trace::Level::Full),
    );
    pool.trace_to(nsock::trace::Level::Full, nsock::trace::Ndjson::new(std::io::stderr(), start));
    let iod = pool.iod_new();
    pool.connect_tcp(iod, server.address(), LIMIT, Log::connected);
    println!("{}", pool.report());
    assert_eq!(pool.run(&mut log, LIMIT).unwrap(), Stop::NoEvents);
    println!("{}", log.lines.join("\n"));
    assert_eq!(log.lines.len(), 4);
}
