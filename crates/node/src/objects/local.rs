//! Objects as files of one directory.
//!
//! Must never show half an object: bytes go to `.partial/`, are synced, then renamed to their name, then
//! the directories are synced. A crash leaves the old object, the new one, or a file in `.partial/`
//! that the next start removes.

use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
use tokio_util::io::ReaderStream;

use super::{Counted, Key, ObjectError, Stream};

/// Read at once from a file: large enough for the disk, small enough for a thousand downloads.
const PIECE_BYTES: usize = 256 << 10;

/// Starts with a dot: no [`Key`] can name it.
const PARTIAL: &str = ".partial";

pub(super) fn open(dir: &Path) -> Result<(Arc<dyn ObjectStore>, Arc<Path>), ObjectError> {
    use std::os::unix::fs::DirBuilderExt;
    let setup = |e: io::Error| ObjectError::Setup(format!("{}: {e}", dir.display()));
    let partial = dir.join(PARTIAL);
    match fs::remove_dir_all(&partial) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(setup(e)),
        Ok(()) | Err(_) => {}
    }
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&partial).map_err(setup)?;
    let dir = dir.canonicalize().map_err(setup)?;
    let store =
        LocalFileSystem::new_with_prefix(&dir).map_err(|e| ObjectError::Setup(e.to_string()))?;
    Ok((Arc::new(store), dir.into()))
}

pub(super) async fn put(
    dir: &Path,
    key: &Key,
    source: &mut Counted<impl AsyncRead + Unpin + Send>,
) -> Result<(), ObjectError> {
    let partial = dir.join(PARTIAL).join(uuid::Uuid::now_v7().simple().to_string());
    let done = write(&partial, source).await;
    let done = match done {
        Ok(()) => {
            let (dir, key, partial) = (dir.to_owned(), key.clone(), partial.clone());
            let named = tokio::task::spawn_blocking(move || name(&dir, &key, &partial)).await;
            named.map_err(|e| ObjectError::Failed(e.to_string())).and_then(|it| it)
        }
        Err(e) => Err(e),
    };
    if done.is_err() {
        // Best effort; the next start empties the directory.
        drop(tokio::fs::remove_file(&partial).await);
    }
    done
}

async fn write(
    partial: &Path,
    source: &mut Counted<impl AsyncRead + Unpin + Send>,
) -> Result<(), ObjectError> {
    let mut file = tokio::fs::File::create_new(partial).await.map_err(failed)?;
    loop {
        let part = source.part().await?;
        if part.is_empty() {
            break;
        }
        file.write_all(&part).await.map_err(failed)?;
    }
    file.sync_all().await.map_err(failed)
}

fn name(dir: &Path, key: &Key, partial: &Path) -> Result<(), ObjectError> {
    let path = dir.join(key.as_str());
    let parent = path.parent().unwrap_or(dir);
    let new = !parent.exists();
    fs::create_dir_all(parent).map_err(failed)?;
    fs::rename(partial, &path).map_err(failed)?;
    // A new directory's own name lies in its parent: sync up to the root, else a crash loses the subtree.
    for it in parent.ancestors().take_while(|it| it.starts_with(dir)).take(if new {
        usize::MAX
    } else {
        1
    }) {
        sync_dir(it)?;
    }
    Ok(())
}

/// The file's bytes in pieces of [`PIECE_BYTES`], read as they are asked for.
pub(super) async fn stream(key: &Key, path: &Path, range: Range<u64>) -> Result<Stream, ObjectError> {
    let mut file = match tokio::fs::File::open(path).await {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            return Err(ObjectError::Missing(key.as_str().to_owned()));
        }
        Err(e) => return Err(failed(e)),
    };
    file.seek(io::SeekFrom::Start(range.start)).await.map_err(failed)?;
    let part = file.take(range.end.saturating_sub(range.start));
    Ok(ReaderStream::with_capacity(part, PIECE_BYTES).map_err(failed).boxed())
}

pub(super) fn sync_parent(dir: &Path, key: &Key) -> Result<(), ObjectError> {
    let path = dir.join(key.as_str());
    match path.parent() {
        Some(parent) if parent.exists() => sync_dir(parent),
        Some(_) | None => Ok(()),
    }
}

fn sync_dir(dir: &Path) -> Result<(), ObjectError> {
    File::open(dir).and_then(|it| it.sync_all()).map_err(failed)
}

fn failed(error: io::Error) -> ObjectError {
    ObjectError::Failed(error.to_string())
}
