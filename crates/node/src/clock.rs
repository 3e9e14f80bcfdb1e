//! The world's time and fresh ids, for everything above the pure core.
//!
//! Never used by the core itself: it gets both as arguments.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use tidm_space::id::{Id, Ids};
use tidm_space::time::Time;

/// A clock that never runs backwards within one process: a clock set back would reopen ended windows.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    high: Arc<AtomicI64>,
}

impl Clock {
    /// A clock that starts no earlier than `floor`, the latest time that the store has seen.
    pub fn starting_at(floor: Time) -> Self {
        Self { high: Arc::new(AtomicI64::new(floor.ms())) }
    }

    pub fn now(&self) -> Time {
        let ms = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |it| i64::try_from(it.as_millis()).unwrap_or(i64::MAX));
        let high = self.high.fetch_max(ms, Ordering::Relaxed).max(ms);
        Time::from_ms(high)
    }
}

/// UUIDv7 from the operating system's randomness.
#[derive(Clone, Copy, Debug, Default)]
pub struct FreshIds;

impl Ids for FreshIds {
    fn fresh(&mut self) -> Id {
        uuid::Uuid::now_v7().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a07_a_clock_that_is_set_back_stands_still() {
        let now = Clock::default().now();
        // What the store has seen lies ahead of the machine's clock: somebody set it back.
        let seen = now.after(std::time::Duration::from_secs(3600));
        let clock = Clock::starting_at(seen);
        assert_eq!([clock.now(), clock.now()], [seen, seen]);
        assert!(Clock::starting_at(Time::from_ms(0)).now() >= now);
    }
}
