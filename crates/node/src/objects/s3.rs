//! Objects behind the S3 API.
//!
//! Never takes credentials from the environment or from a machine's metadata service: what is used is
//! what the configuration names.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use tokio::io::AsyncRead;

use super::{Counted, ObjectError, PART_BYTES};
use crate::config::S3;

pub(super) fn open(config: &S3) -> Result<AmazonS3, ObjectError> {
    let setup =
        |why: String| ObjectError::Setup(format!("{}: {why}", config.secret_file.display()));
    let found = std::fs::metadata(&config.secret_file).map_err(|e| setup(e.to_string()))?;
    if found.permissions().mode() & 0o077 != 0 {
        return Err(setup("others on this machine can read it; run chmod 600".to_owned()));
    }
    let secret = std::fs::read_to_string(&config.secret_file).map_err(|e| setup(e.to_string()))?;
    let store = AmazonS3Builder::new()
        .with_endpoint(&config.endpoint)
        .with_region(&config.region)
        .with_bucket_name(&config.bucket)
        .with_access_key_id(&config.key_id)
        .with_secret_access_key(secret.trim())
        // The configuration admits plain HTTP for loopback addresses only.
        .with_allow_http(config.endpoint.starts_with("http://"))
        .build()?;
    Ok(store)
}

/// One request for what fits in a part; beyond that a multipart upload, aborted when anything fails.
pub(super) async fn put(
    store: &Arc<dyn ObjectStore>,
    path: &Path,
    source: &mut Counted<impl AsyncRead + Unpin + Send>,
) -> Result<(), ObjectError> {
    let first = source.part().await?;
    if first.len() < PART_BYTES {
        store.put(path, first.into()).await?;
        return Ok(());
    }
    let mut upload = store.put_multipart(path).await?;
    let sent = async {
        upload.put_part(PutPayload::from(first)).await?;
        loop {
            let part = source.part().await?;
            if part.is_empty() {
                break;
            }
            upload.put_part(PutPayload::from(part)).await?;
        }
        upload.complete().await?;
        Ok(())
    }
    .await;
    if sent.is_err()
        && let Err(error) = upload.abort().await
    {
        tracing::warn!(%error, "an unfinished upload stays in the bucket; its lifecycle rule should remove it");
    }
    sent
}
