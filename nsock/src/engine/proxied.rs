//! Connections through proxies: the way there, from the socket's connect to the tunnel's end.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use super::Engine;
use super::transfer::receive_ready;
use crate::backend::Ready;
use crate::error::{During, Failure, Misuse};
use crate::event::{Connected, EventId, IodId, Kind, Output};
use crate::iod::{Iod, Link, Unread};
use crate::op::Until;
use crate::proxy::{Endpoint, Next, ProxyChain, ProxyError, ProxyFailure, Tunnel};
use crate::socket::Flavor;
use crate::trace::{Level, ProxyStep, Step};

/// Receive calls for one tunnel before others get their turn; a chain takes two or three a proxy.
const RECEIVES_PER_LOOK_MAX: usize = 16;

/// What an IOD has to do with proxies.
#[derive(Debug, Default)]
pub(crate) struct Proxied {
    /// In place of the pool's chain.
    chain: Option<ProxyChain>,
    /// The way through, until it has ended.
    tunnel: Option<Tunnel>,
    /// The name that the last proxy was given.
    pub(crate) host: Option<Box<str>>,
    said: String,
}

impl Engine {
    /// The proxies for TCP connects made from now on, where the IOD has no chain of its own; an empty chain for none.
    ///
    /// Where there are proxies, whatever would go around them is refused with [`Misuse::AroundProxies`]: UDP and raw
    /// sockets. Unix and vsock sockets, captures and adopted descriptors are left alone.
    pub fn set_proxychain(&mut self, chain: ProxyChain) {
        self.proxychain = chain;
    }

    /// The proxies for the connect of this IOD, in place of the pool's; an empty chain for none. False if the IOD is gone.
    pub fn iod_set_proxychain(&mut self, id: IodId, chain: ProxyChain) -> bool {
        let Some(iod) = self.iods.get_mut(id.slot, id.made) else { return false };
        iod.proxied.get_or_insert_default().chain = Some(chain);
        true
    }

    /// What the last HTTP proxy that answered the IOD's connect said, status and reason as in `403 Filtered`, for a person
    /// to read. Whoever shows it has to escape it.
    #[must_use]
    pub fn iod_proxy_said(&self, id: IodId) -> Option<&str> {
        let proxied = self.iods.get(id.slot, id.made)?.proxied.as_ref()?;
        let said = proxied.tunnel.as_ref().map_or(proxied.said.as_str(), Tunnel::said);
        Some(said).filter(|said| !said.is_empty())
    }

    fn proxychain_of(&self, id: IodId) -> &ProxyChain {
        let own = self.iods.get(id.slot, id.made).and_then(|iod| iod.proxied.as_ref()?.chain.as_ref());
        own.unwrap_or(&self.proxychain)
    }

    /// Refuses what would go around the IOD's proxies.
    pub(super) fn check_direct(&self, id: IodId) -> Result<(), Failure> {
        if self.proxychain_of(id).is_empty() { Ok(()) } else { Err(Failure::Misuse(Misuse::AroundProxies)) }
    }

    /// Where the socket of a connect is to lead: to the target, or to the first proxy on the way there.
    pub(super) fn first_stop(
        &mut self,
        id: EventId,
        iod: IodId,
        to: SocketAddr,
        flavor: Flavor,
    ) -> Result<SocketAddr, Failure> {
        match (self.check_direct(iod), flavor) {
            (Ok(()), _) => Ok(to),
            (Err(_), Flavor::Stream) => self.begin_tunnel(id, iod, to.into()),
            (Err(refused), Flavor::Datagram) => Err(refused),
        }
    }

    pub(super) fn start_connect_host(
        &mut self,
        id: EventId,
        iod: IodId,
        host: &str,
        port: u16,
    ) -> Option<Result<Output, Failure>> {
        let target = Endpoint::named(host, port).filter(|_| self.check_direct(iod).is_err());
        let Some(target) = target else { return Some(Err(Failure::Misuse(Misuse::NoName))) };
        if let Err(misuse) = self.idle_iod(iod) {
            return Some(Err(Failure::Misuse(misuse)));
        }
        match self.begin_tunnel(id, iod, target) {
            Ok(first) => self.connect_socket(id, iod, first, Flavor::Stream),
            Err(failure) => Some(Err(failure)),
        }
    }

