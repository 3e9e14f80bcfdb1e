//! From a contract to an ODRL policy.
//!
//! Never drops a term: what we have no word for stays under its TC609 name, which no node signs. The contract's own data
//! (names, states, nodes, signatures) stay in the document's frame; what of them bounds a use is told as a loss.

use crate::limits::{POLICY_CONSTRAINTS, POLICY_RULES};
use crate::policy::model::{
    Action, Atomic, Constraint as Ours, Kind as PolicyKind, Operand, Operator, PROFILE, Policy,
    Rule, Value,
};
use crate::policy::usage::Use;
use crate::tc609::code::urn;
use crate::tc609::document::{
    Act, Clause, Constraint, Document, EXTENSION, Expansion, Frame, Item, Name, Role,
};
use crate::tc609::loss::{Kind, Loss};
use crate::tc609::words::Fit;

use super::clause::Class;
use super::from_policy::items_of;
use super::{PREFIX, extension, term};

/// Its name for a policy's extension in words.
pub(super) const EXPANSION: &str = "tc609:policyExpansion";

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "more than {POLICY_RULES} rules or {POLICY_CONSTRAINTS} constraints as ODRL, or not a contract's codes"
)]
pub struct TooMany;

const VALUE: (&str, &str) = (
    "取值或运算符不符合字典格式，以 TC609 名称保留，节点拒绝签署",
    "its value or operator is not in the dictionary's form; kept under its TC609 name, which no node signs",
);
const WINDOWED: (&str, &str) = (
    "次数与时间窗口同现，意为每窗口次数，标准未写明，以 TC609 名称保留",
    "a count beside a window may mean per window, which the standard leaves open; kept under its TC609 name",
);
const UNLISTED: (&str, &str) = (
    "不在 TC609 字典中，以其名称保留，节点拒绝签署",
    "is not in TC609's dictionary; kept under its name, which no node signs",
);
const FOREIGN: (&str, &str) = (
    "他方扩展，原样保留，节点拒绝签署",
    "is somebody else's extension; kept as it came, which no node signs",
);
const WORDS: (&str, &str) = (
    "策略扩展为自由文本，原样保留，节点拒绝签署",
    "is an extension in words; kept as it came, which no node signs",
);
const FRAME: (&str, &str) = (
    "属合约信息，ODRL 策略无处可写，仍在合约文档中，使用前须另行核对",
    "belongs to the contract, not to the ODRL policy; stays in the document and must be checked beside the policy",
);
const REGROUPED: (&str, &str) =
    ("返回时写法不同，含义不变", "comes back written otherwise, with the same meaning");

/// The policy, and what it cannot say.
pub fn from_tc609(it: &Document) -> Result<(Policy, Vec<Loss>), TooMany> {
    let mut losses = of_frame(&it.frame);
    let mut policy = header(&it.frame).ok_or(TooMany)?;
    for class in Class::ALL {
        let items = match class {
            Class::Permission => &it.permissions,
            Class::Prohibition => &it.prohibitions,
            Class::Obligation => &it.obligations,
        };
        let mut rules = vec![];
        for (i, item) in items.iter().enumerate() {
            let place = format!("{}[{i}]", class.name());
            rules.extend(item_rules(item, class, &it.frame, &place, &mut losses));
        }
        let again = items_of(&rules, class, &it.frame, policy.target.as_ref(), &mut vec![]);
        if again.as_ref() != Ok(items) {
            losses.push(Loss::new("", class.field(), Kind::Near, REGROUPED));
        }
        match class {
            Class::Permission => policy.permissions = rules,
            Class::Prohibition => policy.prohibitions = rules,
            Class::Obligation => policy.obligations = rules,
        }
    }
    policy.profile = profile(&policy);
    let all = [&policy.permissions, &policy.prohibitions, &policy.obligations];
    let (rules, constraints) = all.into_iter().flatten().fold((0, 0), size);
    if rules > POLICY_RULES || constraints > POLICY_CONSTRAINTS {
        return Err(TooMany);
    }
    Ok((policy, losses))
}

