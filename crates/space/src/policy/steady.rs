//! Until when terms answer as they do now: a lease that ends by then lies within them from its first to its last instant.
//!
//! Never later than the first change, of whatever test that only time changes: alternatives, prohibitions, deadlines of
//! open duties and conditions that begin to hold count, too, and in a sequence from where its steps count. Such an end
//! may come early; the consumer asks again then. What is counted (`timeInterval`, `tidm:frequency`) only begins to hold
//! as time goes by and is signed side by side with all else, so that it never ends what it permitted.

use std::time::Duration;

use crate::policy::facts::{Deed, Request};
use crate::policy::hold::{delayed, since};
use crate::policy::terms::{Cmp, Duty, Terms, Test};
use crate::time::Time;

/// The first instant after `request.now` at which a test of time may answer otherwise; `None`: never.
pub fn until(terms: &Terms, request: &Request<'_>) -> Option<Time> {
    let rules = terms.grants.iter().chain(&terms.bans).map(|it| &it.when);
    let owed = terms.duties.iter().chain(terms.grants.iter().flat_map(|it| &it.duties));
    let open = |it: &&Duty| request.became(it) == Some(Deed::Open);
    let tests = rules.chain(owed.filter(open).map(|it| &it.when));
    tests.filter_map(|it| changes(it, request, None)).min()
}

/// `step`: in a sequence, since when the step in front holds.
fn changes(it: &Test, request: &Request<'_>, step: Option<Time>) -> Option<Time> {
    let now = request.now;
    match it {
        Test::All(all) | Test::Any(all) | Test::One(all) => {
            all.iter().filter_map(|it| changes(it, request, step)).min()
        }
        Test::Sequence(all) => {
            let next = |step: &mut Option<Time>, it: &Test| {
                let change = changes(it, request, *step);
                *step = since(it, request, *step).or(*step);
                Some(change)
            };
            all.iter().scan(step, next).flatten().min()
        }
        Test::Window(window) => window.changes_after(now),
        Test::Clock(cmp, at) => passed(*cmp, *at, now),
        Test::Elapsed(cmp, span) => {
            passed(*cmp, span.after(request.first_use_at.unwrap_or(now)), now)
        }
        Test::Delay(cmp, span) => passed(*cmp, span.after(delayed(request, step)?), now),
        // Once it has happened that stays so.
        Test::Event(_, name) => {
            let all = request.more.events.into_iter().flatten();
            let first = all.filter(|(it, _)| *it == name.as_str()).map(|(_, at)| *at).min()?;
            (first > now).then_some(first)
        }
        Test::Count(..)
        | Test::Purpose(..)
        | Test::Recipient(..)
        | Test::Kind(_)
        | Test::Enforcement(_)
        | Test::Metered(..)
        | Test::Interval(_)
        | Test::Frequency(..)
        | Test::Size(..)
        | Test::Records(..)
        | Test::Group(..)
        | Test::Entity(_)
        | Test::Network(..)
        | Test::Version(..)
        | Test::Among(..) => None,
    }
}

/// When a comparison of the clock with `at` changes, if that is after `now`. The clock goes by milliseconds.
fn passed(cmp: Cmp, at: Time, now: Time) -> Option<Time> {
    let next = at.after(Duration::from_millis(1));
    let changes = match cmp {
        Cmp::Lt | Cmp::Gteq => [at, at],
        Cmp::Lteq | Cmp::Gt => [next, next],
        Cmp::Eq | Cmp::Neq => [at, next],
    };
    changes.into_iter().find(|it| *it > now)
}

#[cfg(test)]
mod tests;
