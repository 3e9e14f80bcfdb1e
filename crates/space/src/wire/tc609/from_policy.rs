//! From an ODRL policy to a contract, given the contract's own data.
//!
//! Each rule is written, read back and compared. What did not come back as it was goes into an extension as a whole, and
//! what even that cannot hold into one that nobody understands: a permission never becomes wider on its way. Each of these
//! is told as a loss.

use crate::id::Id;
use crate::limits::{TC609_ACTIONS, TC609_VALUE_BYTES};
use crate::policy::model::{
    Action, Atomic, Constraint as Ours, Operand, Operator, Policy, Rule, Value,
};
use crate::tc609::code::{ProductCode, product_of};
use crate::tc609::document::{
    Act, BadDocument, Clause, Constraint, Document, EXTENSION, Expansion, Frame, Item, Name,
};
use crate::tc609::loss::{Kind, Loss};
use crate::tc609::words::{ACTIONS, ActionWord, ConstraintWord, Fit};

use super::clause::{Class, act as read_act, expansion as read_expansion};
use super::to_policy::{EXPANSION, action, header, only, profile, rules};
use super::{PREFIX, extension, parse, term, to_json};

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadMapping {
    #[error("{0}: names no product of the contract, which has several or none")]
    Product(String),
    #[error(transparent)]
    Document(#[from] BadDocument),
    #[error("would be longer than a contract may be: {0}")]
    Limits(String),
}

/// In the place of a duty of a policy; such duties hold no text of their own.
const DUTY: &str = ".policyExpansion";
const OWN: (&str, &str) = (
    "TC609 无此词，写入扩展，不认识扩展的一方须拒绝",
    "TC609 has no such word; written as an extension, which must be refused by who does not know it",
);
const UNWRITABLE: (&str, &str) = (
    "无法写入扩展，该策略任何节点都不会签署",
    "cannot be written even as an extension; the policy with it is one that no node signs",
);
const HEADER: (&str, &str) = (
    "与合约信息不同，合约文档以合约信息为准",
    "differs from what the contract's own data say, which stand in the document instead",
);
const UNSAID: (&str, &str) =
    ("TC609 无处可写，未写入文档", "TC609 has no place for it; not in the document");
const UNUSED: (&str, &str) =
    ("没有策略涉及该产品，未写入文档", "no policy is about this product; not in the document");

/// The contract, and what it says otherwise or not at all. Whoever needs all of the policy keeps the policy.
///
/// # Errors
/// [`BadMapping`] for what is no contract at all: no rule, no product, more than its bounds.
pub fn to_tc609(policy: &Policy, frame: &Frame) -> Result<(Document, Vec<Loss>), BadMapping> {
    let mut losses = vec![];
    let mut of = |rules: &[Rule], class| {
        let rules: Vec<Rule> = rules.iter().map(|it| with_policy(it, policy)).collect();
        items_of(&rules, class, frame, policy.target.as_ref(), &mut losses)
    };
    let mut document = Document {
        permissions: of(&policy.permissions, Class::Permission)?,
        prohibitions: of(&policy.prohibitions, Class::Prohibition)?,
        obligations: of(&policy.obligations, Class::Obligation)?,
        frame: Frame { subjects: vec![], ..frame.clone() },
    };
    let mut subjects = vec![];
    for (_, _, item) in document.items() {
        let said = frame.subjects.iter().find(|it| it.product == item.product);
        if let Some(said) = said.filter(|it| !subjects.contains(*it)) {
            subjects.push(said.clone());
        }
    }
    document.frame.subjects = subjects;
    let unused = frame.subjects.iter().filter(|it| !document.frame.subjects.contains(it));
    losses.extend(unused.map(|it| Loss::new("", it.product.as_str(), Kind::Dropped, UNUSED)));
    losses.extend(header_losses(policy, &document.frame));
    document.check()?;
    let again = parse(to_json(&document).to_string().as_bytes());
    match again {
        Ok(again) if again == document => Ok((document, losses)),
        Ok(_) => Err(BadMapping::Limits("reads as another contract".to_owned())),
        Err(fault) => Err(BadMapping::Limits(fault.to_string())),
    }
}

/// What is not understood in the policy is not understood in any of its rules.
fn with_policy(it: &Rule, policy: &Policy) -> Rule {
    let mut it = it.clone();
    it.unsupported.extend(policy.unsupported.iter().cloned());
    it.unsupported.sort_unstable();
    it.unsupported.dedup();
    it
}

fn header_losses(policy: &Policy, frame: &Frame) -> Vec<Loss> {
    let Some(said) = header(frame) else { return vec![] };
    let differs = [
        ("@id", policy.id != said.id),
        ("@type", policy.kind != said.kind),
        ("assigner", policy.assigner != said.assigner),
        ("assignee", policy.assignee != said.assignee),
        ("timestamp", policy.timestamp != said.timestamp),
        ("target", policy.target != said.target),
    ];
    let mut out: Vec<Loss> = differs
        .into_iter()
        .filter(|(_, differs)| *differs)
        .map(|(term, _)| Loss::new("", term, Kind::Dropped, HEADER))
        .collect();
    let mut unsaid = |term: &str| out.push(Loss::new("", term, Kind::Dropped, UNSAID));
    if policy.conflict.is_some() {
        unsaid("conflict");
    }
    if policy.verbatim.is_some() {
        unsaid("verbatim");
    }
    policy.extra.iter().for_each(|it| unsaid(it));
    if policy.profile != profile(policy) {
        policy.profile.iter().for_each(|it| unsaid(it));
    }
    out
}

/// The policies of one class; neighbours that differ in their action only are one.
pub(super) fn items_of(
    all: &[Rule],
    class: Class,
    frame: &Frame,
    target: Option<&Id>,
    losses: &mut Vec<Loss>,
) -> Result<Vec<Item>, BadMapping> {
    let mut out = vec![];
    for group in groups(all, class) {
        let Some(first) = group.first() else { continue };
        let place = format!("{}[{}]", class.name(), out.len());
        let product =
            product(first, frame, target).ok_or_else(|| BadMapping::Product(place.clone()))?;
        // A rule's own target that is the product is said by the product.
        let about = |it: &Rule| it.target.as_ref().and_then(product_of).as_ref() == Some(&product);
        let bare =
            |it: &Rule| Rule { target: it.target.clone().filter(|_| !about(it)), ..it.clone() };
        let group: Vec<Rule> = group.iter().map(bare).collect();
        let clause = clause(&group, class, &place, losses);
        out.push(Item { product, clause });
    }
    Ok(out)
}

fn product(rule: &Rule, frame: &Frame, target: Option<&Id>) -> Option<ProductCode> {
    let known = |id: &Id| {
        product_of(id).filter(|it| frame.subjects.iter().any(|subject| subject.product == *it))
    };
    let sole = || match frame.subjects.as_slice() {
        [one] => Some(one.product.clone()),
        _ => None,
    };
    rule.target.as_ref().and_then(known).or_else(|| target.and_then(known)).or_else(sole)
}

/// A rule as an action of TC609 and the rest: an action that is for some kinds of use says the condition on them.
fn face(it: &Rule, class: Class) -> (Act, Rule) {
    let granted = class == Class::Permission;
    if let (true, Some((first, rest))) = (granted, it.constraints.split_first()) {
        let mut words = ACTIONS.iter().filter(|word| !word.kinds.is_empty());
        let word =
            words.find(|word| word.ours.as_ref() == Some(&it.action) && only(word.kinds) == *first);
        if let Some(word) = word {
            return (Act::Listed(word), Rule { constraints: rest.to_vec(), ..it.clone() });
        }
    }
    (act(&it.action, granted), it.clone())
}

fn groups(all: &[Rule], class: Class) -> Vec<&[Rule]> {
    let bare = |it: &Rule| {
        let (act, rest) = face(it, class);
        (act, Rule { action: Action::Use, ..rest })
    };
    let mut out: Vec<&[Rule]> = vec![];
    let mut rest = all;
    while let Some(first) = rest.first() {
        let (act, like) = bare(first);
        let mut said = vec![act];
        for next in rest.iter().skip(1) {
            let (act, bare) = bare(next);
            if said.contains(&act) || said.len() >= TC609_ACTIONS || bare != like {
                break;
            }
            said.push(act);
        }
        let Some((group, after)) = rest.split_at_checked(said.len()) else { break };
        out.push(group);
        rest = after;
    }
    out
}

/// Rules that differ in their action only.
fn clause(group: &[Rule], class: Class, place: &str, losses: &mut Vec<Loss>) -> Clause {
    let faces: Vec<(Act, Rule)> = group.iter().map(|it| face(it, class)).collect();
    let actions: Vec<Act> = faces.iter().map(|(act, _)| act.clone()).collect();
    for it in &faces {
        losses.extend(action_loss(it, class == Class::Permission, place));
    }
    let Some((_, first)) = faces.first() else {
        return Clause { actions, constraints: vec![], expansion: None };
    };
    let mut told = vec![];
    let plain = Clause { actions: actions.clone(), ..terms(first, class, place, &mut told) };
    if rules(&plain, class, place, &mut vec![]) == group {
        losses.extend(told);
        return plain;
    }
    let whole = extension::write(first).map(|it| Clause {
        actions: actions.clone(),
        constraints: vec![it],
        expansion: None,
    });
    if let Some(whole) = whole.filter(|it| rules(it, class, place, &mut vec![]) == group) {
        losses.push(Loss::new(place, "constraint", Kind::Carried, OWN));
        return whole;
    }
    losses.push(Loss::new(place, "constraint", Kind::Dropped, UNWRITABLE));
    Clause { actions, constraints: extension::refused().into_iter().collect(), expansion: None }
}

/// Constraints and duties, each in TC609's words where it has some.
fn terms(rule: &Rule, class: Class, place: &str, losses: &mut Vec<Loss>) -> Clause {
    let mut rest = Rule { action: Action::Use, constraints: vec![], ..rule.clone() };
    let list = match class {
        Class::Permission => &mut rest.duties,
        Class::Prohibition => &mut rest.remedies,
        Class::Obligation => &mut rest.consequences,
    };
    let owed = std::mem::take(list);
    let duties: Vec<Clause> = groups(&owed, Class::Obligation)
        .iter()
        .enumerate()
        .map(|(i, group)| {
            let place = format!("{place}{DUTY}[{i}]");
            clause(group, Class::Obligation, &place, losses)
        })
        .collect();
    let mut expansion = (!duties.is_empty()).then_some(Expansion::Duties(duties));
    let mut said = rule.constraints.as_slice();
    if let (None, Some((Ours::Atomic(last), before))) = (&expansion, said.split_last())
        && let (true, Value::Text(text)) = (last.left.name() == EXPANSION, &last.right)
        && !place.contains(DUTY)
        && read_expansion(text, class) == Expansion::Text(text.clone())
        && !text.is_empty()
    {
        expansion = Some(Expansion::Text(text.clone()));
        losses.push(Loss::new(place, EXPANSION, Kind::Near, OWN));
        said = before;
    }
    let mut constraints = constraints(said, place, losses);
    let parts = [
        ("target", rest.target.is_some()),
        ("assignee", rest.assignee.is_some()),
        ("duty", !rest.duties.is_empty()),
        ("remedy", !rest.remedies.is_empty()),
        ("consequence", !rest.consequences.is_empty()),
    ];
    let mut names: Vec<&str> = parts.iter().filter(|(_, has)| *has).map(|(n, _)| *n).collect();
    names.extend(rest.unsupported.iter().map(String::as_str));
    if !names.is_empty() {
        constraints.extend(extension::write(&rest));
        losses.extend(names.iter().map(|it| Loss::new(place, *it, Kind::Carried, OWN)));
    }
    Clause { actions: vec![], constraints, expansion }
}

fn constraints(all: &[Ours], place: &str, losses: &mut Vec<Loss>) -> Vec<Constraint> {
    let named = |it: &Ours, names: &[&str], op: Option<&Operator>| match it {
        Ours::Atomic(it) => names.contains(&it.left.name()) && op.is_none_or(|op| *op == it.op),
        Ours::And(_) | Ours::Or(_) | Ours::Xone(_) | Ours::AndSequence(_) => false,
    };
    let unread = |code: &str, op: Option<&Operator>| {
        all.iter().any(|it| named(it, &[&format!("{PREFIX}{code}")], op))
    };
    let windowed = unread("count", None) && unread("timeWindow", Some(&Operator::Eq));
    let counted = all.iter().any(|it| named(it, &["count", "tc609:count"], None));
    // One window is for one frequency, and for nothing else.
    let others = ["tc609:frequency", "tc609:timeWindow", "timeInterval", "elapsedTime"];
    let rates = all.iter().filter(|it| named(it, &["tidm:frequency"], None)).count();
    let alone = !counted && !all.iter().any(|it| named(it, &others, None));
    let rated = rates == 1 && alone;
    let mut out = vec![];
    let mut rest = all;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if let (Ours::Atomic(amount), Some((Ours::Atomic(currency), others))) =
            (first, after.split_first())
            && (&amount.left, &currency.left) == (&Operand::PayAmount, &Operand::Currency)
            && let Some(price) = term::write_price(amount, currency)
        {
            out.push(Some(price));
            rest = others;
            continue;
        }
        if let (Ours::Atomic(it), true) = (first, rated)
            && it.left == Operand::Frequency
            && let Some(both) = term::write_rate(it)
        {
            if let Some(Fit::Near(zh, en)) = ConstraintWord::for_ours(&it.left).map(|it| it.fit) {
                losses.push(Loss::new(place, it.left.name(), Kind::Near, (zh, en)));
            }
            out.extend(both.map(Some));
            continue;
        }
        let lone = !windowed && counted && named(first, &["timeInterval"], None);
        match first {
            Ours::Atomic(it) if !lone => out.push(constraint(it, windowed, place, losses)),
            Ours::Atomic(_) | Ours::And(_) | Ours::Or(_) | Ours::Xone(_) | Ours::AndSequence(_) => {
                out.push(carried(first, place, losses));
            }
        }
    }
    out.into_iter().flatten().collect()
}

