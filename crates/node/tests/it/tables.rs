//! Sealed tables: every use under a lease of its own, and nothing after the end.

use std::time::{Duration, Instant};

use tidm_node::jobs::use_data::query_sealed;
use tidm_node::keys::KeyError;
use tidm_node::net::auth;
use tidm_node::objects::Key;
use tidm_node::store::notes::save_copy;
use tidm_node::store::save::save;
use tidm_space::contract::{End, State};
use tidm_space::engine::commit::Commit;
use tidm_space::fault::Fault;
use tidm_space::id::Id;
use tidm_space::lease::message::Request;
use tidm_space::policy::sentence::Sentences;
use tidm_space::policy::usage::Use;
use tidm_space::wire::dsp::catalog::DataService;
use tidm_space::wire::tidm::lease;

use crate::world::{World, csv, eventually, fault, limited, table};

const SQL: &str =
    "SELECT line, count(*) AS n FROM data WHERE line <> 'C' GROUP BY line ORDER BY line";

#[tokio::test(flavor = "multi_thread")]
async fn two_uses_then_nothing_and_both_sides_destroy() {
    let world = World::two().await;
    let contract = world.ready("t.csv", &csv(), limited(2), Use::SealedTable).await;
    let (provider, consumer) = (&world.provider().app, &world.consumer().app);

    // A statement that cannot be read costs nothing.
    assert_eq!(
        fault(query_sealed(consumer, &contract.id, "SELECT 'open", None).await).code(),
        "query.malformed"
    );

    let first = query_sealed(consumer, &contract.id, SQL, Some("maintenance")).await.unwrap();
    assert_eq!((first.rows, first.uses_left), (2, Some(1)));
    assert_eq!(table(&first.ipc), [["A", "100"], ["B", "100"]]);
    let second =
        query_sealed(consumer, &contract.id, "SELECT * FROM data LIMIT 3", None).await.unwrap();
    assert_eq!((second.rows, second.uses_left), (3, Some(0)));
    assert_ne!(first.lease, second.lease);

    // By the gate's count, or by the end that follows the last use: no in either case.
    let third = fault(query_sealed(consumer, &contract.id, SQL, None).await);
    assert!(matches!(third, Fault::Denied { .. }), "{third:?}");
    assert_eq!(provider.store.spent(&contract.id).await.unwrap().uses, 2);

    for app in [provider, consumer] {
        let ended = || async {
            let it = app.store.contract(&contract.id).await.unwrap().unwrap();
            it.deletion.as_ref()?;
            Some(it)
        };
        let it = eventually("a deletion receipt", ended).await;
        assert!(matches!(it.state, State::Ended { why: End::UsedUp, .. }), "{:?}", it.state);
        assert_eq!(it.deletion.unwrap().files.len(), 1);
    }
    let gone =
        || async { provider.store.seal(&contract.id).await.unwrap().is_none().then_some(()) };
    eventually("the seal is dropped", gone).await;
    assert!(matches!(provider.keys.get(&contract.id), Err(KeyError::Destroyed)));
    let copies =
        || async { consumer.store.copies(&contract.id).await.unwrap().is_empty().then_some(()) };
    eventually("no copies are left", copies).await;
    assert_eq!(
        fault(query_sealed(consumer, &contract.id, SQL, None).await).code(),
        "contract.ended"
    );
}

/// Nobody uses anything: at the last instant the key is destroyed and the copy goes, on both sides, by themselves.
#[tokio::test(flavor = "multi_thread")]
async fn copies_go_when_their_time_is_over() {
    let world = World::two().await;
    let (provider, consumer) = (&world.provider().app, &world.consumer().app);
    let until = provider.clock.now().after(Duration::from_secs(10));
    let sentences = Sentences { until: Some(until), ..Sentences::default() };
    let contract = world.ready("t.csv", &csv(), sentences, Use::SealedTable).await;
    let copy = consumer.store.copies(&contract.id).await.unwrap().remove(0);
    let object = Key::parse(&copy.object).unwrap();
    assert_eq!(consumer.objects.head(&object).await.unwrap().bytes, copy.bytes);
    assert!(provider.keys.get(&contract.id).unwrap().is_some());
    assert!(provider.clock.now() < until, "a machine too slow for this test");
    for app in [provider, consumer] {
        let over = || async {
            let it = app.store.contract(&contract.id).await.unwrap().unwrap();
            (!it.is_active() && it.deletion.is_some()).then_some(it)
        };
        let it = eventually("its time is over", over).await;
        assert!(matches!(it.state, State::Ended { why: End::Expired, .. }), "{:?}", it.state);
        assert_eq!(it.deletion.unwrap().files, [copy.digest]);
    }
    assert!(provider.clock.now() > until);
    let gone = || async { provider.keys.get(&contract.id).is_err().then_some(()) };
    eventually("the key is destroyed", gone).await;
    assert!(matches!(provider.keys.get(&contract.id), Err(KeyError::Destroyed)));
    assert!(consumer.objects.head(&object).await.is_err(), "the sealed bytes are deleted");
}

