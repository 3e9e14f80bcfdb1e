//! Signs the durable head, collects cosignatures, publishes the checkpoint.
//!
//! Must never sign a head that is not the row's: heads come from the sequencer's watch, which moves only
//! after the compare-and-set is durable. Must never publish below the quorum, nor a smaller checkpoint
//! than before.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use tidm_ledger::checkpoint::{Checkpoint, CheckpointError, SignedCheckpoint};
use tidm_ledger::note::NoteSigner;
use tokio::sync::watch;

use super::custodians::{Custodian, CustodianError, Http};
use super::reader::CHECKPOINT;
use super::row::Row;
use super::sequencer::{Progress, Sequencer};
use super::tiles::{Tiles, TilesError};

#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    #[error(transparent)]
    Tiles(#[from] TilesError),
    /// Final: a custodian saw more of our log than we have. The node must become read-only.
    #[error(transparent)]
    Behind(CustodianError),
    #[error("a worker thread stopped")]
    Thread,
}

/// The one publisher of a log.
pub struct Publisher {
    tiles: Arc<dyn Tiles>,
    durable: watch::Receiver<Row>,
    signer: NoteSigner,
    watchers: Vec<Watcher>,
    quorum: usize,
    http: Arc<dyn Http>,
    current: Option<SignedCheckpoint>,
    progress: watch::Sender<Progress>,
}

struct Watcher {
    custodian: Custodian,
    /// What it saw last.
    known: u64,
    /// Whether it cosigned `current`.
    signed: bool,
}

impl Publisher {
    /// `signer`'s name is the log's origin; `quorum` is at most the number of custodians.
    pub fn new(
        sequencer: &Sequencer,
        signer: NoteSigner,
        custodians: Vec<Custodian>,
        quorum: usize,
        http: Arc<dyn Http>,
    ) -> Self {
        let durable = sequencer.durable();
        let progress = Progress { durable: *durable.borrow(), signed: 0, witnessed: 0 };
        let watchers: Vec<_> = custodians
            .into_iter()
            .map(|custodian| Watcher { custodian, known: 0, signed: false })
            .collect();
        Self {
            tiles: sequencer.tiles(),
            durable,
            signer,
            quorum: quorum.min(watchers.len()),
            watchers,
            http,
            current: None,
            progress: watch::channel(progress).0,
        }
    }

    /// How far the log is; wakes at every change that this publisher makes.
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// Publishes every `interval` until `stop` is true or all its senders are gone.
    pub async fn run(
        mut self,
        interval: Duration,
        mut stop: watch::Receiver<bool>,
    ) -> Result<(), PublishError> {
        let mut clock = tokio::time::interval(interval);
        clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = clock.tick() => {}
                stopped = stop.wait_for(|it| *it) => {
                    drop(stopped);
                    return Ok(());
                }
            }
            match self.once().await {
                Ok(_) => {}
                Err(error @ PublishError::Behind(_)) => return Err(error),
                Err(error) => {
                    tracing::warn!(%error, "the checkpoint could not be published; trying again");
                }
            }
        }
    }

    /// One round: sign if the head moved, ask whoever has not cosigned it, publish at quorum.
    pub async fn once(&mut self) -> Result<Progress, PublishError> {
        let row = *self.durable.borrow_and_update();
        let fresh = self.current.as_ref().is_none_or(|it| it.checkpoint().size() != row.size);
        let mut checkpoint = match self.current.take().filter(|_| !fresh) {
            Some(it) => it,
            None => {
                self.watchers.iter_mut().for_each(|it| it.signed = false);
                Checkpoint::new(self.signer.verifier().name(), row.size, row.root)?
                    .sign(&self.signer)?
            }
        };
        let added = self.ask(&mut checkpoint).await?;
        let cosigned = self.watchers.iter().filter(|it| it.signed).count();
        self.current = Some(checkpoint.clone());
        let reached = cosigned >= self.quorum;
        if reached && (fresh || added) {
            let (tiles, text) = (self.tiles.clone(), checkpoint.to_string().into_bytes());
            let put = tokio::task::spawn_blocking(move || {
                tiles.put_all(&[(CHECKPOINT.to_owned(), text)])
            });
            if let Err(error) = put
                .await
                .map_err(|_| PublishError::Thread)
                .and_then(|it| it.map_err(PublishError::from))
            {
                // Sign and publish again next time.
                self.current = None;
                return Err(error);
            }
        }
        let before = *self.progress.borrow();
        let witnessed = if reached && self.quorum > 0 { row.size } else { before.witnessed };
        let now = Progress { durable: row, signed: row.size, witnessed };
        self.progress.send_if_modified(|it| std::mem::replace(it, now) != now);
        Ok(now)
    }

    /// Asks in parallel; adds what came. Whether anything did.
    async fn ask(&mut self, checkpoint: &mut SignedCheckpoint) -> Result<bool, PublishError> {
        let plain = (&*checkpoint, self.signer.verifier());
        let (http, tiles) = (&*self.http, &self.tiles);
        let missing = self.watchers.iter_mut().filter(|it| !it.signed);
        let answers = join_all(missing.map(async |it| {
            let answer = it.custodian.cosign(http, tiles, plain, &mut it.known).await;
            it.signed = answer.is_ok();
            answer
        }))
        .await;
        let mut added = false;
        for answer in answers {
            match answer {
                Ok(line) => {
                    checkpoint.add(line).map_err(CheckpointError::from)?;
                    added = true;
                }
                Err(error @ CustodianError::Ahead { .. }) => {
                    return Err(PublishError::Behind(error));
                }
                Err(error) => {
                    metrics::counter!("tidm_evidence_custodian_failures_total").increment(1);
                    tracing::warn!(%error, "no cosignature");
                }
            }
        }
        Ok(added)
    }
}
