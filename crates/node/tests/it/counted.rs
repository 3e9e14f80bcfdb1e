//! What a gate counts beside uses, over two nodes: periods, time, rows.

use std::time::Duration;

use tidm_node::jobs::use_data::{query_at_provider, query_sealed};
use tidm_node::net::auth;
use tidm_space::contract::Contract;
use tidm_space::fault::Fault;
use tidm_space::id::Id;
use tidm_space::lease::message::Request;
use tidm_space::policy::sentence::{Counted, Sentences};
use tidm_space::policy::span::Span;
use tidm_space::policy::usage::Use;
use tidm_space::wire::tidm::lease;

use crate::world::{World, csv, eventually, fault};

const SQL: &str = "SELECT line, count(*) AS n FROM data WHERE line <> 'C' GROUP BY line";

fn said(counted: Counted) -> Sentences {
    Sentences { counted, ..Sentences::default() }
}

fn span(text: &str) -> Span {
    Span::parse(text).unwrap()
}

/// Asks the provider's gate over the network, as the consumer's node does; `None`: granted, else the code of the refusal.
async fn ask(world: &World, contract: &Contract, nonce: u8, seconds: u64) -> Option<String> {
    let request = Request {
        contract: contract.id.clone(),
        kind: Use::SealedTable,
        nonce: [nonce; 16],
        key: [9; 32],
        purpose: None,
        query: None,
        items: None,
        epsilon: None,
        span: Duration::from_secs(seconds),
    };
    at_the_gate(world, &request).await
}

/// What the gate says to that request.
pub(crate) async fn at_the_gate(world: &World, request: &Request) -> Option<String> {
    let id = Id::parse(&format!("urn:uuid:ask-{}", request.nonce[0])).unwrap();
    let posting = lease::write_request(&id, request);
    let (provider, consumer) = (world.provider(), world.consumer());
    let bearer = auth::mint(&consumer.app.identity, &provider.did, &consumer.app.clock);
    let url = format!("{}{}", provider.base(), posting.path);
    let call =
        consumer.app.client.call(reqwest::Method::POST, &url, Some(&bearer), Some(posting.body));
    let answer = call.await.unwrap();
    (!answer.status.is_success()).then(|| lease::read_refusal(&answer.body).unwrap().code)
}

/// 64 requests race for ten uses, by the count and by the period.
#[tokio::test(flavor = "multi_thread")]
async fn a03_sixty_four_at_once_share_ten_uses() {
    let world = World::two().await;
    let period = Counted { frequency: Some((10, span("P1D"))), ..Counted::default() };
    let count = Sentences { uses: Some(10), ..Sentences::default() };
    for (name, sentences) in [("period.csv", said(period)), ("count.csv", count)] {
        let contract = world.ready(name, &csv(), sentences, Use::SealedTable).await;
        let asked = (0..64).map(|nonce| ask(&world, &contract, nonce, 60));
        let answers = futures::future::join_all(asked).await;
        let refused: Vec<&String> = answers.iter().flatten().collect();
        assert_eq!(answers.len() - refused.len(), 10, "{name}: {refused:?}");
        assert!(refused.iter().all(|it| *it == "policy.denied"), "{refused:?}");
        let provider = &world.provider().app;
        assert_eq!(provider.store.spent(&contract.id).await.unwrap().uses, 10);
        // A nonce that was granted is granted again, and charges nothing.
        let granted = answers.iter().position(Option::is_none).unwrap();
        assert_eq!(ask(&world, &contract, u8::try_from(granted).unwrap(), 60).await, None);
        assert_eq!(provider.store.spent(&contract.id).await.unwrap().uses, 10);
        let no = fault(query_sealed(&world.consumer().app, &contract.id, SQL, None).await);
        assert!(matches!(no, Fault::Denied { .. }), "{no:?}");
    }
}

/// Leases that run side by side share the time; what a use did not take comes back with its return.
#[tokio::test(flavor = "multi_thread")]
async fn metered_time_is_shared_and_comes_back() {
    let world = World::two().await;
    let counted = Counted { metered: Some(span("PT10M")), ..Counted::default() };
    let contract = world.ready("t.csv", &csv(), said(counted), Use::SealedTable).await;
    let (provider, consumer) = (&world.provider().app, &world.consumer().app);
    let spent = || async { provider.store.spent(&contract.id).await.unwrap().seconds };
    query_sealed(consumer, &contract.id, SQL, None).await.unwrap();
    // The lease was charged whole; its return gave back all but the seconds that passed.
    let back = || async { (1..60).contains(&spent().await).then_some(()) };
    eventually("unused time comes back", back).await;
    let asked = (0..8).map(|nonce| ask(&world, &contract, nonce, 300));
    let answers = futures::future::join_all(asked).await;
    // Five minutes, and the rest of them.
    assert_eq!(answers.iter().filter(|it| it.is_none()).count(), 2, "{answers:?}");
    assert_eq!(spent().await, 600);
    let no = fault(query_sealed(consumer, &contract.id, SQL, None).await);
    assert_eq!(no.code(), "policy.denied", "{no:?}");
}

/// A query gets out no more rows than are left, and pays for those that left.
#[tokio::test(flavor = "multi_thread")]
async fn rows_are_reserved_and_those_that_stay_come_back() {
    let world = World::two().await;
    let counted = Counted { rows: Some(5), ..Counted::default() };
    let product = world.published("q.csv", &csv(), said(counted), &[Use::Query]).await;
    let contract = world.agreed(&product).await;
    let (provider, consumer) = (&world.provider().app, &world.consumer().app);
    let spent = || async { provider.store.spent(&contract.id).await.unwrap().rows };
    let query = async |sql: &str| query_at_provider(consumer, &contract.id, sql, None).await;
    assert_eq!(query(SQL).await.unwrap().rows, 2);
    assert_eq!(spent().await, 2);
    let no = fault(query("SELECT * FROM data LIMIT 4").await);
    assert_eq!(no.code(), "query.too-many-rows", "{no:?}");
    assert_eq!(spent().await, 2, "nothing left, nothing is paid");
    assert_eq!(query("SELECT * FROM data LIMIT 3").await.unwrap().rows, 3);
    assert_eq!(spent().await, 5);
    assert_eq!(fault(query(SQL).await).code(), "policy.denied");
}
