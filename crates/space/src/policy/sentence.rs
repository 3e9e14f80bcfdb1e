//! Policies from plain choices, the way a person makes them in a form.
//!
//! Never builds what [`compile`](super::compile::compile) would refuse: choices are checked first.

use crate::id::Id;
use crate::identity::did::Did;
use crate::limits::POLICY_LIST;
use crate::policy::filter::Filter;
use crate::policy::mark::Mark;
use crate::policy::matching::Matching;
use crate::policy::model::{
    Action, Atomic, Constraint, Kind, Operand, Operator, PROFILE, Policy, Rule, Value,
};
use crate::policy::network::Network;
use crate::policy::privacy::{Privacy, Unit};
use crate::policy::span::Span;
use crate::policy::terms::Price;
use crate::policy::usage::{Level, Use};
use crate::policy::window::Window;
use crate::time::Time;

pub mod template;

/// What an offer says. Empty lists and `None` say nothing about their matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sentences {
    /// Who may use it; empty: whoever signs.
    pub to: Vec<Did>,
    pub uses: Option<u64>,
    pub from: Option<Time>,
    /// Last instant of use.
    pub until: Option<Time>,
    /// So long from the first use.
    pub within: Option<Span>,
    /// Not before so long after the agreement.
    pub delay: Option<Span>,
    pub purposes: Vec<String>,
    pub asker: Asker,
    /// A person of the provider consents to the contract before any use.
    pub consent: bool,
    /// Each use is on record at both parties.
    pub tracked: bool,
    /// The provider is told of each use before it.
    pub told: bool,
    pub columns: Vec<String>,
    /// Only rows for which this holds.
    pub rows: Option<Filter>,
    pub aggregates_only: bool,
    /// Fewest rows behind each group of a result.
    pub min_group: Option<u64>,
    pub output_rows: Option<u64>,
    pub output_bytes: Option<u64>,
    /// Bytes per second of all deliveries together.
    pub delivery_rate: Option<u64>,
    pub delivery_connections: Option<u64>,
    /// The data key is split: this operator and the provider must both release it.
    pub split_with: Option<Did>,
    pub matching: Matching,
    /// Answers are noisy; budget and unit, or neither.
    pub privacy: Privacy,
    pub counted: Counted,
    pub export: Export,
    /// Making products of the data and offering them to others.
    pub derive: Export,
    /// Such products are offered on no looser terms than these.
    pub next_policy: bool,
    pub delete_after_use: bool,
    /// All copies are deleted by then; not together with `delete_after_use`.
    pub delete_by: Option<Time>,
    pub price: Option<Price>,
    /// The provider marks copies before they leave.
    pub mark: Option<Mark>,
    /// Kinds of use; empty: whatever the product is delivered as.
    pub kinds: Vec<Use>,
    /// Least enforcement level.
    pub level: Option<Level>,
}

/// What the gate looks at of who asks; empty lists say nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asker {
    /// One of these, as its membership says.
    pub roles: Vec<String>,
    pub regions: Vec<String>,
    pub networks: Vec<Network>,
}

/// What the gate counts beside uses, and the hours in which leases last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Uses in any such period.
    pub frequency: Option<(u64, Span)>,
    /// At most one use in each such period.
    pub interval: Option<Span>,
    pub window: Option<Window>,
    /// Time of use altogether.
    pub metered: Option<Span>,
    /// Bytes and rows altogether.
    pub bytes: Option<u64>,
    pub rows: Option<u64>,
    /// Uses by the consumer's legal entity under all its contracts.
    pub entity_uses: Option<u64>,
    /// The same of its uses in any such period, and of its time, bytes and rows altogether.
    pub entity_frequency: Option<(u64, Span)>,
    pub entity_metered: Option<Span>,
    pub entity_bytes: Option<u64>,
    pub entity_rows: Option<u64>,
}

/// Handing on to third parties, or products made of the data. Unsaid is not permitted either; forbidden says so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Export {
    #[default]
    Unsaid,
    Forbidden,
    Permitted,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSentences {
    #[error("{0} must be at least 1")]
    Zero(&'static str),
    #[error("the end of the period lies before its start")]
    Period,
    #[error("copies are deleted after use or by a date, not both")]
    Delete,
    #[error(
        "noisy answers need a budget and a unit whose sums are permitted columns, and no smallest group"
    )]
    Privacy,
    #[error("{0} holds an empty or repeated entry, or more than {POLICY_LIST}")]
    List(&'static str),
}

