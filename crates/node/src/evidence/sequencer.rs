//! The one writer of the log: batches entries, makes tiles durable, then moves the row.
//!
//! Group commit without a timer: whatever waits when the last commit ends goes into the next one. An idle
//! log answers after one commit; a busy one fills its batches.
//!
//! Must never answer before the row is durable, and never move the row before the tiles are. After an
//! error nobody knows what was persisted, so the writer forgets what it knew and loads the row again.

use std::ops::Range;
use std::sync::Arc;

use tidm_ledger::limits::MAX_ENTRY_BYTES;
use tidm_ledger::tile::{Edge, LoadError, append_plan};
use tidm_ledger::tree::{EMPTY_ROOT, Hash, leaf_hash};
use tokio::sync::{mpsc, oneshot, watch};

use super::limits::{BATCH_BYTES, BATCH_ENTRIES, QUEUE, RELOAD_PAUSE};
use super::row::{CheckpointRow, Row, RowError};
use super::tiles::{Source, Tiles, TilesError};

/// Why entries were not appended, or cannot be said to be.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AppendError {
    /// Nothing was appended: log the hash of what is so long.
    #[error("entry {position} has {bytes} bytes, a log entry at most {MAX_ENTRY_BYTES}")]
    TooLong { position: usize, bytes: usize },
    /// Nothing was appended: split the call.
    #[error("at most {BATCH_ENTRIES} entries or {BATCH_BYTES} bytes can be appended at once")]
    TooMany,
    /// Maybe appended. Look for the entries' leaf hashes before appending them again.
    #[error(
        "the log could not be written ({0}); whether the entries are in it will be known after a reload"
    )]
    Uncertain(String),
    /// Another sequencer took over; this one is finished. Nothing was appended.
    #[error("another replica is the sequencer now")]
    Superseded,
    /// The sequencer has ended.
    #[error("the sequencer has stopped")]
    Stopped,
}

/// Why the log cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    Row(#[from] RowError),
    #[error(
        "the log's files do not fit its checkpoint: {0}; restore them, or rebuild them from the entry bundles"
    )]
    Tiles(#[from] LoadError),
    #[error(
        "the log's files give the root {found} at {size} entries, the checkpoint row says {expected}: restore a newer copy of the files"
    )]
    Root { size: u64, found: Hash, expected: Hash },
    #[error("another sequencer opened the log at the same moment; try again")]
    Race,
    #[error("a worker thread stopped")]
    Thread,
}

/// How far the log is, in entries. Each bound is at most the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Head that is durable in the row.
    pub durable: Row,
    /// Entries under a checkpoint that we signed.
    pub signed: u64,
    /// Entries under a checkpoint that the quorum cosigned.
    pub witnessed: u64,
}

struct Append {
    entries: Vec<Vec<u8>>,
    bytes: usize,
    answer: oneshot::Sender<Result<Range<u64>, AppendError>>,
}

/// Handle to the running sequencer. Cheap to clone; when all are dropped it ends.
#[derive(Clone)]
pub struct Sequencer {
    queue: mpsc::Sender<Append>,
    durable: watch::Receiver<Row>,
    tiles: Arc<dyn Tiles>,
}

impl Sequencer {
    /// Opens the log, fences out every earlier sequencer and starts the writer on the current runtime.
    ///
    /// Refuses when the files are behind or beside the row. Whether the row itself is behind what
    /// custodians saw is asked before ([`super::start`]).
    pub async fn open(
        tiles: Arc<dyn Tiles>,
        row: Arc<dyn CheckpointRow>,
    ) -> Result<Self, OpenError> {
        let found = row.load().await?;
        let (size, root, fence) =
            found.map_or((0, EMPTY_ROOT, 0), |it| (it.size, it.root, it.fence));
        let mine = Row { size, root, fence: fence.saturating_add(1) };
        let edge = load(&tiles, mine).await?;
        if !row.compare_and_set(found, mine, &[]).await? {
            return Err(OpenError::Race);
        }
        let (queue, waiting) = mpsc::channel(QUEUE);
        let (moved, durable) = watch::channel(mine);
        let writer = Writer { tiles: tiles.clone(), row, at: mine, edge: Some(edge), moved };
        drop(tokio::spawn(writer.run(waiting)));
        Ok(Self { queue, durable, tiles })
    }

    /// Appends `entries` in their order; the range of their indexes once they are durable.
    ///
    /// At most [`BATCH_ENTRIES`] and [`BATCH_BYTES`] a call; callers wait when the queue is full.
    pub async fn append(&self, entries: Vec<Vec<u8>>) -> Result<Range<u64>, AppendError> {
        if let Some((position, it)) =
            entries.iter().enumerate().find(|(_, it)| it.len() > MAX_ENTRY_BYTES)
        {
            return Err(AppendError::TooLong { position, bytes: it.len() });
        }
        let bytes = entries.iter().map(Vec::len).sum();
        if entries.len() > BATCH_ENTRIES || bytes > BATCH_BYTES {
            return Err(AppendError::TooMany);
        }
        let (answer, answered) = oneshot::channel();
        let request = Append { entries, bytes, answer };
        self.queue.send(request).await.map_err(|_| AppendError::Stopped)?;
        answered.await.map_err(|_| AppendError::Stopped)?
    }

    /// The durable head; wakes whenever it moves.
    pub fn durable(&self) -> watch::Receiver<Row> {
        self.durable.clone()
    }

