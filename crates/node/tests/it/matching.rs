//! Matching of lists between two nodes: the right rows, two leases, what each side may know, and what stops it.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::TryStreamExt as _;
use tidm_compute::keys::{Bitmap, Format, labels, split_label};
use tidm_node::app::App;
use tidm_node::jobs::matching::ask::{Mine, Wanted, start};
use tidm_node::jobs::matching::table::fetch;
use tidm_node::jobs::matching::{Written, serve, settle, stop};
use tidm_node::jobs::rest;
use tidm_node::objects::Key as ObjectKey;
use tidm_node::store::accounts::{UploadRow, drop_upload, save_upload};
use tidm_node::store::matchings::{self, Matching, State};
use tidm_node::store::writer::WorkError;
use tidm_space::contract::Contract;
use tidm_space::fault::Fault;
use tidm_space::id::Id;
use tidm_space::lease::message::{Grant, Request};
use tidm_space::lease::state::State as Lease;
use tidm_space::limits::LEASE_MAX;
use tidm_space::policy::matching::{Key, Matching as Terms, To};
use tidm_space::policy::sentence::Sentences;
use tidm_space::policy::usage::Use;
use tidm_space::psi::{Asked, Invitation, Protocol, Session};
use tidm_space::time::Time;
use tidm_space::wire::tidm::psi;

use crate::matching_table::prepared;
use crate::world::{World, eventually, fault};

/// Part numbers from `begin` on, each with something that the peer must not see.
pub(crate) fn parts(begin: u32, count: u32) -> Vec<u8> {
    let mut out = "part_no,price\n".to_owned();
    for number in begin..begin + count {
        out += &format!("P-{number:07},{}\n", number * 3);
    }
    out.into_bytes()
}

pub(crate) fn said(more: Terms) -> Sentences {
    let key = Key::parse("part_no:text;first");
    Sentences { matching: Terms { key, ..more }, kinds: vec![Use::Psi], ..Sentences::default() }
}

pub(crate) async fn uploaded(app: &App, id: &str, bytes: &[u8]) -> Mine {
    let object = format!("{}{id}", rest::LISTS);
    let pieces: Vec<_> =
        bytes.chunks(100_000).map(|it| Ok(bytes::Bytes::copy_from_slice(it))).collect();
    rest::keep(app, &object, futures::stream::iter(pieces), bytes.len() as u64).await.unwrap();
    let row = UploadRow {
        id: id.to_owned(),
        account: "analyst".to_owned(),
        object,
        name: "mine.csv".to_owned(),
        bytes: bytes.len() as u64,
        digest: String::new(),
        created: app.clock.now(),
    };
    let save = app.writer.note(move |conn| {
        let row = row.clone();
        Box::pin(async move { save_upload(conn, &row).await })
    });
    save.await.unwrap();
    list(id, "analyst")
}

fn list(id: &str, account: &str) -> Mine {
    Mine::Upload { id: id.to_owned(), account: account.to_owned() }
}

pub(crate) fn wanted(contract: &Contract, mine: Mine) -> Wanted {
    Wanted {
        contract: contract.id.clone(),
        mine,
        columns: vec![],
        result: Written::Rows(vec![]),
        protocol: Protocol::Fast,
        purpose: Some("联合备件".to_owned()),
        workers: None,
        span: LEASE_MAX,
        asked: Asked::Rows,
    }
}

pub(crate) async fn over(app: &Arc<App>, id: &str) -> Matching {
    let done = || async {
        let it = app.store.matching(id).await.unwrap()?;
        (it.state != State::Open).then_some(it)
    };
    eventually("the matching ends", done).await
}

pub(crate) async fn rows(app: &App, it: &Matching) -> String {
    text(app, it.record.rows.as_deref().unwrap()).await
}

/// What a sealed result holds.
pub(crate) async fn text(app: &App, object: &str) -> String {
    String::from_utf8(opened(app, object).await).unwrap()
}

/// How many rows a result of bits is about, and which of them matched.
pub(crate) async fn bits(app: &App, it: &Matching) -> (u64, Vec<u64>) {
    assert_eq!((it.state, &it.record.fault), (State::Done, &None));
    let bytes = opened(app, it.record.rows.as_deref().unwrap()).await;
    let bits = Bitmap::of_bytes(&bytes).unwrap();
    assert_eq!(it.record.matched, Some(bits.count()));
    (bits.rows(), bits.iter().collect())
}

