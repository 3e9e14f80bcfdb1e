//! What is wrong, weak or needless in a policy, before somebody signs or offers it.
//!
//! Threat: a policy that reads well and means something else: a window that is already over, a permission that a
//! prohibition swallows, a promise that nobody enforces. Never decides a use and never changes the policy; silence is no
//! proof that a policy is sensible, an error is proof that something in it can never work here.

use std::collections::BTreeMap;

use crate::lang::Lang;
use crate::policy::compile::{Side, compile, understand};
use crate::policy::duty;
use crate::policy::model::{Action, Constraint, Kind, Operand, Policy, Rule};
use crate::policy::span::Span;
use crate::policy::terms::{Clause, Delete, Limits, Terms, Test};
use crate::policy::usage::Use;
use crate::time::Time;

mod conflict;
mod level;
mod limit;
pub(super) mod reason;
mod refused;
mod room;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It cannot be signed, or can never work.
    Error,
    /// It works, and likely not as meant.
    Warning,
    /// Worth knowing.
    Note,
}

impl Severity {
    pub fn words(self, lang: Lang) -> &'static str {
        match self {
            Self::Error => lang.pick("错误", "error"),
            Self::Warning => lang.pick("警告", "warning"),
            Self::Note => lang.pick("提示", "note"),
        }
    }
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    pub severity: Severity,
    /// For example `permission[0].constraint[2]`, or `policy`.
    pub place: String,
    /// Stable.
    pub code: &'static str,
    pub zh: String,
    pub en: String,
}

impl Remark {
    fn new(
        severity: Severity,
        place: impl Into<String>,
        code: &'static str,
        zh: impl Into<String>,
        en: impl Into<String>,
    ) -> Self {
        Self { severity, place: place.into(), code, zh: zh.into(), en: en.into() }
    }

    pub fn text(&self, lang: Lang) -> &str {
        lang.pick(&self.zh, &self.en)
    }
}

/// A permission or prohibition, with what is understood of it by itself.
struct Ruled<'a> {
    rule: &'a Rule,
    place: String,
    side: Side,
    clause: Option<Clause>,
}

/// All remarks on a policy, errors first. `kinds`: the uses that are offered or asked for.
pub fn check(policy: &Policy, now: Time, kinds: &[Use]) -> Vec<Remark> {
    let mut out = vec![];
    refused::remarks(policy, &mut out);
    if policy.permissions.is_empty() {
        out.push(Remark::new(
            Severity::Error,
            "policy",
            "policy.permits-nothing",
            "策略没有任何许可，因此什么都不允许",
            "the policy has no permission, so that it permits nothing",
        ));
    }
    let rules = ruled(policy);
    for it in &rules {
        room::remarks(it, policy, now, &mut out);
        limit::remarks(it, &mut out);
    }
    conflict::remarks(policy, &rules, &mut out);
    wider(&rules, &mut out);
    repeated(policy, &mut out);
    for it in &rules {
        for (i, constraint) in it.rule.constraints.iter().enumerate() {
            minutes(constraint, &format!("{}.constraint[{i}]", it.place), &mut out);
        }
    }
    let terms = compile(policy).ok();
    deletion(policy, terms.as_ref(), now, &mut out);
    passing(policy, &mut out);
    let usable = usable(terms.as_ref(), kinds, &mut out);
    level::remarks(policy, &usable, &mut out);
    out.sort_by_key(|it| it.severity);
    out
}

/// A policy of the same kind with nothing in it.
fn empty(policy: &Policy) -> Policy {
    Policy::new(policy.id.clone(), policy.kind)
}

fn ruled(policy: &Policy) -> Vec<Ruled<'_>> {
    let one = |(i, rule): (usize, &'_ Rule), name: &str, side: Side| {
        let mut alone = empty(policy);
        let rules =
            if side == Side::Grant { &mut alone.permissions } else { &mut alone.prohibitions };
        rules.push(rule.clone());
        let mut read = understand(&alone).ok();
        let clause = read.as_mut().and_then(|it| it.grants.pop().or_else(|| it.bans.pop()));
        let place = format!("{name}[{i}]");
        (place.clone(), side, clause.map(|it| Clause { place, ..it }))
    };
    let mut out = vec![];
    for (rules, name, side) in [
        (&policy.permissions, "permission", Side::Grant),
        (&policy.prohibitions, "prohibition", Side::Ban),
    ] {
        for (i, rule) in rules.iter().enumerate() {
            let (place, side, clause) = one((i, rule), name, side);
            out.push(Ruled { rule, place, side, clause });
        }
    }
    out
}

