//! Sessions to resume, as objects of the program's own.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::NamedGroup;
use rustls::client::danger::ServerCertVerifier;
use rustls::client::{
    ClientSessionStore, ResolvesClientCert, Tls12ClientSessionValue, Tls13ClientSessionValue,
};
use rustls::pki_types::ServerName;

/// TLS 1.3 tickets kept of one session; servers send two, and each is used once (RFC 8446 C.4).
const TICKETS_MAX: usize = 4;

/// What a later connection to the same server needs to resume the session of an earlier one.
///
/// It is used only with the same server name and the same verification; otherwise the handshake is a full one. The
/// connection that resumes puts the server's new tickets here. Clones share what they hold.
#[derive(Clone)]
pub struct TlsSession(pub(crate) Arc<Store>);

/// What made a session: it is resumed with nothing else.
#[derive(Debug)]
pub(crate) struct Origin {
    pub(crate) name: ServerName<'static>,
    pub(crate) verifier: Arc<dyn ServerCertVerifier>,
    pub(crate) verified: bool,
    pub(crate) credentials: Arc<dyn ResolvesClientCert>,
}

/// The session store of one connection and of those that resume it.
#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) origin: Origin,
    saved: Mutex<Saved>,
}

#[derive(Debug, Default)]
struct Saved {
    group: Option<NamedGroup>,
    tls12: Option<Tls12ClientSessionValue>,
    tls13: VecDeque<Tls13ClientSessionValue>,
}

impl Store {
    pub(crate) fn new(origin: Origin) -> Self {
        Self { origin, saved: Mutex::new(Saved::default()) }
    }

    pub(crate) fn is_empty(&self) -> bool {
        let saved = self.saved();
        saved.tls12.is_none() && saved.tls13.is_empty()
    }

    fn saved(&self) -> MutexGuard<'_, Saved> {
        self.saved.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientSessionStore for Store {
    fn set_kx_hint(&self, _: ServerName<'static>, group: NamedGroup) {
        self.saved().group = Some(group);
    }

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        self.saved().group
    }

    fn set_tls12_session(&self, _: ServerName<'static>, value: Tls12ClientSessionValue) {
        self.saved().tls12 = Some(value);
    }

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.saved().tls12.clone()
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {
        self.saved().tls12 = None;
    }

    fn insert_tls13_ticket(&self, _: ServerName<'static>, value: Tls13ClientSessionValue) {
        let mut saved = self.saved();
        if saved.tls13.len() == TICKETS_MAX {
            saved.tls13.pop_front();
        }
        saved.tls13.push_back(value);
    }

    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.saved().tls13.pop_back()
    }
}

impl fmt::Debug for TlsSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsSession").field("name", &self.0.origin.name).finish_non_exhaustive()
    }
}