    /// Prepares the way through the proxies; the address of the first one.
    fn begin_tunnel(&mut self, id: EventId, iod_id: IodId, target: Endpoint) -> Result<SocketAddr, Failure> {
        let chain = self.proxychain_of(iod_id).clone();
        let unresolved = ProxyFailure::new(0, chain.len(), ProxyError::Unresolved);
        let first = chain.first_address().ok_or(Failure::Proxy(unresolved))?;
        let host = target.name().map(Into::into);
        let tunnel = Tunnel::new(chain, target).map_err(Failure::Proxy)?;
        self.note_op(id, &[], Step::Proxy(ProxyStep::Redirected), Level::Full);
        if let Some(iod) = self.iods.get_mut(iod_id.slot, iod_id.made) {
            let proxied = iod.proxied.get_or_insert_default();
            (proxied.tunnel, proxied.host) = (Some(tunnel), host);
        }
        Ok(first)
    }

    /// Moves a tunnel on, if one is being made.
    pub(super) fn try_tunnel(&mut self, id: IodId) {
        let Some(iod) = self.iods.get(id.slot, id.made).filter(|iod| iod.link == Link::Tunneling) else {
            return;
        };
        let head = iod.queue(Kind::Connect).head;
        let Some(event) = self.ops.at(head).map(|(_, op)| op.id) else { return };
        for _ in 0..RECEIVES_PER_LOOK_MAX {
            let Self { iods, scratch, .. } = self;
            let Some(iod) = iods.get_mut(id.slot, id.made) else { return };
            match go_on(iod, scratch) {
                Ok(Some(Next::Ask { bytes, by, until })) => self.note_asked(event, by, bytes, until),
                Ok(Some(Next::Through(early))) => return self.leave_tunnel(id, event, early),
                Ok(Some(Next::Wait)) => {}
                Ok(None) => return,
                Err(failure) => return self.fail_tunnel(id, event, failure),
            }
        }
        // Others first: there is more to take.
        self.schedule(id);
    }

    /// The proxies have done their part.
    fn leave_tunnel(&mut self, id: IodId, event: EventId, early: Vec<u8>) {
        self.note_op(event, &[], Step::Proxy(ProxyStep::Through), Level::Info);
        let Some(iod) = self.iods.get_mut(id.slot, id.made) else { return };
        let target = end_tunnel(iod).and_then(|tunnel| tunnel.target().address());
        iod.peer = target.or(iod.peer);
        let bytes = early.len() as u64;
        if !early.is_empty() {
            iod.unread.push_back(Unread { bytes: early, from: None });
        }
        let peer = iod.peer;
        let outcome = match (self.open_link(id, event), peer) {
            (Ok(Link::Open), Some(peer)) => {
                if let Some(iod) = self.iods.get_mut(id.slot, id.made) {
                    iod.bytes_read += bytes;
                }
                Ok(Output::Connected(Connected { peer }))
            }
            (Ok(_), _) => return,
            (Err(failure), _) => {
                self.fail_link(id, failure);
                Err(failure)
            }
        };
        self.finish(event.slot, outcome);
    }

    /// Ends a connect whose way through the proxies came to nothing.
    fn fail_tunnel(&mut self, id: IodId, event: EventId, failure: ProxyFailure) {
        let proxy = self.tunnel_of(id).map(Tunnel::proxy).unwrap_or_default();
        if !matches!(failure.error, ProxyError::Io { .. } | ProxyError::Closed) {
            self.note_op(event, proxy.as_bytes(), Step::Proxy(ProxyStep::Refused(failure)), Level::Debug);
        }
        let failure = self.tunnel_failed(id, event, failure);
        self.fail_link(id, failure);
        self.finish(event.slot, Err(failure));
    }

