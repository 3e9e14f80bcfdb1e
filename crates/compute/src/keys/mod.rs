//! Rows become items, and results become files: the two ends of an intersection that touch the user's own lists.
//!
//! ```text
//!   CSV, Parquet, Arrow ──► key columns ──► normal forms ──► joined key ──► keyed BLAKE3 ──► items, in the order of rows
//!   places that matched ──► rows (first or all of equals) ──► bitmap ──► second pass ──► file with the matched rows
//! ```
//!
//! Both parties agree on a [`Rule`]: which parts a key has, the normal form of each, and what happens to rows whose keys are
//! equal. Each maps the rule's roles to its own columns ([`Mapping`]). The rule's description goes into every item, so parties
//! with different rules have nothing in common, whatever their lists.
//!
//! Threats. Lists are outside data: every row, length and type in them is checked, memory is bounded by [`limits`], and no
//! file makes the job panic through code of ours. A row whose key is empty or not of its form never becomes an item: it cannot match
//! the like of another party ("unknown" is not a person). Faults and counts name files, columns and rows; they never
//! hold a key, and no key is written anywhere but into the file of results that the list's owner asked for.
//!
//! Rows of a database come as CSV from the program that reads it. Lists and results may be sealed at rest ([`Place`]).

mod batch;
mod bitmap;
mod columns;
mod csv;
mod fault;
mod fixed;
mod form;
mod ipc;
mod labels;
pub mod limits;
mod mapping;
mod place;
mod rows;
mod rule;
mod size;
mod source;
mod table;

pub use bitmap::Bitmap;
pub use columns::{labels, values};
pub use fault::Fault;
pub use fixed::{decimal, fixed};
pub use form::{Form, Why};
pub use labels::{split_label, write_labels};
pub use mapping::Mapping;
pub use place::{Key, Place};
pub use rows::{Written, check_columns, write_rows};
pub use rule::{Equals, Part, Rule};
pub use size::rows_at_most;
pub use source::{Counts, Delimiter, Format, Source, Tally, open, read};

#[cfg(test)]
mod tests;
