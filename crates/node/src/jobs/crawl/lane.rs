//! Two lanes of readings: one for members that answer well, a narrow one for those that fail or take long.
//!
//! Never a way for a slow member to hold up the others: after a while it moves over, whatever it is sending.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// Readings beside each other: what one page and its entries take in memory is a few MiB each.
const FAST: usize = 6;
const SLOW: usize = 2;
/// Who reads longer than this moves over; 10,000 entries take a few seconds.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) struct Lanes {
    fast: Arc<Semaphore>,
    slow: Arc<Semaphore>,
    patience: Duration,
}

impl Default for Lanes {
    fn default() -> Self {
        let (fast, slow) = (Arc::new(Semaphore::new(FAST)), Arc::new(Semaphore::new(SLOW)));
        Self { fast, slow, patience: PATIENCE }
    }
}

/// A place in one of them.
pub(super) struct Lane {
    slow: Arc<Semaphore>,
    /// `None` only while it waits for the other lane, or if the lanes were closed, which nobody does.
    place: Option<OwnedSemaphorePermit>,
    is_slow: bool,
    since: Instant,
    patience: Duration,
}

impl Lane {
    pub(super) async fn enter(lanes: &Lanes, failing: bool) -> Self {
        let lane = if failing { &lanes.slow } else { &lanes.fast };
        let place = lane.clone().acquire_owned().await.ok();
        Self {
            slow: lanes.slow.clone(),
            place,
            is_slow: failing,
            since: Instant::now(),
            patience: lanes.patience,
        }
    }

    /// Between two pages: gives its place to others if it took long.
    pub(super) async fn keep_pace(&mut self) {
        if !self.is_slow && self.since.elapsed() >= self.patience {
            self.place = None;
            self.is_slow = true;
            self.place = self.slow.clone().acquire_owned().await.ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn slow_members_move_over_and_free_the_fast_lane() {
        let lanes = Lanes { patience: Duration::ZERO, ..Lanes::default() };
        let mut slow = Vec::new();
        for _ in 0..FAST {
            slow.push(Lane::enter(&lanes, false).await);
        }
        assert!(tokio::time::timeout(SOON, Lane::enter(&lanes, false)).await.is_err());
        for lane in slow.iter_mut().take(SLOW) {
            lane.keep_pace().await;
        }
        // The slow lane is full now; whoever waits for it has left the fast one.
        assert!(tokio::time::timeout(SOON, slow[SLOW].keep_pace()).await.is_err());
        let mut fast = Vec::new();
        for _ in 0..=SLOW {
            fast.push(Lane::enter(&lanes, false).await);
        }
        assert!(tokio::time::timeout(SOON, Lane::enter(&lanes, true)).await.is_err());
    }

    #[tokio::test]
    async fn who_is_quick_stays() {
        let lanes = Lanes::default();
        let mut lane = Lane::enter(&lanes, false).await;
        lane.keep_pace().await;
        assert!(!lane.is_slow && lanes.slow.available_permits() == SLOW);
    }
}
