//! Deliveries that this process moves, one mover each.
//!
//! A job is owed until it reported, so that one that takes longer than its claim is started again beside itself; and a
//! sender whose connection died without a word comes back while the old one still seems to be open. Two movers of one
//! delivery would write into one file.
//!
//! Never kept beyond the process: what arrived is in the file, what is owed is in the store.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use tidm_space::id::Id;
use tidm_space::time::Time;

/// How often a mover that waits for another looks.
const STEP: Duration = Duration::from_millis(20);
/// How long one that was asked to leave may take: it looks up within a second.
const LEAVE: Duration = Duration::from_secs(5);

#[derive(Default)]
pub struct Runs(Mutex<HashMap<Id, Entry>>);

struct Entry {
    /// As the transfer or flow stood when the mover began.
    seen: Time,
    leave: Arc<Notify>,
}

/// The right to move one delivery's bytes; given back when it is dropped.
pub struct Run {
    all: Arc<Runs>,
    id: Id,
    leave: Arc<Notify>,
}

impl Run {
    /// Returns when another mover has come in this one's stead.
    pub async fn replaced(&self) {
        self.leave.notified().await;
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.all.entries().remove(&self.id);
    }
}

impl Runs {
    fn entries(&self) -> MutexGuard<'_, HashMap<Id, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn try_begin(self: &Arc<Self>, id: &Id, seen: Time) -> Result<Run, (Time, Arc<Notify>)> {
        let mut entries = self.entries();
        if let Some(it) = entries.get(id) {
            return Err((it.seen, it.leave.clone()));
        }
        let leave = Arc::<Notify>::default();
        entries.insert(id.clone(), Entry { seen, leave: leave.clone() });
        Ok(Run { all: self.clone(), id: id.clone(), leave })
    }

    /// For a job. `None`: another run does the same already. One that was begun before the transfer moved on is about
    /// to notice, and is waited for.
    pub async fn begin(self: &Arc<Self>, id: &Id, seen: Time) -> Option<Run> {
        loop {
            match self.try_begin(id, seen) {
                Ok(run) => return Some(run),
                Err((other, _)) if other == seen => return None,
                Err(_) => tokio::time::sleep(STEP).await,
            }
        }
    }

    /// For a sender that comes back: whoever still holds the delivery leaves. `None`: it does not.
    pub async fn take_over(self: &Arc<Self>, id: &Id, seen: Time) -> Option<Run> {
        let until = tokio::time::Instant::now() + LEAVE;
        loop {
            match self.try_begin(id, seen) {
                Ok(run) => return Some(run),
                Err(_) if tokio::time::Instant::now() > until => return None,
                Err((_, leave)) => {
                    leave.notify_one();
                    tokio::time::sleep(STEP).await;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_mover_each() {
        let (all, id) = (Arc::<Runs>::default(), Id::parse("a").unwrap());
        let (before, after) = (Time::from_ms(1), Time::from_ms(2));
        let first = all.begin(&id, before).await.unwrap();
        assert!(all.begin(&id, before).await.is_none(), "the same again is not begun");
        let later = tokio::spawn({
            let (all, id) = (all.clone(), id.clone());
            async move { all.begin(&id, after).await.is_some() }
        });
        tokio::time::sleep(Duration::from_millis(60)).await;
        assert!(!later.is_finished(), "it waits for the one before");
        drop(first);
        assert!(later.await.unwrap());
        let held = all.begin(&id, after).await.unwrap();
        let holder = tokio::spawn(async move { held.replaced().await });
        assert!(all.take_over(&id, after).await.is_some());
        holder.await.unwrap();
        assert!(all.entries().is_empty());
    }
}
