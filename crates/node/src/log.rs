//! The node's own evidence log at work: facts of the store become entries, heads become checkpoints.
//!
//! Never loses an acknowledged fact: facts are durable rows first, and get their place in the log in the
//! transaction that makes that place official ([`crate::store::checkpoint::SqlRow`]). One replica at a
//! time holds the sequencer's duty; the row's fence shuts out one that lost it (house D8).
//!
//! House D15: a node behind its own witnessed head refuses to start; one whose custodians are silent
//! starts read-only (no lease, no checkpoint) until one has answered.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::sync::watch;
use tokio::task::JoinSet;

use tidm_ledger::note::{NoteError, NoteSigner, VerifierKey};
use tidm_ledger::state::Start;

use crate::app::App;
use crate::evidence::custodians::{Answer, Custodian, Http};
use crate::evidence::limits::BATCH_ENTRIES;
use crate::evidence::publisher::Publisher;
use crate::evidence::reader::Reader;
use crate::evidence::row::{CheckpointRow as _, Row};
use crate::evidence::sequencer::{Progress, Sequencer};
use crate::evidence::start;
use crate::evidence::tiles::Tiles;
use crate::evidence::witness::Witness;
use crate::store::checkpoint::SqlRow;

/// The sequencer's duty is taken for this long and renewed well before.
const DUTY: Duration = Duration::from_secs(15);
const RENEW: Duration = Duration::from_secs(4);
/// Facts are moved at most this often: nobody waits for their place, and each move takes the store from units of work.
const PACE: Duration = Duration::from_millis(25);
/// Facts are looked for this often even if nobody rang.
const LOOK: Duration = Duration::from_secs(1);

/// What the handlers see of the log.
pub struct Log {
    pub origin: String,
    pub reader: Reader,
    /// Where we watch others' logs, when we are a custodian.
    pub witness: Option<Arc<Witness>>,
    tiles: Arc<dyn Tiles>,
    custodians: Vec<Custodian>,
    quorum: usize,
    interval: Duration,
    holder: String,
    state: Mutex<State>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Ready,
    ReadOnly,
}

#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error("evidence.custodians: {0}")]
    Custodian(String),
    #[error("the evidence log may not go on: {0}")]
    Refused(String),
    #[error("the evidence log cannot be opened: {0}")]
    Open(String),
}

/// Parts that [`Log::new`] needs from the configuration and the keys.
pub struct Parts {
    pub origin: String,
    pub tiles: Arc<dyn Tiles>,
    pub custodians: Vec<(String, String)>,
    pub quorum: usize,
    pub interval: Duration,
    pub witness: Option<Witness>,
}

impl Log {
    pub fn new(parts: Parts) -> Result<Self, LogError> {
        let custodians: Result<Vec<Custodian>, LogError> = parts
            .custodians
            .iter()
            .map(|(url, vkey)| {
                Custodian::new(url, vkey).map_err(|why| LogError::Custodian(why.to_string()))
            })
            .collect();
        Ok(Self {
            origin: parts.origin,
            reader: Reader::new(parts.tiles.clone()),
            witness: parts.witness.map(Arc::new),
            tiles: parts.tiles,
            custodians: custodians?,
            quorum: parts.quorum,
            interval: parts.interval,
            holder: uuid::Uuid::now_v7().to_string(),
            state: Mutex::new(State::ReadOnly),
        })
    }

    /// May leases be granted and checkpoints signed?
    pub fn readiness(&self) -> Result<(), String> {
        match *self.state.lock().unwrap_or_else(PoisonError::into_inner) {
            State::Ready => Ok(()),
            State::ReadOnly => {
                Err("read-only: no custodian has confirmed our evidence log yet".to_owned())
            }
        }
    }

    pub fn custodians(&self) -> &[Custodian] {
        &self.custodians
    }

    pub fn quorum(&self) -> usize {
        self.quorum
    }

    fn set(&self, state: State) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }

    /// The start rule; an error means that this node must not start.
    pub async fn check(&self, app: &App) -> Result<(), LogError> {
        let row = SqlRow::new(&app.store, &self.origin)
            .load()
            .await
            .map_err(|why| LogError::Open(why.to_string()))?;
        let row = row.unwrap_or(Row { size: 0, root: tidm_ledger::tree::EMPTY_ROOT, fence: 0 });
        let http = Peers(app.client.clone());
        match start::check(row, &self.origin, &self.custodians, &http, &self.tiles).await {
            Start::Ready => {
                self.set(State::Ready);
                Ok(())
            }
            Start::ReadOnly => {
                tracing::warn!("no custodian answered: this node is read-only until one has");
                self.set(State::ReadOnly);
                Ok(())
            }
            refused @ (Start::Behind { .. } | Start::Forked { .. } | Start::Damaged { .. }) => {
                Err(LogError::Refused(format!("{refused:?}")))
            }
        }
    }
}

/// How the log's messages reach custodians.
pub struct Peers(pub crate::net::client::Client);

impl Http for Peers {
    fn get(&self, url: String) -> BoxFuture<'_, Result<Answer, String>> {
        Box::pin(self.call(reqwest::Method::GET, url, None))
    }

    fn post(&self, url: String, body: Vec<u8>) -> BoxFuture<'_, Result<Answer, String>> {
        Box::pin(self.call(reqwest::Method::POST, url, Some(body)))
    }
}

