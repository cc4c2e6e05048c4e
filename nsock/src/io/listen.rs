//! The requests of those who are connected to.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use super::Io;
use crate::error::Failure;
use crate::event::{Accepted, Event, EventId, IodId, Output, Sent};
use crate::request::Request;

/// # Listening
impl<S: 'static> Io<S> {
    /// Has an IOD listen for TCP connections at `local`, at once; port 0 leaves the choice to the system, and
    /// [`iod_local`](Self::iod_local) tells it. Then [`accept`](Self::accept) works on it, and no other request.
    ///
    /// ```
    /// use nsock::{Accepted, Event, Io, Pool};
    ///
    /// fn accepted(names: &mut Vec<String>, io: &mut Io<Vec<String>>, ev: Event<Accepted>) {
    ///     if let Ok(Accepted { iod, .. }) = ev.outcome {
    ///         io.accept(ev.iod, None, accepted); // the next one
    ///         io.readlines(iod, 1, None, |names: &mut Vec<String>, io, ev| {
    ///             names.extend(ev.outcome.map(|got| String::from_utf8_lossy(&got.bytes).into_owned()));
    ///             io.iod_delete(ev.iod);
    ///             io.loop_quit();
    ///         });
    ///     }
    /// }
    ///
    /// let mut pool = Pool::<Vec<String>>::new()?;
    /// let door = pool.iod_new();
    /// pool.listen_tcp(door, "127.0.0.1:0".parse()?)?;
    /// pool.accept(door, None, accepted);
    /// let mut visitor = std::net::TcpStream::connect(pool.iod_local(door).ok_or("no address")?)?;
    /// std::io::Write::write_all(&mut visitor, b"anne\n")?;
    /// let mut names = Vec::new();
    /// pool.run(&mut names, None)?;
    /// assert_eq!(names, ["anne\n"]);
    /// pool.iod_delete(door);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// The connections have the options of the listening socket. One of somebody else's making can be
    /// [adopted](Self::iod_adopt); if it is in blocking mode, nobody else may accept from it.
    ///
    /// # Errors
    /// The failure of making, binding or listening, or a misuse of the IOD, which stays as it was.
    pub fn listen_tcp(&mut self, iod: IodId, local: SocketAddr) -> Result<(), Failure> {
        self.engine.listen_tcp(iod, local)
    }

    /// As [`listen_tcp`](Self::listen_tcp), for a stream socket in the file system. The path must be free, and is left
    /// there when the IOD is deleted.
    ///
    /// # Errors
    /// As of [`listen_tcp`](Self::listen_tcp); `EADDRINUSE` if there is something at the path.
    pub fn listen_unixsock(&mut self, iod: IodId, path: impl AsRef<Path>) -> Result<(), Failure> {
        self.engine.listen_unix(iod, path.as_ref())
    }

    /// Takes the next connection, as a new IOD that is open and belongs to whoever takes it.
    ///
    /// Each connection goes to one accept, in the order of both. A cancel loses none: the next accept gets what the
    /// cancelled one had. A failure is this machine's, such as `EMFILE`; the connection stays and waits for the next
    /// accept.
    #[track_caller]
    pub fn accept(
        &mut self,
        iod: IodId,
        limit: Option<Duration>,
        handler: impl FnOnce(&mut S, &mut Self, Event<Accepted>) + 'static,
    ) -> EventId {
        self.ask(Request::Accept { iod }, limit, Output::accepted, handler)
    }

    /// Sends no more on a stream, when all writes asked for before are done: the peer's reads come to the end, its
    /// answers can still be read (half-close). With TLS, the end is told there too (close_notify). A write asked for
    /// later is a misuse.
    #[track_caller]
    pub fn shutdown_write(
        &mut self,
        iod: IodId,
        limit: Option<Duration>,
        handler: impl FnOnce(&mut S, &mut Self, Event<Sent>) + 'static,
    ) -> EventId {
        self.ask(Request::Shutdown { iod }, limit, Output::sent, handler)
    }
}