fn constraint(
    it: &Atomic,
    windowed: bool,
    place: &str,
    losses: &mut Vec<Loss>,
) -> Option<Constraint> {
    let whole = Ours::Atomic(it.clone());
    let back = |c: &Constraint| {
        // Our own extension would be read as what it holds.
        let mine = extension::read(c).is_some();
        let fits = (1..=TC609_VALUE_BYTES).contains(&c.value.len());
        let same =
            || term::read(c, windowed).unwrap_or_else(|| vec![term::unread(c)]) == [whole.clone()];
        !mine && fits && same()
    };
    let Some(said) = term::write(it).filter(back) else { return carried(&whole, place, losses) };
    if let Name::Listed(word) = &said.name
        && let Fit::Near(zh, en) = word.fit
    {
        losses.push(Loss::new(place, it.left.name(), Kind::Near, (zh, en)));
    }
    Some(said)
}

/// `None` where not even the extension holds it; the caller's comparison finds that.
fn carried(it: &Ours, place: &str, losses: &mut Vec<Loss>) -> Option<Constraint> {
    let term = match it {
        Ours::Atomic(it) => it.left.name(),
        Ours::And(_) => "and",
        Ours::Or(_) => "or",
        Ours::Xone(_) => "xone",
        Ours::AndSequence(_) => "andSequence",
    };
    losses.push(Loss::new(place, term, Kind::Carried, OWN));
    extension::write(&Rule::new(Action::Use, vec![it.clone()]))
}

