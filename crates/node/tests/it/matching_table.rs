//! Matching over a table that the provider prepared: made once, fetched once, asked about often; what is refused, and what stops it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tidm_crypto::hash::Digest;
use tidm_crypto::jws::Unverified;
use tidm_node::app::App;
use tidm_node::jobs::audit::audit;
use tidm_node::jobs::matching::ask::Wanted;
use tidm_node::jobs::matching::table::{fetch, prepare};
use tidm_node::jobs::matching::{Written, serve};
use tidm_node::objects::Key as ObjectKey;
use tidm_node::store::matchings::{Matching, State};
use tidm_node::store::tables::{Table, save};
use tidm_space::catalog::product::Product;
use tidm_space::contract::Contract;
use tidm_space::engine::node::Signer as _;
use tidm_space::evidence::audit::Verdict;
use tidm_space::evidence::fact::What;
use tidm_space::lease::message::Request;
use tidm_space::limits::LEASE_MAX;
use tidm_space::policy::matching::{Key, Matching as Terms, Reveal, To};
use tidm_space::policy::usage::Use;
use tidm_space::psi::{Asked, Invitation, Protocol, Session};
use tidm_space::wire::tidm::psi_table::TYP;

use crate::matching::{app_matching, bits, code, over, parts, rows, said, uploaded, wanted};
use crate::world::{World, eventually, fault};

async fn published(world: &World, count: u32, terms: Terms) -> Product {
    world.published("parts.csv", &parts(0, count), said(terms), &[Use::Psi]).await
}

async fn ready(app: &Arc<App>, id: &str) -> Table {
    let done = || async {
        let it = app.store.table(id).await.unwrap()?;
        (it.state != State::Open).then_some(it)
    };
    eventually("the table is ready", done).await
}

pub(crate) async fn prepared(world: &World, product: &Product) -> Table {
    let app = &world.provider().app;
    let begun = prepare::start(app, &product.id, None).await.unwrap();
    let it = ready(app, &begun.id).await;
    assert_eq!((it.state, &it.record.fault), (State::Done, &None));
    it
}

/// Asks about `count` parts from `begin` on: how it ended on both sides.
async fn ask(
    world: &World,
    contract: &Contract,
    id: &str,
    (begin, count): (u32, u32),
) -> [Matching; 2] {
    let (provider, consumer) = (&world.provider().app, &world.consumer().app);
    let mine = uploaded(consumer, id, &parts(begin, count)).await;
    let begun = fetch::start(consumer, wanted(contract, mine)).await.unwrap();
    [over(consumer, &begun.id).await, over(provider, &begun.id).await]
}

/// Bytes of a kind that a report says left or came.
fn moved(it: &Matching, kind: &str, way: &str) -> u64 {
    let report = it.record.report.as_ref().unwrap();
    report["traffic"][kind][way].as_u64().unwrap_or(0)
}

async fn kept(world: &World, contract: &Contract) -> Vec<Table> {
    world.consumer().app.store.tables_of(&contract.id).await.unwrap()
}