async fn opened(app: &App, object: &str) -> Vec<u8> {
    let (length, pieces) = rest::opened(app, object).await.unwrap();
    let pieces: Vec<bytes::Bytes> = pieces.try_collect().await.unwrap();
    assert_eq!(pieces.iter().map(|it| it.len() as u64).sum::<u64>(), length);
    pieces.concat()
}

/// The rows of a result that is a table, as a provider's is: part number and price.
async fn cells(app: &App, it: &Matching) -> Vec<(String, u32)> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, opened(app, it.record.rows.as_deref().unwrap()).await).unwrap();
    let columns = ["part_no", "price"].map(str::to_owned);
    let all = labels((file.path(), Format::Parquet), &columns, 64, 10_000).unwrap();
    let row = |it: &[u8]| {
        let texts = split_label(it, 2).unwrap();
        (texts[0].to_owned(), texts[1].parse().unwrap())
    };
    all.chunks(64).map(row).collect()
}

pub(crate) fn code(it: &Matching) -> Option<&str> {
    it.record.fault.as_ref().map(|it| it.code.as_str())
}

/// Both leases of a matching of two were given back, as either side sees it; whether it was done.
async fn given_back(world: &World, it: &Matching) -> bool {
    let joined = Id::parse(it.record.join.as_deref().unwrap()).unwrap();
    let mut all = vec![];
    for app in [&world.provider().app, &world.consumer().app] {
        for lease in [it.lease.as_ref().unwrap(), &joined] {
            let returned = || async {
                match app.store.lease(lease).await.unwrap()?.state {
                    Lease::Returned { outcome, .. } => Some(outcome.done),
                    Lease::Granted => None,
                    other => panic!("{other:?}"),
                }
            };
            all.push(eventually("the lease is returned", returned).await);
        }
    }
    assert!(all.iter().all(|it| *it == all[0]), "{all:?}");
    all[0]
}

/// Nothing of matchings lies in either node's directory any more.
async fn cleared(world: &World) {
    for app in [&world.provider().app, &world.consumer().app] {
        cleared_of(&app.config.node.data.join("matchings")).await;
    }
}

async fn cleared_of(folder: &Path) {
    let empty = || async { (std::fs::read_dir(folder).unwrap().count() == 0).then_some(()) };
    eventually("the folder is empty", empty).await;
}

/// Files below `dir` that hold one of these in clear.
fn holding(dir: &Path, words: &[&str]) -> Vec<std::path::PathBuf> {
    let mut found = vec![];
    let Ok(entries) = std::fs::read_dir(dir) else { return found };
    for path in entries.flatten().map(|it| it.path()) {
        if path.is_dir() {
            found.extend(holding(&path, words));
            continue;
        }
        // What is gone meanwhile held nothing for long.
        let bytes = std::fs::read(&path).unwrap_or_default();
        if words.iter().any(|it| bytes.windows(it.len()).any(|at| at == it.as_bytes())) {
            found.push(path);
        }
    }
    found
}

/// Keys of the analyst's list, some of which match, and the prices beside them.
#[tokio::test(flavor = "multi_thread")]
async fn no_key_of_a_list_lies_on_its_disk_in_clear() {
    let world = World::two().await;
    let contract = agreed(&world, Terms::default()).await;
    let consumer = &world.consumer().app;
    // Large enough that most looks fall into its run.
    let bytes = parts(2500, 400_000);
    let words = ["P-0002500", "P-0002999", "P-0003000", "P-0402499"];
    assert!(words.iter().all(|it| bytes.windows(it.len()).any(|at| at == it.as_bytes())));
    let mine = uploaded(consumer, "a", &bytes).await;
    let dir = &consumer.config.node.data;
    let begun = start(consumer, wanted(&contract, mine)).await.unwrap();
    let ours = loop {
        assert_eq!(holding(dir, &words), Vec::<std::path::PathBuf>::new());
        let it = app_matching(consumer, &begun.id).await;
        if it.state != State::Open {
            break it;
        }
    };
    assert_eq!((ours.state, ours.record.matched), (State::Done, Some(500)));
    assert_eq!(holding(dir, &words), Vec::<std::path::PathBuf>::new());
    assert!(rows(consumer, &ours).await.contains("P-0002999"));
    // That the search finds what is there.
    let provider = &world.provider().app;
    assert_ne!(holding(&provider.config.node.data, &["part_no"]), Vec::<std::path::PathBuf>::new());
}

async fn agreed(world: &World, terms: Terms) -> Contract {
    let product = world.published("parts.csv", &parts(0, 3000), said(terms), &[Use::Psi]).await;
    world.agreed(&product).await
}

