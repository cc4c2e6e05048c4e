//! TLS on an IOD: the handshake, and records between the socket and the channel.

use std::io;

use super::Engine;
use super::transfer::receive_ready;
use crate::backend::Ready;
use crate::error::{During, Failure};
use crate::event::{Connected, IodId, Kind, Output};
use crate::iod::{Iod, Link, Unread};
use crate::op::NONE;
use crate::tls_error::TlsError;
use crate::trace::{Level, Step};
#[cfg(feature = "tls")]
use crate::{
    error::Misuse,
    event::EventId,
    tls::{Channel, TlsInfo, TlsOptions, TlsSession},
    transport::Transport,
};

/// Receive calls for one handshake before others get their turn; a handshake takes a handful.
const RECEIVES_PER_LOOK_MAX: usize = 16;

/// Times that one write may fill the channel before others get their turn: a megabyte.
const FILLS_PER_LOOK_MAX: usize = 16;

#[cfg(feature = "tls")]
impl Engine {
    /// How this IOD's TLS connection is to be made; false if the IOD is gone.
    pub fn iod_set_tls_options(&mut self, id: IodId, options: TlsOptions) -> bool {
        let Some(iod) = self.iods.get_mut(id.slot, id.made) else { return false };
        iod.tls_options = Some(Box::new(options));
        true
    }

    /// What the IOD's TLS handshake agreed on; `None` if there was none or it is not that far.
    #[must_use]
    pub fn iod_tls(&self, id: IodId) -> Option<TlsInfo> {
        self.iods.get(id.slot, id.made)?.tls.as_ref()?.info()
    }

    /// What a later connection needs to resume the IOD's TLS session, if the server lets it. TLS 1.3 servers send that
    /// after the handshake, and it is taken in by the reads.
    #[must_use]
    pub fn iod_tls_session(&self, id: IodId) -> Option<TlsSession> {
        self.iods.get(id.slot, id.made)?.tls.as_ref()?.session()
    }

    /// What the TLS library says about the failure of the IOD's TLS connection, for a person to read.
    #[must_use]
    pub fn iod_tls_cause(&self, id: IodId) -> Option<&str> {
        self.iods.get(id.slot, id.made)?.tls.as_ref()?.cause.as_deref()
    }

    /// Begins a handshake on a connection that is open, unless it cannot be.
    pub(super) fn start_reconnect(&mut self, id: EventId, iod_id: IodId) -> Option<Result<Output, Failure>> {
        let Some(iod) = self.iods.get(iod_id.slot, iod_id.made) else {
            return Some(Err(Failure::Misuse(Misuse::StaleIod)));
        };
        if let Some(failure) = iod.failure_behind_connect() {
            return Some(Err(failure));
        }
        let busy = [Kind::Connect, Kind::Read, Kind::Write].iter().any(|&kind| !iod.queue(kind).is_empty());
        let misuse = if iod.link == Link::Idle {
            Some(Misuse::NotConnected)
        } else if busy {
            Some(Misuse::Busy)
        } else if iod.tls.is_some() {
            Some(Misuse::AlreadySecured)
        } else if !matches!(iod.transport, Some(Transport::Stream(_))) || iod.peer.is_none() {
            Some(Misuse::NotTcp)
        } else {
            None
        };
        if let Some(misuse) = misuse {
            return Some(Err(Failure::Misuse(misuse)));
        }
        if let Err(failure) = self.begin_handshake(iod_id) {
            return Some(Err(failure));
        }
        self.enqueue(id, iod_id);
        self.schedule(iod_id);
        None
    }

    /// Prepares the first flight; [`try_handshake`](Self::try_handshake) sends it.
    pub(super) fn begin_handshake(&mut self, id: IodId) -> Result<(), Failure> {
        let Some(iod) = self.iods.get_mut(id.slot, id.made) else {
            return Err(Failure::Misuse(Misuse::StaleIod));
        };
        let Some(peer) = iod.peer else {
            return Err(Failure::Io { errno: libc::ENOTCONN, during: During::Handshake });
        };
        let mut options = iod.tls_options.take().unwrap_or_default();
        if let (None, Some(proxied)) = (&options.server_name, &iod.proxied) {
            options.server_name = proxied.host.as_deref().map(Into::into);
        }
        let mut channel = Channel::new(&options, peer.ip()).map_err(Failure::Tls)?;
        // What came before and was given back belongs to the stream that is now read as TLS.
        for given_back in iod.unread.split_off(0) {
            let unread = &mut iod.unread;
            let keep = |plain: &[u8]| unread.push_back(Unread { bytes: plain.to_vec(), from: None });
            channel.receive(&given_back.bytes, keep).map_err(Failure::Tls)?;
        }
        iod.tls = Some(Box::new(channel));
        iod.link = Link::Handshaking;
        Ok(())
    }
}

