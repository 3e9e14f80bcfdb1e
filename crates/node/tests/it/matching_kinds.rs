//! Matchings whose answer is not rows alone, between two nodes: sizes, sums, bounds and labels under contract, what is refused,
//! what is withheld, and what neither side learns.

use serde_json::json;

use tidm_node::app::App;
use tidm_node::jobs::matching::ask::{Wanted, start};
use tidm_node::jobs::matching::{Written, serve};
use tidm_node::store::matchings::{Matching, State};
use tidm_space::contract::Contract;
use tidm_space::lease::message::Request;
use tidm_space::limits::LEASE_MAX;
use tidm_space::policy::matching::{Matching as Terms, Reveal, To};
use tidm_space::policy::sentence::Sentences;
use tidm_space::policy::usage::Use;
use tidm_space::psi::{Asked, Invitation, Protocol, Session};

use crate::matching::{bits, over, parts, said, text, uploaded, wanted};
use crate::world::{World, fault};

fn revealing(kinds: &[Reveal]) -> Terms {
    Terms { reveal: Some(kinds.iter().copied().collect()), ..Terms::default() }
}

/// A product of 3000 parts, and a contract that lets its key, and the price where it is said, be used.
async fn agreed(world: &World, terms: Terms, columns: &[&str]) -> Contract {
    let columns = columns.iter().map(|it| (*it).to_owned()).collect();
    let said = Sentences { columns, ..said(terms) };
    let product = world.published("parts.csv", &parts(0, 3000), said, &[Use::Psi]).await;
    world.agreed(&product).await
}

/// Matches `count` parts from `begin` on: how it ended on both sides.
async fn ask(
    world: &World,
    contract: &Contract,
    id: &str,
    (begin, count): (u32, u32),
    asked: Asked,
) -> [Matching; 2] {
    let (provider, consumer) = (&world.provider().app, &world.consumer().app);
    let mine = uploaded(consumer, id, &parts(begin, count)).await;
    let begun = start(consumer, Wanted { asked, ..wanted(contract, mine) }).await.unwrap();
    [over(consumer, &begun.id).await, over(provider, &begun.id).await]
}

fn done(all: &[Matching; 2]) {
    for it in all {
        assert_eq!((it.state, &it.record.fault), (State::Done, &None));
        let report = it.record.report.as_ref().unwrap().to_string();
        assert!(!report.contains("matched") && !report.contains("answer"), "{report}");
        assert!(report.contains("\"opening\"") && report.contains("\"sent\""), "{report}");
        assert_eq!((it.record.matched, &it.record.rows), (None, &None));
    }
}

fn price(decimals: u32) -> Asked {
    Asked::Sum { column: "price".to_owned(), decimals }
}

#[tokio::test(flavor = "multi_thread")]
async fn sizes_and_sums_are_known_and_nothing_else() {
    let world = World::two().await;
    let terms = Terms {
        least: Some(100),
        share: Some(60),
        budget: Some(10_000),
        ..revealing(&[Reveal::Size, Reveal::Sum, Reveal::AtLeast])
    };
    let contract = agreed(&world, terms, &["part_no", "price"]).await;
    // Parts 2500 to 2999 match: each costs three times its number.
    let sum: u64 = (2500..3000).map(|it| it * 3).sum();
    for (id, asked, answer) in [
        ("size", Asked::Size, json!({ "size": 500 })),
        ("sum", price(2), json!({ "sum": format!("{sum}.00") })),
        ("enough", Asked::AtLeast(500), json!({ "atLeast": true })),
        ("not-enough", Asked::AtLeast(501), json!({ "atLeast": false })),
    ] {
        let both = ask(&world, &contract, id, (2500, 1000), asked).await;
        done(&both);
        let [ours, theirs] = &both;
        assert_eq!(ours.record.answer.as_ref(), Some(&answer), "{id}");
        assert_eq!((&theirs.record.answer, &theirs.record.withheld), (&None, &None), "{id}");
    }
    let spent = world.provider().app.store.spent(&contract.id).await.unwrap();
    assert_eq!((spent.uses, spent.items), (4, 4000));
}

