//! Until when terms answer as they do now: a lease that ends by then lies within them from its first to its last instant.
//!
//! Never later than the first change, of whatever test that only time changes: alternatives, prohibitions and conditions
//! that begin to hold count, too. Such an end may come early; the consumer asks again then.

use std::time::Duration;

use crate::policy::facts::Request;
use crate::policy::hold::delayed;
use crate::policy::terms::{Cmp, Terms, Test};
use crate::time::Time;

/// The first instant after `request.now` at which a test of time may answer otherwise; `None`: never.
pub fn until(terms: &Terms, request: &Request<'_>) -> Option<Time> {
    let rules = terms.grants.iter().chain(&terms.bans);
    rules.filter_map(|it| changes(&it.when, request)).min()
}

fn changes(it: &Test, request: &Request<'_>) -> Option<Time> {
    let now = request.now;
    match it {
        Test::All(all) | Test::Any(all) | Test::One(all) | Test::Sequence(all) => {
            all.iter().filter_map(|it| changes(it, request)).min()
        }
        Test::Window(window) => window.changes_after(now),
        Test::Clock(cmp, at) => passed(*cmp, *at, now),
        Test::Elapsed(cmp, span) => {
            passed(*cmp, span.after(request.first_use_at.unwrap_or(now)), now)
        }
        Test::Delay(cmp, span) => passed(*cmp, span.after(delayed(request, None)?), now),
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
        | Test::Event(..)
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
