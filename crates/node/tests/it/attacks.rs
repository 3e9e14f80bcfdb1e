//! What somebody does who wants more than the contract gives: over real sockets, with a node that says what it likes.
//!
//! Numbered as in `docs/usage-control.md`, which also names the tests of the other attacks, beside what they attack.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request as HttpRequest;
use futures::StreamExt as _;
use serde_json::json;
use tower::ServiceExt as _;

use tidm_crypto::kem::KemSecret;
use tidm_node::accounts;
use tidm_node::clock::Clock;
use tidm_node::jobs::open_program::{self, Opening};
use tidm_node::jobs::use_data::{
    OpenRequest, close_file, open_file, query_at_provider, query_sealed, sealed_copy,
};
use tidm_node::net::auth;
use tidm_node::random::os;
use tidm_node::serve;
use tidm_node::store::save::save_fact;
use tidm_space::approval::Rules;
use tidm_space::catalog::product::Product;
use tidm_space::contract::Contract;
use tidm_space::engine::input::{ContractWish, Input, Wish};
use tidm_space::evidence::copies;
use tidm_space::evidence::fact::{Fact, Links, What};
use tidm_space::id::Id;
use tidm_space::lease::message::Request;
use tidm_space::negotiation::state::Name as Moved;
use tidm_space::policy::sentence::Sentences;
use tidm_space::policy::usage::Use;
use tidm_space::time::Time;
use tidm_space::wire::odrl::{self, OdrlPolicy};
use tidm_space::wire::tidm::lease;

use crate::world::{Node, World, csv, eventually, fault, limited, table};

const SQL: &str = "SELECT count(*) AS n FROM data";

fn asked(contract: &Contract, nonce: u8, key: [u8; 32]) -> Request {
    Request {
        contract: contract.id.clone(),
        kind: Use::SealedTable,
        nonce: [nonce; 16],
        key,
        purpose: None,
        query: None,
        items: None,
        epsilon: None,
        span: Duration::ZERO,
    }
}

/// Says it to the provider's gate as a patched node would: status and answer.
async fn said(world: &World, from: &Node, bearer: &str, request: &Request) -> (u16, Vec<u8>) {
    let posting = lease::write_request(&Id::from(uuid::Uuid::now_v7()), request);
    let url = format!("{}{}", world.provider().base(), posting.path);
    let body = Some(posting.body);
    let answer = from.app.client.call(reqwest::Method::POST, &url, Some(bearer), body);
    let answer = answer.await.unwrap();
    (answer.status.as_u16(), answer.body)
}

fn token(world: &World, from: &Node) -> String {
    auth::mint(&from.app.identity, &world.provider().did, &from.app.clock)
}

/// A term of a contract as its user reads it in the node's API for one kind of use, found by a part of its sentence: the
/// level, who keeps it, and against what that does not hold.
async fn shown(node: &Node, contract: &Contract, kind: Use, term: &str) -> [String; 3] {
    const PASSWORD: &str = "a sentence that is long enough";
    let app = &node.app;
    let token = accounts::setup_token(app).await.unwrap().unwrap();
    accounts::setup(app, &token, "admin", PASSWORD).await.unwrap();
    let session = accounts::sign_in(app, ("admin", PASSWORD), None, "-").await.unwrap();
    let request = HttpRequest::builder()
        .uri(format!("/api/v1/contracts/{}", contract.id))
        .header("authorization", format!("Bearer {}", session.expose()))
        .header("accept-language", "en")
        .body(Body::empty())
        .unwrap();
    let answer = serve::router(app).oneshot(request).await.unwrap();
    let body = axum::body::to_bytes(answer.into_body(), 1 << 20).await.unwrap();
    let it: serde_json::Value = serde_json::from_slice(&body).unwrap();
    let meaning = it["terms"].as_array().unwrap().iter().find(|it| it["kind"] == kind.name());
    let sentences = meaning.unwrap()["sentences"].as_array().unwrap();
    let found = sentences.iter().find(|it| it["text"].as_str().unwrap().contains(term));
    let found = found.unwrap_or_else(|| panic!("no {term} in {sentences:?}"));
    ["level", "enforced", "limit"].map(|name| found[name].as_str().unwrap().to_owned())
}

