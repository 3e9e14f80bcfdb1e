//! The one row that says what the log is: size, root and who may move it.
//!
//! Threat model: two replicas believe that they are the sequencer, or one wakes up after a pause. The row
//! is moved by compare-and-set only; whoever opens the log raises the fence, and every later move of an
//! earlier opener fails. A checkpoint is signed only after its row is durable, so no two signatures ever
//! disagree.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use futures::future::{BoxFuture, FutureExt};
use tidm_ledger::tree::Hash;

/// What the log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Entries.
    pub size: u64,
    pub root: Hash,
    /// Raised by each sequencer that takes over.
    pub fence: u64,
}

/// The row could not be read or moved; it may have moved nevertheless.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the checkpoint row: {0}")]
pub struct RowError(pub String);

/// Where the row is kept: the node's store, or a file.
pub trait CheckpointRow: Send + Sync {
    /// `None` before the first sequencer.
    fn load(&self) -> BoxFuture<'_, Result<Option<Row>, RowError>>;

    /// Sets `next` if the row still equals `expected`; durable before `Ok(true)`.
    ///
    /// `leaves` are the leaf hashes of the entries `expected.size..next.size`: an implementation that keeps
    /// facts in the same database marks them as sequenced in the same transaction, so that a crash
    /// between two statements cannot log a fact twice.
    fn compare_and_set<'a>(
        &'a self,
        expected: Option<Row>,
        next: Row,
        leaves: &'a [Hash],
    ) -> BoxFuture<'a, Result<bool, RowError>>;
}

/// A row in a file of its own; for tests, the demo and small custodians. One process at a time.
pub struct FileRow {
    path: PathBuf,
    lock: Mutex<()>,
}

impl FileRow {
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), lock: Mutex::new(()) }
    }

    fn read(&self) -> io::Result<Option<Row>> {
        match fs::read(&self.path) {
            Ok(bytes) => parse(&bytes)
                .map(Some)
                .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "it is damaged")),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    fn write(&self, row: Row) -> io::Result<()> {
        replace(
            &self.path,
            format!("{}\n{}\n{}\n", row.size, row.root.to_base64(), row.fence).as_bytes(),
        )
    }

    fn named(&self, error: &io::Error) -> RowError {
        RowError(format!("{}: {error}", self.path.display()))
    }
}

impl CheckpointRow for FileRow {
    fn load(&self) -> BoxFuture<'_, Result<Option<Row>, RowError>> {
        async { self.read().map_err(|e| self.named(&e)) }.boxed()
    }

    fn compare_and_set<'a>(
        &'a self,
        expected: Option<Row>,
        next: Row,
        _leaves: &'a [Hash],
    ) -> BoxFuture<'a, Result<bool, RowError>> {
        async move {
            let _held = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
            let moved = self.read().and_then(|found| {
                if found == expected { self.write(next).map(|()| true) } else { Ok(false) }
            });
            moved.map_err(|e| self.named(&e))
        }
        .boxed()
    }
}

/// Reads a [`FileRow`]'s file.
pub fn parse(bytes: &[u8]) -> Option<Row> {
    let text = std::str::from_utf8(bytes).ok()?.strip_suffix('\n')?;
    let mut lines = text.split('\n');
    let (size, root, fence) = (lines.next()?, lines.next()?, lines.next()?);
    let row = Row {
        size: size.parse().ok()?,
        root: Hash::from_base64(root)?,
        fence: fence.parse().ok()?,
    };
    lines.next().is_none().then_some(row)
}

/// Replaces a file: new bytes synced, renamed, directory synced.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let partial = path.with_extension("partial");
    let mut file = fs::File::create(&partial)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&partial, path)?;
    match path.parent() {
        Some(parent) => fs::File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use tidm_ledger::tree::EMPTY_ROOT;

    use super::*;

    #[tokio::test]
    async fn a_row_moves_only_from_where_one_thinks_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let it = FileRow::new(&dir.path().join("row"));
        let row = |size, fence| Row { size, root: EMPTY_ROOT, fence };
        assert_eq!(it.load().await.unwrap(), None);
        assert!(!it.compare_and_set(Some(row(0, 0)), row(1, 0), &[]).await.unwrap());
        assert!(it.compare_and_set(None, row(0, 1), &[]).await.unwrap());
        assert!(!it.compare_and_set(None, row(0, 1), &[]).await.unwrap());
        assert!(it.compare_and_set(Some(row(0, 1)), row(5, 2), &[]).await.unwrap());
        assert!(!it.compare_and_set(Some(row(0, 1)), row(6, 1), &[]).await.unwrap());
        assert_eq!(it.load().await.unwrap(), Some(row(5, 2)));
        for bad in ["", "1", "1\n2\n3\n", "5\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n2\n\n"]
        {
            fs::write(dir.path().join("row"), bad).unwrap();
            assert!(it.load().await.is_err(), "{bad:?}");
        }
    }
}