async fn matched_on(world: &World, protocol: Protocol) {
    let contract = agreed(world, Terms::default()).await;
    let (provider, consumer) = (&world.provider().app, &world.consumer().app);
    let mine = uploaded(consumer, "a", &parts(2500, 1000)).await;
    let begun = start(consumer, Wanted { protocol, ..wanted(&contract, mine) }).await.unwrap();
    let ours = over(consumer, &begun.id).await;
    assert_eq!(
        (ours.state, &ours.record.fault, ours.record.matched),
        (State::Done, &None, Some(500))
    );
    // Our own rows, whole and in order.
    let expected = String::from_utf8(parts(2500, 500)).unwrap();
    assert_eq!(rows(consumer, &ours).await, expected);

    let theirs = over(provider, &begun.id).await;
    assert_eq!(
        (theirs.state, theirs.record.matched, &theirs.record.rows),
        (State::Done, None, &None)
    );
    let report = theirs.record.report.unwrap().to_string();
    assert!(!report.contains("matched") && report.contains("\"sent\""), "{report}");

    // Two leases, both given back, and neither says how many rows matched.
    let leases =
        [ours.lease.clone().unwrap(), Id::parse(&ours.record.join.clone().unwrap()).unwrap()];
    for app in [provider, consumer] {
        for lease in &leases {
            let returned = || async {
                let it = app.store.lease(lease).await.unwrap()?;
                match it.state {
                    Lease::Returned { outcome, .. } => Some(outcome),
                    Lease::Granted | Lease::Expired { .. } | Lease::Revoked { .. } => None,
                }
            };
            let outcome = eventually("the lease is returned", returned).await;
            assert!(outcome.done && [3000, 1000].contains(&outcome.rows), "{outcome:?}");
        }
    }
    let spent = provider.store.spent(&contract.id).await.unwrap();
    assert_eq!((spent.uses, spent.items), (1, 1000));
    // The list that was sent ahead is gone, and so is everything the processes kept.
    let gone = || async { consumer.store.upload("a").await.unwrap().is_none().then_some(()) };
    eventually("the list is gone", gone).await;
    cleared(world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_matched_and_nothing_else_is_known() {
    matched_on(&World::two().await, Protocol::Fast).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_matched_by_diffie_and_hellman() {
    matched_on(&World::two().await, Protocol::Ecdh).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_matched_over_tls() {
    matched_on(&World::secure(2, |_, _| String::new()).await, Protocol::LowCommunication).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn both_learn_where_the_contract_says_so() {
    let world = World::two().await;
    let contract = agreed(&world, Terms { to: Some(To::Both), ..Terms::default() }).await;
    let (provider, consumer) = (&world.provider().app, &world.consumer().app);
    let mine = uploaded(consumer, "a", &parts(2990, 20)).await;
    let shown = vec!["price".to_owned()];
    let wanted = Wanted {
        protocol: Protocol::Malicious,
        workers: Some(2),
        result: Written::Rows(shown),
        ..wanted(&contract, mine)
    };
    let begun = start(consumer, wanted).await.unwrap();
    for app in [provider, consumer] {
        let it = over(app, &begun.id).await;
        assert_eq!((it.state, &it.record.fault, it.record.matched), (State::Done, &None, Some(10)));
    }
    let ours = app_matching(consumer, &begun.id).await;
    let expected =
        (2990..3000).fold("price\n".to_owned(), |all, it| all + &format!("{}\n", it * 3));
    assert_eq!(rows(consumer, &ours).await, expected);
    // The provider's rows are its own table's, whole: the consumer's wish for a column is about its own list.
    let theirs = app_matching(provider, &begun.id).await;
    let expected: Vec<_> = (2990..3000).map(|it| (format!("P-{it:07}"), it * 3)).collect();
    assert_eq!(cells(provider, &theirs).await, expected);
}

pub(crate) async fn app_matching(app: &App, id: &str) -> Matching {
    app.store.matching(id).await.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_of_the_contract_hold() {
    let world = World::two().await;
    let terms =
        Terms { items: Some(1000), budget: Some(1500), least: Some(100), ..Terms::default() };
    let contract = agreed(&world, terms).await;
    let (provider, consumer) = (&world.provider().app, &world.consumer().app);
    for (id, begin, count, code, withheld) in [
        ("too-many", 0, 1001, Some("psi.items"), None),
        ("few", 2950, 500, None, Some("tidm:minMatches")),
        ("enough", 2900, 900, None, None),
        ("spent", 0, 200, Some("psi.items"), None),
    ] {
        let mine = uploaded(consumer, id, &parts(begin, count)).await;
        let begun = start(consumer, wanted(&contract, mine)).await.unwrap();
        let it = over(consumer, &begun.id).await;
        assert_eq!(it.record.fault.as_ref().map(|it| it.code.as_str()), code, "{id}");
        assert_eq!(it.record.withheld.as_deref(), withheld, "{id}");
        assert_eq!(it.record.rows.is_some(), code.is_none() && withheld.is_none(), "{id}");
        if withheld.is_some() {
            assert!(!it.record.report.unwrap().to_string().contains("matched"), "nor its size");
        }
    }
    let spent = provider.store.spent(&contract.id).await.unwrap();
    assert_eq!((spent.uses, spent.items), (2, 1400));
}

/// Of a list of a hundred: half of it is shown, one more to nobody.
#[tokio::test(flavor = "multi_thread")]
async fn a_share_above_the_contracts_is_shown_to_nobody() {
    let world = World::two().await;
    let (provider, consumer) = (&world.provider().app, &world.consumer().app);
    for to in [None, Some(To::Both)] {
        let contract = agreed(&world, Terms { share: Some(50), to, ..Terms::default() }).await;
        for (begin, matched) in [(2950, Some(50)), (2949, None)] {
            let case = format!("{}-{begin}", to.is_some());
            let mine = uploaded(consumer, &case, &parts(begin, 100)).await;
            let begun = start(consumer, wanted(&contract, mine)).await.unwrap();
            for (app, entitled) in [(consumer, true), (provider, to.is_some())] {
                let it = over(app, &begun.id).await;
                assert_eq!((it.state, code(&it)), (State::Done, None), "{case}");
                assert_eq!(it.record.matched, matched.filter(|_| entitled), "{case}");
                assert_eq!(it.record.rows.is_some(), entitled && matched.is_some(), "{case}");
                let withheld = (entitled && matched.is_none()).then_some("tidm:matchShare");
                assert_eq!(it.record.withheld.as_deref(), withheld, "{case}");
                assert!(!it.record.report.unwrap().to_string().contains("matched"), "{case}");
            }
        }
    }
}

/// The purposes of a contract hold for matchings of every kind: what is not said, or not among them, costs nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_purpose_opens_nothing() {
    let world = World::two().await;
    let sentences = Sentences { purposes: vec!["质检".to_owned()], ..said(Terms::default()) };
    let product = world.published("parts.csv", &parts(0, 3000), sentences, &[Use::Psi]).await;
    let contract = world.agreed(&product).await;
    prepared(&world, &product).await;
    let (provider, consumer) = (&world.provider().app, &world.consumer().app);
    for (id, purpose, expected) in [
        ("none", None, Some("policy.unknown")),
        ("other", Some("转售"), Some("policy.denied")),
        ("right", Some("质检"), None),
    ] {
        for over_table in [false, true] {
            let mine = uploaded(consumer, &format!("{id}-{over_table}"), &parts(2990, 20)).await;
            let wish = Wanted { purpose: purpose.map(str::to_owned), ..wanted(&contract, mine) };
            let begun = match over_table {
                false => start(consumer, wish).await.unwrap(),
                true => fetch::start(consumer, wish).await.unwrap(),
            };
            let it = over(consumer, &begun.id).await;
            assert_eq!(code(&it), expected, "{purpose:?} {over_table}");
            assert_eq!(it.record.matched, expected.is_none().then_some(10));
            let theirs = provider.store.matching(&begun.id).await.unwrap();
            assert_eq!(theirs.is_some(), expected.is_none(), "{purpose:?} {over_table}");
        }
        let spent = provider.store.spent(&contract.id).await.unwrap();
        let expected = if expected.is_none() { (2, 40) } else { (0, 0) };
        assert_eq!((spent.uses, spent.items), expected, "{purpose:?}");
    }
}

/// Stopped by somebody on either side while it runs: both end at once and say why, and nothing stays.
#[tokio::test(flavor = "multi_thread")]
async fn either_side_stops_it() {
    let world = World::two().await;
    let product =
        world.published("parts.csv", &parts(0, 400_000), said(Terms::default()), &[Use::Psi]).await;
    let contract = world.agreed(&product).await;
    let (provider, consumer) = (&world.provider().app, &world.consumer().app);
    for (id, stopper, codes) in [
        ("c", consumer, ["psi.cancelled", "lease.ended"]),
        ("p", provider, ["psi.over", "psi.cancelled"]),
    ] {
        let mine = uploaded(consumer, id, &parts(0, 400_000)).await;
        let begun = start(consumer, wanted(&contract, mine)).await.unwrap();
        let running =
            || async { stopper.matchings.told(&begun.id).filter(|it| it.sent > 0).map(drop) };
        eventually("it runs", running).await;
        let it = app_matching(stopper, &begun.id).await;
        assert!(stop(stopper, &it).await.unwrap());
        let since = Instant::now();
        let ours = over(consumer, &begun.id).await;
        let theirs = over(provider, &begun.id).await;
        let took = since.elapsed();
        assert!(took <= Duration::from_secs(3), "both sides stopped after {took:?}");
        for (it, expected) in [&ours, &theirs].into_iter().zip(codes) {
            assert_eq!((it.state, code(it)), (State::Failed, Some(expected)), "{:?}", it.record);
            assert_eq!((it.record.matched, &it.record.rows), (None, &None));
        }
        assert!(!given_back(&world, &ours).await);
        cleared(&world).await;
        let gone = || async { consumer.store.upload(id).await.unwrap().is_none().then_some(()) };
        eventually("the list is gone", gone).await;
        // It is over: there is nothing to be stopped any more.
        assert!(!stop(stopper, &it).await.unwrap());
    }
    // Each was a use: what may have been learnt until then is counted.
    let spent = provider.store.spent(&contract.id).await.unwrap();
    assert_eq!((spent.uses, spent.items), (2, 800_000));
}

/// A result that somebody deleted is nowhere any more; that it was stays on record.
#[tokio::test(flavor = "multi_thread")]
async fn a_forgotten_result_is_gone() {
    let world = World::two().await;
    let contract = agreed(&world, Terms::default()).await;
    let consumer = &world.consumer().app;
    let mine = uploaded(consumer, "a", &parts(2990, 20)).await;
    let begun = start(consumer, wanted(&contract, mine)).await.unwrap();
    let done = over(consumer, &begun.id).await;
    let object = ObjectKey::parse(done.record.rows.as_deref().unwrap()).unwrap();
    assert!(consumer.objects.head(&object).await.is_ok());
    for _ in 0..2 {
        settle::forget(consumer, app_matching(consumer, &begun.id).await).await.unwrap();
        assert!(consumer.objects.head(&object).await.is_err());
        let it = app_matching(consumer, &begun.id).await;
        assert_eq!((it.state, it.record.matched, &it.record.rows), (State::Done, Some(10), &None));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wishes_that_cannot_be_met_cost_nothing() {
    let world = World::two().await;
    let contract = agreed(&world, Terms::default()).await;
    let (provider, consumer) = (&world.provider().app, &world.consumer().app);
    let mine = uploaded(consumer, "a", b"other\n1\n").await;
    let columns = vec!["one".to_owned(), "two".to_owned()];
    let no = fault(start(consumer, Wanted { columns, ..wanted(&contract, mine.clone()) }).await);
    assert_eq!(no.code(), "psi.columns");
    let shown = vec!["price".to_owned()];
    let no = fault(
        start(consumer, Wanted { result: Written::Rows(shown), ..wanted(&contract, mine.clone()) })
            .await,
    );
    assert!(no.code() == "psi.columns" && no.to_string().contains("other"), "{no}");
    let no = fault(
        start(consumer, Wanted { workers: Some(0), ..wanted(&contract, mine.clone()) }).await,
    );
    assert_eq!(no.code(), "psi.workers");
    let no = fault(start(consumer, wanted(&contract, list("none", "analyst"))).await);
    assert!(matches!(no, Fault::NotFound { what: "upload" }), "{no:?}");
    let no = fault(start(consumer, wanted(&contract, list("a", "somebody else"))).await);
    assert!(matches!(no, Fault::NotFound { what: "upload" }), "{no:?}");
    let no = fault(start(consumer, wanted(&contract, mine)).await);
    assert!(no.code() == "psi.columns" && no.to_string().contains("part_no"), "{no}");
    assert_eq!(provider.store.spent(&contract.id).await.unwrap().items, 0);

    let product =
        world.published("q.csv", &parts(0, 10), Sentences::default(), &[Use::Query]).await;
    let other = world.agreed(&product).await;
    let mine = uploaded(consumer, "b", &parts(0, 10)).await;
    assert_eq!(fault(start(consumer, wanted(&other, mine)).await).code(), "psi.terms");
}

/// A session is begun once: who joins it again by another lease, or repeats what was said of it before its end, opens nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_joined_once_and_over_once() {
    let world = World::two().await;
    let product =
        world.published("parts.csv", &parts(0, 400_000), said(Terms::default()), &[Use::Psi]).await;
    let contract = world.agreed(&product).await;
    let (provider, consumer) = (&world.provider().app, &world.consumer().app);
    let from = &world.consumer().did;
    let mine = uploaded(consumer, "a", &parts(0, 400_000)).await;
    let begun = start(consumer, wanted(&contract, mine)).await.unwrap();
    let running = || async { provider.matchings.told(&begun.id).map(drop) };
    eventually("it runs", running).await;
    let open = app_matching(provider, &begun.id).await;
    let lease = open.lease.clone().unwrap();
    let mut grant = Grant {
        lease: Id::parse("urn:lease:another").unwrap(),
        contract: contract.id.clone(),
        until: provider.clock.now().after(LEASE_MAX),
        uses_left: None,
        epsilon_left: None,
    };
    let no = fault(serve::joined(provider, from, &lease, grant.clone()).await);
    assert_eq!(no.code(), "psi.session");
    // The same message again changes nothing.
    grant.lease = Id::parse(open.record.join.as_deref().unwrap()).unwrap();
    serve::joined(provider, from, &lease, grant.clone()).await.unwrap();
    let done = over(provider, &begun.id).await;
    assert_eq!((done.state, done.record.attempts), (State::Done, 1));
    let no = fault(serve::joined(provider, from, &lease, grant).await);
    assert_eq!(no.code(), "psi.over");
    let stale = provider.writer.note(move |conn| {
        let open = open.clone();
        Box::pin(async move { matchings::save(conn, &open).await })
    });
    stale.await.unwrap();
    assert_eq!(app_matching(provider, &begun.id).await, done);
}

/// A list that nobody used is gone after a day; what an open matching reads stays.
#[tokio::test(flavor = "multi_thread")]
async fn lists_that_nobody_used_go_after_a_day() {
    let world = World::two().await;
    let app = &world.consumer().app;
    let day = tidm_node::jobs::uploads::KEPT;
    for (id, age, kept) in [("new", Duration::ZERO, true), ("old", day.saturating_mul(2), false)] {
        uploaded(app, id, b"part_no\n1\n").await;
        let row = app.store.upload(id).await.unwrap().unwrap();
        let created = Time::from_ms(row.created.ms() - i64::try_from(age.as_millis()).unwrap());
        let aged = UploadRow { created, ..row };
        let save = app.writer.note(move |conn| {
            let aged = aged.clone();
            Box::pin(async move {
                drop_upload(conn, &aged.id).await?;
                save_upload(conn, &aged).await
            })
        });
        save.await.unwrap();
        assert_eq!(tidm_node::jobs::uploads::sweep(app).await.unwrap(), usize::from(!kept));
        assert_eq!(app.store.upload(id).await.unwrap().is_some(), kept, "{id}");
        let key = ObjectKey::parse(&format!("{}{id}", rest::LISTS)).unwrap();
        assert_eq!(app.objects.head(&key).await.is_ok(), kept, "{id}");
    }
}

/// While a long one runs: a revocation ends it on both sides.
#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_stops_it() {
    let world = World::two().await;
    let product =
        world.published("parts.csv", &parts(0, 400_000), said(Terms::default()), &[Use::Psi]).await;
    let contract = world.agreed(&product).await;
    let (provider, consumer) = (&world.provider().app, &world.consumer().app);
    let mine = uploaded(consumer, "a", &parts(0, 400_000)).await;
    let begun = start(consumer, wanted(&contract, mine)).await.unwrap();
    let running = || async { consumer.matchings.told(&begun.id).map(drop) };
    eventually("it runs", running).await;
    world.revoke(&contract).await;
    let since = Instant::now();
    for app in [consumer, provider] {
        let it = over(app, &begun.id).await;
        assert_eq!((it.state, it.record.matched), (State::Failed, None), "{:?}", it.record);
    }
    let took = since.elapsed();
    assert!(took <= Duration::from_secs(1), "both sides stopped after {took:?}");
}

/// One that lasts longer than a lease: both sides renew theirs, and it is one use.
#[tokio::test(flavor = "multi_thread")]
async fn it_outlasts_its_leases() {
    let world = World::two().await;
    let product = world
        .published("parts.csv", &parts(0, 2_000_000), said(Terms::default()), &[Use::Psi])
        .await;
    let contract = world.agreed(&product).await;
    let (provider, consumer) = (&world.provider().app, &world.consumer().app);
    let mine = uploaded(consumer, "a", &parts(1_000_000, 2_000_000)).await;
    let span = Duration::from_millis(2_200);
    let begun = start(consumer, Wanted { span, ..wanted(&contract, mine) }).await.unwrap();
    let it = over(consumer, &begun.id).await;
    assert_eq!(
        (it.state, &it.record.fault, it.record.matched),
        (State::Done, &None, Some(1_000_000))
    );
    let ours = it.lease.unwrap();
    let joined = Id::parse(&it.record.join.unwrap()).unwrap();
    for app in [provider, consumer] {
        let lease = app.store.lease(&ours).await.unwrap().unwrap();
        assert!(lease.renewals > 0 && lease.until > lease.granted.after(span), "{lease:?}");
        // Given back rather than run out, however long it took.
        let returned = || async {
            let it = app.store.lease(&joined).await.unwrap()?;
            match it.state {
                Lease::Returned { .. } => Some(it),
                Lease::Granted => None,
                Lease::Expired { .. } | Lease::Revoked { .. } => panic!("{it:?}"),
            }
        };
        let lease = eventually("the joining lease is returned", returned).await;
        let Lease::Returned { at, .. } = &lease.state else { panic!("{lease:?}") };
        assert!(*at <= lease.until, "{lease:?}");
    }
    let spent = provider.store.spent(&contract.id).await.unwrap();
    assert_eq!((spent.uses, spent.items), (1, 2_000_000));
}

/// The consumer invites the provider to a session, and does nothing more; the session as the provider has it.
async fn invited(world: &World, contract: &Contract) -> Matching {
    let (provider, consumer) = (&world.provider().app, &world.consumer().app);
    let session = Session {
        id: [7; 32],
        contract: contract.id.clone(),
        protocol: Protocol::Fast,
        items: 10,
        asked: Asked::Rows,
    };
    let lease = Request {
        contract: contract.id.clone(),
        kind: Use::Psi,
        nonce: [1; 16],
        key: [2; 32],
        purpose: None,
        query: Some(session.digest()),
        items: Some(10),
        epsilon: None,
        span: Duration::from_secs(3600),
    };
    let invitation = Invitation { session, workers: 1, lease };
    let posting = psi::write_invitation(&uuid::Uuid::now_v7().into(), &invitation);
    let url = format!("{}{}", contract.address, posting.path);
    let authorization = tidm_node::net::auth::speak(consumer, &world.provider().did);
    let said = consumer.client.call(
        reqwest::Method::POST,
        &url,
        authorization.as_deref(),
        Some(posting.body),
    );
    assert_eq!(said.await.unwrap().status.as_u16(), 200);
    app_matching(provider, &"07".repeat(32)).await
}

/// The consumer's gate lets the provider join, by a lease of this name.
async fn joins(world: &World, it: &Matching, name: &str) -> Result<(), WorkError> {
    let provider = &world.provider().app;
    let grant = Grant {
        lease: Id::parse(name).unwrap(),
        contract: it.contract.clone(),
        until: provider.clock.now().after(LEASE_MAX),
        uses_left: None,
        epsilon_left: None,
    };
    serve::joined(provider, &world.consumer().did, it.lease.as_ref().unwrap(), grant).await
}

/// A session is joined when there is room for what it keeps, or not at all: else its row would be taken for another replica's.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_without_room_is_joined_later() {
    let world = World::two().await;
    let contract = agreed(&world, Terms::default()).await;
    let provider = &world.provider().app;
    let it = invited(&world, &contract).await;
    let all = provider.config.node.data.join("matchings");
    std::fs::write(&all, "").unwrap();
    assert!(joins(&world, &it, "urn:lease:join").await.is_err());
    assert_eq!(app_matching(provider, &it.id).await.record.join, None);
    std::fs::remove_file(&all).unwrap();
    joins(&world, &it, "urn:lease:join").await.unwrap();
    let joined = app_matching(provider, &it.id).await.record.join;
    assert_eq!(joined.as_deref(), Some("urn:lease:join"));
    assert!(all.join(&it.id).is_dir());
    world.revoke(&contract).await;
    assert_eq!(over(provider, &it.id).await.state, State::Failed);
    cleared_of(&all).await;
}

/// A node that is killed when the end of a matching is saved gives its lease back and clears away when it starts again; so it does with a
/// folder whose row was never saved, and with nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_kill_left_of_an_end_is_finished_at_the_start() {
    let mut world = World::two().await;
    let contract = agreed(&world, Terms::default()).await;
    let provider = world.provider().app.clone();
    let it = invited(&world, &contract).await;
    joins(&world, &it, "urn:lease:join").await.unwrap();
    let begun = || async { provider.matchings.told(&it.id).map(drop) };
    eventually("its process runs", begun).await;
    let all = provider.config.node.data.join("matchings");
    // As it is when the row is saved, and nothing more: whoever runs it writes no row any more.
    let ended = Matching { state: State::Failed, ..app_matching(&provider, &it.id).await };
    let saved = provider.writer.note(move |conn| {
        let ended = ended.clone();
        Box::pin(async move { matchings::save(conn, &ended).await })
    });
    saved.await.unwrap();
    for name in ["0a".repeat(32), "other".to_owned()] {
        std::fs::create_dir(all.join(&name)).unwrap();
        std::fs::write(all.join(&name).join("rows"), "a").unwrap();
    }
    drop(provider);
    world.restart(0).await;
    let provider = &world.provider().app;
    let only_other = || async {
        let names = std::fs::read_dir(&all).unwrap().map(|it| it.unwrap().file_name());
        names.eq(["other"]).then_some(())
    };
    eventually("the folders are gone", only_other).await;
    let joined = provider.store.lease(&Id::parse("urn:lease:join").unwrap()).await;
    match joined.unwrap().unwrap().state {
        Lease::Returned { outcome, .. } => assert!(!outcome.done && outcome.rows == 0),
        other => panic!("{other:?}"),
    }
}

/// A consumer that was accepted and is not heard of again leaves nothing open behind.
#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_follows_up_ends_with_its_lease() {
    let mut world = World::two().await;
    let contract = agreed(&world, Terms::default()).await;
    let it = invited(&world, &contract).await;
    let (id, state) = (it.id, it.state);
    assert_eq!(state, State::Open);
    // Also where the node was stopped meanwhile.
    world.restart(0).await;
    let provider = world.provider().app.clone();
    assert_eq!(app_matching(&provider, &id).await.state, State::Open);
    world.revoke(&contract).await;
    let it = over(&provider, &id).await;
    assert_eq!((it.state, it.record.fault.unwrap().code.as_str()), (State::Failed, "lease.ended"));
}

/// A node that is stopped goes on after its start, with the same session and at no further cost.
#[tokio::test(flavor = "multi_thread")]
async fn it_goes_on_after_a_restart() {
    let mut world = World::two().await;
    let product =
        world.published("parts.csv", &parts(0, 300_000), said(Terms::default()), &[Use::Psi]).await;
    let contract = world.agreed(&product).await;
    let mine = uploaded(&world.consumer().app, "a", &parts(150_000, 300_000)).await;
    let begun = start(&world.consumer().app, wanted(&contract, mine)).await.unwrap();
    let consumer = world.consumer().app.clone();
    let running =
        || async { consumer.matchings.told(&begun.id).filter(|it| it.sent > 0).map(drop) };
    eventually("it runs", running).await;
    drop(consumer);
    world.restart(1).await;
    let consumer = world.consumer().app.clone();
    let it = over(&consumer, &begun.id).await;
    assert_eq!(
        (it.state, &it.record.fault, it.record.matched),
        (State::Done, &None, Some(150_000))
    );
    let spent = world.provider().app.store.spent(&contract.id).await.unwrap();
    assert_eq!((spent.uses, spent.items), (1, 300_000));
    // What had left before is known by kind.
    let (all, kinds) = (it.record.broken_off, it.record.broken_kinds);
    assert!(all.sent > 0 && kinds.values().map(|it| it.sent).sum::<u64>() == all.sent, "{kinds:?}");
    assert!(kinds.contains_key("greeting"), "{kinds:?}");
}

/// Streams are for the contract's consumer, and for a matching that stands.
#[tokio::test(flavor = "multi_thread")]
async fn strangers_get_no_stream() {
    let world = World::of(3, |_, _| String::new()).await;
    let contract = agreed(&world, Terms::default()).await;
    let consumer = &world.consumer().app;
    let mine = uploaded(consumer, "a", &parts(0, 10)).await;
    let begun = start(consumer, wanted(&contract, mine)).await.unwrap();
    let lease = over(consumer, &begun.id).await.lease.unwrap();
    for (from, expected) in [(&world.nodes[2].app, 404), (consumer, 409)] {
        let url = format!("{}/tidm/1/psi/{lease}/stream", world.provider().base());
        let authorization = tidm_node::net::auth::speak(from, &world.provider().did).unwrap();
        let request = from.client.upload(reqwest::Method::GET, &url).await.unwrap();
        let request = request.header("authorization", authorization);
        let request = request.header("connection", "upgrade").header("upgrade", "tidm-psi-1");
        let answer = tokio::time::timeout(Duration::from_secs(20), request.send()).await;
        assert_eq!(answer.unwrap().unwrap().status().as_u16(), expected);
    }
}
