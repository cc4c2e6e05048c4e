//! DNS messages: one shape of query out, answers to it in. A thin layer over the `domain` crate's `base`.

use std::net::IpAddr;
use std::time::Duration;

use domain::base::iana::{Class, Rcode, Rtype};
use domain::base::message_builder::MessageBuilder;
use domain::base::name::{Name, ParsedName, ToLabelIter, ToName};
use domain::base::opt::cookie::Cookie;
use domain::base::{Message, ParseRecordData, ParsedRecord};
use domain::rdata::{A, Aaaa, Cname, Dname, Ptr, Soa};

use crate::capability::{Cookies, Letters};
use crate::name::HostName;
use crate::outcome::ServerFault;

/// Records of one kind kept from an answer; more can only be an attempt to fill memory (`spec/dns.md` 5.3).
pub(crate) const RECORDS_KEPT_MAX: usize = 32;

/// Records looked at in an answer: a 64 KiB message can announce 65,535 of them.
const RECORDS_READ_MAX: usize = 1024;

/// Aliases followed inside one answer, and questions asked anew for the last of them (`spec/dns.md` 4.1.12).
pub(crate) const ALIASES_MAX: usize = 10;

/// Header (12) + type (2) + class (2) + the longest name (255), RFC 1035 4.1; and an OPT record (11) with a cookie (4 +
/// 8 + 32), RFC 7873 4.
const QUERY_BYTES_MAX: usize = 271 + 55;

/// What this side takes in one datagram: no larger one is sure to arrive whole (DNS Flag Day 2020).
const DATAGRAM_BYTES: u16 = 1232;

/// Bytes of a message's header; the question begins behind them (RFC 1035 4.1.1).
const HEADER_BYTES: usize = 12;

/// FORMERR, NOTIMP, and the codes of EDNS and cookies (RFC 6895 2.3, RFC 7873 8).
const FORMERR: u16 = 1;
const NOTIMP: u16 = 4;
const BADVERS: u16 = 16;
const BADCOOKIE: u16 = 23;

/// What is asked about a name.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum Kind {
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
    /// Names of an address.
    Pointer,
}

impl Kind {
    /// The record type on the wire.
    const fn rtype(self) -> Rtype {
        match self {
            Self::A => Rtype::A,
            Self::Aaaa => Rtype::AAAA,
            Self::Pointer => Rtype::PTR,
        }
    }
}

/// One question as it stands in a message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Asked {
    /// The name asked about.
    pub(crate) name: HostName,
    /// What is asked about it.
    pub(crate) kind: Kind,
}

/// The meaning of a response that is an answer to the question.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Reply {
    /// The answer lies behind this name, which has to be asked for.
    Alias(HostName),
    /// The server wants the cookie that comes with this, and is to be asked again.
    BadCookie,
    /// This server cannot answer; another may.
    Failure(ServerFault),
    /// Records, at least one, and how long they may be kept.
    Found(Records, Duration),
    /// The name exists but has no such record; kept as long as the zone says, if it says.
    NoData(Option<Duration>),
    /// There is no such name; kept as long as the zone says, if it says.
    NoSuchName(Option<Duration>),
    /// The answer does not fit a datagram; these records did.
    Truncated(Option<Records>),
    /// The server does not understand EDNS, and is to be asked again without.
    Unextended,
}

/// Records that answer a question.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Records {
    /// For [`Kind::A`] and [`Kind::Aaaa`], in the order sent.
    Addresses(Vec<IpAddr>),
    /// For [`Kind::Pointer`], sorted, so that rotation by the server does not show.
    Names(Vec<HostName>),
}

/// Why the content of a message says nothing about its question.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Unusable {
    /// It cannot be read, and nothing useful came before the damage.
    Damaged,
    /// It is about other names.
    Unrelated,
}

