//! Which datagrams are answers. The checks run in a fixed order: sender, id, kind, question, and only then content, so
//! that nothing a stranger can send ends a wait.

use std::net::SocketAddr;

use domain::base::Message;
use domain::base::iana::Opcode;

use crate::capability::{Cookies, Dress};
use crate::message::{Asked, Reply, Unusable, cookies, has_letters, is_about, is_bare_complaint, read_reply};

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
    /// It repeats the question, but in letters of another case than the query had them.
    #[error("it has the question in other letters")]
    OtherLetters,
    /// It has no cookie, though this server gives one, or another than was sent.
    #[error("it has not the cookie that was sent")]
    OtherCookie,
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
    /// The cookies in it; the client's is the one that was sent.
    pub(crate) cookies: Option<Cookies>,
}

/// What the answer to a query has to have.
#[derive(Clone, Debug)]
pub(crate) struct Expected<'a> {
    /// The question.
    pub(crate) asked: &'a Asked,
    /// How the query was dressed.
    pub(crate) dress: Dress,
    /// The cookies it was sent with.
    pub(crate) cookies: Option<Cookies>,
    /// The server gives cookies back.
    pub(crate) is_cookie_due: bool,
    /// The server gives letters back as they were sent.
    pub(crate) is_letter_true: bool,
}

/// Runs the checks. `server` is whom the socket belongs to; `open` gives the question that waits under an id on this
/// socket.
pub(crate) fn accept<'a, T>(
    server: SocketAddr,
    from: SocketAddr,
    bytes: &[u8],
    open: impl FnOnce(u16) -> Option<(T, Expected<'a>)>,
) -> Result<Accepted<T>, Discard> {
    if !is_same_sender(server, from) {
        return Err(Discard::OtherSender);
    }
    let message = Message::from_slice(bytes).map_err(|_| Discard::Short)?;
    let header = message.header();
    let (question, expected) = open(header.id()).ok_or(Discard::UnknownId)?;
    let Expected { asked, dress, .. } = expected;
    if !header.qr() || header.opcode() != Opcode::QUERY {
        return Err(Discard::NotAResponse);
    }
    if dress.has_opt && is_bare_complaint(message) {
        return Ok(Accepted { question, reply: Reply::Unextended, cookies: None });
    }
    if !is_about(bytes, asked) {
        return Err(Discard::OtherQuestion);
    }
    if expected.is_letter_true && !has_letters(bytes, asked, dress.letters) {
        return Err(Discard::OtherLetters);
    }
    let cookies = if dress.has_opt { cookies(message) } else { None };
    let is_ours = match &cookies {
        Some(cookies) => expected.cookies.is_some_and(|sent| sent.client == cookies.client),
        None => !(dress.has_opt && expected.is_cookie_due),
    };
    if !is_ours {
        return Err(Discard::OtherCookie);
    }
    let reply = read_reply(message, asked, dress.has_opt).map_err(|why| match why {
        Unusable::Damaged => Discard::Damaged,
        Unusable::Unrelated => Discard::Unrelated,
    })?;
    Ok(Accepted { question, reply, cookies })
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
