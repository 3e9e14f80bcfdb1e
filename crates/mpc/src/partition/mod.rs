//! Sets larger than memory: both parties split theirs by the same keyed hash into parts, and each part is one run over
//! the vectors of one set-up.
//!
//! The peer sees the number of parts and their size, which is the same for all: the mean plus what the fullest part of a
//! random assignment needs with probability 1 − 2^-40 (`okvs::fullest`). How full a part really is does not show, for runs fill up.
//! Memory is bounded by one part of each kind; [`Plan::part_items`] says how large that is.
//!
//! Parts wait in a [`Space`], which the caller provides (a directory, memory); they are encrypted under a key that is drawn
//! for the session and never leaves memory, and a part that comes back changed is refused. Equal items fall into the same
//! part, so duplicates are found there.

use crate::fault::Fault;
use crate::field::{narrowed, word};
use crate::hash::{Permutation, domain};
use crate::limits::{MAX_ITEMS, MAX_PARTITIONS, RUN_BYTES_PER_ITEM, STATISTICAL_BITS};
use crate::okvs::fullest;
use crate::psi::{Item, Receiver, Sender, Set, Terms};
use crate::random::{Seed, Stream};
use crate::session::{Session, Setting};
use crate::step::Step;

/// Where parts wait. Two implementations: files in the node, [`InMemory`] in tests.
pub trait Space {
    fn append(&mut self, part: u32, bytes: &[u8]) -> Result<(), Fault>;

    /// All that was appended to the part, in order. Called once per part; the space may forget it then.
    fn take(&mut self, part: u32) -> Result<Vec<u8>, Fault>;
}

/// Parts in memory.
#[derive(Debug, Default)]
pub struct InMemory {
    parts: std::collections::BTreeMap<u32, Vec<u8>>,
}

impl Space for InMemory {
    fn append(&mut self, part: u32, bytes: &[u8]) -> Result<(), Fault> {
        self.parts.entry(part).or_default().extend_from_slice(bytes);
        Ok(())
    }

    fn take(&mut self, part: u32) -> Result<Vec<u8>, Fault> {
        Ok(self.parts.remove(&part).unwrap_or_default())
    }
}

/// What to do about items that are there more than once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Equals {
    /// End the session with [`Fault::Duplicates`] at the first part that has some, with their number there.
    Refuse,
    /// The first counts; how many were left out is reported.
    First,
}

/// What both parties agree on: the terms of the whole, and into how many parts it is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    pub whole: Terms,
    pub parts: u32,
}

impl Plan {
    /// As few parts as let either party's run stay within `bytes` of memory.
    pub fn within(whole: Terms, bytes: u64) -> Result<Self, Fault> {
        let most = (bytes / RUN_BYTES_PER_ITEM).min(MAX_ITEMS);
        let fits = |parts: u32| {
            let (receiver, sender) = Self { whole, parts }.part_items();
            receiver.max(sender) <= most
        };
        let found = (0..=MAX_PARTITIONS.ilog2()).map(|log| 1 << log).find(|parts| fits(*parts));
        let parts = found.ok_or_else(|| Fault::TooMany {
            what: "items for this much memory",
            count: whole.receiver_items.max(whole.sender_items),
            most: most.saturating_mul(MAX_PARTITIONS.into()),
        })?;
        Ok(Self { whole, parts })
    }

    /// Items of the receiver's and of the sender's part.
    pub fn part_items(&self) -> (u64, u64) {
        // Either party may be unlucky in any part: each gets its share of 2^-40.
        let bits = STATISTICAL_BITS + 1 + self.parts.max(1).next_power_of_two().ilog2();
        let fullest = |items| fullest(items, self.parts.into(), bits);
        (fullest(self.whole.receiver_items), fullest(self.whole.sender_items))
    }

    fn bytes(&self) -> Vec<u8> {
        [b"in parts".as_slice(), &self.parts.to_le_bytes(), &self.whole.bytes()].concat()
    }

    /// The terms of one part.
    fn part_terms(&self) -> Result<Terms, Fault> {
        if self.parts == 0 {
            return Err(Fault::ApiMisuse("a plan has at least one part"));
        }
        if self.parts > MAX_PARTITIONS {
            let (count, most) = (self.parts.into(), MAX_PARTITIONS.into());
            return Err(Fault::TooMany { what: "parts", count, most });
        }
        let (receiver_items, sender_items) = self.part_items();
        for count in [receiver_items, sender_items] {
            if count > MAX_ITEMS {
                return Err(Fault::TooMany { what: "items of one part", count, most: MAX_ITEMS });
            }
        }
        Ok(Terms { receiver_items, sender_items, ..self.whole })
    }
}

