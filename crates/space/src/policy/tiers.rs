//! Tiers: permissions with different limits that are told apart by what the gate alone knows, the number of a use for one.
//!
//! Threat: a place of use that takes each use for the first, or each piece of evidence for the best, opens more than the gate
//! granted. So no such policy is signed ([`unkept`]); under one that was signed before, a use keeps to the limits of every
//! permission by which the gate may have granted it ([`kept`]). Never decides whether a use may happen: the gate did.

use std::collections::BTreeSet;

use crate::fault::Fault;
use crate::limits::POLICY_TIERS;
use crate::policy::apart::disjoint;
use crate::policy::check::reason;
use crate::policy::compile::{Refusal, refusal};
use crate::policy::eval::evaluate;
use crate::policy::facts::{Facts, Request};
use crate::policy::model::Action;
use crate::policy::summary::most_uses;
use crate::policy::terms::{Clause, Limits, Terms, Test, Topic};
use crate::policy::usage::{Level, Use};

const APART: &str = "tells permissions with different limits on results apart, which the gate alone can see: permissions of one kind of use need the same limits, or this term alike";
const AT_ONCE: &str = "permissions by which this use may have been granted cannot be kept at once";

/// A permission as the place of use sees it, which knows the kind and purpose of the use and the time.
struct Tier<'a> {
    limits: &'a Limits,
    kinds: Vec<Use>,
    seen: Vec<&'a Test>,
    /// What the gate alone sees, each with its operand.
    hidden: Vec<(&'static str, &'a Test)>,
    /// A person of the provider has to consent first.
    consent: bool,
}

impl<'a> Tier<'a> {
    fn of(it: &'a Clause) -> Self {
        let under_lease = Use::ALL.into_iter().filter(|kind| *kind != Use::Plain);
        let granted = under_lease.filter(|kind| {
            it.action.covers(&kind.action()) && !disjoint(&it.when, &Test::Kind(vec![*kind]))
        });
        let consent = it.duties.iter().any(|it| it.action == Action::ObtainConsent);
        let kinds = granted.collect();
        let mut out = Self { limits: &it.limits, kinds, seen: vec![], hidden: vec![], consent };
        out.split(&it.when);
        out
    }

    fn split(&mut self, it: &'a Test) {
        match (it, hidden(it)) {
            (Test::All(all), _) => all.iter().for_each(|it| self.split(it)),
            (_, Some(name)) => self.hidden.push((name, it)),
            (_, None) => self.seen.push(it),
        }
    }

    /// What only one of them asks for and the gate alone sees, in a use that both may permit.
    fn apart(&self, other: &Self) -> Vec<&'static str> {
        let both = || self.kinds.iter().filter(|it| other.kinds.contains(it));
        // Evidence comes with keys of sealed data alone.
        let evidence = both().any(|it| it.reaches(Level::E4));
        let asks = |it: &Test| evidence || counts(it);
        let only = |one: &Self, other: &Self| -> Vec<&'static str> {
            let lacks = |it: &&Test| !other.hidden.iter().any(|(_, has)| has == it);
            let own = one.hidden.iter().filter(|(_, it)| lacks(it) && asks(it));
            own.map(|(name, _)| *name).collect()
        };
        let mut out = only(self, other);
        out.extend(only(other, self));
        out.extend((self.consent != other.consent).then_some("obtainConsent"));
        let met = || both().next().is_some();
        let excluded = || self.seen.iter().any(|it| other.seen.iter().any(|at| disjoint(it, at)));
        if out.is_empty() || !met() || excluded() { vec![] } else { out }
    }
}

/// The operand of a test that the gate alone can answer, if there is one in it.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "others are seen by both, or are refused by `counted`"
)]
fn hidden(it: &Test) -> Option<&'static str> {
    match it {
        Test::All(all) | Test::Any(all) | Test::One(all) | Test::Sequence(all) => {
            all.iter().find_map(hidden)
        }
        Test::Count(..) => Some("count"),
        Test::Enforcement(level) if *level >= Level::E3 => Some("tidm:enforcementLevel"),
        Test::Among(Topic::Environment, ..) => Some("tidm:executionEnvironment"),
        _ => None,
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "others count no uses")]
fn counts(it: &Test) -> bool {
    match it {
        Test::All(all) | Test::Any(all) | Test::One(all) | Test::Sequence(all) => {
            all.iter().any(counts)
        }
        Test::Count(..) => true,
        _ => false,
    }
}

