//! Which bytes of a report count: where any change is refused. For people who look at an appraisal.

use std::ops::Range;

use crate::evidence::{Evidence, Kind};
use crate::{csv, intel, snp};

/// The ranges, each with what stands there; empty for what is not in its format.
pub fn ranges(evidence: &Evidence<'_>) -> Vec<(Range<usize>, &'static str)> {
    let length = evidence.bytes.len();
    match evidence.kind {
        Kind::Snp { .. } if length == snp::REPORT => {
            vec![(0..snp::SIGNED, "signed"), (snp::SIGNED..length, "signature")]
        }
        Kind::Intel { .. } => intel::ranges(evidence.bytes),
        Kind::Csv { .. } if length == csv::REPORT => vec![
            (0..csv::SIGNED, "signed"),
            (csv::SIGNED..csv::PLATFORM_KEY, "signature"),
            (csv::PLATFORM_KEY..csv::PLATFORM_KEY_SIGNED, "platform-key"),
        ],
        Kind::Snp { .. } | Kind::Csv { .. } => Vec::new(),
        Kind::Tpm { .. } | Kind::Simulated => std::iter::once((0..length, "signed")).collect(),
    }
}
