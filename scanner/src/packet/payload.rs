//! What to ask a UDP service so that it answers: a short and harmless question of its own protocol, by port.
//!
//! Each was written from the specification it names. Ports without one get an empty datagram.

/// The question for the service that usually listens on a port; empty if none is known.
///
/// ```
/// use scanner::packet::payload::udp;
/// assert_eq!(udp(53)[2..4], [0x01, 0x00]);
/// assert!(udp(9).is_empty());
/// ```
#[must_use]
pub const fn udp(port: u16) -> &'static [u8] {
    match port {
        53 => DNS,
        67 | 68 => &[],
        69 => TFTP,
        111 => PORTMAPPER,
        123 => NTP,
        137 => NETBIOS_NAME,
        161 => SNMP,
        177 => XDMCP,
        389 => CLDAP,
        500 => ISAKMP,
        520 => RIP,
        523 => DB2,
        623 => RMCP,
        1434 => SQL_BROWSER,
        1900 => SSDP,
        3478 => STUN,
        4500 => IKE_OVER_NAT,
        5060 => SIP,
        5353 => MDNS,
        5683 => COAP,
        11211 => MEMCACHED,
        27015 => SOURCE_ENGINE,
        47808 => BACNET,
        _ => &[],
    }
}

/// RFC 1035: the name servers of the root.
const DNS: &[u8] = b"\x29\x17\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x01";
/// RFC 1350: read a file that nobody has.
const TFTP: &[u8] = b"\x00\x01scan-probe\0octet\0";
/// RFC 5531, RFC 1833: the null procedure of the port mapper, version 2.
const PORTMAPPER: &[u8] = b"\x29\x17\x00\x01\x00\x00\x00\x00\x00\x00\x00\x02\x00\x01\x86\xa0\x00\x00\x00\x02\
\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00";
/// RFC 5905: a client's packet of version 4, the rest zero.
const NTP: &[u8] = &{
    let mut packet = [0; 48];
    packet[0] = 0x23;
    packet
};
/// RFC 1002 section 4.2.17: node status of the wildcard name.
const NETBIOS_NAME: &[u8] =
    b"\x29\x17\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x20CKAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\x00\x00\x21\x00\x01";
/// RFC 1157: version 1, community `public`, get sysDescr.0.
const SNMP: &[u8] = b"\x30\x26\x02\x01\x00\x04\x06public\xa0\x19\x02\x01\x29\x02\x01\x00\x02\x01\x00\
\x30\x0e\x30\x0c\x06\x08\x2b\x06\x01\x02\x01\x01\x01\x00\x05\x00";
/// XDMCP 1.1: Query without authentication names.
const XDMCP: &[u8] = b"\x00\x01\x00\x02\x00\x01\x00";
/// RFC 1798, RFC 4511: search of the root for any object class.
const CLDAP: &[u8] = b"\x30\x25\x02\x01\x01\x63\x20\x04\x00\x0a\x01\x00\x0a\x01\x00\x02\x01\x00\x02\x01\x00\
\x01\x01\x00\x87\x0bobjectClass\x30\x00";
/// RFC 2408, RFC 2409: main mode with one proposal (triple DES, SHA, pre-shared key, group 2).
const ISAKMP: &[u8] = b"\x29\x17\x5c\x1e\x80\x3a\x44\x21\x00\x00\x00\x00\x00\x00\x00\x00\x01\x10\x02\x00\
\x00\x00\x00\x00\x00\x00\x00\x50\
\x00\x00\x00\x34\x00\x00\x00\x01\x00\x00\x00\x01\
\x00\x00\x00\x28\x01\x01\x00\x01\
\x00\x00\x00\x20\x01\x01\x00\x00\x80\x01\x00\x05\x80\x02\x00\x02\x80\x03\x00\x01\x80\x04\x00\x02\
\x80\x0b\x00\x01\x80\x0c\x70\x80";
/// RFC 3948: the same behind the marker of four zeros would be taken for IKE; the marker alone is enough to be refused.
const IKE_OVER_NAT: &[u8] =
    b"\x00\x00\x00\x00\x29\x17\x5c\x1e\x80\x3a\x44\x21\x00\x00\x00\x00\x00\x00\x00\x00\
\x01\x10\x02\x00\x00\x00\x00\x00\x00\x00\x00\x50\
\x00\x00\x00\x34\x00\x00\x00\x01\x00\x00\x00\x01\
\x00\x00\x00\x28\x01\x01\x00\x01\
\x00\x00\x00\x20\x01\x01\x00\x00\x80\x01\x00\x05\x80\x02\x00\x02\x80\x03\x00\x01\x80\x04\x00\x02\
\x80\x0b\x00\x01\x80\x0c\x70\x80";
/// RFC 2453: the whole table, version 2.
const RIP: &[u8] =
    b"\x01\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x10";
