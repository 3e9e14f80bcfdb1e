//! How long what a presentation proved is believed: a membership for a while, its status for less.
//!
//! Never fetches: the shell asks wallets and issuers, and is told here when it has to. Threat model: a member that
//! was revoked is refused at its first message after the status list's age, whatever is remembered of it; a space is
//! spoken for by its own issuer alone.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::fault::Fault;
use crate::identity::credential::list::List;
use crate::identity::credential::{Credential, MEMBERSHIP, SPACE};
use crate::identity::did::Did;
use crate::identity::presentation::verify::Verified;
use crate::time::Time;

/// How long what was proven is believed.
#[derive(Clone, Copy, Debug)]
pub struct Ages {
    pub membership: Duration,
    pub status: Duration,
}

/// A membership that was proven.
#[derive(Clone, Debug)]
pub struct Known {
    pub credential: Credential,
    until: Time,
}

impl Known {
    /// Until the earliest of its own end and the configured age.
    pub fn new(credential: Credential, ages: Ages, now: Time) -> Self {
        let limit = now.after(ages.membership);
        let until = credential.until.map_or(limit, |end| end.min(limit));
        Self { credential, until }
    }

    /// Whether it need not be shown again. Its status is another matter.
    pub fn holds(&self, now: Time) -> bool {
        now < self.until
    }
}

/// Whether a status list that was fetched then still tells who is revoked.
pub fn list_holds(list: &List, fetched: Time, age: Duration, now: Time) -> bool {
    now.since(fetched) < age && list.until.is_none_or(|until| now < until)
}

/// A membership of one of our spaces, by that space's own issuer. An issuer of the configuration may leave the space
/// out: it speaks for one space.
pub fn is_ours(
    it: &Credential,
    spaces: &BTreeMap<String, Did>,
    configured: &BTreeSet<Did>,
) -> bool {
    it.is_a(MEMBERSHIP)
        && match it.claim(SPACE) {
            Some(space) => {
                spaces.get(space) == Some(&it.issuer)
                    || (spaces.is_empty() && configured.contains(&it.issuer))
            }
            None => configured.contains(&it.issuer),
        }
}

/// The membership among what was shown.
pub fn membership(
    shown: &[Verified],
    spaces: &BTreeMap<String, Did>,
    configured: &BTreeSet<Did>,
) -> Result<Credential, Fault> {
    let ours = shown.iter().map(Verified::credential).find(|it| is_ours(it, spaces, configured));
    ours.cloned().ok_or_else(|| {
        Fault::denied("member.space", "membership", "the membership is of another space")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::credential::list::Bits;
    use crate::identity::credential::{Profile, Purpose, Subject};

    fn did(name: &str) -> Did {
        Did::parse(&format!("did:web:{name}")).unwrap()
    }

    fn at(seconds: u64) -> Time {
        Time::ZERO.after(Duration::from_secs(seconds))
    }

    fn credential(issuer: &str, space: Option<&str>, until: Option<Time>) -> Credential {
        let mut claims = serde_json::Map::new();
        claims.extend(space.map(|it| (SPACE.to_owned(), it.into())));
        Credential {
            profile: Profile::Vc20,
            id: None,
            kinds: vec![MEMBERSHIP.to_owned()],
            issuer: did(issuer),
            subjects: vec![Subject { id: None, claims }],
            from: None,
            until,
            statuses: vec![],
            schemas: vec![],
        }
    }

    #[test]
    fn what_was_proven_is_believed_until_the_earlier_of_its_end_and_its_age() {
        let ages = Ages { membership: Duration::from_secs(300), status: Duration::from_secs(60) };
        for (until, last) in [(None, 310), (Some(at(50)), 50), (Some(at(900)), 310)] {
            let known = Known::new(credential("op", Some("s"), until), ages, at(10));
            assert!(known.holds(at(last - 1)) && !known.holds(at(last)), "{until:?}");
        }
        for (until, last) in [(None, 70), (Some(at(30)), 30), (Some(at(900)), 70)] {
            let list = List {
                issuer: did("op"),
                purpose: Purpose::Revocation,
                until,
                bits: Bits::zeros(0),
            };
            let holds = |now| list_holds(&list, at(10), ages.status, at(now));
            assert!(holds(last - 1) && !holds(last), "{until:?}");
        }
    }

    #[test]
    fn a_space_is_spoken_for_by_its_own_issuer() {
        let spaces = |all: &[(&str, &str)]| -> BTreeMap<String, Did> {
            all.iter().map(|(space, issuer)| ((*space).to_owned(), did(issuer))).collect()
        };
        let configured = BTreeSet::from([did("conf")]);
        for (issuer, space, known, ours) in [
            ("op", Some("s"), &[("s", "op")][..], true),
            ("op", Some("t"), &[("s", "op")], false),
            ("other", Some("s"), &[("s", "op")], false),
            // An issuer of the configuration does not speak for a space that has its own.
            ("conf", Some("s"), &[("s", "op")], false),
            ("conf", Some("s"), &[], true),
            ("conf", None, &[("s", "op")], true),
            ("op", None, &[("s", "op")], false),
        ] {
            let it = credential(issuer, space, None);
            assert_eq!(is_ours(&it, &spaces(known), &configured), ours, "{issuer} {space:?}");
        }
        let mut it = credential("op", Some("s"), None);
        it.kinds = vec!["Another".to_owned()];
        assert!(!is_ours(&it, &spaces(&[("s", "op")]), &configured));
    }
}
