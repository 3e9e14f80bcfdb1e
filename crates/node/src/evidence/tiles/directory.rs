//! The log's files in a directory, durable by one fdatasync a batch.
//!
//! A batch goes to the journal first (one write, one fdatasync), then to its files without sync. When the
//! journal has grown, a new one is begun and the old is dropped after the file system was synced in the
//! background. At start the journals are replayed: writing a tile again is always right.
//!
//! Layout: `tile/…` and `checkpoint` may be published as they are; `journal/` and `tmp/` may not.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;

use tidm_ledger::tile::TilePath;

use super::journal::{self, Journal};
use super::{File, Tiles, TilesError};
use crate::evidence::limits::JOURNAL_BYTES;

pub struct Directory {
    dir: PathBuf,
    state: Mutex<State>,
}

struct State {
    journal: Journal,
    /// Syncs the file system, then drops older journals.
    retiring: Option<JoinHandle<io::Result<()>>>,
    /// Names of temporary files.
    counter: u64,
    /// After a failed append the journal's tail is unknown: what follows goes into a new one.
    broken: bool,
}

impl Directory {
    /// Opens or makes `dir`, replays what a crash left, and starts a new journal.
    pub fn open(dir: &Path) -> Result<Self, TilesError> {
        Self::start(dir).map_err(|e| TilesError(format!("{}: {e}", dir.display())))
    }

    fn start(dir: &Path) -> io::Result<Self> {
        use std::os::unix::fs::DirBuilderExt;
        let (journals, tmp) = (dir.join("journal"), dir.join("tmp"));
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&journals)?;
        match fs::remove_dir_all(&tmp) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            Ok(()) | Err(_) => fs::create_dir(&tmp)?,
        }
        let old = journal::list(&journals)?;
        let mut counter = 0;
        for (_, path) in &old {
            for record in journal::parse(&fs::read(path)?) {
                place(dir, &record, &mut counter)?;
            }
        }
        sync_all(dir)?;
        let number = old.last().map_or(0, |(it, _)| it.saturating_add(1));
        let journal = Journal::create(&journals, number)?;
        for (_, path) in old {
            fs::remove_file(path)?;
        }
        let state = State { journal, retiring: None, counter, broken: false };
        Ok(Self { dir: dir.to_owned(), state: Mutex::new(state) })
    }

    fn write(&self, state: &mut State, files: &[File]) -> io::Result<()> {
        if state.broken {
            self.begin(state)?;
        }
        state.broken = true;
        state.journal.append(files)?;
        state.broken = false;
        place(&self.dir, files, &mut state.counter)?;
        if state.journal.bytes() >= JOURNAL_BYTES {
            self.rotate(state)?;
        }
        Ok(())
    }

    /// Goes on in a new journal.
    fn begin(&self, state: &mut State) -> io::Result<()> {
        let number = state.journal.number().saturating_add(1);
        state.journal = Journal::create(&self.dir.join("journal"), number)?;
        state.broken = false;
        Ok(())
    }

    /// Begins a new journal; all older ones are dropped once their files are synced.
    fn rotate(&self, state: &mut State) -> io::Result<()> {
        if let Some(busy) = state.retiring.take_if(|it| it.is_finished()) {
            busy.join().map_err(|_| io::Error::other("syncing stopped"))??;
        }
        if state.retiring.is_some() {
            return Ok(());
        }
        self.begin(state)?;
        let (dir, current) = (self.dir.clone(), state.journal.number());
        state.retiring = Some(std::thread::spawn(move || {
            sync_all(&dir)?;
            // Oldest first: were an old one left alone, its replay would undo what newer ones wrote.
            for (number, path) in journal::list(&dir.join("journal"))? {
                if number < current {
                    fs::remove_file(path)?;
                }
            }
            Ok(())
        }));
        Ok(())
    }
}

impl Tiles for Directory {
    fn put_all(&self, files: &[File]) -> Result<(), TilesError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.write(&mut state, files).map_err(|e| TilesError(e.to_string()))
    }

    fn get(&self, path: &str) -> Result<Option<Vec<u8>>, TilesError> {
        match fs::read(self.dir.join(path)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(TilesError(format!("{path}: {e}"))),
        }
    }

    fn prune(&self, full: &TilePath) {
        let partials = self.dir.join(format!("{full}.p"));
        if let Err(error) = fs::remove_dir_all(&partials)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::debug!(%error, path = %partials.display(), "partial tiles stay: harmless");
        }
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(busy) = state.retiring.take()
            && !matches!(busy.join(), Ok(Ok(())))
        {
            tracing::warn!("an old journal stays and is replayed at the next start");
        }
    }
}

/// Each file whole or not at all for readers of this process; durable through the journal.
fn place(dir: &Path, files: &[File], counter: &mut u64) -> io::Result<()> {
    for (path, bytes) in files {
        *counter = counter.wrapping_add(1);
        let partial = dir.join("tmp").join(counter.to_string());
        fs::write(&partial, bytes)?;
        let path = dir.join(path);
        match fs::rename(&partial, &path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                if let Some(parent) = path.parent() {
                    fs::create_dir_all(parent)?;
                }
                fs::rename(&partial, &path)?;
            }
            it => it?,
        }
    }
    Ok(())
}

/// Everything written to this file system so far, in one call instead of one per tile.
fn sync_all(dir: &Path) -> io::Result<()> {
    Ok(rustix::fs::syncfs(fs::File::open(dir)?)?)
}
