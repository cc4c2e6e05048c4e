//! Filters for captures: classic BPF, as the kernel runs it.

use std::fmt;

use super::{COOKED_HEADER_BYTES, LinkType};

/// One instruction of classic BPF (kernel documentation, `networking/filter`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_structs, reason = "the format is fixed since 1993")]
pub struct BpfInstruction {
    /// The operation.
    pub code: u16,
    /// Instructions to skip if a comparison holds.
    pub jt: u8,
    /// Instructions to skip if it does not.
    pub jf: u8,
    /// The operand.
    pub k: u32,
}

/// What a capture lets through. It runs in the kernel, from the first packet on.
///
/// Offsets count from the start of [`Packet::bytes`](crate::Packet::bytes), with one exception: of packets that come
/// in, Linux takes the VLAN tag off before any filter sees them, and the capture puts it back behind the filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter(Source);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Source {
    Program(Vec<BpfInstruction>),
    #[cfg(feature = "libpcap")]
    Expression(String),
}

/// Why a filter cannot be used, as a text for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BadFilter(pub(crate) String);

impl Filter {
    /// These instructions, at most 4,096.
    ///
    /// ```
    /// use nsock::{BpfInstruction, Filter};
    /// // tcpdump -dd arp
    /// let arp = Filter::bpf([
    ///     BpfInstruction { code: 0x28, jt: 0, jf: 0, k: 12 },
    ///     BpfInstruction { code: 0x15, jt: 0, jf: 1, k: 0x806 },
    ///     BpfInstruction { code: 0x6, jt: 0, jf: 0, k: 0x40000 },
    ///     BpfInstruction { code: 0x6, jt: 0, jf: 0, k: 0 },
    /// ]);
    /// # drop(arp);
    /// ```
    pub fn bpf(instructions: impl Into<Vec<BpfInstruction>>) -> Self {
        Self(Source::Program(instructions.into()))
    }

    /// An expression as tcpdump takes it (pcap-filter(7)), compiled by libpcap when the capture is opened.
    ///
    /// Names in it are looked up then, which can take as long as the system's resolver does. The keyword `vlan` finds
    /// no tag in packets that come in: see above.
    #[cfg(feature = "libpcap")]
    pub fn expression(text: impl Into<String>) -> Self {
        Self(Source::Expression(text.into()))
    }

    /// The text of the expression; empty for instructions.
    pub(crate) fn text(&self) -> &str {
        match &self.0 {
            Source::Program(_) => "",
            #[cfg(feature = "libpcap")]
            Source::Expression(text) => text,
        }
    }

    /// The program that the kernel is to run for frames of this type, so that it keeps `snaplen` bytes at the most.
    pub(crate) fn program(&self, link: LinkType, snaplen: u32) -> Result<Vec<BpfInstruction>, BadFilter> {
        let mut program = match &self.0 {
            Source::Program(program) => program.clone(),
            #[cfg(feature = "libpcap")]
            Source::Expression(text) => crate::expression::compile(text, link)?,
        };
        if link == LinkType::Cooked {
            program.iter_mut().try_for_each(without_cooked_header)?;
        }
        for instruction in &mut program {
            if instruction.code == RETURN {
                instruction.k = instruction.k.min(snaplen);
            }
        }
        Ok(program)
    }

    /// The program that lets everything through.
    pub(crate) fn everything(snaplen: u32) -> Vec<BpfInstruction> {
        vec![BpfInstruction { code: RETURN, jt: 0, jf: 0, k: snaplen }]
    }
}

/// `BPF_RET | BPF_K`.
const RETURN: u16 = 0x06;
/// `BPF_CLASS`, and the two classes that load.
const CLASS_MASK: u16 = 0x07;
const LOAD: u16 = 0x00;
const LOAD_INDEX: u16 = 0x01;
/// `BPF_MODE`, and the modes that look at the packet.
const MODE_MASK: u16 = 0xe0;
const ABSOLUTE: u16 = 0x20;
const INDIRECT: u16 = 0x40;
const LENGTH: u16 = 0x80;
const HEADER_LENGTH: u16 = 0xa0;
/// `BPF_LD | BPF_H | BPF_ABS`.
const LOAD_HALF_WORD: u16 = 0x28;
/// Where the kernel keeps what is not in the packet (`SKF_AD_OFF` and what follows it).
const ANCILLARY: u32 = 0xffff_f000;
const ANCILLARY_PROTOCOL: u32 = ANCILLARY;
const ANCILLARY_PACKET_TYPE: u32 = ANCILLARY + 4;

/// The same load for a packet without its cooked header, which the kernel does not have when the filter runs.
fn without_cooked_header(instruction: &mut BpfInstruction) -> Result<(), BadFilter> {
    let header = u32::try_from(COOKED_HEADER_BYTES).unwrap_or(u32::MAX);
    let mode = match instruction.code & CLASS_MASK {
        LOAD | LOAD_INDEX => instruction.code & MODE_MASK,
        _ => return Ok(()),
    };
    match (mode, instruction.k) {
        (ABSOLUTE | INDIRECT | HEADER_LENGTH, ANCILLARY..) => {}
        (ABSOLUTE | INDIRECT | HEADER_LENGTH, k) if k >= header => instruction.k = k - header,
        (ABSOLUTE, 0) if instruction.code == LOAD_HALF_WORD => instruction.k = ANCILLARY_PACKET_TYPE,
        (ABSOLUTE, 14) if instruction.code == LOAD_HALF_WORD => instruction.k = ANCILLARY_PROTOCOL,
        (ABSOLUTE | INDIRECT | HEADER_LENGTH, k) => {
            return Err(BadFilter(format!(
                "it looks at byte {k} of the cooked header, which the kernel cannot: filter on one interface instead"
            )));
        }
        (LENGTH, _) => {
            return Err(BadFilter(
                "it looks at the packet's length, which the kernel does not have for a cooked capture: \
                 filter on one interface instead"
                    .to_owned(),
            ));
        }
        _ => {}
    }
    Ok(())
}

impl fmt::Display for BadFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(code: u16, k: u32) -> BpfInstruction {
        BpfInstruction { code, jt: 0, jf: 0, k }
    }

    #[test]
    fn loads_behind_the_cooked_header_move_and_its_type_is_asked_of_the_kernel() {
        let filter =
            Filter::bpf([load(0x28, 14), load(0x30, 25), load(0xb1, 16), load(0x48, 18), load(0x06, 9)]);
        let kernel = filter.program(LinkType::Cooked, 5).unwrap();
        let operands: Vec<u32> = kernel.iter().map(|instruction| instruction.k).collect();
        assert_eq!(operands, [0xffff_f000, 9, 0, 2, 5]);
        let ethernet = filter.program(LinkType::Ethernet, 100).unwrap();
        assert_eq!(Filter::bpf(ethernet), filter);
    }

    #[test]
    fn what_the_kernel_does_not_have_is_refused() {
        for instruction in [load(0x30, 6), load(0x20, 14), load(0x80, 0)] {
            assert!(Filter::bpf([instruction]).program(LinkType::Cooked, 5).is_err(), "{instruction:?}");
        }
    }
}
