//! Terms as they are shown: sentences with who enforces them, and against what that does not hold.
//!
//! Never shows a term without its enforcement level, nor one above E2 before evidence was accepted, and never says less
//! of what a level does not hold off than `docs/usage-control.md` does.

use serde::Serialize;
use utoipa::ToSchema;

use tidm_space::catalog::product::Offer;
use tidm_space::lang::Lang;
use tidm_space::policy::compile::compile;
use tidm_space::policy::diff;
use tidm_space::policy::model::Policy;
use tidm_space::policy::render::{self, render};
use tidm_space::policy::scene::{self, Scene};
use tidm_space::policy::usage::{Level, Use};
use tidm_space::wire::odrl;

use super::extract::Speak;
use crate::rules::{self, RuleText};

/// One thing that a policy says.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Sentence {
    text: String,
    /// E0 to E2: what holds on a machine that has proved nothing.
    level: &'static str,
    /// E3 or E4: what holds on a machine whose evidence the gate accepted; these terms give a key to no other.
    #[serde(skip_serializing_if = "Option::is_none")]
    attested: Option<&'static str>,
    /// Who enforces it, in words.
    enforced: String,
    /// Against what that does not hold.
    limit: &'static str,
    /// `false`: nobody here understands the term; such a policy cannot be signed.
    understood: bool,
}

/// What a policy means for one kind of use.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Meaning {
    /// query, sealed-table, sealed-file, plain or psi.
    kind: &'static str,
    words: &'static str,
    /// As of its sentences.
    level: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    attested: Option<&'static str>,
    sentences: Vec<Sentence>,
}

fn shown(all: Vec<render::Sentence>, lang: Lang) -> Vec<Sentence> {
    let one = |it: render::Sentence| Sentence {
        text: it.text,
        level: it.level.unproven().name(),
        attested: it.level.on_evidence().map(Level::name),
        enforced: it.level.kept_by(lang),
        limit: limit(it.level, lang),
        understood: it.understood,
    };
    all.into_iter().map(one).collect()
}

/// What terms say that others did not, and the other way round.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Changed {
    /// `listed`: against the offer in our catalogue; `proposed`: against what we said last.
    against: &'static str,
    added: Vec<Sentence>,
    removed: Vec<Sentence>,
    kept: Vec<Sentence>,
}

pub(super) fn changed(
    against: &'static str,
    before: &Policy,
    after: &Policy,
    speak: Speak,
) -> Changed {
    // Of the ways in which it may be used the one that is enforced least: no term looks stronger than it is.
    let weakest = scene::kinds(after).into_iter().min_by_key(|it| it.level());
    let weakest = weakest.unwrap_or(Use::Plain);
    let lang = speak.core();
    let it = diff::diff(before, after, lang, weakest);
    Changed {
        against,
        added: shown(it.added, lang),
        removed: shown(it.removed, lang),
        kept: shown(it.kept, lang),
    }
}

pub(super) fn meaning(policy: &Policy, kind: Use, speak: Speak) -> Meaning {
    let lang = speak.core();
    let sentences = shown(render(policy, lang, kind), lang);
    let of = Scene::of(policy, kind).level();
    let (level, attested) = (of.unproven().name(), of.on_evidence().map(Level::name));
    Meaning { kind: kind.name(), words: kind.words(lang), level, attested, sentences }
}

/// The meaning for every kind of use that a policy permits and that can be kept.
pub(super) fn meanings(policy: &Policy, speak: Speak) -> Vec<Meaning> {
    scene::kinds(policy).into_iter().map(|kind| meaning(policy, kind, speak)).collect()
}

/// An offer of a product.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct OfferShown {
    id: String,
    /// auto, manual or counter.
    #[serde(skip_serializing_if = "Option::is_none")]
    approval: Option<&'static str>,
    /// What this node does by itself, ours only; goes before `approval`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    rules: Vec<RuleText>,
    meanings: Vec<Meaning>,
    /// As it travels: ODRL.
    #[schema(value_type = Object)]
    policy: serde_json::Value,
}

pub(super) fn ours(it: &Offer, speak: Speak) -> OfferShown {
    OfferShown {
        id: it.id().to_string(),
        approval: Some(it.approval().name()),
        rules: rules::write(it.rules()),
        meanings: it.deliveries().iter().map(|kind| meaning(it.policy(), *kind, speak)).collect(),
        policy: odrl::to_json(it.policy()),
    }
}

/// An offer of a peer, for the kinds in which the product is delivered.
pub(super) fn theirs(policy: &Policy, kinds: &[Use], speak: Speak) -> OfferShown {
    let fits: Vec<Use> = match compile(policy) {
        Ok(terms) => kinds.iter().copied().filter(|it| terms.summary.allows(*it)).collect(),
        Err(_) => kinds.to_vec(),
    };
    OfferShown {
        id: policy.id.to_string(),
        approval: None,
        rules: vec![],
        meanings: fits.into_iter().map(|kind| meaning(policy, kind, speak)).collect(),
        policy: odrl::to_json(policy),
    }
}

/// Against whom or what a term of this level holds nothing.
pub(super) fn limit(level: Level, lang: Lang) -> &'static str {
    match level {
        Level::E0 => lang.pick("违约者(只留下争议证据)", "whoever breaks it (it is evidence in a dispute)"),
        Level::E1 => lang.pick(
            "使用方机器的管理员(改动程序者可留存已打开的内容)",
            "the administrator of the consumer's machine: whoever patches the program keeps what was opened once",
        ),
        Level::E2 => {
            lang.pick("多次合规结果合在一起所透露的内容", "what many allowed results say together")
        }
        Level::E3 => lang.pick("打开机器硬件的人", "whoever opens the machine"),
        Level::E4 => lang.pick("独立运营方与使用方合谋", "operator and consumer together"),
    }
}
