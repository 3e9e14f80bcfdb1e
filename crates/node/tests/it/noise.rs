//! Noisy answers over two nodes and more: what is asked, what it costs, and who shares the budget.

use tidm_node::jobs::query;
use tidm_node::jobs::use_data::{UseResult, noisy_at_provider, query_at_provider, query_sealed};
use tidm_node::store::writer::WorkError;
use tidm_space::contract::Contract;
use tidm_space::engine::input::{ContractWish, Wish};
use tidm_space::evidence::fact::What;
use tidm_space::fault::Fault;
use tidm_space::lease::message::Request;
use tidm_space::policy::privacy::{Epsilon, Privacy, Unit};
use tidm_space::policy::sentence::Sentences;
use tidm_space::policy::usage::Use;

use crate::counted::at_the_gate;
use crate::world::{World, csv, eventually, fault, publishing, table};

const SQL: &str = "SELECT count(*) AS n, sum(temp) AS t FROM data WHERE line <> 'C'";

fn noise(budget: &str) -> Sentences {
    let unit = Unit::parse("sensor;1;temp:0.1:0:30");
    Sentences { privacy: Privacy { budget: Epsilon::parse(budget), unit }, ..Sentences::default() }
}

async fn ask(
    world: &World,
    at: usize,
    contract: &Contract,
    epsilon: &str,
) -> Result<UseResult, WorkError> {
    asking(world, at, contract, SQL, epsilon).await
}

async fn asking(
    world: &World,
    at: usize,
    contract: &Contract,
    sql: &str,
    epsilon: &str,
) -> Result<UseResult, WorkError> {
    let app = &world.nodes[at].app;
    noisy_at_provider(app, &contract.id, sql, (None, Epsilon::parse(epsilon))).await
}

