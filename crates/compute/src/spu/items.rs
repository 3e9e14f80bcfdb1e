//! Keys become points, and points are masked.
//!
//! A key's point is the one with SHA-256 of the key as X coordinate: that is spu's choice, not ours. It is no hash onto the
//! group (half of the points lie on the twist), which for a curious peer is enough: X25519 works on both, and both orders
//! are a small factor times a large prime.

use sha2::{Digest, Sha256};
use tidm_mpc::curve::x25519_many;
use tidm_mpc::random::Seed;
use zeroize::Zeroizing;

use super::fault::Fault;
use super::limits::MOST_ITEMS;
use super::wire::POINT_BYTES;

pub type Point = [u8; POINT_BYTES];

/// What happens when a key stands in the list more than once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Equals {
    Refused,
    /// The first counts, the others are left out.
    First,
}

/// A list without repeats: points, and where each key stood.
#[derive(Debug)]
pub struct Items {
    pub(super) points: Vec<Point>,
    places: Vec<u32>,
    /// Keys that the list had, with repeats.
    pub rows: u64,
    pub left_out: u64,
}

impl Items {
    /// Keys in the order of the caller's list; with several columns, their texts joined by commas, as spu joins them.
    pub fn of<K: AsRef<[u8]>>(
        keys: impl Iterator<Item = K>,
        equals: Equals,
    ) -> Result<Self, Fault> {
        let mut points: Vec<Point> = Vec::new();
        for key in keys {
            if points.len() as u64 >= MOST_ITEMS {
                let (count, most) = (MOST_ITEMS + 1, MOST_ITEMS);
                return Err(Fault::TooMany { what: "keys", count, most });
            }
            points.push(Sha256::digest(key.as_ref()).into());
        }
        let rows = points.len() as u64;
        let mut places: Vec<u32> = (0..).take(points.len()).collect();
        let point = |place: u32| points.get(place as usize);
        places.sort_unstable_by_key(|place| (point(*place), *place));
        places.dedup_by_key(|place| point(*place));
        let left_out = rows - places.len() as u64;
        if left_out > 0 && equals == Equals::Refused {
            return Err(Fault::Duplicates { count: left_out });
        }
        places.sort_unstable();
        if left_out == 0 {
            return Ok(Self { points, places, rows, left_out });
        }
        let kept = places.iter().filter_map(|place| point(*place).copied()).collect();
        Ok(Self { points: kept, places, rows, left_out })
    }

    pub fn len(&self) -> usize {
        self.points.len()
    }

    pub fn is_empty(&self) -> bool {
        self.points.is_empty()
    }

    /// Where the key of the item stood in the caller's list.
    pub(super) fn place(&self, index: usize) -> Option<u32> {
        self.places.get(index).copied()
    }

    /// A random order. The order of a sorted list, which spu sends, tells the peer what lies between two items that it
    /// knows.
    pub(super) fn shuffle(&mut self, seed: &Seed) {
        let mut stream = seed.stream();
        let length = u32::try_from(self.points.len()).unwrap_or(u32::MAX);
        for at in (1..length).rev() {
            let other = stream.below(at + 1) as usize;
            self.points.swap(at as usize, other);
            self.places.swap(at as usize, other);
        }
    }
}

/// A party's secret of one session.
pub(super) struct Mask(Zeroizing<[u8; 32]>);

impl Mask {
    pub(super) fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// X25519 of each point: every point times the secret, in place.
    pub(super) fn many(&self, points: &mut [Point]) {
        x25519_many(&self.0, points);
    }
}

#[cfg(test)]
mod tests;
