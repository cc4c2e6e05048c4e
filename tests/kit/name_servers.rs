//! Real DNS servers of Debian's packages, on loopback, with one zone that has something of everything.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::lab::Service;
use crate::need_tool;

/// Starts tried: between the choice of a port and its use somebody else may take it.
const TRIES: usize = 3;

/// PTR records of the address that has many: with names this long they are 4 KB.
pub const MANY_NAMES: usize = 60;

/// A running server for `18.198.in-addr.arpa` and `0.0.d.f.ip6.arpa`:
///
/// | address | what it has |
/// |---|---|
/// | 198.18.0.1, fd00::1 | the name `one.example` |
/// | 198.18.0.2 | a TXT record, but no name |
/// | 198.18.0.3 | [`MANY_NAMES`] names, too many for a datagram |
/// | 198.18.0.4 | an alias to `4.0-31.0.18.198.in-addr.arpa`, as RFC 2317 has it, with the name `four.example` |
/// | 198.18.9.x | a DNAME to `moved.18.198.in-addr.arpa`; 198.18.9.1 is `nine.example` |
/// | all others | nothing |
#[derive(Debug)]
pub struct NameServer {
    address: SocketAddr,
    _service: Service,
    _folder: TempDir,
}

impl NameServer {
    /// NSD, which answers for its zones and refuses all else. `None`: skipped, loudly.
    ///
    /// # Errors
    /// When it does not start.
    pub fn nsd() -> io::Result<Option<Self>> {
        Self::start("nsd", |folder, port| {
            let path = folder.display();
            let settings = format!(
                "server:\n ip-address: 127.0.0.1@{port}\n username: \"\"\n zonesdir: \"{path}\"\n \
                 database: \"\"\n pidfile: \"\"\n xfrdfile: \"{path}/xfrd\"\n zonelistfile: \"{path}/list\"\n \
                 server-count: 1\nremote-control:\n control-enable: no\n\
                 zone:\n name: 18.198.in-addr.arpa\n zonefile: v4\nzone:\n name: 0.0.d.f.ip6.arpa\n zonefile: v6\n"
            );
            fs::write(folder.join("nsd.conf"), settings)?;
            let mut command = Command::new("nsd");
            command.args(["-d", "-c"]).arg(folder.join("nsd.conf"));
            Ok(command)
        })
    }

    /// BIND, which gives cookies. `None`: skipped, loudly.
    ///
    /// # Errors
    /// When it does not start.
    pub fn bind() -> io::Result<Option<Self>> {
        Self::start("named", |folder, port| {
            let path = folder.display();
            let settings = format!(
                "options {{ directory \"{path}\"; pid-file none; listen-on port {port} {{ 127.0.0.1; }}; \
                 listen-on-v6 {{ none; }}; recursion no; answer-cookie yes; session-keyfile none; \
                 allow-query {{ 127.0.0.1; }}; max-udp-size 1232; }};\ncontrols {{ }};\n\
                 zone \"18.198.in-addr.arpa\" {{ type primary; file \"v4\"; }};\n\
                 zone \"0.0.d.f.ip6.arpa\" {{ type primary; file \"v6\"; }};\n\
                 zone \"19.198.in-addr.arpa\" {{ type primary; file \"missing\"; }};\n"
            );
            fs::write(folder.join("named.conf"), settings)?;
            let mut command = Command::new("named");
            command.args(["-g", "-n", "1", "-c"]).arg(folder.join("named.conf"));
            Ok(command)
        })
    }

    /// Unbound, which asks `upstream` for the zones and fails for all of 198.19, whose server is not there. `None`:
    /// skipped, loudly.
    ///
    /// # Errors
    /// When it does not start.
    pub fn unbound(upstream: SocketAddr) -> io::Result<Option<Self>> {
        Self::start("unbound", |folder, port| {
            let path = folder.display();
            let mut settings = format!(
                "server:\n interface: 127.0.0.1@{port}\n port: {port}\n username: \"\"\n chroot: \"\"\n \
                 directory: \"{path}\"\n pidfile: \"\"\n use-syslog: no\n do-daemonize: no\n num-threads: 1\n \
                 do-not-query-localhost: no\n module-config: \"iterator\"\n access-control: 127.0.0.0/8 allow\n \
                 local-zone: \"18.198.in-addr.arpa\" nodefault\n local-zone: \"0.0.d.f.ip6.arpa\" nodefault\n \
                 local-zone: \"d.f.ip6.arpa\" nodefault\n outbound-msg-retry: 1\n qname-minimisation: no\nremote-control:\n control-enable: no\n"
            );
            let (ip, at) = (upstream.ip(), upstream.port());
            for zone in ["18.198.in-addr.arpa", "0.0.d.f.ip6.arpa"] {
                let _ = write!(settings, "stub-zone:\n name: \"{zone}\"\n stub-addr: {ip}@{at}\n");
            }
            settings.push_str("stub-zone:\n name: \"19.198.in-addr.arpa\"\n stub-addr: 127.0.0.1@1\n");
            fs::write(folder.join("unbound.conf"), settings)?;
            let mut command = Command::new("unbound");
            command.args(["-d", "-c"]).arg(folder.join("unbound.conf"));
            Ok(command)
        })
    }

    /// dnsmasq, with `one.example` for 198.18.0.1 and fd00::1; it refuses what it does not know. `None`: skipped,
    /// loudly.
    ///
    /// # Errors
    /// When it does not start.
    pub fn dnsmasq() -> io::Result<Option<Self>> {
        Self::start("dnsmasq", |_, port| {
            let mut command = Command::new("dnsmasq");
            command.args([
                "--keep-in-foreground",
                "--conf-file=/dev/null",
                "--no-resolv",
                "--no-hosts",
                "--no-poll",
            ]);
            command.args(["--listen-address=127.0.0.1", "--bind-interfaces", "--pid-file=", "--user=root"]);
            command.arg(format!("--port={port}"));
            command.args(["--local=/0.18.198.in-addr.arpa/", "--host-record=one.example,198.18.0.1,fd00::1"]);
            Ok(command)
        })
    }

    fn start(tool: &str, prepare: impl Fn(&Path, u16) -> io::Result<Command>) -> io::Result<Option<Self>> {
        if !need_tool(tool) {
            return Ok(None);
        }
        let mut failure = io::Error::other("not tried");
        for _ in 0..TRIES {
            let folder = TempDir::new()?;
            fs::write(folder.path().join("v4"), zone_v4())?;
            fs::write(folder.path().join("v6"), zone_v6())?;
            let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
            let command = prepare(folder.path(), address.port())?;
            match Service::start_at(command, address) {
                Ok(service) => return Ok(Some(Self { address, _service: service, _folder: folder })),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

const HEAD: &str = "$TTL 300\n@ SOA ns.example. root.example. 1 3600 600 86400 60\n@ NS ns.example.\n";

fn zone_v4() -> String {
    let mut zone = format!(
        "{HEAD}1.0 PTR one.example.\n2.0 TXT \"nobody\"\n4.0 CNAME 4.0-31.0\n4.0-31.0 PTR four.example.\n\
         9 DNAME moved\n1.moved PTR nine.example.\n"
    );
    for index in 0..MANY_NAMES {
        let _ = writeln!(zone, "3.0 PTR a-long-name-so-that-they-do-not-fit-{index:02}.of.many.example.");
    }
    zone
}

fn zone_v6() -> String {
    format!("{HEAD}1{} PTR one.example.\n", ".0".repeat(27))
}
