use proptest::prelude::*;

use super::*;

fn written(text: &str) -> String {
    text.parse::<ProxyChain>().map_or_else(|why| panic!("{text}: {why}"), |chain| chain.to_string())
}

fn problem(text: &str) -> ProxySpecProblem {
    match text.parse::<ProxyChain>() {
        Ok(chain) => panic!("{text} is no chain, not {chain}"),
        Err(why) => why.problem,
    }
}

/// What nsock's own suite accepts (spec nsock 4.1), and what each is understood as.
#[test]
fn what_nsock_accepts_is_accepted() {
    for (text, understood) in [
        ("http://example.com", "http://example.com:8080"),
        ("http://127.0.0.1/", "http://127.0.0.1:8080"),
        ("http://1/some/crazy.path", "http://0.0.0.1:8080"),
        ("http://127.1/some/path?q=@!weird&other=;", "http://127.0.0.1:8080"),
        ("http://[::1]/", "http://[::1]:8080"),
        ("http://1:80/", "http://0.0.0.1:80"),
        ("http://1:8080", "http://0.0.0.1:8080"),
        ("http://127.0.0.1:1234/", "http://127.0.0.1:1234"),
        ("http://[::1]:8080/", "http://[::1]:8080"),
        ("http://[::1]:80", "http://[::1]:80"),
        ("http://example.com:/", "http://example.com:8080"),
        ("socks4://example.com", "socks4://example.com:1080"),
        ("socks4://1", "socks4://0.0.0.1:1080"),
        ("socks4://example.com/path?", "socks4://example.com:1080"),
        ("HTTP://example.com", "http://example.com:8080"),
        ("http://%31%32%37.0.0.1", "http://127.0.0.1:8080"),
        ("http://example.com,http://[::1]", "http://example.com:8080,http://[::1]:8080"),
        (
            "socks4://1,socks4://2,http://[::1]",
            "socks4://0.0.0.1:1080,socks4://0.0.0.2:1080,http://[::1]:8080",
        ),
    ] {
        assert_eq!(written(text), understood);
    }
}

/// What nsock's own suite rejects, but for what is spoken here and not there.
#[test]
fn what_nsock_rejects_is_rejected() {
    for (text, why) in [
        ("", Problem::Empty),
        (",", Problem::Empty),
        (",http://1", Problem::Empty),
        ("http://1,", Problem::Empty),
        ("http://1,,http://2", Problem::Empty),
        ("example.com", Problem::NoScheme),
        ("127.0.0.1:8080", Problem::NoScheme),
        ("://1", Problem::NoScheme),
        ("http:1", Problem::NoScheme),
        ("http:/1", Problem::NoScheme),
        ("//1", Problem::NoScheme),
        ("https://example.com", Problem::Https),
        ("ftp://example.com", Problem::UnknownScheme),
        ("http ://1", Problem::UnknownScheme),
        (" http://1", Problem::UnknownScheme),
        ("http://1, http://2", Problem::UnknownScheme),
        ("http://", Problem::NoHost),
        ("http:///x", Problem::NoHost),
        ("http://:8080/", Problem::NoHost),
        ("http://::1/", Problem::NoHost),
        ("http://@1/", Problem::NoUser),
        ("http:// 1", Problem::Host),
        ("http://1 ", Problem::Host),
        ("http://256.0.0.1", Problem::Host),
        ("http://1.2.3.4.5", Problem::Host),
        ("http://1:0", Problem::Port),
        ("http://1:65536", Problem::Port),
        ("http://1:-1", Problem::Port),
        ("http://1:+1", Problem::Port),
        ("http://1:0x80", Problem::Port),
        ("http://1:2147483648", Problem::Port),
        ("http://1:80.com", Problem::Port),
        ("http://1:000080", Problem::Port),
        ("http://[::1", Problem::Ipv6),
        ("http://[::g]/", Problem::Ipv6),
        ("http://[127.0.0.1]/", Problem::Ipv6),
        ("http://[::1]x:80", Problem::Ipv6),
        ("socks4://[::1]", Problem::Ipv6OfSocks4),
        ("http://%3/", Problem::Encoding),
        ("http://%zz/", Problem::Encoding),
        ("http://%ff/", Problem::Encoding),
        ("http://%0d%0aHost:x/", Problem::Host),
    ] {
        assert_eq!(problem(text), why, "{text}");
    }
    let long = ["http://1"; PROXIES_MAX + 1].join(",");
    assert_eq!(problem(&long), Problem::TooMany);
}