/// An offer without target. `parse(to_json(build(s)))` says the same as `s`.
pub fn build(id: Id, assigner: Option<Id>, it: &Sentences) -> Result<Policy, BadSentences> {
    check(it)?;
    let mut policy = Policy::new(id, Kind::Offer);
    policy.assigner = assigner;
    policy.permissions.push(Rule::new(Action::Use, constraints(it)));
    match it.export {
        Export::Unsaid => {}
        Export::Forbidden => policy.prohibitions.push(Rule::new(Action::Distribute, vec![])),
        Export::Permitted => policy.permissions.push(Rule::new(Action::Distribute, facts(it))),
    }
    match it.derive {
        Export::Unsaid => {}
        Export::Forbidden => policy.prohibitions.push(Rule::new(Action::Derive, vec![])),
        Export::Permitted => policy.permissions.push(Rule::new(Action::Derive, of_publication(it))),
    }
    if it.next_policy {
        policy.obligations.push(Rule::new(Action::NextPolicy, vec![]));
    }
    if it.consent {
        policy.obligations.push(Rule::new(Action::ObtainConsent, vec![]));
    }
    if it.tracked {
        policy.obligations.push(Rule::new(Action::AcceptTracking, vec![]));
    }
    if it.told {
        policy.obligations.push(Rule::new(Action::Inform, vec![]));
    }
    if it.delete_after_use {
        policy.obligations.push(Rule::new(Action::Delete, vec![]));
    }
    if let Some(at) = it.delete_by {
        let by = atomic(Operand::DateTime, Operator::Lteq, &at.to_string());
        policy.obligations.push(Rule::new(Action::Delete, vec![by]));
    }
    if let Some(price) = &it.price {
        let terms = vec![
            atomic(Operand::PayAmount, Operator::Eq, &price.amount()),
            atomic(Operand::Currency, Operator::Eq, &price.currency),
        ];
        policy.obligations.push(Rule::new(Action::Compensate, terms));
    }
    if let Some(mark) = &it.mark {
        let how = atomic(Operand::Watermark, Operator::Eq, &mark.to_string());
        policy.obligations.push(Rule::new(Action::Watermark, vec![how]));
    }
    if uses_profile(&policy) {
        policy.profile.push(PROFILE.to_owned());
    }
    Ok(policy)
}

fn check(it: &Sentences) -> Result<(), BadSentences> {
    for (name, value) in [
        ("uses", it.uses),
        ("min_group", it.min_group),
        ("output_rows", it.output_rows),
        ("output_bytes", it.output_bytes),
        ("delivery_rate", it.delivery_rate),
        ("delivery_connections", it.delivery_connections),
        ("match_items", it.matching.items),
        ("match_budget", it.matching.budget),
        ("entity_items", it.matching.group_budget),
        ("min_matches", it.matching.least),
        ("frequency", it.counted.frequency.map(|it| it.0)),
        ("bytes", it.counted.bytes),
        ("rows", it.counted.rows),
        ("entity_uses", it.counted.entity_uses),
        ("entity_frequency", it.counted.entity_frequency.map(|it| it.0)),
        ("entity_bytes", it.counted.entity_bytes),
        ("entity_rows", it.counted.entity_rows),
    ] {
        if value == Some(0) {
            return Err(BadSentences::Zero(name));
        }
    }
    if matches!((it.from, it.until), (Some(from), Some(until)) if until < from) {
        return Err(BadSentences::Period);
    }
    if it.delete_after_use && it.delete_by.is_some() {
        return Err(BadSentences::Delete);
    }
    if !noisy(it) {
        return Err(BadSentences::Privacy);
    }
    for (name, span) in [
        ("within", it.within),
        ("delay", it.delay),
        ("period", it.counted.frequency.map(|it| it.1)),
        ("interval", it.counted.interval),
        ("metered", it.counted.metered),
        ("entity_period", it.counted.entity_frequency.map(|it| it.1)),
        ("entity_metered", it.counted.entity_metered),
    ] {
        if span.is_some_and(Span::is_zero) {
            return Err(BadSentences::Zero(name));
        }
    }
    let to: Vec<&str> = it.to.iter().map(Did::as_str).collect();
    let purposes: Vec<&str> = it.purposes.iter().map(String::as_str).collect();
    let columns: Vec<&str> = it.columns.iter().map(String::as_str).collect();
    let kinds: Vec<&str> = it.kinds.iter().map(|k| k.name()).collect();
    let roles: Vec<&str> = it.asker.roles.iter().map(String::as_str).collect();
    let regions: Vec<&str> = it.asker.regions.iter().map(String::as_str).collect();
    for (name, list) in [
        ("to", to),
        ("purposes", purposes),
        ("columns", columns),
        ("kinds", kinds),
        ("roles", roles),
        ("regions", regions),
    ] {
        let mut sorted = list.clone();
        sorted.sort_unstable();
        sorted.dedup();
        if sorted.len() != list.len()
            || list.len() > POLICY_LIST
            || list.iter().any(|v| v.trim().is_empty())
        {
            return Err(BadSentences::List(name));
        }
    }
    Ok(())
}