/// Writes a query: RD set, one question, and with cookies an OPT record. Without them and with letters as asked it is
/// the plain one of the transcripts: 44 bytes for `103.1.168.192.in-addr.arpa`.
pub(crate) fn build_query(id: u16, asked: &Asked, letters: Letters, cookies: Option<Cookies>) -> Vec<u8> {
    let mut builder = MessageBuilder::from_target(Vec::with_capacity(QUERY_BYTES_MAX))
        .expect("a vector takes the 12 bytes");
    builder.header_mut().set_id(id);
    builder.header_mut().set_rd(true);
    let mut builder = builder.question();
    builder
        .push((asked.name.as_wire(), asked.kind.rtype()))
        .expect("a vector takes one question of 259 bytes at most");
    let mut query = match cookies {
        None => builder.finish(),
        Some(Cookies { client, server }) => {
            let mut builder = builder.additional();
            builder
                .opt(|opt| {
                    opt.set_udp_payload_size(DATAGRAM_BYTES);
                    opt.cookie(Cookie::new(client, server))
                })
                .expect("a vector takes one record of 55 bytes at most");
            builder.finish()
        }
    };
    if let Letters::Mixed(bits) = letters {
        let name = HEADER_BYTES..HEADER_BYTES + usize::from(asked.name.as_wire().compose_len());
        mix_letters(&mut query[name], bits);
    }
    query
}

/// Gives the letters of a name on the wire their case. A length is at most 63, which is no letter.
fn mix_letters(name: &mut [u8], mut bits: u64) {
    for letter in name.iter_mut().filter(|byte| byte.is_ascii_alphabetic()) {
        *letter = if bits & 1 == 1 { letter.to_ascii_uppercase() } else { letter.to_ascii_lowercase() };
        bits = bits.rotate_right(1);
    }
}

/// Returns true if a message that is about `asked` repeats the letters of the query exactly.
pub(crate) fn has_letters(message: &[u8], asked: &Asked, letters: Letters) -> bool {
    let Letters::Mixed(mut bits) = letters else { return true };
    let name = asked.name.as_wire().as_slice();
    let Some(found) = message.get(HEADER_BYTES..HEADER_BYTES + name.len()) else { return false };
    found.iter().zip(name).all(|(&found, &asked)| {
        if !asked.is_ascii_alphabetic() {
            return found == asked;
        }
        let is_upper = bits & 1 == 1;
        bits = bits.rotate_right(1);
        found == if is_upper { asked.to_ascii_uppercase() } else { asked.to_ascii_lowercase() }
    })
}

/// The cookies of a message.
pub(crate) fn cookies(message: &Message<[u8]>) -> Option<Cookies> {
    if message.header_counts().arcount() == 0 {
        return None;
    }
    let cookie = message.opt()?.opt().cookie()?;
    Some(Cookies { client: cookie.client(), server: cookie.server().cloned() })
}

/// Returns true if a message has no cookie at all: a server that does none, rather than one who guesses.
pub(crate) fn is_without_cookie(bytes: &[u8]) -> bool {
    Message::from_slice(bytes).is_ok_and(|message| cookies(message).is_none())
}

/// Returns true if a message says no more than that it could not read the query: old servers answer EDNS with a header.
pub(crate) fn is_bare_complaint(message: &Message<[u8]>) -> bool {
    let is_complaint = matches!(message.header().rcode(), Rcode::FORMERR | Rcode::NOTIMP);
    is_complaint && message.header_counts().qdcount() == 0
}

/// Returns true if the one question of a message is `asked`, ASCII case aside (RFC 4343). A length is at most 63, which
/// is no letter, so names compare as they lie there; nothing stands before the first that a pointer could mean.
pub(crate) fn is_about(message: &[u8], asked: &Asked) -> bool {
    let name = asked.name.as_wire().as_slice();
    let question = [asked.kind.rtype().to_int().to_be_bytes(), Class::IN.to_int().to_be_bytes()];
    let question = question.as_flattened();
    let end = HEADER_BYTES + name.len();
    message.get(4..6) == Some(&[0, 1])
        && message.get(HEADER_BYTES..end).is_some_and(|found| found.eq_ignore_ascii_case(name))
        && message.get(end..end + question.len()) == Some(question)
}

