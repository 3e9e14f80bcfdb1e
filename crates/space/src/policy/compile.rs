//! From policy to [`Terms`]: every term understood and every value parsed, or refused with its name (decision D5).
//!
//! Never skips what it does not know. Deviations from ODRL, all towards less: `use` does not include `distribute`;
//! `aggregate` grants only queries with aggregate results; `eq` on `count`, `elapsedTime` and `delayPeriod` is read
//! as the bound that people mean by it; duties are `delete` and `compensate` only.

use crate::limits::POLICY_LIST;
use crate::policy::duty::Duties;
use crate::policy::model::{
    Action, Atomic, Conflict, Constraint, Operand, Operator, PROFILE, Policy, Rule,
};
use crate::policy::span::Span;
use crate::policy::summary::summary;
use crate::policy::terms::{Clause, Cmp, Limit, Limits, Member, Terms, Test};
use crate::policy::usage::{Level, Use};
use crate::time::Time;

/// Profiles whose terms are these: ours, ODRL's core, DSP's.
const PROFILES: [&str; 4] = [
    PROFILE,
    "http://www.w3.org/ns/odrl/2/core",
    "http://www.w3.org/ns/odrl/2/",
    "https://w3id.org/dspace/2025/1/odrl-profile.jsonld",
];

/// A term that cannot be honoured here, by name, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{term}: {why}")]
pub struct Refusal {
    pub term: String,
    pub why: &'static str,
}

pub(super) fn refusal(term: impl Into<String>, why: &'static str) -> Refusal {
    Refusal { term: term.into(), why }
}

pub(super) const UNKNOWN: &str = "is not understood here, so it cannot be kept";

