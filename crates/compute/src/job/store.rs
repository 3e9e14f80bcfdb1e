//! Parts between the reading of a list and their run: in memory where all fit, else in one file each.
//!
//! Files are sealed under a key that was drawn when the list was read and is never written anywhere; a party that was killed
//! reads its list again. The processes of a party share them: who holds the lock of a part's file works on it, the lock dies
//! with the process, and a file that is gone is a part that both parties have kept.

use std::collections::{BTreeMap, HashSet};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use tidm_mpc::fault::Fault;
use tidm_mpc::partition::cut::Cut;
use tidm_mpc::partition::part::{Equals, Part, RECORD_BYTES};
use tidm_mpc::partition::sealed::{CHUNK_BYTES, Sealer, TAG_BYTES};
use tidm_mpc::random::Seed;

use super::limits::{BUFFER_BYTES, READ_PIECE_BYTES, ROWS_PER_ENTRY};
use super::room::Room;

/// Where parts wait.
#[derive(Debug)]
pub enum Store {
    Memory(Mutex<BTreeMap<u32, Part>>),
    Disk { dir: PathBuf, key: Seed },
}

/// What became of a try to take a part.
#[derive(Debug)]
pub enum Claim {
    /// It is this process's until this is dropped.
    Held(Option<File>),
    /// Another process works on it.
    Busy,
    /// Both have kept it.
    Gone,
}

impl Store {
    pub fn claim(&self, part: u32) -> Result<Claim, Fault> {
        match self {
            Self::Memory(_) => Ok(if self.has(part) { Claim::Held(None) } else { Claim::Gone }),
            Self::Disk { dir, .. } => {
                let file = match File::open(path(dir, part)) {
                    Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(Claim::Gone),
                    file => file.map_err(failed)?,
                };
                match file.try_lock() {
                    Err(TryLockError::WouldBlock) => return Ok(Claim::Busy),
                    Err(TryLockError::Error(why)) => return Err(failed(why)),
                    Ok(()) => {}
                }
                // Between our opening and our locking its owner may have finished.
                let gone = file.metadata().map_err(failed)?.nlink() == 0;
                Ok(if gone { Claim::Gone } else { Claim::Held(Some(file)) })
            }
        }
    }

    /// Whether a part waits here.
    pub fn has(&self, part: u32) -> bool {
        match self {
            Self::Memory(parts) => {
                parts.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&part)
            }
            Self::Disk { dir, .. } => path(dir, part).exists(),
        }
    }

    /// The items of a part, without what repeats where that does not count or is too much to be held; [`Self::matched`] and
    /// [`Self::rows`] have it then. In memory they can be taken once.
    pub fn load(&self, part: u32, room: &Room) -> Result<Part, Fault> {
        match self {
            Self::Memory(parts) => {
                let taken = parts.lock().unwrap_or_else(PoisonError::into_inner).remove(&part);
                taken.ok_or_else(|| Fault::Spill { reason: format!("part {part} is not there") })
            }
            Self::Disk { dir, key } => {
                let rows = rows(dir, part)?;
                let capacity = rows.min(room.rows + (READ_PIECE_BYTES / RECORD_BYTES) as u64);
                let mut found = Part::with_capacity(usize::try_from(capacity).unwrap_or(0));
                read(dir, key, part, |records| {
                    found.push_records(records);
                    if found.len() as u64 > room.rows { room.shrink(&mut found) } else { Ok(()) }
                })?;
                Ok(found)
            }
        }
    }

    /// Every row of a part on the disk with its item, in the order of the list.
    pub fn rows(
        &self,
        part: u32,
        mut each: impl FnMut(u128, u32) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let Self::Disk { dir, key } = self else {
            return Err(Fault::ApiMisuse("a part in memory is taken once"));
        };
        read(dir, key, part, |records| {
            let Part { items, places, .. } = Part::of_records(records);
            items.into_iter().zip(places).try_for_each(|(item, row)| each(item, row))
        })
    }

    /// All rows of a part that matched, rising, some at a time, from the first one of each key that did. The whole part is read,
    /// whatever matched.
    pub fn matched(
        &self,
        part: u32,
        firsts: &[u32],
        mut each: impl FnMut(Vec<u32>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let mut firsts = firsts.iter().copied().peekable();
        let mut items = HashSet::with_capacity(firsts.len());
        let mut found = Vec::new();
        self.rows(part, |item, row| {
            // The first row of a key is before its others.
            if firsts.next_if_eq(&row).is_some() {
                items.insert(item);
            } else if !items.contains(&item) {
                return Ok(());
            }
            found.push(row);
            if found.len() < ROWS_PER_ENTRY { Ok(()) } else { each(std::mem::take(&mut found)) }
        })?;
        each(found)
    }

    /// Looks at all parts before one runs: equal keys of the whole list are refused with their number where they are.
    pub fn admit(&self, room: &Room) -> Result<(), Fault> {
        let mut repeats = 0;
        match (room.equals, self) {
            (Equals::First | Equals::Multiply, _) => {}
            (Equals::Refuse, Self::Memory(parts)) => {
                for part in parts.lock().unwrap_or_else(PoisonError::into_inner).values_mut() {
                    part.compact();
                    repeats += part.left_out;
                }
            }
            (Equals::Refuse, Self::Disk { .. }) => {
                for part in (0..tidm_mpc::limits::MAX_PARTITIONS).filter(|part| self.has(*part)) {
                    let mut found = self.load(part, room)?;
                    found.compact();
                    repeats += found.left_out;
                }
            }
        }
        if repeats > 0 { Err(Fault::Duplicates { count: repeats }) } else { Ok(()) }
    }

    pub fn remove(&self, part: u32) -> Result<(), Fault> {
        match self {
            Self::Memory(_) => Ok(()),
            Self::Disk { dir, .. } => match std::fs::remove_file(path(dir, part)) {
                Err(why) if why.kind() != io::ErrorKind::NotFound => Err(failed(why)),
                _ => Ok(()),
            },
        }
    }
}

