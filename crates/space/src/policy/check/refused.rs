//! Terms that a node does not sign, each with the place where it stands.
//!
//! Never refuses anything itself: every refusal is one of [`compile`]'s, whose place is found by compiling parts.

use std::collections::BTreeMap;

use crate::policy::check::{Remark, Severity, empty, reason};
use crate::policy::compile::{Refusal, compile};
use crate::policy::model::{Constraint, Policy, Rule};

/// How often each refusal is still without a place.
type Open = BTreeMap<(String, &'static str), usize>;

pub(super) fn remarks(policy: &Policy, out: &mut Vec<Remark>) {
    let Err(all) = compile(policy) else { return };
    let mut open = count(all);
    // Told by `conflict`, with both places.
    open.retain(|(_, why), _| ![reason::VOID, reason::PERHAPS].contains(why));
    type List = fn(&mut Policy) -> &mut Vec<Rule>;
    let lists: [(&str, &[Rule], List); 3] = [
        ("permission", &policy.permissions, |it| &mut it.permissions),
        ("prohibition", &policy.prohibitions, |it| &mut it.prohibitions),
        ("obligation", &policy.obligations, |it| &mut it.obligations),
    ];
    for (name, rules, list) in lists {
        let refused = |rule: &Rule| {
            let mut alone = empty(policy);
            list(&mut alone).push(rule.clone());
            count(compile(&alone).err().unwrap_or_default())
        };
        for (i, rule) in rules.iter().enumerate() {
            in_rule(rule, &format!("{name}[{i}]"), &refused, &mut open, out);
        }
    }
    found("policy", open.clone(), &mut open, out);
}

fn count(all: Vec<Refusal>) -> Open {
    let mut out = Open::new();
    for it in all {
        let n = out.entry((it.term, it.why)).or_default();
        *n = n.saturating_add(1);
    }
    out
}

/// Those of `here` that have no place yet have it now.
fn found(place: &str, here: Open, open: &mut Open, out: &mut Vec<Remark>) {
    for ((term, why), n) in here {
        let key = (term, why);
        let Some(left) = open.get_mut(&key).filter(|left| **left > 0) else { continue };
        *left = left.saturating_sub(n);
        let (term, why) = key;
        out.push(Remark::new(
            Severity::Error,
            place,
            "term.refused",
            format!("不能签署 {term}：{}", reason::zh(why)),
            format!("{term} cannot be signed: it {why}"),
        ));
    }
}

fn in_rule(
    rule: &Rule,
    place: &str,
    refused: &dyn Fn(&Rule) -> Open,
    open: &mut Open,
    out: &mut Vec<Remark>,
) {
    let whole = refused(rule);
    if whole.is_empty() {
        return;
    }
    let bare = |constraints: Vec<Constraint>| Rule::new(rule.action.clone(), constraints);
    let without = refused(&bare(vec![]));
    for (i, it) in rule.constraints.iter().enumerate() {
        let here = format!("{place}.constraint[{i}]");
        in_constraint(it, &here, &|it| refused(&bare(vec![it])), (&without, &whole), open, out);
    }
    let lists =
        [("duty", &rule.duties), ("remedy", &rule.remedies), ("consequence", &rule.consequences)];
    for (name, all) in lists {
        for (i, it) in all.iter().enumerate() {
            let mut alone = bare(vec![]);
            let list = match name {
                "duty" => &mut alone.duties,
                "remedy" => &mut alone.remedies,
                _ => &mut alone.consequences,
            };
            list.push(it.clone());
            let here = less(refused(&alone), &without, &whole);
            found(&format!("{place}.{name}[{i}]"), here, open, out);
        }
    }
    found(place, whole, open, out);
}

fn in_constraint(
    it: &Constraint,
    place: &str,
    refused: &dyn Fn(Constraint) -> Open,
    (without, whole): (&Open, &Open),
    open: &mut Open,
    out: &mut Vec<Remark>,
) {
    let here = less(refused(it.clone()), without, whole);
    if here.is_empty() {
        return;
    }
    type Group = fn(Vec<Constraint>) -> Constraint;
    let (name, parts, group): (&str, &[Constraint], Group) = match it {
        Constraint::Atomic(_) => ("", &[], Constraint::And),
        Constraint::And(parts) => ("and", parts, Constraint::And),
        Constraint::Or(parts) => ("or", parts, Constraint::Or),
        Constraint::Xone(parts) => ("xone", parts, Constraint::Xone),
        Constraint::AndSequence(parts) => ("andSequence", parts, Constraint::AndSequence),
    };
    for (i, part) in parts.iter().enumerate() {
        let inner = |it: Constraint| refused(group(vec![it]));
        let place = format!("{place}.{name}[{i}]");
        in_constraint(part, &place, &inner, (without, whole), open, out);
    }
    found(place, here, open, out);
}

/// What a part adds to the refusals of the bare rule, as far as the whole rule has it too.
fn less(here: Open, without: &Open, whole: &Open) -> Open {
    here.into_iter()
        .filter_map(|(key, n)| {
            let own = n.saturating_sub(without.get(&key).copied().unwrap_or(0));
            (own > 0 && whole.contains_key(&key)).then_some((key, own))
        })
        .collect()
}
