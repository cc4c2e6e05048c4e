//! The text of `--iflist`: interfaces and routes, as people know it.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::report::align;
use crate::route::{Interface, TableRoute};

/// The width of the two titles.
const TITLE_COLUMNS: usize = 58;

/// Both tables.
#[must_use]
pub fn interface_list(interfaces: &BTreeMap<u32, Interface>, routes: &[TableRoute]) -> String {
    let mut text = format!("{:*^TITLE_COLUMNS$}\n", "INTERFACES");
    if interfaces.is_empty() {
        text.push_str("INTERFACES: NONE FOUND(!)\n");
    } else {
        let header = ["DEV", "(SHORT)", "IP/MASK", "TYPE", "UP", "MTU", "MAC"].map(str::to_owned);
        let rows = interfaces.values().flat_map(interface_rows);
        text.push_str(&align(std::iter::once(header.to_vec()).chain(rows).collect()));
    }
    let _ = write!(text, "\n{:*^TITLE_COLUMNS$}\n", "ROUTES");
    if routes.is_empty() {
        text.push_str("ROUTES: NONE FOUND(!)\n");
        return text;
    }
    let header = ["DST/MASK", "DEV", "METRIC", "GATEWAY"].map(str::to_owned);
    let mut routes: Vec<_> = routes.iter().collect();
    // The order in which they count: longest prefix first, then by metric.
    routes.sort_by_key(|route| {
        (
            route.destination.0.is_ipv6(),
            std::cmp::Reverse(route.destination.1),
            route.metric,
            route.destination.0,
        )
    });
    let rows = routes.into_iter().map(|route| {
        let device = interfaces.get(&route.interface).map_or("(none)", |interface| &interface.name);
        vec![
            format!("{}/{}", route.destination.0, route.destination.1),
            device.to_owned(),
            route.metric.to_string(),
            route.gateway.map_or_else(String::new, |gateway| gateway.to_string()),
        ]
    });
    text.push_str(&align(std::iter::once(header.to_vec()).chain(rows).collect()));
    text
}

/// A row for each address; an interface without any has one.
fn interface_rows(interface: &Interface) -> Vec<Vec<String>> {
    let row = |address: String| {
        vec![
            interface.name.clone(),
            format!("({})", interface.name),
            address,
            interface.kind.to_string(),
            if interface.is_up { "up" } else { "down" }.to_owned(),
            interface.mtu.to_string(),
            interface.mac.map_or_else(String::new, |mac| mac.to_string()),
        ]
    };
    if interface.addresses.is_empty() {
        return vec![row("(none)/0".to_owned())];
    }
    interface.addresses.iter().map(|(address, prefix)| row(format!("{address}/{prefix}"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mac::MacAddress;
    use crate::route::InterfaceKind;

    #[test]
    fn the_tables_are_those_people_know() {
        let ethernet = Interface {
            index: 2,
            name: "eth0".to_owned(),
            kind: InterfaceKind::Ethernet,
            mac: Some(MacAddress::new([0x46, 0x6d, 0x91, 0x31, 0x87, 0xa4])),
            mtu: 1500,
            is_up: true,
            addresses: vec![("198.18.64.5".parse().unwrap(), 24), ("fd00:64::5".parse().unwrap(), 64)],
        };
        let tunnel = Interface {
            index: 3,
            name: "t".to_owned(),
            kind: InterfaceKind::PointToPoint,
            mac: None,
            is_up: false,
            mtu: 1500,
            addresses: Vec::new(),
        };
        let route = |destination: &str, prefix, gateway: Option<&str>| TableRoute {
            destination: (destination.parse().unwrap(), prefix),
            interface: 2,
            gateway: gateway.map(|gateway| gateway.parse().unwrap()),
            metric: 0,
        };
        let routes = [route("0.0.0.0", 0, Some("198.18.64.1")), route("198.18.64.0", 24, None)];
        let text = interface_list(&[(2, ethernet), (3, tunnel)].into(), &routes);
        let expected = "\
************************INTERFACES************************
DEV  (SHORT) IP/MASK        TYPE        UP   MTU  MAC
eth0 (eth0)  198.18.64.5/24 ethernet    up   1500 46:6D:91:31:87:A4
eth0 (eth0)  fd00:64::5/64  ethernet    up   1500 46:6D:91:31:87:A4
t    (t)     (none)/0       point2point down 1500

**************************ROUTES**************************
DST/MASK       DEV  METRIC GATEWAY
198.18.64.0/24 eth0 0
0.0.0.0/0      eth0 0      198.18.64.1
";
        assert_eq!(text, expected);
        assert!(interface_list(&BTreeMap::new(), &[]).contains("INTERFACES: NONE FOUND(!)"));
    }
}
