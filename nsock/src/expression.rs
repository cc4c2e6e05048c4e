//! Expressions of pcap-filter(7), compiled by libpcap. The only file that names it.

use pcap::{Capture, Linktype};

use crate::packet::{BadFilter, BpfInstruction, LinkType};

/// The instructions for an expression on frames of this type.
pub(crate) fn compile(text: &str, link: LinkType) -> Result<Vec<BpfInstruction>, BadFilter> {
    let bad = |error: pcap::Error| BadFilter(error.to_string());
    let unreadable = || BadFilter("libpcap's program cannot be read".to_owned());
    let program = Capture::dead(Linktype(link.dlt())).map_err(bad)?.compile(text, true).map_err(bad)?;
    // The crate shows an instruction as its four numbers, and gives no other way to them.
    program
        .get_instructions()
        .iter()
        .map(|instruction| {
            let text = instruction.to_string();
            let numbers: Vec<u32> = text.split_whitespace().map_while(|number| number.parse().ok()).collect();
            let [code, jt, jf, k] = numbers[..] else { return Err(unreadable()) };
            Ok(BpfInstruction {
                code: u16::try_from(code).map_err(|_| unreadable())?,
                jt: u8::try_from(jt).map_err(|_| unreadable())?,
                jf: u8::try_from(jf).map_err(|_| unreadable())?,
                k,
            })
        })
        .collect()
}
