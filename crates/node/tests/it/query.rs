//! Queries at the provider: what passes the output gate leaves, once for each lease.

use tidm_crypto::hash::sha256;
use tidm_node::jobs::query;
use tidm_node::jobs::use_data::{query_at_provider, query_sealed};
use tidm_space::engine::commit::Reply;
use tidm_space::engine::input::{ContractWish, Heard, Input, Received, Wish};
use tidm_space::fault::Fault;
use tidm_space::id::Id;
use tidm_space::identity::did::Did;
use tidm_space::lease::message::{Outcome, Request};
use tidm_space::lease::state::State;
use tidm_space::policy::compile::compile;
use tidm_space::policy::model::{Action, Atomic, Constraint, Operand, Operator, Rule, Value};
use tidm_space::policy::sentence::Sentences;
use tidm_space::policy::usage::Use;
use tidm_space::wire::record;
use tokio::net::TcpListener;

use crate::world::{World, csv, eventually, fault, table};

const SQL: &str = "SELECT line, avg(temp) AS t FROM data GROUP BY line ORDER BY line";

fn aggregates() -> Sentences {
    Sentences { aggregates_only: true, min_group: Some(5), uses: Some(20), ..Sentences::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_leave_and_rows_do_not() {
    let world = World::two().await;
    let product = world.published("q.csv", &csv(), aggregates(), &[Use::Query]).await;
    let contract = world.agreed(&product).await;
    let (provider, consumer) = (&world.provider().app, &world.consumer().app);
    let done = query_at_provider(consumer, &contract.id, SQL, None).await.unwrap();
    // Line C has one reading: it is no group.
    assert_eq!(
        table(&done.ipc).into_iter().map(|mut row| row.remove(0)).collect::<Vec<_>>(),
        ["A", "B"]
    );
    assert_eq!((done.rows, done.uses_left), (2, Some(19)));

    for (sql, code) in [
        ("SELECT * FROM data", "query.raw-rows"),
        ("SELECT max(temp) FROM data", "query.aggregate"),
        ("SELECT avg(nothing) FROM data", "query.column"),
        ("SELEC line FROM data", "query.not-allowed"),
    ] {
        let no = fault(query_at_provider(consumer, &contract.id, sql, None).await);
        assert_eq!(no.code(), code, "{sql}: {no:?}");
        if let Fault::Denied { reason, .. } = &no {
            assert!(reason.contains(world.provider().did.as_str()), "{reason}");
        }
    }
    // A lease is closed on both sides, with the same result.
    for app in [provider, consumer] {
        let lease = app.store.lease(&done.lease).await.unwrap().unwrap();
        match lease.state {
            State::Returned { outcome: Outcome { done: true, rows: 2, result, .. }, .. } => {
                assert_eq!(result, Some(sha256(&done.ipc)));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_is_for_one_run_of_one_statement_by_one_asker() {
    let world = World::of(3, |_, _| String::new()).await;
    let product = world.published("q.csv", &csv(), aggregates(), &[Use::Query]).await;
    let contract = world.agreed(&product).await;
    let (provider, consumer) = (&world.provider().app, &world.consumer().did);
    let granted = async |nonce: u8| {
        let request = Request {
            contract: contract.id.clone(),
            kind: Use::Query,
            nonce: [nonce; 16],
            key: [1; 32],
            purpose: None,
            query: Some(query::digest(SQL).unwrap()),
            items: None,
            epsilon: None,
            span: std::time::Duration::ZERO,
        };
        let what = Heard::Ask(Box::new(request));
        let heard = Received {
            from: consumer.clone(),
            key: None,
            id: None,
            seen: Default::default(),
            digest: sha256(&[nonce]),
            what,
        };
        match provider.writer.run(Input::Heard(Box::new(heard))).await.unwrap() {
            Reply::Lease(grant) => grant.lease,
            other => panic!("{other:?}"),
        }
    };
    let body = |sql: &str| serde_json::json!({ "sql": sql }).to_string().into_bytes();
    let lease = granted(1).await;
    let serve = async |from: &Did, lease: &Id, sql: &str| {
        query::serve(provider, from, lease, &body(sql)).await
    };
    assert_eq!(fault(serve(&world.nodes[2].did, &lease, SQL).await).code(), "not-found");
    assert_eq!(
        fault(serve(consumer, &lease, "SELECT count(*) FROM data").await).code(),
        "lease.query"
    );
    // Spelling is not meaning; two requests at once are one run.
    let lower = SQL.to_lowercase();
    let (one, two) = futures::join!(serve(consumer, &lease, SQL), serve(consumer, &lease, &lower));
    assert_eq!(u8::from(one.is_ok()) + u8::from(two.is_ok()), 1, "{one:?} {two:?}");
    assert_eq!(fault(serve(consumer, &lease, SQL).await).code(), "lease.returned");

    let revoked = granted(2).await;
    world.revoke(&contract).await;
    assert_eq!(fault(serve(consumer, &revoked, SQL).await).code(), "lease.revoked");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_never_answers_holds_nobody_up() {
    let world = World::two().await;
    let product = world.published("q.csv", &csv(), aggregates(), &[Use::Query]).await;
    // Accepts connections and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/dsp", silent.local_addr().unwrap());
    for _ in 0..20 {
        let wish = ContractWish {
            peer: world.nodes[0].did.clone(),
            address: address.clone(),
            product: Id::parse("urn:uuid:nothing").unwrap(),
            offer: product.offers[0].policy().clone(),
            rules: tidm_space::approval::Rules::default(),
        };
        world.consumer().wish(Wish::Request(Box::new(wish))).await;
    }
    let contract = world.agreed(&product).await;
    let done =
        || async { query_at_provider(&world.consumer().app, &contract.id, SQL, None).await.ok() };
    assert_eq!(eventually("an answer", done).await.rows, 2);
}

/// Signed before it was refused: raw rows for the first use, and large groups for the others. To no worker is a use the first one.
#[tokio::test(flavor = "multi_thread")]
async fn tiers_of_a_contract_from_before_open_no_more_than_the_narrowest() {
    let world = World::two().await;
    let contract = world.ready("q.csv", &csv(), Sentences::default(), Use::SealedTable).await;
    let term = |left, op, value| Constraint::from(Atomic::new(left, op, Value::text(value)));
    let tiers = vec![
        Rule::new(Action::Use, vec![term(Operand::Count, Operator::Lteq, "1")]),
        Rule::new(
            Action::Use,
            vec![
                term(Operand::AggregatesOnly, Operator::Eq, "true"),
                term(Operand::MinGroup, Operator::Gteq, "5"),
            ],
        ),
    ];
    for node in &world.nodes {
        let mut it = node.app.store.contract(&contract.id).await.unwrap().unwrap();
        it.policy.permissions.clone_from(&tiers);
        assert!(compile(&it.policy).is_err(), "nobody signs it now");
        let (id, record) = (it.id.to_string(), record::contract::encode(&it));
        let written = node.app.writer.note(move |conn| {
            let (id, record) = (id.clone(), record.clone());
            Box::pin(async move {
                let write = sqlx::query("UPDATE contracts SET record = $1 WHERE id = $2");
                let done = write.bind(record).bind(id).execute(&mut *conn).await?;
                assert_eq!(done.rows_affected(), 1);
                Ok(())
            })
        });
        written.await.unwrap();
    }
    let consumer = &world.consumer().app;
    for _ in 0..2 {
        for sealed in [true, false] {
            let ask = async |sql: &str| {
                if sealed {
                    query_sealed(consumer, &contract.id, sql, None).await
                } else {
                    query_at_provider(consumer, &contract.id, sql, None).await
                }
            };
            assert_eq!(fault(ask("SELECT * FROM data").await).code(), "query.raw-rows");
            assert_eq!(ask(SQL).await.unwrap().rows, 2, "groups of five and more");
        }
    }
}
