//! What a party remembers of a job whatever happens to its processes: entries in files that only ever grow.
//!
//! Each process writes a file of its own (`journal-0001`, …), so nobody waits for a lock and what a crash tore is always the end
//! of a file: it is not read. All files together, in the order of their numbers, are the journal. Each begins with the digest of what both
//! parties agreed on, so that the journal of another job is refused, and is sealed where the order brings a key ([`super::entries`]).
//! Never holds an item; the rows that matched stand in it, which the party may learn.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Write};
use std::path::{Path, PathBuf};

use tidm_mpc::fault::Fault;
use tidm_mpc::partition::run::Done;
use tidm_mpc::partition::talk::Agreed;

use super::entries::{self, Entries, Mark};
use super::failure::Failure;
use super::kept::{Kept, More};
use super::limits::MAX_RUNS;
use crate::keys::Key;

/// What there were too many of, where a part is not begun again and an answer not opened again.
pub const RUNS: &str = "runs of one part, or openings of one answer";

/// One thing worth remembering.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// This party's nonce. Durable before the peer hears it.
    Nonce([u8; 32]),
    /// What both greetings said.
    Agreed(Agreed),
    /// Parts may have run over one more connection.
    Connected,
    /// What the list was when its parts were cut.
    List(Listed),
    /// A part with its result. Durable before the peer hears that it is.
    Done(Done),
    /// Some of the matched rows of a part that has many, by one run of it: they count when an entry [`Entry::Whole`] of that run
    /// stands behind them.
    Rows { part: u32, run: RunId, rows: Vec<u32> },
    /// As `Done`, of a part whose rows stand before it.
    Whole { done: Done, run: RunId },
    /// Of a job that is not about rows alone.
    More(Kept),
    /// Both have everything.
    Closed,
}

/// Tells rows of one run from those of another that was torn: random.
pub type RunId = [u8; 16];

/// A list as it was read, to tell whether it is still the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    pub bytes: u64,
    /// Nanoseconds since 1970.
    pub modified: u128,
    pub rows: u64,
    pub items: u64,
    pub malformed: u64,
    /// Of the hashes of all items in their order, under the key of the cut.
    pub digest: u128,
}

/// All that was remembered, without the rows.
#[derive(Clone, Debug, Default)]
pub struct State {
    pub nonce: Option<[u8; 32]>,
    pub agreed: Option<Agreed>,
    pub list: Option<Listed>,
    pub connections: u64,
    pub closed: bool,
    pub parts: BTreeMap<u32, Counts>,
    pub more: More,
    /// Numbers of matched rows whose part is not done.
    waiting: BTreeMap<(u32, RunId), u64>,
}

/// Of one finished part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub items: u64,
    pub left_out: u64,
    pub matched: Option<u64>,
    /// Whose [`Entry::Rows`] are its rows, if they stand there.
    pub run: Option<RunId>,
}

/// The file of this process.
#[derive(Debug)]
pub struct Journal {
    dir: PathBuf,
    digest: [u8; 32],
    key: Option<Key>,
    file: File,
    entries: Entries,
}

impl Journal {
    /// A new file in `dir`, for the job of this digest, sealed below `key`.
    pub fn open(dir: &Path, digest: [u8; 32], key: Option<&Key>) -> Result<Self, Failure> {
        let failed = Failure::directory("beginning a journal");
        let begin = || -> io::Result<(File, Entries)> {
            let mut number = names(dir)?.last().map_or(1, |(number, _)| number + 1);
            let mut file = loop {
                let path = dir.join(format!("journal-{number:04}"));
                match OpenOptions::new().append(true).create_new(true).open(path) {
                    Err(why) if why.kind() == io::ErrorKind::AlreadyExists => number += 1,
                    done => break done?,
                }
            };
            let entries = Entries::create(&mut file, &digest, key)?;
            File::open(dir)?.sync_all()?;
            Ok((file, entries))
        };
        let (file, entries) = begin().map_err(failed)?;
        Ok(Self { dir: dir.to_owned(), digest, key: key.cloned(), file, entries })
    }

