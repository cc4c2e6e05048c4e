//! The requests that have to do with proxies.

use std::time::Duration;

use super::Io;
use crate::event::{Connected, Event, EventId, IodId, Output};
use crate::proxy::ProxyChain;
use crate::request::Request;

/// # Proxies
impl<S: 'static> Io<S> {
    /// Sends the TCP connects that are asked for from now on through these proxies, where their IOD has no chain of its
    /// own. An empty chain makes them direct again.
    ///
    /// A connect through proxies ends as any other does: once, with its own event, when the last proxy has connected to the
    /// target, and TLS was agreed on with the target where that was asked for. The limit covers all of that. Until then, a
    /// failure is [`Failure::Proxy`](crate::Failure::Proxy), which says which proxy it was. Bytes that the target sends
    /// early are kept for the first read.
    ///
    /// What would go around the proxies is refused with
    /// [`Misuse::AroundProxies`](crate::Misuse::AroundProxies): UDP and raw sockets. Unix and vsock sockets, captures and
    /// adopted descriptors are left alone. No name is looked up on this machine.
    ///
    /// ```
    /// # let mut pool = nsock::Pool::<()>::new()?;
    /// pool.set_proxychain("socks5://127.0.0.1:9050,http://joe:s3cret@proxy.example:3128".parse()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_proxychain(&mut self, chain: ProxyChain) {
        self.engine.set_proxychain(chain);
    }

    /// Sends the connect of this IOD through these proxies, in place of the pool's; an empty chain makes it direct. False if
    /// the IOD is gone.
    pub fn iod_set_proxychain(&mut self, iod: IodId, chain: ProxyChain) -> bool {
        self.engine.iod_set_proxychain(iod, chain)
    }

    /// What the last HTTP proxy that answered the IOD's connect said, status and reason as in `403 Filtered`, for a person
    /// to read. It may be any text: whoever shows it has to escape it.
    #[must_use]
    pub fn iod_proxy_said(&self, iod: IodId) -> Option<&str> {
        self.engine.iod_proxy_said(iod)
    }

    /// Connects an IOD through its proxies to a TCP server by name; the last proxy looks the name up. An address is as good
    /// as a name.
    ///
    /// [`Connected::peer`] is the first proxy, as the address of the target is not known. Without proxies the connect is
    /// refused with [`Misuse::NoName`](crate::Misuse::NoName): looking up names is not this library's work.
    #[track_caller]
    pub fn connect_tcp_host(
        &mut self,
        iod: IodId,
        host: &str,
        port: u16,
        limit: Option<Duration>,
        handler: impl FnOnce(&mut S, &mut Self, Event<Connected>) + 'static,
    ) -> EventId {
        self.ask(Request::ConnectHost { iod, host, port }, limit, Output::connected, handler)
    }

    /// As [`connect_tcp_host`](Self::connect_tcp_host), and agrees on TLS with the target, which is asked for and verified
    /// by this name unless the IOD's options have another.
    #[cfg(feature = "tls")]
    #[track_caller]
    pub fn connect_ssl_host(
        &mut self,
        iod: IodId,
        host: &str,
        port: u16,
        limit: Option<Duration>,
        handler: impl FnOnce(&mut S, &mut Self, Event<Connected>) + 'static,
    ) -> EventId {
        self.ask(Request::ConnectSslHost { iod, host, port }, limit, Output::connected, handler)
    }
}
