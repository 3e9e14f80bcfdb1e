//! Limits of one permission that contradict each other, let nothing through, or are said twice.
//!
//! Never compares limits of different permissions: each stands for itself, and the widest counts.

use std::collections::BTreeSet;

use crate::limits::EPSILON_WEAK;
use crate::policy::check::{Remark, Ruled, Severity};
use crate::policy::compile::{Part, Side, part};
use crate::policy::matching::{MatchLimit, Matching, Reveal};
use crate::policy::model::{Constraint, Operand};
use crate::policy::privacy::{Privacy, PrivacyLimit};
use crate::policy::reach::Reach;
use crate::policy::terms::Limit;

/// One limit, the word for what it limits, and where it stands.
struct Said {
    place: String,
    what: Operand,
    limit: Limit,
}

pub(super) fn remarks(ruled: &Ruled<'_>, out: &mut Vec<Remark>) {
    let Some(clause) = ruled.clause.as_ref().filter(|_| ruled.side == Side::Grant) else { return };
    let mut all = vec![];
    for (i, it) in ruled.rule.constraints.iter().enumerate() {
        let place = format!("{}.constraint[{i}]", ruled.place);
        match it {
            Constraint::Atomic(_) => gather(it, place, &mut all),
            Constraint::And(parts) => {
                for (j, it) in parts.iter().enumerate() {
                    gather(it, format!("{place}.and[{j}]"), &mut all);
                }
            }
            Constraint::Or(_) | Constraint::Xone(_) | Constraint::AndSequence(_) => {}
        }
    }
    zeros(&all, out);
    twice(&all, out);
    columns(&all, out);
    let at = |what: Operand| {
        all.iter().find(|it| it.what == what).map_or(&*ruled.place, |it| &*it.place)
    };
    matching(&clause.limits.matching, &at, out);
    out.extend(weak(&clause.limits.privacy, &at));
}

/// A budget by which little is protected.
fn weak<'a>(it: &Privacy, at: &impl Fn(Operand) -> &'a str) -> Option<Remark> {
    let budget = it.budget.filter(|it| it.micro() > EPSILON_WEAK)?;
    Some(Remark::new(
        Severity::Warning,
        at(Operand::PrivacyBudget),
        "privacy.weak",
        format!("隐私预算 {budget} 过大，几乎不提供保护；通常不超过 1，至多 10"),
        format!("a budget of {budget} protects hardly anything: 1 is usual, 10 is much"),
    ))
}

fn gather(it: &Constraint, place: String, out: &mut Vec<Said>) {
    let Constraint::Atomic(it) = it else { return };
    if let Ok(Part::Limit(limit)) = part(it, Side::Grant, Reach::Whole) {
        out.push(Said { place, what: it.left.clone(), limit });
    }
}

/// How wide a limit is; none for those that are no number.
fn width(it: &Limit) -> Option<i128> {
    match it {
        // The more is asked, the narrower.
        Limit::MinGroup(n) | Limit::Matching(MatchLimit::Least(n)) => Some(-i128::from(*n)),
        Limit::OutputRows(n)
        | Limit::OutputBytes(n)
        | Limit::DeliveryRate(n)
        | Limit::DeliveryConnections(n)
        | Limit::Matching(
            MatchLimit::Items(n)
            | MatchLimit::Budget(n)
            | MatchLimit::GroupBudget(n)
            | MatchLimit::Share(n),
        ) => Some(i128::from(*n)),
        Limit::Privacy(PrivacyLimit::Budget(it)) => Some(i128::from(it.micro())),
        Limit::Columns(_)
        | Limit::Privacy(PrivacyLimit::Unit(_))
        | Limit::AggregatesOnly
        | Limit::Rows(_)
        | Limit::KeyOperator(_)
        | Limit::Matching(MatchLimit::Key(_) | MatchLimit::To(_) | MatchLimit::Reveal(_)) => None,
    }
}

fn zeros(all: &[Said], out: &mut Vec<Remark>) {
    for it in all {
        let asks = matches!(it.limit, Limit::MinGroup(_) | Limit::Matching(MatchLimit::Least(_)));
        if width(&it.limit) == Some(0) {
            let name = it.what.name();
            out.push(if asks {
                Remark::new(
                    Severity::Note,
                    &it.place,
                    "term.always",
                    format!("{name} 为 0，不起作用"),
                    format!("{name} is 0, so that it says nothing"),
                )
            } else {
                Remark::new(
                    Severity::Error,
                    &it.place,
                    "limit.zero",
                    format!("{name} 为 0，什么都得不到"),
                    format!("{name} is 0, so that nothing ever comes out"),
                )
            });
        }
    }
}