/// `read(act(a))` is `a`. `granted`: of a permission.
fn act(it: &Action, granted: bool) -> Act {
    let own = || Act::Own(it.name().to_owned());
    if let Some(word) = ActionWord::for_ours(it, granted) {
        return Act::Listed(word);
    }
    let Some(kept) = it.name().strip_prefix(PREFIX) else { return own() };
    let json = match kept.strip_prefix(EXTENSION).and_then(|it| it.strip_prefix(':')) {
        Some(text) => serde_json::from_str::<serde_json::Value>(text)
            .map(|it| serde_json::json!({ EXTENSION: it })),
        None => Ok(kept.into()),
    };
    let found = json.ok().and_then(|it| read_act(&it));
    found.filter(|found| action(found, granted) == *it).unwrap_or_else(own)
}

fn action_loss((act, rule): &(Act, Rule), granted: bool, place: &str) -> Option<Loss> {
    let (kind, why) = match act {
        Act::Listed(word) => match word.fit {
            Fit::Granted(zh, en) if granted => (Kind::Near, (zh, en)),
            Fit::Near(zh, en) => (Kind::Near, (zh, en)),
            Fit::Same | Fit::Granted(..) | Fit::Missing(..) => return None,
        },
        Act::Unlisted(_) | Act::Foreign(_) => return None,
        Act::Own(_) => (Kind::Carried, OWN),
    };
    Some(Loss::new(place, rule.action.name(), kind, why))
}
