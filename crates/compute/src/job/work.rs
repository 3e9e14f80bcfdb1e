//! A process's way through the parts of a job: claims them, makes the next one ready while one runs, keeps results.

use std::collections::VecDeque;
use std::fs::File;
use std::sync::Arc;
use std::thread::JoinHandle;

use tidm_mpc::fault::Fault;
use tidm_mpc::partition::run::{Done, Loaded, Parts};
use tidm_mpc::session::Watch as _;
use tidm_mpc::step::Step;

use super::journal::{Entry, Journal};
use super::limits::LOOK_AGAIN;
use super::progress::Progress;
use super::room::Room;
use super::store::{Claim, Store};

/// How parts become sets.
#[derive(Clone, Copy, Debug)]
pub struct Sets {
    pub room: Room,
    /// Whether the peer learns from a run, so that runs are counted.
    pub counted: bool,
}

/// One process's work over one connection.
pub struct Work<'a> {
    store: Arc<Store>,
    sets: Sets,
    journal: &'a mut Journal,
    progress: &'a Progress,
    /// Parts that may still be there, in the order in which this process tries them.
    waiting: VecDeque<u32>,
    ahead: Option<Ahead>,
    held: Option<File>,
}

/// The part that comes next.
struct Ahead {
    part: u32,
    lock: Option<File>,
    load: JoinHandle<Result<Loaded, Fault>>,
}

impl<'a> Work<'a> {
    pub fn new(
        store: Arc<Store>,
        sets: Sets,
        waiting: VecDeque<u32>,
        journal: &'a mut Journal,
        progress: &'a Progress,
    ) -> Self {
        Self { store, sets, journal, progress, waiting, ahead: None, held: None }
    }

    /// Before anything of the part is said.
    fn begin(&self, part: u32) -> Result<(), Fault> {
        self.progress.part(part);
        if self.sets.counted { self.journal.begin(part) } else { Ok(()) }
    }

    pub(super) fn journal(&mut self) -> &mut Journal {
        self.journal
    }

    /// Takes the next free part; none if all are gone or taken.
    fn take(&mut self) -> Result<Option<(u32, Option<File>)>, Fault> {
        for _ in 0..self.waiting.len() {
            let Some(part) = self.waiting.pop_front() else { break };
            match self.store.claim(part)? {
                Claim::Held(lock) => return Ok(Some((part, lock))),
                Claim::Busy => self.waiting.push_back(part),
                Claim::Gone => {}
            }
        }
        Ok(None)
    }

    fn load(&mut self, part: u32, lock: Option<File>) -> Result<(), Fault> {
        let (store, sets) = (Arc::clone(&self.store), self.sets);
        let work = move || loaded(&store, sets, part);
        let load = std::thread::Builder::new().name("ahead".to_owned()).spawn(work);
        let load = load.map_err(|why| Fault::Spill { reason: why.to_string() })?;
        self.ahead = Some(Ahead { part, lock, load });
        Ok(())
    }

    /// The part that was made ready, if it is the one asked for.
    fn ready(&mut self, part: u32) -> Option<(Result<Loaded, Fault>, Option<File>)> {
        let Ahead { lock, load, .. } = self.ahead.take_if(|ahead| ahead.part == part)?;
        let panicked = |_| Err(Fault::Spill { reason: "reading a part ahead failed".to_owned() });
        Some((load.join().unwrap_or_else(panicked), lock))
    }
}

fn loaded(store: &Store, sets: Sets, part: u32) -> Result<Loaded, Fault> {
    let Room { equals, most, .. } = sets.room;
    let distinct = store.load(part, &sets.room)?.distinct(equals, most)?;
    Ok(Loaded { part, distinct })
}

impl Parts for Work<'_> {
    fn claim(&mut self) -> Result<Option<(Loaded, Option<u32>)>, Fault> {
        let now = match self.ahead.as_ref().map(|ahead| ahead.part) {
            Some(part) => self.ready(part),
            None => loop {
                if self.progress.cancelled() {
                    return Err(Fault::Cancelled);
                }
                if let Some((part, lock)) = self.take()? {
                    break Some((loaded(&self.store, self.sets, part), lock));
                }
                if self.waiting.is_empty() {
                    break None;
                }
                // Others work on what is left: if one of them dies, its part is free again.
                std::thread::sleep(LOOK_AGAIN);
            },
        };
        let Some((loaded, lock)) = now else { return Ok(None) };
        let loaded = loaded?;
        self.held = lock;
        let next = self.take()?;
        let part = next.as_ref().map(|(part, _)| *part);
        if let Some((part, lock)) = next {
            self.load(part, lock)?;
        }
        self.begin(loaded.part)?;
        Ok(Some((loaded, part)))
    }

    fn named(&mut self, part: u32, next: Option<u32>) -> Result<Loaded, Fault> {
        let loaded = match self.ready(part) {
            Some((loaded, _)) => loaded?,
            None if !self.store.has(part) => {
                let what = "it names a part that both have kept";
                return Err(Fault::PeerMisbehaved { step: Step::Part, what });
            }
            None => loaded(&self.store, self.sets, part)?,
        };
        if let Some(next) = next.filter(|next| *next != part && self.store.has(*next)) {
            self.load(next, None)?;
        }
        self.begin(part)?;
        Ok(loaded)
    }

    fn keep(&mut self, done: &Done) -> Result<(), Fault> {
        let kept = self.journal.keep(&Entry::Done(done.clone()));
        kept.map_err(|why| Fault::Spill { reason: why.to_string() })
    }

    fn finished(&mut self, part: u32) -> Result<(), Fault> {
        self.store.remove(part)?;
        self.held = None;
        self.progress.finished();
        Ok(())
    }
}
