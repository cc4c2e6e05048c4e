//! Scans through proxies: only the last proxy's word is about the target, and nothing goes around.

use testkit::{ProxyServer, Step, TcpEcho, TcpScript, UdpServer, closed_port};

use crate::support::scanner;

#[test]
fn ports_behind_a_socks_proxy_have_the_states_that_it_tells() {
    let Some(proxy) = ProxyServer::microsocks(None).unwrap() else { return };
    let (echo, closed) = (TcpEcho::start().unwrap(), closed_port().unwrap());
    let (open, closed) = (echo.address().port(), closed.address().port());
    let url = format!("socks5://{}", proxy.address());
    let ports = format!("{open},{closed}");
    let done =
        scanner(["-sT", "-n", "-Pn", "--proxies", &url, "-p", &ports, "--reason", "127.0.0.1"]).expect(0);
    assert_eq!((done.port(open).0, done.port(closed).0), ("open", "closed"), "{done:#?}");
    assert!(done.stderr.is_empty(), "{done:#?}");
}

#[test]
fn a_chain_of_three_kinds_reaches_the_target() {
    let (Some(http), Some(dante), Some(socks)) = (
        ProxyServer::tinyproxy(None).unwrap(),
        ProxyServer::dante().unwrap(),
        ProxyServer::microsocks(None).unwrap(),
    ) else {
        return;
    };
    let echo = TcpEcho::start().unwrap();
    let port = echo.address().port().to_string();
    let chain =
        format!("http://{},socks4://{},socks5://{}", http.address(), dante.address(), socks.address());
    let done = scanner(["-sT", "-n", "-Pn", "--proxies", &chain, "-p", &port, "127.0.0.1"]).expect(0);
    assert_eq!(done.port(echo.address().port()).0, "open", "{done:#?}");
}

#[test]
fn a_proxy_that_is_not_there_says_nothing_about_the_target() {
    let nobody = closed_port().unwrap();
    let url = format!("socks5://{}", nobody.address());
    let done = scanner(["-sT", "-n", "-Pn", "--proxies", &url, "-p1", "127.0.0.1"]).expect(3);
    assert_eq!(done.port(1).0, "unknown", "{done:#?}");
    let line = "scanner: WARNING: --proxies: proxy 1 of 1: connecting: Connection refused (111)\n";
    assert!(done.stderr.contains(line), "{done:#?}");
    assert!(done.stdout.contains("Trouble on the way to the target: ECONNREFUSED "), "{done:#?}");
}

#[test]
fn a_proxy_that_lies_is_named_once_and_its_words_are_harmless() {
    let listener: Vec<TcpScript> = (0..1)
        .map(|_| {
            let nonsense = b"\x1b[31mred\x07 nonsense\r\n\r\n".to_vec();
            TcpScript::start(vec![Step::Receive(3), Step::Send(nonsense), Step::Close]).unwrap()
        })
        .collect();
    let url = format!("socks5://{}", listener[0].address());
    let done = scanner(["-sT", "-n", "-Pn", "--proxies", &url, "-p1-5", "127.0.0.1"]).expect(3);
    assert!(done.stderr.matches("WARNING: --proxies: proxy 1 of 1").count() >= 1, "{done:#?}");
    let mut lines: Vec<_> = done.stderr.lines().collect();
    lines.sort_unstable();
    let all = lines.len();
    lines.dedup();
    assert_eq!(lines.len(), all, "each is said once: {done:#?}");
    assert!(done.stderr.bytes().all(|byte| byte == b'\n' || (b' '..=b'~').contains(&byte)), "{done:#?}");
}

#[test]
fn what_would_go_around_the_proxies_is_refused_before_anything_is_sent() {
    let table = [
        ("-sS", "-sS would go around"),
        ("-sU", "-sU would go around"),
        ("-PE", "host discovery (-P...) would go around"),
        ("-R", "-R would go around"),
    ];
    for (option, why) in table {
        let done = scanner(["--proxies", "socks5://127.0.0.1:1", option, "-p1", "127.0.0.1"]).expect(2);
        assert!(done.stderr.starts_with(&format!("scanner: --proxies: {why}")), "{option}: {done:#?}");
    }
    let ping = scanner(["--proxies", "socks5://127.0.0.1:1", "-sn", "127.0.0.1"]).expect(2);
    assert!(ping.stderr.starts_with("scanner: --proxies: -sn would go around"), "{ping:#?}");
    let name = scanner(["--proxies", "socks5://127.0.0.1:1", "-p1", "host.example"]).expect(2);
    assert!(name.stderr.contains("looking up \"host.example\" would go around"), "{name:#?}");
    let bad = scanner(["--proxies", "ftp://127.0.0.1", "-p1", "127.0.0.1"]).expect(2);
    assert!(bad.stderr.starts_with("scanner: --proxies: "), "{bad:#?}");
}

#[test]
fn no_ping_and_no_name_goes_around_and_a_line_says_so() {
    let dns = UdpServer::start(|_, _| Vec::new()).unwrap();
    let Some(proxy) = ProxyServer::microsocks(None).unwrap() else { return };
    let echo = TcpEcho::start().unwrap();
    let (url, port) = (format!("socks5://{}", proxy.address()), echo.address().port().to_string());
    let servers = dns.address().to_string();
    let done = scanner(["--proxies", &url, "--dns-servers", &servers, "-p", &port, "127.0.0.1"]).expect(0);
    assert_eq!(done.port(echo.address().port()).0, "open", "by connect, though raw packets may be permitted");
    assert_eq!(
        done.stderr,
        "scanner: Note: with --proxies all targets count as up and have no names: both would go around the proxies\n"
    );
    assert_eq!(dns.received(), 0);
}

#[test]
fn a_password_is_in_no_output() {
    let Some(proxy) = ProxyServer::microsocks(Some(("joe", "s3cret"))).unwrap() else { return };
    let echo = TcpEcho::start().unwrap();
    let (url, port) = (format!("socks5://joe:s3cret@{}", proxy.address()), echo.address().port().to_string());
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().join("all");
    let base = base.to_str().unwrap();
    let options = [
        "-sT",
        "-n",
        "-Pn",
        "-d3",
        "--packet-trace=all",
        "--proxies",
        &url,
        "-oA",
        base,
        "-p",
        &port,
        "127.0.0.1",
    ];
    let done = scanner(options).expect(0);
    assert_eq!(done.port(echo.address().port()).0, "open", "{done:#?}");
    let mut all = done.stdout + &done.stderr;
    for file in std::fs::read_dir(folder.path()).unwrap() {
        all += &std::fs::read_to_string(file.unwrap().path()).unwrap();
    }
    assert!(!all.contains("s3cret"), "{all}");
}
