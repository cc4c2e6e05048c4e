//! DNS messages: one shape of query out, answers to it in. A thin layer over the `domain` crate's `base`.

use std::net::IpAddr;
use std::time::Duration;

use domain::base::iana::{Class, Rcode, Rtype};
use domain::base::message_builder::MessageBuilder;
use domain::base::name::ParsedName;
use domain::base::{Message, ParseRecordData, ParsedRecord};
use domain::rdata::{A, Aaaa, Cname, Ptr, Soa};

use crate::name::HostName;
use crate::outcome::ServerFault;

/// Records of one kind kept from an answer; more can only be an attempt to fill memory (`spec/dns.md` 5.3).
pub(crate) const RECORDS_KEPT_MAX: usize = 32;

/// Records looked at in an answer: a 64 KiB message can announce 65,535 of them.
const RECORDS_READ_MAX: usize = 1024;

/// Aliases followed inside one answer, and questions asked anew for the last of them (`spec/dns.md` 4.1.12).
pub(crate) const ALIASES_MAX: usize = 10;

/// Header (12) + type (2) + class (2) + the longest name (255), RFC 1035 4.1.
const QUERY_BYTES_MAX: usize = 271;

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
    /// This server cannot answer; another may.
    Failure(ServerFault),
    /// Records, at least one, and how long they may be kept.
    Found(Records, Duration),
    /// The name exists but has no such record; kept as long as the zone says, if it says.
    NoData(Option<Duration>),
    /// There is no such name; kept as long as the zone says, if it says.
    NoSuchName(Option<Duration>),
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

/// Writes a plain query: RD set, one question, nothing else. 44 bytes for `103.1.168.192.in-addr.arpa`.
pub(crate) fn build_query(id: u16, asked: &Asked) -> Vec<u8> {
    let mut builder = MessageBuilder::from_target(Vec::with_capacity(QUERY_BYTES_MAX))
        .expect("a vector takes the 12 bytes");
    builder.header_mut().set_id(id);
    builder.header_mut().set_rd(true);
    let mut builder = builder.question();
    builder
        .push((asked.name.as_wire(), asked.kind.rtype()))
        .expect("a vector takes one question of 259 bytes at most");
    builder.finish()
}

/// Returns true if the one question of `message` is `asked`, ASCII case aside (RFC 4343).
pub(crate) fn is_about(message: &Message<[u8]>, asked: &Asked) -> bool {
    message.sole_question().is_ok_and(|question| {
        question.qtype() == asked.kind.rtype()
            && question.qclass() == Class::IN
            && question.qname() == asked.name.as_wire()
    })
}

/// Says what a message that has the right question answers to it.
///
/// AD, CD, AA, RA and Z are not looked at, and records of other types are passed over: neither is a reason to lose an
/// answer. Authority and additional sections are never a source of names.
pub(crate) fn read_reply(message: &Message<[u8]>, asked: &Asked) -> Result<Reply, Unusable> {
    match message.header().rcode() {
        Rcode::NXDOMAIN => return Ok(Reply::NoSuchName(negative_ttl(message))),
        Rcode::NOERROR if message.header().tc() => return Ok(Reply::Failure(ServerFault::Truncated)),
        Rcode::NOERROR => {}
        other => return Ok(Reply::Failure(ServerFault::Rcode(u16::from(other.to_int())))),
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

/// The records of an answer section that matter, gathered before they are put in order: an alias may stand behind its
/// target.
struct Answers<'a> {
    aliases: Vec<Held<'a, ParsedName<&'a [u8]>>>,
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
        let mut answers =
            Self { aliases: Vec::new(), targets: Vec::new(), seen: 0, is_related: false, is_damaged: false };
        let question = message.sole_question().map(|question| *question.qname());
        let (Ok(question), Ok(section)) = (question, message.answer()) else {
            answers.is_damaged = true;
            return answers;
        };
        for record in section.take(RECORDS_READ_MAX) {
            let taken = record.ok().and_then(|record| {
                answers.seen += 1;
                answers.is_related |= record.owner() == question;
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
            let Some(alias) = self.aliases.iter().find(|alias| alias.owner == last.as_wire()) else {
                return Some((last, ttl));
            };
            last = HostName::from_wire(&alias.data);
            ttl = ttl.min(alias.ttl);
        }
        None
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
