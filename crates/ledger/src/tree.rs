//! The Merkle tree: hashes, the compact range of its right edge, and where hashes come from.
//!
//! A node is named by `(level, index)`: level 0 holds the leaf hashes, node `(l, i)` covers the
//! leaves `i·2^l .. (i+1)·2^l`. Only nodes of complete subtrees have a name, so a name means the
//! same hash at every tree size.
//!
//! Must never mix the two hash domains: without the prefix bytes 0x00 and 0x01 an inner node could
//! be passed off as an entry (RFC 9162 §2.1.1).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

/// A SHA-256 hash in the tree.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash([u8; 32]);

/// Root of the tree without entries: SHA-256 of the empty string.
pub const EMPTY_ROOT: Hash = Hash([
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24,
    0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
]);

/// `(level, index)` of the root of a complete subtree.
pub type NodeId = (u8, u64);

impl Hash {
    /// Takes 32 bytes as they are.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Standard base64 with padding; any other spelling of the same bytes is refused.
    pub fn from_base64(text: &str) -> Option<Self> {
        // Longer input cannot be 32 bytes: do not decode it.
        if text.len() != 44 {
            return None;
        }
        let bytes = STANDARD.decode(text).ok()?;
        Some(Self(bytes.try_into().ok()?))
    }

    /// Standard base64 with padding, 44 characters.
    pub fn to_base64(&self) -> String {
        STANDARD.encode(self.0)
    }

    /// Lower-case hexadecimal, 64 characters.
    pub fn to_hex(&self) -> String {
        self.0.iter().map(|it| format!("{it:02x}")).collect()
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_base64())
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_base64())
    }
}

impl From<[u8; 32]> for Hash {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl AsRef<[u8]> for Hash {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// SHA-256(0x00 ‖ entry).
pub fn leaf_hash(entry: &[u8]) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update([0x00]);
    hasher.update(entry);
    Hash(hasher.finalize().into())
}

/// SHA-256(0x01 ‖ left ‖ right).
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut block = [0x01; 65];
    block[1..33].copy_from_slice(&left.0);
    block[33..].copy_from_slice(&right.0);
    Hash(Sha256::digest(block).into())
}

/// Plain SHA-256, for names such as a witness's `<origin hash>`.
pub fn sha256(bytes: &[u8]) -> Hash {
    Hash(Sha256::digest(bytes).into())
}

/// Root of the complete or incomplete subtree over `hashes`; [`EMPTY_ROOT`] of none.
pub fn root_of(hashes: impl IntoIterator<Item = Hash>) -> Hash {
    let mut frontier = Frontier::new();
    for hash in hashes {
        frontier.append(hash);
    }
    frontier.root()
}

/// Names of the complete subtrees that make up the leaves `start..end`, left to right.
///
/// `start` must be a multiple of the largest power of two not above `end - start`, as it is for
/// every range that occurs in a proof.
pub(crate) fn complete_subtrees(start: u64, end: u64) -> impl Iterator<Item = NodeId> {
    let mut at = start;
    std::iter::from_fn(move || {
        let left = end.checked_sub(at).filter(|&it| it > 0)?;
        let level = left.ilog2();
        let id = (u8::try_from(level).ok()?, at >> level);
        at += 1 << level;
        Some(id)
    })
}

/// Hash of an incomplete subtree from the hashes of its complete parts, left to right.
pub(crate) fn fold_right(parts: &[Hash]) -> Option<Hash> {
    parts.iter().rev().copied().reduce(|right, left| node_hash(&left, &right))
}

/// The right edge of a tree as the roots of its complete subtrees, largest first.
///
/// Invariant: as many peaks as `size` has one-bits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    peaks: Vec<Hash>,
}

/// The parts given do not make a frontier of that size.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("a tree of {size} leaves has {expected} complete subtrees, {given} hashes were given")]
pub struct BadFrontier {
    /// Claimed tree size in leaves.
    pub size: u64,
    /// One-bits of `size`.
    pub expected: u32,
    /// Hashes handed in.
    pub given: usize,
}

