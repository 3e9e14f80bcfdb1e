//! Policies in sentences, Chinese and English, each with who enforces it (decision D4).
//!
//! Never drops a term: what is not understood is said verbatim and marked as such. A term is never shown with a
//! higher level than the kind of use has under these very terms ([`Scene`]).

use crate::lang::Lang;
use crate::policy::compile::{self, Part, Side};
use crate::policy::duty;
use crate::policy::matching::MatchLimit;
use crate::policy::model::{Action, Atomic, Constraint, Policy, Rule};
use crate::policy::reach::{Reach, exercised};
use crate::policy::scene::Scene;
use crate::policy::terms::{Delete, Limit, Test, Topic};
use crate::policy::usage::{Level, Use};
use crate::policy::words::{clock, limit_words, mark_words, test_words};

/// One thing a policy says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sentence {
    pub text: String,
    pub level: Level,
    /// `false`: the term is not understood here and the policy cannot be signed.
    pub understood: bool,
}

/// All sentences of a policy as they hold for one kind of use.
pub fn render(policy: &Policy, lang: Lang, kind: Use) -> Vec<Sentence> {
    render_in(policy, lang, Scene::of(policy, kind))
}

/// Of a part of a policy, as it holds under the whole of it.
pub(super) fn render_in(policy: &Policy, lang: Lang, scene: Scene) -> Vec<Sentence> {
    let mut out = vec![];
    for (rules, permission) in [(&policy.permissions, true), (&policy.prohibitions, false)] {
        for rule in rules {
            rule_sentences(rule, permission, lang, scene, &mut out);
        }
    }
    for rule in &policy.obligations {
        out.push(duty_sentence(rule, lang, scene));
    }
    out.extend(policy.unsupported.iter().map(|name| unknown(name, lang)));
    out
}

fn unknown(term: &str, lang: Lang) -> Sentence {
    let text = format!("{}{term}", lang.pick("不支持的条款：", "Term not understood: "));
    Sentence { text, level: Level::E0, understood: false }
}

/// Understood, and kept by nobody here: said in words, and marked as what cannot be signed.
fn unkept(text: &str, lang: Lang) -> Sentence {
    let text = format!("{}{text}", lang.pick("此处无法保证的条款：", "Cannot be kept here: "));
    Sentence { text, level: Level::E0, understood: false }
}

/// How well a term is known, from worst to best.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Grasp {
    Unknown,
    Understood,
    Kept,
}

fn said(text: String, level: Level) -> Sentence {
    Sentence { text, level, understood: true }
}

fn rule_sentences(
    rule: &Rule,
    permission: bool,
    lang: Lang,
    scene: Scene,
    out: &mut Vec<Sentence>,
) {
    let side = if permission { Side::Grant } else { Side::Ban };
    if let Action::Unknown(name) = &rule.action {
        out.push(unknown(name, lang));
    } else if !exercised(&rule.action) {
        out.push(unkept(&named(&rule.action, lang), lang));
    } else {
        let action = rule.action.words(lang);
        let text = match (permission, rule.constraints.is_empty(), lang) {
            (true, _, Lang::Zh) => format!("允许{action}。"),
            (true, _, Lang::En) => format!("Permitted: {action}."),
            (false, true, Lang::Zh) => format!("禁止{action}。"),
            (false, true, Lang::En) => format!("Prohibited: {action}."),
            (false, false, Lang::Zh) => format!("以下条件同时成立时禁止{action}："),
            (false, false, Lang::En) => {
                format!("Prohibited when all of the following hold: {action}.")
            }
        };
        out.push(said(text, act_level(&rule.action, scene)));
    }
    for constraint in &rule.constraints {
        // Side by side at the top, each its own sentence.
        match constraint {
            Constraint::And(parts) => {
                out.extend(parts.iter().map(|p| sentence(p, side, lang, scene)));
            }
            Constraint::Atomic(_)
            | Constraint::Or(_)
            | Constraint::Xone(_)
            | Constraint::AndSequence(_) => {
                out.push(sentence(constraint, side, lang, scene));
            }
        }
    }
    out.extend(rule.unsupported.iter().map(|name| unknown(name, lang)));
    out.extend(own_parties(rule, lang));
    out.extend(rule.remedies.iter().map(|it| {
        let name = lang.pick("违反后的补救：", "remedy of an infringement: ");
        unkept(&format!("{name}{}", named(&it.action, lang)), lang)
    }));
    out.extend(rule.duties.iter().map(|d| {
        let it = duty_sentence(d, lang, scene);
        if d.action == Action::NextPolicy {
            return it;
        }
        Sentence {
            text: format!("{}{}", lang.pick("使用之前：", "Before use: "), it.text), ..it
        }
    }));
}

