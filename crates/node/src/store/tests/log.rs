//! The checkpoint row and the facts under it: each fact gets exactly its place, from one sequencer at a time.

use tidm_ledger::tree::{EMPTY_ROOT, Hash, leaf_hash};
use tidm_space::engine::commit::Commit;
use tidm_space::evidence::fact::{Fact, Links, What};

use super::world::{at, did, each, id, number, put, run_on};
use crate::evidence::row::{CheckpointRow as _, Row};
use crate::store::Store;
use crate::store::checkpoint::SqlRow;

async fn add_facts(store: &Store, numbers: std::ops::Range<i64>) {
    let fact = |number: i64| Fact {
        id: id(&format!("urn:fact:{number}")),
        at: at(number),
        by: did("did:web:me.example"),
        links: Links::default(),
        what: What::GaveUp { code: "deadline".to_owned() },
    };
    put(store, &Commit { facts: numbers.map(fact).collect(), ..Commit::default() }).await;
}

async fn waiting(store: &Store, most: i64) -> Vec<Hash> {
    store.unlogged(most).await.unwrap().iter().map(|(_, entry)| leaf_hash(entry)).collect()
}

fn row(size: u64, fence: u64) -> Row {
    Row { size, root: EMPTY_ROOT, fence }
}

#[tokio::test]
async fn facts_get_exactly_their_places() {
    each(async |place| {
        let store = place.store().await;
        let it = SqlRow::new(&store, "log.example");
        assert_eq!(it.load().await.unwrap(), None);
        assert!(it.compare_and_set(None, row(0, 1), &[]).await.unwrap());
        add_facts(&store, 0..10).await;
        let leaves = waiting(&store, 4).await;
        assert!(it.compare_and_set(Some(row(0, 1)), row(4, 1), &leaves).await.unwrap());
        let rest = waiting(&store, 100).await;
        assert_eq!(rest.len(), 6);
        assert!(it.compare_and_set(Some(row(4, 1)), row(10, 1), &rest).await.unwrap());
        assert!(waiting(&store, 100).await.is_empty());
        let misplaced = number(&store, "SELECT COUNT(*) FROM facts WHERE log_index IS NULL OR log_index <> seq - (SELECT MIN(seq) FROM facts)");
        assert_eq!(misplaced.await, 0);
        assert_eq!(it.load().await.unwrap(), Some(row(10, 1)));
    })
    .await;
}

/// An entry that is no waiting fact, or one in the wrong order: nothing moves, neither row nor facts.
#[tokio::test]
async fn a_wrong_entry_moves_nothing() {
    each(async |place| {
        let store = place.store().await;
        let it = SqlRow::new(&store, "log.example");
        assert!(it.compare_and_set(None, row(0, 1), &[]).await.unwrap());
        add_facts(&store, 0..3).await;
        let good = waiting(&store, 3).await;
        for bad in [
            vec![leaf_hash(b"something else")],
            vec![good[1], good[0]],
            vec![good[0], good[0]],
            vec![good[0], good[1], good[2], leaf_hash(b"one more")],
        ] {
            let size = bad.len() as u64;
            let moved = it.compare_and_set(Some(row(0, 1)), row(size, 1), &bad).await;
            assert!(moved.is_err(), "{bad:?}");
            assert_eq!(it.load().await.unwrap(), Some(row(0, 1)));
            assert_eq!(waiting(&store, 9).await, good);
        }
        assert!(it.compare_and_set(Some(row(0, 1)), row(3, 1), &good).await.unwrap());
    })
    .await;
}

/// A fact that was committed late, between two that were read before it, waits for the next batch.
#[tokio::test]
async fn a_fact_that_comes_late_waits_its_turn() {
    each(async |place| {
        let store = place.store().await;
        let it = SqlRow::new(&store, "log.example");
        assert!(it.compare_and_set(None, row(0, 1), &[]).await.unwrap());
        add_facts(&store, 0..5).await;
        let mut leaves = waiting(&store, 5).await;
        let late = leaves.remove(2);
        assert!(it.compare_and_set(Some(row(0, 1)), row(4, 1), &leaves).await.unwrap());
        assert_eq!(waiting(&store, 5).await, [late]);
        assert!(it.compare_and_set(Some(row(4, 1)), row(5, 1), &[late]).await.unwrap());
        for (fact, index) in [(0, 0), (1, 1), (3, 2), (4, 3), (2, 4)] {
            let sql = format!("SELECT log_index FROM facts WHERE id = 'urn:fact:{fact}'");
            let found: i64 =
                sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(store.pool()).await.unwrap();
            assert_eq!(found, index);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_sequencer_at_a_time_moves_the_row() {
    each(async |place| {
        let stores = [place.store().await, place.store().await];
        let [a, b] = [0, 1].map(|it| SqlRow::new(&stores[it], "log.example"));
        let (first, second) = tokio::join!(
            a.compare_and_set(None, row(0, 1), &[]),
            b.compare_and_set(None, row(0, 1), &[])
        );
        assert!(first.unwrap() != second.unwrap(), "exactly one opens an empty log");
        add_facts(&stores[0], 0..2).await;
        // b takes over; what a had prepared is refused and its facts still wait.
        assert!(b.compare_and_set(Some(row(0, 1)), row(0, 2), &[]).await.unwrap());
        let leaves = waiting(&stores[0], 2).await;
        assert!(!a.compare_and_set(Some(row(0, 1)), row(2, 1), &leaves).await.unwrap());
        assert_eq!(waiting(&stores[1], 2).await, leaves);
        for round in 0..10 {
            let (from, to) = (row(0, 2 + round), row(0, 3 + round));
            let (first, second) = tokio::join!(
                a.compare_and_set(Some(from), to, &[]),
                b.compare_and_set(Some(from), to, &[])
            );
            assert!(first.unwrap() != second.unwrap(), "exactly one moves");
        }
        assert!(b.compare_and_set(Some(row(0, 12)), row(2, 12), &leaves).await.unwrap());
        run_on(&place.url, "UPDATE checkpoint SET root = 'x'".to_owned()).await;
        assert!(a.load().await.is_err(), "a damaged row is no row");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_duty_is_handed_over_when_it_ends() {
    each(async |place| {
        let stores = [place.store().await, place.store().await];
        let take = |replica: usize, holder: &'static str, now: i64| {
            let store = stores[replica].clone();
            async move { store.take_duty("sequencer", holder, at(now), at(now + 15)).await.unwrap() }
        };
        let (a, b) = tokio::join!(take(0, "a", 0), take(1, "b", 0));
        assert!(a.is_some() != b.is_some(), "exactly one holds it: {a:?} {b:?}");
        let (holder, other) = if a.is_some() { ("a", "b") } else { ("b", "a") };
        assert_eq!(take(0, holder, 10).await, Some(1), "kept");
        assert_eq!(take(1, other, 20).await, None, "not over yet");
        assert_eq!(take(1, other, 26).await, Some(2), "over: the fence rises");
        assert_eq!(take(0, holder, 27).await, None);
        assert_eq!(take(0, holder, 60).await, Some(3));
    })
    .await;
}
