//! An oblivious key-value store: the clustered, weight-3 construction of RR22 ("Blazing Fast PSI", CCS 2022; in the
//! authors' own version, which sections here are of, §2 and §3, "separate").
//!
//! Keys are hashed into bins. Within a bin each key names three sparse places and a point r; its value is the sum of what
//! stands in the three places, plus `d₁·r + d₂·r² + …` of the bin's dense places. Encoding peels places that only one key
//! names, as for a hypergraph above its threshold; the few keys that are left over ("the gap") are solved through the dense
//! places. Sizes come from RR22's fit and are compared with measured failure rates in the tests and in `docs/psi.md`.
//!
//! Places that no key names are zero: an encoding by itself is *not* oblivious. It must travel under a one-time mask, as
//! it does in [`crate::psi`], and under nothing else.
//!
//! [`band`] is another construction: fewer places, more work per key.
//!
//! The hash functions are bound to a session in which both parties have put a nonce, so nobody can prepare keys that do
//! not encode. Encoding happens in its owner's memory and is not constant time; decoding reads places by key.

pub mod band;
mod rows;
mod shape;
mod solve;

pub(crate) use rows::different;
pub use rows::{Binned, Hasher, Rows};
pub use shape::Shape;
pub(crate) use shape::fullest;
pub use solve::{GapTooLarge, Solver};

use crate::field::Gf;
use crate::kernel;

/// What the store of one bin holds for each of `rows`, whether it was encoded for that key or not.
pub fn decode(shape: &Shape, store: &[Gf], rows: &Rows, out: &mut Vec<Gf>) {
    out.clear();
    let (sparse, dense) = store.split_at(shape.sparse().min(store.len()));
    let place = |column: u32| sparse.get(column as usize).copied().unwrap_or_default();
    out.extend(rows.columns.iter().map(|[a, b, c]| place(*a) ^ place(*b) ^ place(*c)));
    kernel::polynomials(out, &rows.points, dense);
}

#[cfg(test)]
mod tests;
