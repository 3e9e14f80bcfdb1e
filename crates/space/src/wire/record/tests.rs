use std::time::Duration;

use super::*;
use crate::approval::{Rule, Rules, Then, When};
use crate::catalog::product::{Approval, Column, Draft, Grade, Kind, Offer, Product};
use crate::engine::commit::{About, Due, Job, Send, Timer};
use crate::negotiation::message::Role;
use crate::negotiation::state::State;
use crate::policy::model::Policy;
use crate::policy::usage::Use;
use crate::transfer::state::State as TransferState;
use crate::wire::{odrl, samples};

/// Writes, reads back, and returns the rows.
fn rows<T: PartialEq + std::fmt::Debug>(
    all: Vec<T>,
    encode: fn(&T) -> String,
    decode: fn(&str) -> Result<T, BadRecord>,
) -> String {
    let mut out = String::new();
    for it in all {
        let row = encode(&it);
        assert_eq!(decode(&row), Ok(it), "{row}");
        let newer = row.replace("\"v\":1", "\"v\":2");
        assert_eq!(decode(&newer), Err(BadRecord::Version(2)));
        for bad in ["", "{}", "[]", "{\"v\":1}"] {
            assert!(decode(bad).is_err());
        }
        out += &row;
        out.push('\n');
    }
    out
}