#[test]
fn users_are_read_and_never_shown() {
    let chain: ProxyChain =
        "socks5://j%40e:s%2C%3A@[::1],http://joe@proxy.example,socks4a://joe@1".parse().unwrap();
    let users: Vec<_> = chain
        .proxies()
        .iter()
        .map(|proxy| proxy.user.as_ref().map(|user| (user.name.as_ref(), user.password.as_ref())).unwrap())
        .collect();
    assert_eq!(users, [("j@e", "s,:"), ("joe", ""), ("joe", "")]);
    let shown = format!("{chain} {chain:?}");
    assert!(!shown.contains("joe") && !shown.contains("s,:"), "{shown}");
    let error = "socks5h://joe:s3cret@host:99999".parse::<ProxyChain>().unwrap_err();
    assert_eq!(error.to_string(), "proxy 1 (\"socks5h://host:99999\"): the port is not one of 1 to 65535");
    assert_eq!(problem("socks5://joe@1"), Problem::NoUser, "RFC 1929 has no empty passwords");
    assert_eq!(problem("socks4://joe:x@1"), Problem::PasswordOfSocks4);
    assert_eq!(problem("socks4://a%00b@1"), Problem::NoUser);
    assert_eq!(problem("http://a%3Ab@1"), Problem::NoUser);
    assert_eq!(problem("http://a%0ab@1"), Problem::NoUser);
}

#[test]
fn addresses_are_understood_as_the_system_does() {
    for (text, octets) in [
        ("0x7f.1", [127, 0, 0, 1]),
        ("0177.0.0.01", [127, 0, 0, 1]),
        ("2130706433", [127, 0, 0, 1]),
        ("1.2.772", [1, 2, 3, 4]),
        ("1.131844", [1, 2, 3, 4]),
    ] {
        assert_eq!(ipv4(text), Some(Ipv4Addr::from(octets)), "{text}");
    }
    for text in ["", ".", "1.", "1..2", "08", "4294967296", "1.16777216", "+1", "0x", "1.2.3.256", "a"] {
        assert_eq!(ipv4(text), None, "{text}");
    }
}

#[test]
fn the_address_of_a_name_can_be_given_later() {
    let chain: ProxyChain = "socks5://proxy.example:1,http://next.example".parse().unwrap();
    assert_eq!((chain.first_name(), chain.first_address()), (Some("proxy.example"), None));
    let chain = chain.with_first_address(Ipv4Addr::LOCALHOST.into());
    assert_eq!(chain.first_address(), Some("127.0.0.1:1".parse().unwrap()));
    assert_eq!(chain.to_string(), "socks5://127.0.0.1:1,http://next.example:8080");
}

proptest! {
    #[test]
    fn any_text_is_understood_or_refused(text in "\\PC{0,60}") {
        let _ = text.parse::<ProxyChain>();
    }

    #[test]
    fn what_is_almost_a_chain_is_understood_or_refused(
        text in "((http|socks[45][ah]?)://([a-z]{0,3}:?[%a-f0-9]{0,4}@)?(\\[[:0-9a-f]{0,5}\\]|[%.0-9a-z]{0,9})(:[0-9]{0,6})?[/,?#]?){0,4}"
    ) {
        if let Ok(chain) = text.parse::<ProxyChain>() {
            // What is shown is understood as the same, but for users.
            let again: ProxyChain = chain.to_string().parse().unwrap();
            prop_assert_eq!(again.to_string(), chain.to_string());
            prop_assert_eq!(again.len(), text.split(',').count());
        }
    }
}