    /// Remembers, against crashes of this process.
    pub fn note(&mut self, entry: &Entry) -> Result<(), Failure> {
        let failed = |why| Failure::directory("writing the journal")(why);
        let bytes = self.entries.next(mark(entry), &write(entry)).map_err(failed)?;
        let bytes = bytes.ok_or_else(|| Failure::Directory {
            action: "writing the journal",
            reason: "the rows of one part are too many for an entry".to_owned(),
        })?;
        self.file.write_all(&bytes).map_err(failed)
    }

    /// Remembers, whatever happens to the machine.
    pub fn keep(&mut self, entry: &Entry) -> Result<(), Failure> {
        self.note(entry)?;
        self.file.sync_data().map_err(Failure::directory("writing the journal"))
    }

    /// One more run of a part; [`Fault::TooMany`] where there were [`MAX_RUNS`]. Each is a file that is made once, so that processes
    /// which run the same part at the same time are counted, too.
    pub fn begin(&self, part: u32) -> Result<(), Fault> {
        for run in 1..=MAX_RUNS {
            let path = self.dir.join(format!("run-{part}-{run}"));
            match OpenOptions::new().write(true).create_new(true).open(path) {
                Ok(_) => return Ok(()),
                Err(why) if why.kind() == io::ErrorKind::AlreadyExists => {}
                Err(why) => return Err(Fault::Spill { reason: why.to_string() }),
            }
        }
        let (count, most) = (u64::from(MAX_RUNS) + 1, MAX_RUNS.into());
        Err(Fault::TooMany { what: RUNS, count, most })
    }

    /// What all processes of this party remembered so far.
    pub fn state(&self) -> Result<State, Failure> {
        let mut state = State::default();
        self.read(|entry| state.take(entry))?;
        Ok(state)
    }

    /// How many parts are kept, by the heads of entries alone: cheap enough to be asked several times a second.
    pub fn parts_kept(&self) -> Result<u64, Failure> {
        let failed = |why| Failure::directory("reading the journal")(why);
        let mut parts = BTreeSet::new();
        for (_, path) in names(&self.dir).map_err(failed)? {
            let mut file = BufReader::new(File::open(path).map_err(failed)?);
            entries::marks(&mut file, &mut parts).map_err(failed)?;
        }
        Ok(parts.len() as u64)
    }

    /// Every entry of all files, in their order.
    pub fn read(&self, mut each: impl FnMut(Entry)) -> Result<(), Failure> {
        let failed = |why| Failure::directory("reading the journal")(why);
        for (_, path) in names(&self.dir).map_err(failed)? {
            let mut file = BufReader::with_capacity(1 << 18, File::open(path).map_err(failed)?);
            let opened = Entries::open(&mut file, &self.digest, self.key.as_ref());
            let Some(mut entries) = opened.map_err(|why| {
                let what =
                    "the job's directory belongs to another job, or its terms or its key changed";
                let unfit = why.kind() == io::ErrorKind::InvalidData;
                if unfit { Failure::Order(what.to_owned()) } else { failed(why) }
            })?
            else {
                continue;
            };
            while let Some(payload) = entries.read(&mut file).map_err(failed)? {
                let Some(entry) = parse(&payload) else { break };
                each(entry);
            }
        }
        Ok(())
    }
}

impl State {
    fn take(&mut self, entry: Entry) {
        match entry {
            Entry::Nonce(nonce) => self.nonce = Some(nonce),
            Entry::Agreed(agreed) => self.agreed = Some(agreed),
            Entry::Connected => self.connections += 1,
            Entry::List(listed) => self.list = Some(listed),
            Entry::Done(Done { part, items, left_out, places }) => {
                let matched = places.map(|places| places.len() as u64);
                self.parts.insert(part, Counts { items, left_out, matched, run: None });
            }
            Entry::Rows { part, run, rows } => {
                *self.waiting.entry((part, run)).or_default() += rows.len() as u64;
            }
            Entry::Whole { done: Done { part, items, left_out, .. }, run } => {
                let matched = Some(self.waiting.remove(&(part, run)).unwrap_or(0));
                self.parts.insert(part, Counts { items, left_out, matched, run: Some(run) });
            }
            Entry::More(kept) => self.more.take(kept),
            Entry::Closed => self.closed = true,
        }
    }

