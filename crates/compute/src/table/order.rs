//! What a process about tables is told on its stdin: one JSON object.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tidm_mpc::limits::{MAX_PARTITIONS, MAX_TABLE_ENTRIES, TABLE_SEGMENT_ENTRIES};
use tidm_mpc::random::Seed;
use zeroize::{Zeroize as _, Zeroizing};

use super::limits::{
    CLIENT_ITEMS, PREPARE_BYTES, PREPARE_BYTES_PER_PART_ENTRY, QUERY_BYTES_PER_ITEM,
};
use crate::job::connect::Way;
use crate::job::failure::Failure;
use crate::job::limits::BASE_BYTES;
use crate::job::order::{List, Results, unhex};
use crate::keys::{Mapping, Rule};

/// One party's part.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "kebab-case")]
pub enum Order {
    /// Make a table of a list.
    Prepare(Prepare),
    /// Ask about the items of a list.
    Query(Box<Query>),
    /// Evaluate what one client asks about.
    Answer(Answer),
}

/// Writes [`super::INDEX`] and [`super::TABLE`] into `dir`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prepare {
    /// 64 hexadecimal digits that stand for product, version and rule; both parties' items are hashed under it.
    pub context: String,
    pub key: Seeded,
    pub version: u64,
    /// Entries that the table shows: at least the list's rows.
    pub entries: u64,
    /// Most items of a client in a session.
    pub client_items: u64,
    pub rule: Rule,
    pub mapping: Mapping,
    pub source: List,
    pub dir: PathBuf,
    pub memory: u64,
}

/// The client of a session.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Query {
    /// 64 hexadecimal digits that both parties have; never used again.
    pub job: String,
    pub context: String,
    /// Of the index that was signed: 64 hexadecimal digits.
    pub digest: String,
    pub index: PathBuf,
    pub table: PathBuf,
    /// Items that were agreed on; the list has at most as many.
    pub items: u64,
    pub rule: Rule,
    pub mapping: Mapping,
    pub source: List,
    pub results: Results,
    pub connect: Way,
    /// As in [`crate::job::order::Order`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub jail: Vec<tidm_jail::Layer>,
    pub memory: u64,
    /// Seconds, as in [`crate::job::order::Order`].
    pub silence: f64,
    pub patience: f64,
}

/// The server of a session.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    pub job: String,
    pub key: Seeded,
    pub digest: String,
    pub index: PathBuf,
    pub items: u64,
    /// Keeps that the session was answered.
    pub dir: PathBuf,
    pub connect: Way,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub jail: Vec<tidm_jail::Layer>,
    pub silence: f64,
    pub patience: f64,
}

/// What a version's key is made from: 64 hexadecimal digits, never shown, erased when dropped.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seeded(String);

impl Seeded {
    pub fn new(bytes: &[u8; 32]) -> Self {
        Self(crate::job::order::hex(bytes))
    }

    pub(super) fn seed(&self) -> Result<Seed, Failure> {
        let bytes = Zeroizing::new(bytes32("key", &self.0)?);
        Ok(Seed::new(*bytes))
    }
}

impl Drop for Seeded {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Seeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seeded(…)")
    }
}

pub(super) fn bytes32(name: &str, text: &str) -> Result<[u8; 32], Failure> {
    let bytes = unhex(text).and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or_else(|| Failure::Order(format!("{name} is 64 hexadecimal digits")))
}

fn seconds(all: [f64; 2]) -> Result<(), Failure> {
    if all.iter().all(|it| *it > 0.0 && *it < 1e7) {
        return Ok(());
    }
    Err(Failure::Order("silence and patience are seconds above 0".to_owned()))
}

fn room(needs: u64, has: u64) -> Result<(), Failure> {
    if needs <= has {
        return Ok(());
    }
    Err(Failure::Order(format!(
        "{has} bytes of memory are too few for so many: {needs} are needed"
    )))
}

fn at_most(what: &str, count: u64, most: u64) -> Result<(), Failure> {
    if count <= most {
        return Ok(());
    }
    Err(Failure::Order(format!("{count} {what} are more than {most}")))
}

impl Order {
    /// From JSON, with everything checked that can be checked before a file is opened.
    pub fn of_json(json: &str) -> Result<Self, Failure> {
        let order: Self =
            serde_json::from_str(json).map_err(|why| Failure::Order(why.to_string()))?;
        order.check()?;
        Ok(order)
    }

    pub fn check(&self) -> Result<(), Failure> {
        match self {
            Self::Prepare(it) => {
                it.rule.check()?;
                bytes32("context", &it.context)?;
                it.key.seed()?;
                at_most("entries", it.entries, MAX_TABLE_ENTRIES)?;
                at_most("items of a client", it.client_items, CLIENT_ITEMS)?;
                let part = it.entries.div_ceil(MAX_PARTITIONS.into()).max(TABLE_SEGMENT_ENTRIES);
                room(PREPARE_BYTES + part * PREPARE_BYTES_PER_PART_ENTRY, it.memory)
            }
            Self::Query(it) => {
                it.rule.check()?;
                for (name, text) in [("job", &it.job), ("context", &it.context)] {
                    bytes32(name, text)?;
                }
                bytes32("digest", &it.digest)?;
                at_most("items", it.items, CLIENT_ITEMS)?;
                room(BASE_BYTES + it.items * QUERY_BYTES_PER_ITEM, it.memory)?;
                seconds([it.silence, it.patience])
            }
            Self::Answer(it) => {
                bytes32("job", &it.job)?;
                bytes32("digest", &it.digest)?;
                it.key.seed()?;
                at_most("items", it.items, CLIENT_ITEMS)?;
                seconds([it.silence, it.patience])
            }
        }
    }
}
