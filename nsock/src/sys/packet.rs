//! Packet sockets (packet(7)): binding, options, counters, and frames in batches with what the kernel knows of them.

use std::mem::{self, MaybeUninit};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::{Duration, SystemTime};
use std::{io, ptr};

use socket2::{SockAddr, SockAddrStorage};

use super::set_option;
use crate::packet::LinkDestination;

/// Frames taken by one `recvmmsg`. Measured (benches/README.md): from 16 on the gain is small, and the arrays below
/// stay on the stack.
pub(crate) const FRAMES_MAX: usize = 64;

/// Room for the control messages of a frame, in words of eight bytes: its time stamp takes four, its auxiliary data
/// five.
const CONTROL_WORDS: usize = 16;

/// What the kernel knows of a frame.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FrameInfo {
    /// Bytes of it in its slot.
    pub(crate) captured: usize,
    /// Its length on the link.
    pub(crate) length: usize,
    pub(crate) time: SystemTime,
    /// Tag protocol and tag of the VLAN tag that the kernel took off.
    pub(crate) vlan: Option<(u16, u16)>,
    pub(crate) address: libc::sockaddr_ll,
}

/// Lets a packet socket receive from an interface, or from all (0), whatever has this protocol; none at all for 0.
///
/// # Errors
/// The system's.
pub(crate) fn bind(socket: BorrowedFd<'_>, interface: u32, protocol: u16) -> io::Result<()> {
    let mut address = unspecified();
    address.sll_protocol = protocol.to_be();
    address.sll_ifindex = i32::try_from(interface).map_err(|_| io::Error::from_raw_os_error(libc::ENODEV))?;
    // SAFETY: the pointer and the length describe one live `sockaddr_ll`, which the kernel only reads.
    let result = unsafe {
        libc::bind(socket.as_raw_fd(), (&raw const address).cast(), address_length(size_of_val(&address)))
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The hardware type of the interface that a packet socket is bound to.
///
/// # Errors
/// The system's.
pub(crate) fn hardware_type(socket: BorrowedFd<'_>) -> io::Result<u16> {
    let mut address = unspecified();
    let mut length = address_length(size_of_val(&address));
    // SAFETY: the kernel writes at most `length` bytes, the size of the live `address`, and updates the live `length`.
    let result = unsafe { libc::getsockname(socket.as_raw_fd(), (&raw mut address).cast(), &raw mut length) };
    if result == 0 { Ok(address.sll_hatype) } else { Err(io::Error::last_os_error()) }
}

/// Makes the kernel tell each frame's time, true length and VLAN tag.
///
/// # Errors
/// The system's.
pub(crate) fn set_frame_info(socket: BorrowedFd<'_>) -> io::Result<()> {
    let on = 1i32.to_ne_bytes();
    set_option(socket, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, &on)?;
    set_option(socket, libc::SOL_PACKET, libc::PACKET_AUXDATA, &on)
}

/// Makes an interface promiscuous for as long as the socket is open.
///
/// # Errors
/// The system's.
pub(crate) fn set_promiscuous(socket: BorrowedFd<'_>, interface: u32) -> io::Result<()> {
    // A `packet_mreq`: interface, type, length of the address, address.
    let mut request = [0u8; 16];
    request[..4].copy_from_slice(&interface.to_ne_bytes());
    request[4..6].copy_from_slice(&PROMISCUOUS.to_ne_bytes());
    set_option(socket, libc::SOL_PACKET, libc::PACKET_ADD_MEMBERSHIP, &request)
}

/// `PACKET_MR_PROMISC`.
const PROMISCUOUS: u16 = 1;

/// Leaves out what this machine sends.
///
/// # Errors
/// The system's; it is as old as Linux 4.20.
pub(crate) fn set_ignore_outgoing(socket: BorrowedFd<'_>) -> io::Result<()> {
    set_option(socket, libc::SOL_PACKET, IGNORE_OUTGOING, &1i32.to_ne_bytes())
}

/// `PACKET_IGNORE_OUTGOING`.
const IGNORE_OUTGOING: i32 = 23;

/// Gives the socket so much room, above the system's limit where that is allowed.
///
/// # Errors
/// The system's.
pub(crate) fn set_buffer(socket: BorrowedFd<'_>, bytes: usize) -> io::Result<()> {
    let bytes = i32::try_from(bytes).unwrap_or(i32::MAX).to_ne_bytes();
    set_option(socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, &bytes)
        .or_else(|_| set_option(socket, libc::SOL_SOCKET, libc::SO_RCVBUF, &bytes))
}

/// Frames that passed the filter, and those of them that were dropped, since this was last asked.
///
/// # Errors
/// The system's.
pub(crate) fn take_statistics(socket: BorrowedFd<'_>) -> io::Result<(u32, u32)> {
    // A `tpacket_stats`: two counters.
    let mut counters = [0u32; 2];
    let mut length = address_length(size_of_val(&counters));
    // SAFETY: the kernel writes at most `length` bytes, the size of the live `counters`, and updates the live `length`.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_STATISTICS,
            counters.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    if result == 0 { Ok((counters[0], counters[1])) } else { Err(io::Error::last_os_error()) }
}

/// The address that sends a frame out of an interface.
pub(crate) fn link_address(link: LinkDestination) -> SockAddr {
    let mut address = unspecified();
    address.sll_protocol = link.ethertype.to_be();
    // No interface has a number so high; the kernel refuses it.
    address.sll_ifindex = i32::try_from(link.interface).unwrap_or(i32::MAX);
    let mut storage = SockAddrStorage::zeroed();
    // SAFETY: a `sockaddr_ll` is one of the addresses that a `sockaddr_storage` has room and alignment for.
    unsafe { *storage.view_as::<libc::sockaddr_ll>() = address };
    // SAFETY: the storage holds an address of the family it names, of this length.
    unsafe { SockAddr::new(storage, address_length(size_of::<libc::sockaddr_ll>())) }
}

/// Takes what has come, up to [`FRAMES_MAX`] frames, each into a slot of `slot` bytes of the arena.
///
/// # Errors
/// The system's; `WouldBlock` when there is nothing.
pub(crate) fn receive(
    socket: BorrowedFd<'_>,
    arena: &mut [u8],
    slot: usize,
    infos: &mut Vec<FrameInfo>,
) -> io::Result<()> {
    infos.clear();
    let mut control = [[0u64; CONTROL_WORDS]; FRAMES_MAX];
    let mut addresses = [unspecified(); FRAMES_MAX];
    let mut parts = [libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 }; FRAMES_MAX];
    // SAFETY: all-zero is a valid `mmsghdr`: no name, no buffers, no control messages.
    let mut messages: [libc::mmsghdr; FRAMES_MAX] = unsafe { MaybeUninit::zeroed().assume_init() };
    let mut count = 0;
    for (index, bytes) in arena.chunks_exact_mut(slot).take(FRAMES_MAX).enumerate() {
        parts[index] = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: slot };
        let header = &mut messages[index].msg_hdr;
        header.msg_name = (&raw mut addresses[index]).cast();
        header.msg_namelen = address_length(size_of::<libc::sockaddr_ll>());
        header.msg_iov = &raw mut parts[index];
        header.msg_iovlen = 1;
        header.msg_control = control[index].as_mut_ptr().cast();
        header.msg_controllen = size_of_val(&control[index]);
        count += 1;
    }
    let flags = libc::MSG_DONTWAIT | libc::MSG_TRUNC;
    // SAFETY: the first `count` of `messages` name live, writable memory of the lengths they give: a slot of the arena
    // each, and elements of the arrays above. None overlap.
    let received = unsafe {
        libc::recvmmsg(socket.as_raw_fd(), messages.as_mut_ptr(), count, flags as _, ptr::null_mut())
    };
    let received = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
    for (message, address) in messages.iter().zip(&addresses).take(received) {
        let there = message.msg_len as usize;
        let mut info = FrameInfo {
            captured: there.min(slot),
            length: there,
            time: SystemTime::UNIX_EPOCH,
            vlan: None,
            address: *address,
        };
        read_control(&message.msg_hdr, &mut info);
        infos.push(info);
    }
    Ok(())
}

