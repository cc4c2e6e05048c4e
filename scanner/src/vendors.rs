//! Who made a network interface, by its hardware address: the registries of the IEEE.
//!
//! The table is text (`vendors/ieee.txt`, made by `xtask`), sorted and searched in place, so nothing is parsed or allocated
//! at start.

use crate::mac::MacAddress;

const IEEE: &str = include_str!("vendors/ieee.txt");

/// Addresses that people know by another name than their owner's, or that nobody owns.
const KNOWN_AS: &[(&str, &str)] =
    &[("080027", "Oracle VirtualBox virtual NIC"), ("525400", "QEMU virtual NIC")];

/// The short name of the vendor, or `None` where nobody is registered.
///
/// ```
/// use scanner::mac::MacAddress;
/// use scanner::vendors::name;
/// assert_eq!(name(MacAddress::new([0x00, 0x0c, 0x29, 1, 2, 3])), Some("VMware"));
/// assert_eq!(name(MacAddress::new([0x02, 0x00, 0x00, 0x00, 0x64, 0x01])), None);
/// ```
#[must_use]
pub fn name(address: MacAddress) -> Option<&'static str> {
    let digits: String = address.octets().iter().map(|byte| format!("{byte:02X}")).collect();
    let known = KNOWN_AS.iter().find(|(prefix, _)| digits.starts_with(prefix)).map(|(_, name)| *name);
    if known.is_some() || address.is_local() {
        return known;
    }
    // The longer assignments are parts of the shorter ones.
    [9, 7, 6].into_iter().find_map(|length| exact(&digits[..length]))
}

/// The first three bytes of an address of a vendor whose name begins like this, in small letters or large.
#[must_use]
pub fn prefix_of(vendor: &str) -> Option<[u8; 3]> {
    let wanted = vendor.as_bytes();
    let matches = |name: &str| {
        name.as_bytes().get(..wanted.len()).is_some_and(|head| head.eq_ignore_ascii_case(wanted))
    };
    let rows = IEEE.lines().filter_map(|line| line.split_once(' '));
    let (digits, _) = rows.filter(|(digits, _)| digits.len() == 6).find(|(_, name)| matches(name))?;
    let number = u32::from_str_radix(digits, 16).ok().filter(|_| !wanted.is_empty())?;
    let [_, a, b, c] = number.to_be_bytes();
    Some([a, b, c])
}

/// Finds the row of exactly these digits, by bisection over the text.
fn exact(digits: &str) -> Option<&'static str> {
    let (mut low, mut high) = (0, IEEE.len());
    while low < high {
        let middle = low + (high - low) / 2;
        let start = IEEE[..middle].rfind('\n').map_or(0, |end| end + 1);
        let line = IEEE[start..].lines().next().unwrap_or_default();
        let (key, name) = line.split_once(' ').unwrap_or_default();
        match key.cmp(digits) {
            std::cmp::Ordering::Equal => return Some(name),
            std::cmp::Ordering::Less => low = start + line.len() + 1,
            std::cmp::Ordering::Greater => high = start,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_found_and_the_table_is_sorted() {
        let mut rows = 0;
        let mut before = "";
        for line in IEEE.lines().filter(|line| !line.starts_with('#')) {
            let (digits, name) = line.split_once(' ').unwrap();
            assert!(before < digits, "{digits}");
            before = digits;
            rows += 1;
            if rows % 97 == 0 {
                assert_eq!(exact(digits), Some(name));
            }
        }
        assert!(rows > 50_000);
    }

    #[test]
    fn a_vendor_is_found_by_the_beginning_of_its_name() {
        assert_eq!(prefix_of("cisco"), Some([0x00, 0x00, 0x0c]));
        assert_eq!(prefix_of("no such vendor"), None);
        assert_eq!(prefix_of(""), None);
    }

    #[test]
    fn addresses_made_up_locally_have_no_vendor_but_those_of_virtual_machines() {
        let name_of = |text: &str| name(text.parse().unwrap());
        assert_eq!(name_of("52:54:00:12:34:56"), Some("QEMU virtual NIC"));
        assert_eq!(name_of("08:00:27:12:34:56"), Some("Oracle VirtualBox virtual NIC"));
        assert_eq!(name_of("06:00:00:12:34:56"), None);
        assert_eq!(name_of("FF:FF:FF:FF:FF:FF"), None);
    }
}