fn size((rules, constraints): (usize, usize), it: &Rule) -> (usize, usize) {
    fn count(it: &Ours) -> usize {
        match it {
            Ours::Atomic(_) => 1,
            Ours::And(all) | Ours::Or(all) | Ours::Xone(all) | Ours::AndSequence(all) => {
                1 + all.iter().map(count).sum::<usize>()
            }
        }
    }
    let own = it.constraints.iter().map(count).sum::<usize>();
    let inner = [&it.duties, &it.remedies, &it.consequences];
    inner.into_iter().flatten().fold((rules + 1, constraints + own), size)
}

/// Everything but the rules.
pub(super) fn header(frame: &Frame) -> Option<Policy> {
    let kind = if frame.status.binds() { PolicyKind::Agreement } else { PolicyKind::Offer };
    let mut policy = Policy::new(urn(frame.id.as_str())?, kind);
    let party = |role| frame.sole(role).and_then(|it| urn(it.id.as_str()));
    policy.assigner = party(Role::Provider);
    policy.assignee = party(Role::Consumer);
    if let [one] = frame.subjects.as_slice() {
        policy.target = urn(one.product.as_str());
    }
    if kind == PolicyKind::Agreement {
        policy.timestamp = frame.signed.map(|it| it.to_string());
    }
    Some(policy)
}

/// Our own terms want our profile.
pub(super) fn profile(policy: &Policy) -> Vec<String> {
    fn own(it: &Ours) -> bool {
        match it {
            Ours::Atomic(it) => it.left.name().starts_with("tidm:"),
            Ours::And(all) | Ours::Or(all) | Ours::Xone(all) | Ours::AndSequence(all) => {
                all.iter().any(own)
            }
        }
    }
    let all = [&policy.permissions, &policy.prohibitions, &policy.obligations];
    let uses = all.into_iter().flatten().flat_map(|it| &it.constraints).any(own);
    if uses { vec![PROFILE.to_owned()] } else { vec![] }
}

fn of_frame(it: &Frame) -> Vec<Loss> {
    let several = |role| it.sole(role).is_none() && it.signatories.iter().any(|s| s.role == role);
    let others = [Role::ServiceProvider, Role::Other];
    [
        ("indate", true),
        ("activationTime", it.from.is_some()),
        ("executionNodeInfo", true),
        (
            "signatoryEntities",
            it.signatories.iter().any(|s| others.contains(&s.role))
                || several(Role::Provider)
                || several(Role::Consumer),
        ),
        ("signature", it.signatories.iter().any(|s| s.signature.is_some())),
        ("expansionItem", it.expansion.is_some()),
    ]
    .into_iter()
    .filter(|(_, lost)| *lost)
    .map(|(term, _)| Loss::new("", term, Kind::Dropped, FRAME))
    .collect()
}

fn item_rules(
    it: &Item,
    class: Class,
    frame: &Frame,
    place: &str,
    losses: &mut Vec<Loss>,
) -> Vec<Rule> {
    let mut rules = rules(&it.clause, class, place, losses);
    if frame.subjects.len() > 1 {
        for rule in &mut rules {
            rule.target = rule.target.take().or_else(|| urn(it.product.as_str()));
        }
    }
    rules
}

/// One rule for each action.
pub(super) fn rules(it: &Clause, class: Class, place: &str, losses: &mut Vec<Loss>) -> Vec<Rule> {
    let mut base = base(&it.constraints, place, losses);
    let granted = class == Class::Permission;
    match &it.expansion {
        None => {}
        Some(Expansion::Text(text)) => {
            losses.push(Loss::new(place, "policyExpansion", Kind::Carried, WORDS));
            let left = Operand::Unknown(EXPANSION.to_owned());
            base.constraints.push(Atomic::new(left, Operator::Eq, Value::text(text)).into());
        }
        Some(Expansion::Duties(all)) => {
            let list = match class {
                Class::Permission => &mut base.duties,
                Class::Prohibition => &mut base.remedies,
                Class::Obligation => &mut base.consequences,
            };
            for (i, duty) in all.iter().enumerate() {
                let place = format!("{place}.policyExpansion[{i}]");
                list.extend(rules(duty, Class::Obligation, &place, losses));
            }
        }
    }
    it.actions
        .iter()
        .map(|act| {
            losses.extend(action_loss(act, granted, place));
            let mut rule = Rule { action: action(act, granted), ..base.clone() };
            if let Act::Listed(word) = act
                && granted
                && !word.kinds.is_empty()
            {
                rule.constraints.insert(0, only(word.kinds));
            }
            rule
        })
        .collect()
}