/// Takes away the parts of an earlier spill: their key is lost.
pub fn clear(dir: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.file_name().and_then(|name| name.to_str()).is_some_and(|it| it.starts_with("part-"))
        {
            std::fs::remove_file(path)?;
        }
    }
    Ok(())
}

fn path(dir: &Path, part: u32) -> PathBuf {
    dir.join(format!("part-{part:04}"))
}

fn failed(why: io::Error) -> Fault {
    Fault::Spill { reason: why.to_string() }
}

/// Rows of a part's file.
fn rows(dir: &Path, part: u32) -> Result<u64, Fault> {
    let length = std::fs::metadata(path(dir, part)).map_err(failed)?.len();
    Ok(length.saturating_sub(TAG_BYTES as u64) / RECORD_BYTES as u64)
}

/// Reads a part piece by piece. Only what returns without a fault is what was written.
fn read(
    dir: &Path,
    key: &Seed,
    part: u32,
    mut each: impl FnMut(&[u8]) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let mut left = rows(dir, part)? * RECORD_BYTES as u64;
    let mut file = File::open(path(dir, part)).map_err(failed)?;
    let mut sealer = Sealer::new(key, part);
    let mut piece = vec![0; READ_PIECE_BYTES];
    while left > 0 {
        let length = usize::try_from(left).map_or(READ_PIECE_BYTES, |it| it.min(READ_PIECE_BYTES));
        let records = piece.get_mut(..length).unwrap_or_default();
        file.read_exact(records).map_err(failed)?;
        sealer.unseal(records);
        each(records)?;
        left -= length as u64;
    }
    let mut tag = Vec::new();
    file.take(TAG_BYTES as u64 + 1).read_to_end(&mut tag).map_err(failed)?;
    if sealer.closes(&tag) {
        return Ok(());
    }
    Err(Fault::Spill { reason: "a part came back other than it was written".to_owned() })
}

/// Where sealed parts go: files under a key of this reading, written in pieces of `buffered` bytes for all parts together.
pub struct Disk {
    pub dir: PathBuf,
    pub key: Seed,
    pub buffered: usize,
}

/// Cuts a list into parts.
pub struct Spill {
    cut: Cut,
    /// Parts that are wanted; items of the others are only counted.
    wanted: Vec<bool>,
    hashes: Vec<u128>,
    /// Of all hashes, in their order.
    pub digest: u128,
    pub items: u64,
    room: Room,
    disk: Disk,
    to: To,
}

enum To {
    Memory(Vec<Part>),
    /// Each written when it has so many bytes.
    Disk(Vec<Out>, usize),
}

struct Out {
    buffer: Vec<u8>,
    sealer: Sealer,
}

impl Spill {
    /// Parts stay in memory, unless rows with equal keys that all count make them larger than planned.
    pub fn to_memory(cut: Cut, wanted: Vec<bool>, room: Room, disk: Disk) -> Self {
        let count = usize::try_from(room.most).unwrap_or(0);
        let empty = |wanted: &bool| Part::with_capacity(if *wanted { count } else { 0 });
        let to = To::Memory(wanted.iter().map(empty).collect());
        Self { cut, wanted, hashes: Vec::new(), digest: 0, items: 0, room, disk, to }
    }

    pub fn to_disk(cut: Cut, wanted: Vec<bool>, room: Room, disk: Disk) -> Self {
        let to = outs(&disk, cut.parts());
        Self { cut, wanted, hashes: Vec::new(), digest: 0, items: 0, room, disk, to }
    }

