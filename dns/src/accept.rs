//! Which datagrams are answers. The checks run in a fixed order: sender, id, kind, question, and only then content, so
//! that nothing a stranger can send ends a wait.

use std::net::SocketAddr;

use domain::base::Message;
use domain::base::iana::Opcode;

use crate::message::{Asked, Reply, Unusable, is_about, read_reply};

/// Why a datagram was thrown away. The question it may have been meant for stays open.
///
/// In the order of the checks. The first two are everyday (late answers); the others are a broken server or someone
/// who guesses.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Discard {
    /// It came to a socket that the resolver has closed, or never had.
    #[error("it came to a socket that is no longer used")]
    UnknownSocket,
    /// It was not sent by the server that the socket belongs to.
    #[error("it was not sent by the server that was asked")]
    OtherSender,
    /// It is shorter than a DNS header.
    #[error("it is shorter than a DNS header")]
    Short,
    /// No open question on this socket has its id: too late, a duplicate, or a guess.
    #[error("no open question has its id")]
    UnknownId,
    /// It is a query, or has an operation code other than QUERY.
    #[error("it is not a response to a query")]
    NotAResponse,
    /// It does not repeat the question that was asked: name, type and class, and no other.
    #[error("it is about another question")]
    OtherQuestion,
    /// Its answer cannot be read, and nothing useful came before the damage.
    #[error("its answer is malformed")]
    Damaged,
    /// Its records belong to other names than the one asked for.
    #[error("its records are about other names")]
    Unrelated,
}

/// A datagram that is an answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Accepted<T> {
    /// What `open` gave for its id.
    pub(crate) question: T,
    /// What it says.
    pub(crate) reply: Reply,
}

/// Runs the checks. `server` is whom the socket belongs to; `open` gives the question that waits under an id on this
/// socket.
pub(crate) fn accept<'a, T>(
    server: SocketAddr,
    from: SocketAddr,
    bytes: &[u8],
    open: impl FnOnce(u16) -> Option<(T, &'a Asked)>,
) -> Result<Accepted<T>, Discard> {
    if !is_same_sender(server, from) {
        return Err(Discard::OtherSender);
    }
    let message = Message::from_slice(bytes).map_err(|_| Discard::Short)?;
    let header = message.header();
    let (question, asked) = open(header.id()).ok_or(Discard::UnknownId)?;
    if !header.qr() || header.opcode() != Opcode::QUERY {
        return Err(Discard::NotAResponse);
    }
    if !is_about(message, asked) {
        return Err(Discard::OtherQuestion);
    }
    let reply = read_reply(message, asked).map_err(|why| match why {
        Unusable::Damaged => Discard::Damaged,
        Unusable::Unrelated => Discard::Unrelated,
    })?;
    Ok(Accepted { question, reply })
}

/// Compares address and port, and the scope where both sides know one; the flow label of IPv6 is not an identity.
fn is_same_sender(server: SocketAddr, from: SocketAddr) -> bool {
    let scopes_agree = match (server, from) {
        (SocketAddr::V6(server), SocketAddr::V6(from)) => {
            server.scope_id() == from.scope_id() || server.scope_id() == 0 || from.scope_id() == 0
        }
        _ => true,
    };
    server.ip() == from.ip() && server.port() == from.port() && scopes_agree
}