fn file(app: &App, table: &Table, name: &str) -> PathBuf {
    let key = ObjectKey::parse(&format!("tables/{}/{name}", table.id)).unwrap();
    app.objects.local_path(&key).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_prepared_once_fetched_once_and_asked_about_often() {
    let world = World::two().await;
    let terms = Terms { items: Some(50), budget: Some(100), ..Terms::default() };
    let product = published(&world, 3000, terms).await;
    let contract = world.agreed(&product).await;
    let (provider, consumer) = (&world.provider().app, &world.consumer().app);
    let mine = uploaded(consumer, "none", &parts(0, 5)).await;
    let no = fault(fetch::start(consumer, wanted(&contract, mine)).await);
    assert_eq!(no.code(), "psi.no-table");

    let table = prepared(&world, &product).await;
    let whole = table.record.index_bytes + table.record.bytes;
    assert!(table.record.entries == 3000 && whole > 3000 * 7 && whole < 3000 * 10, "{table:?}");
    // Once more is the same table, and no second fact.
    assert_eq!(prepared(&world, &product).await, table);
    let facts = provider.store.facts_about(&product.id).await.unwrap();
    let of_table = |what: &&What| matches!(what, What::TablePrepared { .. });
    let told: Vec<&What> = facts.iter().map(|it| &it.what).filter(of_table).collect();
    let [What::TablePrepared { table: told, entries: 3000, bytes, .. }] = told.as_slice() else {
        panic!("{facts:?}")
    };
    assert_eq!((Some(told.to_string()), *bytes), (table.record.table.clone(), whole));

    for (id, begin, matched, fetched) in [("a", 2990, 10, whole), ("b", 2970, 20, 0)] {
        let [ours, theirs] = ask(&world, &contract, id, (begin, 20)).await;
        assert_eq!((ours.state, code(&ours)), (State::Done, None));
        assert_eq!((ours.record.matched, theirs.record.matched), (Some(matched), None));
        assert_eq!((theirs.state, &theirs.record.rows), (State::Done, &None));
        let expected = String::from_utf8(parts(begin, u32::try_from(matched).unwrap())).unwrap();
        assert_eq!(rows(consumer, &ours).await, expected);
        // The table travels the first time only; what left is listed on both sides.
        assert_eq!(moved(&ours, "table", "received"), fetched, "{id}");
        assert_eq!(moved(&theirs, "table", "sent"), fetched, "{id}");
        assert_eq!(moved(&ours, "table", "sent"), 0);
        for (kind, mine, peers) in
            [("table-blinded", "sent", "received"), ("table-evaluated", "received", "sent")]
        {
            assert!(moved(&ours, kind, mine) >= 20 * 32);
            assert_eq!(moved(&ours, kind, mine), moved(&theirs, kind, peers));
        }
        let report = theirs.record.report.unwrap().to_string();
        assert!(!report.contains("matched"), "{report}");
    }
    let all = kept(&world, &contract).await;
    let [one] = all.as_slice() else { panic!("{all:?}") };
    assert_eq!(
        (one.state, one.record.fetched, &one.record.table),
        (State::Done, 1, &table.record.table)
    );
    let spent = provider.store.spent(&contract.id).await.unwrap();
    assert_eq!((spent.uses, spent.items), (2, 40));

    // More than a session, and more than the contract, is refused at the gate before a byte leaves.
    for (id, count) in [("session", 51), ("c", 50), ("budget", 20)] {
        let mine = uploaded(consumer, id, &parts(0, count)).await;
        let begun = fetch::start(consumer, wanted(&contract, mine)).await.unwrap();
        let it = over(consumer, &begun.id).await;
        assert_eq!(code(&it), (id != "c").then_some("psi.items"), "{id}");
    }
    let spent = provider.store.spent(&contract.id).await.unwrap();
    assert_eq!((spent.uses, spent.items), (3, 90));
    for app in [provider, consumer] {
        let clean = || async {
            let it = audit(app, &contract.id).await.unwrap().unwrap();
            (it.report.verdict() == Verdict::Consistent).then_some(())
        };
        eventually("both logs agree", clean).await;
    }

    // With the contract its table goes, at the consumer; the provider's is for others too.
    let path = file(consumer, one, "table");
    assert!(path.is_file());
    world.revoke(&contract).await;
    let gone = || async { kept(&world, &contract).await.is_empty().then_some(()) };
    eventually("the kept table is deleted", gone).await;
    assert!(!path.exists());
    assert!(file(provider, &table, "table").is_file());
    prepare::drop(provider, &table.id).await.unwrap();
    assert!(!file(provider, &table, "table").exists());
    assert!(provider.store.table(&table.id).await.unwrap().is_none());
}

fn flip(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

/// Over a table, too, a bit for each row says which matched.
#[tokio::test(flavor = "multi_thread")]
async fn bits_come_over_a_table() {
    let world = World::two().await;
    let product = published(&world, 300, Terms::default()).await;
    let contract = world.agreed(&product).await;
    prepared(&world, &product).await;
    let consumer = &world.consumer().app;
    let mine = uploaded(consumer, "a", &parts(290, 20)).await;
    let wish = Wanted { result: Written::Bitmap, ..wanted(&contract, mine) };
    let begun = fetch::start(consumer, wish).await.unwrap();
    let ours = over(consumer, &begun.id).await;
    assert_eq!(bits(consumer, &ours).await, (20, (0..10).collect()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_table_is_not_believed() {
    let world = World::two().await;
    let product = published(&world, 2000, Terms::default()).await;
    let contract = world.agreed(&product).await;
    let table = prepared(&world, &product).await;
    let (provider, consumer) = (&world.provider().app, &world.consumer().app);
    flip(&file(provider, &table, "table"));
    let mine = uploaded(consumer, "damaged", &parts(0, 5)).await;
    let begun = fetch::start(consumer, wanted(&contract, mine)).await.unwrap();
    let it = over(consumer, &begun.id).await;
    assert_eq!((it.state, code(&it)), (State::Failed, Some("psi.table-damaged")));
    assert_eq!(kept(&world, &contract).await[0].state, State::Open);
    over(provider, &begun.id).await;
    flip(&file(provider, &table, "table"));
    let [ours, _] = ask(&world, &contract, "whole", (0, 5)).await;
    assert_eq!((ours.record.matched, code(&ours)), (Some(5), None));
    // What is kept is compared again: what a disk lost is fetched anew, within the same session.
    let one = kept(&world, &contract).await.remove(0);
    flip(&file(consumer, &one, "table"));
    let [ours, _] = ask(&world, &contract, "again", (1998, 5)).await;
    assert_eq!((ours.record.matched, code(&ours)), (Some(2), None));
    assert!(moved(&ours, "table", "received") > 0);
    assert_eq!(kept(&world, &contract).await[0].record.fetched, 2);
    // Compared once after that, and remembered, until it is written to: with its old time, too.
    assert_eq!(consumer.compared.count(), 0);
    for id in ["first", "second"] {
        let [ours, _] = ask(&world, &contract, id, (0, 5)).await;
        assert_eq!((ours.record.matched, moved(&ours, "table", "received")), (Some(5), 0), "{id}");
        assert_eq!(consumer.compared.count(), 1);
    }
    let path = file(consumer, &one, "table");
    let written = std::fs::metadata(&path).unwrap().modified().unwrap();
    flip(&path);
    std::fs::File::options().write(true).open(&path).unwrap().set_modified(written).unwrap();
    let [ours, _] = ask(&world, &contract, "written", (1998, 5)).await;
    assert_eq!((ours.record.matched, code(&ours)), (Some(2), None));
    assert!(moved(&ours, "table", "received") > 0);
    assert_eq!(
        (kept(&world, &contract).await[0].record.fetched, consumer.compared.count()),
        (3, 0)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_providers_word_on_this_version_and_rule_counts() {
    let world = World::two().await;
    let product = published(&world, 50, Terms::default()).await;
    let contract = world.agreed(&product).await;
    let table = prepared(&world, &product).await;
    let (provider, consumer) = (&world.provider().app, &world.consumer().app);
    let signed = table.record.signed.clone().unwrap();
    let payload = Unverified::parse(&signed).unwrap().unproven_payload().to_vec();
    let other =
        String::from_utf8(payload.clone()).unwrap().replace("\"version\":1", "\"version\":2");
    let (head, tail) = signed.split_at(signed.len() - 8);
    // Of the same product by another key: right in itself, and not this contract's.
    let by = prepare::start(provider, &product.id, Key::parse("part_no:exact;first")).await;
    let by = ready(provider, &by.unwrap().id).await.record.signed.unwrap();
    for (jws, why) in [
        (consumer.identity.sign(TYP, &payload), "another node's signature"),
        (provider.identity.sign("JWT", &payload), "a signature for something else"),
        (format!("{head}{}", tail.chars().rev().collect::<String>()), "no signature"),
        (provider.identity.sign(TYP, b"{}"), "no statement"),
        (by, "another rule"),
    ] {
        let mut row = table.clone();
        row.record.signed = Some(jws);
        let saved = provider.writer.note(move |conn| {
            let row = row.clone();
            Box::pin(async move { save(conn, &row).await })
        });
        saved.await.unwrap();
        let mine = uploaded(consumer, &why.replace([' ', '\''], "-"), &parts(0, 5)).await;
        let no = fault(fetch::start(consumer, wanted(&contract, mine)).await);
        let expected = if why == "no statement" { "message.malformed" } else { "psi.table-signed" };
        assert_eq!(no.code(), expected, "{why}: {no}");
    }
    // Signed by the provider as it is: this is why numbers are compared with the index after the download.
    assert_ne!(provider.identity.sign(TYP, other.as_bytes()), signed);
    assert_eq!(provider.store.spent(&contract.id).await.unwrap().uses, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_table_cannot_answer_is_refused_on_both_sides() {
    let world = World::two().await;
    let reveal = Some([Reveal::Rows, Reveal::Size].into());
    let product = published(&world, 50, Terms { reveal, ..Terms::default() }).await;
    let contract = world.agreed(&product).await;
    let (provider, consumer) = (&world.provider().app, &world.consumer().app);
    let invited = |table: Digest, asked: Asked| {
        let (protocol, items) = (Protocol::Table(table), 5);
        let session =
            Session { id: [7; 32], contract: contract.id.clone(), protocol, items, asked };
        let lease = Request {
            contract: contract.id.clone(),
            kind: Use::Psi,
            nonce: [1; 16],
            key: [2; 32],
            purpose: None,
            query: Some(session.digest()),
            items: Some(items),
            epsilon: None,
            span: LEASE_MAX,
        };
        Invitation { session, workers: 1, lease }
    };
    let did = &world.consumer().did;
    let refused = async |table: Digest, asked: Asked| {
        let no = serve::prepare(provider, did, &invited(table, asked)).await;
        fault(no).code().to_owned()
    };
    assert_eq!(refused(Digest([1; 32]), Asked::Rows).await, "psi.no-table");
    let table = prepared(&world, &product).await;
    let right = Digest::parse(table.record.table.as_deref().unwrap()).unwrap();
    assert_eq!(refused(Digest([1; 32]), Asked::Rows).await, "psi.table-version");
    assert_eq!(refused(right, Asked::Size).await, "psi.table-kind");
    serve::prepare(provider, did, &invited(right, Asked::Rows)).await.unwrap();
    let mine = uploaded(consumer, "a", &parts(0, 5)).await;
    for (asked, workers, code) in
        [(Asked::Size, 1, "psi.table-kind"), (Asked::Rows, 2, "psi.workers")]
    {
        let wish = Wanted { asked, workers: Some(workers), ..wanted(&contract, mine.clone()) };
        assert_eq!(fault(fetch::start(consumer, wish).await).code(), code);
    }
    // A product that is offered by several keys, by none, or has no such column.
    let sealed = world.published("s.csv", &parts(0, 9), Default::default(), &[Use::Query]).await;
    for (product, key, code) in [
        (&sealed, None, "psi.table-key"),
        (&sealed, Key::parse("number:text;first"), "psi.columns"),
    ] {
        assert_eq!(fault(prepare::start(provider, &product.id, key).await).code(), code);
    }
    let both = Terms { to: Some(To::Both), ..Terms::default() };
    let product = published(&world, 60, both).await;
    let contract = world.agreed(&product).await;
    let no = fault(fetch::start(consumer, wanted(&contract, mine)).await);
    assert_eq!(no.code(), "psi.table-kind");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_stops_it_and_what_was_kept_goes() {
    let world = World::two().await;
    let product = published(&world, 2000, Terms::default()).await;
    let contract = world.agreed(&product).await;
    prepared(&world, &product).await;
    let (provider, consumer) = (&world.provider().app, &world.consumer().app);
    let [first, _] = ask(&world, &contract, "first", (0, 5)).await;
    assert_eq!(first.record.matched, Some(5));
    let mine = uploaded(consumer, "a", &parts(0, 1_000_000)).await;
    let begun = fetch::start(consumer, wanted(&contract, mine)).await.unwrap();
    let running = || async {
        let told = consumer.matchings.told(&begun.id)?;
        (told.phase == "running").then_some(())
    };
    eventually("it runs", running).await;
    world.revoke(&contract).await;
    let since = Instant::now();
    for app in [consumer, provider] {
        let it = over(app, &begun.id).await;
        assert_eq!((it.state, it.record.matched), (State::Failed, None), "{:?}", it.record);
    }
    let took = since.elapsed();
    assert!(took <= Duration::from_secs(1), "both sides stopped after {took:?}");
    let gone = || async { kept(&world, &contract).await.is_empty().then_some(()) };
    eventually("the kept table is deleted", gone).await;
}

/// A table that is deleted while a session over it runs: that one has what it needs, and no other begins.
#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_table_answers_nothing_any_more() {
    let world = World::two().await;
    let product = published(&world, 2000, Terms::default()).await;
    let contract = world.agreed(&product).await;
    let table = prepared(&world, &product).await;
    let (provider, consumer) = (&world.provider().app, &world.consumer().app);
    let mine = uploaded(consumer, "a", &parts(1000, 200_000)).await;
    let begun = fetch::start(consumer, wanted(&contract, mine)).await.unwrap();
    let running = || async {
        let told = consumer.matchings.told(&begun.id)?;
        (told.phase == "running").then_some(())
    };
    eventually("it runs", running).await;
    prepare::drop(provider, &table.id).await.unwrap();
    assert_eq!(app_matching(provider, &begun.id).await.state, State::Open, "while it is served");
    for name in ["index", "table"] {
        assert!(!file(provider, &table, name).exists());
    }
    let [ours, theirs] = [over(consumer, &begun.id).await, over(provider, &begun.id).await];
    assert_eq!((ours.state, code(&ours), ours.record.matched), (State::Done, None, Some(1000)));
    assert_eq!((theirs.state, code(&theirs)), (State::Done, None));
    // The consumer's copy is of no use to it now.
    assert!(file(consumer, &kept(&world, &contract).await[0], "table").is_file());
    let mine = uploaded(consumer, "b", &parts(0, 5)).await;
    let no = fault(fetch::start(consumer, wanted(&contract, mine)).await);
    assert_eq!(no.code(), "psi.no-table");
    let spent = provider.store.spent(&contract.id).await.unwrap();
    assert_eq!((spent.uses, spent.items), (1, 200_000));
    assert!(matches!(
        fault(prepare::drop(provider, &table.id).await),
        tidm_space::fault::Fault::NotFound { what: "table" }
    ));
    // Made again, it answers.
    prepared(&world, &product).await;
    let [ours, _] = ask(&world, &contract, "c", (1998, 5)).await;
    assert_eq!((ours.record.matched, code(&ours)), (Some(2), None));
}

/// While it is made, a node may stop and a person may: nothing half is ever offered.
#[tokio::test(flavor = "multi_thread")]
async fn the_making_of_a_table_survives_a_restart_and_can_be_stopped() {
    let mut world = World::two().await;
    let product = published(&world, 300_000, Terms::default()).await;
    let contract = world.agreed(&product).await;
    let app = world.provider().app.clone();
    let id = prepare::start(&app, &product.id, None).await.unwrap().id;
    let begun = || async { app.matchings.told(&id).filter(|it| it.phase == "table").map(drop) };
    eventually("it is being made", begun).await;
    drop(app);
    world.restart(0).await;
    let provider = world.provider().app.clone();
    let table = ready(&provider, &id).await;
    assert_eq!((table.state, &table.record.fault), (State::Done, &None));
    let [ours, _] = ask(&world, &contract, "b", (299_995, 10)).await;
    assert_eq!((ours.record.matched, code(&ours)), (Some(5), None));

    let key = Key::parse("part_no:exact;first");
    let id = prepare::start(&provider, &product.id, key).await.unwrap().id;
    let begun = || async { provider.matchings.told(&id).map(drop) };
    eventually("another is being made", begun).await;
    prepare::drop(&provider, &id).await.unwrap();
    assert!(provider.store.table(&id).await.unwrap().is_none());
    let folder = provider.config.node.data.join("tables");
    let empty = || async { (std::fs::read_dir(&folder).unwrap().count() == 0).then_some(()) };
    eventually("nothing stays behind", empty).await;
}
