//! What happened in a world, line by line: printed by `replay`, compared by the determinism test.
//!
//! Never read by a world: looking changes nothing.

use std::fmt::Write as _;

use crate::clock::BEGIN_MS;

/// Keeps lines only when somebody wants to read them.
#[derive(Clone, Debug, Default)]
pub struct EventLog {
    keep: bool,
    pub lines: Vec<(usize, String)>,
}

impl EventLog {
    pub fn new(keep: bool) -> Self {
        Self { keep, lines: Vec::new() }
    }

    /// `what` is called only when lines are kept.
    pub fn add(&mut self, step: usize, world_ms: i64, what: impl FnOnce() -> String) {
        if self.keep {
            let mut line = String::new();
            // Writing to a String cannot fail.
            let _infallible =
                write!(line, "[{:>4}] {:>12} ms  {}", step, world_ms - BEGIN_MS, what());
            self.lines.push((step, line));
        }
    }
}
