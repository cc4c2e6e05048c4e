//! Datagrams by the batch: up to 64 for one system call (recvmmsg(2), sendmmsg(2)).
#![expect(
    unsafe_code,
    reason = "no crate of the workspace offers recvmmsg, and both calls take raw pointers"
)]

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd};
use std::{fmt, io, ptr};

use socket2::SockAddrStorage;

/// Datagrams in one batch: enough to make the system call cheap beside the kernel's work for each of them.
pub const BATCH_MAX: usize = 64;

/// Room for one datagram. Of a longer one the rest is lost.
pub const SLOT_BYTES: usize = 512;

/// Up to [`BATCH_MAX`] datagrams of at most [`SLOT_BYTES`] bytes, each with its peer where it has one.
///
/// ```
/// use std::net::UdpSocket;
/// use testkit::DatagramBatch;
///
/// let (here, there) = (UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?);
/// here.connect(there.local_addr()?)?;
/// let mut batch = DatagramBatch::new();
/// batch.push(b"one");
/// batch.push(b"two");
/// assert_eq!(batch.send(&here, 0)?, 2);
/// assert_eq!(batch.receive(&there)?, 2);
/// assert_eq!(batch.iter().collect::<Vec<_>>(), [b"one", b"two"]);
/// // What was received goes back to where it came from.
/// assert_eq!(batch.send(&there, 1)?, 1);
/// assert_eq!(here.recv(&mut [0; 16])?, 3);
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct DatagramBatch {
    slots: Box<[Slot]>,
    count: usize,
}

struct Slot {
    bytes: [u8; SLOT_BYTES],
    length: usize,
    peer: SockAddrStorage,
    /// 0: the socket's own peer.
    peer_length: libc::socklen_t,
}

impl DatagramBatch {
    /// An empty batch.
    #[must_use]
    pub fn new() -> Self {
        let slot =
            |_| Slot { bytes: [0; SLOT_BYTES], length: 0, peer: SockAddrStorage::zeroed(), peer_length: 0 };
        Self { slots: (0..BATCH_MAX).map(slot).collect(), count: 0 }
    }

    /// How many it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Forgets what it holds.
    pub fn clear(&mut self) {
        self.count = 0;
    }

