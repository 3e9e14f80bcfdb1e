//! Products made under contracts: which are published, on which terms, and what the log says.

use super::side::{Side, settle, terms as plain};
use crate::approval::Rules;
use crate::catalog::product::{Approval, Draft, Kind, Offer, Product};
use crate::contract::{Contract, End, State};
use crate::engine::commit::Answer;
use crate::engine::input::{ContractWish, SayWish, Wish};
use crate::evidence::fact::What;
use crate::negotiation::message::Role;
use crate::negotiation::state::Name;
use crate::policy::model::{Kind as PolicyKind, Policy};
use crate::policy::sentence::{Export, Sentences, build};
use crate::policy::usage::Use;
use crate::wire::samples::{at, did, digest, id};

fn said(uses: u64, derive: Export, next_policy: bool) -> Sentences {
    Sentences { uses: Some(uses), derive, next_policy, ..Sentences::default() }
}

fn terms(of: &str, it: &Sentences) -> Policy {
    build(id(of), None, it).unwrap()
}

/// A contract of `side` as its consumer.
fn contract(side: &Side, name: &str, it: &Sentences) -> Contract {
    let policy = Policy { kind: PolicyKind::Agreement, ..terms(name, it) };
    Contract {
        id: id(name),
        role: Role::Consumer,
        peer: did("did:web:source.example"),
        address: "https://source.example/dsp".to_owned(),
        negotiation: id("urn:negotiation:source"),
        product: id("urn:product:source"),
        policy: Policy { assignee: Some(side.me.to_id()), ..policy },
        digest: digest("signed"),
        provider_signature: None,
        consumer_signature: None,
        signed_at: at(0),
        first_use: None,
        consented: None,
        group: None,
        state: State::Active,
        changes: 0,
        deletion: None,
        missed: None,
        rules: Rules::default(),
    }
}

fn publish(side: &mut Side, n: u8, from: &[&str], approval: Approval, offer: &Sentences) -> Answer {
    let name = format!("urn:product:{n}");
    let mut draft = Draft::new(id(&name), id("urn:line:1"), "Means", Kind::Table, at(0));
    (draft.content, draft.origin, draft.bytes) = (Some(digest("c")), Some(digest("o")), Some(1));
    draft.derived_from = from.iter().map(|it| id(it)).collect();
    let offer = Offer::new(terms("urn:offer:1", offer), approval, vec![Use::Query]).unwrap();
    draft.offers = vec![offer];
    side.wish(Wish::Publish(Box::new(Product::new(draft).unwrap())), at(1))
}

fn with(all: &[(&str, Sentences, State, Role)]) -> Side {
    let mut side = Side::new("maker", 1);
    for (name, it, state, role) in all {
        let it = Contract { state: state.clone(), role: *role, ..contract(&side, name, it) };
        side.contracts.insert(it.id.clone(), it);
    }
    side
}

fn ended(why: End) -> State {
    State::Ended { why, by: Role::Provider, at: at(0), reason: "over".to_owned() }
}

