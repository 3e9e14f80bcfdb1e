//! Frequent values: Misra–Gries summaries, merged batch by batch (Agarwal et al. 2012, §2.2).
//!
//! Values are told apart by 64-bit hashes; only those that stay are ever rendered.

use std::collections::HashMap;

use super::Top;
use crate::limits::{TOP_SHOWN, TOP_TRACKED};

/// The most frequent values so far.
#[derive(Default)]
pub(crate) struct Frequent {
    kept: HashMap<u64, (u64, String)>,
    slack: u64,
}

impl Frequent {
    /// Sees the hashes of a batch, each with its row; `render` turns a row into text.
    pub(crate) fn see(&mut self, hashes: &mut [(u64, u32)], render: impl Fn(u32) -> String) {
        hashes.sort_unstable();
        let mut counts = Vec::new();
        for run in hashes.chunk_by(|a, b| a.0 == b.0) {
            let Some((hash, row)) = run.first() else { continue };
            let n = run.len() as u64;
            match self.kept.get_mut(hash) {
                Some((count, _)) => *count += n,
                None => counts.push((n, *hash, *row)),
            }
        }
        let mut all = self
            .kept
            .values()
            .map(|(n, _)| *n)
            .chain(counts.iter().map(|(n, ..)| *n))
            .collect::<Vec<_>>();
        let cut = if all.len() <= TOP_TRACKED {
            0
        } else {
            *all.select_nth_unstable_by(TOP_TRACKED, |a, b| b.cmp(a)).1
        };
        if cut > 0 {
            self.slack += cut;
            self.kept.retain(|_, (n, _)| {
                *n = n.saturating_sub(cut);
                *n > 0
            });
        }
        for (n, hash, row) in counts.into_iter().filter(|(n, ..)| *n > cut) {
            let _new = self.kept.insert(hash, (n - cut, render(row)));
        }
    }

    /// Whether nothing was ever dropped: counts and number of values are exact.
    pub(crate) fn is_exact(&self) -> bool {
        self.slack == 0
    }

    pub(crate) fn len(&self) -> u64 {
        self.kept.len() as u64
    }

    pub(crate) fn shown(&self) -> Vec<Top> {
        let mut all = self.kept.values().collect::<Vec<_>>();
        all.sort_unstable_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        let slack = self.slack;
        all.into_iter()
            .take(TOP_SHOWN)
            .map(|(count, value)| Top { value: value.clone(), count: *count, slack })
            .collect()
    }
}
