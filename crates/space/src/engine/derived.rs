//! Products made under contracts of ours: whether they may be published, and on which terms anybody gets them.
//!
//! Threat: data used under a contract comes out of this node as a product on terms that its provider never agreed to. So each
//! contract that a publication names must permit it, and where it passes its terms on, no offer and no contract is looser.
//! Never finds out what a product was made of: that a publication names its contracts is the word of whoever publishes.

use crate::catalog::product::{Offer, Product};
use crate::contract::{Contract, End, State};
use crate::evidence::fact::{Links, What};
use crate::fault::Fault;
use crate::id::Id;
use crate::identity::did::Did;
use crate::limits::DERIVED_FROM;
use crate::negotiation::message::Role;
use crate::policy::compile::compile;
use crate::policy::derive::{Refused, permitted};
use crate::policy::facts::Request;
use crate::policy::model::Policy;
use crate::policy::strict::{Looser, looser};
use crate::policy::terms::Terms;
use crate::policy::usage::Use;
use crate::time::Time;

use super::commit::Work;
use super::input::Wish;
use super::view::{More, View};

/// Missing terms that a refusal lists; people correct an offer in rounds of these.
const LISTED: usize = 5;

pub(super) fn needs_more(view: &View, wish: &Wish) -> More {
    let Wish::Publish(product) = wish else { return More::default() };
    More { sources: sources(&product.derived_from, view.newest.as_ref()), ..More::default() }
}

/// The contracts that a version is made under: those that it names, and those of the version before it. What was once made
/// of somebody's data does not become free of its terms by a new version.
pub fn sources(named: &[Id], newest: Option<&Product>) -> Vec<Id> {
    let mut all = named.to_vec();
    all.extend(newest.into_iter().flat_map(|it| it.derived_from.clone()));
    all.sort();
    all.dedup();
    all
}

/// Whether a product with these offers may be published now, made under these contracts of ours. `true`: some contract
/// passes its terms on.
pub fn check(
    me: &Did,
    sources: &[Id],
    contracts: &[Contract],
    offers: &[Offer],
    now: Time,
) -> Result<bool, Fault> {
    if sources.len() > DERIVED_FROM {
        return Err(Fault::refused(
            "derive.too-many",
            format!("a product is made under {DERIVED_FROM} contracts at most"),
        ));
    }
    let mut bound = false;
    for id in sources {
        let contract = contracts.iter().find(|it| it.id == *id);
        let contract = contract.ok_or(Fault::NotFound { what: "contract" })?;
        stands(contract)?;
        let terms = contract.terms().map_err(|_| unsaid(contract))?;
        may(me, contract, &terms, now)?;
        if terms.passes_on() {
            bound = true;
            for (number, offer) in (1..).zip(offers) {
                let missing = looser(&terms, offer.terms());
                kept(&missing, &format!("offer {number}"), &format!("the contract {id}"))?;
            }
        }
    }
    Ok(bound)
}

/// In force, with this node as its consumer. One that is used up was kept to its last use, whose product could never be
/// published otherwise.
fn stands(contract: &Contract) -> Result<(), Fault> {
    if contract.role != Role::Consumer {
        return Err(Fault::refused(
            "derive.role",
            format!(
                "this node is the provider of the contract {}: its own data need no contract",
                contract.id
            ),
        ));
    }
    match &contract.state {
        State::Active | State::Ended { why: End::UsedUp, .. } => Ok(()),
        State::Suspended { .. } => contract.check_active(),
        State::Ended { why, at, .. } => Err(Fault::denied(
            "derive.ended",
            why.word(),
            format!("the contract {} ended at {at} ({})", contract.id, why.word()),
        )),
    }
}

fn unsaid(contract: &Contract) -> Fault {
    Fault::denied(
        "derive.not-permitted",
        "derive",
        format!(
            "the contract {} has no permission to derive or to distribute（合约没有允许制作衍生产品或转交的条款）",
            contract.id
        ),
    )
}

