//! What changed between two policies, in sentences: what came, what went, what stayed.
//!
//! Never hides a change: a term that moved from one rule to another went here and came there, and terms that
//! nobody understands are compared as they are written.

use crate::lang::Lang;
use crate::policy::model::{Action, Policy};
use crate::policy::render::{Sentence, render_in};
use crate::policy::scene::Scene;
use crate::policy::usage::Use;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diff {
    /// Said by the later policy only.
    pub added: Vec<Sentence>,
    /// Said by the earlier policy only.
    pub removed: Vec<Sentence>,
    /// Said by both.
    pub kept: Vec<Sentence>,
}

impl Diff {
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty()
    }
}

/// From `before` to `after`, as the sentences hold for one kind of use; in the order of the policies.
pub fn diff(before: &Policy, after: &Policy, lang: Lang, kind: Use) -> Diff {
    // Alternatives are told apart by their number, or a term could move between them unseen.
    let many = uses(before) > 1 || uses(after) > 1;
    let mut left = sentences(before, many, lang, kind);
    let mut out = Diff::default();
    for it in sentences(after, many, lang, kind) {
        match left.iter().position(|had| had.text == it.text && had.understood == it.understood) {
            Some(at) => {
                left.remove(at);
                out.kept.push(it);
            }
            None => out.added.push(it),
        }
    }
    out.removed = left;
    out
}

fn uses(it: &Policy) -> usize {
    it.permissions.iter().filter(|it| it.action == Action::Use).count()
}

/// Every sentence with the rule that it belongs to, except those of the one permission to use.
fn sentences(policy: &Policy, many: bool, lang: Lang, kind: Use) -> Vec<Sentence> {
    let mut out = vec![];
    let mut number = 0;
    let scene = Scene::of(policy, kind);
    for rule in &policy.permissions {
        let is_use = rule.action == Action::Use;
        number += usize::from(is_use);
        let numbered = many && is_use;
        let name = numbered.then(|| match lang {
            Lang::Zh => format!("许可 {number}："),
            Lang::En => format!("Permission {number}: "),
        });
        let part = only(policy, |it| it.permissions.push(rule.clone()));
        out.extend(of_rule(render_in(&part, lang, scene), name, !is_use, lang));
    }
    for rule in &policy.prohibitions {
        let part = only(policy, |it| it.prohibitions.push(rule.clone()));
        out.extend(of_rule(render_in(&part, lang, scene), None, true, lang));
    }
    let rest = only(policy, |it| {
        it.obligations.clone_from(&policy.obligations);
        it.unsupported.clone_from(&policy.unsupported);
    });
    out.extend(render_in(&rest, lang, scene));
    out
}

/// An empty policy of the same id with some rules of `policy`.
fn only(policy: &Policy, fill: impl FnOnce(&mut Policy)) -> Policy {
    let mut part = Policy::new(policy.id.clone(), policy.kind);
    fill(&mut part);
    part
}

/// The first sentence of a rule names its action; the others mean something under it alone.
fn of_rule(all: Vec<Sentence>, name: Option<String>, headed: bool, lang: Lang) -> Vec<Sentence> {
    let head = all.first().map(|it| it.text.clone()).filter(|_| headed);
    let say = |(at, it): (usize, Sentence)| {
        let mut text = name.clone().unwrap_or_default();
        if let (Some(head), true) = (&head, at > 0) {
            text.push_str(head);
            text.push_str(lang.pick("", " "));
        }
        text.push_str(&it.text);
        Sentence { text, ..it }
    };
    all.into_iter().enumerate().map(say).collect()
}

#[cfg(test)]
mod tests;