/// An action in words, with its name where the words alone are not a term.
fn named(it: &Action, lang: Lang) -> String {
    match (it.words(lang), it.name()) {
        (words, name) if words == name => name.to_owned(),
        (words, name) => format!("{words}{}{name}{}", lang.pick("（", " ("), lang.pick("）", ")")),
    }
}

/// A rule's own asset and party: a node compares those of the policy.
fn own_parties(rule: &Rule, lang: Lang) -> impl Iterator<Item = Sentence> {
    let of = [
        (&rule.target, lang.pick("仅限数据：", "only the data ")),
        (&rule.assignee, lang.pick("仅限使用方：", "only the user ")),
    ];
    of.into_iter().filter_map(move |(said, name)| {
        said.as_ref().map(|id| unkept(&format!("{name}{id}"), lang))
    })
}

fn sentence(it: &Constraint, side: Side, lang: Lang, scene: Scene) -> Sentence {
    let (text, level, grasp) = words(it, side, lang, scene);
    match grasp {
        Grasp::Unknown => return unknown(&text, lang),
        Grasp::Understood => return unkept(&text, lang),
        Grasp::Kept => {}
    }
    let text = match lang {
        Lang::Zh => format!("{text}。"),
        Lang::En => {
            let mut letters = text.chars();
            let first = letters.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
            format!("{first}{}.", letters.as_str())
        }
    };
    said(text, level)
}

/// Who enforces a constraint in a kind of use; `None`: a node does not sign it.
pub(super) fn level(it: &Constraint, side: Side, scene: Scene) -> Option<Level> {
    let (_, level, grasp) = words(it, side, Lang::En, scene);
    (grasp == Grasp::Kept).then_some(level)
}

/// Who enforces a duty in a kind of use.
pub(super) fn duty_level(rule: &Rule, scene: Scene) -> Option<Level> {
    let it = duty_sentence(rule, Lang::En, scene);
    it.understood.then_some(it.level)
}

fn words(it: &Constraint, side: Side, lang: Lang, scene: Scene) -> (String, Level, Grasp) {
    let (parts, joint) = match it {
        Constraint::Atomic(atomic) => return atomic_words(atomic, side, lang, scene),
        Constraint::And(parts) => (parts, lang.pick("并且", " and ")),
        Constraint::Or(parts) => (parts, lang.pick("或者", " or ")),
        Constraint::Xone(parts) => {
            (parts, lang.pick("或者（仅其一）", " or else (only one of them) "))
        }
        Constraint::AndSequence(parts) => (parts, lang.pick("，然后", " and then ")),
    };
    let all: Vec<_> = parts.iter().map(|p| words(p, side, lang, scene)).collect();
    let level = all.iter().map(|(_, level, _)| *level).min().unwrap_or(Level::E0);
    let grasp = all.iter().map(|(.., grasp)| *grasp).min().unwrap_or(Grasp::Unknown);
    let texts: Vec<String> = all.into_iter().map(|(text, ..)| text).collect();
    (format!("（{}）", texts.join(joint)), level, grasp)
}