/// What a party learnt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Places of the common items in the order in which they came, rising; absent for a sender that is not to learn them.
    pub places: Option<Vec<u32>>,
    /// Items that were left out because an equal one came before.
    pub left_out: u64,
}

/// The receiver's whole session over parts.
pub fn receive(
    setting: Setting<'_>,
    plan: &Plan,
    items: impl Iterator<Item = Item>,
    equals: Equals,
    space: &mut dyn Space,
) -> Result<Outcome, Fault> {
    let terms = plan.part_terms()?;
    let mut session = Session::open(setting, &plan.bytes())?;
    let mut parts = Parts::new(&mut session, plan.parts, space);
    parts.fill(items, plan.whole.receiver_items)?;
    let mut receiver = Receiver::set_up(&mut session, &terms)?;
    let (mut places, mut left_out) = (Vec::new(), 0);
    for part in 0..plan.parts {
        let set = parts.set(part, equals, terms.receiver_items, &mut left_out)?;
        places.extend(receiver.run(&mut session, &set)?);
    }
    places.sort_unstable();
    Ok(Outcome { places: Some(places), left_out })
}

/// The sender's whole session over parts.
pub fn send(
    setting: Setting<'_>,
    plan: &Plan,
    items: impl Iterator<Item = Item>,
    equals: Equals,
    space: &mut dyn Space,
) -> Result<Outcome, Fault> {
    let terms = plan.part_terms()?;
    let mut session = Session::open(setting, &plan.bytes())?;
    let mut parts = Parts::new(&mut session, plan.parts, space);
    parts.fill(items, plan.whole.sender_items)?;
    let mut sender = Sender::set_up(&mut session, &terms)?;
    let (mut places, mut left_out): (Option<Vec<u32>>, u64) = (None, 0);
    for part in 0..plan.parts {
        let set = parts.set(part, equals, terms.sender_items, &mut left_out)?;
        if let Some(found) = sender.run(&mut session, &set)? {
            places.get_or_insert_default().extend(found);
        }
    }
    if let Some(places) = &mut places {
        places.sort_unstable();
    }
    Ok(Outcome { places, left_out })
}

/// Bytes of an item and its place.
const RECORD_BYTES: usize = 16 + 4;
/// Bytes of all parts together that are gathered before they are written: large writes, little memory.
const BUFFERED_BYTES: usize = 16 * 1024 * 1024;
/// Bytes of one part, of those: at least a page of a disk, at most what makes a write efficient.
const BUFFER_BYTES: (usize, usize) = (4 * 1024, 64 * 1024);

/// The parts of one party on their way through its space.
struct Parts<'a> {
    hash: Permutation,
    count: u32,
    space: &'a mut dyn Space,
    buffers: Vec<Buffer>,
}

/// What is not written yet of a part, the stream that hides it, and the hash of what was written.
struct Buffer {
    bytes: Vec<u8>,
    seed: Seed,
    key: Stream,
    tag: blake3::Hasher,
}

impl<'a> Parts<'a> {
    fn new(session: &mut Session<'_>, count: u32, space: &'a mut dyn Space) -> Self {
        let seed = Seed::new(session.stream(b"spill").bytes32());
        let buffers =
            (0..count).map(|part| Buffer::new(&seed.child(&part.to_le_bytes()))).collect();
        Self {
            hash: Permutation::bound(domain::PARTITION, session.binding()),
            count,
            space,
            buffers,
        }
    }

    /// Splits all items; more than `agreed` are a fault.
    fn fill(&mut self, items: impl Iterator<Item = Item>, agreed: u64) -> Result<(), Fault> {
        const BATCH: usize = 1024;
        let mut items = items.fuse();
        let mut place = 0u32;
        loop {
            let batch: Vec<u128> = items.by_ref().take(BATCH).map(|item| item.0).collect();
            if batch.is_empty() {
                break;
            }
            let mut hashes = batch.clone();
            self.hash.fold(&mut hashes);
            for (item, hash) in batch.iter().zip(hashes) {
                if u64::from(place) >= agreed {
                    let count = u64::from(place) + 1;
                    return Err(Fault::TooMany { what: "items of the set", count, most: agreed });
                }
                let part = narrowed(word(hash, 0), self.count);
                self.push(part, *item, place)?;
                place = place.checked_add(1).ok_or(Fault::ApiMisuse("places are 32 bits"))?;
            }
        }
        for part in 0..self.count {
            self.flush(part)?;
        }
        Ok(())
    }

