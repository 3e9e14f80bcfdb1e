//! The truth of one test, and the fact that it was held against.
//!
//! Never reads anything but the request. A fact that is not there is unknown, also inside a negation: `neq` of an
//! unknown value is unknown, not true.

use core::net::IpAddr;
use std::time::Duration;

use crate::policy::explain::{Explanation, Fact, What};
use crate::policy::facts::Request;
use crate::policy::network::Network;
use crate::policy::span::Span;
use crate::policy::terms::{Cmp, Member, Test, Topic, Version};
use crate::policy::truth::Truth;
use crate::time::Time;

/// `step`: in a sequence, since when the step in front holds.
#[expect(clippy::wildcard_enum_match_arm, reason = "every other test is one fact")]
pub(super) fn test<'a>(
    it: &'a Test,
    request: &'a Request<'a>,
    step: Option<Time>,
) -> Explanation<'a> {
    let each = |all: &'a [Test]| -> Vec<Explanation<'a>> {
        all.iter().map(|it| test(it, request, step)).collect()
    };
    let group = |fold: fn(&[Explanation<'a>]) -> Truth, parts: Vec<Explanation<'a>>| {
        Explanation::new(What::Test(it), fold(&parts), parts)
    };
    match it {
        Test::All(all) => group(|p| Truth::all(p.iter().map(|p| p.truth)), each(all)),
        Test::Any(all) => group(|p| Truth::any(p.iter().map(|p| p.truth)), each(all)),
        Test::One(all) => group(|p| Truth::one(p.iter().map(|p| p.truth)), each(all)),
        Test::Sequence(all) => {
            group(|p| Truth::all(p.iter().map(|p| p.truth)), sequence(all, request, step))
        }
        _ => {
            let (truth, fact) = fact(it, request, step);
            Explanation { what: What::Test(it), fact, truth, parts: vec![] }
        }
    }
}

/// Each step holds, and not from a moment before that of the step in front (ODRL §2.5.3, `andSequence`).
fn sequence<'a>(
    all: &'a [Test],
    request: &'a Request<'a>,
    mut step: Option<Time>,
) -> Vec<Explanation<'a>> {
    let mut out = Vec::with_capacity(all.len());
    for it in all {
        let mut one = test(it, request, step);
        if let Some(at) = since(it, request, step) {
            if step.is_some_and(|before| at < before) {
                one.truth = Truth::No;
            }
            step = Some(at);
        }
        out.push(one);
    }
    out
}

/// From when on a test holds, where that is one moment.
#[expect(clippy::wildcard_enum_match_arm, reason = "other tests hold from no one moment")]
pub(super) fn since(it: &Test, request: &Request<'_>, step: Option<Time>) -> Option<Time> {
    match it {
        Test::Clock(Cmp::Gt | Cmp::Gteq, at) => Some(*at),
        Test::Event(true, name) => happened(request, name).flatten(),
        Test::Delay(Cmp::Gt | Cmp::Gteq, span) => Some(span.after(delayed(request, step)?)),
        Test::Sequence(all) => all.iter().fold(step, |step, it| since(it, request, step).or(step)),
        _ => None,
    }
}

/// What a delay counts from: the later of the agreement and the step in front.
pub(super) fn delayed(request: &Request<'_>, step: Option<Time>) -> Option<Time> {
    Some(request.agreed_at?.max(step.unwrap_or(Time::ZERO)))
}

/// `Some(None)`: known to not have happened yet.
fn happened(request: &Request<'_>, name: &str) -> Option<Option<Time>> {
    let events = request.more.events?;
    let times = events.iter().filter(|(it, at)| *it == name && *at <= request.now);
    Some(times.map(|(_, at)| *at).min())
}