/// Reads the control messages that the kernel wrote for one frame.
fn read_control(message: &libc::msghdr, info: &mut FrameInfo) {
    // SAFETY: the kernel has filled in `message`, whose control buffer the caller keeps alive.
    let mut header = unsafe { libc::CMSG_FIRSTHDR(message) };
    while !header.is_null() {
        // SAFETY: the walk gives headers that lie wholly within the control buffer, which is aligned for them.
        let (level, kind) = unsafe { ((*header).cmsg_level, (*header).cmsg_type) };
        // SAFETY: as above.
        let data = unsafe { libc::CMSG_DATA(header) };
        if level == libc::SOL_SOCKET && kind == libc::SCM_TIMESTAMPNS {
            // SAFETY: a message of this type holds a `timespec`.
            let time: libc::timespec = unsafe { ptr::read_unaligned(data.cast()) };
            let since = Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0));
            info.time = SystemTime::UNIX_EPOCH + since;
        } else if level == libc::SOL_PACKET && kind == libc::PACKET_AUXDATA {
            // SAFETY: a message of this type holds a `tpacket_auxdata`.
            let aux: libc::tpacket_auxdata = unsafe { ptr::read_unaligned(data.cast()) };
            info.length = aux.tp_len as usize;
            if aux.tp_status & libc::TP_STATUS_VLAN_VALID != 0 {
                info.vlan = Some((aux.tp_vlan_tpid, aux.tp_vlan_tci));
            }
        }
        // SAFETY: `header` came from the walk over `message`, which has not changed.
        header = unsafe { libc::CMSG_NXTHDR(message, header) };
    }
}

/// An address of the packet family, of no interface.
fn unspecified() -> libc::sockaddr_ll {
    // SAFETY: all-zero is a valid `sockaddr_ll`: it has integers only.
    let mut address: libc::sockaddr_ll = unsafe { mem::zeroed() };
    address.sll_family = PACKET_FAMILY;
    address
}

/// `AF_PACKET`, as an address has it.
const PACKET_FAMILY: libc::sa_family_t = 17;

/// The size of a structure as the kernel takes it.
fn address_length(bytes: usize) -> libc::socklen_t {
    libc::socklen_t::try_from(bytes).unwrap_or(0)
}
