//! A process's way through the parts of a job: claims them, makes the next one ready while one runs, keeps results.

use std::collections::VecDeque;
use std::fs::File;
use std::sync::Arc;
use std::thread::JoinHandle;

use tidm_mpc::fault::Fault;
use tidm_mpc::partition::part::Distinct;
use tidm_mpc::partition::run::{Done, Loaded, Parts};
use tidm_mpc::partition::shares::add;
use tidm_mpc::session::Watch as _;
use tidm_mpc::step::Step;

use super::journal::{Entry, Journal};
use super::limits::{LOOK_AGAIN, ROWS_PER_ENTRY};
use super::progress::Progress;
use super::room::Room;
use super::store::{Claim, Store};
use super::visit::random;

/// How parts become sets.
#[derive(Clone, Copy, Debug)]
pub struct Sets {
    pub room: Room,
    /// Whether the peer learns from a run, so that runs are counted.
    pub counted: bool,
    pub keys: Keys,
}

/// Different keys of the whole list, as far as they are known: a list that has more of them than agreed need not show it in any part.
#[derive(Clone, Copy, Debug)]
pub struct Keys {
    /// Of the parts that both have kept, and of those that ran here.
    pub found: u64,
    /// As agreed.
    pub most: u64,
}

impl Keys {
    /// Those of one more part.
    pub(super) fn add(&mut self, items: u64) -> Result<(), Fault> {
        self.found += items;
        let (count, most) = (self.found, self.most);
        if count <= most {
            return Ok(());
        }
        Err(Fault::TooMany { what: "different keys of the list", count, most })
    }
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
    /// The part that runs, where rows of it are found again when it is known which keys matched.
    rows_elsewhere: Option<u32>,
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
        Self {
            store,
            sets,
            journal,
            progress,
            waiting,
            ahead: None,
            held: None,
            rows_elsewhere: None,
        }
    }

    /// Before anything of the part is said.
    fn begin(&mut self, loaded: &Loaded) -> Result<(), Fault> {
        let part = loaded.part;
        self.sets.keys.add(loaded.distinct.set.len() as u64)?;
        self.rows_elsewhere = loaded.distinct.elsewhere.then_some(part);
        self.progress.part(part);
        if self.sets.counted { self.journal.begin(part) } else { Ok(()) }
    }

    pub(super) fn journal(&mut self) -> &mut Journal {
        self.journal
    }

    /// One value for each item of the part's set: the sum of those of all its rows.
    pub(super) fn added_up(
        &self,
        distinct: &Distinct,
        part: u32,
        values: &[i64],
    ) -> Result<Vec<i64>, Fault> {
        let items = distinct.set.items();
        let mut sums = vec![0; items.len()];
        self.store.rows(part, |item, row| {
            let missing = Fault::ApiMisuse("an item has no value");
            let value = values.get(row as usize).ok_or(missing)?;
            // The set is sorted.
            if let Some(sum) = items.binary_search(&item).ok().and_then(|at| sums.get_mut(at)) {
                *sum = add(*sum, *value)?;
            }
            Ok(())
        })?;
        Ok(sums)
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

fn spill(why: impl std::fmt::Display) -> Fault {
    Fault::Spill { reason: why.to_string() }
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
        self.begin(&loaded)?;
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
        self.begin(&loaded)?;
        Ok(loaded)
    }

    fn keep(&mut self, done: &Done) -> Result<(), Fault> {
        let places = done.places.as_deref().unwrap_or_default();
        let elsewhere = self.rows_elsewhere == Some(done.part) && done.places.is_some();
        if !elsewhere && places.len() <= ROWS_PER_ENTRY {
            return self.journal.keep(&Entry::Done(done.clone())).map_err(spill);
        }
        let random = random().map_err(spill)?;
        let (run, _) =
            random.split_first_chunk::<16>().ok_or(Fault::ApiMisuse("32 bytes are more"))?;
        let (part, run, journal) = (done.part, *run, &mut *self.journal);
        let mut note = |rows| journal.note(&Entry::Rows { part, run, rows }).map_err(spill);
        match elsewhere {
            true => self.store.matched(part, places, note)?,
            false => places.chunks(ROWS_PER_ENTRY).try_for_each(|rows| note(rows.to_vec()))?,
        }
        let done = Done { places: None, ..*done };
        self.journal.keep(&Entry::Whole { done, run }).map_err(spill)
    }

    fn finished(&mut self, part: u32) -> Result<(), Fault> {
        self.store.remove(part)?;
        self.held = None;
        self.progress.finished();
        Ok(())
    }
}