const E1: [&str; 3] = [
    "E1",
    "by software at the consumer",
    "the administrator of the consumer's machine: whoever patches the program keeps what was opened once",
];

/// So much time passes for everybody but the consumer, or so far its clock is set back: a provider that was at work then
/// wrote it down.
async fn time_passes(world: &mut World, later: Time) {
    let app = &world.provider().app;
    let (id, by) = (Id::from(uuid::Uuid::now_v7()), app.identity.did.clone());
    let fact = Fact { id, at: later, by, links: Links::default(), what: What::Consented };
    let noted = app.writer.note(move |conn| {
        let fact = fact.clone();
        Box::pin(async move { save_fact(conn, &fact).await })
    });
    noted.await.unwrap();
    world.restart(0).await;
    assert!(world.provider().app.clock.now() >= later);
}

async fn uses(world: &World, contract: &Contract) -> u64 {
    world.provider().app.store.spent(&contract.id).await.unwrap().uses
}

#[tokio::test(flavor = "multi_thread")]
async fn a01_a_replayed_request_brings_nothing_new() {
    let world = World::of(3, |_, _| String::new()).await;
    let contract = world.ready("t.csv", &csv(), limited(5), Use::SealedTable).await;
    let (mine, thief) = (KemSecret::generate(&mut os()), KemSecret::generate(&mut os()));
    let request = asked(&contract, 1, mine.public().to_bytes());
    let bearer = token(&world, world.consumer());
    let (status, first) = said(&world, world.consumer(), &bearer, &request).await;
    assert_eq!(status, 200);
    // The same words with the token of before: whoever overheard them.
    let (status, _) = said(&world, world.consumer(), &bearer, &request).await;
    assert_ne!(status, 200);
    // With the asker's own fresh token: the lease of before, and the key for the same one-time key.
    let (status, again) =
        said(&world, world.consumer(), &token(&world, world.consumer()), &request).await;
    assert_eq!(status, 200);
    let (first, again) = (lease::read_grant(&first).unwrap(), lease::read_grant(&again).unwrap());
    assert_eq!(first.0, again.0);
    // The nonce of before with a key of another's.
    let other = asked(&contract, 1, thief.public().to_bytes());
    let (status, _) =
        said(&world, world.consumer(), &token(&world, world.consumer()), &other).await;
    assert_eq!(status, 400);
    // Another member with the whole request.
    let (status, _) =
        said(&world, &world.nodes[2], &token(&world, &world.nodes[2]), &request).await;
    assert_eq!(status, 404);
    assert_eq!(uses(&world, &contract).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a02_a_storm_of_retries_is_one_use() {
    let world = World::two().await;
    let contract = world.ready("t.csv", &csv(), limited(5), Use::SealedTable).await;
    let request = asked(&contract, 1, KemSecret::generate(&mut os()).public().to_bytes());
    let one = async || {
        let bearer = token(&world, world.consumer());
        let (status, body) = said(&world, world.consumer(), &bearer, &request).await;
        // Whoever is turned away asks again.
        (status == 200).then(|| lease::read_grant(&body).unwrap().0.lease)
    };
    let all = futures::future::join_all((0..40).map(|_| one())).await;
    let leases: BTreeSet<Id> = all.into_iter().flatten().collect();
    assert_eq!(leases.len(), 1);
    assert_eq!(uses(&world, &contract).await, 1);
}

/// What nothing can be wrapped to is found before it costs anything.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_none_costs_no_use() {
    let world = World::two().await;
    let contract = world.ready("t.csv", &csv(), limited(5), Use::SealedTable).await;
    for key in [[0; 32], {
        let mut one = [0; 32];
        one[0] = 1;
        one
    }] {
        let bearer = token(&world, world.consumer());
        let (status, _) = said(&world, world.consumer(), &bearer, &asked(&contract, 1, key)).await;
        assert_eq!((status, uses(&world, &contract).await), (400, 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a04_a_restored_consumer_has_no_uses_back() {
    let mut world = World::two().await;
    let contract = world.ready("t.csv", &csv(), limited(2), Use::SealedTable).await;
    let home = world.consumer().app.config.node.data.clone();
    let kept = world.path().join("snapshot");
    let copy = |from: &std::path::Path, to: &std::path::Path| {
        let done = std::process::Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
        assert!(done.success());
    };
    world.nodes[1].halt().await;
    copy(&home, &kept);
    world.restart(1).await;
    for _ in 0..2 {
        query_sealed(&world.consumer().app, &contract.id, SQL, None).await.unwrap();
    }
    world.nodes[1].halt().await;
    std::fs::remove_dir_all(&home).unwrap();
    copy(&kept, &home);
    world.restart(1).await;
    // What it counts with is not on its machine.
    let no = fault(query_sealed(&world.consumer().app, &contract.id, SQL, None).await);
    assert!(["policy.denied", "contract.ended"].contains(&no.code()), "{no:?}");
    assert_eq!(uses(&world, &contract).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a06_the_askers_clock_decides_nothing() {
    let mut world = World::two().await;
    let until = world.provider().app.clock.now().after(Duration::from_secs(600));
    let sentences = Sentences { until: Some(until), ..Sentences::default() };
    let contract = world.ready("t.csv", &csv(), sentences, Use::SealedTable).await;
    time_passes(&mut world, until.after(Duration::from_secs(600))).await;
    let (provider, consumer) = (world.provider(), world.consumer());
    assert!(consumer.app.clock.now() < until, "by its own clock the contract goes on");
    // Its own node asks, which has no doubt; what it signs with its time counts for nothing by now.
    assert!(query_sealed(&consumer.app, &contract.id, SQL, None).await.is_err());
    // A patched one signs with the provider's time, and says nothing else that has a time in it: the gate refuses.
    let clock = Clock::starting_at(provider.app.clock.now());
    let bearer = auth::mint(&consumer.app.identity, &provider.did, &clock);
    let key = KemSecret::generate(&mut os()).public().to_bytes();
    let (status, body) = said(&world, consumer, &bearer, &asked(&contract, 1, key)).await;
    let no = lease::read_refusal(&body).unwrap().code;
    assert!(["policy.denied", "contract.ended"].contains(&no.as_str()), "{status} {no}");
    assert_eq!(uses(&world, &contract).await, 0);
}

/// The provider's machine says an earlier time than its store has seen, and the node starts anew: what ended stays ended.
#[tokio::test(flavor = "multi_thread")]
async fn a07_a_provider_whose_clock_is_set_back_opens_nothing_that_ended() {
    let mut world = World::two().await;
    let until = world.provider().app.clock.now().after(Duration::from_secs(600));
    let sentences = Sentences { until: Some(until), ..limited(5) };
    let contract = world.ready("t.csv", &csv(), sentences, Use::SealedTable).await;
    world.restart(0).await;
    query_sealed(&world.consumer().app, &contract.id, SQL, None).await.unwrap();
    // A node that was at work after the end wrote this; now its machine's clock shows the present again.
    time_passes(&mut world, until.after(Duration::from_secs(600))).await;
    assert!(Clock::default().now() < until, "by the machine's clock the contract goes on");
    let (provider, consumer) = (world.provider(), world.consumer());
    // Told in tokens of the provider's time, so that nothing but the gate refuses.
    let clock = Clock::starting_at(provider.app.clock.now());
    for nonce in [1, 2] {
        let key = KemSecret::generate(&mut os()).public().to_bytes();
        let bearer = auth::mint(&consumer.app.identity, &provider.did, &clock);
        let (status, body) = said(&world, consumer, &bearer, &asked(&contract, nonce, key)).await;
        let no = lease::read_refusal(&body).unwrap().code;
        assert!(["policy.denied", "contract.ended"].contains(&no.as_str()), "{status} {no}");
    }
    assert_eq!(uses(&world, &contract).await, 1);
}

/// The documented limit of software at the consumer (E1), and where it is shown.
#[tokio::test(flavor = "multi_thread")]
async fn a08_a_key_that_was_kept_still_opens_its_copy_and_the_level_says_so() {
    let world = World::two().await;
    let drawing = b"a drawing".repeat(1000);
    let contract = world.ready("part.bin", &drawing, limited(1), Use::SealedFile).await;
    let consumer = &world.consumer().app;
    let secret = KemSecret::generate(&mut os());
    let request = OpenRequest {
        contract: contract.id.clone(),
        purpose: None,
        key: secret.public().to_bytes(),
        span: Duration::from_secs(60),
        export: false,
    };
    let grant = open_file(consumer, request).await.unwrap();
    let sealed = sealed_copy(consumer, &grant.lease).await.unwrap();
    let pieces: Vec<_> = sealed.stream.map(|it| it.unwrap()).collect().await;
    let bytes = pieces.concat();
    close_file(consumer, &grant.lease, true, 0).await.unwrap();
    world.revoke(&contract).await;
    // A patched program that kept ciphertext, wrapped key and one-time key past the end.
    let out = world.path().join("leaked");
    let opening = Opening {
        lease: grant.lease.clone(),
        contract: grant.contract.clone(),
        life: Duration::from_secs(60),
        wrapped_key: grant.wrapped_key.clone(),

        wrapped_share: None,
        may_export: false,
        name: None,
    };
    let command = ["sh", "-c", &format!("cat \"$1\" > {}", out.display()), "sh", "{}"];
    let command = command.map(std::ffi::OsString::from).to_vec();
    let run = move || open_program::run(std::io::Cursor::new(bytes), &opening, &secret, &command);
    tokio::task::spawn_blocking(run).await.unwrap().unwrap();
    assert_eq!(std::fs::read(&out).unwrap(), drawing);
    // No new key; and the term that was broken so never claimed more.
    assert_eq!(shown(world.consumer(), &contract, Use::SealedFile, "1 use").await, E1);
    let no = sealed_copy(consumer, &grant.lease).await.map(|it| it.bytes);
    assert_eq!(fault(no).code(), "lease.ended");
}

/// Groups have a least size and uses are counted; what two allowed answers say together is a limit.
#[tokio::test(flavor = "multi_thread")]
async fn a09_small_questions_are_refused_and_differences_are_not() {
    let world = World::two().await;
    let sentences = Sentences { aggregates_only: true, min_group: Some(5), ..limited(4) };
    let product = world.published("q.csv", &csv(), sentences, &[Use::Query]).await;
    let contract = world.agreed(&product).await;
    let consumer = &world.consumer().app;
    let ask = async |sql: &str| query_at_provider(consumer, &contract.id, sql, None).await;
    let no = fault(ask("SELECT sum(temp) FROM data WHERE line = 'C'").await);
    assert_eq!(no.code(), "query.small-group", "{no:?}");
    // All readings, and all but one: each is a large group.
    let sum = async |sql: &str| table(&ask(sql).await.unwrap().ipc)[0][0].parse::<f64>().unwrap();
    let all = sum("SELECT sum(temp) FROM data").await;
    let rest = sum("SELECT sum(temp) FROM data WHERE line <> 'C'").await;
    assert!((all - rest - 99.5).abs() < 1e-6, "the limit that the document names: {all} {rest}");
    // What the user is told of the very term.
    let told = shown(world.consumer(), &contract, Use::Query, "rows behind each group").await;
    let words =
        ["by a sandbox at the provider or a third party", "what many allowed results say together"];
    assert_eq!(told, ["E2", words[0], words[1]]);
    // Each question was one of the agreed number, refused ones included.
    assert_eq!(uses(&world, &contract).await, 3);
    ask("SELECT count(*) FROM data").await.unwrap();
    let no = fault(ask("SELECT count(*) FROM data").await);
    assert!(["policy.denied", "contract.ended"].contains(&no.code()), "{no:?}");
}

/// A policy with one more term, as it stands in a message of the protocol.
fn with_term(product: &Product, left: &str) -> serde_json::Value {
    let mut offer = odrl::to_json(product.offers[0].policy());
    offer["@type"] = json!("Offer");
    offer["target"] = json!(product.id.as_str());
    let term = json!({ "leftOperand": left, "operator": "eq", "rightOperand": "urn:app:1" });
    let permission = &mut offer["permission"][0];
    match permission["constraint"].as_array_mut() {
        Some(all) => all.push(term),
        None => permission["constraint"] = json!([term]),
    }
    offer
}

/// Neither side signs a contract with this term: our own node does not ask for it, and a provider that is asked for it
/// by a node that signs anything ends the negotiation. Both name the term.
async fn never_signed(world: &World, product: &Product, left: &str) {
    let (provider, consumer) = (world.provider(), world.consumer());
    let offer = with_term(product, left);
    let wish = ContractWish {
        peer: provider.did.clone(),
        address: provider.base(),
        product: product.id.clone(),
        offer: OdrlPolicy::parse(offer.clone()).unwrap().model,
        rules: Rules::default(),
    };
    let wish = Input::Wish(Box::new(Wish::Request(Box::new(wish))));
    let no = fault(consumer.app.writer.run(wish).await);
    assert_eq!(no.code(), "policy.unknown-terms", "{left}: {no:?}");
    assert!(no.to_string().contains(left), "{left}: {no}");

    let message = json!({
        "@context": ["https://w3id.org/dspace/2025/1/context.jsonld"],
        "@type": "ContractRequestMessage",
        "@id": format!("urn:uuid:{}", uuid::Uuid::now_v7()),
        "consumerPid": format!("urn:uuid:{}", uuid::Uuid::now_v7()),
        "callbackAddress": consumer.base(),
        "offer": offer,
    });
    let url = format!("{}/negotiations/request", provider.base());
    let bearer = token(world, consumer);
    let body = Some(message.to_string());
    let answer = consumer.app.client.call(reqwest::Method::POST, &url, Some(&bearer), body);
    let answer = answer.await.unwrap();
    let told = String::from_utf8(answer.body.to_vec()).unwrap();
    if answer.status.is_success() {
        let made: serde_json::Value = serde_json::from_str(&told).unwrap();
        let pid = Id::parse(made["providerPid"].as_str().unwrap()).unwrap();
        let why = || async {
            let facts = provider.app.store.facts_about(&pid).await.unwrap();
            facts.into_iter().find_map(|it| {
                let What::Negotiation { to: Moved::Terminated, reason, .. } = it.what else {
                    return None;
                };
                reason
            })
        };
        let why = eventually("the negotiation is ended", why).await;
        assert!(why.contains(left), "{left}: {why}");
    } else {
        assert!(told.contains(left), "{left}: {told}");
    }
    assert!(provider.app.store.contracts(None, 10).await.unwrap().rows.is_empty());
}

/// Nobody's program but ours runs where the provider vouches for it: none is agreed on, and a statement brings none.
#[tokio::test(flavor = "multi_thread")]
async fn a11_no_program_of_others_is_agreed_on_or_run() {
    let world = World::two().await;
    let product = world.published("q.csv", &csv(), Sentences::default(), &[Use::Query]).await;
    never_signed(&world, &product, "tidm:application").await;
    let contract = world.agreed(&product).await;
    let consumer = &world.consumer().app;
    for sql in [
        "CREATE FUNCTION mine(temp DOUBLE) RETURNS DOUBLE RETURN temp",
        "CREATE EXTERNAL TABLE mine STORED AS CSV LOCATION '/bin/sh'",
        "COPY data TO '/tmp/mine.csv'",
        "SELECT mine(temp) FROM data",
        "SELECT * FROM '/bin/sh'",
    ] {
        let no = fault(query_at_provider(consumer, &contract.id, sql, None).await);
        assert!(no.code().starts_with("query."), "{sql}: {no:?}");
    }
}

/// Which algorithm worked on the data nobody here could tell: no such term is signed.
#[tokio::test(flavor = "multi_thread")]
async fn a12_no_algorithm_is_agreed_on_that_nobody_could_check() {
    let world = World::two().await;
    let product = world.published("q.csv", &csv(), Sentences::default(), &[Use::Query]).await;
    never_signed(&world, &product, "tidm:algorithm").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a18_an_unknown_term_is_refused_by_name_at_signing() {
    let world = World::two().await;
    let product = world.published("q.csv", &csv(), Sentences::default(), &[Use::Query]).await;
    for left in ["tidm:nobodyKnows", "https://elsewhere.example/terms/moonPhase"] {
        never_signed(&world, &product, left).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a19_a_purpose_is_checked_and_kept_as_what_was_said() {
    let world = World::two().await;
    let sentences = Sentences { purposes: vec!["质检".to_owned()], ..limited(5) };
    let contract = world.ready("t.csv", &csv(), sentences, Use::SealedTable).await;
    let (provider, consumer) = (&world.provider().app, &world.consumer().app);
    for (purpose, code) in [
        (None, "policy.unknown"),
        (Some("转售"), "policy.denied"),
        (Some("质检 "), "policy.denied"),
    ] {
        let no = fault(query_sealed(consumer, &contract.id, SQL, purpose).await);
        assert_eq!(no.code(), code, "{purpose:?}");
    }
    query_sealed(consumer, &contract.id, SQL, Some("质检")).await.unwrap();
    // Whether it was true nobody can see; what was said stands in the provider's evidence.
    let facts = provider.store.facts_about(&contract.id).await.unwrap();
    let said = |it: &What| matches!(it, What::LeaseGranted { purpose: Some(p), .. } if p == "质检");
    assert_eq!(facts.iter().filter(|it| said(&it.what)).count(), 1);
    let told = shown(world.consumer(), &contract, Use::SealedTable, "质检").await;
    assert_eq!(told[..2], ["E0", "by contract only"]);
    assert!(told[2].starts_with("whoever breaks it"), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a20_a_copy_that_was_not_deleted_has_no_key_any_more() {
    let world = World::two().await;
    let sentences = Sentences { delete_after_use: true, ..limited(5) };
    let contract = world.ready("t.csv", &csv(), sentences, Use::SealedTable).await;
    assert!(world.provider().app.store.seal(&contract.id).await.unwrap().is_some());
    world.revoke(&contract).await;
    let store = &world.provider().app.store;
    let gone = || async {
        let facts = store.facts_about(&contract.id).await.unwrap();
        let told = facts.iter().any(|it| matches!(it.what, What::KeyDestroyed));
        (told && store.seal(&contract.id).await.unwrap().is_none()).then_some(())
    };
    eventually("the provider's key is destroyed, and that is told", gone).await;
    // A node that says it deleted its copy and did not asks for the key.
    let secret = KemSecret::generate(&mut os());
    let bearer = token(&world, world.consumer());
    let request = asked(&contract, 9, secret.public().to_bytes());
    let (status, _) = said(&world, world.consumer(), &bearer, &request).await;
    assert_ne!(status, 200);
    // That the copy is deleted is the word of software at the consumer, and no more is claimed.
    let told = shown(world.consumer(), &contract, Use::SealedTable, "copies are deleted").await;
    assert_eq!(told, E1);
}

/// Who is refused as often as it likes hides nothing by it.
#[tokio::test(flavor = "multi_thread")]
async fn a27_a_flood_of_refused_requests_hides_nothing() {
    let world = World::two().await;
    let contract = world.ready("t.csv", &csv(), limited(5), Use::SealedTable).await;
    world.revoke(&contract).await;
    let store = &world.provider().app.store;
    let before = store.contract_facts(&contract.id).await.unwrap().len();
    for nonce in 0..100 {
        let bearer = token(&world, world.consumer());
        let request = asked(&contract, nonce, [1; 32]);
        assert_ne!(said(&world, world.consumer(), &bearer, &request).await.0, 200);
    }
    let facts = store.contract_facts(&contract.id).await.unwrap();
    let told = facts.iter().filter(|it| refused(&it.what)).count();
    // A fact a minute; the hundred may lie in two.
    assert!((1..=2).contains(&told), "{told} of {before}");
    // What became of each copy is found without them.
    let kinds = store.contract_facts_of(&contract.id, copies::KINDS).await.unwrap();
    assert!(!kinds.iter().any(|it| refused(&it.what)));
    let found = copies::copies(&contract, &kinds);
    assert_eq!(found.len(), 1, "{found:?}");
}

fn refused(it: &What) -> bool {
    matches!(it, What::LeaseRefused { .. })
}
