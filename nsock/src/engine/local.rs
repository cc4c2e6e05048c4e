//! Connecting to peers without an internet address: Unix sockets, and vsock ones.

use std::path::Path;

use super::Engine;
use crate::error::{Failure, Misuse};
use crate::event::{IodId, Output};
use crate::iod::Link;
use crate::request::SocketKind;
use crate::socket::{self, Flavor, SetupError};
use crate::transport::Transport;

#[cfg(feature = "vsock")]
use crate::event::EventId;

impl Engine {
    /// Connects at once or not at all: the system never lets a connect to a Unix socket be under way.
    pub(super) fn start_connect_unix(
        &mut self,
        iod_id: IodId,
        path: &Path,
        kind: SocketKind,
    ) -> Result<Output, Failure> {
        let Some(iod) = self.iods.get_mut(iod_id.slot, iod_id.made) else {
            return Err(Failure::Misuse(Misuse::StaleIod));
        };
        if iod.link != Link::Idle {
            return Err(Failure::Misuse(Misuse::AlreadyConnected));
        }
        iod.path = Some(Box::new(path.to_path_buf()));
        let flavor = match kind {
            SocketKind::Stream => Flavor::Stream,
            SocketKind::Datagram => Flavor::Datagram,
        };
        let connected = socket::connect_unix(path, flavor)
            .map_err(|SetupError { during, error }| Failure::io(&error, during))
            .and_then(|socket| self.watch(iod_id, Transport::from_socket(socket, flavor), Link::Open));
        if let Err(failure) = connected
            && let Some(iod) = self.iods.get_mut(iod_id.slot, iod_id.made)
        {
            iod.link = Link::Failed { failure };
        }
        connected.map(|()| Output::ConnectedUnix)
    }

    #[cfg(feature = "vsock")]
    pub(super) fn start_connect_vsock(
        &mut self,
        id: EventId,
        iod_id: IodId,
        cid: u32,
        port: u32,
        kind: SocketKind,
    ) -> Option<Result<Output, Failure>> {
        let Some(iod) = self.iods.get_mut(iod_id.slot, iod_id.made) else {
            return Some(Err(Failure::Misuse(Misuse::StaleIod)));
        };
        if iod.link != Link::Idle {
            return Some(Err(Failure::Misuse(Misuse::AlreadyConnected)));
        }
        // Such a peer has no internet address either; traces show this in its place.
        iod.path = Some(Box::new(format!("{cid}:{port}").into()));
        let flavor = match kind {
            SocketKind::Stream => Flavor::Stream,
            SocketKind::Datagram => Flavor::Datagram,
        };
        let connected = socket::connect_vsock(cid, port, flavor)
            .map_err(|SetupError { during, error }| Failure::io(&error, during))
            .and_then(|(socket, under_way)| {
                let link = if under_way { Link::Connecting } else { Link::Open };
                self.watch(iod_id, Transport::from_socket(socket, flavor), link)?;
                Ok(under_way)
            });
        match connected {
            Ok(true) => {
                self.enqueue(id, iod_id);
                None
            }
            Ok(false) => Some(Ok(Output::ConnectedUnix)),
            Err(failure) => {
                if let Some(iod) = self.iods.get_mut(iod_id.slot, iod_id.made) {
                    iod.link = Link::Failed { failure };
                }
                Some(Err(failure))
            }
        }
    }
}
