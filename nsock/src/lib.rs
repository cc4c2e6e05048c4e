//! Nsock.
mod backend;
mod deadlines;
mod engine;
mod error;
mod event;
mod io;
mod iod;
mod observe;
mod op;
mod pool;
mod request;
mod slots;
mod socket;
mod sys;
pub mod trace;
mod transport;

pub use backend::Waker;
pub use engine::{Engine, Notice};
pub use error::{During, Error, Failure, Fault, Misuse, SocketOption};
pub use event::{
    Alarm, Completion, Connected, End, Event, EventId, IodId, Kind, Output, Received, ScopeId, Sent,
};
pub use io::Io;
pub use observe::{EventReport, IodReport, IodState, Report, Waiting};
pub use op::{READ_BYTES_MAX, Until};
pub use pool::{Pool, Stop};
pub use request::Request;
pub use socket::SocketOptions;
