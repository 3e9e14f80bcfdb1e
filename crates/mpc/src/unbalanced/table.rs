//! The table: entries sorted and cut into segments by their top bits, each segment written as Elias and Fano would, and an
//! index of counts and digests, by which any segment is read and checked alone.
//!
//! An entry is as long as makes a false match improbable: 40 + ⌈log2 entries⌉ + ⌈log2 items of a session⌉ bits, and takes about
//! 42 + ⌈log2 items⌉ in its segment: 7.8 bytes for a million items, whatever the number of entries. A binary fuse filter of the same
//! error takes 1.13 · (40 + ⌈log2 items⌉) bits, 8.5 bytes, must be built and held as a whole, and finds its entries at random.
//!
//! Threats. The table comes from a peer by way of some store: a segment that is not the one the index names is refused. The
//! index is a peer's word: parsing it takes no memory that its bytes do not pay for. Entries are a pseudo-random function's
//! values: their number shows, and counts per segment say nothing beyond it.

use super::space::Space;
use crate::fault::Fault;
use crate::hash::{derive, domain};
use crate::limits::{
    MAX_ITEMS, MAX_PARTITIONS, MAX_TABLE_ENTRIES, STATISTICAL_BITS, TABLE_BUFFER_BYTES,
    TABLE_SEGMENT_ENTRIES,
};
use crate::psi::log2_up;
use crate::psi::masks::Code;
use crate::random::Seed;

use super::Key;

/// Where a table is written, from its beginning to its end.
pub trait Sink {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Fault>;
}

impl Sink for Vec<u8> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.extend_from_slice(bytes);
        Ok(())
    }
}

/// Where a table is read.
pub trait Source {
    /// Fills all of `buffer` with what stands at `offset`; a fault where the table ends before.
    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> Result<(), Fault>;
}

impl Source for &[u8] {
    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> Result<(), Fault> {
        let begin = usize::try_from(offset).unwrap_or(usize::MAX);
        let bytes = self.get(begin..).and_then(|rest| rest.get(..buffer.len()));
        buffer.copy_from_slice(bytes.ok_or_else(|| damaged("the table ends too early"))?);
        Ok(())
    }
}

fn damaged(what: &str) -> Fault {
    Fault::Spill { reason: what.to_owned() }
}

/// What a table is, before it has entries. Everything about the table is bound to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The server's number of this version; with it goes the key.
    pub version: u64,
    /// Entries that the table has, or is filled up to. The peer learns this number.
    pub entries: u64,
    /// Most items that a client may ask about in one session.
    pub client_items: u64,
    /// [`Key::public`].
    pub public: [u8; 32],
}

const MAGIC: &[u8; 12] = b"tidm table 1";
const HEADER_BYTES: usize = MAGIC.len() + 3 * 8 + 32;
const DIGEST_BYTES: usize = 32;

impl Header {
    fn bytes(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        let parts: [&[u8]; 5] = [
            MAGIC,
            &self.version.to_le_bytes(),
            &self.entries.to_le_bytes(),
            &self.client_items.to_le_bytes(),
            &self.public,
        ];
        for (byte, value) in bytes.iter_mut().zip(parts.into_iter().flatten()) {
            *byte = *value;
        }
        bytes
    }

    /// What points and entries of this table are hashed under.
    pub(super) fn binding(&self) -> [u8; 32] {
        derive(domain::TABLE, &[&self.bytes()])
    }

    pub(super) fn check_key(&self, key: &Key) -> Result<(), Fault> {
        let same = self.public == key.public();
        if same { Ok(()) } else { Err(Fault::ApiMisuse("the key is not that of this version")) }
    }

    fn check(&self) -> Result<(), Fault> {
        let (count, most) = (self.entries, MAX_TABLE_ENTRIES);
        if count > most {
            return Err(Fault::TooMany { what: "entries of a table", count, most });
        }
        let (count, most) = (self.client_items, MAX_ITEMS);
        if count > most {
            return Err(Fault::TooMany { what: "items of a client", count, most });
        }
        Ok(())
    }