/// Says what a message that has the right question answers to it. `has_opt` says whether the query had an OPT record,
/// so that complaints about it can be told from failures.
///
/// AD, CD, AA, RA and Z are not looked at, and records of other types are passed over: neither is a reason to lose an
/// answer. Authority and additional sections are never a source of names.
pub(crate) fn read_reply(message: &Message<[u8]>, asked: &Asked, has_opt: bool) -> Result<Reply, Unusable> {
    let code = match message.header_counts().arcount() {
        0 => message.header().rcode().to_int().into(),
        _ => message.opt_rcode().to_int(),
    };
    match (code, has_opt) {
        (0, _) => {}
        (3, _) => return Ok(Reply::NoSuchName(negative_ttl(message))),
        (FORMERR | NOTIMP | BADVERS, true) => return Ok(Reply::Unextended),
        (BADCOOKIE, true) => return Ok(Reply::BadCookie),
        _ => return Ok(Reply::Failure(ServerFault::Rcode(code))),
    }
    if message.header().tc() {
        let answers = Answers::read(message, asked.kind);
        let found = answers
            .end_of_aliases(asked)
            .and_then(|(last, ttl)| answers.found(&last, ttl, asked.kind))
            .and_then(Reply::into_records);
        return Ok(Reply::Truncated(found));
    }
    let answers = Answers::read(message, asked.kind);
    let Some((last, alias_ttl)) = answers.end_of_aliases(asked) else {
        return Ok(Reply::Failure(ServerFault::EndlessAlias));
    };
    if let Some(reply) = answers.found(&last, alias_ttl, asked.kind) {
        return Ok(reply);
    }
    if answers.is_damaged {
        return Err(Unusable::Damaged);
    }
    let ttl = negative_ttl(message);
    if last != asked.name && ttl.is_none() {
        return Ok(Reply::Alias(last));
    }
    if last == asked.name && answers.seen > 0 && !answers.is_related {
        return Err(Unusable::Unrelated);
    }
    Ok(Reply::NoData(ttl))
}

impl Reply {
    fn into_records(self) -> Option<Records> {
        match self {
            Self::Found(records, _) => Some(records),
            _ => None,
        }
    }
}

/// The records of an answer section that matter, gathered before they are put in order: an alias may stand behind its
/// target.
struct Answers<'a> {
    aliases: Vec<Held<'a, ParsedName<&'a [u8]>>>,
    /// DNAME records: aliases of everything below a name (RFC 6672).
    branches: Vec<Held<'a, ParsedName<&'a [u8]>>>,
    targets: Vec<Held<'a, Target>>,
    /// Records read, of any type.
    seen: usize,
    /// A record of some type belongs to the name asked for.
    is_related: bool,
    /// Reading stopped at a bad record.
    is_damaged: bool,
}

/// One record held for later.
struct Held<'a, T> {
    owner: ParsedName<&'a [u8]>,
    data: T,
    ttl: Duration,
}

/// The data of one record of the kind asked for; a name that cannot be shown is kept as `None`, for it is still an
/// answer.
enum Target {
    Address(IpAddr),
    Name(Option<HostName>),
}

impl<'a> Answers<'a> {
    fn read(message: &'a Message<[u8]>, kind: Kind) -> Self {
        let mut answers = Self {
            aliases: Vec::new(),
            branches: Vec::new(),
            targets: Vec::new(),
            seen: 0,
            is_related: false,
            is_damaged: false,
        };
        let question = message.sole_question().map(|question| *question.qname());
        let (Ok(question), Ok(section)) = (question, message.answer()) else {
            answers.is_damaged = true;
            return answers;
        };
        for record in section.take(RECORDS_READ_MAX) {
            let taken = record.ok().and_then(|record| {
                answers.seen += 1;
                // A DNAME belongs to all names below its owner.
                answers.is_related |= question.ends_with(&record.owner());
                answers.take(&record, kind)
            });
            if taken.is_none() {
                answers.is_damaged = true;
                break;
            }
        }
        answers
    }

    /// Keeps a record if it matters; `None` if its data cannot be read.
    fn take(&mut self, record: &ParsedRecord<'a, [u8]>, kind: Kind) -> Option<()> {
        if record.class() != Class::IN {
            return Some(());
        }
        let ttl = record.ttl().into_duration();
        if record.rtype() == Rtype::CNAME && self.aliases.len() < RECORDS_KEPT_MAX {
            let target = data::<Cname<ParsedName<&[u8]>>>(record)?.into_cname();
            self.aliases.push(Held { owner: record.owner(), data: target, ttl });
        } else if record.rtype() == Rtype::DNAME && self.branches.len() < RECORDS_KEPT_MAX {
            let target = data::<Dname<ParsedName<&[u8]>>>(record)?.into_dname();
            self.branches.push(Held { owner: record.owner(), data: target, ttl });
        } else if record.rtype() == kind.rtype() && self.targets.len() < RECORDS_KEPT_MAX {
            let target = match kind {
                Kind::A => Target::Address(data::<A>(record)?.addr().into()),
                Kind::Aaaa => Target::Address(data::<Aaaa>(record)?.addr().into()),
                Kind::Pointer => {
                    Target::Name(HostName::received(data::<Ptr<ParsedName<&[u8]>>>(record)?.ptrdname()))
                }
            };
            self.targets.push(Held { owner: record.owner(), data: target, ttl });
        }
        Some(())
    }

