//! Whether a permission and a prohibition can meet in one use (ODRL §2.10), as far as their own words tell.
//!
//! Threat: a policy that is signed and then void whenever both happen to hold. So what cannot be compared (hours of a week,
//! regions, roles) counts as able to meet: never calls two conditions apart that some use could fulfil together.

use crate::policy::axes::Room;
use crate::policy::terms::{Clause, Test};

/// How a permission and a prohibition of one policy stand to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meeting {
    /// They are about different acts, or their conditions exclude each other.
    Never,
    /// In some use, or for all that the words tell.
    Perhaps,
    /// Whatever the permission permits is prohibited.
    Always,
}

pub(super) fn meeting(grant: &Clause, ban: &Clause) -> Meeting {
    let always = ban.when == Test::All(vec![]) && ban.target.is_none() && ban.assignee.is_none();
    if !ban.action.stops(&grant.action) {
        Meeting::Never
    } else if always && ban.action.covers(&grant.action) {
        Meeting::Always
    } else if !always && exclude((&grant.when, false), (&ban.when, false)) {
        Meeting::Never
    } else {
        Meeting::Perhaps
    }
}

/// Whether no use fulfils both conditions.
pub(super) fn disjoint(one: &Test, other: &Test) -> bool {
    exclude((one, false), (other, false))
}

/// A test, and whether it stands in a sequence, where delays count from the step in front.
type Placed<'a> = (&'a Test, bool);

/// Whether no use fulfils both.
fn exclude((one, stepped): Placed<'_>, other: Placed<'_>) -> bool {
    match (one, other.0) {
        (Test::All(all), _) => all.iter().any(|it| exclude((it, stepped), other)),
        (Test::Sequence(all), _) => all.iter().any(|it| exclude((it, true), other)),
        // Of alternatives at least one holds, also where it must be the only one.
        (Test::Any(all) | Test::One(all), _) => {
            !all.is_empty() && all.iter().all(|it| exclude((it, stepped), other))
        }
        (_, Test::All(_) | Test::Sequence(_) | Test::Any(_) | Test::One(_)) => {
            exclude(other, (one, stepped))
        }
        _ => contradict((one, stepped), other),
    }
}

/// Of two tests that are no groups.
fn contradict((one, stepped): Placed<'_>, (other, its): Placed<'_>) -> bool {
    let mut room = Room::default();
    room.add(one, stepped, 0).or_else(|| room.add(other, its, 1)).is_some()
}

#[cfg(test)]
mod tests;
