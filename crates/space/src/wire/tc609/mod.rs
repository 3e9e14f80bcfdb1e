//! Digital contracts of TC609-6-2025-14 as JSON, and what they say as ODRL and the other way round.
//!
//! The document has the names of dictionary C.1 for the contract, of C.2 for its three classes of policies, and of the
//! interfaces of annex B inside a policy. Where the standard is silent the stricter reading is taken; `docs/tc609.md` lists
//! these. Threats: a term that is dropped on the way permits more than was agreed, so each one that does not go over is a
//! [`crate::tc609::loss::Loss`]; a document that hides a member from one of two readers, so unknown members are refused.
//! What the interfaces say is [`message`], what they answer [`answer`]. Never verifies a signature and never decides whether a
//! term can be kept.

pub mod answer;
mod clause;
mod extension;
mod from_policy;
pub mod message;
mod read;
mod term;
mod terms;
mod to_policy;
mod write;

pub use from_policy::{BadMapping, to_tc609};
pub use read::parse;
pub use terms::{offered, within};
pub use to_policy::{TooMany, from_tc609};
pub use write::to_json;

/// What our ODRL calls words of TC609's that it has no word for.
const PREFIX: &str = "tc609:";

#[cfg(test)]
mod tests;
