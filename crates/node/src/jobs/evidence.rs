//! Proofs that leave the node, and the custodian's copy of others' logs.
//!
//! Never a receipt for a fact that is not under a published checkpoint: published means cosigned by the
//! quorum. A mirror keeps hashes alone, and calls them good only when they make the cosigned root.

pub mod verify;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;

use tidm_ledger::checkpoint::SignedCheckpoint;
use tidm_ledger::limits::{MAX_EXTRA_BYTES, TILE_WIDTH};
use tidm_ledger::note::VerifierKey;
use tidm_ledger::tile::{TileKind, TilePath};
use tidm_ledger::tree::{Frontier, Hash};
use tidm_ledger::witness::monitor_path;
use tidm_space::id::Id;

use crate::app::App;
use crate::evidence::reader::ReadError;
use crate::log::parse_vkey;

/// How long a receipt waits until its fact is witnessed.
const WAIT: Duration = Duration::from_secs(10);
/// How often it looks.
const LOOK: Duration = Duration::from_millis(100);
/// Pause between two rounds of mirroring.
const AGAIN: Duration = Duration::from_secs(60);
/// A tile has 8 KiB; one that takes longer is fetched in the next round.
const FETCH: Duration = Duration::from_secs(10);

#[derive(Debug, thiserror::Error)]
pub enum ReceiptError {
    #[error("there is no fact {0}")]
    Unknown(Id),
    /// Not enough custodians answered: the fact is durable, its receipt comes later.
    #[error("the fact is durable, but not witnessed within {} s: ask again later", WAIT.as_secs())]
    NotWitnessed,
    #[error(transparent)]
    Log(#[from] ReadError),
    #[error(transparent)]
    Store(#[from] crate::store::StoreError),
}

/// The `.tlog-proof` text of a fact, and the fact's bytes. The bytes are in the proof's `extra` line too if they
/// fit, so that one file suffices offline.
pub async fn receipt(app: &App, fact: &Id) -> Result<(String, Vec<u8>), ReceiptError> {
    let started = tokio::time::Instant::now();
    loop {
        let entry =
            app.store.fact_entry(fact).await?.ok_or_else(|| ReceiptError::Unknown(fact.clone()))?;
        if let Some(index) = entry.index {
            let extra = (entry.bytes.len() <= MAX_EXTRA_BYTES).then(|| entry.bytes.clone());
            match app.log.reader.receipt(index, extra).await {
                Ok(receipt) => return Ok((receipt.to_string(), entry.bytes)),
                // No checkpoint yet, or an older one.
                Err(ReadError::NotYet { .. } | ReadError::Absent) => {}
                Err(error) => return Err(error.into()),
            }
        }
        if started.elapsed() >= WAIT {
            return Err(ReceiptError::NotWitnessed);
        }
        app.log_bell.notify_one();
        tokio::time::sleep(LOOK).await;
    }
}

/// Mirrors until dropped; returns at once where we watch nobody.
pub async fn run_mirror(app: Arc<App>) {
    if app.log.witness.is_none() || app.config.evidence.watched.is_empty() {
        return;
    }
    loop {
        for (origin, done) in mirror(&app).await {
            match done {
                Ok(size) => metrics::gauge!("tidm_mirror_size", "log" => origin).set(size as f64),
                Err(error) => {
                    metrics::counter!("tidm_mirror_failures_total").increment(1);
                    tracing::warn!(
                        origin,
                        error = format!("{error:#}"),
                        "a watched log could not be mirrored"
                    );
                }
            }
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Brings the copy of every watched log up to the head that we cosigned: (origin, entries covered).
pub async fn mirror(app: &App) -> Vec<(String, anyhow::Result<u64>)> {
    let mut all = Vec::new();
    for text in &app.config.evidence.watched {
        let Ok(key) = parse_vkey(text) else { continue };
        let done = mirror_one(app, &key).await;
        all.push((key.name().to_owned(), done));
    }
    all
}

/// Where the copy of a log lies: `mirror/<hex sha256(origin)>/` with `checkpoint` and `tile/0/…`.
pub fn mirror_dir(app: &App, origin: &str) -> PathBuf {
    let name = monitor_path(origin);
    app.config.node.data.join("mirror").join(name.trim_end_matches("/checkpoint"))
}

async fn mirror_one(app: &App, key: &VerifierKey) -> anyhow::Result<u64> {
    let origin = key.name();
    let Some(witness) = app.log.witness.clone() else { anyhow::bail!("this node is no witness") };
    let path = monitor_path(origin);
    let hash = path.trim_end_matches("/checkpoint").to_owned();
    let cosigned = tokio::task::spawn_blocking(move || witness.checkpoint(&hash)).await??;
    let Some(cosigned) = cosigned else { return Ok(0) };
    let head = SignedCheckpoint::parse_bytes(&cosigned)?;
    let (size, root) = (head.checkpoint().size(), head.checkpoint().root());
    let dir = mirror_dir(app, origin);
    if tokio::fs::read(dir.join("checkpoint")).await.is_ok_and(|old| size_of(&old) == Some(size)) {
        return Ok(size);
    }
    let base = log_url(app, origin)?;
    let mut frontier = Frontier::new();
    let mut tile = 0;
    while let Some(path) = TilePath::in_tree(TileKind::Hash(0), tile, size) {
        let bytes = level_zero(app, &dir, &base, path).await?;
        for leaf in bytes.as_chunks::<32>().0 {
            frontier.append(Hash::from(*leaf));
        }
        tile += 1;
    }
    if frontier.size() != size || frontier.root() != root {
        // Either the log serves something else than it signed, or our copy was changed: fetch all again next time.
        let aside = dir.with_extension("rejected");
        if tokio::fs::remove_dir_all(&aside).await.is_err() {
            tracing::debug!(origin, "no older rejected copy");
        }
        tokio::fs::rename(&dir, &aside).await.context("the rejected copy cannot be set aside")?;
        anyhow::bail!(
            "the hashes it serves make the root {} at {} entries, it signed {root} at {size}: kept at {} as evidence",
            frontier.root(),
            frontier.size(),
            aside.display()
        );
    }
    write(&dir.join("checkpoint"), &cosigned).await?;
    tracing::info!(origin, size, "mirrored the hashes of a watched log");
    Ok(size)
}

fn size_of(checkpoint: &[u8]) -> Option<u64> {
    SignedCheckpoint::parse_bytes(checkpoint).ok().map(|it| it.checkpoint().size())
}

/// A level-0 tile: our copy if it is full, else fetched and, if full, kept.
async fn level_zero(app: &App, dir: &Path, base: &str, path: TilePath) -> anyhow::Result<Vec<u8>> {
    let file = dir.join(path.to_string());
    let length = usize::from(path.width()) * 32;
    if let Ok(bytes) = tokio::fs::read(&file).await
        && bytes.len() == length
    {
        return Ok(bytes);
    }
    let bytes = match fetch(app, &format!("{base}/{path}")).await {
        Ok(bytes) => bytes,
        // A partial tile may be gone once the full one is there (tlog-tiles).
        Err(_) if path.width() < TILE_WIDTH => {
            fetch(app, &format!("{base}/{}", path.full())).await?
        }
        Err(error) => return Err(error),
    };
    let bytes = bytes.get(..length).with_context(|| format!("{path} is too short"))?.to_vec();
    write(&file, &bytes).await?;
    Ok(bytes)
}

async fn fetch(app: &App, url: &str) -> anyhow::Result<Vec<u8>> {
    let call = app.client.call(reqwest::Method::GET, url, None, None);
    let answer = tokio::time::timeout(FETCH, call).await.context("it takes too long")??;
    anyhow::ensure!(answer.status.is_success(), "{url} answers {}", answer.status);
    Ok(answer.body)
}

/// Whole or not at all.
async fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    if let Some(parent) = path.parent() {
        tokio::fs::create_dir_all(parent).await?;
    }
    let partial = path.with_extension("partial");
    tokio::fs::write(&partial, bytes).await?;
    tokio::fs::rename(&partial, path).await?;
    Ok(())
}

/// Where a node serves its log: at the host that begins its origin, below `/log`.
fn log_url(app: &App, origin: &str) -> anyhow::Result<String> {
    let host = origin
        .split('/')
        .next()
        .filter(|it| !it.is_empty())
        .context("the log's origin names no host")?;
    let name = host.split(':').next().unwrap_or_default();
    let local = name == "localhost" || name == "127.0.0.1";
    let plain = local && matches!(app.config.http.security, crate::config::Security::Plain);
    Ok(format!("{}://{host}/log", if plain { "http" } else { "https" }))
}
