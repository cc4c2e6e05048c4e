//! In place of `tls` where that feature is off: there is no TLS connection.

use std::io;

use crate::tls_error::TlsError;

/// Never made.
#[derive(Debug)]
pub(crate) enum Channel {}

#[expect(clippy::needless_pass_by_ref_mut, reason = "as the real one")]
impl Channel {
    pub(crate) fn receive(&mut self, _: &[u8], _: impl FnMut(&[u8])) -> Result<(), TlsError> {
        match *self {}
    }

    pub(crate) fn end(&self) -> Result<(), TlsError> {
        match *self {}
    }

    pub(crate) fn is_closed(&self) -> bool {
        match *self {}
    }

    pub(crate) fn is_handshaking(&self) -> bool {
        match *self {}
    }

    pub(crate) fn send(&mut self, _: &[u8]) -> usize {
        match *self {}
    }

    pub(crate) fn has_unsent(&self) -> bool {
        match *self {}
    }

    pub(crate) fn flush(&mut self, _: impl FnMut(&[u8]) -> io::Result<usize>) -> io::Result<()> {
        match *self {}
    }

    pub(crate) fn close(&mut self) {
        match *self {}
    }
}
