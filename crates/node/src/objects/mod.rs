//! Large bytes by name: sealed objects, results, tiles. A local directory, or a service with the S3 API.
//!
//! Threat model: whoever runs the object service may read, change, delete or withhold. So nothing in
//! clear that a contract protects is put here, every put returns the SHA-256 of what was sent, and a
//! reader compares ([`Objects::get_checked`]). Names are ours ([`Key`]); no peer chooses a path.
//!
//! What was put is there after a crash, whole: locally a file is synced, renamed and its directory
//! synced; S3 makes an object visible only when its upload is complete.

mod local;
mod s3;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::signer::Signer;
use object_store::{ObjectStore, ObjectStoreExt};
use tidm_crypto::hash::{Digest, Sha256Hasher};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::config;

/// Bytes handed on at a time: the smallest part S3 takes in a multipart upload is 5 MiB.
const PART_BYTES: usize = 8 << 20;
/// S3's own bound on a key.
const KEY_BYTES: usize = 1024;

/// `/`-separated name; each part has letters, digits, `.`, `_`, `-` and does not start with a dot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Box<str>);

impl Key {
    pub fn parse(text: &str) -> Result<Self, ObjectError> {
        let part = |it: &str| {
            !it.is_empty()
                && !it.starts_with('.')
                && it.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        };
        if text.len() <= KEY_BYTES && text.split('/').all(part) {
            Ok(Self(text.into()))
        } else {
            Err(ObjectError::Key)
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn path(&self) -> object_store::path::Path {
        object_store::path::Path::from(&*self.0)
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    #[error(
        "an object's name has letters, digits, '.', '_', '-' between slashes, and at most {KEY_BYTES} bytes"
    )]
    Key,
    #[error("no object {0}")]
    Missing(String),
    #[error("object {0} is not what was put there: its SHA-256 differs")]
    Changed(String),
    #[error("object {0} is still there after its deletion")]
    Kept(String),
    #[error("object storage cannot be used: {0}")]
    Setup(String),
    #[error("object storage refuses our keys")]
    Denied,
    #[error("object storage failed: {0}")]
    Failed(String),
    #[error("the source of the bytes failed: {0}")]
    Source(std::io::Error),
    #[error("more than the {0} bytes allowed here")]
    TooLarge(u64),
}

impl From<object_store::Error> for ObjectError {
    fn from(error: object_store::Error) -> Self {
        use object_store::Error::{NotFound, PermissionDenied, Unauthenticated};
        if let NotFound { path, .. } = error {
            Self::Missing(path)
        } else if matches!(error, PermissionDenied { .. } | Unauthenticated { .. }) {
            Self::Denied
        } else {
            Self::Failed(error.to_string())
        }
    }
}

/// What was put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Put {
    pub bytes: u64,
    pub sha256: Digest,
}

/// What is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    pub key: Key,
    pub bytes: u64,
    /// When it was last written, as its store says.
    pub written: std::time::SystemTime,
}

/// A stream of an object's bytes.
pub type Stream = BoxStream<'static, Result<Bytes, ObjectError>>;

/// The store. Cheap to clone.
#[derive(Clone)]
pub struct Objects {
    store: Arc<dyn ObjectStore>,
    /// The directory, when local: writing there is our own code, see [`local`].
    local: Option<Arc<Path>>,
    /// Signs addresses, when it is a bucket.
    signer: Option<Arc<dyn Signer>>,
}

impl Objects {
    /// As configured. Makes a local directory (0700); reads the S3 secret from its file.
    pub fn open(config: &config::Objects) -> Result<Self, ObjectError> {
        match config {
            config::Objects::Local { dir } => Self::local(dir),
            config::Objects::S3(it) => {
                let store = Arc::new(s3::open(it)?);
                Ok(Self { store: store.clone(), local: None, signer: Some(store) })
            }
        }
    }

    /// A store in `dir`.
    pub fn local(dir: &Path) -> Result<Self, ObjectError> {
        let (store, dir) = local::open(dir)?;
        Ok(Self { store, local: Some(dir), signer: None })
    }

    /// Where the object lies as a file, when objects are local files.
    pub fn local_path(&self, key: &Key) -> Option<PathBuf> {
        self.local.as_deref().map(|dir| dir.join(key.as_str()))
    }

    /// An address under which anybody may read the object for a while; `None` where objects are local files.
    pub async fn signed(&self, key: &Key, life: Duration) -> Result<Option<String>, ObjectError> {
        let Some(signer) = &self.signer else { return Ok(None) };
        let url = signer.signed_url(reqwest::Method::GET, &key.path(), life).await?;
        Ok(Some(url.to_string()))
    }

    /// Streams `source` to `key`, replacing what was there; at most `limit` bytes. Durable on return.
    pub async fn put(
        &self,
        key: &Key,
        source: impl AsyncRead + Unpin + Send,
        limit: u64,
    ) -> Result<Put, ObjectError> {
        let mut source = Counted { source, hasher: Sha256Hasher::new(), bytes: 0, limit };
        match &self.local {
            Some(dir) => local::put(dir, key, &mut source).await?,
            None => s3::put(&self.store, &key.path(), &mut source).await?,
        }
        Ok(Put { bytes: source.bytes, sha256: source.hasher.finish() })
    }

