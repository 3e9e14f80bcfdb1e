//! The day by which copies have to be gone, over two nodes: each keeps it by its own clock.

use std::time::Duration;

use tidm_node::clock::Clock;
use tidm_node::jobs::use_data::query_sealed;
use tidm_space::contract::{Contract, End, State};
use tidm_space::engine::commit::{Due, Timer};
use tidm_space::engine::input::Input;
use tidm_space::evidence::fact::What;
use tidm_space::limits::DELETION_PATIENCE;
use tidm_space::policy::sentence::Sentences;
use tidm_space::policy::usage::Use;
use tidm_space::time::Time;

use crate::world::{Node, World, csv, eventually, fault};

const COUNT: &str = "SELECT line, COUNT(*) AS n FROM data GROUP BY line";

/// A delivered copy that has to be gone in so many seconds: enough to agree and deliver on a busy machine.
async fn due_in(world: &World, seconds: u64) -> (Contract, Time) {
    let day = Clock::default().now().after(Duration::from_secs(seconds));
    let sentences = Sentences { delete_by: Some(day), ..Sentences::default() };
    (world.ready("t.csv", &csv(), sentences, Use::SealedTable).await, day)
}

async fn comes(day: Time) {
    eventually("the day", || async { (Clock::default().now() > day).then_some(()) }).await;
}

async fn ended(node: &Node, contract: &Contract) -> (Contract, End) {
    let found = || async {
        let it = node.app.store.contract(&contract.id).await.unwrap()?;
        let State::Ended { why, .. } = it.state else { return None };
        Some((it, why))
    };
    eventually("the contract's end", found).await
}

/// Neither node runs on the day itself. Its own store and clock are all that the consumer has.
#[tokio::test(flavor = "multi_thread")]
async fn copies_are_gone_by_the_day_whether_or_not_the_nodes_are_connected() {
    let mut world = World::two().await;
    let (contract, day) = due_in(&world, 25).await;
    let consumer = &world.consumer().app;
    let used = query_sealed(consumer, &contract.id, COUNT, None).await.unwrap();
    for node in &world.nodes {
        let lease = node.app.store.lease(&used.lease).await.unwrap().unwrap();
        assert!(lease.until <= day, "{}: {lease:?}", node.did);
    }
    assert!(!consumer.store.copies(&contract.id).await.unwrap().is_empty());
    world.nodes[0].halt().await;
    world.nodes[1].halt().await;
    comes(day).await;
    world.restart(1).await;
    let consumer = world.consumer();
    assert_eq!(ended(consumer, &contract).await.1, End::Agreed);
    let signed = || async { consumer.app.store.contract(&contract.id).await.unwrap()?.deletion };
    let receipt = eventually("its receipt", signed).await;
    assert_eq!(receipt.files.len(), 1);
    let left = || async {
        consumer.app.store.copies(&contract.id).await.unwrap().is_empty().then_some(())
    };
    eventually("nothing is left", left).await;
    let no = fault(query_sealed(&consumer.app, &contract.id, COUNT, None).await);
    assert_eq!(no.code(), "contract.ended");

    world.restart(0).await;
    let provider = world.provider();
    ended(provider, &contract).await;
    let heard = || async { provider.app.store.contract(&contract.id).await.unwrap()?.deletion };
    assert_eq!(eventually("the receipt", heard).await, receipt);
    let gone =
        || async { provider.app.store.seal(&contract.id).await.unwrap().is_none().then_some(()) };
    eventually("the key is destroyed", gone).await;
    assert!(provider.app.store.contract(&contract.id).await.unwrap().unwrap().missed.is_none());
}

/// The provider ends it all the same, and has it on record that nobody signed.
#[tokio::test(flavor = "multi_thread")]
async fn a_halted_consumer_misses_the_day() {
    let mut world = World::two().await;
    let (contract, day) = due_in(&world, 20).await;
    world.nodes[1].halt().await;
    comes(day).await;
    let provider = world.provider();
    let (_, why) = ended(provider, &contract).await;
    assert_eq!(why, End::Expired);
    let store = &provider.app.store;
    // The usual hour for a receipt is not waited for here: its timer is taken as it will be found then, and fires now.
    let due = Due::DeletionDue { contract: contract.id.clone() };
    let then = Clock::default().now().after(DELETION_PATIENCE);
    let found = store.due_timers(then).await.unwrap().into_iter().find(|it| it.what == due);
    let timer = found.expect("a timer for the receipt");
    assert!(timer.at >= day.after(DELETION_PATIENCE), "{timer:?}");
    provider.app.writer.run(Input::Due(Timer { at: day, ..timer })).await.unwrap();
    assert!(store.contract(&contract.id).await.unwrap().unwrap().missed.is_some());
    let facts = store.contract_facts(&contract.id).await.unwrap();
    let missed = |it: &What| matches!(it, What::DutyMissed { duty } if duty == "delete");
    assert_eq!(facts.iter().filter(|it| missed(&it.what)).count(), 1);
    // Back again, late: it deletes and signs, and that it was late stays.
    world.restart(1).await;
    let provider = world.provider();
    let heard = || async {
        let it = provider.app.store.contract(&contract.id).await.unwrap()?;
        it.deletion.is_some().then_some(it.missed)
    };
    assert!(eventually("the late receipt", heard).await.is_some());
}