    /// Bits of an entry.
    fn bits(&self) -> u32 {
        STATISTICAL_BITS + log2_up(self.entries) + log2_up(self.client_items)
    }

    /// Of these, the top ones that name the segment.
    fn segment_bits(&self) -> u32 {
        log2_up(self.entries.div_ceil(TABLE_SEGMENT_ENTRIES))
    }

    fn code(&self, count: u32) -> Code {
        Code::new(count as usize, self.bits() - self.segment_bits())
    }

    /// Segment and rest of an entry.
    fn split(&self, value: u128) -> (usize, u128) {
        let rest_bits = self.bits() - self.segment_bits();
        let entry = value >> (128 - self.bits());
        let segment = usize::try_from(entry >> rest_bits).unwrap_or(usize::MAX);
        (segment, entry & ((1 << rest_bits) - 1))
    }
}

/// Gathers entries in any order and writes the table.
pub struct Builder<'a> {
    header: Header,
    space: &'a mut dyn Space,
    parts: Vec<Part>,
    pushed: u64,
}

/// What is not written yet of a part, and the hash of what was.
#[derive(Clone, Default)]
struct Part {
    buffer: Vec<u8>,
    tag: blake3::Hasher,
}

impl<'a> Builder<'a> {
    /// Entries wait in `space`; they are what the table will show.
    pub fn new(header: Header, space: &'a mut dyn Space) -> Result<Self, Fault> {
        header.check()?;
        let parts = (1usize << header.segment_bits()).min(MAX_PARTITIONS as usize);
        Ok(Self { header, space, parts: vec![Part::default(); parts], pushed: 0 })
    }

    /// Takes what [`Key::entries`] gave.
    pub fn push(&mut self, entries: &[u128]) -> Result<(), Fault> {
        self.pushed += entries.len() as u64;
        let (count, most) = (self.pushed, self.header.entries);
        if count > most {
            return Err(Fault::TooMany { what: "entries of the table", count, most });
        }
        let part_bits = self.parts.len().ilog2();
        for entry in entries {
            let part = entry.checked_shr(128 - part_bits).unwrap_or(0);
            let part = u32::try_from(part).unwrap_or(u32::MAX);
            if let Some(Part { buffer, .. }) = self.parts.get_mut(part as usize) {
                buffer.extend_from_slice(&entry.to_le_bytes());
                if buffer.len() >= TABLE_BUFFER_BYTES {
                    self.write_out(part)?;
                }
            }
        }
        Ok(())
    }

    fn write_out(&mut self, part: u32) -> Result<(), Fault> {
        if let Some(Part { buffer, tag }) = self.parts.get_mut(part as usize) {
            tag.update(buffer);
            self.space.append(part, buffer)?;
            buffer.clear();
        }
        Ok(())
    }

    /// All entries of a part, rising.
    fn take(&mut self, part: u32) -> Result<Vec<u128>, Fault> {
        self.write_out(part)?;
        let bytes = self.space.take(part)?;
        let tag = self.parts.get(part as usize).map(|part| part.tag.finalize());
        if tag != Some(blake3::hash(&bytes)) {
            return Err(damaged("the space gave back other entries than it was given"));
        }
        let (entries, _) = bytes.as_chunks::<16>();
        let mut entries: Vec<u128> = entries.iter().map(|e| u128::from_le_bytes(*e)).collect();
        entries.sort_unstable();
        Ok(entries)
    }