fn atomic_words(it: &Atomic, side: Side, lang: Lang, scene: Scene) -> (String, Level, Grasp) {
    match compile::part(it, side, Reach::Node) {
        Ok(Part::Test(test)) => (test_words(&test, lang), test_level(&test, scene), Grasp::Kept),
        Ok(Part::Limit(limit)) if side == Side::Grant => {
            (limit_words(&limit, lang), limit_level(&limit, scene), Grasp::Kept)
        }
        Ok(Part::Limit(_)) | Err(_) => {
            match compile::part(it, side, Reach::Whole) {
                Ok(Part::Test(test)) => {
                    return (test_words(&test, lang), Level::E0, Grasp::Understood);
                }
                Ok(Part::Limit(limit)) if side == Side::Grant => {
                    return (limit_words(&limit, lang), Level::E0, Grasp::Understood);
                }
                Ok(Part::Limit(_)) | Err(_) => {}
            }
            let right = it.right.texts().map_or_else(|| "…".to_owned(), |all| all.join(", "));
            (format!("{} {} {right}", it.left.name(), it.op.name()), Level::E0, Grasp::Unknown)
        }
    }
}

/// A purpose is what somebody declares: bound into lease and log, enforced by nobody. What no node signs yet is too.
fn test_level(it: &Test, scene: Scene) -> Level {
    match it {
        // The gate asks who vouches for the member: where the use itself takes place nobody sees.
        Test::Among(Topic::Region, ..) => Level::E0,
        // Looked at by the gate of each lease; or what the kind of use is by itself.
        Test::Network(..)
        | Test::Version(..)
        | Test::Among(Topic::Role | Topic::Version | Topic::Encryption | Topic::Delivery, ..) => {
            scene.level()
        }
        // Evidence names the program and its machine; without it nobody here knows where a use takes place.
        Test::Among(Topic::Environment, how, all)
            if scene.attested() || scene.kind.takes_place(*how, all) =>
        {
            scene.level()
        }
        Test::Purpose(..) | Test::Event(..) | Test::Among(..) => Level::E0,
        Test::All(_)
        | Test::Any(_)
        | Test::One(_)
        | Test::Sequence(_)
        | Test::Clock(..)
        | Test::Count(..)
        | Test::Recipient(..)
        | Test::Elapsed(..)
        | Test::Delay(..)
        | Test::Kind(_)
        | Test::Enforcement(_) => scene.level(),
        // Kept by the gate of each lease; plain bytes have none.
        Test::Window(_)
        | Test::Metered(..)
        | Test::Interval(_)
        | Test::Frequency(..)
        | Test::Size(..)
        | Test::Records(..)
        | Test::Group(..)
        | Test::Entity(_) => scene.level(),
    }
}

/// Columns of plain data are cut by the provider before delivery; results are seen by queries and sealed tables only.
fn limit_level(it: &Limit, scene: Scene) -> Level {
    match (it, scene.kind) {
        // What is put in is counted at the gate; how small a result may be is looked at where it arrives first.
        (Limit::Matching(MatchLimit::Least(_) | MatchLimit::Share(_)), Use::Psi) => Level::E1,
        (Limit::Matching(_), Use::Psi) | (Limit::Columns(_), Use::Plain | Use::Psi) => Level::E2,
        // Noise is added, and paid for, where the answer is made.
        (Limit::Privacy(_), Use::Query) => Level::E2,
        (Limit::Privacy(_), _) => Level::E0,
        // Rows that are not permitted are in no copy and before no worker.
        (Limit::Rows(_), Use::Query | Use::SealedTable | Use::Plain) => Level::E2,
        (Limit::Matching(_), _) => Level::E0,
        // A node's own query is answered at once; only tools' results are slowed down like deliveries.
        (Limit::DeliveryRate(_) | Limit::DeliveryConnections(_), Use::Query) => Level::E0,
        // Two gates release, and neither sees what the consumer's program does with the key.
        (Limit::KeyOperator(_), Use::SealedTable | Use::SealedFile) => scene.level(),
        (Limit::KeyOperator(_), _) => Level::E0,
        // The bytes leave through the provider's own hands, whatever they are.
        (Limit::DeliveryRate(_) | Limit::DeliveryConnections(_), _) => Level::E2,
        (_, Use::SealedFile | Use::Plain | Use::Psi) => Level::E0,
        (_, Use::Query | Use::SealedTable) => scene.level(),
    }
}