    fn push(&mut self, part: u32, item: u128, place: u32) -> Result<(), Fault> {
        let (least, most) = BUFFER_BYTES;
        let full = (BUFFERED_BYTES / self.buffers.len().max(1)).clamp(least, most);
        let buffer = &mut self.buffers[part as usize];
        buffer.bytes.extend_from_slice(&item.to_le_bytes());
        buffer.bytes.extend_from_slice(&place.to_le_bytes());
        if buffer.bytes.len() >= full { self.flush(part) } else { Ok(()) }
    }

    fn flush(&mut self, part: u32) -> Result<(), Fault> {
        let buffer = &mut self.buffers[part as usize];
        let mut bytes = std::mem::take(&mut buffer.bytes);
        if bytes.is_empty() {
            return Ok(());
        }
        mask(&mut buffer.key, &mut bytes);
        frame(&mut buffer.tag, &bytes);
        self.space.append(part, &frame_header(bytes.len()))?;
        self.space.append(part, &bytes)
    }

    /// The items of a part, which must be what was written.
    fn set(
        &mut self,
        part: u32,
        equals: Equals,
        most: u64,
        left_out: &mut u64,
    ) -> Result<Set, Fault> {
        let bytes = self.space.take(part)?;
        let buffer = &self.buffers[part as usize];
        let records = buffer.open(&bytes)?;
        let mut all: Vec<(u128, u32)> = records
            .chunks_exact(RECORD_BYTES)
            .map(|record| {
                let (item, place) = record.split_at(16);
                let place = crate::field::Gf::from_slice(place).0;
                (crate::field::Gf::from_slice(item).0, word(place, 0))
            })
            .collect();
        all.sort_unstable();
        let before = all.len();
        all.dedup_by_key(|(item, _)| *item);
        let extra = (before - all.len()) as u64;
        if extra > 0 && equals == Equals::Refuse {
            return Err(Fault::Duplicates { count: extra });
        }
        *left_out += extra;
        if all.len() as u64 > most {
            return Err(Fault::Unlucky { step: Step::Okvs });
        }
        let (items, places) = all.into_iter().unzip();
        Ok(Set::of_parts(items, places))
    }
}

impl Buffer {
    fn new(seed: &Seed) -> Self {
        let tag = blake3::Hasher::new_keyed(&seed.child(b"tag").stream().bytes32());
        Self { bytes: Vec::new(), seed: seed.clone(), key: seed.child(b"mask").stream(), tag }
    }

    /// What was written, if `bytes` is exactly that.
    fn open(&self, bytes: &[u8]) -> Result<Vec<u8>, Fault> {
        let fresh = Self::new(&self.seed);
        let (mut key, mut tag) = (fresh.key, fresh.tag);
        let changed =
            || Fault::Spill { reason: "a part came back other than it was written".to_owned() };
        let mut records = Vec::with_capacity(bytes.len());
        let mut rest = bytes;
        while let Some((header, after)) = rest.split_first_chunk::<4>() {
            let length = u32::from_le_bytes(*header) as usize;
            let (chunk, after) = after.split_at_checked(length).ok_or_else(changed)?;
            frame(&mut tag, chunk);
            let begin = records.len();
            records.extend_from_slice(chunk);
            mask(&mut key, &mut records[begin..]);
            rest = after;
        }
        // BLAKE3's hashes compare in constant time.
        if !rest.is_empty() || tag.finalize() != self.tag.finalize() {
            return Err(changed());
        }
        Ok(records)
    }
}

fn frame_header(length: usize) -> [u8; 4] {
    u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes()
}

/// A chunk into the hash of a part, behind its length.
fn frame(tag: &mut blake3::Hasher, chunk: &[u8]) {
    tag.update(&frame_header(chunk.len()));
    tag.update(chunk);
}

/// Adds the stream; each chunk begins with a fresh block of it.
fn mask(key: &mut Stream, bytes: &mut [u8]) {
    let blocks = key.blocks(bytes.len().div_ceil(16));
    for (chunk, block) in bytes.chunks_mut(16).zip(blocks) {
        for (byte, of_key) in chunk.iter_mut().zip(block.to_le_bytes()) {
            *byte ^= of_key;
        }
    }
}

#[cfg(test)]
mod tests;
