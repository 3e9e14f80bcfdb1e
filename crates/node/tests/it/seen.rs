//! What the gate looks at beside the terms' numbers: who asks, from where, with whose consent; and what it would say.

use tidm_crypto::hash::sha256;
use tidm_node::jobs::membership::{self, Particulars};
use tidm_node::jobs::use_data::{query_at_provider, query_sealed};
use tidm_node::net::auth;
use tidm_space::contract::Contract;
use tidm_space::engine::input::{Heard, Input, Received, Wish};
use tidm_space::evidence::fact::What;
use tidm_space::fault::Fault;
use tidm_space::identity::did::Did;
use tidm_space::lease::message::Request;
use tidm_space::policy::network::Network;
use tidm_space::policy::sentence::{Asker, Counted, Sentences};
use tidm_space::policy::span::Span;
use tidm_space::policy::usage::Use;

use crate::world::{World, csv, fault};

const SQL: &str = "SELECT count(*) AS n FROM data";

fn asker(roles: &[&str], regions: &[&str], networks: &[&str]) -> Sentences {
    let texts = |all: &[&str]| all.iter().map(|it| (*it).to_owned()).collect();
    let asker = Asker {
        roles: texts(roles),
        regions: texts(regions),
        networks: networks.iter().map(|it| Network::parse(it).unwrap()).collect(),
    };
    Sentences { asker, ..Sentences::default() }
}

async fn queried(world: &World, contract: &Contract) -> Result<u64, Fault> {
    match query_at_provider(&world.consumer().app, &contract.id, SQL, None).await {
        Ok(done) => Ok(done.rows),
        Err(error) => Err(fault::<()>(Err(error))),
    }
}