    /// The next items with their rows.
    pub fn push(
        &mut self,
        items: &[u128],
        rows: impl IntoIterator<Item = u32>,
    ) -> Result<(), Fault> {
        /// Odd, so that no hash is lost.
        const STEP: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;
        let mut hashes = std::mem::take(&mut self.hashes);
        self.cut.hashes(items, &mut hashes);
        self.items += items.len() as u64;
        for ((item, hash), row) in items.iter().zip(&hashes).zip(rows) {
            self.digest = self.digest.wrapping_mul(STEP).wrapping_add(*hash);
            let part = self.cut.part(*hash);
            if !self.wanted.get(part as usize).copied().unwrap_or(false) {
                continue;
            }
            self.put(part, *item, row)?;
        }
        self.hashes = hashes;
        Ok(())
    }

    fn put(&mut self, part: u32, item: u128, row: u32) -> Result<(), Fault> {
        match &mut self.to {
            To::Memory(parts) => {
                let Some(it) = parts.get_mut(part as usize) else { return Ok(()) };
                it.push(item, row);
                if it.len() as u64 <= self.room.held() {
                    return Ok(());
                }
                match self.room.equals {
                    Equals::First | Equals::Refuse => self.room.shrink(it),
                    Equals::Multiply => self.leave_memory(),
                }
            }
            To::Disk(parts, full) => {
                let Some(out) = parts.get_mut(part as usize) else { return Ok(()) };
                out.buffer.extend_from_slice(&Part::record(item, row));
                if out.buffer.len() >= *full {
                    out.flush(&path(&self.disk.dir, part), &[]).map_err(failed)?;
                }
                Ok(())
            }
        }
    }

    /// What was gathered goes to the disk, and what comes behind it.
    fn leave_memory(&mut self) -> Result<(), Fault> {
        let to = outs(&self.disk, self.cut.parts());
        if let To::Memory(parts) = std::mem::replace(&mut self.to, to) {
            for (number, part) in (0u32..).zip(parts) {
                for (item, row) in part.items.into_iter().zip(part.places) {
                    self.put(number, item, row)?;
                }
            }
        }
        Ok(())
    }

    /// All was read.
    pub fn finish(self) -> Result<Store, Fault> {
        let wanted = (0u32..).zip(&self.wanted).filter(|(_, it)| **it).map(|(part, _)| part);
        let Disk { dir, key, .. } = self.disk;
        let store = match self.to {
            To::Memory(parts) => {
                let parts = (0u32..).zip(parts).zip(&self.wanted);
                let parts = parts.filter(|(_, wanted)| **wanted).map(|(part, _)| part);
                Store::Memory(Mutex::new(parts.collect()))
            }
            To::Disk(mut parts, _) => {
                for part in wanted {
                    let Some(out) = parts.get_mut(part as usize) else { continue };
                    out.last(&path(&dir, part)).map_err(failed)?;
                }
                Store::Disk { dir, key }
            }
        };
        store.admit(&self.room)?;
        Ok(store)
    }
}

fn outs(disk: &Disk, parts: u32) -> To {
    let (least, most) = BUFFER_BYTES;
    let full = (disk.buffered / (parts as usize).max(1)).clamp(least, most);
    let out = |part| Out { buffer: Vec::new(), sealer: Sealer::new(&disk.key, part) };
    To::Disk((0..parts).map(out).collect(), full - full % CHUNK_BYTES)
}

impl Out {
    /// Seals and appends what was gathered. Files are not held open: there may be thousands.
    fn flush(&mut self, path: &Path, behind: &[u8]) -> io::Result<()> {
        self.sealer.seal(&mut self.buffer);
        let mut file = OpenOptions::new().append(true).create(true).open(path)?;
        file.write_all(&self.buffer)?;
        file.write_all(behind)?;
        self.buffer.clear();
        Ok(())
    }

