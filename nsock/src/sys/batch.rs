//! Many datagrams by one system call (sendmmsg(2), recvmmsg(2)).

use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::{io, ptr};

use socket2::{SockAddr, SockAddrStorage};

use super::packet::link_address;
use crate::packet::{Datagrams, Destination, READ_BATCH_MAX};

/// Datagrams handed over by one `sendmmsg`; the arrays for them stay on the stack.
pub(crate) const SENDS_MAX: usize = 64;

/// Sends up to [`SENDS_MAX`] datagrams; how many the system took, in order.
///
/// # Errors
/// The system's about the first one; `WouldBlock` when there is no room.
pub(crate) fn send<'a>(
    socket: BorrowedFd<'_>,
    batch: impl Iterator<Item = (Destination, &'a [u8])>,
) -> io::Result<usize> {
    let mut addresses: [MaybeUninit<SockAddr>; SENDS_MAX] = [const { MaybeUninit::uninit() }; SENDS_MAX];
    let mut parts = [libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 }; SENDS_MAX];
    let mut messages: [MaybeUninit<libc::mmsghdr>; SENDS_MAX] = [const { MaybeUninit::uninit() }; SENDS_MAX];
    let mut count = 0;
    for (index, (to, data)) in batch.take(SENDS_MAX).enumerate() {
        // SAFETY: all-zero is a valid `mmsghdr`: no name, no buffers, no control messages.
        let message = messages[index].write(unsafe { MaybeUninit::zeroed().assume_init() });
        let address = match to {
            Destination::Peer => None,
            Destination::Address(address) => Some(SockAddr::from(address)),
            Destination::Link(link) => Some(link_address(link)),
        };
        if let Some(address) = address {
            let address = addresses[index].write(address);
            // The kernel only reads it.
            message.msg_hdr.msg_name = address.as_ptr().cast_mut().cast();
            message.msg_hdr.msg_namelen = address.len();
        }
        parts[index] = libc::iovec { iov_base: data.as_ptr().cast_mut().cast(), iov_len: data.len() };
        message.msg_hdr.msg_iov = &raw mut parts[index];
        message.msg_hdr.msg_iovlen = 1;
        count += 1;
    }
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: the first `count` of `messages` are written; they name live memory of the lengths they give, which the
    // kernel only reads: the data, borrowed for `'a`, and elements of the arrays above. An address needs no drop.
    let sent = unsafe { libc::sendmmsg(socket.as_raw_fd(), messages.as_mut_ptr().cast(), count, flags as _) };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

/// Receives up to [`READ_BATCH_MAX`] datagrams through a buffer with a slot of `slot` bytes for each.
///
/// # Errors
/// The system's; `WouldBlock` when there is nothing.
pub(crate) fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8], slot: usize) -> io::Result<Datagrams> {
    let mut addresses: [SockAddrStorage; READ_BATCH_MAX] = std::array::from_fn(|_| SockAddrStorage::zeroed());
    let mut parts = [libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 }; READ_BATCH_MAX];
    // SAFETY: all-zero is a valid `mmsghdr`: no name, no buffers, no control messages.
    let mut messages: [libc::mmsghdr; READ_BATCH_MAX] = unsafe { MaybeUninit::zeroed().assume_init() };
    let mut count = 0;
    for (index, bytes) in buffer.chunks_exact_mut(slot).take(READ_BATCH_MAX).enumerate() {
        parts[index] = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: slot };
        let header = &mut messages[index].msg_hdr;
        header.msg_name = (&raw mut addresses[index]).cast();
        header.msg_namelen = addresses[index].size_of();
        header.msg_iov = &raw mut parts[index];
        header.msg_iovlen = 1;
        count += 1;
    }
    // SAFETY: the first `count` of `messages` name live, writable memory of the lengths they give: a slot of the buffer
    // each, and elements of the arrays above. None overlap.
    let received = unsafe {
        libc::recvmmsg(
            socket.as_raw_fd(),
            messages.as_mut_ptr(),
            count,
            libc::MSG_DONTWAIT as _,
            ptr::null_mut(),
        )
    };
    let received = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
    let mut datagrams = Datagrams::default();
    for ((message, storage), bytes) in messages.iter().zip(addresses).zip(buffer.chunks(slot)).take(received)
    {
        // SAFETY: the kernel wrote an address of this length there, or none, which is length 0.
        let from = unsafe { SockAddr::new(storage, message.msg_hdr.msg_namelen) };
        let from: Option<SocketAddr> = from.as_socket();
        datagrams.push(&bytes[..(message.msg_len as usize).min(slot)], from);
    }
    Ok(datagrams)
}