/// All refusals at once, so that a person corrects an offer in one round.
pub fn compile(policy: &Policy) -> Result<Terms, Vec<Refusal>> {
    let mut refused: Vec<Refusal> =
        policy.unsupported.iter().map(|name| refusal(name, UNKNOWN)).collect();
    refused.extend(
        policy
            .profile
            .iter()
            .filter(|p| !PROFILES.contains(&p.as_str()))
            .map(|p| refusal(p, "is an unknown profile")),
    );
    let mut duties = Duties::default();
    let mut grants = vec![];
    for (i, rule) in policy.permissions.iter().enumerate() {
        grants.extend(clause(
            rule,
            format!("permission[{i}]"),
            Side::Grant,
            &mut duties,
            &mut refused,
        ));
    }
    let mut bans = vec![];
    for (i, rule) in policy.prohibitions.iter().enumerate() {
        bans.extend(clause(
            rule,
            format!("prohibition[{i}]"),
            Side::Ban,
            &mut duties,
            &mut refused,
        ));
    }
    for rule in &policy.obligations {
        duties.add(rule, &mut refused);
    }
    if matches!(policy.conflict, None | Some(Conflict::Invalid)) {
        let void = |b: &&Clause| {
            b.when == Test::All(vec![]) && grants.iter().any(|g| g.action == b.action)
        };
        refused.extend(bans.iter().filter(void).map(|b| {
            refusal(
                b.action.name(),
                "is permitted and prohibited at once, which makes the policy void (ODRL conflict)",
            )
        }));
    }
    if !refused.is_empty() {
        return Err(refused);
    }
    let summary = summary(&grants, &bans, duties.delete);
    Ok(Terms {
        assignee: policy.assignee.clone(),
        grants,
        bans,
        conflict: policy.conflict,
        delete: duties.delete,
        price: duties.price,
        summary,
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Grant,
    Ban,
}

fn clause(
    rule: &Rule,
    place: String,
    side: Side,
    duties: &mut Duties,
    refused: &mut Vec<Refusal>,
) -> Option<Clause> {
    let before = refused.len();
    refused.extend(rule.unsupported.iter().map(|name| refusal(name, UNKNOWN)));
    match &rule.action {
        Action::Unknown(name) => refused.push(refusal(name, UNKNOWN)),
        Action::Delete | Action::Compensate => {
            refused.push(refusal(rule.action.name(), "is a duty, not a use"));
        }
        Action::Use | Action::Read | Action::Display | Action::Aggregate | Action::Distribute => {}
    }
    let mut tests = vec![];
    let mut limits = Limits::default();
    for constraint in &rule.constraints {
        match constraint {
            // An `and` at the top is the same as its members side by side.
            Constraint::And(parts) => {
                for part in parts {
                    top(part, side, &mut tests, &mut limits, refused);
                }
            }
            Constraint::Atomic(_)
            | Constraint::Or(_)
            | Constraint::Xone(_)
            | Constraint::AndSequence(_) => {
                top(constraint, side, &mut tests, &mut limits, refused);
            }
        }
    }
    if rule.action == Action::Aggregate {
        limits.aggregates_only = true;
        tests.push(Test::Kind(vec![Use::Query]));
    }
    if side == Side::Ban && !rule.duties.is_empty() {
        refused.push(refusal("duty", "has no meaning in a prohibition"));
    }
    for duty in &rule.duties {
        duties.add(duty, refused);
    }
    let prepaid = rule.duties.iter().any(|d| d.action == Action::Compensate);
    (refused.len() == before).then(|| Clause {
        place,
        action: rule.action.clone(),
        when: Test::All(tests),
        limits,
        prepaid,
    })
}

fn top(
    it: &Constraint,
    side: Side,
    tests: &mut Vec<Test>,
    limits: &mut Limits,
    refused: &mut Vec<Refusal>,
) {
    match it {
        Constraint::Atomic(atomic) => match part(atomic, side) {
            Ok(Part::Test(test)) => tests.push(test),
            Ok(Part::Limit(limit)) if side == Side::Grant => narrow(limits, limit),
            Ok(Part::Limit(_)) => {
                refused.push(refusal(atomic.left.name(), "is understood in permissions only"));
            }
            Err(why) => refused.push(why),
        },
        Constraint::And(_)
        | Constraint::Or(_)
        | Constraint::Xone(_)
        | Constraint::AndSequence(_) => {
            tests.extend(nested(it, side, refused));
        }
    }
}

/// Inside alternatives only tests of facts make sense: a limit that holds "or" something else limits nothing.
fn nested(it: &Constraint, side: Side, refused: &mut Vec<Refusal>) -> Option<Test> {
    let mut all = |parts: &[Constraint]| {
        if parts.is_empty() {
            refused.push(refusal("constraint", "is a logical constraint without members"));
        }
        parts.iter().filter_map(|p| nested(p, side, refused)).collect::<Vec<_>>()
    };
    match it {
        Constraint::And(parts) => Some(Test::All(all(parts))),
        // The parts test one moment's facts; their order shows in the explanation only.
        Constraint::AndSequence(parts) => Some(Test::All(all(parts))),
        Constraint::Or(parts) => Some(Test::Any(all(parts))),
        Constraint::Xone(parts) => Some(Test::One(all(parts))),
        Constraint::Atomic(atomic) => match part(atomic, side) {
            Ok(Part::Test(test)) => Some(test),
            Ok(Part::Limit(_)) => {
                refused.push(refusal(
                    atomic.left.name(),
                    "may not stand inside and/or/xone: it limits results always",
                ));
                None
            }
            Err(why) => {
                refused.push(why);
                None
            }
        },
    }
}

/// Both limits hold: the narrower of the two.
fn narrow(limits: &mut Limits, limit: Limit) {
    let least = |slot: &mut Option<u64>, n: u64| *slot = Some(slot.map_or(n, |old| old.min(n)));
    match limit {
        Limit::Columns(new) => {
            limits.columns = Some(match limits.columns.take() {
                Some(old) => old.intersection(&new).cloned().collect(),
                None => new,
            });
        }
        Limit::AggregatesOnly => limits.aggregates_only = true,
        Limit::MinGroup(n) => limits.min_group = Some(limits.min_group.map_or(n, |old| old.max(n))),
        Limit::OutputRows(n) => least(&mut limits.output_rows, n),
        Limit::OutputBytes(n) => least(&mut limits.output_bytes, n),
        Limit::DeliveryRate(n) => least(&mut limits.delivery_rate, n),
        Limit::DeliveryConnections(n) => least(&mut limits.delivery_connections, n),
    }
}

/// One constraint: a test of facts, or a limit on the use.
pub(super) enum Part {
    Test(Test),
    Limit(Limit),
}

pub(super) fn part(it: &Atomic, side: Side) -> Result<Part, Refusal> {
    let name = it.left.name();
    let no = |why| refusal(name, why);
    if let Some(term) = it.unsupported.first() {
        return Err(refusal(term, UNKNOWN));
    }
    if let Operator::Unknown(op) = &it.op {
        return Err(refusal(op, UNKNOWN));
    }
    if it.unit.is_some() {
        return Err(no("has a unit, which only a payment may have"));
    }
    let scalar = || it.right.as_text().ok_or_else(|| no("needs one value"));
    let number = || number(scalar()?).ok_or_else(|| no("needs a whole number"));
    let span = || {
        Span::parse(scalar()?)
            .map_err(|_| no("needs a duration such as P30D or PT60M (xsd:duration)"))
    };
    let list = || list(it).ok_or_else(|| no("needs a value or a list of values, none empty"));
    let op = no("does not know this operator");
    Ok(match &it.left {
        Operand::DateTime => {
            let at = moment(scalar()?)
                .ok_or_else(|| no("needs a time with a zone, such as 2026-06-30T00:00:00Z"))?;
            Part::Test(Test::Clock(cmp(&it.op).ok_or(op)?, at))
        }
        Operand::Count => Part::Test(Test::Count(upper(&it.op, side).ok_or(op)?, number()?)),
        Operand::ElapsedTime => Part::Test(Test::Elapsed(upper(&it.op, side).ok_or(op)?, span()?)),
        Operand::DelayPeriod => Part::Test(Test::Delay(lower(&it.op, side).ok_or(op)?, span()?)),
        Operand::Purpose => Part::Test(Test::Purpose(member(&it.op).ok_or(op)?, list()?)),
        Operand::Recipient => Part::Test(Test::Recipient(member(&it.op).ok_or(op)?, list()?)),
        Operand::KindOfUse => {
            let kinds: Option<Vec<Use>> = list()?.iter().map(|k| Use::from_name(k)).collect();
            let kinds =
                kinds.ok_or_else(|| no("knows query, sealed-table, sealed-file and plain"))?;
            Part::Test(Test::Kind(kinds_for(&it.op, kinds).ok_or(op)?))
        }
        Operand::Enforcement => {
            let level = Level::from_name(scalar()?).ok_or_else(|| no("is one of E0 to E4"))?;
            if side == Side::Ban || !matches!(it.op, Operator::Gteq | Operator::Eq) {
                return Err(op);
            }
            Part::Test(Test::Enforcement(level))
        }
        Operand::Columns
            if matches!(it.op, Operator::Eq | Operator::IsAnyOf | Operator::IsPartOf) =>
        {
            Part::Limit(Limit::Columns(list()?.into_iter().collect()))
        }
        Operand::AggregatesOnly => match (&it.op, scalar()?) {
            (Operator::Eq, "true") => Part::Limit(Limit::AggregatesOnly),
            _ => return Err(no("is said as eq \"true\" or not at all")),
        },
        Operand::MinGroup if matches!(it.op, Operator::Gteq | Operator::Eq) => {
            Part::Limit(Limit::MinGroup(number()?))
        }
        Operand::Columns | Operand::MinGroup => return Err(op),
        Operand::OutputRows => Part::Limit(Limit::OutputRows(cap(&it.op, number()?).ok_or(op)?)),
        Operand::OutputBytes => Part::Limit(Limit::OutputBytes(cap(&it.op, number()?).ok_or(op)?)),
        Operand::DeliveryRate => {
            Part::Limit(Limit::DeliveryRate(cap(&it.op, number()?).ok_or(op)?))
        }
        Operand::DeliveryConnections => {
            Part::Limit(Limit::DeliveryConnections(cap(&it.op, number()?).ok_or(op)?))
        }
        Operand::PayAmount | Operand::Currency => return Err(no("belongs into a compensate duty")),
        Operand::Unknown(_) => return Err(no(UNKNOWN)),
    })
}

fn cmp(op: &Operator) -> Option<Cmp> {
    let table = [
        (Operator::Lt, Cmp::Lt),
        (Operator::Lteq, Cmp::Lteq),
        (Operator::Gt, Cmp::Gt),
        (Operator::Gteq, Cmp::Gteq),
    ];
    table.into_iter().find_map(|(known, cmp)| (known == *op).then_some(cmp))
}

/// A permission up to a bound (`eq` reads as "at most"), a prohibition beyond one.
fn upper(op: &Operator, side: Side) -> Option<Cmp> {
    match (cmp(op), side) {
        (Some(it @ (Cmp::Lt | Cmp::Lteq)), Side::Grant)
        | (Some(it @ (Cmp::Gt | Cmp::Gteq)), Side::Ban) => Some(it),
        (None, Side::Grant) if *op == Operator::Eq => Some(Cmp::Lteq),
        _ => None,
    }
}

fn lower(op: &Operator, side: Side) -> Option<Cmp> {
    match (cmp(op), side) {
        (Some(it @ (Cmp::Gt | Cmp::Gteq)), Side::Grant)
        | (Some(it @ (Cmp::Lt | Cmp::Lteq)), Side::Ban) => Some(it),
        (None, Side::Grant) if *op == Operator::Eq => Some(Cmp::Gteq),
        _ => None,
    }
}

fn member(op: &Operator) -> Option<Member> {
    if matches!(op, Operator::Eq | Operator::IsA | Operator::IsAnyOf | Operator::IsPartOf) {
        return Some(Member::In);
    }
    matches!(op, Operator::Neq | Operator::IsNoneOf).then_some(Member::NotIn)
}

fn kinds_for(op: &Operator, said: Vec<Use>) -> Option<Vec<Use>> {
    Some(match member(op)? {
        Member::In => said,
        Member::NotIn => Use::ALL.into_iter().filter(|k| !said.contains(k)).collect(),
    })
}

fn cap(op: &Operator, n: u64) -> Option<u64> {
    if *op == Operator::Lt {
        return n.checked_sub(1);
    }
    matches!(op, Operator::Lteq | Operator::Eq).then_some(n)
}

/// A whole number, plainly written: no sign, no exponent.
fn number(text: &str) -> Option<u64> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

fn list(it: &Atomic) -> Option<Vec<String>> {
    let texts = it.right.texts()?;
    let ok = !texts.is_empty()
        && texts.len() <= POLICY_LIST
        && texts.iter().all(|t| !t.trim().is_empty());
    let one_for_eq =
        texts.len() == 1 || !matches!(it.op, Operator::Eq | Operator::Neq | Operator::IsA);
    (ok && one_for_eq).then(|| texts.into_iter().map(str::to_owned).collect())
}

/// RFC 3339, and DSP's own examples, which leave out the seconds (`2023-12-31T06:00Z`).
fn moment(text: &str) -> Option<Time> {
    let short = || {
        let (head, zone) = text.split_at_checked(16)?;
        (head.as_bytes().get(13) == Some(&b':') && zone.starts_with(['Z', '+', '-']))
            .then(|| Time::parse(&format!("{head}:00{zone}")).ok())
            .flatten()
    };
    Time::parse(text).ok().or_else(short)
}

#[cfg(test)]
mod tests;
