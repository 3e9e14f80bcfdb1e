//! Wire formats: bytes of peers to checked domain types and back. The only serde in this crate.
//!
//! Never decides anything: a message that parses may still be refused by a machine.

pub mod dcp;
pub mod did;
pub mod dps;
pub mod dsp;
pub mod json;
pub mod kas;
pub mod odrl;
pub mod prov;
pub mod record;
pub mod tc609;
pub mod terms;
pub mod tidm;

#[cfg(test)]
pub(crate) mod samples;
#[cfg(test)]
#[path = "tests/schema.rs"]
pub(crate) mod schema;

/// A message ready to be posted: path below the peer's address, and the JSON document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Posting {
    pub path: String,
    pub body: String,
}
