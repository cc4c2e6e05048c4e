//! Moving bytes between descriptors and requests.

use std::io;
use std::mem;
use std::net::SocketAddr;

use super::Engine;
use crate::backend::Ready;
use crate::error::{During, Failure};
use crate::event::{End, EventId, Output};
use crate::iod::{Gathered, Iod};
use crate::op::{Op, Reading, Until};
use crate::transport::Transport;

/// Receive calls for one read before others get their turn.
const RECEIVES_PER_LOOK_MAX: usize = 64;

/// Send calls for one write before others get their turn; only a pipe or a terminal takes many.
const SENDS_PER_LOOK_MAX: usize = 128;

/// Moves what has come into a read; its outcome if that ends it.
pub(super) fn gather(
    iod: &mut Iod,
    event: EventId,
    reading: &mut Reading,
    scratch: &mut [u8],
) -> Option<Result<Output, Failure>> {
    let enough = |reading: &mut Reading, end| Some(Ok(Output::Received(reading.take(end))));
    let datagrams = iod.transport.as_ref().is_some_and(Transport::is_datagram);
    while let Some(unread) = iod.unread.pop_front() {
        let satisfied = reading.add(&unread.bytes, unread.from);
        if datagrams {
            remember_end(&mut iod.gathered, event, reading, unread.from);
        }
        if satisfied {
            return enough(reading, End::Enough);
        }
    }
    if let Some(errno) = iod.read_errno.take() {
        return Some(broken(iod, reading, errno));
    }
    if iod.eof {
        return Some(reading.cut_short(End::Eof, Failure::Eof));
    }
    let transport = iod.transport.as_ref()?;
    let (mut satisfied, mut news) = (false, None);
    for _ in 0..RECEIVES_PER_LOOK_MAX {
        if !(iod.ready.has(Ready::READABLE) || iod.ready.has(Ready::ERROR)) {
            break;
        }
        match transport.receive(scratch) {
            Ok((0, _)) if !datagrams => {
                iod.eof = true;
                break;
            }
            Ok((length, from)) => {
                iod.bytes_read += length as u64;
                // A short read has emptied the socket, as a rule.
                let emptied = length < scratch.len() && matches!(transport, Transport::Stream(_));
                if emptied && !iod.ready.has(Ready::SHORT_READS) {
                    iod.ready.remove(Ready::READABLE);
                }
                news = from.or(news);
                satisfied = reading.add(&scratch[..length], from);
                if datagrams {
                    remember_end(&mut iod.gathered, event, reading, from);
                }
                let may_take_more = reading.until == Until::Any && length == scratch.len();
                if reading.is_full() || satisfied && !may_take_more {
                    break;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                iod.ready.remove(Ready::READABLE);
                iod.ready.remove(Ready::SHORT_READS);
                iod.ready.remove(Ready::ERROR);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                iod.ready.remove(Ready::ERROR);
                iod.read_errno = error.raw_os_error().or(Some(libc::EIO));
                break;
            }
        }
    }
    if news.is_some() {
        iod.peer = news;
    }
    if satisfied {
        return enough(reading, if iod.eof { End::Eof } else { End::Enough });
    }
    if let Some(errno) = iod.read_errno.take() {
        return Some(broken(iod, reading, errno));
    }
    if iod.eof {
        return Some(reading.cut_short(End::Eof, Failure::Eof));
    }
    if reading.is_full() { enough(reading, End::Full) } else { None }
}

/// Remembers where a datagram ends, unless it is the only one its read will take.
fn remember_end(
    gathered: &mut Option<Box<Gathered>>,
    event: EventId,
    reading: &Reading,
    from: Option<SocketAddr>,
) {
    if reading.until == Until::Any {
        return;
    }
    let gathered = gathered.get_or_insert_with(|| Box::new(Gathered { by: event.made, ends: Vec::new() }));
    if gathered.by != event.made {
        gathered.by = event.made;
        gathered.ends.clear();
    }
    gathered.ends.push((reading.bytes.len(), from));
}

/// The outcome of a read that met an error: data first, the error with the next read.
fn broken(iod: &mut Iod, reading: &mut Reading, errno: i32) -> Result<Output, Failure> {
    let outcome = reading.cut_short(End::Error, Failure::Io { errno, during: During::Read });
    if outcome.is_ok() {
        iod.read_errno = Some(errno);
    }
    outcome
}

/// Sends what is left of some data; the outcome if that ends the write.
pub(super) fn send(
    iod: &mut Iod,
    data: &[u8],
    sent: &mut usize,
    to: Option<SocketAddr>,
) -> Option<Result<(), Failure>> {
    let transport = iod.transport.as_ref()?;
    for _ in 0..SENDS_PER_LOOK_MAX {
        let left = &data[*sent..];
        if left.is_empty() && (*sent > 0 || !transport.is_datagram()) {
            return Some(Ok(()));
        }
        match transport.send(left, to) {
            Ok(length) => {
                iod.bytes_written += length as u64;
                *sent += length;
                if transport.is_datagram() || *sent == data.len() {
                    return Some(Ok(()));
                }
                if matches!(transport, Transport::Stream(_)) {
                    iod.ready.remove(Ready::WRITABLE);
                    iod.ready.remove(Ready::ERROR);
                    return None;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                iod.ready.remove(Ready::WRITABLE);
                iod.ready.remove(Ready::ERROR);
                return None;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Some(Err(Failure::io(&error, During::Write))),
        }
    }
    None
}

impl Engine {
    /// Bytes of a read that will not be told to its handler go to the IOD's next read.
    pub(super) fn give_back(iod: &mut Iod, op: &mut Op) {
        use crate::iod::Unread;
        use crate::op::{Stage, Task};
        if let Stage::Done(Ok(Output::Datagrams(got))) = &mut op.stage {
            for (from, bytes) in mem::take(got).iter().rev() {
                iod.unread.push_front(Unread { bytes: bytes.to_vec(), from });
            }
            return;
        }
        if let Stage::Done(Ok(Output::Packet(packet))) = &mut op.stage {
            if let Some(capture) = iod.transport.as_mut().and_then(Transport::capture_mut) {
                capture.put_back(packet.clone());
            }
            return;
        }
        let (mut bytes, from) = match &mut op.stage {
            Stage::Waiting(Task::Read(reading)) => (mem::take(&mut reading.bytes), reading.from),
            Stage::Done(Ok(Output::Received(got))) => (mem::take(&mut got.bytes), got.from),
            Stage::Done(Err(Failure::Io { errno, during: During::Read })) => {
                iod.read_errno = Some(*errno);
                return;
            }
            _ => return,
        };
        if let Some(gathered) = iod.gathered.take_if(|gathered| gathered.by == op.id.made) {
            for index in (0..gathered.ends.len()).rev() {
                let start = index.checked_sub(1).map_or(0, |before| gathered.ends[before].0);
                let from = gathered.ends[index].1;
                iod.unread.push_front(Unread { bytes: bytes.split_off(start), from });
            }
            return;
        }
        let datagram = iod.transport.as_ref().is_some_and(Transport::is_datagram);
        if !bytes.is_empty() || datagram && op.is_done() {
            iod.unread.push_front(Unread { bytes, from });
        }
    }
}