impl Peers {
    async fn call(
        &self,
        method: reqwest::Method,
        url: String,
        body: Option<Vec<u8>>,
    ) -> Result<Answer, String> {
        let mut request = self
            .0
            .request(method, &url)
            .await
            .map_err(|why| why.to_string())?
            .timeout(Duration::from_secs(5));
        if let Some(body) = body {
            request = request.body(body);
        }
        let mut response = request.send().await.map_err(|why| why.to_string())?;
        let status = response.status().as_u16();
        let header = response
            .headers()
            .get("content-type")
            .and_then(|it| it.to_str().ok())
            .unwrap_or_default();
        let media_type = header.split(';').next().unwrap_or_default().trim().to_owned();
        let mut bytes = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(|why| why.to_string())? {
            bytes.extend_from_slice(&piece);
            if bytes.len() > crate::evidence::limits::ANSWER_BYTES {
                return Err("the answer is too large".to_owned());
            }
        }
        Ok(Answer { status, media_type, body: bytes })
    }
}

/// Keeps the log going until `stop`: holds the duty, moves facts, publishes checkpoints.
pub async fn run(app: Arc<App>, mut stop: watch::Receiver<bool>) {
    let end = stop.clone();
    let mut held: Option<Held> = None;
    let mut renew = tokio::time::interval(RENEW);
    loop {
        tokio::select! {
            () = stopped(&mut stop) => break,
            _ = renew.tick() => keep_duty(&app, &mut held, &end).await,
            () = app.log_bell.notified() => {}
            () = tokio::time::sleep(LOOK) => {}
        }
        if let Some(it) = &held
            && let Err(error) = it.move_facts(&app).await
        {
            tracing::warn!(%error, "facts wait for the log; trying again");
            held = None;
        }
        tokio::time::sleep(PACE).await;
    }
    // What was acknowledged is durable; the last facts get into the log before we go.
    if let Some(it) = &held
        && let Err(error) = it.move_facts(&app).await
    {
        tracing::warn!(%error, "the last facts wait for the next start");
    }
}

/// Returns when the node stops.
pub async fn stopped(stop: &mut watch::Receiver<bool>) {
    // All senders gone means the same.
    drop(stop.wait_for(|it| *it).await);
}

/// The duty, while we hold it.
struct Held {
    sequencer: Sequencer,
    progress: watch::Receiver<Progress>,
    tasks: JoinSet<()>,
}

async fn keep_duty(app: &Arc<App>, held: &mut Option<Held>, stop: &watch::Receiver<bool>) {
    if app.log.readiness().is_err() {
        if let Err(error) = app.log.check(app).await {
            tracing::error!(%error, "leases and checkpoints stay off");
        }
        if app.log.readiness().is_err() {
            *held = None;
            return;
        }
    }
    let now = app.clock.now();
    let duty = format!("sequencer {}", app.log.origin);
    match app.store.take_duty(&duty, &app.log.holder, now, now.after(DUTY)).await {
        Ok(Some(_)) => {
            if held.as_mut().is_some_and(|it| it.is_over()) {
                *held = None;
            }
            if held.is_none() {
                match open(app, stop).await {
                    Ok(it) => *held = Some(it),
                    Err(error) => {
                        tracing::error!(%error, "the evidence log cannot be opened; trying again");
                    }
                }
            }
        }
        Ok(None) => *held = None,
        Err(error) => {
            tracing::warn!(%error, "the sequencer's duty cannot be renewed");
            *held = None;
        }
    }
}

async fn open(app: &Arc<App>, stop: &watch::Receiver<bool>) -> Result<Held, LogError> {
    let log = &app.log;
    let row = Arc::new(SqlRow::new(&app.store, &log.origin));
    let sequencer = Sequencer::open(log.tiles.clone(), row)
        .await
        .map_err(|why| LogError::Open(why.to_string()))?;
    let seed = app.keys.log().to_secret_bytes();
    let signer = NoteSigner::ed25519(&log.origin, seed.expose())
        .map_err(|why| LogError::Open(why.to_string()))?;
    let http = Arc::new(Peers(app.client.clone()));
    let publisher = Publisher::new(&sequencer, signer, log.custodians.clone(), log.quorum, http);
    let progress = publisher.progress();
    let (interval, stop) = (log.interval, stop.clone());
    let mut tasks = JoinSet::new();
    let app = app.clone();
    tasks.spawn(async move {
        if let Err(error) = publisher.run(interval, stop).await {
            // A custodian saw more of our log than we have: no lease, no checkpoint.
            tracing::error!(%error, "the evidence log stops");
            app.log.set(State::ReadOnly);
        }
    });
    Ok(Held { sequencer, progress, tasks })
}

impl Held {
    fn is_over(&mut self) -> bool {
        self.tasks.try_join_next().is_some() || self.tasks.is_empty()
    }

    /// Moves what waits; what arrives meanwhile is for the next time.
    async fn move_facts(&self, app: &App) -> anyhow::Result<()> {
        loop {
            let waiting =
                app.store.unlogged(i64::try_from(BATCH_ENTRIES).unwrap_or(i64::MAX)).await?;
            if waiting.is_empty() {
                break;
            }
            let found = waiting.len();
            let mut bytes = 0;
            let entries: Vec<Vec<u8>> = waiting
                .into_iter()
                .map(|(_, entry)| entry)
                .take_while(|entry| {
                    bytes += entry.len();
                    bytes <= crate::evidence::limits::BATCH_BYTES
                })
                .collect();
            let all = entries.len() == found && found < BATCH_ENTRIES;
            self.sequencer.append(entries).await?;
            if all {
                break;
            }
        }
        let progress = *self.progress.borrow();
        metrics::gauge!("tidm_log_size").set(progress.durable.size as f64);
        Ok(())
    }
}

/// The verifier key of a log or witness, as others configure it.
pub fn parse_vkey(text: &str) -> Result<VerifierKey, NoteError> {
    VerifierKey::parse(text)
}
