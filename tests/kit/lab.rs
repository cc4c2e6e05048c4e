//! Two hosts and a wire: network namespaces that a test makes and deletes itself.
//!
//! ```text
//!   scanner side                              target side
//!   scan0 198.18.64.5/24  ---- veth ----  target0 198.18.64.10 .11 .12 .13 /24
//!         fd00:64::5/64                           fd00:64::10 ::11 ::12 ::13 /64
//! ```
//!
//! The addresses are of 198.18.0.0/15 (RFC 2544, benchmarks) and `fd00::/8` (RFC 4193), and neither side has a route
//! out. IPv6 is quiet: no duplicate address detection, no link-local addresses, and static neighbors, so that a capture
//! has only what the test sends. IPv4 neighbors are found by ARP, as a scanner's host discovery wants to see; the rest
//! of the subnet has no host, so its addresses do not answer ARP.

mod far;
mod service;

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Write};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::{self, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::{panic, thread};

use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

pub use far::{FAR_V4, FAR_V6, Far, ROUTER_V4, ROUTER_V6};
pub use service::Service;

use crate::{need_root, need_tool};

/// The network interface on the scanner's side.
pub const SCANNER_LINK: &str = "scan0";
/// The network interface on the targets' side.
pub const TARGET_LINK: &str = "target0";
/// The scanner's IPv4 address.
pub const SCANNER_V4: Ipv4Addr = Ipv4Addr::new(198, 18, 64, 5);
/// The scanner's IPv6 address.
pub const SCANNER_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x64, 0, 0, 0, 0, 0, 0x5);
/// The targets' IPv4 addresses.
pub const TARGETS_V4: [Ipv4Addr; 4] = [
    Ipv4Addr::new(198, 18, 64, 10),
    Ipv4Addr::new(198, 18, 64, 11),
    Ipv4Addr::new(198, 18, 64, 12),
    Ipv4Addr::new(198, 18, 64, 13),
];
/// The targets' IPv6 addresses.
pub const TARGETS_V6: [Ipv6Addr; 4] = [
    Ipv6Addr::new(0xfd00, 0x64, 0, 0, 0, 0, 0, 0x10),
    Ipv6Addr::new(0xfd00, 0x64, 0, 0, 0, 0, 0, 0x11),
    Ipv6Addr::new(0xfd00, 0x64, 0, 0, 0, 0, 0, 0x12),
    Ipv6Addr::new(0xfd00, 0x64, 0, 0, 0, 0, 0, 0x13),
];

/// Locally administered hardware addresses (IEEE 802), fixed so that the static neighbors can name them.
const SCANNER_MAC: &str = "02:00:00:00:64:05";
const TARGET_MAC: &str = "02:00:00:00:64:10";

/// Makes the names of this process's labs unique.
static LABS: AtomicU32 = AtomicU32::new(0);

/// Two network namespaces with a veth pair between them; see the module's picture.
///
/// Dropping it, also by a panic, kills the processes that still run in either namespace and deletes both. Declare
/// servers made by [`Self::in_target`] after the lab, so that they are dropped before it.
///
/// ```
/// use std::net::TcpStream;
/// use testkit::{Lab, TARGETS_V4, TcpEcho};
///
/// let Some(lab) = Lab::new("example")? else { return Ok(()) };
/// let echo = lab.in_target(|| TcpEcho::start_at((TARGETS_V4[0], 7).into(), None))??;
/// lab.nft_target("table inet filter { chain input { type filter hook input priority 0; tcp dport 9 drop; }; }")?;
/// lab.in_scanner(|| TcpStream::connect(echo.address()))??;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Lab {
    scanner: Namespace,
    target: Namespace,
}

