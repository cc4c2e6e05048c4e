//! Every example runs, against the kit's servers, and shows what it promises.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use testkit::{
    DnsConditions, DnsResponder, Lab, ProxyServer, SCANNER_LINK, Step, TARGETS_V4, TLS_HOST, TcpEcho,
    TcpScript, TlsServer, TlsSetup, UdpEcho, closed_port,
};

/// Runs an example that cargo has built beside this test.
fn example(name: &str, arguments: &[String]) -> Output {
    let path = path_of(name);
    let output = Command::new(&path)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("{path:?}: {error} (cargo build --examples makes it)"));
    assert!(output.status.success(), "{name}: {output:?}");
    output
}

fn path_of(name: &str) -> PathBuf {
    let mut path: PathBuf = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.push("examples");
    path.push(name);
    path
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn hello_shows_first_lines_and_whose_fault_a_failure_is() {
    let steps = vec![Step::ReceiveLine, Step::Send(b"HTTP/1.0 200 OK\r\n\r\n".to_vec()), Step::Close];
    let server = TcpScript::start(steps).unwrap();
    let closed = closed_port().unwrap();
    let shown = stdout(&example("hello", &[server.address().to_string(), closed.address().to_string()]));
    assert!(shown.contains(&format!("{}: HTTP/1.0 200 OK\n", server.address())), "{shown}");
    let refused = format!("{}: connecting: Connection refused (111) (Peer fault)\n", closed.address());
    assert!(shown.contains(&refused), "{shown}");
}

#[test]
fn timers_tick_and_can_be_cancelled() {
    let shown = stdout(&example("timers", &[]));
    let lines: Vec<_> =
        shown.lines().map(|line| line.split_once("ms  ").map_or(line, |(_, what)| what)).collect();
    let expected = [
        "tick 1 (EID 28)",
        "tick 2 (EID 36)",
        "tick 3 (EID 44)",
        "EID 12 was cancelled",
        "the loop stopped: NoEvents",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn udp_echo_counts_what_comes_back() {
    let server = UdpEcho::start().unwrap();
    let shown = stdout(&example("udp_echo", &[server.address().to_string(), "3".into()]));
    assert!(shown.contains(&format!("datagram 3 from {}", server.address())), "{shown}");
    assert!(shown.ends_with("3 sent, 0 without answer\n"), "{shown}");
}

#[test]
fn banner_reads_a_line_from_each() {
    let greeter = TcpScript::start(vec![Step::Send(b"220 \x1b[31mready\r\n".to_vec()), Step::Stall]).unwrap();
    let silent = TcpScript::start(vec![Step::Close]).unwrap();
    let shown = stdout(&example("banner", &[greeter.address().to_string(), silent.address().to_string()]));
    assert!(shown.contains(&format!("{}: 220 \\u{{1b}}[31mready\n", greeter.address())), "{shown}");
    assert!(shown.contains(&format!("{}: the peer closed the connection\n", silent.address())), "{shown}");
}

#[test]
fn lifecycle_shows_the_iod_that_hangs_and_why() {
    let output = example("lifecycle", &[]);
    let shown = stdout(&output);
    assert!(shown.contains("greeted by 2, but:\n1 IOD open, 1 event pending\n  IOD #2 "), "{shown}");
    assert!(shown.contains("READ waiting for 2 lines, 14 bytes so far, requested"), "{shown}");
    assert!(shown.contains("examples/lifecycle.rs:"), "{shown}");
    let records = String::from_utf8(output.stderr).unwrap();
    let callbacks = records
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .filter(|record| record["step"] == "callback" && record["kind"] == "READ");
    assert_eq!(
        callbacks.map(|record| record["status"].clone()).collect::<Vec<_>>(),
        ["SUCCESS", "SUCCESS", "KILL"]
    );
}

/// Runs an example with this input.
fn example_with_input(name: &str, arguments: &[String], input: &[u8]) -> Output {
    let mut child = Command::new(path_of(name))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{name}: {output:?}");
    output
}

#[test]
fn telnet_carries_both_directions_with_and_without_tls() {
    let plain = TcpEcho::start().unwrap();
    let output = example_with_input("telnet", &[plain.address().to_string()], b"hello\n");
    assert_eq!(stdout(&output), "hello\n");
    assert_eq!(String::from_utf8(output.stderr).unwrap(), format!("connected to {}\n", plain.address()));
    let secure = TlsServer::echo(TlsSetup::new().unwrap()).unwrap();
    let arguments = ["--tls".to_owned(), secure.address().to_string()];
    let output = example_with_input("telnet", &arguments, b"hello\n");
    assert_eq!(stdout(&output), "hello\n");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.starts_with(&format!("connected to {} by TLSv1.3 TLS13_", secure.address())), "{said}");
}

#[test]
fn tls_info_shows_what_was_agreed_or_whose_fault_it_is() {
    let mut setup = TlsSetup::new().unwrap();
    setup.alpn = vec![b"http/1.1".to_vec()];
    let server = TlsServer::echo(setup).unwrap();
    let shown = stdout(&example("tls_info", &[server.address().to_string(), TLS_HOST.to_owned()]));
    assert!(shown.starts_with(&format!("{}: TLSv1.3 TLS13_", server.address())), "{shown}");
    let length = server.identity().certificate().len();
    assert!(shown.ends_with(&format!("protocol: http/1.1\ncertificate 0: {length} bytes\n")), "{shown}");
    let plain = TcpScript::start(vec![Step::Send(b"220 ready\r\n".to_vec()), Step::Stall]).unwrap();
    let shown = stdout(&example("tls_info", &[plain.address().to_string()]));
    assert!(shown.contains("what the peer sent is not TLS") && shown.contains("Peer fault"), "{shown}");
}

#[test]
fn proxy_get_fetches_through_a_chain_and_says_which_proxy_failed() {
    let page = b"HTTP/1.0 200 OK\r\n\r\nhello\n".to_vec();
    let steps = vec![Step::ReceiveLine, Step::ReceiveLine, Step::ReceiveLine, Step::ReceiveLine];
    let server = TcpScript::start([steps, vec![Step::Send(page), Step::Close]].concat()).unwrap();
    let target = format!("localhost:{}", server.address().port());
    let (Some(first), Some(second)) =
        (ProxyServer::microsocks(None).unwrap(), ProxyServer::tinyproxy(Some(("joe", "s3cret"))).unwrap())
    else {
        return;
    };
    let chain =
        format!("socks5://localhost:{},http://joe:s3cret@{}", first.address().port(), second.address());
    let output = example("proxy_get", &[chain, target.clone()]);
    assert_eq!(stdout(&output), "HTTP/1.0 200 OK\r\n\r\nhello\n");
    let asked = String::from_utf8(server.received().remove(0)).unwrap();
    assert_eq!(asked, "GET / HTTP/1.0\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let chain = format!("socks5://{},http://{}", first.address(), second.address());
    let output = Command::new(path_of("proxy_get")).args([&chain, &target]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.contains("proxy 2 of 2: it wants a user"), "{said}");
}

#[test]
fn proxy_get_speaks_tls_with_the_target() {
    let server = TlsServer::echo(TlsSetup::new().unwrap()).unwrap();
    let Some(proxy) = ProxyServer::dante().unwrap() else { return };
    let arguments = [
        "--tls".to_owned(),
        format!("socks5://{}", proxy.address()),
        format!("localhost:{}", server.address().port()),
    ];
    let mut child =
        Command::new(path_of("proxy_get")).args(arguments).stdout(Stdio::piped()).spawn().unwrap();
    // The server says what it hears, so the page is the request; it does not end by itself.
    let mut line = String::new();
    BufRead::read_line(&mut BufReader::new(child.stdout.take().unwrap()), &mut line).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(line, "GET / HTTP/1.0\r\n");
}

#[test]
fn sniff_shows_packets_of_the_loopback_and_counts_them() {
    use std::io::{BufRead, BufReader, Read};
    use std::net::UdpSocket;
    let Some(lab) = Lab::new("sniff").unwrap() else { return };
    let path = std::env::current_exe().unwrap().parent().unwrap().parent().unwrap().join("examples/sniff");
    let mut sniff = lab
        .scanner_command(path)
        .args(["lo", "2"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("cargo build --examples makes it");
    let mut output = BufReader::new(sniff.stdout.take().unwrap());
    let mut shown = String::new();
    output.read_line(&mut shown).unwrap();
    assert_eq!(shown, "listening on lo\n");
    lab.in_scanner(|| {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        for _ in 0..2 {
            socket.send_to(&[0; 58], socket.local_addr().unwrap()).unwrap();
        }
    })
    .unwrap();
    output.read_to_string(&mut shown).unwrap();
    assert!(sniff.wait().unwrap().success());
    let lines: Vec<_> = shown.lines().collect();
    assert_eq!(lines.len(), 4, "{shown}");
    for line in &lines[1..3] {
        assert!(line.ends_with(" interface 1 to us, 14 + 86 of 100 bytes: IPv4 protocol 17"), "{line}");
    }
    assert_eq!(lines[3], "2 packets of 200 bytes; 2 passed the filter, 0 were dropped");
}

/// Runs an example on the scanner's side of a lab.
fn example_in(lab: &Lab, name: &str, arguments: &[&str]) -> String {
    let output = lab.scanner_command(path_of(name)).args(arguments).output().unwrap();
    assert!(output.status.success(), "{name}: {output:?}");
    stdout(&output)
}

#[test]
fn syn_probe_tells_open_closed_and_silent_ports_apart() {
    let Some(lab) = Lab::new("syn-probe").unwrap() else { return };
    let _open = lab.in_target(|| TcpEcho::start_at((TARGETS_V4[0], 22).into(), None)).unwrap().unwrap();
    lab.nft_target("table inet t { chain c { type filter hook input priority 0; tcp dport 9 drop; }; }")
        .unwrap();
    let probe = |port: u16| example_in(&lab, "syn_probe", &[&format!("{}:{port}", TARGETS_V4[0])]);
    assert!(probe(22).starts_with("198.18.64.10:22: open, ttl 64, window "));
    assert_eq!(probe(81), "198.18.64.10:81: closed, ttl 64, window 0\n");
    assert_eq!(probe(9), "198.18.64.10:9: no answer\n");
}

#[test]
fn arp_scan_finds_the_neighbors_and_no_others() {
    let Some(lab) = Lab::new("arp-scan").unwrap() else { return };
    let shown = example_in(&lab, "arp_scan", &[SCANNER_LINK, "198.18.64.9", "198.18.64.14"]);
    let mut lines: Vec<_> = shown.lines().collect();
    assert_eq!((lines[0], lines[5]), ("6 requests sent", "4 answered"), "{shown}");
    lines[1..5].sort_unstable();
    let expected = TARGETS_V4.map(|ip| format!("{ip} is at 02:00:00:00:64:10"));
    assert_eq!(lines[1..5], expected);
}

#[test]
fn connect_scan_tells_open_ports_from_closed_ones() {
    let open = [TcpEcho::start().unwrap(), TcpEcho::start().unwrap()];
    let closed = closed_port().unwrap();
    let mut arguments = vec!["127.0.0.1".to_owned(), closed.address().port().to_string()];
    arguments.extend(open.iter().map(|server| {
        let port = server.address().port();
        format!("{port}-{port}")
    }));
    let shown = stdout(&example("connect_scan", &arguments));
    for server in &open {
        assert!(shown.contains(&format!("{}/tcp open\n", server.address().port())), "{shown}");
    }
    assert!(shown.ends_with("2 open, 1 not open, 0 unknown\n"), "{shown}");
}

#[test]
fn rdns_shows_the_name_of_each_address() {
    let server = DnsResponder::start_at(testkit::LOOPBACK_V4, DnsConditions::default()).unwrap();
    let servers = server.address().to_string();
    let arguments = ["--server", &servers, "198.18.0.1", "fd00:64::1"].map(str::to_owned);
    let shown = stdout(&example("rdns", &arguments));
    let mut lines: Vec<serde_json::Value> =
        shown.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    lines.sort_by_key(|line| line["address"].to_string());
    for (line, address) in lines.iter().zip(["198.18.0.1", "fd00:64::1"]) {
        assert_eq!(line["address"], address);
        assert_eq!(line["names"][0], testkit::pointer_name(address.parse().unwrap()));
        assert_eq!((&line["server"], &line["rcode"]), (&servers.as_str().into(), &0.into()));
        assert_eq!((&line["ttl"], &line["tries"]), (&3_600.into(), &1.into()));
    }
    assert_eq!(lines.len(), 2);
}

#[test]
fn echo_server_answers_everybody_and_sees_them_off() {
    let mut server = Command::new(path_of("echo_server")).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines().map(Result::unwrap);
    let first = lines.next().unwrap();
    let address = first.strip_prefix("listening at ").unwrap();
    let mut visitors: Vec<_> = (0..3).map(|_| TcpStream::connect(address).unwrap()).collect();
    for (visitor, word) in visitors.iter_mut().zip(["one", "two", "three"]) {
        visitor.write_all(word.as_bytes()).unwrap();
        visitor.shutdown(Shutdown::Write).unwrap();
        let mut echo = String::new();
        visitor.read_to_string(&mut echo).unwrap();
        assert_eq!(echo, word);
    }
    let told: Vec<String> = lines.by_ref().take(6).collect();
    assert_eq!(told.iter().filter(|line| line.contains(" came, ")).count(), 3, "{told:?}");
    let left = "left: it has said everything; 5 bytes in, 5 out";
    assert!(told.iter().any(|line| line.ends_with(left)), "{told:?}");
    server.kill().unwrap();
    server.wait().unwrap();
}

#[test]
fn async_probe_tells_first_lines_and_whose_fault_a_failure_is() {
    let eager = TcpScript::start(vec![Step::Send(b"220 hi there\r\n".to_vec()), Step::Close]).unwrap();
    let steps = vec![Step::ReceiveLine, Step::Send(b"HTTP/1.0 200 OK\r\n\r\n".to_vec()), Step::Close];
    let shy = TcpScript::start(steps).unwrap();
    let closed = closed_port().unwrap();
    let addresses = [eager.address(), shy.address(), closed.address()];
    let shown = stdout(&example("async_probe", &addresses.map(|address| address.to_string())));
    let expected = format!(
        "{}: 220 hi there\n{}: HTTP/1.0 200 OK\n{}: connecting: Connection refused (111) (Peer fault)\n",
        addresses[0], addresses[1], addresses[2]
    );
    assert_eq!(shown, expected);
}