/// Two consumers of one product: what one of them may not have any more is destroyed there, and nowhere else.
#[tokio::test(flavor = "multi_thread")]
async fn one_consumers_end_destroys_its_copy_and_no_others() {
    let world = World::of(3, |_, _| String::new()).await;
    let product = world.published("t.csv", &csv(), limited(5), &[Use::SealedTable]).await;
    let mut contracts = Vec::new();
    for at in [1, 2] {
        let contract = world.agreed_by(&product, at).await;
        world.delivered_to(&contract, Use::SealedTable, at).await;
        contracts.push(contract);
    }
    world.revoke(&contracts[0]).await;
    let left = async |at: usize| {
        world.nodes[at].app.store.copies(&contracts[at - 1].id).await.unwrap().len()
    };
    let gone = || async { (left(1).await == 0).then_some(()) };
    eventually("the first one's copy is destroyed", gone).await;
    let provider = &world.provider().app;
    let destroyed =
        || async { provider.store.seal(&contracts[0].id).await.unwrap().is_none().then_some(()) };
    eventually("and its key", destroyed).await;
    assert!(provider.keys.get(&contracts[0].id).is_err());
    assert_eq!(left(2).await, 1);
    let used = query_sealed(&world.nodes[2].app, &contracts[1].id, SQL, None).await.unwrap();
    assert_eq!(used.rows, 2);
    let no = fault(query_sealed(&world.nodes[1].app, &contracts[0].id, SQL, None).await);
    assert_eq!(no.code(), "contract.ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn racing_uses_never_exceed_the_count() {
    let world = World::two().await;
    let contract = world.ready("t.csv", &csv(), limited(2), Use::SealedTable).await;
    let consumer = &world.consumer().app;
    let asked = (0..5).map(|_| query_sealed(consumer, &contract.id, SQL, None));
    let done = futures::future::join_all(asked).await;
    assert_eq!(done.iter().filter(|it| it.is_ok()).count(), 2, "{done:?}");
    assert_eq!(world.provider().app.store.spent(&contract.id).await.unwrap().uses, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_ends_a_series_of_uses() {
    let world = World::two().await;
    let contract = world.ready("t.csv", &csv(), limited(10), Use::SealedTable).await;
    let consumer = &world.consumer().app;
    query_sealed(consumer, &contract.id, SQL, None).await.unwrap();
    world.revoke(&contract).await;
    let no = fault(query_sealed(consumer, &contract.id, SQL, None).await);
    assert_eq!(no.code(), "contract.ended", "{no:?}");
    let ended = || async {
        let it = consumer.store.contract(&contract.id).await.unwrap().unwrap();
        (!it.is_active() && consumer.store.copies(&contract.id).await.unwrap().is_empty())
            .then_some(())
    };
    eventually("the consumer erases", ended).await;
    assert!(query_sealed(consumer, &contract.id, SQL, None).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn altered_or_exchanged_ciphertext_never_opens() {
    let world = World::two().await;
    let contract = world.ready("t.csv", &csv(), limited(10), Use::SealedTable).await;
    let other = world.ready("other.csv", &csv(), limited(10), Use::SealedTable).await;
    let consumer = &world.consumer().app;
    let copy = consumer.store.copies(&contract.id).await.unwrap().remove(0);
    let elsewhere = consumer.store.copies(&other.id).await.unwrap().remove(0);
    let key = Key::parse(&copy.object).unwrap();
    let read = async |object: &str| {
        let key = Key::parse(object).unwrap();
        let bytes = consumer.objects.head(&key).await.unwrap().bytes;
        consumer.objects.get_range(&key, 0..bytes).await.unwrap().to_vec()
    };
    let (good, swapped) = (read(&copy.object).await, read(&elsewhere.object).await);
    let mut flipped = good.clone();
    flipped[good.len() / 3] ^= 1;
    for (what, bytes) in [
        ("cut", &good[..good.len() - 20]),
        ("flipped", &flipped),
        ("swapped", &swapped),
        ("empty", &[]),
    ] {
        consumer.objects.put_bytes(&key, bytes).await.unwrap();
        let no = fault(query_sealed(consumer, &contract.id, "SELECT * FROM data", None).await);
        assert_eq!(no.code(), "use.seal", "{what}: {no:?}");
    }
    consumer.objects.put_bytes(&key, &good).await.unwrap();
    assert_eq!(query_sealed(consumer, &contract.id, SQL, None).await.unwrap().rows, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_was_handed_on_opens_nowhere() {
    let world = World::of(3, |_, _| String::new()).await;
    let contract = world.ready("t.csv", &csv(), limited(10), Use::SealedTable).await;
    let third = &world.nodes[2];
    let no = fault(query_sealed(&third.app, &contract.id, SQL, None).await);
    assert!(matches!(no, Fault::NotFound { .. }), "{no:?}");

    // The sealed bytes as the consumer has them, with all that its store knows of them, in another member's hands.
    let own = &world.consumer().app;
    let copy = own.store.copies(&contract.id).await.unwrap().remove(0);
    let key = Key::parse(&copy.object).unwrap();
    let bytes = own.objects.get_range(&key, 0..copy.bytes).await.unwrap();
    // A table whose footer, too, is sealed (Parquet Modular Encryption); none of its values is to be read in it.
    assert_eq!((&bytes[..4], &bytes[bytes.len() - 4..]), (&b"PARE"[..], &b"PARE"[..]));
    assert!(!bytes.windows(4).any(|it| it == b"s999"));
    third.app.objects.put_bytes(&key, &bytes).await.unwrap();
    let commit = Commit { contracts: vec![contract.clone()], ..Commit::default() };
    let endpoint = third.app.identity.dsp_base();
    let service = DataService { id: Id::parse("urn:service:1").unwrap(), endpoint, flight: false };
    let now = third.app.clock.now();
    let saved = third.app.writer.note(move |conn| {
        let (commit, copy, service) = (commit.clone(), copy.clone(), service.clone());
        Box::pin(async move {
            save(conn, &commit, now, &service).await?;
            save_copy(conn, &copy).await
        })
    });
    saved.await.unwrap();
    let no = fault(query_sealed(&third.app, &contract.id, SQL, None).await);
    assert!(["policy.denied", "not-found"].contains(&no.code()), "{no:?}");
    // At the consumer's the same bytes open: it was not for the copy.
    assert_eq!(query_sealed(own, &contract.id, SQL, None).await.unwrap().rows, 2);

    // A patched node that asks the gate all the same: a member, but not this contract's party.
    let request = Request {
        contract: contract.id.clone(),
        kind: Use::SealedTable,
        nonce: [7; 16],
        key: [9; 32],
        purpose: None,
        query: None,
        items: None,
        epsilon: None,
        span: Duration::ZERO,
    };
    let posting = lease::write_request(&Id::parse("urn:uuid:x").unwrap(), &request);
    let provider = world.provider();
    let url = format!("{}{}", provider.base(), posting.path);
    let post = async |bearer: &str| {
        let body = Some(posting.body.clone());
        third
            .app
            .client
            .call(reqwest::Method::POST, &url, Some(bearer), body)
            .await
            .unwrap()
            .status
            .as_u16()
    };
    let bearer = auth::mint(&third.app.identity, &provider.did, &third.app.clock);
    assert_eq!(post(&bearer).await, 404);
    assert_eq!(post("no.token.here").await, 404);
    assert_eq!(provider.app.store.spent(&contract.id).await.unwrap().uses, 1, "the consumer's");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_is_gone_is_named_in_time() {
    let mut world = World::two().await;
    let contract = world.ready("t.csv", &csv(), limited(10), Use::SealedTable).await;
    world.nodes[0].halt().await;
    let started = Instant::now();
    let no = fault(query_sealed(&world.consumer().app, &contract.id, SQL, None).await);
    assert!(
        matches!(&no, Fault::Unavailable { reason, .. } if reason.contains(world.provider().did.as_str())),
        "{no:?}"
    );
    assert!(started.elapsed() < Duration::from_secs(20));
}
