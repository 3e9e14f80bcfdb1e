//! Rows of the store: each aggregate as one JSON document with a version.
//!
//! Never a peer's format: rows are written and read by this program alone, of any later version. A decoder of
//! an old version is never removed; the frozen examples (`frozen/`) make each change of a row visible.

pub mod contract;
pub mod flow;
pub mod issuance;
pub mod lease;
pub mod negotiation;
pub(super) mod policy;
pub mod product;
mod rules;
pub mod send;
pub mod timer;
pub mod transfer;

#[cfg(test)]
mod tests;

use serde_json::{Map, Value, json};

use crate::fault::Fault;

use super::json::Fields;

/// The version that all rows are written in.
const VERSION: u64 = 1;

/// Why a row cannot be read. The store is damaged, or was written by a newer program.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRecord {
    #[error("a stored row is not JSON: {0}")]
    NotJson(String),
    #[error("a stored row has version {0}; this program reads up to version {VERSION}: update it")]
    Version(u64),
    #[error("a stored row is damaged: {0}")]
    Field(String),
}

impl From<Fault> for BadRecord {
    fn from(it: Fault) -> Self {
        Self::Field(it.to_string())
    }
}

/// The row of these members, in version [`VERSION`].
fn row(mut members: Map<String, Value>) -> String {
    members.insert("v".to_owned(), json!(VERSION));
    Value::Object(members).to_string()
}

/// The row as JSON.
fn open(row: &str) -> Result<Value, BadRecord> {
    serde_json::from_str(row).map_err(|why| BadRecord::NotJson(why.to_string()))
}

/// The row's members, if its version is one that we read.
fn fields(row: &Value) -> Result<Fields<'_>, BadRecord> {
    let top = Fields::top(row)?;
    match top.number("v")? {
        VERSION => Ok(top),
        other => Err(BadRecord::Version(other)),
    }
}
