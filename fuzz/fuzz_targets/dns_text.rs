//! Names, hosts files and resolv.conf of any bytes: parsed or refused, and what was parsed reads back the same.
#![no_main]

use dns::{Config, HostName, Hosts, Request, ResolvConf, Resolver};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = str::from_utf8(bytes)
        && let Ok(name) = HostName::parse(text)
    {
        let shown = name.to_string();
        assert!(shown.is_ascii() && shown.len() <= dns::NAME_BYTES_MAX);
        assert_eq!(HostName::parse(&shown).as_ref(), Ok(&name));
        assert_eq!(shown, name.escaped().to_string());
    }
    let conf = ResolvConf::parse(bytes);
    let servers = conf.name_servers.iter().map(|server| (server.address, 53).into()).collect();
    let mut config = Config::new(servers).with_resolv_conf(&conf);
    config.hosts = Hosts::parse(bytes);
    let mut resolver = Resolver::new(config, || 7).unwrap();
    let now = std::time::Instant::now();
    resolver.start(now, Request::Reverse("127.0.0.1".parse().unwrap())).unwrap();
    let answer = resolver.poll_answer().expect("localhost is always known");
    assert_eq!(answer.outcome.to_string(), "localhost");
});
