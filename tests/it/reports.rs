//! What users of the original have reported (spec nsock 9.3), each thread a test of its number where the trouble could
//! exist here. Others are named after them beside what they are about: 176 in `proxies`, 313 and 961 in `packets`, 1488,
//! 2788 and 3430 in `tls`; the parity page of the crate has the list, with those that cannot exist.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::process::Command;
use std::thread;
use std::time::Duration;

use nsock::{
    Alarm, During, Event, Failure, Fault, Io, Misuse, PcapOptions, Pool, ProxyChain, Sent, SocketOptions,
    Stop,
};
use testkit::measure::raise_descriptor_limit;
use testkit::{
    Step, TcpEcho, TcpScript, UdpEcho, closed_port, descriptor_limit_leaving, exclusive, in_own_process,
    need_descriptors, need_root, with_descriptor_limit,
};

use crate::support::{LIMIT, Saw, Seen, connect, finish, got, ms, read};

fn pool() -> (Pool<Seen>, Seen) {
    (Pool::new().unwrap(), Seen::default())
}

/// Runs an example from a shell that does something to its descriptors first.
fn example_after(redirection: &str, name: &str, arguments: &[&str]) -> (String, String, bool) {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.push("examples");
    path.push(name);
    let script = format!("exec {redirection}; exec \"$0\" \"$@\"");
    let output = Command::new("sh").arg("-c").arg(script).arg(path).args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr), output.status.success())
}

#[test]
fn nmap_96_a_timer_that_ends_early_is_a_failure_like_any_other() {
    let (mut pool, mut seen) = pool();
    let timer = pool.timer_create(Duration::from_secs(60), Seen::alarm);
    pool.event_cancel(timer);
    assert_eq!(finish(&mut pool, &mut seen), [Saw::Failed(Failure::Cancelled)]);
    pool.timer_create(Duration::from_secs(60), Seen::alarm);
    pool.shutdown(&mut seen);
    assert_eq!(seen.take(), [Saw::Failed(Failure::Killed)]);
}

#[test]
fn nmap_143_a_socket_that_gets_descriptor_0_is_no_standard_input() {
    let server = TcpScript::start(vec![Step::Send(b"220 ready\r\n".to_vec()), Step::Close]).unwrap();
    let address = server.address().to_string();
    let (stdout, stderr, success) = example_after("0<&-", "hello", &[&address]);
    assert!(success, "{stderr}");
    assert!(stdout.contains("220 ready"), "{stdout}");
}

#[test]
fn nmap_177_an_empty_proxy_is_refused() {
    for text in ["", ",", "socks4://,", "http://127.0.0.1:8080,,http://127.0.0.1:8080"] {
        assert!(text.parse::<ProxyChain>().is_err(), "{text:?}");
    }
}

#[test]
fn nmap_187_2912_iods_deleted_in_any_order_take_exactly_their_events_with_them() {
    let echo = TcpEcho::start().unwrap();
    let mut dice = fastrand::Rng::with_seed(187);
    let (mut pool, mut seen) = pool();
    let mut iods: Vec<_> = (0..10).map(|_| connect(&mut pool, &mut seen, echo.address())).collect();
    for _ in 0..300 {
        pool.read(iods[dice.usize(0..10)], LIMIT, Seen::received);
    }
    dice.shuffle(&mut iods);
    for iod in iods {
        let of_it = pool.report().events.iter().filter(|event| event.iod == Some(iod)).count();
        let before = pool.pending();
        assert!(pool.iod_delete(iod));
        assert_eq!(pool.pending(), before - of_it);
    }
    assert_eq!(pool.run(&mut seen, LIMIT).unwrap(), Stop::NoEvents);
    assert!(seen.log.is_empty());
}

#[test]
fn nmap_215_a_handler_that_asks_again_and_again_needs_no_stack() {
    struct Chain {
        left: usize,
    }
    fn next(chain: &mut Chain, io: &mut Io<Chain>, ev: Event<Sent>) {
        assert!(ev.outcome.is_ok());
        chain.left -= 1;
        if chain.left > 0 {
            // Ends at once: nothing is sent.
            io.write(ev.iod, b"", LIMIT, next);
        }
    }
    let echo = UdpEcho::start().unwrap();
    let address = echo.address();
    let small = thread::Builder::new().stack_size(256 << 10);
    let run = small.spawn(move || {
        let mut pool = Pool::<Chain>::new().unwrap();
        let iod = pool.iod_new();
        pool.connect_udp(iod, address, |_, _, _| ());
        pool.write(iod, b"", LIMIT, next);
        let mut chain = Chain { left: 50_000 };
        pool.run(&mut chain, Some(Duration::from_secs(60))).unwrap();
        chain.left
    });
    assert_eq!(run.unwrap().join().unwrap(), 0);
}

