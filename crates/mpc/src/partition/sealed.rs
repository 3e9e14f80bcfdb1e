//! A part where others may see or change it: a stream under a key of its own, and a hash of what was written.
//!
//! Counter mode and a keyed hash over the ciphertext (encrypt, then authenticate), both keys drawn for one spill of one
//! party and kept in memory. What a disk shows: how many bytes each part has. Never use one key for two spills: the
//! streams would meet.

use subtle::ConstantTimeEq as _;

use crate::fault::Fault;
use crate::random::{Seed, Stream};

/// Bytes behind a part's records.
pub const TAG_BYTES: usize = 32;

/// Chunks but a part's last have a multiple of this many bytes: whole records, whole blocks of the stream.
pub const CHUNK_BYTES: usize = 80;

/// One part on its way out.
pub struct Sealer {
    stream: Stream,
    tag: blake3::Hasher,
}

impl Sealer {
    /// `key` is of this spill, and never for two.
    pub fn new(key: &Seed, part: u32) -> Self {
        let seed = key.child(b"part").child(&part.to_le_bytes());
        let tag = blake3::Hasher::new_keyed(&seed.child(b"tag").stream().bytes32());
        Self { stream: seed.child(b"mask").stream(), tag }
    }

    /// Hides the next chunk.
    pub fn seal(&mut self, chunk: &mut [u8]) {
        mask(&mut self.stream, chunk);
        self.tag.update(chunk);
    }

    /// What stands behind the last chunk.
    pub fn tag(&self) -> [u8; TAG_BYTES] {
        *self.tag.finalize().as_bytes()
    }

    /// Shows the next chunk of what was sealed, which is that only if [`Self::closes`] says so in the end.
    pub fn unseal(&mut self, chunk: &mut [u8]) {
        self.tag.update(chunk);
        mask(&mut self.stream, chunk);
    }

    /// Whether this tag stands behind all chunks.
    pub fn closes(&self, tag: &[u8]) -> bool {
        self.tag().ct_eq(tag).into()
    }

    /// What was sealed, from chunks and tag, if it is exactly that.
    pub fn open(mut self, mut bytes: Vec<u8>) -> Result<Vec<u8>, Fault> {
        let changed =
            || Fault::Spill { reason: "a part came back other than it was written".to_owned() };
        let split = bytes.len().checked_sub(TAG_BYTES).ok_or_else(changed)?;
        let (records, tag) = bytes.split_at(split);
        self.tag.update(records);
        if !bool::from(self.tag().ct_eq(tag)) {
            return Err(changed());
        }
        bytes.truncate(split);
        mask(&mut self.stream, &mut bytes);
        Ok(bytes)
    }
}

/// Adds the stream.
fn mask(stream: &mut Stream, bytes: &mut [u8]) {
    const BATCH: usize = 64;
    let mut blocks = [0; BATCH];
    for batch in bytes.chunks_mut(BATCH * 16) {
        let blocks = &mut blocks[..batch.len().div_ceil(16)];
        stream.fill(blocks);
        let (whole, rest) = batch.as_chunks_mut::<16>();
        for (chunk, block) in whole.iter_mut().zip(&*blocks) {
            *chunk = (u128::from_le_bytes(*chunk) ^ block).to_le_bytes();
        }
        let last = blocks.last().copied().unwrap_or(0).to_le_bytes();
        for (byte, of_stream) in rest.iter_mut().zip(last) {
            *byte ^= of_stream;
        }
    }
}