impl Lab {
    /// Builds a lab; `name` (letters, digits, dashes) helps a reader of `ip netns` to see whose it is.
    ///
    /// `None`: skipped, loudly, as this is not root or there is no `ip` or `nft`.
    ///
    /// # Errors
    /// When a namespace cannot be made; the error has what `ip` said.
    ///
    /// # Panics
    /// In continuous integration, instead of a skip.
    pub fn new(name: &str) -> io::Result<Option<Self>> {
        if !(need_root() && need_tool("ip") && need_tool("nft")) {
            return Ok(None);
        }
        let number = LABS.fetch_add(1, Ordering::Relaxed);
        let unique = format!("testkit-{name}-{}-{number}", process::id());
        let scanner = Namespace::new(format!("{unique}-scanner"))?;
        let target = Namespace::new(format!("{unique}-target"))?;
        scanner.batch(&format!(
            "link add {SCANNER_LINK} address {SCANNER_MAC} type veth peer name {TARGET_LINK} address {TARGET_MAC} netns {}",
            target.name
        ))?;
        let v4 = TARGETS_V4.map(|ip| ip.to_string());
        let v6 = TARGETS_V6.map(|ip| ip.to_string());
        let (scanner_v4, scanner_v6) = (SCANNER_V4.to_string(), SCANNER_V6.to_string());
        target.batch(&host(TARGET_LINK, &v4, &v6, SCANNER_MAC, std::slice::from_ref(&scanner_v6)))?;
        scanner.batch(&host(SCANNER_LINK, &[scanner_v4], &[scanner_v6], TARGET_MAC, &v6))?;
        Ok(Some(Self { scanner, target }))
    }

    /// A command that will run `program` on the scanner's side.
    pub fn scanner_command(&self, program: impl AsRef<OsStr>) -> Command {
        self.scanner.command(program)
    }

    /// A command that will run `program` on the targets' side.
    pub fn target_command(&self, program: impl AsRef<OsStr>) -> Command {
        self.target.command(program)
    }

    /// Loads an nftables ruleset, in `nft`'s own language, on the scanner's side.
    ///
    /// # Errors
    /// When `nft` refuses it; the error has what it said.
    pub fn nft_scanner(&self, ruleset: &str) -> io::Result<()> {
        feed(self.scanner_command("nft").args(["-f", "-"]), ruleset)
    }

    /// Loads an nftables ruleset on the targets' side: drops, rejects, loss (`numgen random mod 100 < 10 drop`).
    ///
    /// # Errors
    /// As [`Self::nft_scanner`].
    pub fn nft_target(&self, ruleset: &str) -> io::Result<()> {
        feed(self.target_command("nft").args(["-f", "-"]), ruleset)
    }

