//! Which part an item belongs to: a keyed hash that both parties work out alike.
//!
//! The key is public between the two. Never a secret, never two keys in one job.

use crate::field::{narrowed, word};
use crate::hash::{Permutation, domain};

/// The cut of one job.
#[derive(Clone)]
pub struct Cut {
    hash: Permutation,
    parts: u32,
}

/// The key of a job's cut, from the job's identifier and the nonces of the receiver and of the sender.
pub fn key(job: &[u8; 32], receiver: &[u8; 32], sender: &[u8; 32]) -> [u8; 32] {
    crate::hash::derive(domain::PARTITION, &[job, receiver, sender])
}

impl Cut {
    pub fn new(key: &[u8; 32], parts: u32) -> Self {
        Self { hash: Permutation::bound(domain::PARTITION, key), parts }
    }

    /// The hashes of items: what [`Self::part`] takes, and good for telling whether a list is still the same.
    pub fn hashes(&self, items: &[u128], hashes: &mut Vec<u128>) {
        hashes.clear();
        hashes.extend_from_slice(items);
        self.hash.fold(hashes);
    }

    pub fn part(&self, hash: u128) -> u32 {
        narrowed(word(hash, 0), self.parts)
    }

    pub fn parts(&self) -> u32 {
        self.parts
    }
}
