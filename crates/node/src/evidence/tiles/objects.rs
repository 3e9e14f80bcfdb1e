//! The log's files in the node's object store, for replicas that share one node.
//!
//! Each put of the store is durable by itself; there is no journal. Slower than a directory, and reachable
//! from every replica. Blocks on the runtime it was made in: call from blocking threads only.

use futures::{StreamExt, TryStreamExt};
use tidm_ledger::tile::TilePath;
use tokio::runtime::Handle;

use super::{File, Tiles, TilesError};
use crate::objects::{Key, ObjectError, Objects};

/// Uploads at a time: a batch has about ten files.
const UPLOADS: usize = 16;

pub struct ObjectTiles {
    objects: Objects,
    /// Put before every name, with a slash.
    prefix: String,
    runtime: Handle,
}

impl ObjectTiles {
    /// Files go below `prefix` (no slash at its end).
    pub fn new(objects: Objects, prefix: &str, runtime: Handle) -> Self {
        Self { objects, prefix: format!("{prefix}/"), runtime }
    }

    fn key(&self, path: &str) -> Result<Key, TilesError> {
        Key::parse(&format!("{}{path}", self.prefix)).map_err(|e| TilesError(e.to_string()))
    }
}

impl Tiles for ObjectTiles {
    fn put_all(&self, files: &[File]) -> Result<(), TilesError> {
        let keys = files.iter().map(|(path, _)| self.key(path)).collect::<Result<Vec<_>, _>>()?;
        let puts =
            keys.iter().zip(files).map(|(key, (_, bytes))| self.objects.put_bytes(key, bytes));
        let all = futures::stream::iter(puts)
            .buffer_unordered(UPLOADS)
            .try_for_each(|_| async { Ok(()) });
        self.runtime.block_on(all).map_err(|e| TilesError(e.to_string()))
    }

    fn get(&self, path: &str) -> Result<Option<Vec<u8>>, TilesError> {
        let key = self.key(path)?;
        let read = async {
            let pieces: Vec<bytes::Bytes> = self.objects.get(&key).await?.try_collect().await?;
            Ok(pieces.concat())
        };
        match self.runtime.block_on(read) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(ObjectError::Missing(_)) => Ok(None),
            Err(e) => Err(TilesError(e.to_string())),
        }
    }

    fn prune(&self, full: &TilePath) {
        let Ok(prefix) = self.key(&format!("{full}.p")) else { return };
        let pruned: Result<(), ObjectError> = self.runtime.block_on(async {
            let found: Vec<_> = self.objects.list(&prefix).try_collect().await?;
            for it in found {
                self.objects.delete(&it.key).await?;
            }
            Ok(())
        });
        if let Err(error) = pruned {
            tracing::debug!(%error, "partial tiles stay: harmless");
        }
    }
}
