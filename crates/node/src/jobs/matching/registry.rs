//! Matchings whose process runs here now.
//!
//! Never kept beyond the process of this node: what must survive is a row.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use tidm_compute::job::order::Report;
use tidm_compute::job::progress::{Moved, Told, Traffic};

use super::WORKERS;
use super::tally::{TABLE, Tally};

/// Connections of one matching at a time: the workers', and some that are being replaced.
const STREAMS: usize = 2 * WORKERS as usize;

/// Matchings that compute at a time for each role: each has up to [`WORKERS`] processes and one more, and up to
/// `limits.matching_mib` of memory. Two counts, so that two nodes that ask each other never wait for one another.
const PLACES: usize = 8;

pub struct Matchings {
    entries: Mutex<HashMap<String, Arc<Live>>>,
    asking: Arc<Semaphore>,
    serving: Arc<Semaphore>,
    /// Held while a session's row is looked at and written: a message that is repeated meanwhile finds the row.
    door: tokio::sync::Mutex<()>,
}

impl Default for Matchings {
    fn default() -> Self {
        let places = || Arc::new(Semaphore::new(PLACES));
        Self {
            entries: Mutex::default(),
            asking: places(),
            serving: places(),
            door: tokio::sync::Mutex::default(),
        }
    }
}

/// One that runs.
pub struct Live {
    /// Where our process takes connections, or where it is waited for.
    pub socket: PathBuf,
    pub streams: Semaphore,
    /// Bytes of tables that left and came, and downloads that were begun.
    gave: AtomicU64,
    fetched: AtomicU64,
    downloads: AtomicU32,
    told: Mutex<Option<Told>>,
    /// What its process moved, by kind.
    moved: Mutex<Traffic>,
    /// Where that is written down.
    tally: Mutex<Option<Tally>>,
    cancel: watch::Sender<bool>,
}

/// The right to run it; given back when dropped.
pub struct Turn {
    all: Arc<Matchings>,
    id: String,
    pub live: Arc<Live>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.all.entries().remove(&self.id);
        if let Some(folder) = self.live.socket.parent()
            && let Err(error) = std::fs::remove_dir_all(folder)
        {
            tracing::debug!(%error, "the folder of a socket stays behind");
        }
    }
}

impl Matchings {
    fn entries(&self) -> MutexGuard<'_, HashMap<String, Arc<Live>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `None`: it runs already.
    ///
    /// # Errors
    /// Where no socket can be laid.
    pub fn begin(self: &Arc<Self>, id: &str) -> std::io::Result<Option<Turn>> {
        let mut entries = self.entries();
        if entries.contains_key(id) {
            return Ok(None);
        }
        // A socket's path is short (sun_path): not below the node's own directory, which may lie deep.
        let folder = std::env::temp_dir().join(format!("tidm-{}", uuid::Uuid::now_v7().simple()));
        use std::os::unix::fs::DirBuilderExt as _;
        std::fs::DirBuilder::new().mode(0o700).create(&folder)?;
        let live = Arc::new(Live {
            socket: folder.join("s"),
            streams: Semaphore::new(STREAMS),
            gave: AtomicU64::new(0),
            fetched: AtomicU64::new(0),
            downloads: AtomicU32::new(0),
            told: Mutex::default(),
            moved: Mutex::default(),
            tally: Mutex::default(),
            cancel: watch::Sender::new(false),
        });
        entries.insert(id.to_owned(), live.clone());
        Ok(Some(Turn { all: self.clone(), id: id.to_owned(), live }))
    }

    /// A place to compute as the consumer, once there is one; `None` never comes, the places are not closed.
    pub async fn asking(&self) -> Option<OwnedSemaphorePermit> {
        self.asking.clone().acquire_owned().await.ok()
    }

    /// A place to compute as the provider; `None` where all are taken.
    pub fn serving(&self) -> Option<OwnedSemaphorePermit> {
        self.serving.clone().try_acquire_owned().ok()
    }

    /// One at a time writes rows of sessions that a peer's message is about.
    pub async fn door(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.door.lock().await
    }

    pub fn live(&self, id: &str) -> Option<Arc<Live>> {
        self.entries().get(id).cloned()
    }

    /// How far it is.
    pub fn told(&self, id: &str) -> Option<Told> {
        self.live(id)?.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Stops it; `false` where it does not run here.
    pub fn cancel(&self, id: &str) -> bool {
        self.live(id).map(|it| it.cancel.send_replace(true)).is_some()
    }
}

impl Live {
    pub fn tell(&self, told: Told) {
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) = Some(told);
    }

