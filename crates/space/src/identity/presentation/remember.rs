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