impl Frontier {
    /// The empty tree.
    pub fn new() -> Self {
        Self::default()
    }

    /// From the roots of the complete subtrees, largest first, as [`Self::peaks`] returns them.
    pub fn from_parts(size: u64, peaks: Vec<Hash>) -> Result<Self, BadFrontier> {
        if usize::try_from(size.count_ones()).is_ok_and(|it| it == peaks.len()) {
            Ok(Self { size, peaks })
        } else {
            Err(BadFrontier { size, expected: size.count_ones(), given: peaks.len() })
        }
    }

    /// Rebuilt from stored hashes.
    pub fn read(size: u64, source: &impl HashSource) -> Result<Self, MissingHash> {
        let ids: Vec<NodeId> = complete_subtrees(0, size).collect();
        Ok(Self { size, peaks: source.hashes(&ids)? })
    }

    /// Adds one leaf hash.
    pub fn append(&mut self, leaf: Hash) {
        let mut node = leaf;
        // As many complete subtrees end here as the size has trailing ones.
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                node = node_hash(&left, &node);
            }
        }
        self.peaks.push(node);
        self.size += 1;
    }

    /// Leaves so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Roots of the complete subtrees, largest first.
    pub fn peaks(&self) -> &[Hash] {
        &self.peaks
    }

    /// Root of the tree so far.
    pub fn root(&self) -> Hash {
        fold_right(&self.peaks).unwrap_or(EMPTY_ROOT)
    }
}

/// Where hashes of complete subtrees come from: memory, or tiles through
/// [`crate::tile::TileReader`].
pub trait HashSource {
    /// The hashes of `ids`, in their order and number.
    fn hashes(&self, ids: &[NodeId]) -> Result<Vec<Hash>, MissingHash>;
}

/// A stored hash could not be had.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("hash {index} of level {level} cannot be read: {why}")]
pub struct MissingHash {
    /// Level of the node, 0 for leaf hashes.
    pub level: u8,
    /// Index of the node in its level.
    pub index: u64,
    /// What is missing or broken.
    pub why: String,
}

/// Root of the tree when it had `size` leaves.
pub fn root_at(size: u64, source: &impl HashSource) -> Result<Hash, MissingHash> {
    Ok(Frontier::read(size, source)?.root())
}

/// A whole tree in memory.
#[derive(Clone, Debug, Default)]
pub struct MemoryTree {
    levels: Vec<Vec<Hash>>,
}

impl MemoryTree {
    /// The empty tree.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one leaf hash and every node it completes.
    pub fn append(&mut self, leaf: Hash) {
        let mut node = leaf;
        let mut level = 0;
        loop {
            if self.levels.len() == level {
                self.levels.push(Vec::new());
            }
            let Some(row) = self.levels.get_mut(level) else { return };
            row.push(node);
            let [.., left, right] = row.as_slice() else { return };
            if row.len() % 2 == 1 {
                return;
            }
            node = node_hash(left, right);
            level += 1;
        }
    }

    /// Leaves so far.
    pub fn size(&self) -> u64 {
        self.levels.first().map_or(0, |it| it.len() as u64)
    }

    /// Root of the tree so far.
    pub fn root(&self) -> Hash {
        // All needed nodes are there by construction; a defect shows as the root of nothing.
        root_at(self.size(), self).unwrap_or(EMPTY_ROOT)
    }
}

impl HashSource for MemoryTree {
    fn hashes(&self, ids: &[NodeId]) -> Result<Vec<Hash>, MissingHash> {
        ids.iter()
            .map(|&(level, index)| {
                let row = self.levels.get(usize::from(level));
                let at = usize::try_from(index).ok();
                row.zip(at).and_then(|(row, at)| row.get(at)).copied().ok_or_else(|| MissingHash {
                    level,
                    index,
                    why: format!("the tree has {} leaves", self.size()),
                })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests;
