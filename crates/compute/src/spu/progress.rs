//! How far a session is, and the wish to stop it: counters that another thread may read and a flag that it may set.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::fault::Fault;

#[derive(Debug, Default)]
pub struct Progress {
    stopped: AtomicBool,
    /// Items of ours that were masked and sent.
    pub sent_items: AtomicU64,
    /// Items of the peer that came and were masked.
    pub peer_items: AtomicU64,
    /// Items of ours that came back masked twice.
    pub answered_items: AtomicU64,
    /// Bytes of requests, without HTTP's own.
    pub sent_bytes: AtomicU64,
    pub received_bytes: AtomicU64,
}

impl Progress {
    /// Ends the session soon, with [`Fault::Cancelled`].
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
    }

    /// Grows whenever the session goes on.
    pub(super) fn steps(&self) -> u64 {
        let counters = [&self.sent_items, &self.peer_items, &self.answered_items];
        counters.iter().map(|it| it.load(Ordering::Relaxed)).sum()
    }

    pub(super) fn go_on(&self) -> Result<(), Fault> {
        if self.stopped.load(Ordering::Acquire) { Err(Fault::Cancelled) } else { Ok(()) }
    }
}

pub(super) fn add(counter: &AtomicU64, count: usize) {
    counter.fetch_add(count as u64, Ordering::Relaxed);
}