#[test]
fn nmap_197_249_773_what_goes_wrong_in_tls_is_told_in_words() {
    let server =
        TcpScript::start(vec![Step::Send(b"this is no TLS at all, is it?\r\n".to_vec()), Step::Close])
            .unwrap();
    let (mut pool, mut seen) = pool();
    let iod = pool.iod_new();
    pool.connect_ssl(iod, server.address(), LIMIT, Seen::connected);
    let saw = finish(&mut pool, &mut seen);
    let [Saw::Failed(failure)] = saw[..] else { panic!("{saw:?}") };
    let text = failure.to_string();
    assert!(text.len() > 10 && !text.contains("EIO") && !text.contains("os error 5"), "{text}");
}

#[test]
fn nmap_608_the_sender_of_a_datagram_is_known_without_a_connect() {
    let (mut pool, mut seen) = pool();
    let iod = pool.iod_new();
    pool.setup_udp(iod, testkit::LOOPBACK_V4).unwrap();
    let to = pool.iod_local(iod).unwrap();
    for word in ["one", "two"] {
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        sender.send_to(word.as_bytes(), to).unwrap();
        let from = sender.local_addr().unwrap();
        let saw = read(&mut pool, &mut seen, iod);
        assert!(matches!(&saw, Saw::Got { from: Some(said), .. } if *said == from), "{saw:?}");
        assert_eq!(pool.iod_peer(iod), Some(from));
    }
}

#[test]
fn nmap_947_too_many_open_files_is_this_machines_trouble_and_passes() {
    in_own_process("reports::nmap_947_too_many_open_files_is_this_machines_trouble_and_passes", || {
        let echo = TcpEcho::start().unwrap();
        let (mut pool, mut seen) = pool();
        let limit = descriptor_limit_leaving(0).unwrap();
        with_descriptor_limit(&exclusive(), limit, || {
            let iod = pool.iod_new();
            pool.connect_tcp(iod, echo.address(), LIMIT, Seen::connected);
            let saw = finish(&mut pool, &mut seen);
            let [Saw::Failed(failure)] = saw[..] else { panic!("{saw:?}") };
            assert_eq!((failure.errno(), failure.fault()), (Some(libc::EMFILE), Fault::Local));
        })
        .unwrap();
        connect(&mut pool, &mut seen, echo.address());
    });
}

#[test]
fn nmap_1149_1491_a_loop_with_nothing_to_do_ends_and_one_that_waits_does_not_spin() {
    let echo = TcpEcho::start().unwrap();
    let (mut pool, mut seen) = pool();
    assert_eq!(pool.run(&mut seen, None).unwrap(), Stop::NoEvents);
    let iod = connect(&mut pool, &mut seen, echo.address());
    pool.read(iod, None, Seen::received);
    let turns = std::rc::Rc::new(std::cell::Cell::new(0));
    let counted = std::rc::Rc::clone(&turns);
    pool.trace_to(nsock::trace::Level::Full, move |record: &nsock::trace::Record<'_>| {
        if matches!(record.step, nsock::trace::Step::Turn) {
            counted.set(counted.get() + 1);
        }
    });
    pool.run(&mut seen, Some(ms(100))).unwrap();
    assert!(turns.get() < 10, "{} turns of a loop that has nothing to do", turns.get());
}

#[test]
fn nmap_1222_3086_descriptors_above_1024_are_like_any_others() {
    in_own_process("reports::nmap_1222_3086_descriptors_above_1024_are_like_any_others", || {
        raise_descriptor_limit(3_000);
        if !need_descriptors(3_000) {
            return;
        }
        let echo = TcpEcho::start().unwrap();
        let filler: Vec<_> = (0..1_100).map(|_| std::fs::File::open("/dev/null").unwrap()).collect();
        let (mut pool, mut seen) = pool();
        let iod = connect(&mut pool, &mut seen, echo.address());
        let number = std::os::fd::AsRawFd::as_raw_fd(&pool.iod_fd(iod).unwrap());
        assert!(number > 1_024, "{number}");
        pool.write(iod, b"high", LIMIT, Seen::sent);
        pool.readbytes(iod, 4, LIMIT, Seen::received);
        assert_eq!(finish(&mut pool, &mut seen), [Saw::Sent(4), got("high", nsock::End::Enough)]);
        drop(filler);
    });
}

#[test]
fn nmap_1184_1233_1434_3133_3206_3250_no_handler_runs_while_a_request_is_made() {
    struct State {
        is_asking: bool,
        ran: usize,
    }
    fn ended<T>(state: &mut State, _: &mut Io<State>, ev: Event<T>) {
        assert!(!state.is_asking && ev.outcome.is_err());
        state.ran += 1;
    }
    fn ask(state: &mut State, io: &mut Io<State>, _: Alarm) {
        state.is_asking = true;
        // Each fails, or can be known to fail, before anything is waited for.
        let iod = io.iod_new();
        io.read(iod, LIMIT, ended);
        io.write(iod, b"x", LIMIT, ended);
        io.printf(iod, LIMIT, format_args!(""), ended);
        io.pcap_read_packet(iod, LIMIT, ended);
        let mut options = SocketOptions::default();
        options.device = Some("no-such-device".into());
        io.iod_set_options(iod, options);
        io.connect_tcp(iod, "127.0.0.1:9".parse().unwrap(), LIMIT, ended);
        let timer = io.iod_new();
        let event = io.read(timer, LIMIT, ended);
        io.event_cancel(event);
        state.is_asking = false;
    }
    let mut pool = Pool::<State>::new().unwrap();
    pool.timer_create(Duration::ZERO, ask);
    let mut state = State { is_asking: false, ran: 0 };
    pool.run(&mut state, LIMIT).unwrap();
    assert_eq!(state.ran, 6);
}