impl Engine {
    /// Moves a handshake on, if one is under way.
    pub(super) fn try_handshake(&mut self, id: IodId) {
        let Self { iods, scratch, .. } = self;
        let Some(iod) = iods.get_mut(id.slot, id.made).filter(|iod| iod.link == Link::Handshaking) else {
            return;
        };
        let head = iod.queue(Kind::ConnectSsl).head;
        let Some(outcome) = shake_hands(iod, scratch) else { return };
        let outcome = match (outcome, iod.peer) {
            (Ok(()), Some(peer)) => {
                iod.link = Link::Open;
                Ok(Output::Connected(Connected { peer }))
            }
            (Ok(()), None) => Err(Failure::Io { errno: libc::ENOTCONN, during: During::Handshake }),
            (Err(failure), _) => Err(failure),
        };
        let event = self.ops.at(head).map(|(_, op)| op.id);
        if let Err(failure) = outcome {
            if let (Failure::Tls(error), Some(event)) = (failure, event) {
                self.note_op(event, &[], Step::TlsFailed { error }, Level::Info);
            }
            self.fail_link(id, failure);
        }
        if head != NONE {
            self.finish(head, outcome);
        }
    }

    /// Sends what the channel still has: records of a write that ran out of time, an answer to a key update.
    pub(super) fn flush_channel(&mut self, id: IodId) {
        if let Some(iod) = self.iods.get_mut(id.slot, id.made)
            && iod.link == Link::Open
            && iod.ready.has(Ready::WRITABLE)
            && iod.tls.as_ref().is_some_and(|tls| tls.has_unsent())
        {
            // A failure shows with the next read or write.
            let _ = flush(iod);
        }
    }
}

/// Sends and receives what can be; the outcome if that ends the handshake.
fn shake_hands(iod: &mut Iod, scratch: &mut [u8]) -> Option<Result<(), Failure>> {
    let broken = |error: &io::Error| Some(Err(Failure::io(error, During::Handshake)));
    for _ in 0..RECEIVES_PER_LOOK_MAX {
        match flush(iod) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return broken(&error),
            _ => {}
        }
        let Iod { tls: Some(tls), transport: Some(transport), ready, unread, .. } = iod else { return None };
        if !tls.is_handshaking() {
            if tls.has_unsent() {
                return None;
            }
            iod.eof = tls.is_closed();
            return Some(Ok(()));
        }
        if tls.is_closed() {
            return Some(Err(Failure::Tls(TlsError::Closed)));
        }
        match receive_ready(transport, ready, scratch)? {
            Ok(0) => return Some(Err(Failure::Tls(TlsError::Closed))),
            Ok(length) => {
                let keep = |plain: &[u8]| unread.push_back(Unread { bytes: plain.to_vec(), from: None });
                if let Err(error) = tls.receive(&scratch[..length], keep) {
                    if tls.is_handshaking() {
                        // The alert that tells the peer; it does not matter whether it gets there.
                        let _ = flush(iod);
                        return Some(Err(Failure::Tls(error)));
                    }
                    iod.read_failure = Some(Failure::Tls(error));
                }
            }
            Err(error) => return broken(&error),
        }
    }
    None
}

/// Gives the socket the records that the channel has; nothing to do without a channel.
pub(super) fn flush(iod: &mut Iod) -> io::Result<()> {
    let Iod { tls: Some(tls), transport: Some(transport), ready, .. } = iod else { return Ok(()) };
    loop {
        match tls.flush(|records| transport.send(records, None)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                ready.remove(Ready::WRITABLE);
                ready.remove(Ready::ERROR);
                return Err(error);
            }
            outcome => return outcome,
        }
    }
}

/// As [`send`](super::transfer::send), through the channel: it ends when the socket has taken the last record.
pub(super) fn send(iod: &mut Iod, data: &[u8], sent: &mut usize) -> Option<Result<(), Failure>> {
    for _ in 0..FILLS_PER_LOOK_MAX {
        match flush(iod) {
            Ok(()) if *sent == data.len() => return Some(Ok(())),
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
            Err(error) => return Some(Err(Failure::io(&error, During::Write))),
        }
        let taken = iod.tls.as_mut()?.send(&data[*sent..]);
        *sent += taken;
        iod.bytes_written += taken as u64;
    }
    None
}
