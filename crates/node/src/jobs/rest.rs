//! Lists that are matched and what comes of it, as they lie on this node's disks: sealed.
//!
//! ```text
//!   PUT /matchings/list ──► sealed object lists/ID ─────────────┐
//!   product in a bucket ──► spooled, sealed under a passing key ├─► computing process ──► sealed results/ID/rows ──► GET rows
//!   product on a local disk (it lies there as its owner put it) ┘
//! ```
//!
//! Threat model: who reads the disks or the bucket, now or from a backup, without the node's keys directory: they see how long lists and
//! results are. Who has the keys directory, or the memory of node or process, sees everything. Tables that this node publishes lie as they
//! are (`objects`); that is their owner's choice, and no matching writes them anew. Never a key in a file, a row or a log.

use std::io;
use std::path::Path;

use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt as _, TryStreamExt as _};
use tidm_compute::job::order::{self, Kind};
use tidm_compute::keys::{self, Place};
use tidm_crypto::rest::{
    CHUNK_BYTES, FileKey, HEAD_BYTES, SALT_BYTES, SEALED_BYTES, head, named, plain_length,
};
use tidm_crypto::secret::Secret;
use tidm_space::fault::Fault;
use tokio_util::io::StreamReader;

use super::spool;
use crate::app::App;
use crate::objects::{Key, ObjectError};

/// Objects that were sealed here: lists that people sent ahead, and results.
pub const LISTS: &str = "lists/";
const RESULTS: &str = "results/";

/// Whether it was sealed here.
pub fn is_sealed(object: &str) -> bool {
    object.starts_with(LISTS) || object.starts_with(RESULTS)
}

/// Where a matching's result goes: `what` is `rows` or `labels`.
pub fn result(id: &str, what: &str) -> String {
    format!("{RESULTS}{id}/{what}")
}

/// Below which a matching's results are sealed.
///
/// # Errors
/// Where the node's keys cannot be had.
pub fn result_key(app: &App, id: &str) -> Result<keys::Key, Fault> {
    secret(app, &result(id, "")).map(|it| keys::Key::new(&it))
}

/// Below which an object is sealed: one key for all results of a matching, one for each list.
fn secret(app: &App, object: &str) -> Result<Secret<[u8; 32]>, Fault> {
    let name = match object.strip_prefix(RESULTS) {
        Some(_) => object.rsplit_once('/').map_or(object, |(name, _)| name),
        None => object,
    };
    let missing = |why: &dyn std::fmt::Display| {
        tracing::error!(%why, "the key of lists and results cannot be had");
        Fault::ApiMisuse("the key of lists and results cannot be had")
    };
    let root = app.keys.lists_root().map_err(|why| missing(&why))?;
    named(&root, name).map_err(|_| missing(&"no such name"))
}

/// A list as a file that a process may read.
pub struct List {
    file: spool::Local,
    key: Option<keys::Key>,
}

impl List {
    pub fn place(&self) -> Place<'_> {
        Place { path: self.file.path(), key: self.key.as_ref() }
    }

    /// As an order names it.
    pub fn source(&self, kind: Kind) -> order::List {
        let path = self.file.path().to_owned();
        order::List { path, format: kind, key: self.key.clone() }
    }

    /// The file, which goes with its guard.
    pub fn into_file(self) -> spool::Local {
        self.file
    }
}

/// The list that an object is. Nothing of it is written in clear.
pub async fn list(app: &App, object: &str) -> anyhow::Result<List> {
    if is_sealed(object) {
        let key = keys::Key::new(&secret(app, object)?);
        return Ok(List { file: spool::local(app, object).await?, key: Some(key) });
    }
    let key = Key::parse(object)?;
    if app.objects.local_path(&key).is_some() {
        return Ok(List { file: spool::local(app, object).await?, key: None });
    }
    let passing = Secret::random(&mut crate::random::os());
    let written = app.objects.head(&key).await?.written;
    let file = spool::fresh(app, "spool")?;
    let bytes = app.objects.get(&key).await?.map_err(io::Error::other);
    let mut reader = StreamReader::new(Box::pin(sealing(bytes, &passing)?));
    let mut out = tokio::fs::File::create(file.path()).await?;
    tokio::io::copy(&mut reader, &mut out).await?;
    tokio::io::AsyncWriteExt::flush(&mut out).await?;
    // As old as the object, so that who comes again knows it for the same.
    out.into_std().await.set_modified(written)?;
    Ok(List { file, key: Some(keys::Key::new(&passing)) })
}

/// Puts what a caller sends under a name of [`LISTS`].
pub async fn keep(
    app: &App,
    object: &str,
    bytes: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
    limit: u64,
) -> Result<(), ObjectError> {
    let unable = |why: String| ObjectError::Setup(why);
    let secret = secret(app, object).map_err(|why| unable(why.to_string()))?;
    let sealed = sealing(bytes, &secret).map_err(ObjectError::Source)?;
    let reader = StreamReader::new(Box::pin(sealed));
    app.objects.put(&Key::parse(object)?, reader, sealed_length(limit)).await.map(drop)
}