#[test]
fn a_publication_names_contracts_that_permit_it_and_keeps_their_terms() {
    let (yes, no, open) = (Export::Permitted, Export::Forbidden, Export::Unsaid);
    let suspended = State::Suspended { at: at(0), reason: "wait".to_owned() };
    let all = [
        ("urn:c:next", said(5, yes, true), State::Active, Role::Consumer),
        ("urn:c:free", said(5, yes, false), State::Active, Role::Consumer),
        ("urn:c:silent", said(5, open, true), State::Active, Role::Consumer),
        ("urn:c:forbidden", said(5, no, false), State::Active, Role::Consumer),
        ("urn:c:own", said(5, yes, false), State::Active, Role::Provider),
        ("urn:c:suspended", said(5, yes, false), suspended, Role::Consumer),
        ("urn:c:revoked", said(5, yes, false), ended(End::Revoked), Role::Consumer),
        ("urn:c:expired", said(5, yes, false), ended(End::Expired), Role::Consumer),
        ("urn:c:used-up", said(5, yes, true), ended(End::UsedUp), Role::Consumer),
    ];
    for (from, offer, expected) in [
        (&["urn:c:next"][..], said(5, open, true), Ok(())),
        (&["urn:c:next"], said(4, yes, true), Ok(())),
        (&["urn:c:next"], said(6, yes, true), Err("derive.looser")),
        (&["urn:c:next"], said(5, yes, false), Err("derive.looser")),
        (&["urn:c:free"], said(900, open, false), Ok(())),
        (&["urn:c:free", "urn:c:next"], said(6, open, true), Err("derive.looser")),
        (&["urn:c:silent"], said(1, open, true), Err("derive.not-permitted")),
        (&["urn:c:forbidden"], said(1, open, false), Err("derive.prohibited")),
        (&["urn:c:own"], said(1, open, false), Err("derive.role")),
        (&["urn:c:suspended"], said(1, open, false), Err("contract.suspended")),
        (&["urn:c:revoked"], said(1, open, false), Err("derive.ended")),
        (&["urn:c:expired"], said(1, open, false), Err("derive.ended")),
        (&["urn:c:used-up"], said(5, open, true), Ok(())),
        (&["urn:c:used-up"], said(6, open, true), Err("derive.looser")),
        (&["urn:c:nowhere"], said(1, open, false), Err("not-found")),
    ] {
        let mut side = with(&all);
        let done = publish(&mut side, 1, from, Approval::Auto, &offer);
        assert_eq!(done.map(drop).map_err(|it| it.code()), expected, "{from:?} {offer:?}");
        let told = side.count(|it| matches!(it, What::Derived { .. }));
        assert_eq!(told, if expected.is_ok() { from.len() } else { 0 });
        assert_eq!(
            side.products.len(),
            usize::from(expected.is_ok()),
            "nothing stays of a refusal"
        );
    }
}

/// A new version is of the same data: it stands under the contracts of the version before it, named or not.
#[test]
fn a_new_version_stands_under_the_same_contracts() {
    let (yes, open) = (Export::Permitted, Export::Unsaid);
    let mut side = with(&[("urn:c:next", said(5, yes, true), State::Active, Role::Consumer)]);
    publish(&mut side, 1, &["urn:c:next"], Approval::Auto, &said(5, open, true)).unwrap();
    let loose = publish(&mut side, 2, &[], Approval::Auto, &said(6, open, true));
    assert_eq!(loose.unwrap_err().code(), "derive.looser");
    publish(&mut side, 2, &[], Approval::Auto, &said(3, open, true)).unwrap();
    assert_eq!(side.products[&id("urn:product:2")].derived_from, [id("urn:c:next")]);
    side.contracts.get_mut(&id("urn:c:next")).unwrap().state = ended(End::Revoked);
    let late = publish(&mut side, 3, &[], Approval::Auto, &said(3, open, true));
    assert_eq!(late.unwrap_err().code(), "derive.ended");
    assert_eq!(side.products.len(), 2, "what is published stays");
}

/// Other terms than the offer's go to a person, who cannot give away what is not hers either.
#[test]
fn nobody_is_given_looser_terms_by_a_person() {
    for (asked, expected) in [(4, Ok(())), (6, Err("derive.looser"))] {
        let all = [("urn:c:next", said(5, Export::Permitted, true), State::Active, Role::Consumer)];
        let (mut provider, mut consumer) = (with(&all), Side::new("third", 2));
        let offer = said(5, Export::Unsaid, true);
        publish(&mut provider, 1, &["urn:c:next"], Approval::Manual, &offer).unwrap();
        let asked = said(asked, Export::Unsaid, true);
        let wish = ContractWish {
            peer: provider.me.clone(),
            address: provider.address.clone(),
            product: id("urn:product:1"),
            offer: terms("urn:offer:1", &asked),
            rules: Rules::default(),
        };
        consumer.wish(Wish::Request(Box::new(wish)), at(2)).unwrap();
        settle(&mut provider, &mut consumer, at(2));
        let negotiation = provider.negotiations.keys().next().unwrap().clone();
        assert_eq!(provider.negotiations[&negotiation].state.name(), Name::Requested);
        let propose = SayWish::Propose(Box::new(plain(Some(9))));
        let loose = Wish::Say { negotiation: negotiation.clone(), body: propose };
        assert_eq!(provider.wish(loose, at(3)).unwrap_err().code(), "derive.looser");
        let approve = Wish::Say { negotiation, body: SayWish::Approve };
        let done = provider.wish(approve, at(3));
        assert_eq!(done.map(drop).map_err(|it| it.code()), expected);
    }
}