/// Who keeps a rule about an action: of what is made of the data the consumer's own node knows, at best; what it does with results
/// that it holds nobody sees.
pub(super) fn act_level(it: &Action, scene: Scene) -> Level {
    if matches!(it, Action::Derive | Action::NextPolicy) {
        scene.level().min(Level::E1)
    } else if *it == Action::Distribute {
        scene.afterwards()
    } else {
        scene.level()
    }
}

/// What every lease, or every publication, does by itself.
fn by_construction(it: &Action, lang: Lang) -> Option<&'static str> {
    if *it == Action::AcceptTracking {
        Some(lang.pick("每次使用均留痕，双方可查。", "Each use is recorded by both parties."))
    } else if *it == Action::Inform {
        Some(lang.pick("每次使用前均告知提供方。", "The provider is told of each use, before it."))
    } else if *it == Action::ObtainConsent {
        Some(lang.pick(
            "提供方的人员就本合约表示同意之后方可使用。",
            "No use before a person of the provider consents to this contract.",
        ))
    } else if *it == Action::NextPolicy {
        Some(lang.pick(
            "使用方节点发布注明源自本合约的产品时，其要约不得宽于本合约条款；是否注明由使用方自己声明。",
            "What the consumer's node publishes as made under this contract is offered on no looser terms than these; that it \
             is named so is the consumer's word.",
        ))
    } else {
        None
    }
}

fn duty_sentence(rule: &Rule, lang: Lang, scene: Scene) -> Sentence {
    let compiled = if rule.action == Action::Delete {
        duty::delete(rule).map(|it| {
            let text = match it {
                Delete::AfterUse => lang
                    .pick(
                        "合约终止时删除全部副本。",
                        "All copies are deleted when the contract ends.",
                    )
                    .to_owned(),
                Delete::By(at) => match lang {
                    Lang::Zh => format!("于 {} 删除全部副本，合约随之终止。", clock(at)),
                    Lang::En => {
                        format!("All copies are deleted by {}, and the contract ends.", clock(at))
                    }
                },
                Delete::Within(span) => match lang {
                    Lang::Zh => {
                        format!("首次使用后 {} 内删除全部副本，合约随之终止。", span.words(true))
                    }
                    Lang::En => format!(
                        "All copies are deleted within {} of the first use, and the contract ends.",
                        span.words(false)
                    ),
                },
            };
            said(text, scene.afterwards())
        })
    } else if rule.action == Action::Compensate {
        duty::price(rule).map(|price| {
            let text = match lang {
                Lang::Zh => format!("价格：{price}。"),
                Lang::En => format!("Price: {price}."),
            };
            // A bill is a claim; no software makes anybody pay.
            said(text, Level::E0)
        })
    } else if rule.action == Action::Watermark
        && matches!(scene.kind, Use::SealedTable | Use::Plain)
    {
        // The provider's own node sets it before the copy leaves.
        duty::mark(rule).map(|it| said(mark_words(&it, lang), Level::E2))
    } else if let Some(text) = by_construction(&rule.action, lang)
        && rule.constraints.is_empty()
    {
        // Consent is kept by the provider's node, from which nothing leaves before it.
        let own = rule.action == Action::ObtainConsent;
        Ok(said(text.to_owned(), if own { Level::E2 } else { act_level(&rule.action, scene) }))
    } else {
        if let Action::Unknown(name) = &rule.action {
            return unknown(name, lang);
        }
        return unkept(&named(&rule.action, lang), lang);
    };
    let kept = rule.action == Action::Delete && rule.consequences.iter().all(duty::told_of);
    let owed_besides = !rule.consequences.is_empty();
    if owed_besides && !kept || rule.target.is_some() || rule.assignee.is_some() {
        return unkept(&named(&rule.action, lang), lang);
    }
    let missed = lang.pick(
        "未按期签收删除的，提供方得知并留痕。",
        " Where nobody signs for it in time, the provider learns of it and it is on record.",
    );
    let mut it = compiled.unwrap_or_else(|why| unknown(&why.to_string(), lang));
    if owed_besides && it.understood {
        it.text.push_str(missed);
    }
    it
}