/// The rows of a released version: a difference is a change of the store's format.
fn frozen(name: &str, rows: &str) {
    let path = format!("{}/src/wire/record/frozen/{name}.jsonl", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("TIDM_APPROVE").is_some() {
        std::fs::write(&path, rows).unwrap();
    }
    assert_eq!(
        std::fs::read_to_string(&path).unwrap_or_default(),
        rows,
        "approve with TIDM_APPROVE=1 if {path} is meant to change"
    );
}

#[test]
fn negotiations() {
    let states =
        samples::states().into_iter().map(|it| samples::negotiation(Role::Provider, it, None));
    let said = samples::bodies()
        .into_iter()
        .map(|it| samples::negotiation(Role::Consumer, samples::states().swap_remove(0), Some(it)));
    frozen(
        "negotiation",
        &rows(states.chain(said).collect(), negotiation::encode, negotiation::decode),
    );
}

#[test]
fn transfers() {
    let states = samples::transfer_states()
        .into_iter()
        .map(|it| samples::transfer(Role::Provider, it, None));
    let said = samples::transfer_bodies().into_iter().map(|it| {
        samples::transfer(Role::Consumer, samples::transfer_states().swap_remove(0), Some(it))
    });
    frozen("transfer", &rows(states.chain(said).collect(), transfer::encode, transfer::decode));
}

#[test]
fn flows() {
    frozen("flow", &rows(samples::flows(), flow::encode, flow::decode));
}

#[test]
fn contracts_and_leases() {
    let mut contracts = samples::contracts();
    let mut suspended = contracts[0].clone();
    suspended.state =
        crate::contract::State::Suspended { at: samples::at(7), reason: "核查".to_owned() };
    suspended.changes = 3;
    let mut silent = contracts[1].clone();
    (silent.deletion, silent.missed) = (None, Some(samples::at(9)));
    contracts.extend([suspended, silent]);
    frozen("contract", &rows(contracts, contract::encode, contract::decode));
    let mut leases = samples::leases();
    let mut renewed = leases[0].clone();
    (renewed.renewals, renewed.renewed) = (2, Some(samples::at(8)));
    leases.push(renewed);
    let mut signed = leases[0].clone();
    signed.state = crate::lease::state::State::Returned {
        at: samples::at(7),
        outcome: samples::outcome(),
        receipt: Some(crate::negotiation::message::Signature("a.b.c".to_owned())),
    };
    leases.push(signed);
    frozen("lease", &rows(leases, lease::encode, lease::decode));
}

#[test]
fn sends_and_timers() {
    let id = || samples::id("urn:it");
    let send = |about| Send {
        id: id(),
        to: samples::did("did:web:peer.example"),
        url: "https://peer.example/dsp/negotiations/request".to_owned(),
        body: "{\"@type\":\"喵\"}".to_owned(),
        about,
        attempts: 3,
        first: samples::at(0),
        next: samples::at(1),
    };
    let sends = [
        About::Negotiation(id()),
        About::Transfer(id()),
        About::Notice { contract: id() },
        About::Flow(id()),
    ]
    .map(send);
    frozen("send", &rows(sends.into(), send::encode, send::decode));
    let due = [
        Due::NegotiationIdle(id()),
        Due::TransferIdle(id()),
        Due::LeaseEnd { lease: id() },
        Due::ContractEnd { contract: id() },
        Due::Job(Job::Provide { transfer: id() }),
        Due::Job(Job::Fetch { transfer: id() }),
        Due::Job(Job::DestroyKey { contract: id() }),
        Due::Job(Job::Erase { contract: id() }),
        Due::Job(Job::Flow { flow: id() }),
    ];
    frozen(
        "timer",
        &rows(due.map(|it| Timer::new(samples::at(2), it)).into(), timer::encode, timer::decode),
    );
}

#[test]
fn products() {
    let mut all = Vec::new();
    for approval in Approval::ALL {
        let mut draft = Draft::new(
            samples::id("urn:product:1"),
            samples::id("urn:line:1"),
            "振动 / vibration",
            Kind::Table,
            samples::at(0),
        );
        draft.columns = vec![Column {
            name: "rms".to_owned(),
            data_type: "Float64".to_owned(),
            unit: Some("mm/s".to_owned()),
            title: None,
        }];
        draft.rows = Some(5);
        draft.bytes = Some(99);
        draft.content = Some(samples::digest("content"));
        draft.origin = Some(samples::digest("origin"));
        draft.grade = Grade::Important;
        draft.keywords = vec!["pump".to_owned()];
        let mut policy = samples::offer();
        policy.target = None;
        draft.offers = vec![Offer::new(policy, approval, vec![Use::Query]).unwrap()];
        all.push(Product::new(draft).unwrap());
    }
    frozen("product", &rows(all, product::encode, product::decode));
}

/// What a product is made under goes with its row; rows without it are those of above.
#[test]
fn products_made_under_contracts() {
    let (id, line) = (samples::id("urn:product:1"), samples::id("urn:line:1"));
    let draft = Draft::new(id, line, "means", Kind::Table, samples::at(0));
    let plain = Product::new(draft).unwrap();
    let it = plain.clone().made_under(vec![samples::id("urn:contract:1")], true);
    let row = product::encode(&it);
    assert_eq!(product::decode(&row).unwrap(), it);
    assert!(!product::encode(&plain).contains("bound"));
    for (has, said) in [("\"urn:contract:1\"", "7"), ("\"bound\":true", "\"bound\":1")] {
        assert!(row.contains(has), "{row}");
        assert!(product::decode(&row.replace(has, said)).is_err(), "{said}");
    }
}

/// What came with deliveries that go on: where a suspended transfer was, and pushes. Rows without them are those of above.
#[test]
fn suspended_addresses_and_pushes() {
    let mut it = samples::transfer(Role::Provider, samples::transfer_states().swap_remove(3), None);
    if let TransferState::Suspended { address, .. } = &mut it.state {
        *address = Some(samples::address());
    }
    let mut all = rows(vec![it], transfer::encode, transfer::decode);
    let mut it = samples::transfer(Role::Provider, TransferState::Requested, None);
    it.push_to = Some(samples::address());
    all += &rows(vec![it], transfer::encode, transfer::decode);
    let due = Due::Job(Job::Push { transfer: samples::id("urn:it") });
    all += &rows(vec![Timer::new(samples::at(2), due)], timer::encode, timer::decode);
    frozen("deliveries", &all);
}

/// What came after the first release: approval rules, foreign policies as they were written, counted starts. Rows
/// without them are those of above.
#[test]
fn rules_and_foreign_policies() {
    let rule = |when, round, then| Rule { when, round, then, after: Duration::from_millis(500) };
    let provider = Rules::new(
        Role::Provider,
        vec![
            rule(When::from_word("requested").unwrap(), Some(1), Then::Offer),
            rule(When::from_word("transfer-started").unwrap(), None, Then::Suspend),
        ],
    )
    .unwrap();
    let foreign = odrl::OdrlPolicy::parse(json!({
        "@id": "b64:x", "@type": "odrl:Offer", "odrl:target": {"@id": "urn:product:1"}, "edc:note": [1, null],
        "odrl:permission": {"odrl:action": "odrl:use", "title": "kept"}, "inheritFrom": "urn:other"
    }));
    let foreign = foreign.unwrap().model;
    assert!(foreign.verbatim.is_some());
    let mut it =
        samples::negotiation(Role::Provider, State::Offered { offer: foreign.clone() }, None);
    it.rules = provider.clone();
    it.proposed = Some(foreign.clone());
    let mut all = rows(vec![it], negotiation::encode, negotiation::decode);
    let mut it = samples::contract(foreign);
    it.rules = provider.clone();
    all += &rows(vec![it], contract::encode, contract::decode);
    let mut it = samples::transfer(Role::Provider, samples::transfer_states().swap_remove(2), None);
    it.starts = 2;
    all += &rows(vec![it], transfer::encode, transfer::decode);
    let mut draft = Draft::new(
        samples::id("urn:product:1"),
        samples::id("urn:line:1"),
        "with rules",
        Kind::Table,
        samples::at(0),
    );
    let policy = Policy { target: None, ..samples::offer() };
    let offer = Offer::new(policy, Approval::Auto, vec![Use::Query]).unwrap();
    draft.offers = vec![offer.with_rules(provider)];
    all += &rows(vec![Product::new(draft).unwrap()], product::encode, product::decode);
    let due =
        [Due::NegotiationRule(samples::id("urn:it")), Due::TransferRule(samples::id("urn:it"))];
    let timers = due.map(|it| Timer::new(samples::at(2), it)).into();
    all += &rows(timers, timer::encode, timer::decode);
    frozen("rules", &all);
    let impossible =
        all.lines().next().unwrap().replace("\"then\":\"offer\"", "\"then\":\"accept\"");
    assert!(negotiation::decode(&impossible).is_err(), "a provider does not accept");
}
