//! Asking the kernel over netlink (rtnetlink(7)).

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netlink_packet_core::{NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkLayerType, LinkMessage};
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState,
};
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteType};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};

use super::{Interface, InterfaceKind, NoRoute, Route, TableRoute, Wish};
use crate::mac::MacAddress;
use crate::verdict::Errno;

/// Longer than any message of the kernel: it sends dumps in parts of at most 32 KiB.
const MESSAGE_BYTES_MAX: usize = 64 << 10;

/// A connection to the kernel's routing, with the interfaces there were when it was opened.
#[derive(Debug)]
pub struct Kernel {
    socket: Socket,
    sequence: u32,
    buffer: Vec<u8>,
    interfaces: BTreeMap<u32, Interface>,
}

impl Kernel {
    /// Connects, and reads the interfaces and their addresses.
    ///
    /// # Errors
    /// The system's.
    pub fn new() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        let buffer = vec![0; MESSAGE_BYTES_MAX];
        let mut kernel = Self { socket, sequence: 0, buffer, interfaces: BTreeMap::new() };
        kernel.read_interfaces()?;
        Ok(kernel)
    }

    /// The interfaces, by number.
    #[must_use]
    pub const fn interfaces(&self) -> &BTreeMap<u32, Interface> {
        &self.interfaces
    }

    /// The interface of a name.
    #[must_use]
    pub fn interface_named(&self, name: &str) -> Option<&Interface> {
        self.interfaces.values().find(|interface| interface.name == name)
    }

    /// The way to `destination`, or why there is none.
    ///
    /// # Errors
    /// The system's, about the question itself.
    pub fn route(&mut self, destination: IpAddr, wish: Wish) -> io::Result<Result<Route, NoRoute>> {
        let mut message = RouteMessage::default();
        message.header.address_family = family(destination);
        message.header.destination_prefix_length = if destination.is_ipv4() { 32 } else { 128 };
        message.attributes.push(RouteAttribute::Destination(destination.into()));
        message.attributes.extend(wish.interface.map(RouteAttribute::Oif));
        if let Some(source) = wish.source {
            message.header.source_prefix_length = if source.is_ipv4() { 32 } else { 128 };
            message.attributes.push(RouteAttribute::Source(source.into()));
        }
        let mut found = None;
        let refusal = self.ask(RouteNetlinkMessage::GetRoute(message), 0, |answer| {
            if let RouteNetlinkMessage::NewRoute(route) = answer {
                found = Some(route);
            }
        });
        let no_route = |errno| Ok(Err(NoRoute { errno }));
        match (refusal, found) {
            (Err(error), _) => match error.raw_os_error() {
                Some(errno) => no_route(Errno::new(errno)),
                None => Err(error),
            },
            (Ok(()), Some(message)) => Ok(self.understand(&message, destination, wish)),
            (Ok(()), None) => no_route(Errno::ENETUNREACH),
        }
    }

    fn understand(&self, message: &RouteMessage, destination: IpAddr, wish: Wish) -> Result<Route, NoRoute> {
        let errno = match message.header.kind {
            RouteType::BlackHole => Some(Errno::EINVAL),
            RouteType::Unreachable => Some(Errno::EHOSTUNREACH),
            RouteType::Prohibit => Some(Errno::EACCES),
            _ => None,
        };
        if let Some(errno) = errno {
            return Err(NoRoute { errno });
        }
        let (mut interface, mut gateway, mut preferred) = (None, None, None);
        for attribute in &message.attributes {
            match attribute {
                RouteAttribute::Oif(index) => interface = Some(*index),
                RouteAttribute::Gateway(address) => gateway = ip(address),
                RouteAttribute::PrefSource(address) => preferred = ip(address),
                RouteAttribute::Via(via) => {
                    gateway = match via {
                        netlink_packet_route::route::RouteVia::Inet(address) => Some((*address).into()),
                        netlink_packet_route::route::RouteVia::Inet6(address) => Some((*address).into()),
                        _ => gateway,
                    }
                }
                _ => {}
            }
        }
        let is_local = message.header.kind == RouteType::Local || destination.is_unspecified();
        let own = |index| self.interfaces.get(&index).and_then(|known| source_of(known, destination));
        let interface = interface.ok_or(NoRoute { errno: Errno::ENETUNREACH })?;
        let source = wish.source.or(preferred).or_else(|| own(interface));
        let source = source.ok_or(NoRoute { errno: Errno::EADDRNOTAVAIL })?;
        Ok(Route { interface, source, gateway, is_local })
    }

    /// The hardware address of a neighbor, if the system knows it.
    pub fn neighbor(&mut self, interface: u32, address: IpAddr) -> Option<MacAddress> {
        let mut message = NeighbourMessage::default();
        message.header.family = family(address);
        message.header.ifindex = interface;
        message.attributes.push(NeighbourAttribute::Destination(match address {
            IpAddr::V4(address) => NeighbourAddress::Inet(address),
            IpAddr::V6(address) => NeighbourAddress::Inet6(address),
        }));
        let mut found = None;
        // The kernel says ENOENT of a neighbor it has never heard of.
        let _unknown = self.ask(RouteNetlinkMessage::GetNeighbour(message), 0, |answer| {
            if let RouteNetlinkMessage::NewNeighbour(neighbor) = answer {
                found = hardware_address(&neighbor);
            }
        });
        found
    }

    /// The routes of the main table, both families, as `ip route` shows them.
    ///
    /// # Errors
    /// The system's.
    pub fn table(&mut self) -> io::Result<Vec<TableRoute>> {
        let mut table = Vec::new();
        for family in [AddressFamily::Inet, AddressFamily::Inet6] {
            let mut message = RouteMessage::default();
            message.header.address_family = family;
            self.ask(RouteNetlinkMessage::GetRoute(message), NLM_F_DUMP, |answer| {
                if let RouteNetlinkMessage::NewRoute(route) = answer {
                    table.extend(table_route(&route));
                }
            })?;
        }
        Ok(table)
    }

    fn read_interfaces(&mut self) -> io::Result<()> {
        let mut interfaces = BTreeMap::new();
        self.ask(RouteNetlinkMessage::GetLink(LinkMessage::default()), NLM_F_DUMP, |answer| {
            if let RouteNetlinkMessage::NewLink(link) = answer {
                interfaces.insert(link.header.index, interface(&link));
            }
        })?;
        self.ask(RouteNetlinkMessage::GetAddress(AddressMessage::default()), NLM_F_DUMP, |answer| {
            if let RouteNetlinkMessage::NewAddress(message) = answer
                && let Some(interface) = interfaces.get_mut(&message.header.index)
                && let Some(address) = own_address(&message)
            {
                interface.addresses.push((address, message.header.prefix_len));
            }
        })?;
        self.interfaces = interfaces;
        Ok(())
    }

    /// Sends a request and takes every answer to it. What the kernel refuses is an error with its errno.
    fn ask(
        &mut self,
        request: RouteNetlinkMessage,
        flags: u16,
        mut take: impl FnMut(RouteNetlinkMessage),
    ) -> io::Result<()> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | flags;
        header.sequence_number = self.sequence;
        let mut message = NetlinkMessage::new(header, NetlinkPayload::from(request));
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        self.socket.send(&bytes, 0)?;
        loop {
            let received = self.socket.recv(&mut &mut self.buffer[..], 0)?;
            let mut rest = &self.buffer[..received];
            while !rest.is_empty() {
                let message = NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest)
                    .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
                let length = message.header.length as usize;
                rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
                // What is left of an earlier question that failed half-way.
                if message.header.sequence_number != self.sequence {
                    continue;
                }
                match message.payload {
                    NetlinkPayload::Done(_) => return Ok(()),
                    NetlinkPayload::Error(error) => {
                        return error.code.map_or(Ok(()), |code| {
                            Err(io::Error::from_raw_os_error(code.get().saturating_abs()))
                        });
                    }
                    NetlinkPayload::InnerMessage(answer) => take(answer),
                    _ => {}
                }
                if flags & NLM_F_DUMP == 0 {
                    return Ok(());
                }
            }
        }
    }
}

