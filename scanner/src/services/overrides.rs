//! Names people expect where the registry has another name, or none because the port was never registered.

use crate::ports::Protocol;

/// A port under the name it is known by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    pub(super) port: u16,
    pub(super) name: &'static str,
    over: Over,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Over {
    Tcp,
    Udp,
    Both,
}

impl Known {
    /// Tells whether the name holds for `protocol`.
    pub(super) const fn applies_to(&self, protocol: Protocol) -> bool {
        matches!(
            (self.over, protocol),
            (Over::Tcp | Over::Both, Protocol::Tcp) | (Over::Udp | Over::Both, Protocol::Udp)
        )
    }
}

const fn tcp(port: u16, name: &'static str) -> Known {
    Known { port, name, over: Over::Tcp }
}

const fn udp(port: u16, name: &'static str) -> Known {
    Known { port, name, over: Over::Udp }
}

const fn both(port: u16, name: &'static str) -> Known {
    Known { port, name, over: Over::Both }
}

/// Sorted by port; a test holds that, and that no entry repeats the registry.
pub(super) const OVERRIDES: &[Known] = &[
    udp(67, "dhcps"),
    udp(68, "dhcpc"),
    both(80, "http"),
    tcp(81, "http-alt"),
    both(135, "msrpc"),
    tcp(465, "smtps"),
    tcp(631, "ipp"),
    tcp(902, "vmware-auth"),
    tcp(1521, "oracle"),
    tcp(2181, "zookeeper"),
    tcp(2222, "ssh-alt"),
    tcp(3128, "http-proxy"),
    tcp(5000, "http-alt"),
    tcp(5601, "kibana"),
    tcp(5900, "vnc"),
    tcp(5901, "vnc-1"),
    tcp(5985, "winrm"),
    tcp(5986, "winrm-s"),
    tcp(6000, "x11"),
    tcp(6443, "kubernetes"),
    tcp(6667, "irc"),
    tcp(6697, "ircs"),
    tcp(6881, "bittorrent"),
    tcp(7001, "weblogic"),
    tcp(7077, "spark"),
    tcp(8000, "http-alt"),
    tcp(8006, "proxmox"),
    tcp(8009, "ajp13"),
    tcp(8080, "http-proxy"),
    tcp(8081, "http-alt"),
    tcp(8088, "http-alt"),
    tcp(8123, "home-assistant"),
    tcp(8200, "vault"),
    tcp(8291, "winbox"),
    tcp(8443, "https-alt"),
    tcp(8500, "consul"),
    tcp(8888, "http-alt"),
    tcp(9000, "http-alt"),
    tcp(9042, "cassandra"),
    tcp(9092, "kafka"),
    tcp(9100, "jetdirect"),
    tcp(9200, "elasticsearch"),
    tcp(9300, "elasticsearch-node"),
    tcp(9443, "https-alt"),
    tcp(10250, "kubelet"),
    both(11211, "memcached"),
    tcp(15672, "rabbitmq"),
    tcp(25565, "minecraft"),
    udp(27015, "source-game"),
    tcp(27018, "mongodb-shard"),
    tcp(50000, "db2"),
    tcp(50070, "hadoop"),
    udp(51820, "wireguard"),
    tcp(61616, "activemq"),
    tcp(62078, "iphone-sync"),
];
