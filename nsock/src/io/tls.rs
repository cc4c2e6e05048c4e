//! The requests that have to do with TLS.

use std::net::SocketAddr;
use std::time::Duration;

use super::Io;
use crate::event::{Connected, Event, EventId, IodId, Output};
use crate::request::Request;
use crate::tls::{TlsInfo, TlsOptions, TlsSession};

/// # TLS
impl<S: 'static> Io<S> {
    /// How this IOD's TLS connection is to be made; false if the IOD is gone. Without, any certificate will do, no host
    /// is asked for and nothing is resumed.
    pub fn iod_set_tls_options(&mut self, iod: IodId, options: TlsOptions) -> bool {
        self.engine.iod_set_tls_options(iod, options)
    }

    /// Connects an IOD to a TCP server and agrees on TLS; the limit covers both.
    ///
    /// From then on reads and writes carry plaintext. A peer that closes without saying so in TLS is let pass: what it
    /// sent is delivered, then [`Failure::Eof`](crate::Failure::Eof).
    #[track_caller]
    pub fn connect_ssl(
        &mut self,
        iod: IodId,
        to: SocketAddr,
        limit: Option<Duration>,
        handler: impl FnOnce(&mut S, &mut Self, Event<Connected>) + 'static,
    ) -> EventId {
        self.ask(Request::ConnectSsl { iod, to }, limit, Output::connected, handler)
    }

    /// Agrees on TLS on a TCP connection that has been used without (STARTTLS). No reads or writes may be pending; those
    /// made from now on wait for the handshake. If that fails, is cancelled or runs out of time, the connection is
    /// closed.
    #[track_caller]
    pub fn reconnect_ssl(
        &mut self,
        iod: IodId,
        limit: Option<Duration>,
        handler: impl FnOnce(&mut S, &mut Self, Event<Connected>) + 'static,
    ) -> EventId {
        self.ask(Request::ReconnectSsl { iod }, limit, Output::connected, handler)
    }

    /// What the IOD's TLS handshake agreed on; `None` if there was none or it is not that far.
    #[must_use]
    pub fn iod_tls(&self, iod: IodId) -> Option<TlsInfo> {
        self.engine.iod_tls(iod)
    }

    /// What a later connection needs to resume the IOD's TLS session, if the server lets it. TLS 1.3 servers send that
    /// after the handshake, and it is taken in by the reads.
    #[must_use]
    pub fn iod_tls_session(&self, iod: IodId) -> Option<TlsSession> {
        self.engine.iod_tls_session(iod)
    }

    /// What the TLS library says about the failure of the IOD's TLS connection, for a person to read.
    #[must_use]
    pub fn iod_tls_cause(&self, iod: IodId) -> Option<&str> {
        self.engine.iod_tls_cause(iod)
    }
}