    /// The datagrams.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.slots[..self.count].iter().map(|slot| &slot.bytes[..slot.length])
    }

    /// Adds a datagram for the peer of the socket it will be sent by. False if there is no room: 64 are there already,
    /// or it is too long.
    pub fn push(&mut self, datagram: &[u8]) -> bool {
        let Some(slot) = self.slots.get_mut(self.count) else { return false };
        let Some(room) = slot.bytes.get_mut(..datagram.len()) else { return false };
        room.copy_from_slice(datagram);
        (slot.length, slot.peer_length) = (datagram.len(), 0);
        self.count += 1;
        true
    }

    /// Turns each datagram into another one to the same peer. `rewrite` gets the whole slot and the datagram's length,
    /// and gives the new length; `None` drops it.
    pub fn rewrite(&mut self, mut rewrite: impl FnMut(&mut [u8; SLOT_BYTES], usize) -> Option<usize>) {
        let mut kept = 0;
        for index in 0..self.count {
            let slot = &mut self.slots[index];
            if let Some(length) = rewrite(&mut slot.bytes, slot.length) {
                slot.length = length.min(SLOT_BYTES);
                self.slots.swap(kept, index);
                kept += 1;
            }
        }
        self.count = kept;
    }

    /// Replaces the content by what has come to the socket, without waiting; gives how many.
    ///
    /// # Errors
    /// The system's; `WouldBlock` when nothing has come.
    pub fn receive(&mut self, socket: impl AsFd) -> io::Result<usize> {
        self.count = 0;
        let mut parts = [libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 }; BATCH_MAX];
        // SAFETY: all-zero is a valid `mmsghdr`: no name, no buffers, no control messages.
        let mut messages: [libc::mmsghdr; BATCH_MAX] = unsafe { MaybeUninit::zeroed().assume_init() };
        for ((slot, part), message) in self.slots.iter_mut().zip(&mut parts).zip(&mut messages) {
            *part = libc::iovec { iov_base: slot.bytes.as_mut_ptr().cast(), iov_len: SLOT_BYTES };
            let header = &mut message.msg_hdr;
            header.msg_name = (&raw mut slot.peer).cast();
            header.msg_namelen = slot.peer.size_of();
            header.msg_iov = part;
            header.msg_iovlen = 1;
        }
        let (socket, flags) = (socket.as_fd(), libc::MSG_DONTWAIT as _);
        // SAFETY: every message names live, writable memory of the lengths it gives: the bytes and the address of one
        // slot, through one element of `parts`. None overlap.
        let received =
            unsafe { libc::recvmmsg(socket.as_raw_fd(), messages.as_mut_ptr(), 64, flags, ptr::null_mut()) };
        self.count = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
        for (slot, message) in self.slots[..self.count].iter_mut().zip(&messages) {
            slot.length = (message.msg_len as usize).min(SLOT_BYTES);
            slot.peer_length = message.msg_hdr.msg_namelen;
        }
        Ok(self.count)
    }

    /// Sends the datagrams from index `from` on, without waiting; gives how many the system took, in order.
    ///
    /// # Errors
    /// The system's about the first one; `WouldBlock` when there is no room.
    pub fn send(&self, socket: impl AsFd, from: usize) -> io::Result<usize> {
        let mut parts = [libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 }; BATCH_MAX];
        // SAFETY: all-zero is a valid `mmsghdr`: no name, no buffers, no control messages.
        let mut messages: [libc::mmsghdr; BATCH_MAX] = unsafe { MaybeUninit::zeroed().assume_init() };
        let slots = self.slots[..self.count].get(from..).unwrap_or_default();
        let mut count = 0;
        for ((slot, part), message) in slots.iter().zip(&mut parts).zip(&mut messages) {
            *part = libc::iovec { iov_base: slot.bytes.as_ptr().cast_mut().cast(), iov_len: slot.length };
            let header = &mut message.msg_hdr;
            if slot.peer_length > 0 {
                header.msg_name = (&raw const slot.peer).cast_mut().cast();
                header.msg_namelen = slot.peer_length;
            }
            header.msg_iov = part;
            header.msg_iovlen = 1;
            count += 1;
        }
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        // SAFETY: the first `count` messages name live memory of the lengths they give, which the kernel only reads: the
        // bytes and the address of one slot, through one element of `parts`.
        let sent =
            unsafe { libc::sendmmsg(socket.as_fd().as_raw_fd(), messages.as_mut_ptr(), count, flags as _) };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }
}

impl Default for DatagramBatch {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for DatagramBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    #[test]
    fn the_sixty_fifth_and_the_too_long_do_not_fit() {
        let mut batch = DatagramBatch::new();
        assert!(!batch.push(&[0; SLOT_BYTES + 1]));
        for _ in 0..BATCH_MAX {
            assert!(batch.push(&[1; SLOT_BYTES]));
        }
        assert!(!batch.push(b""));
        assert_eq!(batch.len(), BATCH_MAX);
    }

    #[test]
    fn what_is_rewritten_to_nothing_is_dropped_and_the_rest_goes_back_to_its_own_peer() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let clients = [0; 3].map(|_| UdpSocket::bind("127.0.0.1:0").unwrap());
        for (index, client) in (0u8..).zip(&clients) {
            client.set_nonblocking(true).unwrap();
            client.send_to(&[index; 2], server.local_addr().unwrap()).unwrap();
        }
        let mut batch = DatagramBatch::new();
        assert_eq!(batch.receive(&server).unwrap(), 3);
        batch.rewrite(|slot, length| {
            slot[length] = 9;
            (slot[0] != 1).then_some(length + 1)
        });
        assert_eq!(batch.send(&server, 0).unwrap(), 2);
        let mut buffer = [0; 16];
        assert_eq!(clients[0].recv(&mut buffer).unwrap(), 3);
        assert_eq!(clients[2].recv(&mut buffer).unwrap(), 3);
        assert_eq!(buffer[..3], [2, 2, 9]);
        assert_eq!(clients[1].recv(&mut buffer).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        assert_eq!(batch.receive(&server).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        assert!(batch.is_empty());
    }
}
