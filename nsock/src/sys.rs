//! The system calls that no crate of the workspace offers safely.
#![expect(unsafe_code, reason = "socket options and control messages are passed by raw pointers")]

pub(crate) mod batch;
pub(crate) mod packet;

use std::os::fd::{AsRawFd, BorrowedFd};
use std::{io, mem};

/// Room for the control messages of an error queue entry: the extended error, the offender's address, a time stamp.
const CONTROL_WORDS: usize = 32;

/// Sets the IPv4 options that every packet of the socket carries (ip(7), `IP_OPTIONS`); at most 40 bytes.
///
/// # Errors
/// The system's, such as `EINVAL` for options that are malformed or too long.
pub(crate) fn set_ip_options(socket: BorrowedFd<'_>, options: &[u8]) -> io::Result<()> {
    set_option(socket, libc::IPPROTO_IP, libc::IP_OPTIONS, options)
}

/// Makes the kernel keep the ICMP errors that a socket causes (ip(7), `IP_RECVERR`; ipv6(7), `IPV6_RECVERR`).
///
/// # Errors
/// The system's.
pub(crate) fn set_icmp_errors(socket: BorrowedFd<'_>, ipv6: bool) -> io::Result<()> {
    let on = 1i32.to_ne_bytes();
    if ipv6 {
        set_option(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVERR, &on)
    } else {
        set_option(socket, libc::IPPROTO_IP, libc::IP_RECVERR, &on)
    }
}

fn set_option(socket: BorrowedFd<'_>, level: i32, name: i32, value: &[u8]) -> io::Result<()> {
    let Ok(length) = libc::socklen_t::try_from(value.len()) else {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    };
    // SAFETY: the pointer and the length describe one live slice, which the kernel only reads; the descriptor is
    // borrowed, so it is open for the length of the call.
    let result = unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, value.as_ptr().cast(), length) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Takes the oldest entry from a socket's error queue: the bytes of its extended error. `None` if there is none.
pub(crate) fn take_extended_error(socket: BorrowedFd<'_>) -> Option<Vec<u8>> {
    let mut control = [0u64; CONTROL_WORDS];
    // SAFETY: all-zero is a valid `msghdr`: no name, no buffers, no control messages.
    let mut message: libc::msghdr = unsafe { mem::zeroed() };
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = size_of_val(&control);
    let flags = libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT;
    // SAFETY: `message` names one live, writable control buffer with its true length and no other memory; the
    // descriptor is borrowed, so it is open for the length of the call.
    if unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, flags) } < 0 {
        return None;
    }
    // SAFETY: the kernel has filled in `message`, whose control buffer is alive until the end of this function.
    let mut header = unsafe { libc::CMSG_FIRSTHDR(&raw const message) };
    while !header.is_null() {
        // SAFETY: the walk gives headers that lie wholly within the control buffer, which is aligned for them.
        let (level, kind, length) =
            unsafe { ((*header).cmsg_level, (*header).cmsg_type, (*header).cmsg_len) };
        let of_ip = level == libc::IPPROTO_IP && kind == libc::IP_RECVERR;
        let of_ipv6 = level == libc::IPPROTO_IPV6 && kind == libc::IPV6_RECVERR;
        if of_ip || of_ipv6 {
            // SAFETY: CMSG_LEN only computes a size.
            let head = unsafe { libc::CMSG_LEN(0) } as usize;
            // SAFETY: the kernel wrote `length - head` bytes of data behind this header, within the control buffer.
            let data =
                unsafe { std::slice::from_raw_parts(libc::CMSG_DATA(header), length.checked_sub(head)?) };
            return Some(data.to_vec());
        }
        // SAFETY: `header` came from the walk over `message`, which has not changed.
        header = unsafe { libc::CMSG_NXTHDR(&raw const message, header) };
    }
    None
}
