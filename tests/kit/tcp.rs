//! TCP peers: one that echoes fast, one that follows a script.

mod echo;
mod script;

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Socket, Type};

pub use echo::TcpEcho;
pub use script::{Step, TcpScript};

/// Connections the kernel may hold before they are accepted: Linux's default `somaxconn`, so a burst of thousands of
/// connects from one event loop meets no refused or repeated SYN.
const BACKLOG: i32 = 4096;

/// A non-blocking listener at `address`.
pub(crate) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
