//! What a report's findings come to.
//!
//! Never better than the worst of them.

use super::{Report, Severity};

/// What the findings come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Consistent,
    /// Nothing contradicts, something may still come.
    Pending,
    Incomplete,
    Contradicting,
}

impl Verdict {
    pub fn word(self) -> &'static str {
        match self {
            Self::Consistent => "consistent",
            Self::Pending => "pending",
            Self::Incomplete => "incomplete",
            Self::Contradicting => "contradicting",
        }
    }
}

impl Report {
    /// By the worst finding.
    pub fn verdict(&self) -> Verdict {
        match self.findings.iter().map(|it| it.severity).min() {
            Some(Severity::Contradiction) => Verdict::Contradicting,
            Some(Severity::Missing) => Verdict::Incomplete,
            Some(Severity::Pending) => Verdict::Pending,
            Some(Severity::Note) | None => Verdict::Consistent,
        }
    }

    /// Uses counted at the gate.
    pub fn uses(&self) -> u64 {
        self.provider.uses()
    }

    /// Uses that remain; `None` where the contract does not count, 0 once it ended.
    pub fn remaining(&self) -> Option<u64> {
        let ended = self.provider.ended.is_some() || self.consumer.ended.is_some();
        self.subject.limit.map(|limit| if ended { 0 } else { limit.saturating_sub(self.uses()) })
    }
}
