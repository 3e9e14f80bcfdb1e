//! Decisions under races: of callers, of writers, of replicas.

#![expect(clippy::wildcard_enum_match_arm, reason = "any other outcome fails the test")]

use std::collections::BTreeSet;
use std::sync::Arc;

use tidm_crypto::hash::sha256;
use tidm_space::contract::{End, State as ContractState};
use tidm_space::engine::commit::{Commit, Reply, Send};
use tidm_space::engine::input::{ContractWish, Heard, Input, Outcome, Received, Wish};
use tidm_space::engine::view::{More, View};
use tidm_space::identity::member::Group;
use tidm_space::lease;
use tidm_space::lease::machine::{DebitKind, Spent};
use tidm_space::negotiation::message::Role;
use tidm_space::negotiation::state::Name;
use tidm_space::policy::model::{Atomic, Constraint, Operand, Operator, Value};
use tidm_space::policy::privacy::Epsilon;
use tidm_space::policy::usage::Use;
use tidm_space::wire::dsp::negotiation::{self as wire, Endpoint};

use super::world::{Node, Place, contract, counted, did, each, id, number, product, request};
use crate::store::load::load_more;
use crate::store::writer::{Token, WorkError};
use tidm_space::time::Time;

fn token(number: u32) -> Token {
    Token {
        issuer: did("did:web:consumer.example"),
        jti: id(&format!("urn:token:{number}")),
        until: Time::from_ms(i64::MAX),
    }
}

fn code(error: &WorkError) -> &str {
    match error {
        WorkError::Fault(fault) => fault.code(),
        WorkError::Store(_) => "store",
        WorkError::Stopping => "stopping",
    }
}

/// Two replicas, 64 requests at once, ten uses: ten grants, ten debits, ten leases, and 64 facts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn racing_requests_never_get_more_than_the_contract_counts() {
    each(async |place| {
        let consumer = did("did:web:consumer.example");
        let nodes = [Node::start(&place, "provider").await, Node::start(&place, "provider").await];
        let it = contract("urn:agreement:1", &consumer, 10);
        nodes[0].put(Commit { contracts: vec![it.clone()], ..Commit::default() }).await;
        let asked = (0..64_u64).map(|nonce| {
            let node = &nodes[usize::from(nonce % 2 == 1)];
            node.ask(&consumer, request(&it.id, nonce))
        });
        let answers = futures::future::join_all(asked).await;
        let (granted, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
        for it in &refused {
            assert_eq!(code(it.as_ref().unwrap_err()), "policy.denied", "{it:?}");
        }
        let store = &nodes[0].store;
        let found = (
            granted.len(),
            store.spent(&it.id).await.unwrap().uses,
            number(store, "SELECT COUNT(*) FROM leases").await,
            number(store, "SELECT COUNT(*) FROM debits").await,
            number(store, "SELECT COUNT(*) FROM facts").await,
        );
        // Refusals of one kind are one fact a minute.
        assert!((11..=12).contains(&found.4), "{found:?}");
        assert_eq!((found.0, found.1, found.2, found.3), (10, 10, 10, 10));
        assert!(store.contract(&it.id).await.unwrap().unwrap().first_use.is_some());
    })
    .await;
}