async fn offered(world: &World, sentences: Sentences) -> Contract {
    let kinds = [Use::Query, Use::SealedTable];
    let product = world.published("t.csv", &csv(), sentences, &kinds).await;
    world.agreed(&product).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_list_and_the_connection_say_who_asks_from_where() {
    let world = World::two().await;
    for (sentences, refused) in [
        (asker(&["consumer"], &[], &["127.0.0.0/8"]), None),
        (asker(&["auditor"], &[], &[]), Some("policy.denied")),
        (asker(&[], &[], &["10.0.0.0/8"]), Some("policy.denied")),
        // The list names no credit code, so that nobody knows where the member is.
        (asker(&[], &["CN"], &[]), Some("policy.unknown")),
    ] {
        let contract = offered(&world, sentences.clone()).await;
        let got = queried(&world, &contract).await;
        assert_eq!(got.as_ref().err().map(Fault::code), refused, "{sentences:?}: {got:?}");
        let spent = world.provider().app.store.spent(&contract.id).await.unwrap();
        assert_eq!(spent.uses, u64::from(refused.is_none()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_says_roles_and_region() {
    let more = |_: usize, _: &[Did]| "[identity]\nmode = \"dcp\"\n".to_owned();
    let world = World::of(2, more).await;
    let operator = &world.provider().app;
    let space = membership::create(operator, "test").await.unwrap();
    let bad = |country, credit_code| Particulars { country, credit_code };
    for (about, code) in [
        (bad(Some("中国"), None), "space.country"),
        // Its check character is another one.
        (bad(None, Some("91350100M000100Y44")), "space.credit-code"),
    ] {
        let no = membership::invite(operator, &space, &world.consumer().did, &[], about).await;
        assert_eq!(fault(no).code(), code);
    }
    for node in &world.nodes {
        let about = Particulars { country: Some("CN-32"), ..Particulars::default() };
        let invited = membership::invite(operator, &space, &node.did, &[], about).await;
        let joined = membership::join(&node.app, &invited.unwrap().0).await.unwrap();
        assert_eq!(joined.state, "issued");
    }
    for (sentences, refused) in [
        (asker(&["consumer"], &["CN"], &[]), None),
        (asker(&[], &["DE"], &[]), Some("policy.denied")),
        (asker(&["custodian"], &[], &[]), Some("policy.denied")),
    ] {
        let contract = offered(&world, sentences.clone()).await;
        world.delivered(&contract, Use::SealedTable).await;
        let consumer = &world.consumer().app;
        let asked = queried(&world, &contract).await;
        assert_eq!(asked.err().map(|it| it.code()), refused, "{sentences:?}");
        // Where the copy is used there is no second look at what the gate saw.
        let opened = query_sealed(consumer, &contract.id, SQL, None).await;
        match refused {
            None => assert_eq!(opened.unwrap().rows, 1),
            Some(code) => assert_eq!(fault(opened).code(), code),
        }
    }
}

/// A22 where no list says whose accounts are whose: memberships do.
#[tokio::test(flavor = "multi_thread")]
async fn memberships_of_one_legal_entity_share_its_budget() {
    let more = |_: usize, _: &[Did]| "[identity]\nmode = \"dcp\"\n".to_owned();
    let world = World::of(4, more).await;
    let operator = &world.provider().app;
    let space = membership::create(operator, "test").await.unwrap();
    for (at, node) in world.nodes.iter().enumerate() {
        let credit_code = [1, 2].contains(&at).then_some("91350100M000100Y43");
        let about = Particulars { credit_code, ..Particulars::default() };
        let invited = membership::invite(operator, &space, &node.did, &[], about).await;
        let joined = membership::join(&node.app, &invited.unwrap().0).await.unwrap();
        assert_eq!(joined.state, "issued");
    }
    let counted = Counted { entity_uses: Some(2), ..Counted::default() };
    let sentences = Sentences { counted, ..Sentences::default() };
    let product = world.published("t.csv", &csv(), sentences, &[Use::Query]).await;
    let mut contracts = Vec::new();
    for at in 1..4 {
        contracts.push(world.agreed_by(&product, at).await.id);
    }
    for (at, refused) in [
        (1, None),
        (2, None),
        (1, Some("policy.denied")),
        (2, Some("policy.denied")),
        // Whose membership names none has an account of its own.
        (3, None),
    ] {
        let asked = query_at_provider(&world.nodes[at].app, &contracts[at - 1], SQL, None).await;
        let code = asked.err().map(|it| fault::<()>(Err(it)).code());
        assert_eq!(code, refused, "{at}");
    }
}

/// An offer for queries alone says so, and the gate keeps to what was signed.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_offered_is_not_granted() {
    let world = World::two().await;
    let product = world.published("t.csv", &csv(), Sentences::default(), &[Use::Query]).await;
    let contract = world.agreed(&product).await;
    assert_eq!(queried(&world, &contract).await.unwrap(), 1);
    let reply =
        world.provider().app.writer.weigh(asking(&world, &contract, Use::SealedTable)).await;
    assert_eq!(reply.unwrap().reply.unwrap_err().code(), "policy.denied");
}

#[tokio::test(flavor = "multi_thread")]
async fn consent_opens_what_waits_for_it() {
    let world = World::two().await;
    let contract = offered(&world, Sentences { consent: true, ..Sentences::default() }).await;
    assert_eq!(queried(&world, &contract).await.unwrap_err().code(), "policy.denied");
    let consent = || Wish::Consent { contract: contract.id.clone() };
    let theirs = Input::Wish(Box::new(consent()));
    let no = fault(world.consumer().app.writer.run(theirs).await);
    assert_eq!(no.code(), "contract.consent");
    for _ in 0..2 {
        world.provider().wish(consent()).await;
    }
    assert_eq!(queried(&world, &contract).await.unwrap(), 1);
    let facts = world.provider().app.store.contract_facts(&contract.id).await.unwrap();
    assert_eq!(facts.iter().filter(|it| it.what == What::Consented).count(), 1);
}

fn asking(world: &World, contract: &Contract, kind: Use) -> Input {
    let request = Request {
        contract: contract.id.clone(),
        kind,
        nonce: [0; 16],
        key: [0; 32],
        purpose: None,
        query: None,
        items: None,
        epsilon: None,
        span: std::time::Duration::ZERO,
    };
    let (app, did) = (&world.provider().app, &world.consumer().did);
    let what = Heard::Ask(Box::new(request));
    let seen = auth::seen(app, did, None);
    let digest = sha256(b"what if");
    Input::Heard(Box::new(Received { from: did.clone(), key: None, id: None, digest, seen, what }))
}

/// What would be said and charged, by the real counters, any number of times at no cost.
#[tokio::test(flavor = "multi_thread")]
async fn weighing_a_use_counts_nothing() {
    let world = World::two().await;
    let counted = Counted {
        frequency: Some((1, Span::parse("P1D").unwrap())),
        metered: Some(Span::parse("PT10M").unwrap()),
        ..Counted::default()
    };
    let contract = offered(&world, Sentences { counted, ..Sentences::default() }).await;
    let writer = &world.provider().app.writer;
    for _ in 0..3 {
        let decision = writer.weigh(asking(&world, &contract, Use::Query)).await.unwrap();
        assert!(decision.reply.is_ok(), "{:?}", decision.reply);
        let words: Vec<&str> = decision.commit.debits.iter().map(|it| it.kind.word()).collect();
        assert_eq!(words, ["use", "seconds"]);
    }
    let spent = || world.provider().app.store.spent(&contract.id);
    assert_eq!(spent().await.unwrap().uses, 0);
    assert_eq!(queried(&world, &contract).await.unwrap(), 1);
    let decision = writer.weigh(asking(&world, &contract, Use::Query)).await.unwrap();
    assert_eq!(decision.reply.unwrap_err().code(), "policy.denied", "one a day");
    assert_eq!(spent().await.unwrap().uses, 1);
}
