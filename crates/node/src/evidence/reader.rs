//! The log as others read it: checkpoint, tiles, bundles, proofs.
//!
//! Threat model: paths come from strangers. They are parsed to a [`TilePath`], and nothing beyond the
//! published size is served: a tile past it may come from a batch that was never committed.

use std::sync::Arc;

use tidm_ledger::bundle;
use tidm_ledger::checkpoint::SignedCheckpoint;
use tidm_ledger::proof;
use tidm_ledger::receipt::Receipt;
use tidm_ledger::tile::{TileKind, TilePath, TileReader};
use tidm_ledger::tree::Hash;

use super::tiles::{Source, Tiles, TilesError};

/// Name of the published checkpoint, among the tiles.
pub const CHECKPOINT: &str = "checkpoint";

#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Not a path of this log, or not published yet.
    #[error("nothing of that name is published")]
    Absent,
    /// The entry is not under a published checkpoint yet.
    #[error("entry {index} is not under a published checkpoint yet ({size} entries are)")]
    NotYet { index: u64, size: u64 },
    #[error("the log's files are damaged: {0}")]
    Damaged(String),
    #[error(transparent)]
    Tiles(#[from] TilesError),
    #[error("a worker thread stopped")]
    Thread,
}

/// Reads what is published. Cheap to clone.
#[derive(Clone)]
pub struct Reader {
    tiles: Arc<dyn Tiles>,
}

impl Reader {
    pub fn new(tiles: Arc<dyn Tiles>) -> Self {
        Self { tiles }
    }

    /// The published checkpoint's bytes, as served under `checkpoint`.
    pub async fn checkpoint(&self) -> Result<Vec<u8>, ReadError> {
        self.blocking(|it| it.get(CHECKPOINT)?.ok_or(ReadError::Absent)).await
    }

    /// The published checkpoint, parsed.
    pub async fn head(&self) -> Result<SignedCheckpoint, ReadError> {
        self.blocking(head).await
    }

    /// Bytes for the request path `tile/…`.
    pub async fn tile(&self, path: &str) -> Result<Vec<u8>, ReadError> {
        let path = TilePath::parse(path).map_err(|_| ReadError::Absent)?;
        self.blocking(move |it| {
            let published = head(it)?.checkpoint().size();
            let there =
                TilePath::in_tree(path.kind(), path.index(), published).ok_or(ReadError::Absent)?;
            if path.width() > there.width() {
                return Err(ReadError::Absent);
            }
            match it.get(&path.to_string())? {
                Some(bytes) => Ok(bytes),
                None => cut(path, it.get(&path.full().to_string())?.ok_or(ReadError::Absent)?),
            }
        })
        .await
    }

    /// Entry `index`.
    pub async fn entry(&self, index: u64) -> Result<Vec<u8>, ReadError> {
        self.blocking(move |it| {
            let size = published(it, index)?.checkpoint().size();
            let reader = TileReader::new(size, Source(it.clone()));
            reader.entry(index).map_err(damaged)?.ok_or(ReadError::Absent)
        })
        .await
    }

    /// Hashes that prove entry `index` under the published checkpoint, and that checkpoint's size.
    pub async fn inclusion(&self, index: u64) -> Result<(u64, Vec<Hash>), ReadError> {
        self.blocking(move |it| {
            let size = published(it, index)?.checkpoint().size();
            let source = TileReader::new(size, Source(it.clone()));
            Ok((size, proof::inclusion(size, index, &source).map_err(damaged)?))
        })
        .await
    }

    /// Hashes that prove that the log of `old` entries is the beginning of the log of `new` ones.
    pub async fn consistency(&self, old: u64, new: u64) -> Result<Vec<Hash>, ReadError> {
        self.blocking(move |it| {
            let source = TileReader::new(new, Source(it.clone()));
            proof::consistency(old, new, &source).map_err(damaged)
        })
        .await
    }

    /// An offline proof (`.tlog-proof`) for entry `index`; `extra` is what the entry's holder keeps beside it.
    pub async fn receipt(&self, index: u64, extra: Option<Vec<u8>>) -> Result<Receipt, ReadError> {
        self.blocking(move |it| {
            let checkpoint = published(it, index)?;
            let source = TileReader::new(checkpoint.checkpoint().size(), Source(it.clone()));
            let receipt = Receipt::build(index, checkpoint, &source).map_err(damaged)?;
            match extra {
                Some(extra) => receipt.with_extra(extra).map_err(damaged),
                None => Ok(receipt),
            }
        })
        .await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Arc<dyn Tiles>) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, ReadError> {
        let tiles = self.tiles.clone();
        tokio::task::spawn_blocking(move || work(&tiles)).await.map_err(|_| ReadError::Thread)?
    }
}

fn head(tiles: &Arc<dyn Tiles>) -> Result<SignedCheckpoint, ReadError> {
    let bytes = tiles.get(CHECKPOINT)?.ok_or(ReadError::Absent)?;
    SignedCheckpoint::parse_bytes(&bytes).map_err(damaged)
}

fn published(tiles: &Arc<dyn Tiles>, index: u64) -> Result<SignedCheckpoint, ReadError> {
    let head = head(tiles)?;
    let size = head.checkpoint().size();
    if index < size { Ok(head) } else { Err(ReadError::NotYet { index, size }) }
}

fn damaged(error: impl std::fmt::Display) -> ReadError {
    ReadError::Damaged(error.to_string())
}

/// A partial tile out of the full one, as it was before that was full.
fn cut(path: TilePath, mut full: Vec<u8>) -> Result<Vec<u8>, ReadError> {
    let width = usize::from(path.width());
    match path.kind() {
        TileKind::Hash(_) => full.truncate(width * 32),
        TileKind::Entries => {
            let entries = bundle::decode(&full).map_err(damaged)?;
            let length = entries.iter().take(width).map(|it| it.len() + 2).sum();
            full.truncate(length);
        }
    }
    Ok(full)
}