/// Permissions that another one, without any condition, makes needless: what is meant to be narrow is not.
fn wider(rules: &[Ruled<'_>], out: &mut Vec<Remark>) {
    let grants = || rules.iter().filter(|it| it.side == Side::Grant);
    let free = |it: &Clause| {
        it.when == Test::All(vec![])
            && it.limits == Limits::default()
            && it.duties.is_empty()
            && it.target.is_none()
            && it.assignee.is_none()
    };
    for it in grants() {
        let Some(clause) = &it.clause else { continue };
        let wide = grants()
            .filter_map(|other| other.clause.as_ref())
            // Derived products must be permitted by name.
            .filter(|other| clause.action != Action::Derive || other.action == Action::Derive)
            .find(|other| free(other) && other.action.covers(&clause.action) && !free(clause));
        if let Some(other) = wide {
            out.push(Remark::new(
                Severity::Warning,
                &it.place,
                "rule.idle",
                format!("{} 无条件地允许同样的行为，本许可的条件不起作用", other.place),
                format!(
                    "{} permits the same without any condition, so that the conditions here bind nobody",
                    other.place
                ),
            ));
        }
    }
}

/// Rules that are said twice.
fn repeated(policy: &Policy, out: &mut Vec<Remark>) {
    for (rules, name) in [
        (&policy.permissions, "permission"),
        (&policy.prohibitions, "prohibition"),
        (&policy.obligations, "obligation"),
    ] {
        for (i, rule) in rules.iter().enumerate() {
            if let Some(j) = rules.iter().take(i).position(|it| it == rule) {
                out.push(Remark::new(
                    Severity::Note,
                    format!("{name}[{i}]"),
                    "rule.repeated",
                    format!("与 {name}[{j}] 完全相同"),
                    format!("says the same as {name}[{j}]"),
                ));
            }
        }
    }
}

/// Durations in months that were likely meant in minutes.
fn minutes(it: &Constraint, place: &str, out: &mut Vec<Remark>) {
    let (name, parts) = match it {
        Constraint::Atomic(it) => {
            let text = it.right.as_text().filter(|text| Span::looks_like_minutes(text));
            let lasts = matches!(
                it.left,
                Operand::ElapsedTime
                    | Operand::DelayPeriod
                    | Operand::MeteredTime
                    | Operand::TimeInterval
            );
            if let Some(text) = text.filter(|_| lasts) {
                let minutes = text.replacen('P', "PT", 1);
                out.push(Remark::new(
                    Severity::Warning,
                    place,
                    "duration.months",
                    format!("{text} 是月数；分钟写作 {minutes}"),
                    format!("{text} are months; minutes are written {minutes}"),
                ));
            }
            return;
        }
        Constraint::And(parts) => ("and", parts),
        Constraint::Or(parts) => ("or", parts),
        Constraint::Xone(parts) => ("xone", parts),
        Constraint::AndSequence(parts) => ("andSequence", parts),
    };
    for (i, part) in parts.iter().enumerate() {
        minutes(part, &format!("{place}.{name}[{i}]"), out);
    }
}

/// Deletion that is over, or comes before the use may end.
fn deletion(policy: &Policy, terms: Option<&Terms>, now: Time, out: &mut Vec<Remark>) {
    for (i, rule) in policy.obligations.iter().enumerate() {
        if rule.action != Action::Delete {
            continue;
        }
        let Ok(Delete::By(at)) = duty::delete(rule) else { continue };
        let place = format!("obligation[{i}]");
        if at < now {
            let severity =
                if policy.kind == Kind::Agreement { Severity::Note } else { Severity::Error };
            out.push(Remark::new(
                severity,
                &place,
                "delete.past",
                "删除期限已过",
                "the date of deletion is already over",
            ));
        }
        if terms.is_some_and(|it| it.summary.until.is_some_and(|until| at < until)) {
            out.push(Remark::new(
                Severity::Warning,
                place,
                "delete.early",
                "合约随删除期限终止，早于条款所说的最晚使用时间",
                "the contract ends with the deletion of its copies, before the last use that its terms name",
            ));
        }
    }
}

/// A duty about products made of the data, where nobody may make any.
fn passing(policy: &Policy, out: &mut Vec<Remark>) {
    let makes = |it: &Rule| matches!(it.action, Action::Derive | Action::Distribute);
    let owed = policy.obligations.iter().position(|it| it.action == Action::NextPolicy);
    if let Some(i) = owed.filter(|_| !policy.permissions.iter().any(makes)) {
        out.push(Remark::new(
            Severity::Note,
            format!("obligation[{i}]"),
            "next.idle",
            "没有许可允许制作衍生产品或转交，此义务不起作用",
            "no permission allows derived products or handing on, so that the duty says nothing",
        ));
    }
}

/// The kinds in which the policy can be used; remarks on the others.
fn usable(terms: Option<&Terms>, kinds: &[Use], out: &mut Vec<Remark>) -> Vec<Use> {
    let Some(terms) = terms else { return vec![] };
    let mut why: BTreeMap<(Severity, &'static str), Vec<Use>> = BTreeMap::new();
    let mut usable = vec![];
    for kind in kinds {
        let mut reasons = terms.unkeepable(*kind);
        let action = kind.action();
        if !terms.grants.iter().any(|it| it.action.covers(&action)) {
            reasons.push(reason::UNGRANTED);
        } else if reasons.is_empty()
            && terms
                .grants
                .iter()
                .all(|it| room::level(it).is_some_and(|least| !kind.reaches(least)))
        {
            reasons.push(reason::TOO_WEAK);
        }
        if reasons.is_empty() && !usable.contains(kind) {
            usable.push(*kind);
        }
        for reason in reasons {
            let meant = !terms.summary.allows(*kind);
            let severity = if meant { Severity::Note } else { Severity::Warning };
            why.entry((severity, reason)).or_default().push(*kind);
        }
    }
    for ((severity, why), kinds) in why {
        let names = names(&kinds);
        out.push(Remark::new(
            severity,
            "policy",
            "kind.unusable",
            format!("不能用于 {names}：{}", reason::zh(why)),
            format!("not for {names}: {why}"),
        ));
    }
    if usable.is_empty() && !kinds.is_empty() {
        let names = names(kinds);
        out.push(Remark::new(
            Severity::Error,
            "policy",
            "kind.none",
            format!("以下使用方式均不可用：{names}"),
            format!("it can be used in none of these ways: {names}"),
        ));
    }
    usable
}

fn names(kinds: &[Use]) -> String {
    let names: Vec<&str> = kinds.iter().map(|it| it.name()).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests;
