//! `/etc/resolv.conf`: text in, values out (resolv.conf(5)). Nothing here opens a file.

use std::net::IpAddr;
use std::time::Duration;

use crate::name::HostName;
use crate::text;

/// Servers taken from one list; the C library takes three. Each costs sockets and a place in every fail-over.
pub const SERVERS_MAX: usize = 16;

/// Domains taken from one `search` line. The C library had six until 2.26 and no limit since.
pub const SEARCH_MAX: usize = 32;

/// Notes kept about lines that were not understood.
pub const NOTES_MAX: usize = 32;

/// Longest `options timeout:n`, as resolv.conf(5) caps it.
const TIMEOUT_MAX: Duration = Duration::from_secs(30);

/// Most `options attempts:n`, as resolv.conf(5) caps it.
const ATTEMPTS_MAX: u8 = 5;

/// Most `options ndots:n`, as resolv.conf(5) caps it.
const NDOTS_MAX: u8 = 15;

/// The settings of a `resolv.conf`.
///
/// ```
/// let conf = dns::ResolvConf::parse(b"nameserver 198.18.0.53\noptions timeout:1 rotate\n");
/// assert_eq!(conf.name_servers.len(), 1);
/// assert!(conf.rotate);
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ResolvConf {
    /// The servers in the file's order, each once. Empty if it names none; the C library then asks 127.0.0.1.
    pub name_servers: Vec<NameServer>,
    /// Domains to try names of few dots in; the last `search` or `domain` line decides.
    pub search: Vec<HostName>,
    /// Names with at least this many dots are tried as they are first.
    pub ndots: u8,
    /// Longest wait for one try, if set.
    pub timeout: Option<Duration>,
    /// Tries per server, if set.
    pub attempts: Option<u8>,
    /// Spread the queries over the servers instead of preferring the first.
    pub rotate: bool,
    /// Ask by TCP alone (`use-vc`).
    pub use_tcp: bool,
    /// What could not be used, for a `-d` line; at most [`NOTES_MAX`].
    pub notes: Vec<Note>,
}

impl Default for ResolvConf {
    /// What an empty file says.
    fn default() -> Self {
        Self {
            name_servers: Vec::new(),
            search: Vec::new(),
            ndots: 1,
            timeout: None,
            attempts: None,
            rotate: false,
            use_tcp: false,
            notes: Vec::new(),
        }
    }
}

/// One server of the list.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct NameServer {
    /// Its address; the port is 53.
    pub address: IpAddr,
    /// The zone of a link-local address: the name or number of an interface, which only the system can resolve.
    pub scope: Option<String>,
}

/// A line that could not be used.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("line {line}: {problem}")]
#[non_exhaustive]
pub struct Note {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a line.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// A `nameserver` that is not an IPv4 or IPv6 address.
    #[error("not an address of a DNS server")]
    Address,
    /// A value of an option that is not a number, or a domain that is not a name.
    #[error("a value cannot be read")]
    Value,
    /// More servers than [`SERVERS_MAX`], or more domains than [`SEARCH_MAX`].
    #[error("more entries than are used")]
    TooMany,
}