fn family(address: IpAddr) -> AddressFamily {
    if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 }
}

fn ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(address) => Some((*address).into()),
        RouteAddress::Inet6(address) => Some((*address).into()),
        _ => None,
    }
}

fn hardware_address(neighbor: &NeighbourMessage) -> Option<MacAddress> {
    use NeighbourState::{Failed, Incomplete, None as Nothing};
    if matches!(neighbor.header.state, Failed | Incomplete | Nothing) {
        return None;
    }
    neighbor.attributes.iter().find_map(|attribute| match attribute {
        NeighbourAttribute::LinkLayerAddress(bytes) => mac(bytes),
        _ => None,
    })
}

fn mac(bytes: &[u8]) -> Option<MacAddress> {
    <[u8; 6]>::try_from(bytes).ok().map(MacAddress::new)
}

fn interface(link: &LinkMessage) -> Interface {
    let kind = match link.header.link_layer_type {
        LinkLayerType::Ether => InterfaceKind::Ethernet,
        LinkLayerType::Loopback => InterfaceKind::Loopback,
        _ => InterfaceKind::PointToPoint,
    };
    let mut interface = Interface {
        index: link.header.index,
        name: String::new(),
        kind,
        mac: None,
        mtu: 0,
        is_up: link.header.flags.contains(LinkFlags::Up),
        addresses: Vec::new(),
    };
    for attribute in &link.attributes {
        match attribute {
            LinkAttribute::IfName(name) => interface.name.clone_from(name),
            LinkAttribute::Address(bytes) if kind == InterfaceKind::Ethernet => interface.mac = mac(bytes),
            LinkAttribute::Mtu(mtu) => interface.mtu = *mtu,
            _ => {}
        }
    }
    interface
}