/// Below the smallest result, or above the largest share: neither side learns more than that it is so.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_outside_its_bounds_is_opened_to_nobody() {
    let world = World::two().await;
    let terms = Terms {
        least: Some(100),
        share: Some(50),
        to: Some(To::Both),
        ..revealing(&[Reveal::Size, Reveal::Sum])
    };
    let contract = agreed(&world, terms, &["part_no", "price"]).await;
    for (id, rows, asked, shown) in [
        ("few", (2901, 900), Asked::Size, None),
        ("few-sum", (2901, 900), price(0), None),
        ("many", (0, 900), Asked::Size, None),
        ("enough", (2900, 900), Asked::Size, Some(json!({ "size": 100 }))),
    ] {
        let both = ask(&world, &contract, id, rows, asked).await;
        done(&both);
        for it in both {
            let withheld = shown.is_none().then_some("tidm:minMatches, tidm:matchShare");
            assert_eq!(it.record.answer, shown, "{id}");
            assert_eq!(it.record.withheld.as_deref(), withheld, "{id}");
        }
    }
}

async fn object(app: &App, name: Option<&str>) -> String {
    text(app, name.unwrap()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn labels_come_with_our_rows_and_the_provider_learns_nothing() {
    let world = World::two().await;
    let contract = agreed(&world, revealing(&[Reveal::Labels]), &["part_no", "price"]).await;
    let asked = Asked::Labels { columns: vec!["price".to_owned()], bytes: 32 };
    let [ours, theirs] = ask(&world, &contract, "a", (2990, 20), asked).await;
    assert_eq!((ours.state, &ours.record.fault), (State::Done, &None));
    assert_eq!((ours.record.matched, theirs.record.matched), (Some(10), None));
    assert_eq!((&theirs.record.rows, &theirs.record.labels), (&None, &None));
    let text = object(&world.consumer().app, ours.record.labels.as_deref()).await;
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        (lines.len(), lines[0], lines[1], lines[10]),
        (11, "row,price", "1,8970", "10,8997")
    );
    let rows = object(&world.consumer().app, ours.record.rows.as_deref()).await;
    assert_eq!(rows, String::from_utf8(parts(2990, 10)).unwrap());
}

/// Who has the list needs no copy of it: a bit for each row says which matched, of rows and of rows with labels.
#[tokio::test(flavor = "multi_thread")]
async fn bits_say_which_rows_matched() {
    let world = World::two().await;
    let terms = revealing(&[Reveal::Rows, Reveal::Labels]);
    let contract = agreed(&world, terms, &["part_no", "price"]).await;
    let consumer = &world.consumer().app;
    let labels = Asked::Labels { columns: vec!["price".to_owned()], bytes: 32 };
    for (name, asked) in [("a", Asked::Rows), ("b", labels)] {
        let mine = uploaded(consumer, name, &parts(2990, 20)).await;
        let result = Written::Bitmap;
        let wanted = Wanted { asked, result, ..wanted(&contract, mine) };
        let ours = start(consumer, wanted).await.unwrap();
        let ours = over(consumer, &ours.id).await;
        assert_eq!(bits(consumer, &ours).await, (20, (0..10).collect()));
        assert_eq!(ours.record.labels.is_some(), name == "b");
    }
}

/// A provider without the memory for it says so before anything is counted; and takes as many workers as it has memory for.
#[tokio::test(flavor = "multi_thread")]
async fn what_has_no_room_at_the_provider_costs_nothing() {
    let world = World::of(2, |at, _| match at {
        0 => "[limits]\nmatching_mib = 64\n".to_owned(),
        _ => String::new(),
    })
    .await;
    let terms = Terms { budget: Some(10_000), ..revealing(&[Reveal::Rows, Reveal::Labels]) };
    let said = Sentences { columns: vec!["part_no".to_owned(), "price".to_owned()], ..said(terms) };
    let list = parts(0, 9000);
    let product = world.published("parts.csv", &list, said, &[Use::Psi]).await;
    let contract = world.agreed(&product).await;
    let consumer = &world.consumer().app;
    // 9,000 labels of 4,160 bytes are more than half of 64 MiB.
    let mine = uploaded(consumer, "a", &parts(8990, 20)).await;
    let asked = Asked::Labels { columns: vec!["price".to_owned()], bytes: 4096 };
    let begun = start(consumer, Wanted { asked, ..wanted(&contract, mine) }).await.unwrap();
    let ours = over(consumer, &begun.id).await;
    let fault = ours.record.fault.as_ref().unwrap();
    assert_eq!((ours.state, fault.code.as_str()), (State::Failed, "psi.size"), "{fault:?}");
    let told = serde_json::to_string(fault).unwrap();
    assert!(told.contains("limits.matching_mib") && told.contains("64 MiB"), "{told}");
    let spent = world.provider().app.store.spent(&contract.id).await.unwrap();
    assert_eq!((spent.uses, spent.items), (0, 0));
    // Two workers here, one there: 64 MiB are not enough for two.
    let mine = uploaded(consumer, "b", &parts(8990, 20)).await;
    let wish = Wanted { workers: Some(2), ..wanted(&contract, mine) };
    let begun = start(consumer, wish).await.unwrap();
    let ours = over(consumer, &begun.id).await;
    assert_eq!((ours.state, &ours.record.fault), (State::Done, &None));
    let theirs = over(&world.provider().app, &begun.id).await;
    assert_eq!((ours.record.matched, theirs.record.workers), (Some(10), 1));
}

/// Both sides hold it against their copy of the contract, before a use is counted.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_contract_does_not_reveal_is_refused_on_both_sides() {
    let world = World::two().await;
    let terms = Terms { least: Some(10), ..revealing(&[Reveal::Size, Reveal::Sum]) };
    let contract = agreed(&world, terms, &["part_no"]).await;
    let (provider, consumer) = (&world.provider().app, &world.consumer().app);
    let mine = uploaded(consumer, "a", &parts(0, 100)).await;
    let labels = Asked::Labels { columns: vec!["part_no".to_owned()], bytes: 32 };
    for (asked, protocol, workers, code) in [
        (Asked::Rows, Protocol::Fast, 1, "psi.reveal"),
        (labels, Protocol::Fast, 1, "psi.reveal"),
        (Asked::AtLeast(50), Protocol::Fast, 1, "psi.reveal"),
        (price(2), Protocol::Fast, 1, "psi.reveal"),
        (Asked::Size, Protocol::Malicious, 1, "psi.protocol"),
        (Asked::Size, Protocol::Ecdh, 1, "psi.protocol"),
        (Asked::Size, Protocol::Fast, 2, "psi.workers"),
    ] {
        let workers = Some(workers);
        let wish = Wanted { asked, protocol, workers, ..wanted(&contract, mine.clone()) };
        assert_eq!(fault(start(consumer, wish).await).code(), code);
    }
    // A consumer that does not look at its contract is refused by the provider.
    for (asked, protocol, code) in [
        (Asked::Rows, Protocol::Fast, "psi.reveal"),
        (price(2), Protocol::Fast, "psi.reveal"),
        (Asked::Size, Protocol::Ecdh, "psi.protocol"),
    ] {
        let session =
            Session { id: [7; 32], contract: contract.id.clone(), protocol, items: 10, asked };
        let lease = Request {
            contract: contract.id.clone(),
            kind: Use::Psi,
            nonce: [1; 16],
            key: [2; 32],
            purpose: None,
            query: Some(session.digest()),
            items: Some(10),
            epsilon: None,
            span: LEASE_MAX,
        };
        let invitation = Invitation { session, workers: 1, lease };
        let no = serve::prepare(provider, &world.consumer().did, &invitation).await;
        assert_eq!(fault(no).code(), code);
    }
    assert_eq!(provider.store.spent(&contract.id).await.unwrap().uses, 0);
}