fn numbers(it: &UseResult) -> Vec<f64> {
    table(&it.ipc).remove(0).iter().map(|it| it.parse().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_noisy_and_cost() {
    let world = World::two().await;
    let product = world.published("n.csv", &csv(), noise("100"), &[]).await;
    assert_eq!(product.deliveries(), [Use::Query], "by nothing else");
    let contract = world.agreed(&product).await;
    let (provider, consumer) = (&world.provider().app, &world.consumer().app);
    // At such a price there is hardly any noise: 200 sensors, and the sum of their readings.
    let done = ask(&world, 1, &contract, "99").await.unwrap();
    let [n, t] = numbers(&done)[..] else { panic!("two numbers") };
    assert!((n - 200.0).abs() <= 3.0 && (t - 4450.0).abs() <= 60.0, "{n} {t}");
    assert_eq!((done.rows, done.epsilon_left), (1, Some(1_000_000)));
    // The same again has noise of its own and its own price; bytes and facts are of one size.
    let mut answers = Vec::new();
    for left in [900_000, 800_000, 700_000, 600_000, 500_000] {
        let done = ask(&world, 1, &contract, "0.1").await.unwrap();
        assert_eq!(done.epsilon_left, Some(left));
        answers.push((numbers(&done), done.ipc.len()));
    }
    assert!(answers.iter().all(|(_, bytes)| *bytes == answers[0].1), "{answers:?}");
    assert!(answers.iter().any(|(it, _)| *it != answers[0].0), "{answers:?}");
    // Nobody is there: an answer like any other.
    let none = asking(
        &world,
        1,
        &contract,
        "SELECT count(*) AS n, sum(temp) AS t FROM data WHERE line = 'Z'",
        "0.1",
    );
    assert_eq!(none.await.unwrap().ipc.len(), answers[0].1);
    for (sql, epsilon, code) in [
        (SQL, "0", "privacy.epsilon"),
        (SQL, "0.400001", "privacy.budget"),
        // Refused by its words, here: it costs nothing.
        ("SELECT line, count(*) FROM data GROUP BY line", "0.1", "query.noise"),
        ("SELECT max(temp) FROM data", "0.1", "query.noise"),
    ] {
        let no = fault(asking(&world, 1, &contract, sql, epsilon).await);
        assert_eq!(no.code(), code, "{sql} {epsilon}: {no:?}");
    }
    let spent = || async { provider.store.spent(&contract.id).await.unwrap().epsilon };
    assert_eq!(spent().await, 99_600_000);
    // Refused there: it was paid for.
    let no = fault(asking(&world, 1, &contract, "SELECT sum(line) FROM data", "0.1").await);
    assert_eq!((no.code(), spent().await), ("query.noise", 99_700_000), "{no:?}");
    let no = fault(query_at_provider(consumer, &contract.id, SQL, None).await);
    assert_eq!(no.code(), "privacy.epsilon", "{no:?}");
    assert!(query_sealed(consumer, &contract.id, SQL, None).await.is_err());
    // The provider sees what each answer cost.
    let facts = provider.store.contract_facts(&contract.id).await.unwrap();
    let cost = |it: &What| if let What::LeaseGranted { epsilon, .. } = it { *epsilon } else { 0 };
    assert_eq!(facts.iter().map(|it| cost(&it.what)).sum::<u64>(), spent().await);
    let plain = world.published("p.csv", &csv(), Sentences::default(), &[Use::Query]).await;
    let plain = world.agreed(&plain).await;
    assert_eq!(fault(ask(&world, 1, &plain, "1").await).code(), "privacy.unasked");
}

/// A22: neither a second contract nor a second account has a budget of its own.
#[tokio::test(flavor = "multi_thread")]
async fn one_legal_entity_has_one_budget() {
    let world = World::accounts(3).await;
    let product = world.published("n.csv", &csv(), noise("1"), &[]).await;
    let first = world.agreed_by(&product, 1).await;
    let other = world.agreed_by(&product, 2).await;
    let again = second(&world, &first, &product.offers[0].policy().clone()).await;
    assert_eq!(ask(&world, 1, &first, "0.5").await.unwrap().epsilon_left, Some(500_000));
    for (at, contract) in [(1, &again), (2, &other)] {
        let no = fault(ask(&world, at, contract, "0.6").await);
        assert_eq!(no.code(), "privacy.budget", "{no:?}");
        if let Fault::Denied { reason, .. } = &no {
            assert!(reason.contains("0.5 of 1 is left"), "{reason}");
        }
    }
    assert_eq!(ask(&world, 2, &other, "0.3").await.unwrap().epsilon_left, Some(200_000));
    assert_eq!(ask(&world, 1, &again, "0.2").await.unwrap().epsilon_left, Some(0));
    for (at, contract) in [(1, &first), (1, &again), (2, &other)] {
        assert_eq!(fault(ask(&world, at, contract, "0.000001").await).code(), "privacy.budget");
    }
    let provider = &world.provider().app.store;
    let at_gate = provider.contract(&first.id).await.unwrap().unwrap();
    assert_eq!(
        provider.epsilon_spent(&*world.provider().app.directory, &at_gate).await.unwrap(),
        1_000_000
    );
}

/// What an account spent before anybody said whose it is: the gate counts it, and so does what is shown.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_shown_as_spent_is_what_the_gate_counts() {
    let world = World::accounts(3).await;
    let provider = &world.provider().app;
    let product = world.published("n.csv", &csv(), noise("1"), &[]).await;
    let (first, other) = (world.agreed_by(&product, 1).await, world.agreed_by(&product, 2).await);
    let known = provider.directory.members_of(0).unwrap();
    let mut nobody = (*known).clone();
    nobody.members.iter_mut().for_each(|it| it.credit_code = None);
    provider.directory.set_members(nobody);
    assert_eq!(ask(&world, 2, &other, "0.4").await.unwrap().epsilon_left, Some(600_000));
    provider.directory.set_members((*known).clone());
    assert_eq!(ask(&world, 1, &first, "0.5").await.unwrap().epsilon_left, Some(100_000));
    let at_gate = provider.store.contract(&first.id).await.unwrap().unwrap();
    let spent = provider.store.epsilon_spent(&*provider.directory, &at_gate).await.unwrap();
    assert_eq!(spent, 900_000);
}

/// One more contract of the same consumer over the same product.
async fn second(
    world: &World,
    first: &Contract,
    offer: &tidm_space::policy::model::Policy,
) -> Contract {
    let (provider, consumer) = (world.provider(), world.consumer());
    let wish = ContractWish {
        peer: provider.did.clone(),
        address: provider.base(),
        product: first.product.clone(),
        offer: offer.clone(),
        rules: tidm_space::approval::Rules::default(),
    };
    consumer.wish(Wish::Request(Box::new(wish))).await;
    let found = |app: std::sync::Arc<tidm_node::app::App>| async move {
        let page = app.store.contracts(None, 100).await.unwrap();
        page.rows.into_iter().find(|it| {
            it.product == first.product
                && it.id != first.id
                && [&provider.did, &consumer.did].contains(&&it.peer)
        })
    };
    eventually("a second contract at the provider", || found(provider.app.clone())).await;
    eventually("a second contract at the consumer", || found(consumer.app.clone())).await
}

/// 64 at once against a budget for ten: ten.
#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_at_once_share_a_budget_for_ten() {
    let world = World::two().await;
    let product = world.published("n.csv", &csv(), noise("1"), &[]).await;
    let contract = world.agreed(&product).await;
    let asked = (0..64).map(|nonce| lease_of(&world, &contract, nonce));
    let answers = futures::future::join_all(asked).await;
    let refused: Vec<&String> = answers.iter().flatten().collect();
    assert_eq!(answers.len() - refused.len(), 10, "{refused:?}");
    assert!(refused.iter().all(|it| *it == "privacy.budget"), "{refused:?}");
    let provider = &world.provider().app;
    assert_eq!(provider.store.spent(&contract.id).await.unwrap().epsilon, 1_000_000);
    // Granted again is charged once.
    let granted = answers.iter().position(Option::is_none).unwrap();
    assert_eq!(lease_of(&world, &contract, u8::try_from(granted).unwrap()).await, None);
    assert_eq!(provider.store.spent(&contract.id).await.unwrap().epsilon, 1_000_000);
}