fn may(me: &Did, contract: &Contract, terms: &Terms, now: Time) -> Result<(), Fault> {
    let name = me.to_id();
    // No use, and nothing is proven of the place where the product was made.
    let mut request = Request::new(now, Use::Plain, name.as_str());
    request.agreed_at = Some(contract.signed_at);
    // Where nobody here knows of the first use, it was no earlier than this.
    request.first_use_at = Some(contract.first_use.unwrap_or(contract.signed_at));
    // Without it there was no use of which a product could be made.
    let consent = terms.consent(true);
    request.more.deeds = &consent;
    match permitted(terms, &request) {
        Ok(()) => Ok(()),
        Err(Refused::Unsaid) => Err(unsaid(contract)),
        Err(Refused::Prohibited { rule, action }) => Err(Fault::denied(
            "derive.prohibited",
            action.name(),
            format!("{rule} of the contract {} prohibits {}", contract.id, action.name()),
        )),
        Err(Refused::Unmet(why)) => {
            let rule = why.first().map_or_else(|| "derive".to_owned(), |it| it.rule.clone());
            let (zh, en) = listed(why.iter().map(|it| (&*it.zh, &*it.en)));
            Err(Fault::denied(
                "derive.not-permitted",
                rule,
                format!(
                    "the contract {} permits it on conditions that do not hold: {en}（{zh}）",
                    contract.id
                ),
            ))
        }
    }
}

/// Provider: the terms on which a peer gets a product that is bound by terms of others. They were held against its offers
/// when it was published: whatever keeps to an offer keeps to them.
pub(super) fn within(product: Option<&Product>, of: &Id, policy: &Policy) -> Result<(), Fault> {
    let Some(product) = product.filter(|it| it.id == *of && it.bound) else { return Ok(()) };
    let Ok(terms) = compile(policy) else {
        return Err(Fault::refused("policy.unknown-terms", "terms that this node cannot honour"));
    };
    let found = product.offers.iter().map(|it| looser(it.terms(), &terms));
    let missing = found.min_by_key(Vec::len).unwrap_or_default();
    kept(&missing, "what is asked for", "any offer of this product")
}

fn kept(missing: &[Looser], what: &str, than: &str) -> Result<(), Fault> {
    let Some(first) = missing.first() else { return Ok(()) };
    let (zh, en) = listed(missing.iter().map(|it| (&*it.zh, &*it.en)));
    Err(Fault::denied(
        "derive.looser",
        first.term.clone(),
        format!(
            "{what} is looser than {than}, whose terms are passed on; it lacks: {en}（缺少：{zh}）"
        ),
    ))
}

fn listed<'a>(all: impl Iterator<Item = (&'a str, &'a str)>) -> (String, String) {
    let (zh, en): (Vec<&str>, Vec<&str>) = all.take(LISTED).unzip();
    (zh.join("；"), en.join("; "))
}

/// The version with the contracts that it is made under, each of which permits it.
pub(super) fn made(work: &Work<'_>, product: Product) -> Result<Product, Fault> {
    let sources = sources(&product.derived_from, work.view.newest.as_ref());
    if sources.is_empty() {
        return Ok(product);
    }
    let (me, contracts) = (work.node.me, &work.view.sources);
    let bound = check(me, &sources, contracts, &product.offers, work.now)?;
    Ok(product.made_under(sources, bound))
}

/// A fact about each contract: who provided the data finds the product in an audit.
pub(super) fn told(work: &mut Work<'_>, product: &Product) {
    let Some(content) = product.content else { return };
    let view = work.view;
    for it in &view.sources {
        let links = Links {
            peer: Some(it.peer.clone()),
            product: Some(product.id.clone()),
            contract: Some(it.id.clone()),
            ..Links::default()
        };
        work.fact(links, What::Derived { content });
    }
}