fn fact<'a>(it: &'a Test, request: &'a Request<'a>, step: Option<Time>) -> (Truth, Fact<'a>) {
    let now = request.now;
    match it {
        // Signed in permissions and side by side only ([`crate::policy::counted`]): what the gate found holds.
        Test::Network(..)
        | Test::Version(..)
        | Test::Among(Topic::Role | Topic::Region | Topic::Version, ..)
            if request.more.gated =>
        {
            (Truth::Yes, Fact::Parts)
        }
        Test::Clock(cmp, at) => (Truth::of(cmp.holds(now, *at)), Fact::At(now)),
        Test::Count(cmp, n) => {
            let this = request.uses_so_far.saturating_add(1);
            (Truth::of(cmp.holds(this, *n)), Fact::Use(this))
        }
        Test::Purpose(how, all) => match request.purpose {
            Some(purpose) => (member(*how, all, &[purpose]), Fact::Text(purpose)),
            None => (Truth::Unknown, Fact::Unknown),
        },
        Test::Recipient(how, all) => {
            (member(*how, all, &[request.recipient]), Fact::Text(request.recipient))
        }
        Test::Elapsed(cmp, span) => {
            let start = request.first_use_at.unwrap_or(now);
            (Truth::of(cmp.holds(now, span.after(start))), Fact::Between(start, now))
        }
        Test::Delay(cmp, span) => known(delayed(request, step), |at| {
            (cmp.holds(now, span.after(at)), Fact::Between(at, now))
        }),
        Test::Kind(all) => {
            (Truth::of(all.contains(&request.kind)), Fact::Text(request.kind.name()))
        }
        Test::Enforcement(level) => {
            (Truth::of(request.level >= *level), Fact::Text(request.level.name()))
        }
        Test::Window(window) => (Truth::of(window.holds(now)), Fact::At(now)),
        Test::Metered(..)
        | Test::Interval(_)
        | Test::Frequency(..)
        | Test::Size(..)
        | Test::Records(..)
        | Test::Group(..)
        | Test::Entity(_) => counted(it, request),
        Test::Network(how, all) => {
            known(request.more.network, |it| (networked(*how, all, it), Fact::Address(it)))
        }
        Test::Version(cmp, version) => match request.more.version {
            None => (Truth::Unknown, Fact::Unknown),
            Some(has) => (
                Truth::known(Version::parse(has).map(|has| cmp.holds(&has, version))),
                Fact::Text(has),
            ),
        },
        Test::Event(after, name) => known(happened(request, name), |at| {
            (at.is_some() == *after, at.map_or(Fact::Texts(&[]), Fact::At))
        }),
        Test::Among(topic, how, all) => {
            // A version is one value, known by its own fact.
            let version = request.more.version.as_ref().filter(|_| *topic == Topic::Version);
            match version.map(std::slice::from_ref).or_else(|| request.topic(*topic)) {
                Some(values) => (member(*how, all, values), Fact::Texts(values)),
                None => (Truth::Unknown, Fact::Unknown),
            }
        }
        // Groups are walked by `test`.
        Test::All(_) | Test::Any(_) | Test::One(_) | Test::Sequence(_) => {
            (Truth::Unknown, Fact::Unknown)
        }
    }
}

/// What the uses before this one add up to.
#[expect(clippy::wildcard_enum_match_arm, reason = "called for those that count")]
fn counted<'a>(it: &Test, request: &'a Request<'a>) -> (Truth, Fact<'a>) {
    let now = request.now;
    if request.more.gated {
        return (Truth::Yes, Fact::Parts);
    }
    let (it, sums) = if let Test::Entity(it) = it {
        (&**it, request.more.group)
    } else {
        (it, request.more.own())
    };
    match it {
        Test::Metered(cmp, span) => known(sums.metered, |lasted| {
            (cmp.holds(lasted, length(*span, request)), Fact::Lasted(lasted))
        }),
        Test::Interval(span) => known(sums.uses_at, |all| {
            let free = all.iter().all(|at| span.after(*at) <= now);
            (free, all.iter().max().map_or(Fact::Number(0), |last| Fact::Between(*last, now)))
        }),
        Test::Frequency(most, span) => known(sums.uses_at, |all| {
            let recent = all.iter().filter(|at| span.after(**at) > now).count();
            let with_this = u64::try_from(recent).unwrap_or(u64::MAX).saturating_add(1);
            (with_this <= *most, Fact::Use(with_this))
        }),
        Test::Size(cmp, n) => known(sums.bytes, |has| (cmp.holds(has, *n), Fact::Number(has))),
        Test::Records(cmp, n) => known(sums.records, |has| (cmp.holds(has, *n), Fact::Number(has))),
        Test::Group(cmp, n) => known(request.more.group_uses, |has| {
            let this = has.saturating_add(1);
            (cmp.holds(this, *n), Fact::Use(this))
        }),
        _ => (Truth::Unknown, Fact::Unknown),
    }
}

fn known<'a, T>(it: Option<T>, hold: impl FnOnce(T) -> (bool, Fact<'a>)) -> (Truth, Fact<'a>) {
    match it.map(hold) {
        Some((truth, fact)) => (Truth::of(truth), fact),
        None => (Truth::Unknown, Fact::Unknown),
    }
}

/// Months have no length of their own: those from the agreement on, or from now where that is not known.
pub(crate) fn length(span: Span, request: &Request<'_>) -> Duration {
    let from = request.agreed_at.unwrap_or(request.now);
    span.after(from).since(from)
}

pub(super) fn member(how: Member, all: &[String], has: &[&str]) -> Truth {
    Truth::of(match how {
        Member::In => has.iter().any(|it| all.iter().any(|said| said == it)),
        Member::NotIn => !has.iter().any(|it| all.iter().any(|said| said == it)),
        Member::All => all.iter().all(|said| has.contains(&said.as_str())),
    })
}

fn networked(how: Member, all: &[Network], has: IpAddr) -> bool {
    let inside = all.iter().any(|it| it.contains(has));
    match how {
        Member::In | Member::All => inside,
        Member::NotIn => !inside,
    }
}

#[cfg(test)]
mod tests;