    /// The name at which the aliases of the name asked for end, and the shortest time to live on the way; `None` if
    /// they do not end.
    fn end_of_aliases(&self, asked: &Asked) -> Option<(HostName, Duration)> {
        let mut last = asked.name.clone();
        let mut ttl = Duration::MAX;
        for _ in 0..=ALIASES_MAX {
            let alias = self.aliases.iter().find(|alias| alias.owner == last.as_wire());
            let step = match alias {
                Some(alias) => Some((HostName::from_wire(&alias.data), alias.ttl)),
                // A record of the name itself goes before what is said of all names like it.
                None if self.targets.iter().any(|target| target.owner == last.as_wire()) => None,
                None => self.branch(&last)?,
            };
            let Some((next, step_ttl)) = step else { return Some((last, ttl)) };
            last = next;
            ttl = ttl.min(step_ttl);
        }
        None
    }

    /// Where a DNAME record leads a name, if one does: servers may leave out the CNAME that says the same (RFC 6672
    /// 3.1). The outer `None` is a name that would be too long.
    fn branch(&self, name: &HostName) -> Option<Option<(HostName, Duration)>> {
        let name = name.as_wire();
        let is_below = |owner: &ParsedName<&[u8]>| name.ends_with(owner) && !name.name_eq(owner);
        let Some(branch) = self.branches.iter().find(|branch| is_below(&branch.owner)) else {
            return Some(None);
        };
        let kept = usize::from(name.compose_len() - branch.owner.compose_len());
        let mut wire = name.as_slice().get(..kept)?.to_vec();
        for label in branch.data.iter_labels() {
            label.compose(&mut wire).ok()?;
        }
        let target = Name::from_octets(wire).ok()?;
        Some(Some((HostName::from_wire(&target), branch.ttl)))
    }

    /// The records that belong to `owner`, if there are any.
    fn found(&self, owner: &HostName, ttl: Duration, kind: Kind) -> Option<Reply> {
        let matching = || self.targets.iter().filter(|target| target.owner == owner.as_wire());
        let ttl = matching().map(|target| target.ttl).min()?.min(ttl);
        if kind == Kind::Pointer {
            let mut names: Vec<_> = matching().filter_map(|target| target.data.name().cloned()).collect();
            names.sort();
            names.dedup();
            // A name nobody can be shown is as good as none (`spec/dns.md` 5.2).
            return Some(if names.is_empty() {
                Reply::NoData(Some(ttl))
            } else {
                Reply::Found(Records::Names(names), ttl)
            });
        }
        let mut addresses: Vec<IpAddr> = Vec::new();
        for address in matching().filter_map(|target| target.data.address()) {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        Some(Reply::Found(Records::Addresses(addresses), ttl))
    }
}

impl Target {
    const fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Address(address) => Some(*address),
            Self::Name(_) => None,
        }
    }

    const fn name(&self) -> Option<&HostName> {
        match self {
            Self::Address(_) => None,
            Self::Name(name) => name.as_ref(),
        }
    }
}

/// The data of a record whose type is known to be that of `Data`; `None` if it is malformed.
fn data<'a, Data: ParseRecordData<'a, [u8]>>(record: &ParsedRecord<'a, [u8]>) -> Option<Data> {
    record.to_record::<Data>().ok().flatten().map(|record| record.into_data())
}

/// How long a negative answer may be kept: the lesser of the SOA's own time to live and its last field (RFC 2308 5).
fn negative_ttl(message: &Message<[u8]>) -> Option<Duration> {
    let soa = message.authority().ok()?.limit_to_in::<Soa<ParsedName<&[u8]>>>().next()?.ok()?;
    Some(soa.ttl().into_duration().min(soa.data().minimum().into_duration()))
}

#[cfg(test)]
mod tests;
