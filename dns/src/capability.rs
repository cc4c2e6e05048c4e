//! What a server is known to do beyond the plain question: EDNS, cookies, letters given back as they were sent.
//!
//! All of it is learned. Until a server has answered for the first time, new questions are the plain ones of the
//! transcripts; what a server does not do is left out from then on, so that nothing here can cost an answer.

use domain::base::opt::cookie::{ClientCookie, ServerCookie};

/// Queries with an OPT record lost, and none ever answered, after which a server gets none any more: something on the
/// way throws them away.
const OPT_LOST_MAX: u8 = 3;

/// Answers that changed the letters of the question and were confirmed by TCP, or could not be, after which the letters
/// of a server's answers say nothing (`spec/dns.md` 5.1).
const LETTERS_CHANGED_MAX: u8 = 2;

/// How one query was dressed; its answer has to fit.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Dress {
    /// Which letters of the name are capital (0x20, draft-vixie-dnsext-dns0x20).
    pub(crate) letters: Letters,
    /// It has an OPT record with a cookie (RFC 6891, RFC 7873).
    pub(crate) has_opt: bool,
}

/// The case of the letters of a name on the wire.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Letters {
    /// As the name is written.
    #[default]
    AsAsked,
    /// A letter is capital where its bit is set; the 65th takes the first bit again.
    Mixed(u64),
}

/// The cookies that go with a query.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Cookies {
    pub(crate) client: ClientCookie,
    pub(crate) server: Option<ServerCookie>,
}

/// What one server is known to do.
#[derive(Debug, Default)]
pub(crate) struct Capability {
    has_answered: bool,
    edns: Edns,
    client: Option<ClientCookie>,
    server: Option<ServerCookie>,
    letters_changed: u8,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Edns {
    /// This many queries with an OPT record were lost, and none answered.
    Untried {
        lost: u8,
    },
    Works,
    #[default]
    Unknown,
    /// It said that it knows no EDNS, or never answered a query with it.
    Absent,
}

impl Capability {
    /// How the next query is dressed, being the try after `tries` others.
    pub(crate) fn dress(&mut self, tries: u8, random: &mut dyn FnMut() -> u16) -> Dress {
        if !self.has_answered && tries == 0 {
            return Dress::default();
        }
        let letters =
            if self.is_letter_true() { Letters::Mixed(random_u64(random)) } else { Letters::AsAsked };
        let has_opt = match self.edns {
            Edns::Works => true,
            // The retry of a query goes without, lest the OPT record was what lost it.
            Edns::Unknown | Edns::Untried { .. } => self.has_answered && tries == 0,
            Edns::Absent => false,
        };
        if has_opt && self.client.is_none() {
            self.client = Some(ClientCookie::from_octets(random_u64(random).to_be_bytes()));
        }
        Dress { letters, has_opt }
    }

    /// The cookies for a query with an OPT record.
    pub(crate) fn cookies(&self) -> Option<Cookies> {
        self.client.map(|client| Cookies { client, server: self.server.clone() })
    }

    /// Whether an answer has to have our cookie: the server has shown that it can.
    pub(crate) const fn has_cookies(&self) -> bool {
        self.server.is_some()
    }

    /// Whether the letters of an answer have to be those of the query.
    pub(crate) const fn is_letter_true(&self) -> bool {
        self.letters_changed < LETTERS_CHANGED_MAX
    }

    /// A response came to a query of this dress; `server` is the server's cookie in it.
    pub(crate) fn answered(&mut self, dress: Dress, server: Option<ServerCookie>) {
        self.has_answered = true;
        if dress.has_opt && self.edns != Edns::Absent {
            self.edns = Edns::Works;
        }
        if server.is_some() {
            self.server = server;
        }
    }

    /// It was told that EDNS is unknown here.
    pub(crate) fn edns_refused(&mut self) {
        self.has_answered = true;
        self.edns = Edns::Absent;
        self.server = None;
    }

    /// No response came to a query of this dress.
    pub(crate) const fn lost(&mut self, dress: Dress) {
        if !dress.has_opt {
            return;
        }
        self.edns = match self.edns {
            Edns::Unknown => Edns::Untried { lost: 1 },
            Edns::Untried { lost } if lost + 1 < OPT_LOST_MAX => Edns::Untried { lost: lost + 1 },
            Edns::Untried { .. } => Edns::Absent,
            known => known,
        };
    }

    /// Answers that had no cookie turned out to be the server's own.
    pub(crate) fn cookies_gone(&mut self) {
        self.server = None;
    }

    /// An answer with other letters turned out to be the server's own, or nobody could say.
    pub(crate) const fn letters_changed(&mut self) {
        self.letters_changed = self.letters_changed.saturating_add(1);
    }
}

/// Four draws of sixteen bits.
fn random_u64(random: &mut dyn FnMut() -> u16) -> u64 {
    (0..4).fold(0, |bits, _| bits << 16 | u64::from(random()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dress(capability: &mut Capability, tries: u8) -> Dress {
        capability.dress(tries, &mut || 0x5a5a)
    }

    #[test]
    fn until_the_first_answer_queries_are_plain_and_then_they_guard_themselves() {
        let mut capability = Capability::default();
        for _ in 0..3 {
            assert_eq!(dress(&mut capability, 0), Dress::default());
        }
        let retry = dress(&mut capability, 1);
        assert_eq!(retry, Dress { letters: Letters::Mixed(0x5a5a_5a5a_5a5a_5a5a), has_opt: false });
        capability.answered(Dress::default(), None);
        assert!(dress(&mut capability, 0).has_opt && capability.cookies().is_some());
        assert!(!dress(&mut capability, 1).has_opt, "a retry goes without while nothing is known");
    }

    #[test]
    fn edns_that_is_never_answered_is_left_out_and_edns_that_was_is_kept() {
        let mut capability = Capability { has_answered: true, ..Capability::default() };
        for _ in 0..OPT_LOST_MAX {
            let dress = dress(&mut capability, 0);
            assert!(dress.has_opt);
            capability.lost(dress);
        }
        assert!(!dress(&mut capability, 0).has_opt);
        let mut capability = Capability { has_answered: true, ..Capability::default() };
        let first = dress(&mut capability, 0);
        capability.answered(first, None);
        (0..100).for_each(|_| capability.lost(first));
        assert!(dress(&mut capability, 0).has_opt && dress(&mut capability, 1).has_opt);
        capability.edns_refused();
        assert!(!dress(&mut capability, 0).has_opt);
    }

    #[test]
    fn letters_are_given_up_after_two_honest_changes() {
        let mut capability = Capability { has_answered: true, ..Capability::default() };
        for _ in 0..LETTERS_CHANGED_MAX {
            assert!(capability.is_letter_true());
            capability.letters_changed();
        }
        assert_eq!(dress(&mut capability, 0).letters, Letters::AsAsked);
    }
}