#[test]
fn nmap_1311_a_timer_nobody_needs_any_more_is_forgotten_and_holds_no_loop() {
    let (mut pool, mut seen) = pool();
    let idle = pool.timer_create(Duration::from_secs(3_600), Seen::alarm);
    assert_eq!(pool.run(&mut seen, Some(ms(1))).unwrap(), Stop::TimedOut);
    assert!(pool.forget(idle));
    assert_eq!(pool.run(&mut seen, None).unwrap(), Stop::NoEvents);
}

#[test]
fn nmap_1414_a_pool_ends_whatever_is_pending() {
    for address in ["127.0.0.1:9", "[::1]:9"] {
        let (mut pool, mut seen) = pool();
        for _ in 0..50 {
            let iod = pool.iod_new();
            pool.connect_udp(iod, address.parse().unwrap(), Seen::connected);
            pool.read(iod, None, Seen::received);
            pool.write(iod, b"x", LIMIT, Seen::sent);
            pool.timer_create(Duration::from_secs(60), Seen::alarm);
        }
        pool.shutdown(&mut seen);
        assert_eq!(seen.log.len(), 200, "each handler has run once");
    }
}

#[test]
fn nmap_1543_tls_on_datagrams_is_refused_in_words() {
    let echo = UdpEcho::start().unwrap();
    let (mut pool, mut seen) = pool();
    let iod = pool.iod_new();
    pool.connect_udp(iod, echo.address(), |_, _, _| ());
    pool.reconnect_ssl(iod, LIMIT, Seen::connected);
    assert_eq!(finish(&mut pool, &mut seen), [Saw::Failed(Failure::Misuse(Misuse::NotTcp))]);
}

#[test]
fn nmap_1939_a_source_address_that_cannot_be_had_fails_the_request() {
    let echo = TcpEcho::start().unwrap();
    let (mut pool, mut seen) = pool();
    let iod = pool.iod_new();
    let mut options = SocketOptions::default();
    options.local = Some(SocketAddr::new(IpAddr::from([198, 18, 255, 1]), 0));
    pool.iod_set_options(iod, options);
    pool.connect_tcp(iod, echo.address(), LIMIT, Seen::connected);
    let expected = Failure::Io { errno: libc::EADDRNOTAVAIL, during: During::Bind };
    assert_eq!(finish(&mut pool, &mut seen), [Saw::Failed(expected)]);
    assert_eq!(expected.fault(), Fault::Local);
}

#[test]
fn nmap_2829_standard_input_may_be_the_null_device() {
    let (mut pool, mut seen) = pool();
    let null = std::fs::File::open("/dev/null").unwrap();
    let iod = pool.iod_adopt(&null).unwrap();
    assert_eq!(read(&mut pool, &mut seen, iod), Saw::Failed(Failure::Eof));
    // And does not keep others from working.
    let echo = TcpEcho::start().unwrap();
    connect(&mut pool, &mut seen, echo.address());
}

#[test]
fn nmap_3219_a_packet_that_never_comes_is_waited_for_so_long_and_no_longer() {
    if !need_root() {
        return;
    }
    let (mut pool, _) = pool();
    let iod = pool.iod_new();
    let mut options = PcapOptions::default();
    // Nothing passes: return 0.
    options.filter = Some(nsock::Filter::bpf([nsock::BpfInstruction { code: 6, jt: 0, jf: 0, k: 0 }]));
    pool.pcap_open(iod, "lo", &options).unwrap();
    pool.pcap_read_packet(iod, Some(ms(20)), |seen: &mut Seen, _, ev: Event<nsock::Packet>| {
        seen.log.push((ev.id, ev.outcome.map_or_else(Saw::Failed, |_| Saw::Alarm)));
    });
    let mut seen = Seen::default();
    assert_eq!(finish(&mut pool, &mut seen), [Saw::Failed(Failure::TimedOut)]);
}

#[test]
fn nmap_3240_a_standard_input_that_is_closed_is_an_error_in_words() {
    let closed = closed_port().unwrap();
    let (_, stderr, success) = example_after("0<&-", "telnet", &[&closed.address().to_string()]);
    assert!(!success);
    assert!(stderr.contains("Bad file descriptor") || stderr.contains("refused"), "{stderr}");
}