/// The same race for whatever else is counted: two replicas, 64 requests at once, half of them under each of two contracts,
/// of two participants of one legal entity, about one product.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn racing_requests_never_get_more_than_any_counter_has() {
    let one = |left: Operand, right: &str| -> Constraint {
        Atomic::new(left, Operator::Lteq, Value::text(right)).into()
    };
    // What two contracts together may have: those of a legal entity share one counter.
    for (term, most, kind) in [
        (one(Operand::Frequency, "5/P1D"), 10, DebitKind::Use),
        (one(Operand::MeteredTime, "PT5M"), 600, DebitKind::Seconds),
        (one(Operand::DataSize, "99"), 2 * 5 * 17, DebitKind::Bytes),
        (one(Operand::GroupCount, "10"), 10, DebitKind::Use),
        (one(Operand::GroupFrequency, "10/P1D"), 10, DebitKind::Use),
        (one(Operand::GroupMeteredTime, "PT10M"), 600, DebitKind::Seconds),
        (one(Operand::GroupDataSize, "186"), 10 * 17, DebitKind::Bytes),
        // Ten answers for a tenth each, under both contracts together.
        (one(Operand::PrivacyBudget, "1"), 1_000_000, DebitKind::Epsilon),
    ] {
        each(async |place| {
            let nodes =
                [Node::start(&place, "provider").await, Node::start(&place, "provider").await];
            let contracts = [1, 2].map(|n| {
                let account = did(&format!("did:web:account{n}.example"));
                let mut it = contract(&format!("urn:agreement:{n}"), &account, 1000);
                it.policy.permissions[0].constraints = vec![term.clone()];
                if kind == DebitKind::Epsilon {
                    let unit =
                        Atomic::new(Operand::PrivacyUnit, Operator::Eq, Value::text("worker;3"));
                    it.policy.permissions[0].constraints.push(unit.into());
                }
                it
            });
            let products = vec![product("urn:product:1", 3)];
            let rows = Commit { contracts: contracts.to_vec(), products, ..Commit::default() };
            nodes[0].put(rows).await;
            let asked = (0..64_u64).map(|nonce| {
                let turn = usize::try_from(nonce).unwrap();
                let of = &contracts[turn / 2 % 2];
                let mut request = request(&of.id, nonce);
                if kind == DebitKind::Epsilon {
                    (request.kind, request.epsilon) = (Use::Query, Epsilon::from_micro(100_000));
                }
                nodes[turn % 2].ask(&of.peer, request)
            });
            let denied =
                if kind == DebitKind::Epsilon { "privacy.budget" } else { "policy.denied" };
            for answer in futures::future::join_all(asked).await {
                if let Err(why) = answer {
                    assert_eq!(code(&why), denied, "{term:?}");
                }
            }
            let mut sum = Spent::default();
            for it in &contracts {
                let spent = nodes[1].store.spent(&it.id).await.unwrap();
                sum.uses += spent.uses;
                sum.seconds += spent.seconds;
                sum.bytes += spent.bytes;
                sum.epsilon += spent.epsilon;
            }
            let found = match kind {
                DebitKind::Seconds => sum.seconds,
                DebitKind::Bytes => sum.bytes,
                DebitKind::Epsilon => sum.epsilon,
                _ => sum.uses,
            };
            assert_eq!(found, most, "{term:?}");
        })
        .await;
    }
}

/// Of a product that is not here nobody knows the line, so that its uses cannot be counted.
#[tokio::test]
async fn an_unknown_product_is_not_counted_as_unused() {
    each(async |place| {
        let consumer = did("did:web:consumer.example");
        let node = Node::start(&place, "provider").await;
        let mut it = contract("urn:agreement:1", &consumer, 1000);
        let ten = Atomic::new(Operand::GroupCount, Operator::Lteq, Value::text("10"));
        it.policy.permissions[0].constraints = vec![ten.into()];
        node.put(Commit { contracts: vec![it.clone()], ..Commit::default() }).await;
        let no = node.ask(&consumer, request(&it.id, 1)).await.unwrap_err();
        assert_eq!(code(&no), "policy.unknown");
    })
    .await;
}

