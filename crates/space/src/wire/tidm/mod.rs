//! Our own profile, below `<base>/tidm/1/` (house D1): leases, notices, facts, members, catalogue changes.
//!
//! Never says what DSP can say. Each message has a JSON Schema (`schema/`) and an example (`fixture/`) beside
//! it; a change of either is a change of the protocol. Unknown members are skipped, so that members can be added.

pub mod audit;
pub mod changes;
pub mod facts;
pub mod lease;
pub mod members;
pub mod notice;
pub mod psi;
pub mod psi_many;
pub mod psi_table;
pub mod share;

#[cfg(test)]
mod tests;

use serde_json::{Map, Value, json};

use crate::id::Id;

/// Where the profile's version 1 lies below a DSP base.
pub const BASE: &str = "/tidm/1";

/// The beginning of every message of the profile.
pub(crate) fn envelope(kind: &str, id: Option<&Id>) -> Map<String, Value> {
    let mut it = Map::new();
    it.insert("@type".to_owned(), json!(kind));
    if let Some(id) = id {
        it.insert("@id".to_owned(), json!(id.as_str()));
    }
    it
}
