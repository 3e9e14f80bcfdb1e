//! Refusals at the gate, and leases that ended and were never held: each is counted, and some a minute are told.
//!
//! Threat: whoever is refused asks again as often as it likes, and would fill the log of the node that refuses until what
//! matters in it is not found any more. So one fact stands for all refusals of one code under one contract in one minute.
//! A peer may invent leases as well: beyond [`MISSED_A_MINUTE`] they have no fact of their own, either.
//! Never loses a count at a restart: the tally is saved in the transaction of the refusal that it counts.

use crate::id::Id;
use crate::limits::MISSED_A_MINUTE;
use crate::time::Time;

use super::commit::Work;

/// A tally spans this many milliseconds of the gate's clock.
const SPAN_MS: i64 = 60_000;

/// What was refused under one contract with one code since the fact that told of it last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    pub contract: Id,
    pub code: String,
    /// The minute of that fact, since 1970.
    pub minute: i64,
    /// Refusals since that have no fact.
    pub more: u64,
}

/// Counts a refusal. `Some`: it is told by a fact, which stands for so many more that came before it and after the
/// last one that was told.
pub(super) fn counted(work: &mut Work<'_>, contract: &Id, code: &str) -> Option<u64> {
    let of = |it: &&Tally| it.contract == *contract && it.code == code;
    let found = work.view.refusals.iter().find(of).cloned();
    let (told, tally) = Tally::next(found, (contract, code), work.now);
    work.commit.refusals.push(tally);
    told
}

impl Tally {
    /// One refusal more than `found`, and, where it is told, how many went untold before it.
    pub fn next(
        found: Option<Self>,
        (contract, code): (&Id, &str),
        now: Time,
    ) -> (Option<u64>, Self) {
        let minute = now.ms().div_euclid(SPAN_MS);
        match found {
            // A clock that was set back opens no new minute.
            Some(it) if it.minute >= minute => {
                (None, Self { more: it.more.saturating_add(1), ..it })
            }
            Some(it) => (Some(it.more), Self { minute, more: 0, ..it }),
            None => {
                let (contract, code) = (contract.clone(), code.to_owned());
                (Some(0), Self { contract, code, minute, more: 0 })
            }
        }
    }
}

/// Counts a lease that ended and was never held, once. `Some`: it is told by a fact, which stands for so many more that came
/// before it and after the last one that was told.
pub(super) fn missing(work: &mut Work<'_>, contract: &Id, lease: &Id) -> Option<u64> {
    let own = missed(lease);
    let of = |code: &str| {
        work.view.refusals.iter().find(|it| it.contract == *contract && it.code == code).cloned()
    };
    if of(&own).is_some() {
        return None;
    }
    let minute = work.now.ms().div_euclid(SPAN_MS);
    // A clock that was set back opens no new minute.
    let (minute, told) = of(MISSED_TOLD)
        .filter(|it| it.minute >= minute)
        .map_or((minute, 0), |it| (it.minute, it.more));
    let untold = of(MISSED_UNTOLD).map_or(0, |it| it.more);
    let tally = |code: &str, more| Tally {
        contract: contract.clone(),
        code: code.to_owned(),
        minute,
        more,
    };
    let all = &mut work.commit.refusals;
    if told >= MISSED_A_MINUTE {
        all.push(tally(MISSED_UNTOLD, untold.saturating_add(1)));
        return None;
    }
    all.extend([tally(&own, 0), tally(MISSED_TOLD, told + 1)]);
    all.extend((untold > 0).then(|| tally(MISSED_UNTOLD, 0)));
    Some(untold)
}

/// What a lease is called here that ended and was never held: it is told once.
pub fn missed(lease: &Id) -> String {
    format!("{MISSED}{lease}")
}

/// No code begins so.
pub const MISSED: &str = "missed ";
/// How many were told in a minute; and how many were not, since the last that was. No id begins with a space.
pub const MISSED_TOLD: &str = "missed  told";
pub const MISSED_UNTOLD: &str = "missed  untold";