/// Whether noise protects what it is to protect, where there is any.
fn noisy(it: &Sentences) -> bool {
    let hidden = |column: &String| !it.columns.is_empty() && !it.columns.contains(column);
    let bounded = |unit: &Unit| !unit.sums.iter().any(|it| hidden(&it.column));
    match (&it.privacy.budget, &it.privacy.unit) {
        (None, None) => true,
        (Some(_), Some(unit)) => it.min_group.is_none() && bounded(unit),
        (Some(_), None) | (None, Some(_)) => false,
    }
}

/// Conditions on who, when, how often and what for.
fn facts(it: &Sentences) -> Vec<Constraint> {
    let mut out = vec![];
    let to: Vec<String> = it.to.iter().map(Did::to_string).collect();
    out.extend(list(Operand::Recipient, &to));
    out.extend(it.uses.map(|n| atomic(Operand::Count, Operator::Lteq, &n.to_string())));
    out.extend(it.from.map(|at| atomic(Operand::DateTime, Operator::Gteq, &at.to_string())));
    out.extend(it.until.map(|at| atomic(Operand::DateTime, Operator::Lteq, &at.to_string())));
    out.extend(it.within.map(|it| atomic(Operand::ElapsedTime, Operator::Lteq, &it.to_string())));
    out.extend(it.delay.map(|it| atomic(Operand::DelayPeriod, Operator::Gteq, &it.to_string())));
    out.extend(list(Operand::Purpose, &it.purposes));
    out
}

/// Those that a publication can be held against.
fn of_publication(it: &Sentences) -> Vec<Constraint> {
    let known = [Operand::Recipient, Operand::DateTime, Operand::DelayPeriod];
    let mut out = facts(it);
    out.retain(|it| matches!(it, Constraint::Atomic(it) if known.contains(&it.left)));
    out
}

fn constraints(it: &Sentences) -> Vec<Constraint> {
    let mut out = facts(it);
    out.extend(list(Operand::Role, &it.asker.roles));
    out.extend(list(Operand::Spatial, &it.asker.regions));
    let networks: Vec<String> = it.asker.networks.iter().map(ToString::to_string).collect();
    out.extend(list(Operand::Network, &networks));
    let kinds: Vec<String> = it.kinds.iter().map(|k| k.name().to_owned()).collect();
    out.extend(list(Operand::KindOfUse, &kinds));
    out.extend(it.level.map(|level| atomic(Operand::Enforcement, Operator::Gteq, level.name())));
    out.extend(list(Operand::Columns, &it.columns));
    out.extend(
        it.rows
            .as_ref()
            .map(|rows| atomic(Operand::ValueExpression, Operator::Eq, &rows.to_string())),
    );
    if it.aggregates_only {
        out.push(atomic(Operand::AggregatesOnly, Operator::Eq, "true"));
    }
    out.extend(it.min_group.map(|n| atomic(Operand::MinGroup, Operator::Gteq, &n.to_string())));
    out.extend(it.output_rows.map(|n| atomic(Operand::OutputRows, Operator::Lteq, &n.to_string())));
    out.extend(
        it.output_bytes.map(|n| atomic(Operand::OutputBytes, Operator::Lteq, &n.to_string())),
    );
    let cap = |left, most: Option<u64>| most.map(|n| atomic(left, Operator::Lteq, &n.to_string()));
    out.extend(cap(Operand::DeliveryRate, it.delivery_rate));
    out.extend(cap(Operand::DeliveryConnections, it.delivery_connections));
    let operator = it.split_with.as_ref();
    out.extend(operator.map(|it| atomic(Operand::KeyOperator, Operator::Eq, it.as_str())));
    out.extend(counted(&it.counted));
    out.extend(matching(&it.matching));
    let (budget, unit) = (it.privacy.budget, &it.privacy.unit);
    out.extend(budget.map(|it| atomic(Operand::PrivacyBudget, Operator::Lteq, &it.to_string())));
    let unit = unit.as_ref();
    out.extend(unit.map(|it| atomic(Operand::PrivacyUnit, Operator::Eq, &it.to_string())));
    out
}

