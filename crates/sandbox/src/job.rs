//! What crosses the border between host and worker, as plain data.
//!
//! These types are the sandbox's own wire format between two builds of the same binary: they are
//! not stored and not spoken to peers.

use serde::{Deserialize, Serialize};

use crate::gate::Rules;
use crate::jail::Report;

/// The job as the worker reads it; files follow as descriptors, in table order.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Request {
    pub(crate) sql: String,
    pub(crate) tables: Vec<TableRequest>,
    pub(crate) bounds: Bounds,
}

/// One table: how many of the descriptors are its files, and how it may be used.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct TableRequest {
    pub(crate) name: String,
    pub(crate) files: usize,
    pub(crate) rules: Rules,
    /// AAD prefix of the sealed files; `None` for plain files.
    pub(crate) aad_prefix: Option<Vec<u8>>,
}

/// What the worker applies to itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Bounds {
    /// Memory for the query, in bytes (the process gets a fixed allowance on top).
    pub memory_bytes: u64,
    /// Worker threads and partitions.
    pub threads: usize,
    /// CPU seconds over all threads.
    pub cpu_seconds: u64,
    /// Descriptors that may be open.
    pub files: u64,
    /// Most result rows.
    pub max_rows: u64,
    /// Most result bytes.
    pub max_bytes: u64,
}

/// First frame of a worker: the jail is on, and this is the key to wrap data keys to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Which layers of the jail are on.
    pub jail: Report,
    /// KEM public key, made inside this worker for this one job.
    pub public_key: Vec<u8>,
}

/// A data key for one sealed table, wrapped to the worker's public key.
#[derive(Clone, Serialize, Deserialize)]
pub struct TableKey {
    /// Name of the table in the job.
    pub table: String,
    /// `kem::Wrapped` bytes.
    pub wrapped: Vec<u8>,
    /// HPKE info.
    pub info: Vec<u8>,
    /// HPKE associated data.
    pub aad: Vec<u8>,
    /// Where the key is split: its other share, wrapped to the same public key under `domain::SHARE_KEY`.
    pub share: Option<Vec<u8>>,
}

/// Counters in front of a result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Result rows.
    pub rows: u64,
}