/// The address an interface has itself; on a point-to-point link the other attribute is the peer's.
fn own_address(message: &AddressMessage) -> Option<IpAddr> {
    let find = |wanted: fn(&AddressAttribute) -> Option<IpAddr>| message.attributes.iter().find_map(wanted);
    find(|attribute| match attribute {
        AddressAttribute::Local(address) => Some(*address),
        _ => None,
    })
    .or_else(|| {
        find(|attribute| match attribute {
            AddressAttribute::Address(address) => Some(*address),
            _ => None,
        })
    })
}

/// The address to come from, where the kernel names none: of the same family, and of the link only to the link.
fn source_of(interface: &Interface, destination: IpAddr) -> Option<IpAddr> {
    let fits = |address: &IpAddr| match (address, destination) {
        (IpAddr::V4(_), IpAddr::V4(_)) => true,
        (IpAddr::V6(own), IpAddr::V6(other)) => own.is_unicast_link_local() == other.is_unicast_link_local(),
        _ => false,
    };
    interface.addresses.iter().map(|(address, _)| *address).find(fits)
}

fn table_route(route: &RouteMessage) -> Option<TableRoute> {
    if route.header.kind != RouteType::Unicast || route.header.table != RouteHeader::RT_TABLE_MAIN {
        return None;
    }
    let zero = match route.header.address_family {
        AddressFamily::Inet => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        _ => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let destination = route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Destination(address) => ip(address),
        _ => None,
    });
    let mut line = TableRoute {
        destination: (destination.unwrap_or(zero), route.header.destination_prefix_length),
        interface: 0,
        gateway: None,
        metric: 0,
    };
    for attribute in &route.attributes {
        match attribute {
            RouteAttribute::Oif(index) => line.interface = *index,
            RouteAttribute::Gateway(address) => line.gateway = ip(address),
            RouteAttribute::Priority(metric) => line.metric = *metric,
            _ => {}
        }
    }
    Some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_local_and_its_interface_known() {
        let mut kernel = Kernel::new().unwrap();
        let destination = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let route = kernel.route(destination, Wish::default()).unwrap().unwrap();
        assert!(route.is_local);
        assert_eq!((route.source, route.next_hop(destination)), (destination, destination));
        let interface = &kernel.interfaces()[&route.interface];
        assert_eq!((interface.kind, interface.is_up), (InterfaceKind::Loopback, true));
        assert!(interface.addresses.contains(&(destination, 8)));
        assert_eq!(kernel.interface_named("lo").map(|lo| lo.index), Some(route.interface));
        assert_eq!(kernel.neighbor(route.interface, destination), None);
    }

    #[test]
    fn an_interface_that_is_not_there_is_no_route() {
        let mut kernel = Kernel::new().unwrap();
        let wish = Wish { interface: Some(0x7fff_fff0), source: None };
        let answer = kernel.route(IpAddr::V4(Ipv4Addr::new(198, 18, 0, 1)), wish).unwrap();
        assert!(answer.is_err(), "{answer:?}");
    }
}