    /// Writes down from here on what moves, for who comes after a kill of this node.
    pub(super) fn write_down(&self, tally: Tally) {
        *self.tally.lock().unwrap_or_else(PoisonError::into_inner) = Some(tally);
    }

    /// Of each kind the most that was said counts: a process only ever adds to it.
    pub fn moved(&self, traffic: Traffic) {
        let mut all = self.moved.lock().unwrap_or_else(PoisonError::into_inner);
        for (kind, said) in traffic {
            let it = all.entry(kind).or_default();
            it.sent = it.sent.max(said.sent);
            it.received = it.received.max(said.received);
        }
        drop(all);
        self.tell_tally();
    }

    fn tell_tally(&self) {
        let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tally) = tally.as_mut().filter(|it| it.is_due()) {
            let table = (self.gave.load(Ordering::Relaxed), self.fetched.load(Ordering::Relaxed));
            let moved = self.moved.lock().unwrap_or_else(PoisonError::into_inner).clone();
            tally.write(with_table(moved, table));
        }
    }

    /// What its process moved, by kind, which is forgotten; with what of a table left and came.
    pub(super) fn take_moved(&self) -> Traffic {
        let moved = std::mem::take(&mut *self.moved.lock().unwrap_or_else(PoisonError::into_inner));
        let table = (self.gave.swap(0, Ordering::Relaxed), self.fetched.swap(0, Ordering::Relaxed));
        with_table(moved, table)
    }

    /// Bytes of a table left for the peer.
    pub fn gave(&self, bytes: usize) {
        self.gave.fetch_add(bytes as u64, Ordering::Relaxed);
        self.tell_tally();
    }

    /// Bytes of the peer's table came.
    pub fn fetched(&self, bytes: usize) {
        self.fetched.fetch_add(bytes as u64, Ordering::Relaxed);
        self.tell_tally();
    }

    /// One more download of the table; `false`: there were enough.
    pub fn downloads(&self, most: u32) -> bool {
        self.downloads.fetch_add(1, Ordering::Relaxed) < most
    }

    /// What left and came by all that was said, and besides the process's own words, into its report.
    pub(super) fn add_to(&self, report: &mut Report) {
        let table = (self.gave.load(Ordering::Relaxed), self.fetched.load(Ordering::Relaxed));
        let moved = self.moved.lock().unwrap_or_else(PoisonError::into_inner).clone();
        report.traffic = with_table(moved, table);
        report.sent = report.traffic.values().map(|it| it.sent).sum();
        report.received = report.traffic.values().map(|it| it.received).sum();
    }

    /// Returns when somebody stopped it.
    pub async fn cancelled(&self) {
        let mut cancel = self.cancel.subscribe();
        // The sender lives as long as `self`.
        drop(cancel.wait_for(|it| *it).await);
    }
}

fn with_table(mut moved: Traffic, (sent, received): (u64, u64)) -> Traffic {
    if sent > 0 || received > 0 {
        moved.insert(TABLE.to_owned(), Moved { sent, received });
    }
    moved
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_runs_at_a_time_and_can_be_stopped() {
        let all = Arc::<Matchings>::default();
        let turn = all.begin("a").unwrap().unwrap();
        assert!(all.begin("a").unwrap().is_none());
        let folder = turn.live.socket.parent().unwrap().to_owned();
        assert!(folder.is_dir());
        assert!(!all.cancel("b"));
        assert!(all.cancel("a"));
        turn.live.cancelled().await;
        turn.live.write_down(Tally::new(&folder, 2));
        for (sent, received) in [(5, 0), (3, 7), (9, 2)] {
            turn.live.moved(Traffic::from([("okvs".to_owned(), Moved { sent, received })]));
        }
        turn.live.gave(4);
        let found = crate::jobs::matching::tally::found(&folder).unwrap();
        assert_eq!((found.attempt, found.traffic["okvs"].sent), (2, 5), "once a second");
        let kinds = turn.live.take_moved();
        let moved = |kind: &str| kinds.get(kind).map(|it| (it.sent, it.received));
        assert_eq!((moved("okvs"), moved("table")), (Some((9, 7)), Some((4, 0))));
        assert!(turn.live.take_moved().is_empty());
        drop(turn);
        assert!(!folder.exists());
        assert!(all.begin("a").unwrap().is_some());
        let places: Vec<_> = (0..PLACES).map(|_| all.serving().unwrap()).collect();
        assert!(all.serving().is_none());
        assert!(all.asking().await.is_some(), "who serves as much as it may can still ask");
        drop(places);
        assert!(all.serving().is_some());
    }
}