impl ResolvConf {
    /// Reads the text of the file. A line that makes no sense is noted; it never fails. Keywords and options that are
    /// not for this resolver are passed over.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Self {
        let mut conf = Self::default();
        for (index, line) in text::lines(bytes).enumerate() {
            let mut words = text::words(line, b"#;");
            let result = match words.next() {
                Some("nameserver") => conf.name_server(words.next()),
                Some("search" | "domain") => conf.search(words),
                Some("options") => words.map(|word| conf.option(word)).fold(Ok(()), Result::and),
                _ => Ok(()),
            };
            if let Err(problem) = result
                && conf.notes.len() < NOTES_MAX
            {
                conf.notes.push(Note { line: index + 1, problem });
            }
        }
        conf
    }

    fn name_server(&mut self, word: Option<&str>) -> Result<(), Problem> {
        let (address, scope) = word.and_then(text::address).ok_or(Problem::Address)?;
        let server = NameServer { address, scope: scope.map(str::to_owned) };
        if self.name_servers.contains(&server) {
            return Ok(());
        }
        if self.name_servers.len() == SERVERS_MAX {
            return Err(Problem::TooMany);
        }
        self.name_servers.push(server);
        Ok(())
    }

    fn search<'a>(&mut self, words: impl Iterator<Item = &'a str>) -> Result<(), Problem> {
        self.search.clear();
        let mut result = Ok(());
        // A lone dot says "no domain", for systems whose default would be their own.
        for word in words.filter(|&word| word != ".") {
            match HostName::parse(word) {
                Err(_) => result = Err(Problem::Value),
                Ok(_) if self.search.len() == SEARCH_MAX => result = Err(Problem::TooMany),
                Ok(domain) => self.search.push(domain),
            }
        }
        result
    }

    fn option(&mut self, word: &str) -> Result<(), Problem> {
        let (name, value) = word.split_once(':').unwrap_or((word, ""));
        // Digits only: `+5` is no number in this file. A number too large for the type is capped like any other.
        let number = || {
            let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| value.parse::<u8>().unwrap_or(u8::MAX)).ok_or(Problem::Value)
        };
        match name {
            "attempts" => self.attempts = Some(number()?.clamp(1, ATTEMPTS_MAX)),
            "ndots" => self.ndots = number()?.min(NDOTS_MAX),
            "rotate" => self.rotate = true,
            "use-vc" => self.use_tcp = true,
            "timeout" => {
                let timeout = Duration::from_secs(number()?.into());
                self.timeout = Some(timeout.clamp(Duration::from_secs(1), TIMEOUT_MAX));
            }
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn servers_in_order_once_with_scopes_and_comments() {
        let text = b"# made by hand\n nameserver 198.18.0.53 # first\n;nameserver 198.18.0.1\n\
            nameserver\tfe80::1%eth0\nnameserver 198.18.0.53\nnameserver fd00::53\r\nnameserver 10.0.0.1%x\n\
            nameserver resolver.test\nnameserver\nnameserverx 1.2.3.4\n";
        let conf = ResolvConf::parse(text);
        let servers: Vec<_> =
            conf.name_servers.iter().map(|it| (it.address.to_string(), it.scope.clone())).collect();
        let expected = [("198.18.0.53", None), ("fe80::1", Some("eth0")), ("fd00::53", None)];
        assert_eq!(servers, expected.map(|(address, scope)| (address.to_owned(), scope.map(str::to_owned))));
        let noted: Vec<_> = conf.notes.iter().map(|note| (note.line, note.problem)).collect();
        assert_eq!(noted, [(7, Problem::Address), (8, Problem::Address), (9, Problem::Address)]);
        assert_eq!(conf.notes[0].to_string(), "line 7: not an address of a DNS server");
    }

    #[test]
    fn options_are_read_and_capped() {
        let conf = ResolvConf::parse(
            b"options timeout:99999 attempts:0 ndots:200\noptions rotate edns0 trust-ad use-vc\n",
        );
        assert_eq!(conf.timeout, Some(TIMEOUT_MAX));
        assert_eq!(conf.attempts, Some(1));
        assert_eq!(conf.ndots, NDOTS_MAX);
        assert!(conf.rotate && conf.use_tcp);
        assert!(conf.notes.is_empty());
    }

    #[test]
    fn options_without_a_number_are_noted_and_the_others_hold() {
        let conf = ResolvConf::parse(b"options timeout: attempts:x rotate ndots:+1\n");
        assert_eq!((conf.timeout, conf.attempts, conf.ndots, conf.rotate), (None, None, 1, true));
        assert_eq!(conf.notes, [Note { line: 1, problem: Problem::Value }]);
    }

    #[test]
    fn the_last_of_search_and_domain_decides() {
        let conf = ResolvConf::parse(b"domain a.test\nsearch b.test. C.test\n");
        assert_eq!(conf.search, [HostName::parse("b.test").unwrap(), HostName::parse("c.test").unwrap()]);
        assert!(ResolvConf::parse(b"search a.test\nsearch .\n").search.is_empty());
    }

    #[test]
    fn lists_are_bounded_and_it_is_noted() {
        let servers: String = (0..20).map(|index| format!("nameserver 198.18.0.{index}\n")).collect();
        let conf = ResolvConf::parse(servers.as_bytes());
        assert_eq!(conf.name_servers.len(), SERVERS_MAX);
        assert_eq!(conf.notes.len(), 4);
        let search = format!("search {}", "a.test ".repeat(40));
        let conf = ResolvConf::parse(search.as_bytes());
        assert_eq!(conf.search.len(), SEARCH_MAX);
        assert_eq!(conf.notes, [Note { line: 1, problem: Problem::TooMany }]);
    }

    #[test]
    fn an_empty_file_has_no_servers() {
        assert_eq!(ResolvConf::parse(b""), ResolvConf::default());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let conf = ResolvConf::parse(&bytes);
            prop_assert!(conf.name_servers.len() <= SERVERS_MAX && conf.notes.len() <= NOTES_MAX);
        }

        #[test]
        fn any_words_are_read(
            words in proptest::collection::vec(
                "nameserver|search|domain|options|\n|;|#|::1|1.2.3.4|fe80::1%e|%|ndots:[0-9]{1,12}|rotate|[a-z.]{1,9}",
                0..80,
            )
        ) {
            let conf = ResolvConf::parse(words.join(" ").as_bytes());
            prop_assert!(conf.ndots <= NDOTS_MAX && conf.search.len() <= SEARCH_MAX);
        }
    }
}
