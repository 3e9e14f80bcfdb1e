//! Parts between the reading of a list and their run: in memory where all fit, else in one file each.
//!
//! Files are sealed under a key that was drawn when the list was read and is never written anywhere; a party that was killed
//! reads its list again. The processes of a party share them: who holds the lock of a part's file works on it, the lock dies
//! with the process, and a file that is gone is a part that both parties have kept.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use tidm_mpc::fault::Fault;
use tidm_mpc::partition::cut::Cut;
use tidm_mpc::partition::part::Part;
use tidm_mpc::partition::sealed::{CHUNK_BYTES, Sealer};
use tidm_mpc::random::Seed;

use super::limits::BUFFER_BYTES;

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

    /// The items of a part. In memory they can be taken once.
    pub fn load(&self, part: u32) -> Result<Part, Fault> {
        match self {
            Self::Memory(parts) => {
                let taken = parts.lock().unwrap_or_else(PoisonError::into_inner).remove(&part);
                taken.ok_or_else(|| Fault::Spill { reason: format!("part {part} is not there") })
            }
            Self::Disk { dir, key } => {
                let bytes = std::fs::read(path(dir, part)).map_err(failed)?;
                Ok(Part::of_records(&Sealer::new(key, part).open(bytes)?))
            }
        }
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

/// Cuts a list into parts.
pub struct Spill {
    cut: Cut,
    /// Parts that are wanted; items of the others are only counted.
    wanted: Vec<bool>,
    hashes: Vec<u128>,
    /// Of all hashes, in their order.
    pub digest: u128,
    pub items: u64,
    to: To,
}

enum To {
    Memory(Vec<Part>),
    Disk { dir: PathBuf, key: Seed, full: usize, parts: Vec<Out> },
}

struct Out {
    buffer: Vec<u8>,
    sealer: Sealer,
}

impl Spill {
    /// `room` is how many items a part has at most.
    pub fn to_memory(cut: Cut, wanted: Vec<bool>, room: usize) -> Self {
        let room = |wanted: &bool| Part::with_capacity(if *wanted { room } else { 0 });
        let parts = wanted.iter().map(room).collect();
        Self { cut, wanted, hashes: Vec::new(), digest: 0, items: 0, to: To::Memory(parts) }
    }

    /// `buffered` bytes of all parts together are gathered before they are written.
    pub fn to_disk(cut: Cut, wanted: Vec<bool>, dir: &Path, key: Seed, buffered: usize) -> Self {
        let (least, most) = BUFFER_BYTES;
        let full = (buffered / wanted.len().max(1)).clamp(least, most);
        let full = full - full % CHUNK_BYTES;
        let parts = (0..cut.parts())
            .map(|part| Out { buffer: Vec::new(), sealer: Sealer::new(&key, part) })
            .collect();
        let to = To::Disk { dir: dir.to_owned(), key, full, parts };
        Self { cut, wanted, hashes: Vec::new(), digest: 0, items: 0, to }
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
            match &mut self.to {
                To::Memory(parts) => {
                    if let Some(it) = parts.get_mut(part as usize) {
                        it.push(*item, row);
                    }
                }
                To::Disk { dir, full, parts, .. } => {
                    let Some(out) = parts.get_mut(part as usize) else { continue };
                    out.buffer.extend_from_slice(&Part::record(*item, row));
                    if out.buffer.len() >= *full {
                        out.flush(&path(dir, part), &[]).map_err(failed)?;
                    }
                }
            }
        }
        self.hashes = hashes;
        Ok(())
    }

    /// All was read.
    pub fn finish(self) -> Result<Store, Fault> {
        let wanted = (0u32..).zip(&self.wanted).filter(|(_, it)| **it).map(|(part, _)| part);
        match self.to {
            To::Memory(parts) => {
                let parts = (0u32..).zip(parts).zip(&self.wanted);
                let parts = parts.filter(|(_, wanted)| **wanted).map(|(part, _)| part);
                Ok(Store::Memory(Mutex::new(parts.collect())))
            }
            To::Disk { dir, key, mut parts, .. } => {
                for part in wanted {
                    let Some(out) = parts.get_mut(part as usize) else { continue };
                    out.last(&path(&dir, part)).map_err(failed)?;
                }
                Ok(Store::Disk { dir, key })
            }
        }
    }
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

    fn spilled(to: Option<&Path>, wanted: &[bool]) -> (Store, u128) {
        let cut = Cut::new(&[1; 32], u32::try_from(wanted.len()).unwrap());
        let mut spill = match to {
            None => Spill::to_memory(cut, wanted.to_vec(), 10),
            Some(dir) => Spill::to_disk(cut, wanted.to_vec(), dir, Seed::new([2; 32]), 40_000),
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
            let found = memory.load(part).unwrap();
            assert!(found.items.len() > 7000);
            assert_eq!(disk.load(part).unwrap(), found);
        }
        assert!(matches!(disk.claim(1).unwrap(), Claim::Gone));
        assert!(memory.load(0).is_err());
        // Nothing that was read lies there in clear.
        let bytes = std::fs::read(dir.path().join("part-0000")).unwrap();
        assert!(!bytes.windows(12).any(|window| window == [0; 12]));
        clear(dir.path()).unwrap();
        assert!(disk.load(0).is_err());
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
}