/// Bytes that a sealed file has, which holds so many.
fn sealed_length(plain: u64) -> u64 {
    let tag = (SEALED_BYTES - CHUNK_BYTES) as u64;
    plain.saturating_add((plain / CHUNK_BYTES as u64 + 1) * tag).saturating_add(HEAD_BYTES as u64)
}

/// What a stream is sealed with, and how far it is.
struct Sealing<S> {
    bytes: S,
    key: FileKey,
    number: u64,
    buffer: BytesMut,
    /// What has not been given on of what is ready.
    ended: bool,
}

/// The bytes of a sealed file that holds what `bytes` gives.
fn sealing<S>(
    bytes: S,
    root: &Secret<[u8; 32]>,
) -> io::Result<impl Stream<Item = io::Result<Bytes>> + Send + use<S>>
where
    S: Stream<Item = io::Result<Bytes>> + Send,
{
    let mut salt = [0; SALT_BYTES];
    rand_core::Rng::fill_bytes(&mut crate::random::os(), &mut salt);
    let key = FileKey::new(root, &salt).map_err(|_| changed())?;
    let state =
        Sealing { bytes: Box::pin(bytes), key, number: 0, buffer: BytesMut::new(), ended: false };
    let first = futures::stream::once(async move { Ok(Bytes::copy_from_slice(&head(&salt))) });
    Ok(first.chain(futures::stream::try_unfold(state, |mut it| async move {
        if it.ended {
            return Ok(None);
        }
        while it.buffer.len() < CHUNK_BYTES {
            match it.bytes.next().await.transpose()? {
                Some(more) => it.buffer.extend_from_slice(&more),
                None => {
                    it.ended = true;
                    break;
                }
            }
        }
        let length = it.buffer.len().min(CHUNK_BYTES);
        let plain = it.buffer.split_to(length);
        // A whole chunk is followed by another, be it an empty one.
        it.ended &= length < CHUNK_BYTES;
        let sealed = it.key.seal(it.number, it.ended, &plain).map_err(|_| changed())?;
        it.number += 1;
        Ok(Some((Bytes::from(sealed), it)))
    })))
}

/// What a sealed object holds: its length, and its bytes.
///
/// # Errors
/// Where it is missing, or is not what was sealed here.
pub async fn opened(
    app: &App,
    object: &str,
) -> anyhow::Result<(u64, impl Stream<Item = io::Result<Bytes>> + Send + use<>)> {
    let key = Key::parse(object)?;
    let secret = secret(app, object)?;
    let bytes = app.objects.head(&key).await?.bytes;
    let length = plain_length(bytes).ok_or_else(changed)?;
    let bytes = app.objects.get(&key).await?.map_err(io::Error::other);
    let mut reader = StreamReader::new(bytes);
    let mut head = [0; HEAD_BYTES];
    tokio::io::AsyncReadExt::read_exact(&mut reader, &mut head).await?;
    let file = FileKey::read(&secret, &head).map_err(|_| changed())?;
    let chunks = length / CHUNK_BYTES as u64;
    let open = move |(mut reader, number): (StreamReader<_, Bytes>, u64)| {
        let file = file.clone();
        async move {
            if number > chunks {
                return Ok(None);
            }
            let last = number == chunks;
            let plain = if last { length % CHUNK_BYTES as u64 } else { CHUNK_BYTES as u64 };
            let sealed = usize::try_from(plain).unwrap_or(0) + (SEALED_BYTES - CHUNK_BYTES);
            let mut bytes = vec![0; sealed];
            tokio::io::AsyncReadExt::read_exact(&mut reader, &mut bytes).await?;
            let plain = file.open(number, last, &bytes).map_err(|_| changed())?;
            Ok(Some((Bytes::copy_from_slice(plain.expose()), (reader, number + 1))))
        }
    };
    Ok((length, futures::stream::try_unfold((reader, 0), open)))
}

fn changed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "it is not what was sealed here")
}

/// Moves a file that a process sealed below [`result_key`] into the object store.
pub async fn put(app: &App, object: &str, path: &Path) -> anyhow::Result<()> {
    let file = tokio::fs::File::open(path).await?;
    app.objects.put(&Key::parse(object)?, file, u64::MAX).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::*;

    #[tokio::test]
    async fn a_stream_is_sealed_as_a_process_reads_it() {
        let root = Secret::new([5; 32]);
        for length in [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES] {
            let plain: Vec<u8> = (0..=250).cycle().take(length).collect();
            let pieces: Vec<_> =
                plain.chunks(10_007).map(|it| Ok(Bytes::copy_from_slice(it))).collect();
            let sealed = sealing(futures::stream::iter(pieces), &root).unwrap();
            let sealed: Vec<Bytes> = sealed.try_collect().await.unwrap();
            let sealed = sealed.concat();
            assert_eq!(sealed.len() as u64, sealed_length(length as u64));
            let mut file = tempfile::NamedTempFile::new().unwrap();
            file.write_all(&sealed).unwrap();
            let key = keys::Key::new(&root);
            let place = Place { path: file.path(), key: Some(&key) };
            let mut read = Vec::new();
            place.reader().unwrap().read_to_end(&mut read).unwrap();
            assert_eq!(read, plain);
        }
    }
}