    /// Whether each part is kept.
    pub fn kept(&self, parts: u32) -> Vec<bool> {
        (0..parts).map(|part| self.parts.contains_key(&part)).collect()
    }

    /// Whether all are.
    pub fn complete(&self) -> bool {
        self.agreed.is_some_and(|agreed| self.kept(agreed.parts).into_iter().all(|kept| kept))
    }
}

/// Files of a journal, by their numbers.
fn names(dir: &Path) -> io::Result<Vec<(u32, PathBuf)>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        if let Some(number) = name.and_then(|name| name.strip_prefix("journal-")?.parse().ok()) {
            names.push((number, path));
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// With which entry a part is kept.
fn mark(entry: &Entry) -> Mark {
    Mark(match entry {
        Entry::Done(done) | Entry::Whole { done, .. } => Some(done.part),
        Entry::Nonce(_)
        | Entry::Agreed(_)
        | Entry::Connected
        | Entry::List(_)
        | Entry::Rows { .. }
        | Entry::More(_)
        | Entry::Closed => None,
    })
}

fn write(entry: &Entry) -> Vec<u8> {
    match entry {
        Entry::Nonce(nonce) => [&[1][..], nonce].concat(),
        Entry::Agreed(it) => {
            [&[2][..], &it.receiver_nonce, &it.sender_nonce, &it.parts.to_le_bytes()].concat()
        }
        Entry::Connected => vec![3],
        Entry::List(it) => {
            let numbers = [it.bytes, it.rows, it.items, it.malformed].map(u64::to_le_bytes);
            [&[4][..], &it.modified.to_le_bytes(), &it.digest.to_le_bytes(), &numbers.concat()]
                .concat()
        }
        Entry::Done(done) => {
            let mut bytes = vec![5];
            bytes.extend_from_slice(&done.part.to_le_bytes());
            bytes.extend_from_slice(&done.items.to_le_bytes());
            bytes.extend_from_slice(&done.left_out.to_le_bytes());
            bytes.push(u8::from(done.places.is_some()));
            write_places(done.places.as_deref().unwrap_or_default(), &mut bytes);
            bytes
        }
        Entry::Rows { part, run, rows } => {
            let mut bytes = [&[7][..], &part.to_le_bytes(), run].concat();
            write_places(rows, &mut bytes);
            bytes
        }
        Entry::Whole { done, run } => {
            let counts = [done.items, done.left_out].map(u64::to_le_bytes).concat();
            [&[8][..], &done.part.to_le_bytes(), run, &counts].concat()
        }
        Entry::More(kept) => [vec![20], kept.write()].concat(),
        Entry::Closed => vec![6],
    }
}

fn parse(payload: &[u8]) -> Option<Entry> {
    let (kind, mut rest) = payload.split_first()?;
    let rest = &mut rest;
    let entry = match kind {
        1 => Entry::Nonce(take(rest)?),
        2 => Entry::Agreed(Agreed {
            receiver_nonce: take(rest)?,
            sender_nonce: take(rest)?,
            parts: u32::from_le_bytes(take(rest)?),
        }),
        3 => Entry::Connected,
        4 => Entry::List(Listed {
            modified: u128::from_le_bytes(take(rest)?),
            digest: u128::from_le_bytes(take(rest)?),
            bytes: u64::from_le_bytes(take(rest)?),
            rows: u64::from_le_bytes(take(rest)?),
            items: u64::from_le_bytes(take(rest)?),
            malformed: u64::from_le_bytes(take(rest)?),
        }),
        5 => {
            let part = u32::from_le_bytes(take(rest)?);
            let items = u64::from_le_bytes(take(rest)?);
            let left_out = u64::from_le_bytes(take(rest)?);
            let [told] = take(rest)?;
            let places = places(rest)?;
            Entry::Done(Done { part, items, left_out, places: (told == 1).then_some(places) })
        }
        6 => Entry::Closed,
        7 => Entry::Rows {
            part: u32::from_le_bytes(take(rest)?),
            run: take(rest)?,
            rows: places(rest)?,
        },
        8 => {
            let (part, run) = (u32::from_le_bytes(take(rest)?), take(rest)?);
            let [items, left_out] = [take(rest)?, take(rest)?].map(u64::from_le_bytes);
            Entry::Whole { done: Done { part, items, left_out, places: None }, run }
        }
        20 => Entry::More(Kept::parse(std::mem::take(rest))?),
        _ => return None,
    };
    rest.is_empty().then_some(entry)
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (first, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*first)
}

/// Writes rising places, as [`places`] reads them.
fn write_places(places: &[u32], bytes: &mut Vec<u8>) {
    let mut last = 0;
    for place in places {
        let mut step = place.wrapping_sub(last);
        last = *place;
        while step >= 0x80 {
            bytes.push(step.to_le_bytes()[0] | 0x80);
            step >>= 7;
        }
        bytes.push(step.to_le_bytes()[0]);
    }
}

/// Rising places, as differences of seven bits a byte.
fn places(rest: &mut &[u8]) -> Option<Vec<u32>> {
    let (mut places, mut last) = (Vec::new(), 0u32);
    while !rest.is_empty() {
        let (mut step, mut shift) = (0u32, 0);
        loop {
            let [byte] = take(rest)?;
            step |= u32::from(byte & 0x7f).checked_shl(shift)?;
            if byte < 0x80 {
                break;
            }
            shift += 7;
        }
        last = last.checked_add(step)?;
        places.push(last);
    }
    Some(places)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A journal as it is, and one that is sealed.
    fn keys() -> [Option<Key>; 2] {
        [None, Some(Key::try_from("5c".repeat(32)).unwrap())]
    }

    fn done(part: u32, places: Option<Vec<u32>>) -> Entry {
        Entry::Done(Done { part, items: 10, left_out: 2, places })
    }

    fn entries() -> Vec<Entry> {
        let agreed = Agreed { receiver_nonce: [1; 32], sender_nonce: [2; 32], parts: 3 };
        let listed =
            Listed { bytes: 1, modified: 2, rows: 3, items: 4, malformed: 5, digest: 1 << 127 };
        vec![
            Entry::Nonce([1; 32]),
            Entry::Agreed(agreed),
            Entry::Connected,
            Entry::List(listed),
            done(0, Some(vec![0, 1, 127, 128, 300, 70_000, u32::MAX])),
            done(1, None),
            done(2, Some(vec![])),
            Entry::Rows { part: 3, run: [8; 16], rows: vec![1, 4] },
            Entry::Rows { part: 3, run: [9; 16], rows: vec![1, 2] },
            Entry::Rows { part: 3, run: [9; 16], rows: vec![7] },
            Entry::Whole {
                done: Done { part: 3, items: 2, left_out: 0, places: None },
                run: [9; 16],
            },
            Entry::Closed,
        ]
    }

    fn all(journal: &Journal) -> Vec<Entry> {
        let mut all = Vec::new();
        journal.read(|entry| all.push(entry)).unwrap();
        all
    }

    #[test]
    fn entries_come_back_from_all_files_in_order() {
        for key in keys() {
            come_back(key.as_ref());
        }
    }

    fn come_back(key: Option<&Key>) {
        let dir = tempfile::tempdir().unwrap();
        let mut one = Journal::open(dir.path(), [7; 32], key).unwrap();
        let (first, second) = (entries(), entries());
        for entry in &first[..5] {
            one.keep(entry).unwrap();
        }
        let mut two = Journal::open(dir.path(), [7; 32], key).unwrap();
        for entry in &second[5..] {
            two.note(entry).unwrap();
        }
        assert_eq!(all(&one), entries());
        assert_eq!(two.parts_kept().unwrap(), 4);
        let state = two.state().unwrap();
        assert!(state.closed && state.complete() && state.connections == 1);
        assert_eq!(state.kept(5), [true, true, true, true, false]);
        // What a torn run left does not count.
        let counts = Counts { items: 2, left_out: 0, matched: Some(3), run: Some([9; 16]) };
        assert_eq!(state.parts[&3], counts);
        assert_eq!(state.parts[&0].matched, Some(7));
        assert_eq!(state.parts[&1].matched, None);
        let third = Key::try_from("6c".repeat(32)).unwrap();
        let [none, some] = keys();
        let unlike = if key.is_none() { &some } else { &none };
        for (digest, key) in [([8; 32], key), ([7; 32], unlike.as_ref()), ([7; 32], Some(&third))] {
            let other = Journal::open(dir.path(), digest, key).unwrap();
            assert_eq!(other.state().unwrap_err().code(), "job.order");
            std::fs::remove_file(dir.path().join("journal-0003")).unwrap();
        }
    }

    #[test]
    fn a_part_is_begun_so_often_by_all_processes_together() {
        let dir = tempfile::tempdir().unwrap();
        let both = [(); 2].map(|()| Journal::open(dir.path(), [7; 32], None).unwrap());
        for run in 0..MAX_RUNS as usize {
            both[run % 2].begin(3).unwrap();
        }
        for journal in &both {
            let no = journal.begin(3).unwrap_err();
            assert!(matches!(no, Fault::TooMany { what: RUNS, .. }), "{no:?}");
            assert!(Failure::Mpc(no).is_final(), "another connection must not try again");
        }
        both[0].begin(4).unwrap();
        assert_eq!(all(&both[1]), []);
    }

    #[test]
    fn what_a_crash_tore_is_not_read_wherever_it_tore() {
        for key in keys() {
            torn(key.as_ref());
        }
    }

    fn torn(key: Option<&Key>) {
        let dir = tempfile::tempdir().unwrap();
        let mut one = Journal::open(dir.path(), [7; 32], key).unwrap();
        let begun = std::fs::read(dir.path().join("journal-0001")).unwrap().len();
        for entry in entries() {
            one.note(&entry).unwrap();
        }
        let path = dir.path().join("journal-0001");
        let whole = std::fs::read(&path).unwrap();
        let mut seen = Vec::new();
        for end in 0..=whole.len() {
            std::fs::write(&path, &whole[..end]).unwrap();
            let found = all(&one);
            assert_eq!(found, entries()[..found.len()]);
            seen.push(found.len());
            // A new process goes on behind it.
            let mut two = Journal::open(dir.path(), [7; 32], key).unwrap();
            two.note(&Entry::Closed).unwrap();
            assert_eq!(all(&one).len(), found.len() + 1);
            std::fs::remove_file(dir.path().join("journal-0002")).unwrap();
        }
        assert!(seen.is_sorted() && seen.last() == Some(&entries().len()));
        // A byte that changed ends its file there.
        for place in begun..whole.len() {
            let mut changed = whole.clone();
            changed[place] ^= 1;
            std::fs::write(&path, changed).unwrap();
            let found = all(&one);
            assert!(found.len() < entries().len());
            assert_eq!(found, entries()[..found.len()]);
        }
    }

    #[test]
    fn a_sealed_journal_says_no_row_and_no_label() {
        let dir = tempfile::tempdir().unwrap();
        let label = *b"a word of the peer's, said nowhere else";
        let bytes = u32::try_from(label.len()).unwrap();
        let found = vec![tidm_mpc::psi::labelled::Found { place: 9, label: label.to_vec() }];
        let labels = Entry::More(Kept::Labels { part: 0, bytes, found });
        for (key, clear) in keys().iter().zip([true, false]) {
            let mut one = Journal::open(dir.path(), [7; 32], key.as_ref()).unwrap();
            one.note(&labels).unwrap();
            one.note(&done(0, Some(vec![77; 1]))).unwrap();
            let path = names(dir.path()).unwrap().pop().unwrap().1;
            let bytes = std::fs::read(&path).unwrap();
            assert_eq!(bytes.windows(label.len()).any(|it| it == label), clear);
            assert_eq!(bytes.ends_with(&write(&done(0, Some(vec![77])))), clear);
            std::fs::remove_file(path).unwrap();
        }
    }
}