    /// [`Objects::put`] of bytes in memory.
    pub async fn put_bytes(&self, key: &Key, bytes: &[u8]) -> Result<Put, ObjectError> {
        self.put(key, bytes, u64::MAX).await
    }

    /// The whole object as a stream.
    pub async fn get(&self, key: &Key) -> Result<Stream, ObjectError> {
        let found = self.store.get(&key.path()).await?;
        Ok(found.into_stream().map_err(ObjectError::from).boxed())
    }

    /// Bytes `range` of the object as a stream of bounded pieces; the caller knows how long it is.
    pub async fn stream(&self, key: &Key, range: Range<u64>) -> Result<Stream, ObjectError> {
        if let Some(path) = self.local_path(key) {
            return local::stream(key, &path, range).await;
        }
        let range = Some(object_store::GetRange::Bounded(range));
        let options = object_store::GetOptions { range, ..object_store::GetOptions::default() };
        let found = self.store.get_opts(&key.path(), options).await?;
        Ok(found.into_stream().map_err(ObjectError::from).boxed())
    }

    /// Bytes `range` of the object; cut at its end.
    pub async fn get_range(&self, key: &Key, range: Range<u64>) -> Result<Bytes, ObjectError> {
        let head = self.head(key).await?;
        let range = range.start.min(head.bytes)..range.end.min(head.bytes);
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        Ok(self.store.get_range(&key.path(), range).await?)
    }

    /// The whole object, at most `limit` bytes, refused unless it has this hash.
    pub async fn get_checked(
        &self,
        key: &Key,
        sha256: Digest,
        limit: u64,
    ) -> Result<Vec<u8>, ObjectError> {
        let mut stream = self.get(key).await?;
        let mut hasher = Sha256Hasher::new();
        let mut all = Vec::new();
        while let Some(piece) = stream.next().await {
            let piece = piece?;
            hasher.update(&piece);
            all.extend_from_slice(&piece);
            if all.len() as u64 > limit {
                return Err(ObjectError::TooLarge(limit));
            }
        }
        if hasher.finish() == sha256 {
            Ok(all)
        } else {
            Err(ObjectError::Changed(key.as_str().to_owned()))
        }
    }

    pub async fn head(&self, key: &Key) -> Result<Head, ObjectError> {
        let found = self.store.head(&key.path()).await?;
        Ok(Head { key: key.clone(), bytes: found.size, written: found.last_modified.into() })
    }

    /// Deletes; a missing object is deleted already.
    pub async fn delete(&self, key: &Key) -> Result<(), ObjectError> {
        match self.store.delete(&key.path()).await.map_err(ObjectError::from) {
            Ok(()) => self.local.as_deref().map_or(Ok(()), |dir| local::sync_parent(dir, key)),
            Err(ObjectError::Missing(_)) => Ok(()),
            Err(e) => Err(e),
        }
    }

    /// [`Objects::delete`], and then looks.
    ///
    /// # Errors
    /// [`ObjectError::Kept`]: the store said yes, and the object is still there (a lock of its bucket, a replica that lags).
    pub async fn erase(&self, key: &Key) -> Result<(), ObjectError> {
        self.delete(key).await?;
        match self.head(key).await {
            Err(ObjectError::Missing(_)) => Ok(()),
            Ok(_) => Err(ObjectError::Kept(key.as_str().to_owned())),
            Err(e) => Err(e),
        }
    }

    /// Objects below `prefix` (whole parts), in no order. Foreign names are left out.
    pub fn list(&self, prefix: &Key) -> BoxStream<'static, Result<Head, ObjectError>> {
        self.store
            .list(Some(&prefix.path()))
            .filter_map(|it| async {
                match it {
                    Ok(it) => Key::parse(it.location.as_ref()).ok().map(|key| {
                        Ok(Head { key, bytes: it.size, written: it.last_modified.into() })
                    }),
                    Err(e) => Some(Err(e.into())),
                }
            })
            .boxed()
    }
}

/// Puts a stream into somebody else's bucket, a part at a time.
pub async fn upload(
    store: &Arc<dyn ObjectStore>,
    path: &object_store::path::Path,
    source: impl AsyncRead + Unpin + Send,
) -> Result<Put, ObjectError> {
    let mut source = Counted { source, hasher: Sha256Hasher::new(), bytes: 0, limit: u64::MAX };
    s3::put(store, path, &mut source).await?;
    Ok(Put { bytes: source.bytes, sha256: source.hasher.finish() })
}

/// A source that counts, bounds and hashes what passes.
struct Counted<R> {
    source: R,
    hasher: Sha256Hasher,
    bytes: u64,
    limit: u64,
}

impl<R: AsyncRead + Unpin> Counted<R> {
    /// Up to [`PART_BYTES`]; less only at the end, then nothing.
    async fn part(&mut self) -> Result<Bytes, ObjectError> {
        let mut part = Vec::new();
        let read = (&mut self.source)
            .take(PART_BYTES as u64)
            .read_to_end(&mut part)
            .await
            .map_err(ObjectError::Source)?;
        self.bytes = self.bytes.saturating_add(read as u64);
        if self.bytes > self.limit {
            return Err(ObjectError::TooLarge(self.limit));
        }
        self.hasher.update(&part);
        Ok(part.into())
    }
}

#[cfg(test)]
mod tests;
