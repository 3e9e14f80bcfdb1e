//! Clocks: one true time of the world, and each node's own opinion of it.
//!
//! Never asks the machine: time moves only when the world says so.

use tidm_space::time::Time;

/// 2026-06-01T00:00:00Z: where every world begins, in milliseconds.
pub const BEGIN_MS: i64 = 1_780_272_000_000;

/// A node's clock: true time plus an error that a happening may change.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock {
    pub error_ms: i64,
}

impl Clock {
    pub fn read(self, world_ms: i64) -> Time {
        Time::from_ms(world_ms.saturating_add(self.error_ms))
    }

    /// When, in the world's time, this clock shows `time`.
    pub fn world_ms(self, time: Time) -> i64 {
        time.ms().saturating_sub(self.error_ms)
    }
}