    fn last(&mut self, path: &Path) -> io::Result<()> {
        self.flush(path, &[])?;
        let tag = self.sealer.tag();
        self.flush(path, &tag)?;
        self.buffer = Vec::new();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: Room = Room { equals: Equals::First, most: 10_000, rows: 12_000 };

    fn disk(dir: &Path) -> Disk {
        Disk { dir: dir.to_owned(), key: Seed::new([2; 32]), buffered: 40_000 }
    }

    fn spilled(to: Option<&Path>, wanted: &[bool]) -> (Store, u128) {
        let cut = Cut::new(&[1; 32], u32::try_from(wanted.len()).unwrap());
        let mut spill = match to {
            None => Spill::to_memory(cut, wanted.to_vec(), ROOM, disk(Path::new("/nowhere"))),
            Some(dir) => Spill::to_disk(cut, wanted.to_vec(), ROOM, disk(dir)),
        };
        for begin in (0..30_000u32).step_by(1000) {
            let rows = begin..begin + 1000;
            let items: Vec<u128> = rows.clone().map(|row| u128::from(row) * 7 + 3).collect();
            spill.push(&items, rows).unwrap();
        }
        let digest = spill.digest;
        (spill.finish().unwrap(), digest)
    }

    #[test]
    fn parts_on_a_disk_are_the_parts_in_memory() {
        let dir = tempfile::tempdir().unwrap();
        let wanted = [true, false, true, true];
        let ((memory, one), (disk, other)) =
            (spilled(None, &wanted), spilled(Some(dir.path()), &wanted));
        assert_eq!(one, other);
        for part in [0, 2, 3] {
            let found = memory.load(part, &ROOM).unwrap();
            assert!(found.items.len() > 7000);
            assert_eq!(disk.load(part, &ROOM).unwrap(), found);
        }
        assert!(matches!(disk.claim(1).unwrap(), Claim::Gone));
        assert!(memory.load(0, &ROOM).is_err());
        // Nothing that was read lies there in clear.
        let bytes = std::fs::read(dir.path().join("part-0000")).unwrap();
        assert!(!bytes.windows(12).any(|window| window == [0; 12]));
        clear(dir.path()).unwrap();
        assert!(disk.load(0, &ROOM).is_err());
    }

    #[test]
    fn one_process_at_a_time_holds_a_part() {
        let dir = tempfile::tempdir().unwrap();
        let (store, _) = spilled(Some(dir.path()), &[true, true]);
        let Claim::Held(first) = store.claim(0).unwrap() else { panic!("free") };
        assert!(matches!(store.claim(0).unwrap(), Claim::Busy));
        assert!(matches!(store.claim(1).unwrap(), Claim::Held(_)));
        drop(first);
        let Claim::Held(_held) = store.claim(0).unwrap() else { panic!("free again") };
        store.remove(0).unwrap();
        assert!(matches!(store.claim(0).unwrap(), Claim::Gone));
    }

    /// One key in most rows of a list, the others in one each: held as if each were there once, and all rows found in the end.
    #[test]
    fn a_key_in_most_rows_takes_no_more_room_than_one() {
        let rows = |equals, disk_only: bool, often: u32| {
            let dir = tempfile::tempdir().unwrap();
            let room = Room { equals, most: 300, rows: 2_000 };
            let (cut, disk) = (Cut::new(&[1; 32], 4), disk(dir.path()));
            let mut spill = match disk_only {
                true => Spill::to_disk(cut, vec![true; 4], room, disk),
                false => Spill::to_memory(cut, vec![true; 4], room, disk),
            };
            for row in 0..often + 800 {
                let item = if row < often { 7 } else { u128::from(row) << 64 };
                spill.push(&[item], [row])?;
                if let To::Memory(parts) = &spill.to {
                    assert!(parts.iter().all(|part| part.len() as u64 <= room.held()));
                }
            }
            let store = spill.finish()?;
            let (mut left_out, mut all) = (0, Vec::new());
            for part in 0..4 {
                let found = store.load(part, &room)?;
                assert!(found.len() as u64 <= room.rows);
                let distinct = found.distinct(equals, room.most)?;
                left_out += distinct.left_out;
                let mut firsts: Vec<u32> =
                    (0..distinct.set.len()).map(|it| distinct.set.place(it)).collect();
                firsts.sort_unstable();
                match distinct.elsewhere {
                    false => all.extend(distinct.all(firsts)),
                    true => store.matched(part, &firsts, |rows| {
                        assert!(rows.is_sorted() && rows.len() <= ROWS_PER_ENTRY);
                        all.extend(rows);
                        Ok(())
                    })?,
                }
            }
            all.sort_unstable();
            Ok((left_out, all))
        };
        for disk_only in [false, true] {
            let (left_out, all) = rows(Equals::First, disk_only, 100_000).unwrap();
            assert_eq!((left_out, all.len(), all[0]), (99_999, 801, 0));
            let refused: Result<_, Fault> = rows(Equals::Refuse, disk_only, 100_000);
            assert_eq!(refused.unwrap_err(), Fault::Duplicates { count: 99_999 });
            assert_eq!(rows(Equals::Refuse, disk_only, 1).unwrap().0, 0);
            assert_eq!(rows(Equals::Multiply, disk_only, 1500).unwrap().1.len(), 2300);
            let (left_out, all) = rows(Equals::Multiply, disk_only, 100_000).unwrap();
            assert_eq!((left_out, all.len()), (0, 100_800));
        }
    }
}
