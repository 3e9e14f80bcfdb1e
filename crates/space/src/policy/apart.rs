//! Whether a permission and a prohibition can meet in one use (ODRL §2.10), as far as their own words tell.
//!
//! Threat: a policy that is signed and then void whenever both happen to hold. So what cannot be compared (hours of a week,
//! regions, roles) counts as able to meet: never calls two conditions apart that some use could fulfil together.

use crate::policy::span::Span;
use crate::policy::terms::{Clause, Cmp, Member, Test};

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
fn contradict(one: Placed<'_>, other: Placed<'_>) -> bool {
    if let (Some((axis, low, high)), Some((its, from, to))) = (range(one), range(other)) {
        return axis == its && (before(high, from) || before(to, low));
    }
    match (one.0, other.0) {
        (Test::Purpose(how, all), Test::Purpose(its, said))
        | (Test::Recipient(how, all), Test::Recipient(its, said)) => {
            let among = |them: &[String], it: &String| them.contains(it);
            match (how, its) {
                (Member::In, Member::In) => !all.iter().any(|it| among(said, it)),
                (Member::In, Member::NotIn) => all.iter().all(|it| among(said, it)),
                (Member::NotIn, Member::In) => said.iter().all(|it| among(all, it)),
                _ => false,
            }
        }
        (Test::Kind(all), Test::Kind(said)) => !all.iter().any(|it| said.contains(it)),
        (Test::Event(after, name), Test::Event(its, said)) => name == said && after != its,
        _ => false,
    }
}

/// What is counted or measured from one beginning.
#[derive(PartialEq, Eq)]
enum Axis {
    Clock,
    Count,
    Elapsed,
    Delay,
    Metered,
    Size,
    Records,
    Group,
}

/// A value; of a duration its months apart, whose length nobody knows beforehand.
#[derive(Clone, Copy)]
struct Edge {
    months: u32,
    rest: i128,
}

/// Both ends included; `None`: open.
type Ends = (Axis, Option<Edge>, Option<Edge>);

#[expect(clippy::wildcard_enum_match_arm, reason = "other tests are no ranges")]
fn range((it, stepped): Placed<'_>) -> Option<Ends> {
    let number = |n: u64| Edge { months: 0, rest: i128::from(n) };
    let length = |it: Span| Edge { months: it.months(), rest: i128::from(it.ms()) };
    let (axis, cmp, at) = match it {
        Test::Clock(cmp, at) => (Axis::Clock, cmp, Edge { months: 0, rest: at.ms().into() }),
        Test::Count(cmp, n) => (Axis::Count, cmp, number(*n)),
        Test::Size(cmp, n) => (Axis::Size, cmp, number(*n)),
        Test::Records(cmp, n) => (Axis::Records, cmp, number(*n)),
        Test::Group(cmp, n) => (Axis::Group, cmp, number(*n)),
        Test::Elapsed(cmp, span) => (Axis::Elapsed, cmp, length(*span)),
        Test::Metered(cmp, span) => (Axis::Metered, cmp, length(*span)),
        // From the step in front it is over no sooner than from the agreement; of its end nothing is known.
        Test::Delay(cmp, span) if !stepped || matches!(cmp, Cmp::Gt | Cmp::Gteq) => {
            (Axis::Delay, cmp, length(*span))
        }
        _ => return None,
    };
    let next = |by: i128| Some(Edge { rest: at.rest.saturating_add(by), ..at });
    Some(match cmp {
        Cmp::Lt => (axis, None, next(-1)),
        Cmp::Lteq => (axis, None, next(0)),
        Cmp::Gt => (axis, next(1), None),
        Cmp::Gteq => (axis, next(0), None),
        Cmp::Eq => (axis, next(0), next(0)),
        Cmp::Neq => return None,
    })
}

/// Whether an end surely lies before a beginning, whichever months they are.
fn before(end: Option<Edge>, beginning: Option<Edge>) -> bool {
    const DAY: i128 = 86_400_000;
    let (Some(end), Some(beginning)) = (end, beginning) else { return false };
    if end.months == beginning.months {
        return end.rest < beginning.rest;
    }
    let length = |it: Edge, days: i128| i128::from(it.months) * days * DAY + it.rest;
    length(end, 31) < length(beginning, 28)
}

#[cfg(test)]
mod tests;
