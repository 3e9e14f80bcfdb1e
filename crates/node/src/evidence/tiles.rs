//! Where the log's files are: a directory with a journal, or the node's object store.
//!
//! Threat model: the machine may stop between any two writes, and a disk may lose what was not synced.
//! [`Tiles::put_all`] returns only when all its files survive that. Files are pure functions of the
//! entries, so writing one again is always right; nothing here decides what the log *is* (the
//! checkpoint row does).
//!
//! Never a temporary file below `tile/` (tlog-tiles: a static server may publish that directory).

pub mod directory;
pub mod journal;
pub mod objects;

use std::sync::Arc;

use tidm_ledger::tile::{TilePath, TileSource};

/// A file of the log: `tile/…` or `checkpoint`.
pub type File = (String, Vec<u8>);

/// The files could not be read or written.
#[derive(Clone, Debug, thiserror::Error)]
#[error("evidence files: {0}")]
pub struct TilesError(pub String);

/// Blocking; call from a blocking thread.
pub trait Tiles: Send + Sync {
    /// Writes all files; durable on `Ok`. On `Err` any of them may or may not be there.
    fn put_all(&self, files: &[File]) -> Result<(), TilesError>;

    /// The file's bytes; `None` if there is none.
    fn get(&self, path: &str) -> Result<Option<Vec<u8>>, TilesError>;

    /// Deletes the partial versions of a full tile. Not durable, not necessary, may be repeated.
    fn prune(&self, full: &TilePath);
}

/// The ledger's view of [`Tiles`].
#[derive(Clone)]
pub struct Source(pub Arc<dyn Tiles>);

impl TileSource for Source {
    type Error = TilesError;

    fn tile(&self, path: &TilePath) -> Result<Option<Vec<u8>>, TilesError> {
        self.0.get(&path.to_string())
    }
}

#[cfg(test)]
mod tests;
