//! The node's own directory, held by one process.
//!
//! Never shared: journals, spooled files and a custodian's witness state belong to the process that writes
//! them, and a second one would undo them. Replicas share the store, the objects and the keys, and have a
//! directory each. The system lets go of the lock when the process ends, however it ends.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;

/// A process that is being replaced needs a moment to end.
const PATIENCE: Duration = Duration::from_secs(2);

/// Held for as long as it lives.
#[derive(Debug)]
pub(crate) struct Hold(
    #[expect(dead_code, reason = "the lock lives as long as its file is open")] File,
);

/// Makes `dir` where it is missing and takes it for this process.
pub(crate) async fn take(dir: &Path) -> anyhow::Result<Hold> {
    std::fs::create_dir_all(dir)
        .with_context(|| format!("node.data: {} cannot be made", dir.display()))?;
    let path = dir.join("lock");
    let file = File::create(&path)
        .with_context(|| format!("node.data: {} cannot be written", path.display()))?;
    let begun = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Hold(file)),
            Err(TryLockError::WouldBlock) if begun.elapsed() < PATIENCE => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(TryLockError::WouldBlock) => anyhow::bail!(
                "node.data: another process works in {}; stop it first, or give a replica a directory of its own",
                dir.display()
            ),
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("{} cannot be locked", path.display()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_directory_has_one_process() {
        let dir = tempfile::tempdir().unwrap();
        let first = take(&dir.path().join("data")).await.unwrap();
        let second = take(&dir.path().join("data")).await.unwrap_err();
        assert!(second.to_string().contains("another process"), "{second}");
        drop(first);
        drop(take(&dir.path().join("data")).await.unwrap());
    }
}