    /// Leaves one of equal entries, part by part, and gives how many others there were. Equal items have equal entries, so their list
    /// need not be held to find them.
    pub fn keep_first(&mut self) -> Result<u64, Fault> {
        let parts = u32::try_from(self.parts.len()).unwrap_or(MAX_PARTITIONS);
        let mut left_out = 0;
        for part in 0..parts {
            let mut entries = self.take(part)?;
            let before = entries.len();
            entries.dedup();
            left_out += (before - entries.len()) as u64;
            if let Some(part) = self.parts.get_mut(part as usize) {
                part.tag.reset();
                part.buffer = entries.into_iter().flat_map(u128::to_le_bytes).collect();
            }
            self.write_out(part)?;
            if let Some(part) = self.parts.get_mut(part as usize) {
                part.buffer = Vec::new();
            }
        }
        self.pushed = self.pushed.saturating_sub(left_out);
        Ok(left_out)
    }

    /// Fills the table up, writes it and gives its index. Items that were pushed twice are a fault, with the number of the
    /// first part that has some. `seed` is for the filling, and may be the key's.
    pub fn finish(mut self, sink: &mut dyn Sink, seed: &Seed) -> Result<Index, Fault> {
        let binding = self.header.binding();
        let mut filling = seed.child(b"table filling").child(&binding).stream();
        while self.pushed < self.header.entries {
            let count = (self.header.entries - self.pushed).min(1024);
            self.push(&filling.blocks(usize::try_from(count).unwrap_or(1024)))?;
        }
        let segments = 1usize << self.header.segment_bits();
        let mut index = Index { header: self.header, segments: Vec::with_capacity(segments) };
        let parts = u32::try_from(self.parts.len()).unwrap_or(MAX_PARTITIONS);
        let each = segments / self.parts.len();
        for part in 0..parts {
            let entries = self.take(part)?;
            let equal = entries.windows(2).filter(|pair| pair[0] == pair[1]).count();
            if equal > 0 {
                return Err(Fault::Duplicates { count: equal as u64 });
            }
            let mut left = entries.as_slice();
            for segment in part as usize * each..(part as usize + 1) * each {
                let end = left.partition_point(|entry| self.header.split(*entry).0 <= segment);
                let (these, others) = left.split_at(end);
                left = others;
                let rests: Vec<u128> = these.iter().map(|e| self.header.split(*e).1).collect();
                let count = u32::try_from(rests.len()).map_err(|_| damaged("a full segment"))?;
                let bytes = self.header.code(count).write(&rests);
                sink.write(&bytes)?;
                index
                    .segments
                    .push(Segment { count, digest: index.segment_digest(segment, &bytes) });
            }
        }
        Ok(index)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Segment {
    count: u32,
    digest: [u8; DIGEST_BYTES],
}

/// What a client needs besides the table: small, and signed by the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    header: Header,
    segments: Vec<Segment>,
}

impl Index {
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Bytes of the whole table.
    pub fn table_bytes(&self) -> u64 {
        self.segments.iter().map(|s| self.header.code(s.count).bytes() as u64).sum()
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.header.bytes().to_vec();
        for segment in &self.segments {
            bytes.extend_from_slice(&segment.count.to_le_bytes());
            bytes.extend_from_slice(&segment.digest);
        }
        bytes
    }