/// Permissions that no place of use could tell apart, by what they differ in.
pub(super) fn unkept(grants: &[Clause]) -> Vec<Refusal> {
    let tiers: Vec<Tier<'_>> = grants.iter().filter(|it| it.reads()).map(Tier::of).collect();
    let mut names = BTreeSet::new();
    for (at, one) in tiers.iter().enumerate() {
        let others = tiers.iter().skip(at.saturating_add(1));
        others.filter(|it| it.limits != one.limits).for_each(|it| names.extend(one.apart(it)));
    }
    names.into_iter().map(|name| refusal(name, APART)).collect()
}

/// The limits that a use granted by a gate keeps to at a place that has no counters. `asked`: the use, once for each level
/// and matter that its evidence may have come to. `before`: uses before it; `None`: nobody here knows.
///
/// # Errors
/// [`Fault::Denied`] where no permission can have been the one.
pub fn kept(terms: &Terms, asked: &[Request<'_>], before: Option<u64>) -> Result<Limits, Fault> {
    let mut read = terms.grants.iter().filter(|it| it.reads());
    let same = read.next().is_none_or(|first| read.all(|it| it.limits == first.limits));
    let before = match before {
        Some(it) => BTreeSet::from([it]),
        None => numbers(terms)?,
    };
    let mut consents = vec![terms.consent(true), terms.consent(false)];
    consents.dedup();
    let mut kept: Option<Limits> = None;
    let mut refused = None;
    for asked in asked {
        for deeds in &consents {
            for uses_so_far in &before {
                let more = Facts { gated: true, deeds, ..asked.more };
                let one = Request { uses_so_far: *uses_so_far, more, ..asked.clone() };
                match evaluate(terms, &one).permitted() {
                    Ok(limits) if same => return Ok(limits),
                    Ok(limits) => {
                        kept = Some(match kept {
                            Some(other) => both(other, limits)?,
                            None => limits,
                        });
                    }
                    Err(why) => refused = refused.or(Some(why)),
                }
            }
        }
    }

    kept.ok_or_else(|| refused.unwrap_or_else(undecided))
}

/// The numbers of earlier uses between which no test on their count answers otherwise.
fn numbers(terms: &Terms) -> Result<BTreeSet<u64>, Fault> {
    let mut edges = BTreeSet::new();
    terms.grants.iter().chain(&terms.bans).for_each(|it| gather(&it.when, &mut edges));
    if edges.len() > POLICY_TIERS {
        return Err(undecided());
    }
    // The last use that is in a bound, the one behind it, and the first of all.
    let around = |n: u64| [n.saturating_sub(2), n.saturating_sub(1), n];
    Ok(edges.into_iter().flat_map(around).chain([0]).collect())
}

#[expect(clippy::wildcard_enum_match_arm, reason = "others count no uses")]
fn gather(it: &Test, edges: &mut BTreeSet<u64>) {
    match it {
        Test::All(all) | Test::Any(all) | Test::One(all) | Test::Sequence(all) => {
            all.iter().for_each(|it| gather(it, edges));
        }
        Test::Count(_, n) => {
            edges.insert(*n);
        }
        _ => {}
    }
}

/// What neither opens more than. What is agreed for the whole use has to be the same in both.
fn both(one: Limits, other: Limits) -> Result<Limits, Fault> {
    let whole = |it: &Limits| (it.operator.clone(), it.matching.clone(), it.privacy.clone());
    if whole(&one) != whole(&other) {
        return Err(undecided());
    }
    let least = |one: Option<u64>, other: Option<u64>| one.into_iter().chain(other).min();
    Ok(Limits {
        columns: match (one.columns, other.columns) {
            (Some(one), Some(other)) => Some(one.intersection(&other).cloned().collect()),
            (one, other) => one.or(other),
        },
        aggregates_only: one.aggregates_only || other.aggregates_only,
        min_group: one.min_group.max(other.min_group),
        output_rows: least(one.output_rows, other.output_rows),
        output_bytes: least(one.output_bytes, other.output_bytes),
        delivery_rate: least(one.delivery_rate, other.delivery_rate),
        delivery_connections: least(one.delivery_connections, other.delivery_connections),
        operator: one.operator,
        filter: match (one.filter, other.filter) {
            (Some(one), Some(other)) if one != other => Some(one.and(other)),
            (one, other) => one.or(other),
        },
        matching: one.matching,
        privacy: one.privacy,
    })
}

fn undecided() -> Fault {
    Fault::denied("policy.denied", "policy", AT_ONCE).in_chinese(reason::zh(AT_ONCE).to_owned())
}

impl Terms {
    /// The use after which no permission holds any more, whichever of them it was granted by; `None`: there is none.
    pub fn last_use(&self) -> Option<u64> {
        let read = self.grants.iter().filter(|it| it.reads());
        read.map(most_uses).try_fold(None, |last, most| Some(last.max(Some(most?)))).flatten()
    }
}

#[cfg(test)]
mod tests;