/// `None`: granted, else the code of the refusal.
async fn lease_of(world: &World, contract: &Contract, nonce: u8) -> Option<String> {
    let request = Request {
        contract: contract.id.clone(),
        kind: Use::Query,
        nonce: [nonce; 16],
        key: [9; 32],
        purpose: None,
        query: Some(query::digest(SQL).unwrap()),
        items: None,
        epsilon: Epsilon::parse("0.1"),
        span: std::time::Duration::from_secs(60),
    };
    at_the_gate(world, &request).await
}

/// Whoever offers noise with another kind of use is told so.
#[tokio::test(flavor = "multi_thread")]
async fn noise_is_offered_for_queries_alone() {
    let world = World::two().await;
    let offered = async |unit: &str, kind: Option<Use>| {
        let mut sentences = noise("1");
        sentences.privacy.unit = Unit::parse(unit);
        let file = world.path().join("k.csv");
        std::fs::write(&file, csv()).unwrap();
        let mut request = tidm_node::jobs::publish::PublishRequest::new(file, "k.csv");
        request.offers = vec![tidm_node::jobs::publish::OfferRequest {
            policy: None,
            sentences,
            approval: tidm_space::catalog::product::Approval::Auto,
            deliveries: std::iter::once(Use::Query).chain(kind).collect(),
            rules: tidm_space::approval::Rules::default(),
        }];
        fault(publishing(world.provider(), request).await).code().to_owned()
    };
    for kind in [Use::SealedTable, Use::Plain, Use::Psi] {
        assert_eq!(offered("sensor;1", Some(kind)).await, "publish.delivery", "{kind:?}");
    }
    // The bounds are held against the columns that there are.
    for (unit, code) in [
        ("nobody;1", "publish.column"),
        ("sensor;1;wind:1:0:1", "publish.column"),
        ("sensor;1;line:1:0:1", "publish.terms"),
        ("temp;1", "publish.terms"),
    ] {
        assert_eq!(offered(unit, None).await, code, "{unit}");
    }
}
