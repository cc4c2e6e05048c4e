//! The system calls of the bare loop that no crate of the workspace offers safely.
#![expect(unsafe_code, reason = "socket options and control messages are passed raw pointers")]

use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::io::Errno;

/// Room for the control messages of an error queue entry, as much as nsock has.
const CONTROL_WORDS: usize = 32;

/// Makes the kernel keep the ICMP errors that a socket causes (ip(7), `IP_RECVERR`).
pub(crate) fn set_icmp_errors(socket: BorrowedFd<'_>, ipv6: bool) -> Result<(), Errno> {
    let (level, name) = match ipv6 {
        true => (libc::IPPROTO_IPV6, libc::IPV6_RECVERR),
        false => (libc::IPPROTO_IP, libc::IP_RECVERR),
    };
    let on = 1i32;
    // The size of an integer.
    let length: libc::socklen_t = 4;
    // SAFETY: the pointer and the length describe one live integer, which the kernel only reads.
    let result = unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, (&raw const on).cast(), length) };
    if result == 0 { Ok(()) } else { Err(last_errno()) }
}

/// Whether the socket's error queue has an entry, which is taken out.
pub(crate) fn has_queued_error(socket: BorrowedFd<'_>) -> bool {
    let mut control = [0u64; CONTROL_WORDS];
    // SAFETY: all-zero is a valid `msghdr`: no name, no buffers, no control messages.
    let mut message: libc::msghdr = unsafe { mem::zeroed() };
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = size_of_val(&control);
    let flags = libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT;
    // SAFETY: `message` names one live, writable control buffer with its true length and no other memory.
    unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, flags) >= 0 }
}

fn last_errno() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}
