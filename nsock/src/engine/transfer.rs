//! Moving bytes between descriptors and requests.

use std::io;
use std::mem;
use std::net::SocketAddr;

use super::{Engine, secure};
use crate::backend::Ready;
use crate::error::{During, Failure, Misuse};
use crate::event::{End, EventId, Output};
use crate::iod::{Gathered, Iod};
use crate::op::{Op, Reading, Until};
use crate::transport::Transport;

/// Receive calls for one read before others get their turn.
const RECEIVES_PER_LOOK_MAX: usize = 64;

/// Send calls for one write before others get their turn; only a pipe or a terminal takes many.
const SENDS_PER_LOOK_MAX: usize = 128;

/// Receives once, if the socket is ready for it; what it is not ready for any more is noted.
pub(super) fn receive_ready(
    transport: &Transport,
    ready: &mut Ready,
    scratch: &mut [u8],
) -> Option<io::Result<usize>> {
    while ready.has(Ready::READABLE) || ready.has(Ready::ERROR) {
        match transport.receive(scratch) {
            Ok((length, _)) => {
                // A short read has emptied the socket, as a rule.
                if length < scratch.len() && !ready.has(Ready::SHORT_READS) {
                    ready.remove(Ready::READABLE);
                }
                return Some(Ok(length));
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                ready.remove(Ready::READABLE);
                ready.remove(Ready::SHORT_READS);
                ready.remove(Ready::ERROR);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Some(Err(error)),
        }
    }
    None
}

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
    if let Some(failure) = take_failure(iod) {
        return Some(broken(iod, reading, failure));
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
            Ok((0, _)) if !transport.keeps_empty() => {
                match iod.tls.as_ref().map_or(Ok(()), |tls| tls.end()) {
                    Ok(()) => iod.eof = true,
                    Err(error) => iod.read_failure = Some(Failure::Tls(error)),
                }
                break;
            }
            Ok((length, from)) => {
                // A short read has emptied the socket, as a rule.
                let emptied = length < scratch.len() && matches!(transport, Transport::Stream(_));
                if emptied && !iod.ready.has(Ready::SHORT_READS) {
                    iod.ready.remove(Ready::READABLE);
                }
                news = from.or(news);
                if let Some(tls) = &mut iod.tls {
                    let before = reading.bytes.len();
                    let decrypted =
                        tls.receive(&scratch[..length], |plain| satisfied = reading.add(plain, None));
                    iod.bytes_read += (reading.bytes.len() - before) as u64;
                    iod.eof = tls.is_closed();
                    iod.read_failure = decrypted.err().map(Failure::Tls);
                    if iod.eof || iod.read_failure.is_some() {
                        break;
                    }
                } else {
                    iod.bytes_read += length as u64;
                    satisfied = reading.add(&scratch[..length], from);
                }
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
                iod.read_failure = Some(Failure::io(&error, During::Read));
                break;
            }
        }
    }
    if news.is_some() {
        iod.peer = news;
    }
    if iod.tls.as_ref().is_some_and(|tls| tls.has_unsent()) {
        // An answer to what came, or the alert that tells the peer what was wrong with it.
        let _ = secure::flush(iod);
    }
    if satisfied {
        return enough(reading, if iod.eof { End::Eof } else { End::Enough });
    }
    if let Some(failure) = take_failure(iod) {
        return Some(broken(iod, reading, failure));
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
fn broken(iod: &mut Iod, reading: &mut Reading, failure: Failure) -> Result<Output, Failure> {
    let outcome = reading.cut_short(End::Error, failure);
    if outcome.is_ok() {
        iod.read_failure = Some(failure);
    }
    outcome
}

/// The error that waits for the next read. After one of TLS nothing more can be read, ever.
fn take_failure(iod: &mut Iod) -> Option<Failure> {
    iod.read_failure.take_if(|failure| !matches!(failure, Failure::Tls(_))).or(iod.read_failure)
}

/// Sends what is left of some data; the outcome if that ends the write.
pub(super) fn send(
    iod: &mut Iod,
    data: &[u8],
    sent: &mut usize,
    to: Option<SocketAddr>,
) -> Option<Result<(), Failure>> {
    if iod.write_shut {
        return Some(Err(Failure::Misuse(Misuse::WriteShut)));
    }
    if iod.tls.is_some() {
        return secure::send(iod, data, sent);
    }
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
            Stage::Done(Err(failure @ (Failure::Io { during: During::Read, .. } | Failure::Tls(_)))) => {
                iod.read_failure = Some(*failure);
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
