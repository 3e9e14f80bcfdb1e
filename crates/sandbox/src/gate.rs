//! The output gate: what a contract lets out of the worker.
//!
//! ```text
//!   TableScan t ── Filter ── Aggregate g, sum(x)           as asked: rows of t are *raw*
//!   TableScan t ── entity ── Filter ── Aggregate g, sum(x), count(…) ─ Filter ≥ k ─ Projection
//!                                      └ from here on *safe*: every row stands for ≥ k sources
//! ```
//!
//! Every plan node is raw (it shows rows of a protected table) or safe (it shows groups that
//! passed the threshold). Aggregates turn raw into safe, by the counters injected here; the root
//! must be safe. The rewriting works on resolved plans, never on text.
//!
//! Inside a protected aggregate only plain columns and polynomials up to
//! [`crate::limits::MAX_DEGREE`] may be averaged or summed: `sum(CASE WHEN id = 7 THEN x ELSE 0
//! END)` would otherwise pick one row out of a large group.
//!
//! What it does not stop: comparing the answers of many legal queries (differencing).

use serde::{Deserialize, Serialize};

use crate::limits::MIN_GROUP_FLOOR;
use crate::noise::Noise;

mod origin;
pub(crate) mod protect;

/// How one table may be used: the contract's terms as plain data.
///
/// The default lets nothing but aggregates out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rules {
    /// Columns that exist for the asker; `None`: all.
    pub columns: Option<Vec<String>>,
    /// Only `avg`, `sum`, `count`, `stddev` and `var` may leave.
    pub aggregates_only: bool,
    /// Every output row must come from at least this many source rows (or entities).
    pub min_group: u64,
    /// Column that tells entities apart: groups are counted in entities, not rows.
    pub entity: Option<String>,
    /// Most result rows; `None`: no limit of this table's own.
    pub max_rows: Option<u64>,
    /// Most result bytes; `None`: no limit of this table's own.
    pub max_bytes: Option<u64>,
    /// Rows of the table may leave as they are.
    pub raw_rows_allowed: bool,
    /// Only counts and sums with noise may leave, whatever else is said.
    pub noise: Option<Noise>,
}

impl Rules {
    /// Whether results must be aggregated.
    #[must_use]
    pub fn protected(&self) -> bool {
        self.noise.is_some() || self.aggregates_only || !self.raw_rows_allowed || self.min_group > 1
    }

    /// The smallest group that may show, in rows or entities.
    #[must_use]
    pub fn threshold(&self) -> u64 {
        if self.protected() { self.min_group.max(MIN_GROUP_FLOOR) } else { 1 }
    }

    /// The column that the gate looks at, whether or not the asker may name it.
    pub(crate) fn counted_by(&self) -> Option<&str> {
        match &self.noise {
            Some(noise) => Some(&noise.unit),
            None => self.entity.as_deref(),
        }
    }

    /// Whether the asker may name `column`.
    #[must_use]
    pub fn opens(&self, column: &str) -> bool {
        self.columns.as_ref().is_none_or(|columns| columns.iter().any(|open| open == column))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_stated_means_aggregates_only_leave() {
        let rules: Rules = serde_json::from_str("{}").unwrap();
        assert!(rules.protected());
        assert_eq!(rules.threshold(), MIN_GROUP_FLOOR);
        assert!(serde_json::from_str::<Rules>(r#"{"min_grup": 5}"#).is_err());

        let open = Rules { raw_rows_allowed: true, ..Rules::default() };
        assert!(!open.protected());
        assert!(Rules { min_group: 5, ..open.clone() }.protected());
        assert!(Rules { aggregates_only: true, ..open }.protected());
    }
}
