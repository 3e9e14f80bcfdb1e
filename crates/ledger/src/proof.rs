//! Inclusion and consistency proofs: made from a [`HashSource`], verified from nothing but their
//! arguments.
//!
//! Threat model: proof, size, index and roots of a `verify_*` call may all come from an attacker.
//! Must never accept a proof with a hash too many or too few, or leave a given hash unchecked (the
//! kind of defect in GHSA-672p-m5jq-mrh8).

use crate::limits::MAX_PROOF_HASHES;
use crate::tree::{
    EMPTY_ROOT, Hash, HashSource, MissingHash, NodeId, complete_subtrees, fold_right, node_hash,
};

/// Why no proof can be made.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The index is not below the size.
    #[error("entry {index} is not in a tree of {size} entries")]
    IndexOutOfRange {
        /// Entry asked for.
        index: u64,
        /// Tree size asked for.
        size: u64,
    },
    /// The old tree is larger than the new one.
    #[error("a tree of {old} entries cannot be a prefix of one of {new}")]
    Shrinking {
        /// Size of the tree claimed to be older.
        old: u64,
        /// Size of the tree claimed to be newer.
        new: u64,
    },
    /// A stored hash could not be had.
    #[error(transparent)]
    Missing(#[from] MissingHash),
}

/// The proof does not show what it claims. Deliberately says no more.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the proof does not verify: do not trust the log's answer, ask again and keep it as evidence"
)]
pub struct BadProof;

/// Leaves `start..end` whose hash belongs into a proof.
type Range = (u64, u64);

/// Inclusion proof of entry `index` in the tree of `size` entries, leaf's sibling first
/// (RFC 9162 §2.1.3.1).
pub fn inclusion(size: u64, index: u64, source: &impl HashSource) -> Result<Vec<Hash>, ProofError> {
    if index >= size {
        return Err(ProofError::IndexOutOfRange { index, size });
    }
    let (mut start, mut end) = (0, size);
    let mut siblings = Vec::new();
    while end - start > 1 {
        let middle = start + split(end - start);
        if index < middle {
            siblings.push((middle, end));
            end = middle;
        } else {
            siblings.push((start, middle));
            start = middle;
        }
    }
    siblings.reverse();
    Ok(read(&siblings, source)?)
}

/// Consistency proof between the trees of `old` and `new` entries (RFC 9162 §2.1.4.1).
/// Empty when `old` is 0 or equals `new`.
pub fn consistency(old: u64, new: u64, source: &impl HashSource) -> Result<Vec<Hash>, ProofError> {
    if old > new {
        return Err(ProofError::Shrinking { old, new });
    }
    if old == 0 || old == new {
        return Ok(Vec::new());
    }
    let (mut start, mut end) = (0, new);
    let mut parts = Vec::new();
    while old != end {
        let middle = start + split(end - start);
        if old <= middle {
            parts.push((middle, end));
            end = middle;
        } else {
            parts.push((start, middle));
            start = middle;
        }
    }
    // Without a step to the right the part is the old tree itself: the verifier has its root.
    if start > 0 {
        parts.push((start, end));
    }
    parts.reverse();
    Ok(read(&parts, source)?)
}

/// Largest power of two below `width`; `width` is at least 2.
fn split(width: u64) -> u64 {
    1 << (width - 1).ilog2()
}

/// Hashes of `ranges`, with one call to the source.
fn read(ranges: &[Range], source: &impl HashSource) -> Result<Vec<Hash>, MissingHash> {
    let ids: Vec<NodeId> =
        ranges.iter().flat_map(|&(start, end)| complete_subtrees(start, end)).collect();
    let parts = source.hashes(&ids)?;
    let mut rest = parts.as_slice();
    let mut proof = Vec::with_capacity(ranges.len());
    for &(start, end) in ranges {
        let (mine, after) = rest
            .split_at_checked((end - start).count_ones() as usize)
            .ok_or_else(|| short_answer(&ids))?;
        proof.push(fold_right(mine).ok_or_else(|| short_answer(&ids))?);
        rest = after;
    }
    Ok(proof)
}

fn short_answer(ids: &[NodeId]) -> MissingHash {
    let (level, index) = ids.last().copied().unwrap_or_default();
    MissingHash { level, index, why: "the source returned fewer hashes than asked for".into() }
}

/// Checks that `leaf` is entry `index` of the tree (`size`, `root`) (RFC 9162 §2.1.3.2).
pub fn verify_inclusion(
    leaf: Hash,
    index: u64,
    size: u64,
    root: Hash,
    proof: &[Hash],
) -> Result<(), BadProof> {
    if index >= size || proof.len() > MAX_PROOF_HASHES + 1 {
        return Err(BadProof);
    }
    let mut at = index;
    let mut last = size - 1;
    let mut hash = leaf;
    for sibling in proof {
        if last == 0 {
            return Err(BadProof);
        }
        if at & 1 == 1 || at == last {
            hash = node_hash(sibling, &hash);
            // The right edge climbs until it is a right child: nothing is beside it before that.
            let climb = if at & 1 == 0 { at.trailing_zeros().min(63) } else { 0 };
            at >>= climb;
            last >>= climb;
        } else {
            hash = node_hash(&hash, sibling);
        }
        at >>= 1;
        last >>= 1;
    }
    if last == 0 && hash == root { Ok(()) } else { Err(BadProof) }
}

/// Checks that the tree (`old_size`, `old_root`) is a prefix of (`new_size`, `new_root`)
/// (RFC 9162 §2.1.4.2). A proof for an empty old tree or equal sizes must be empty.
pub fn verify_consistency(
    old_size: u64,
    old_root: Hash,
    new_size: u64,
    new_root: Hash,
    proof: &[Hash],
) -> Result<(), BadProof> {
    let ok = match (old_size, new_size) {
        (old, new) if old > new => false,
        (0, new) => {
            proof.is_empty() && old_root == EMPTY_ROOT && (new > 0 || new_root == EMPTY_ROOT)
        }
        (old, new) if old == new => proof.is_empty() && old_root == new_root,
        (old, new) => {
            proof.len() <= MAX_PROOF_HASHES + 1
                && roots_from(old, old_root, new, proof) == Some((old_root, new_root))
        }
    };
    if ok { Ok(()) } else { Err(BadProof) }
}

/// Old and new root that `proof` leads to, for `0 < old < new`; `None` if its length is wrong.
fn roots_from(old: u64, old_root: Hash, new: u64, proof: &[Hash]) -> Option<(Hash, Hash)> {
    // Step 1: "If first is an exact power of 2, then prepend first_hash".
    let (seed, rest) =
        if old.is_power_of_two() { (&old_root, proof) } else { proof.split_first()? };
    let mut at = old - 1;
    let mut last = new - 1;
    let climb = at.trailing_ones();
    at >>= climb;
    last >>= climb;
    let (mut old_hash, mut new_hash) = (*seed, *seed);
    for part in rest {
        if last == 0 {
            return None;
        }
        if at & 1 == 1 || at == last {
            old_hash = node_hash(part, &old_hash);
            new_hash = node_hash(part, &new_hash);
            let climb = if at & 1 == 0 { at.trailing_zeros().min(63) } else { 0 };
            at >>= climb;
            last >>= climb;
        } else {
            new_hash = node_hash(&new_hash, part);
        }
        at >>= 1;
        last >>= 1;
    }
    (last == 0).then_some((old_hash, new_hash))
}

#[cfg(test)]
mod tests;