/// Of several limits on one matter the narrowest counts.
fn twice(all: &[Said], out: &mut Vec<Remark>) {
    for (i, it) in all.iter().enumerate() {
        let other = all.iter().enumerate().find(|(j, other)| {
            let same = *j != i && other.what == it.what;
            same && match (width(&it.limit), width(&other.limit)) {
                (Some(wide), Some(narrow)) => narrow < wide || narrow == wide && *j < i,
                _ => other.limit == it.limit && *j < i,
            }
        });
        if let Some((_, other)) = other {
            out.push(Remark::new(
                Severity::Note,
                &it.place,
                "term.redundant",
                format!("{} 已经说明，本条件多余", other.place),
                format!("adds nothing to {}", other.place),
            ));
        }
    }
}

fn columns(all: &[Said], out: &mut Vec<Remark>) {
    let mut left: Option<BTreeSet<&str>> = None;
    for it in all {
        let Limit::Columns(said) = &it.limit else { continue };
        let said: BTreeSet<&str> = said.iter().map(String::as_str).collect();
        let now = left.map_or_else(|| said.clone(), |old| &old & &said);
        if now.is_empty() {
            out.push(Remark::new(
                Severity::Error,
                &it.place,
                "columns.empty",
                "与前面的字段条件没有共同字段，什么都得不到",
                "no column is left over by this and the lists of columns before it",
            ));
            return;
        }
        left = Some(now);
    }
}

fn matching<'a>(it: &Matching, at: &impl Fn(Operand) -> &'a str, out: &mut Vec<Remark>) {
    let mut never = |what: Operand, code: &'static str, zh: String, en: String| {
        out.push(Remark::new(Severity::Error, at(what), code, zh, en));
    };
    let most = it.items.into_iter().chain(it.budget).chain(it.group_budget).min();
    if let (Some(least), Some(most)) = (it.least, most) {
        let shown = it.share.map_or_else(
            || u128::from(most),
            |percent| u128::from(most) * u128::from(percent) / 100,
        );
        if least > most {
            never(
                Operand::MinMatches,
                "match.least",
                format!("最少匹配数 {least} 大于能投入的条目数 {most}，不会给出任何结果"),
                format!("no result is ever shown: {least} matches of at most {most} items"),
            );
        } else if u128::from(least) > shown {
            never(
                Operand::MatchShare,
                "match.share",
                format!("至多 {shown} 个匹配可以给出，少于最少匹配数 {least}"),
                format!(
                    "no result is ever shown: at most {shown} matches may be, at least {least} must"
                ),
            );
        }
    } else if it.share == Some(0) && it.least.is_some_and(|least| least > 0) {
        never(
            Operand::MatchShare,
            "match.share",
            "不允许任何匹配，却要求最少匹配数".to_owned(),
            "no result is ever shown: no item may match, and some must".to_owned(),
        );
    }
    for (what, budget) in
        [(Operand::MatchBudget, it.budget), (Operand::GroupMatchBudget, it.group_budget)]
    {
        let (Some(items), Some(budget)) = (it.items, budget) else { continue };
        if budget >= items {
            continue;
        }
        out.push(Remark::new(
            Severity::Warning,
            at(what),
            "match.budget",
            format!("累计条目数 {budget} 小于每次条目数 {items}"),
            format!("{budget} items altogether are fewer than the {items} at a time"),
        ));
    }
    telling(it, at, out);
    let said = it.items.or(it.budget).or(it.group_budget).or(it.least).is_some();
    if it.key.is_none() && (said || it.share.is_some() || it.to.is_some() || it.reveal.is_some()) {
        let first = [Operand::MatchItems, Operand::MatchBudget, Operand::MinMatches];
        let first = first.into_iter().chain([
            Operand::GroupMatchBudget,
            Operand::MatchShare,
            Operand::MatchResult,
            Operand::MatchReveal,
        ]);
        let mut places = first.map(at).filter(|it| it.contains("constraint"));
        out.push(Remark::new(
            Severity::Warning,
            places.next().unwrap_or("policy"),
            "match.no-key",
            "没有说明匹配字段（tidm:matchKey），名单无法匹配",
            "no key is said (tidm:matchKey), so that no lists can be matched",
        ));
    }
}

/// Answers that small results would make say too much.
fn telling<'a>(it: &Matching, at: &impl Fn(Operand) -> &'a str, out: &mut Vec<Remark>) {
    let tells = it.reveals(Reveal::Sum) || it.reveals(Reveal::Size);
    if tells && it.least.is_none_or(|least| least < 2) {
        out.push(Remark::new(
            Severity::Warning,
            at(Operand::MatchReveal),
            "match.reveal",
            "未要求最少匹配数（tidm:minMatches）：单个匹配的和就是其数值，大小可用于逐条猜测",
            "no fewest matches are asked for (tidm:minMatches): a sum over one match is its value, and sizes answer guesses one by one",
        ));
    }
}