/// A lost answer: the same nonce, now at the other replica, gets the same lease and costs nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_nonce_is_one_lease_wherever_it_is_asked() {
    each(async |place| {
        let consumer = did("did:web:consumer.example");
        let nodes = [Node::start(&place, "provider").await, Node::start(&place, "provider").await];
        let it = contract("urn:agreement:1", &consumer, 10);
        nodes[0].put(Commit { contracts: vec![it.clone()], ..Commit::default() }).await;
        let asked = (0..16).map(|turn| nodes[turn % 2].ask(&consumer, request(&it.id, 1)));
        let answers = futures::future::join_all(asked).await;
        let leases: BTreeSet<String> = answers
            .into_iter()
            .map(|answer| match answer.unwrap() {
                Reply::Lease(grant) => grant.lease.to_string(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(leases.len(), 1, "{leases:?}");
        assert_eq!(nodes[1].store.spent(&it.id).await.unwrap().uses, 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_opens_once() {
    each(async |place| {
        let consumer = did("did:web:consumer.example");
        let nodes = [Node::start(&place, "provider").await, Node::start(&place, "provider").await];
        let it = contract("urn:agreement:1", &consumer, 100);
        nodes[0].put(Commit { contracts: vec![it.clone()], ..Commit::default() }).await;
        for round in 0..8_u32 {
            let used = (0..4_u64).map(|turn| {
                let input = super::world::ask(&consumer, request(&it.id, turn));
                nodes[usize::from(turn % 2 == 1)].writer.run_once(input, token(round))
            });
            let answers = futures::future::join_all(used).await;
            assert_eq!(answers.iter().filter(|it| it.is_ok()).count(), 1, "{answers:?}");
            for refused in answers.iter().filter_map(|it| it.as_ref().err()) {
                assert_eq!(code(refused), "token.replayed");
            }
            let late = nodes[1].writer.remember(token(round)).await.unwrap_err();
            assert_eq!(code(&late), "token.replayed");
        }
        nodes[0].writer.remember(token(99)).await.unwrap();
    })
    .await;
}

/// House D13: a replica that still thinks that the contract is active does not bring it back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tombstone_stays() {
    each(async |place| {
        let consumer = did("did:web:consumer.example");
        let node = Node::start(&place, "provider").await;
        let it = contract("urn:agreement:1", &consumer, 10);
        node.put(Commit { contracts: vec![it.clone()], ..Commit::default() }).await;
        node.ask(&consumer, request(&it.id, 1)).await.unwrap();
        let end = Wish::EndContract {
            contract: it.id.clone(),
            why: End::Revoked,
            reason: "leak".to_owned(),
        };
        node.writer.run(Input::Wish(Box::new(end))).await.unwrap();
        node.put(Commit { contracts: vec![it.clone()], ..Commit::default() }).await;
        let found = node.store.contract(&it.id).await.unwrap().unwrap();
        assert!(matches!(found.state, ContractState::Ended { why: End::Revoked, .. }));
        for nonce in [1, 2] {
            let refused = node.ask(&consumer, request(&it.id, nonce)).await.unwrap_err();
            assert_eq!(code(&refused), "contract.ended");
        }
        assert_eq!(number(&node.store, "SELECT COUNT(*) FROM leases WHERE open = 1").await, 0);
    })
    .await;
}

/// The last use returns: the lease keeps its receipt, the contract ends, others' leases hold it open.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_return_ends_a_counted_contract() {
    each(async |place| {
        let consumer = did("did:web:consumer.example");
        let node = Node::start(&place, "provider").await;
        let it = contract("urn:agreement:1", &consumer, 2);
        node.put(Commit { contracts: vec![it.clone()], ..Commit::default() }).await;
        let mut leases = Vec::new();
        for nonce in 0..2 {
            match node.ask(&consumer, request(&it.id, nonce)).await.unwrap() {
                Reply::Lease(grant) => leases.push(grant.lease),
                other => panic!("{other:?}"),
            }
        }
        for (lease, active) in leases.into_iter().zip([true, false]) {
            let outcome = lease::message::Outcome { done: true, rows: 1, bytes: 2, result: None };
            let close = Wish::Close { lease: lease.clone(), outcome };
            node.writer.run(Input::Wish(Box::new(close))).await.unwrap();
            let kept = node.store.lease(&lease).await.unwrap().unwrap();
            assert_eq!(kept.state.name(), lease::state::Name::Returned);
            assert_eq!(node.store.contract(&it.id).await.unwrap().unwrap().is_active(), active);
        }
    })
    .await;
}

/// Where a message was posted to, from its address.
fn endpoint(path: &str) -> (Endpoint, Option<String>) {
    let parts: Vec<&str> = path.split('/').skip(2).collect();
    match parts.as_slice() {
        ["request"] => (Endpoint::RequestOpen, None),
        ["offers"] => (Endpoint::OfferOpen, None),
        [pid, rest @ ..] => {
            let endpoint = match rest {
                ["request"] => Endpoint::Request,
                ["offers"] => Endpoint::Offer,
                ["events"] => Endpoint::Events,
                ["agreement"] => Endpoint::Agreement,
                ["agreement", "verification"] => Endpoint::Verification,
                ["termination"] => Endpoint::Termination,
                _ => panic!("{path}"),
            };
            (endpoint, Some(pid.replace("%3A", ":")))
        }
        [] => panic!("{path}"),
    }
}

async fn hear(node: &Node, from: &Node, send: &Send) -> Outcome {
    let path = send.url.strip_prefix(&node.address).unwrap();
    let (endpoint, mine) = endpoint(path);
    let mine = mine.map(|it| id(&it));
    let (message, spoken) = wire::read(endpoint, mine.as_ref(), send.body.as_bytes()).unwrap();
    let received = Received {
        from: from.did.clone(),
        key: Some(from.key.clone()),
        id: message,
        seen: Default::default(),
        digest: sha256(send.body.as_bytes()),
        what: Heard::Negotiation(Box::new(spoken)),
    };
    match node.writer.run(Input::Heard(Box::new(received))).await {
        Ok(Reply::Negotiation { it, .. }) => {
            let answer = wire::state(&it);
            let mine = match &send.about {
                tidm_space::engine::commit::About::Negotiation(mine) => mine,
                other => panic!("{other:?}"),
            };
            Outcome::Accepted { pid: wire::read_ack(answer.as_bytes(), mine) }
        }
        other => panic!("{other:?}"),
    }
}

/// Delivers what is announced until nobody has anything to say. Each message arrives `copies` times.
async fn settle(nodes: &mut [Node; 2], copies: usize) -> usize {
    let mut delivered = 0;
    loop {
        let mut quiet = true;
        for turn in 0..2 {
            while let Ok(after) = nodes[turn].after.try_recv() {
                for send in after.sends {
                    quiet = false;
                    delivered += 1;
                    let (from, to) = (&nodes[turn], &nodes[1 - turn]);
                    let mut outcome = hear(to, from, &send).await;
                    for _ in 1..copies {
                        outcome = hear(to, from, &send).await;
                    }
                    let done = Input::Delivered { send: Box::new(send), outcome };
                    from.writer.run(done).await.unwrap();
                }
            }
        }
        if quiet {
            return delivered;
        }
    }
}

/// From the wish to the contract, once with each message once and once with each message twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_stores_negotiate_to_the_same_contract() {
    each(async |place: Arc<Place>| {
        let elsewhere = Place::sqlite();
        let mut nodes =
            [Node::start(&elsewhere, "consumer").await, Node::start(&place, "provider").await];
        let publish = Wish::Publish(Box::new(product("urn:product:1", 3)));
        nodes[1].writer.run(Input::Wish(Box::new(publish))).await.unwrap();
        for (round, copies) in [(1, 1), (2, 2)] {
            let mut offer = counted(3);
            offer.target = Some(id("urn:product:1"));
            let wish = ContractWish {
                peer: nodes[1].did.clone(),
                address: nodes[1].address.clone(),
                product: id("urn:product:1"),
                offer,
                rules: tidm_space::approval::Rules::default(),
            };
            let wish = Input::Wish(Box::new(Wish::Request(Box::new(wish))));
            nodes[0].writer.run(wish).await.unwrap();
            let delivered = settle(&mut nodes, copies).await;
            assert_eq!(delivered, 4, "request, agreement, verification, finalized");
            let mut digests = Vec::new();
            for (node, role) in nodes.iter().zip([Role::Consumer, Role::Provider]) {
                let negotiations = node.store.negotiations(None, 10).await.unwrap().rows;
                assert_eq!(negotiations.len(), round);
                assert!(negotiations.iter().all(|it| it.state.name() == Name::Finalized));
                let contracts = node.store.contracts(None, 10).await.unwrap().rows;
                assert_eq!(contracts.len(), round);
                for it in &contracts {
                    assert!(it.role == role && it.is_active());
                    assert!(it.provider_signature.is_some() && it.consumer_signature.is_some());
                }
                let mut signed: Vec<String> =
                    contracts.iter().map(|it| it.digest.to_string()).collect();
                signed.sort();
                digests.push(signed);
                assert_eq!(number(&node.store, "SELECT COUNT(*) FROM outbox").await, 0);
            }
            assert_eq!(digests[0], digests[1]);
        }
    })
    .await;
}

/// What is on record for an account by itself is found beside what is on record for its legal entity.
#[tokio::test]
async fn uses_of_a_legal_entity_are_summed_over_all_its_names() {
    each(async |place| {
        let node = Node::start(&place, "provider").await;
        let entity = Group::parse("credit-code:91350100M000100Y43").unwrap();
        let [alone, known] = ["did:web:a.example", "did:web:b.example"].map(did);
        let of = contract("urn:agreement:1", &alone, 1000);
        let mut other = contract("urn:agreement:2", &known, 1000);
        other.group = Some(entity.clone());
        let contracts = vec![of.clone(), other.clone()];
        let products = vec![product("urn:product:1", 3)];
        node.put(Commit { contracts, products, ..Commit::default() }).await;
        for nonce in 0..3 {
            node.ask(&alone, request(&of.id, nonce)).await.unwrap();
        }
        node.ask(&known, request(&other.id, 9)).await.unwrap();
        let mut conn = node.store.connect().await.unwrap();
        for (names, uses) in [
            (vec![entity.clone()], 1),
            (vec![Group::from(&alone)], 3),
            (vec![entity.clone(), Group::from(&alone)], 4),
        ] {
            let more = More { group: Some((names, of.product.clone())), ..More::default() };
            let mut view = View::default();
            load_more(&mut conn, &more, &mut view, Time::from_ms(0)).await.unwrap();
            assert_eq!(view.group.map(|it| it.uses), Some(uses), "{more:?}");
        }
    })
    .await;
}
