//! Outbox and timers between two replicas: nothing twice while a claim holds, nothing lost after it.

use std::collections::BTreeSet;

use tidm_space::engine::commit::{About, Commit, Due, Send, Timer};

use super::world::{at, did, each, id, put, run_on};
use crate::store::save::CLAIM_MS;
use tidm_space::time::Time;

const ROWS: usize = 600;

fn commit() -> Commit {
    let mut it = Commit::default();
    for number in 0..ROWS {
        it.sends.push(Send {
            id: id(&format!("urn:message:{number}")),
            to: did("did:web:peer.example"),
            url: "https://peer.example/dsp".to_owned(),
            body: "{}".to_owned(),
            about: About::Notice { contract: id("urn:agreement:1") },
            attempts: 0,
            first: at(1),
            // Saved at 0: not for the saver to send at once.
            next: at(1),
        });
        let lease = id(&format!("urn:lease:{number}"));
        it.timers.push(Timer::new(at(1), Due::LeaseEnd { lease }));
    }
    it
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_replicas_share_the_work_and_lose_none() {
    each(async |place| {
        let stores = [place.store().await, place.store().await];
        put(&stores[0], &commit()).await;
        let expired = Time::from_ms(at(2).ms() + CLAIM_MS);
        // The second time nobody had done anything, and the claims are over.
        for moment in [at(2), expired] {
            let mut taken = (Vec::new(), Vec::new());
            loop {
                let (a, b, c, d) = tokio::join!(
                    stores[0].due_sends(moment),
                    stores[1].due_sends(moment),
                    stores[0].due_timers(moment),
                    stores[1].due_timers(moment)
                );
                let sends: Vec<Send> = [a.unwrap(), b.unwrap()].concat();
                let timers: Vec<Timer> = [c.unwrap(), d.unwrap()].concat();
                if sends.is_empty() && timers.is_empty() {
                    break;
                }
                taken.0.extend(sends.into_iter().map(|it| it.id));
                taken.1.extend(timers.into_iter().map(|it| it.key));
            }
            assert_eq!((taken.0.len(), taken.1.len()), (ROWS, ROWS), "each once");
            assert_eq!(taken.0.into_iter().collect::<BTreeSet<_>>().len(), ROWS);
            assert_eq!(taken.1.into_iter().collect::<BTreeSet<_>>().len(), ROWS);
        }
    })
    .await;
}

/// What the saver delivers itself is not taken by another until its claim is over.
#[tokio::test]
async fn the_saver_has_the_first_claim() {
    each(async |place| {
        let store = place.store().await;
        let mut mine = commit();
        mine.sends.iter_mut().for_each(|it| it.next = at(0));
        mine.timers.iter_mut().for_each(|it| it.at = at(0));
        put(&store, &mine).await;
        let until = Time::from_ms(at(0).ms() + CLAIM_MS);
        assert_eq!(store.next_due().await.unwrap(), Some(until));
        let before = Time::from_ms(until.ms() - 1);
        assert!(store.due_sends(before).await.unwrap().is_empty());
        assert!(store.due_timers(before).await.unwrap().is_empty());
        assert!(!store.due_sends(until).await.unwrap().is_empty());
        assert!(!store.due_timers(until).await.unwrap().is_empty());
    })
    .await;
}

/// A damaged row is left aside; the others go on.
#[tokio::test]
async fn one_unreadable_row_holds_up_no_other() {
    each(async |place| {
        let store = place.store().await;
        put(&store, &commit()).await;
        let damage = "UPDATE outbox SET record = '{' WHERE id = 'urn:message:3'";
        run_on(&place.url, damage.to_owned()).await;
        let mut taken = 0;
        while let Some(some) =
            Some(store.due_sends(at(2)).await.unwrap()).filter(|it| !it.is_empty())
        {
            taken += some.len();
        }
        assert_eq!(taken, ROWS - 1);
    })
    .await;
}