    /// The files, for a [`super::reader::Reader`] or a [`super::publisher::Publisher`].
    pub fn tiles(&self) -> Arc<dyn Tiles> {
        self.tiles.clone()
    }
}

struct Writer {
    tiles: Arc<dyn Tiles>,
    row: Arc<dyn CheckpointRow>,
    at: Row,
    /// `None` after an error: what is durable must be looked up first.
    edge: Option<Edge>,
    moved: watch::Sender<Row>,
}

impl Writer {
    async fn run(mut self, mut waiting: mpsc::Receiver<Append>) {
        while let Some(first) = waiting.recv().await {
            let batch = gather(first, &mut waiting);
            let entries = batch.iter().map(|it| it.entries.len()).sum::<usize>();
            let started = std::time::Instant::now();
            let done = self.commit(batch).await;
            metrics::histogram!("tidm_evidence_commit_seconds")
                .record(started.elapsed().as_secs_f64());
            match done {
                Ok(()) => {
                    metrics::counter!("tidm_evidence_entries_total").increment(entries as u64);
                }
                Err(AppendError::Superseded) => {
                    tracing::info!("another replica writes the evidence log now");
                    return;
                }
                Err(error) => {
                    tracing::error!(%error, "evidence log");
                    self.edge = None;
                    tokio::time::sleep(RELOAD_PAUSE).await;
                }
            }
        }
    }

    /// Appends one batch and answers every request in it, all with the same outcome.
    async fn commit(&mut self, batch: Vec<Append>) -> Result<(), AppendError> {
        let mut entries = Vec::new();
        let mut answers = Vec::with_capacity(batch.len());
        for it in batch {
            let first = entries.len() as u64;
            entries.extend(it.entries);
            answers.push((first..entries.len() as u64, it.answer));
        }
        let done = self.write(entries).await;
        for (range, answer) in answers {
            let said = done.clone().map(|base| base + range.start..base + range.end);
            // Who asked may have gone; the entries stay.
            drop(answer.send(said));
        }
        done.map(|_| ())
    }

    /// Tiles, then row, then the head moves. Returns the index of the first entry.
    async fn write(&mut self, entries: Vec<Vec<u8>>) -> Result<u64, AppendError> {
        let uncertain = |e: &dyn std::fmt::Display| AppendError::Uncertain(e.to_string());
        let edge = match self.edge.take() {
            Some(edge) => edge,
            None => self.reload().await?,
        };
        let base = self.at.size;
        let tiles = self.tiles.clone();
        let planned = tokio::task::spawn_blocking(move || {
            let leaves: Vec<Hash> = entries.iter().map(|it| leaf_hash(it)).collect();
            let (edge, writes) =
                append_plan(&edge, &entries).map_err(|e| TilesError(e.to_string()))?;
            let full: Vec<_> =
                writes.iter().map(|(path, _)| *path).filter(|it| it.is_full()).collect();
            let files: Vec<_> =
                writes.into_iter().map(|(path, bytes)| (path.to_string(), bytes)).collect();
            tiles.put_all(&files)?;
            Ok::<_, TilesError>((edge, leaves, full))
        });
        let (edge, leaves, full) =
            planned.await.map_err(|e| uncertain(&e))?.map_err(|e| uncertain(&e))?;
        let next = Row { size: edge.size(), root: edge.root(), fence: self.at.fence };
        match self.row.compare_and_set(Some(self.at), next, &leaves).await {
            Ok(true) => {}
            Ok(false) => return Err(AppendError::Superseded),
            Err(e) => return Err(uncertain(&e)),
        }
        self.at = next;
        self.edge = Some(edge);
        self.moved.send_replace(next);
        if !full.is_empty() {
            // Only now: before, a partial tile may be all that the last checkpoint has.
            let tiles = self.tiles.clone();
            drop(tokio::task::spawn_blocking(move || full.iter().for_each(|it| tiles.prune(it))));
        }
        Ok(base)
    }

    /// After an error: what does the row say, and is it still ours?
    async fn reload(&mut self) -> Result<Edge, AppendError> {
        let uncertain = |e: &dyn std::fmt::Display| AppendError::Uncertain(e.to_string());
        let found = self.row.load().await.map_err(|e| uncertain(&e))?;
        let found = found.filter(|it| it.fence == self.at.fence).ok_or(AppendError::Superseded)?;
        let edge = load(&self.tiles, found).await.map_err(|e| uncertain(&e))?;
        self.at = found;
        self.moved.send_replace(found);
        Ok(edge)
    }
}

/// The first request and what waits behind it, up to the bounds of one commit.
fn gather(first: Append, waiting: &mut mpsc::Receiver<Append>) -> Vec<Append> {
    let (mut entries, mut bytes) = (first.entries.len(), first.bytes);
    let mut batch = vec![first];
    while entries < BATCH_ENTRIES && bytes < BATCH_BYTES {
        let Ok(next) = waiting.try_recv() else { break };
        entries = entries.saturating_add(next.entries.len());
        bytes = bytes.saturating_add(next.bytes);
        batch.push(next);
    }
    batch
}

/// The edge of the log that `row` describes, its root compared.
async fn load(tiles: &Arc<dyn Tiles>, row: Row) -> Result<Edge, OpenError> {
    let source = Source(tiles.clone());
    let loaded = tokio::task::spawn_blocking(move || Edge::load(row.size, &source)).await;
    let edge = loaded.map_err(|_| OpenError::Thread)??;
    if edge.root() == row.root {
        Ok(edge)
    } else {
        Err(OpenError::Root { size: row.size, found: edge.root(), expected: row.root })
    }
}