fn counted(it: &Counted) -> Vec<Constraint> {
    let per = |it: Option<(u64, Span)>| it.map(|(n, span)| format!("{n}/{span}"));
    let upper = [
        (Operand::Frequency, per(it.frequency)),
        (Operand::MeteredTime, it.metered.map(|it| it.to_string())),
        (Operand::DataSize, it.bytes.map(|it| it.to_string())),
        (Operand::RecordCount, it.rows.map(|it| it.to_string())),
        (Operand::GroupCount, it.entity_uses.map(|it| it.to_string())),
        (Operand::GroupFrequency, per(it.entity_frequency)),
        (Operand::GroupMeteredTime, it.entity_metered.map(|it| it.to_string())),
        (Operand::GroupDataSize, it.entity_bytes.map(|it| it.to_string())),
        (Operand::GroupRecordCount, it.entity_rows.map(|it| it.to_string())),
    ];
    let exact = [
        (Operand::TimeInterval, it.interval.map(|it| it.to_string())),
        (Operand::TimeWindow, it.window.map(|it| it.to_string())),
    ];
    let upper = upper.into_iter().map(|(left, said)| (left, Operator::Lteq, said));
    let all = upper.chain(exact.into_iter().map(|(left, said)| (left, Operator::Eq, said)));
    all.filter_map(|(left, op, said)| Some(atomic(left, op, &said?))).collect()
}

fn matching(it: &Matching) -> Vec<Constraint> {
    let mut out = vec![];
    out.extend(
        it.key.as_ref().map(|key| atomic(Operand::MatchKey, Operator::Eq, &key.to_string())),
    );
    let cap = |left, most: Option<u64>| most.map(|n| atomic(left, Operator::Lteq, &n.to_string()));
    out.extend(cap(Operand::MatchItems, it.items));
    out.extend(cap(Operand::MatchBudget, it.budget));
    out.extend(cap(Operand::GroupMatchBudget, it.group_budget));
    out.extend(cap(Operand::MatchShare, it.share));
    out.extend(it.least.map(|n| atomic(Operand::MinMatches, Operator::Gteq, &n.to_string())));
    out.extend(it.to.map(|to| atomic(Operand::MatchResult, Operator::Eq, to.name())));
    let reveal = it.reveal.iter().flatten().map(|it| it.name().to_owned());
    out.extend(list(Operand::MatchReveal, &reveal.collect::<Vec<_>>()));
    out
}

fn atomic(left: Operand, op: Operator, right: &str) -> Constraint {
    Atomic::new(left, op, Value::text(right)).into()
}

/// One value is said with `eq`, which every connector knows; several with `isAnyOf`.
fn list(left: Operand, all: &[String]) -> Option<Constraint> {
    match all {
        [] => None,
        [one] => Some(atomic(left, Operator::Eq, one)),
        _ => {
            let values = all.iter().map(Value::text).collect();
            Some(Atomic::new(left, Operator::IsAnyOf, Value::List(values)).into())
        }
    }
}

fn uses_profile(policy: &Policy) -> bool {
    let all = [&policy.permissions, &policy.prohibitions, &policy.obligations];
    all.into_iter().flatten().flat_map(|rule| &rule.constraints).any(
        |constraint| match constraint {
            Constraint::Atomic(it) => it.left.name().starts_with("tidm:"),
            Constraint::And(_)
            | Constraint::Or(_)
            | Constraint::Xone(_)
            | Constraint::AndSequence(_) => false,
        },
    )
}

#[cfg(test)]
pub(crate) mod tests;
