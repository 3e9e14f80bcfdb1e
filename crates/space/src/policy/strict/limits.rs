//! Limits on a use: which of them an offer lacks or widens.
//!
//! Never passes over a limit: a new one does not compile here until somebody says what is narrower.

use std::collections::BTreeSet;

use crate::policy::matching::{MatchLimit, Matching, Reveal, To};
use crate::policy::model::Operand;
use crate::policy::privacy::{Privacy, PrivacyLimit};
use crate::policy::terms::{Limit, Limits};

use super::Looser;

/// What of `next` the limits of an offer's permission do not keep.
pub(super) fn wider(next: &Limits, has: &Limits) -> Vec<Looser> {
    let Limits {
        columns,
        aggregates_only,
        min_group,
        output_rows,
        output_bytes,
        delivery_rate,
        delivery_connections,
        operator,
        filter,
        matching,
        privacy,
    } = next;
    let mut out = vec![];
    if let Some(all) = columns
        && !has.columns.as_ref().is_some_and(|it| it.is_subset(all))
    {
        out.push(Looser::limit(&Operand::Columns, &Limit::Columns(all.clone())));
    }
    if *aggregates_only && !has.aggregates_only {
        out.push(Looser::limit(&Operand::AggregatesOnly, &Limit::AggregatesOnly));
    }
    if let Some(n) = min_group.filter(|n| has.min_group.is_none_or(|it| it < *n)) {
        out.push(Looser::limit(&Operand::MinGroup, &Limit::MinGroup(n)));
    }
    type Of = fn(u64) -> Limit;
    let caps: [(Operand, Option<u64>, Option<u64>, Of); 4] = [
        (Operand::OutputRows, *output_rows, has.output_rows, Limit::OutputRows),
        (Operand::OutputBytes, *output_bytes, has.output_bytes, Limit::OutputBytes),
        (Operand::DeliveryRate, *delivery_rate, has.delivery_rate, Limit::DeliveryRate),
        (
            Operand::DeliveryConnections,
            *delivery_connections,
            has.delivery_connections,
            Limit::DeliveryConnections,
        ),
    ];
    for (left, most, has, limit) in caps {
        if let Some(n) = most.filter(|n| above(has, *n)) {
            out.push(Looser::limit(&left, &limit(n)));
        }
    }
    if let Some(it) = operator.clone().filter(|it| has.operator.as_ref() != Some(it)) {
        out.push(Looser::limit(&Operand::KeyOperator, &Limit::KeyOperator(it)));
    }
    if let Some(it) = filter.clone().filter(|it| has.filter.as_ref() != Some(it)) {
        out.push(Looser::limit(&Operand::ValueExpression, &Limit::Rows(it)));
    }
    out.extend(matched(matching, &has.matching));
    out.extend(noisy(privacy, &has.privacy));
    out
}

fn above(has: Option<u64>, most: u64) -> bool {
    has.is_none_or(|it| it > most)
}

/// Answers that are as noisy, of no larger budget, and about the same unit.
fn noisy(next: &Privacy, has: &Privacy) -> Vec<Looser> {
    let Privacy { budget, unit } = next;
    let mut out = vec![];
    if let Some(most) = budget.filter(|most| has.budget.is_none_or(|it| it > *most)) {
        let limit = Limit::Privacy(PrivacyLimit::Budget(most));
        out.push(Looser::limit(&Operand::PrivacyBudget, &limit));
    }
    if let Some(unit) = unit.clone().filter(|it| has.unit.as_ref() != Some(it)) {
        let limit = Limit::Privacy(PrivacyLimit::Unit(unit));
        out.push(Looser::limit(&Operand::PrivacyUnit, &limit));
    }
    out
}

fn matched(next: &Matching, has: &Matching) -> Vec<Looser> {
    let Matching { key, items, budget, group_budget, least, share, to, reveal } = next;
    let mut out = vec![];
    let mut lacks =
        |left: Operand, it: MatchLimit| out.push(Looser::limit(&left, &Limit::Matching(it)));
    if let Some(key) = key.clone().filter(|it| has.key.as_ref() != Some(it)) {
        lacks(Operand::MatchKey, MatchLimit::Key(key));
    }
    if let Some(n) = items.filter(|n| above(has.items, *n)) {
        lacks(Operand::MatchItems, MatchLimit::Items(n));
    }
    if let Some(n) = budget.filter(|n| above(has.budget, *n)) {
        lacks(Operand::MatchBudget, MatchLimit::Budget(n));
    }
    if let Some(n) = group_budget.filter(|n| above(has.group_budget, *n)) {
        lacks(Operand::GroupMatchBudget, MatchLimit::GroupBudget(n));
    }
    if let Some(n) = share.filter(|n| above(has.share, *n)) {
        lacks(Operand::MatchShare, MatchLimit::Share(n));
    }
    if let Some(n) = least.filter(|n| has.least.is_none_or(|it| it < *n)) {
        lacks(Operand::MinMatches, MatchLimit::Least(n));
    }
    // Where nothing is said the consumer alone learns the matches, and rows alone are revealed.
    let receiver = to.unwrap_or(To::Consumer);
    if has.to.unwrap_or(To::Consumer) != receiver {
        lacks(Operand::MatchResult, MatchLimit::To(receiver));
    }
    let rows = || BTreeSet::from([Reveal::Rows]);
    let revealed = reveal.clone().unwrap_or_else(rows);
    if !has.reveal.clone().unwrap_or_else(rows).is_subset(&revealed) {
        lacks(Operand::MatchReveal, MatchLimit::Reveal(revealed));
    }
    out
}