/// The discovery message of Db2's administration server.
const DB2: &[u8] = b"DB2GETADDR\0SQL08020\0";
/// ASF 2.0 section 3.2.4: presence ping.
const RMCP: &[u8] = b"\x06\x00\xff\x06\x00\x00\x11\xbe\x80\x00\x00\x00";
/// MC-SQLR section 2.2.2: which instances are there?
const SQL_BROWSER: &[u8] = b"\x03";
/// UPnP device architecture 2.0 section 1.3.2.
const SSDP: &[u8] =
    b"M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: \"ssdp:discover\"\r\nMX: 1\r\n\
ST: ssdp:all\r\n\r\n";
/// RFC 8489: binding request.
const STUN: &[u8] = b"\x00\x01\x00\x00\x21\x12\xa4\x42scan-probe\x29\x17";
/// RFC 3261: what can you do?
const SIP: &[u8] =
    b"OPTIONS sip:probe@invalid SIP/2.0\r\nVia: SIP/2.0/UDP invalid;branch=z9hG4bK2917;rport\r\n\
From: <sip:probe@invalid>;tag=2917\r\nTo: <sip:probe@invalid>\r\nCall-ID: 2917\r\nCSeq: 1 OPTIONS\r\n\
Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n";
/// RFC 6763 section 9: which services are there? The answer is wanted by unicast.
const MDNS: &[u8] =
    b"\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x09_services\x07_dns-sd\x04_udp\x05local\x00\
\x00\x0c\x80\x01";
/// RFC 7252, RFC 6690: get `/.well-known/core`.
const COAP: &[u8] = b"\x40\x01\x29\x17\xbb.well-known\x04core";
/// The protocol of memcached: a frame header and the version.
const MEMCACHED: &[u8] = b"\x29\x17\x00\x00\x00\x01\x00\x00version\r\n";
/// Source engine server queries: `A2S_INFO`.
const SOURCE_ENGINE: &[u8] = b"\xff\xff\xff\xffTSource Engine Query\0";
/// ASHRAE 135 annex J: read the object name of the device.
const BACNET: &[u8] = b"\x81\x0a\x00\x11\x01\x04\x00\x05\x01\x0c\x0c\x02\x3f\xff\xff\x19\x4d";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_inside_the_questions_are_right() {
        assert_eq!(usize::from(SNMP[1]) + 2, SNMP.len());
        assert_eq!(usize::from(CLDAP[1]) + 2, CLDAP.len());
        assert_eq!(usize::from(ISAKMP[27]), ISAKMP.len());
        assert_eq!(IKE_OVER_NAT[4..], *ISAKMP);
        assert_eq!(usize::from(BACNET[3]), BACNET.len());
        assert_eq!(NETBIOS_NAME.len(), 50);
        assert_eq!(STUN.len(), 20);
        assert_eq!(PORTMAPPER.len(), 40);
        assert_eq!(RIP.len(), 24);
    }

    #[test]
    fn every_question_fits_a_small_packet() {
        let known = (0..=u16::MAX).filter(|port| !udp(*port).is_empty()).count();
        assert_eq!(known, 23 - 1);
        assert!((0..=u16::MAX).all(|port| udp(port).len() <= 512));
    }
}