    /// Tells the trace that a tunnel came to nothing.
    fn tunnel_failed(&mut self, id: IodId, event: EventId, failure: ProxyFailure) -> Failure {
        self.note_op(event, &[], Step::Proxy(ProxyStep::Failed(failure)), Level::Info);
        if let Some(iod) = self.iods.get_mut(id.slot, id.made) {
            end_tunnel(iod);
        }
        Failure::Proxy(failure)
    }

    /// The failure of a connect whose time has run out, where the proxies have to do with it.
    pub(super) fn tunnel_timed_out(&mut self, id: IodId, event: EventId) -> Option<Failure> {
        let failure = self.tunnel_of(id)?.timed_out();
        Some(self.tunnel_failed(id, event, failure))
    }

    /// The failure of a socket, which is the proxy's while there is a tunnel to make.
    pub(super) fn blame_proxy(&mut self, id: IodId, event: EventId, failure: Failure) -> Failure {
        match (self.tunnel_of(id), failure) {
            (Some(tunnel), Failure::Io { errno, during }) => {
                let failure = tunnel.failed(ProxyError::Io { errno, during });
                self.tunnel_failed(id, event, failure)
            }
            _ => failure,
        }
    }

    pub(super) fn tunnel_of(&self, id: IodId) -> Option<&Tunnel> {
        self.iods.get(id.slot, id.made)?.proxied.as_ref()?.tunnel.as_ref()
    }

    fn note_asked(&mut self, event: EventId, by: &'static str, bytes: usize, until: Until) {
        if !self.wants(Level::Info) {
            return;
        }
        let now = self.nanos(self.now);
        let deadline = self.ops.get(event.slot, event.made).and_then(|op| op.deadline);
        let limit = deadline.map(|deadline| Duration::from_nanos(deadline.saturating_sub(now)));
        self.note_op(event, &[], Step::Proxy(ProxyStep::Asked { by, bytes }), Level::Info);
        self.note_op(event, &[], Step::Proxy(ProxyStep::Awaited { until, limit }), Level::Info);
    }
}

/// The tunnel leaves the IOD, and what was said in it stays.
pub(super) fn end_tunnel(iod: &mut Iod) -> Option<Tunnel> {
    let proxied = iod.proxied.as_mut()?;
    let tunnel = proxied.tunnel.take()?;
    tunnel.said().clone_into(&mut proxied.said);
    Some(tunnel)
}

/// Sends and receives what can be, up to the tunnel's next step; `None` if the socket is not ready for that.
fn go_on(iod: &mut Iod, scratch: &mut [u8]) -> Result<Option<Next>, ProxyFailure> {
    let Iod { proxied: Some(proxied), transport: Some(transport), ready, .. } = iod else { return Ok(None) };
    let Some(tunnel) = &mut proxied.tunnel else { return Ok(None) };
    let broken = |tunnel: &Tunnel, error: &io::Error, during| {
        let errno = error.raw_os_error().unwrap_or(libc::EIO);
        tunnel.failed(ProxyError::Io { errno, during })
    };
    while !tunnel.outgoing().is_empty() {
        match transport.send(tunnel.outgoing(), None) {
            Ok(bytes) => tunnel.sent(bytes),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                ready.remove(Ready::WRITABLE);
                ready.remove(Ready::ERROR);
                return Ok(None);
            }
            // Why it closed is in what it sent before.
            Err(error) if matches!(error.raw_os_error(), Some(libc::EPIPE | libc::ECONNRESET)) => {
                tunnel.sent(tunnel.outgoing().len());
                ready.insert(Ready::ERROR);
            }
            Err(error) => return Err(broken(tunnel, &error, During::Write)),
        }
    }
    match tunnel.next()? {
        Next::Wait => {}
        next => return Ok(Some(next)),
    }
    match receive_ready(transport, ready, scratch) {
        None => Ok(None),
        Some(Ok(0)) => Err(tunnel.failed(ProxyError::Closed)),
        Some(Ok(length)) => {
            tunnel.receive(&scratch[..length]);
            Ok(Some(Next::Wait))
        }
        Some(Err(error)) => Err(broken(tunnel, &error, During::Read)),
    }
}
