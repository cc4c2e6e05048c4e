//! Hosts two hops away, behind the targets' side.

use std::ffi::OsStr;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::process::Command;

use super::{Lab, Namespace, SCANNER_LINK, TARGET_LINK, TARGET_MAC, feed, host};

/// The router's IPv4 address on the scanner's link.
pub const ROUTER_V4: Ipv4Addr = Ipv4Addr::new(198, 18, 64, 1);
/// The router's IPv6 address on the scanner's link.
pub const ROUTER_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x64, 0, 0, 0, 0, 0, 0x1);
/// The far hosts' IPv4 addresses.
pub const FAR_V4: [Ipv4Addr; 3] =
    [Ipv4Addr::new(198, 18, 65, 10), Ipv4Addr::new(198, 18, 65, 11), Ipv4Addr::new(198, 18, 65, 13)];
/// The far hosts' IPv6 addresses.
pub const FAR_V6: [Ipv6Addr; 3] = [
    Ipv6Addr::new(0xfd00, 0x65, 0, 0, 0, 0, 0, 0x10),
    Ipv6Addr::new(0xfd00, 0x65, 0, 0, 0, 0, 0, 0x11),
    Ipv6Addr::new(0xfd00, 0x65, 0, 0, 0, 0, 0, 0x13),
];

/// The router's link to the far hosts, and theirs.
const ROUTER_LINK: &str = "router0";
const FAR_LINK: &str = "far0";
const ROUTER_MAC: &str = "02:00:00:00:65:01";
const FAR_MAC: &str = "02:00:00:00:65:10";

/// A third namespace, with the targets' side as the router to it. Declare it after its lab, so that it is dropped first.
///
/// ```text
///   scan0 ---- target0 198.18.64.1, fd00:64::1   router0 198.18.65.1 ---- far0 198.18.65.10 .11 .13 /24
///                                                        fd00:65::1            fd00:65::10 ::11 ::13 /64
/// ```
///
/// The far hosts do not limit their ICMP errors. What the router lets through is for [`Lab::nft_target`] to say, in a
/// chain of the hook `forward`.
#[derive(Debug)]
pub struct Far {
    namespace: Namespace,
}

impl Lab {
    /// Adds hosts behind the targets' side, and routes to them.
    ///
    /// # Errors
    /// When something of it cannot be made.
    pub fn far_side(&self) -> io::Result<Far> {
        let far = Far { namespace: Namespace::new(self.target.name.replace("-target", "-far"))? };
        self.target.batch(&format!(
            "link add {ROUTER_LINK} address {ROUTER_MAC} type veth peer name {FAR_LINK} address {FAR_MAC} netns {}\n\
             addr add {ROUTER_V4}/24 dev {TARGET_LINK}\n\
             addr add {ROUTER_V6}/64 dev {TARGET_LINK} nodad",
            far.namespace.name
        ))?;
        let (router_v4, router_v6) = ("198.18.65.1".to_owned(), "fd00:65::1".to_owned());
        let (v4, v6) = (FAR_V4.map(|ip| ip.to_string()), FAR_V6.map(|ip| ip.to_string()));
        self.target.batch(&host(
            ROUTER_LINK,
            &[router_v4],
            std::slice::from_ref(&router_v6),
            FAR_MAC,
            &v6,
        ))?;
        far.namespace.batch(&host(FAR_LINK, &v4, &v6, ROUTER_MAC, &[router_v6]))?;
        far.namespace.batch("route add default via 198.18.65.1\nroute add default via fd00:65::1")?;
        self.scanner.batch(&format!(
            "neigh add {ROUTER_V6} lladdr {TARGET_MAC} dev {SCANNER_LINK} nud permanent\n\
             route add default via {ROUTER_V4}\n\
             route add default via {ROUTER_V6}"
        ))?;
        self.target.enter(|| {
            std::fs::write("/proc/sys/net/ipv4/ip_forward", "1")?;
            std::fs::write("/proc/sys/net/ipv6/conf/all/forwarding", "1")
        })??;
        far.namespace.enter(super::lift_icmp_limits)??;
        Ok(far)
    }
}

impl Far {
    /// A command that will run `program` on the far side.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        self.namespace.command(program)
    }

    /// Loads an nftables ruleset on the far side.
    ///
    /// # Errors
    /// As [`Lab::nft_target`].
    pub fn nft(&self, ruleset: &str) -> io::Result<()> {
        feed(self.command("nft").args(["-f", "-"]), ruleset)
    }

    /// Runs `closure` on a new thread on the far side; as [`Lab::in_scanner`].
    ///
    /// # Errors
    /// As [`Lab::in_scanner`].
    ///
    /// # Panics
    /// When the closure does.
    pub fn enter<T: Send>(&self, closure: impl FnOnce() -> T + Send) -> io::Result<T> {
        self.namespace.enter(closure)
    }
}