/// The condition that names kinds of use.
pub(super) fn only(kinds: &[Use]) -> Ours {
    let name = |it: &Use| Value::text(it.name());
    let (op, right) = match kinds {
        [one] => (Operator::Eq, name(one)),
        all => (Operator::IsAnyOf, Value::List(all.iter().map(name).collect())),
    };
    Atomic::new(Operand::KindOfUse, op, right).into()
}

/// `granted`: of a permission.
pub(super) fn action(it: &Act, granted: bool) -> Action {
    let kept = |name: &str| Action::Unknown(format!("{PREFIX}{name}"));
    match it {
        Act::Listed(word) => {
            let fits = granted || !matches!(word.fit, Fit::Granted(..));
            word.ours.clone().filter(|_| fits).unwrap_or_else(|| kept(word.code))
        }
        Act::Unlisted(token) => kept(token),
        Act::Own(name) => Action::from_name(name),
        Act::Foreign(text) => kept(&format!("{EXTENSION}:{text}")),
    }
}

fn action_loss(it: &Act, granted: bool, place: &str) -> Option<Loss> {
    let (term, kind, why) = match it {
        Act::Listed(word) => match word.fit {
            Fit::Same => return None,
            Fit::Granted(zh, en) => {
                (word.code, if granted { Kind::Near } else { Kind::Carried }, (zh, en))
            }
            Fit::Near(zh, en) => (word.code, Kind::Near, (zh, en)),
            Fit::Missing(zh, en) => (word.code, Kind::Carried, (zh, en)),
        },
        Act::Unlisted(token) => (token.as_str(), Kind::Carried, UNLISTED),
        Act::Own(_) => return None,
        Act::Foreign(_) => (EXTENSION, Kind::Carried, FOREIGN),
    };
    Some(Loss::new(place, term, kind, why))
}

/// A rule with all that constraints say, extensions among them.
fn base(all: &[Constraint], place: &str, losses: &mut Vec<Loss>) -> Rule {
    let windowed = term::windowed(all);
    let rate = term::rate(all);
    let mut base = Rule::new(Action::Use, vec![]);
    for (at, it) in all.iter().enumerate() {
        if let Some(rate) = rate.as_ref().filter(|rate| rate.at.contains(&at)) {
            // Said where the first of the two stands.
            if rate.at.iter().min() == Some(&at) {
                base.constraints.push(rate.ours.clone());
            }
            losses.extend(constraint_loss(it, true, windowed, place));
            continue;
        }
        if let Some(more) = extension::read(it) {
            base.constraints.extend(more.constraints);
            base.target = base.target.or(more.target);
            base.assignee = base.assignee.or(more.assignee);
            base.duties.extend(more.duties);
            base.remedies.extend(more.remedies);
            base.consequences.extend(more.consequences);
            base.unsupported.extend(more.unsupported);
            continue;
        }
        let said = term::read(it, windowed);
        losses.extend(constraint_loss(it, said.is_some(), windowed, place));
        base.constraints.extend(said.unwrap_or_else(|| vec![term::unread(it)]));
    }
    base
}

fn constraint_loss(it: &Constraint, read: bool, windowed: bool, place: &str) -> Option<Loss> {
    let (kind, why) = match &it.name {
        Name::Extension => (Kind::Carried, FOREIGN),
        Name::Unlisted(_) => (Kind::Carried, UNLISTED),
        Name::Listed(word) => match word.fit {
            Fit::Missing(zh, en) => (Kind::Carried, (zh, en)),
            Fit::Near(zh, en) | Fit::Granted(zh, en) if read => (Kind::Near, (zh, en)),
            Fit::Same if read => return None,
            Fit::Near(zh, en) if word.code == "frequency" => (Kind::Carried, (zh, en)),
            Fit::Near(..) | Fit::Granted(..) | Fit::Same => {
                let pair = windowed && ["count", "timeWindow"].contains(&word.code);
                (Kind::Carried, if pair { WINDOWED } else { VALUE })
            }
        },
    };
    Some(Loss::new(place, it.name.code(), kind, why))
}
