//! Refusals at the gate: each is counted, and one a minute is told.
//!
//! Threat: whoever is refused asks again as often as it likes, and would fill the log of the node that refuses until what
//! matters in it is not found any more. So one fact stands for all refusals of one code under one contract in one minute.
//! Never loses a count at a restart: the tally is saved in the transaction of the refusal that it counts.

use crate::id::Id;
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

/// What a lease is called here that ended and was never held: it is told once.
pub fn missed(lease: &Id) -> String {
    format!("{MISSED}{lease}")
}

/// No code begins so.
pub const MISSED: &str = "missed ";