    /// Gives the programs started by [`Self::scanner_command`] a file of their own in place of `/etc/NAME`, such as
    /// `resolv.conf` or `hosts`. The file of the machine must exist, and stays as it is.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn set_scanner_file(&self, name: &str, text: &str) -> io::Result<()> {
        let folder = self.scanner.files();
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(name), text)
    }

    /// Lets the targets send as many ICMP errors as they are asked to; usually it is one a second and sender.
    ///
    /// # Errors
    /// When the settings of the kernel cannot be written.
    pub fn lift_icmp_limits(&self) -> io::Result<()> {
        self.in_target(lift_icmp_limits)?
    }

    /// Lets the scanner's side choose its source ports from `first` to `last` only.
    ///
    /// # Errors
    /// When the setting of the kernel cannot be written.
    pub fn set_scanner_ports(&self, first: u16, last: u16) -> io::Result<()> {
        self.in_scanner(|| fs::write("/proc/sys/net/ipv4/ip_local_port_range", format!("{first} {last}")))?
    }

    /// Runs `ip` with these commands, one a line, on the scanner's side: routes, addresses.
    ///
    /// # Errors
    /// When `ip` refuses one; the error has what it said.
    pub fn ip_scanner(&self, commands: &str) -> io::Result<()> {
        self.scanner.batch(commands)
    }

    /// Starts a DNS server (`dnsmasq`) at port 53 of all addresses of the targets. `records` are its options, such as
    /// `--ptr-record=10.64.18.198.in-addr.arpa,ten.example` or `--host-record=ten.example,198.18.64.10`; for all else it
    /// says that there is no such name.
    ///
    /// `None`: skipped, loudly, as there is no `dnsmasq`.
    ///
    /// # Errors
    /// When it does not start; the error has what it said.
    ///
    /// # Panics
    /// In continuous integration, instead of a skip.
    pub fn dnsmasq(&self, records: &[&str]) -> io::Result<Option<Service>> {
        if !need_tool("dnsmasq") {
            return Ok(None);
        }
        let mut command = self.target_command("dnsmasq");
        command.args(["--no-daemon", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--user=root"]);
        command.args(["--pid-file=", "--local=//"]).args(records);
        Service::start(command, "started").map(Some)
    }

    /// Runs `closure` on a new thread on the scanner's side, and returns what it returned.
    ///
    /// A socket belongs to the namespace of the thread that made it, wherever it is used later: what the closure
    /// returns keeps working on that side.
    ///
    /// # Errors
    /// When the thread cannot be started or the namespace not entered.
    ///
    /// # Panics
    /// When the closure does.
    pub fn in_scanner<T: Send>(&self, closure: impl FnOnce() -> T + Send) -> io::Result<T> {
        self.scanner.enter(closure)
    }

    /// Runs `closure` on a new thread on the targets' side; as [`Self::in_scanner`].
    ///
    /// # Errors
    /// As [`Self::in_scanner`].
    ///
    /// # Panics
    /// When the closure does.
    pub fn in_target<T: Send>(&self, closure: impl FnOnce() -> T + Send) -> io::Result<T> {
        self.target.enter(closure)
    }
}

fn lift_icmp_limits() -> io::Result<()> {
    fs::write("/proc/sys/net/ipv4/icmp_ratelimit", "0")?;
    fs::write("/proc/sys/net/ipv6/icmp/ratelimit", "0")
}

/// What `ip -batch` has to do for one end of the wire.
fn host(link: &str, v4: &[String], v6: &[String], peer_mac: &str, peers_v6: &[String]) -> String {
    let mut lines = vec!["link set lo up".to_owned(), format!("link set {link} addrgenmode none")];
    lines.extend(v4.iter().map(|ip| format!("addr add {ip}/24 dev {link}")));
    lines.extend(v6.iter().map(|ip| format!("addr add {ip}/64 dev {link} nodad")));
    lines.push(format!("link set {link} up"));
    lines.extend(
        peers_v6.iter().map(|ip| format!("neigh add {ip} lladdr {peer_mac} dev {link} nud permanent")),
    );
    lines.join("\n")
}

/// A network namespace with a name, deleted when dropped.
#[derive(Debug)]
struct Namespace {
    name: String,
}

impl Namespace {
    fn new(name: String) -> io::Result<Self> {
        feed(Command::new("ip").args(["netns", "add", &name]), "")?;
        Ok(Self { name })
    }

    /// Runs a list of `ip` commands, one a line, in the namespace.
    fn batch(&self, commands: &str) -> io::Result<()> {
        feed(Command::new("ip").args(["-netns", &self.name, "-batch", "-"]), commands)
    }

    /// Where `ip netns exec` finds the files that stand in for those of `/etc`.
    fn files(&self) -> PathBuf {
        PathBuf::from("/etc/netns").join(&self.name)
    }

    fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program);
        command
    }

    fn enter<T: Send>(&self, closure: impl FnOnce() -> T + Send) -> io::Result<T> {
        let namespace = File::open(format!("/run/netns/{}", self.name))?;
        thread::scope(|scope| {
            // On a thread of its own, which ends with the closure: no other thread ever changes its namespace.
            let inside = thread::Builder::new().name("lab".to_owned()).spawn_scoped(scope, || {
                move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
                Ok(closure())
            })?;
            inside.join().unwrap_or_else(|cause| panic::resume_unwind(cause))
        })
    }

    /// The processes in the namespace; this one is not among them, as only threads of it enter.
    fn processes(&self) -> Vec<Pid> {
        let listed = Command::new("ip").args(["netns", "pids", &self.name]).output();
        let text = listed.map(|out| String::from_utf8_lossy(&out.stdout).into_owned()).unwrap_or_default();
        let own = rustix::process::getpid();
        text.lines()
            .filter_map(|line| Pid::from_raw(line.trim().parse().ok()?))
            .filter(|pid| *pid != own)
            .collect()
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        for pid in self.processes() {
            // It may have ended by itself since it was listed.
            let _ended = kill_process(pid, Signal::KILL);
        }
        // Fails only when somebody else deleted it first.
        let _deleted = feed(Command::new("ip").args(["netns", "delete", &self.name]), "");
        // Only a namespace that was given files has the folder.
        let _deleted = fs::remove_dir_all(self.files());
    }
}

/// Runs a command with this standard input, and makes its failure an error that says what it said.
fn feed(command: &mut Command, input: &str) -> io::Result<()> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let written = child.stdin.take().map_or(Ok(()), |mut stdin| stdin.write_all(input.as_bytes()));
    let done = child.wait_with_output()?;
    if !done.status.success() {
        let said = String::from_utf8_lossy(&done.stderr);
        return Err(io::Error::other(format!("{command:?} failed, {}: {}", done.status, said.trim())));
    }
    written
}

#[cfg(test)]
mod tests;
