//! What left this party and what came to it, by step: the answer to "what did my node give away?".
//!
//! Counts bytes, never looks at them.

use std::collections::BTreeMap;

use crate::step::Step;

/// Traffic of one step, headers of frames included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    pub messages_sent: u64,
    pub bytes_sent: u64,
    pub messages_received: u64,
    pub bytes_received: u64,
}

/// Traffic of a session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meter {
    steps: BTreeMap<Step, Traffic>,
}

impl Meter {
    pub(super) fn sent(&mut self, step: Step, bytes: usize) {
        let traffic = self.steps.entry(step).or_default();
        traffic.messages_sent += 1;
        traffic.bytes_sent += bytes as u64;
    }

    pub(super) fn received(&mut self, step: Step, bytes: usize) {
        let traffic = self.steps.entry(step).or_default();
        traffic.messages_received += 1;
        traffic.bytes_received += bytes as u64;
    }

    pub fn steps(&self) -> impl Iterator<Item = (Step, Traffic)> {
        self.steps.iter().map(|(step, traffic)| (*step, *traffic))
    }

    pub fn total(&self) -> Traffic {
        self.steps.values().fold(Traffic::default(), |sum, one| Traffic {
            messages_sent: sum.messages_sent + one.messages_sent,
            bytes_sent: sum.bytes_sent + one.bytes_sent,
            messages_received: sum.messages_received + one.messages_received,
            bytes_received: sum.bytes_received + one.bytes_received,
        })
    }
}
