//! The one system call that no crate of the workspace offers safely.
#![expect(unsafe_code, reason = "setsockopt(IP_OPTIONS) takes a raw pointer")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Sets the IPv4 options that every packet of the socket carries (ip(7), `IP_OPTIONS`); at most 40 bytes.
///
/// # Errors
/// The system's, such as `EINVAL` for options that are malformed or too long.
pub(crate) fn set_ip_options(socket: BorrowedFd<'_>, options: &[u8]) -> io::Result<()> {
    let Ok(length) = libc::socklen_t::try_from(options.len()) else {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    };
    // SAFETY: the pointer and the length describe one live slice, which the kernel only reads; the descriptor is
    // borrowed, so it is open for the length of the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_IP,
            libc::IP_OPTIONS,
            options.as_ptr().cast(),
            length,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