    /// Reads what [`Self::bytes`] wrote; anything else is refused.
    pub fn parse(bytes: &[u8]) -> Result<Self, Fault> {
        let wrong = |what| Fault::PeerIncompatible { what };
        let (magic, rest) =
            bytes.split_first_chunk::<12>().ok_or_else(|| wrong("it is no table's index"))?;
        if magic != MAGIC {
            return Err(wrong("it is no table's index, or one of another format"));
        }
        let short = || wrong("the index ends too early");
        let (numbers, rest) = rest.split_first_chunk::<24>().ok_or_else(short)?;
        let (public, rest) = rest.split_first_chunk::<32>().ok_or_else(short)?;
        let (numbers, _) = numbers.as_chunks::<8>();
        let number = |at: usize| numbers.get(at).map_or(0, |bytes| u64::from_le_bytes(*bytes));
        let (version, entries, client_items) = (number(0), number(1), number(2));
        let header = Header { version, entries, client_items, public: *public };
        header.check()?;
        let (segments, others) = rest.as_chunks::<{ 4 + DIGEST_BYTES }>();
        if segments.len() != 1 << header.segment_bits() || !others.is_empty() {
            return Err(wrong("the index has not as many segments as its entries need"));
        }
        let segments: Vec<Segment> = segments
            .iter()
            .map(|[a, b, c, d, digest @ ..]| Segment {
                count: u32::from_le_bytes([*a, *b, *c, *d]),
                digest: *digest,
            })
            .collect();
        // Entries are spread evenly: one that has twice its share is made to take memory.
        if segments.iter().any(|segment| u64::from(segment.count) > 2 * TABLE_SEGMENT_ENTRIES) {
            return Err(wrong("a segment has more entries than fall into one"));
        }
        if segments.iter().map(|segment| u64::from(segment.count)).sum::<u64>() != entries {
            return Err(wrong("the index counts other entries than it says"));
        }
        Ok(Self { header, segments })
    }

    /// What the server signs: names header, counts and every byte of the table.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        derive(domain::TABLE_INDEX, &[&self.bytes()])
    }

    fn segment_digest(&self, segment: usize, bytes: &[u8]) -> [u8; DIGEST_BYTES] {
        derive(
            domain::TABLE_SEGMENT,
            &[&self.header.binding(), &(segment as u64).to_le_bytes(), bytes],
        )
    }

    /// Reads all of a table and compares it with the index, as after a download.
    pub fn check(&self, source: &mut dyn Source) -> Result<(), Fault> {
        self.read(source, |_| true, |_, _, _| ())
    }

    /// Numbers of those `values` that are in the table, rising. Only segments that may have one are read.
    pub(super) fn find(&self, values: &[u128], source: &mut dyn Source) -> Result<Vec<u32>, Fault> {
        let mut wanted: Vec<(usize, u128, u32)> = (0u32..)
            .zip(values)
            .map(|(number, value)| {
                let (segment, rest) = self.header.split(*value);
                (segment, rest, number)
            })
            .collect();
        wanted.sort_unstable();
        let of = |segment: usize| {
            let begin = wanted.partition_point(|(at, _, _)| *at < segment);
            let end = wanted.partition_point(|(at, _, _)| *at <= segment);
            &wanted[begin..end]
        };
        let mut found = Vec::new();
        self.read(
            source,
            |segment| !of(segment).is_empty(),
            |segment, code, bytes| {
                let these = of(segment);
                let rests: Vec<u128> = these.iter().map(|(_, rest, _)| *rest).collect();
                code.find(bytes, &rests, |at| found.push(these[at].2));
            },
        )?;
        found.sort_unstable();
        Ok(found)
    }

    /// Reads the segments that are wanted, from the first to the last, and gives each to `each` once it is known to be whole.
    fn read(
        &self,
        source: &mut dyn Source,
        is_wanted: impl Fn(usize) -> bool,
        mut each: impl FnMut(usize, Code, &[u8]),
    ) -> Result<(), Fault> {
        let (mut offset, mut buffer) = (0, Vec::new());
        for (number, segment) in self.segments.iter().enumerate() {
            let code = self.header.code(segment.count);
            if is_wanted(number) {
                // The bytes are the store's: that it has so many is seen before as much memory is taken.
                let last = code.bytes().saturating_sub(1) as u64;
                source.read_at(offset + last, &mut [0; 1][..code.bytes().min(1)])?;
                buffer.resize(code.bytes(), 0);
                source.read_at(offset, &mut buffer)?;
                if self.segment_digest(number, &buffer) != segment.digest {
                    return Err(damaged(
                        "a segment of the table is not the one that the index names",
                    ));
                }
                each(number, code, &buffer);
            }
            offset += code.bytes() as u64;
        }
        Ok(())
    }
}
