//! Vector oblivious linear evaluation over GF(2^128): the receiver gets random vectors a and c, the sender a key Δ and a
//! vector b, with `c = a·Δ + b` in every place. *Silent*: a million places cost a few hundred kilobytes.
//!
//! ```text
//!   set-up, once     256 base transfers: 128 for the extension, 128 for Δ; from the latter t + 1 places directly ("noisy")
//!   per expansion    t trees of s leaves; the receiver misses one leaf in each, where the two differ by a_j·Δ
//!                    (malicious: a random combination of all leaves is compared)
//!                    the code compresses t·s sparse places into t·s/2 pseudo-random ones
//!                    t + 1 of them are kept for the next expansion: the set-up is paid once (Ferret, YWLZW20)
//! ```
//!
//! From Boyle, Couteau, Gilboa, Ishai ("Compressing Vector OLE", 2018); the consistency check is that of Wolverine (WYKW21). What a
//! malicious party can do and still pass the check: the receiver may guess k bits of Δ and is caught with
//! probability 1 − 2^−k; the sender may guess noise positions and is caught when wrong. WYKW21 allow the latter (LPN with static
//! leakage) and, of the former, a guess of all of Δ.
//!
//! Δ outlives an expansion, so a receiver that is caught must have learnt nothing of it: vectors of earlier expansions are out, and
//! with Δ it could work out every mask below them. Its part of the comparison is `Δ·sum` with a `sum` of its own choice, so the
//! sender never says the value, only a hash of it (their equality test instead lets the other side speak, which costs a message more).
//!
//! Never use one expansion's places twice, and never use Δ in another session: it is drawn here and dies with the struct.

pub mod ideal;
mod receiver;
mod sender;

pub use receiver::Receiver;
pub use sender::Sender;

use crate::fault::Fault;
use crate::field::{GF_BYTES, Gf};
use crate::hash::{derive, domain};
use crate::limits::{BAND_VALUE_BITS, MAX_EXPANSION, MIN_EXPANSION, NOISE_WEIGHT};
use crate::random::Stream;
use crate::tree;

/// Against whom a protocol holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// A peer that follows the protocol and looks at all it sees.
    SemiHonest,
    /// The same peer, over vectors whose a has 64 bits: half of what is sent per place (RR22's subfield VOLE).
    SemiHonestLow,
    /// A peer that does anything.
    Malicious,
}

impl Security {
    fn checked(self) -> bool {
        self == Self::Malicious
    }

    /// Bytes of an a. Those that are shorter than an element are its lowest: a subgroup under addition, which is all that
    /// expanding and a store of bits need, so it does not have to be a subfield.
    fn value_bytes(self) -> usize {
        match self {
            Self::SemiHonest | Self::Malicious => GF_BYTES,
            Self::SemiHonestLow => (BAND_VALUE_BITS / 8) as usize,
        }
    }
}

/// Places kept for the next expansion: a noise value per tree, and one that masks what the check tells.
const RESERVE: usize = NOISE_WEIGHT + 1;

/// Sizes of one expansion; both parties work out the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shape {
    leaves: usize,
    depth: usize,
}

impl Shape {
    /// The smallest expansion of at least `wanted` places.
    fn of(wanted: usize) -> Result<Self, Fault> {
        if wanted > MAX_EXPANSION {
            let (count, most) = (wanted as u64, MAX_EXPANSION as u64);
            return Err(Fault::TooMany { what: "places of one expansion", count, most });
        }
        let outputs = (wanted + RESERVE).max(MIN_EXPANSION);
        let leaves = (2 * outputs).div_ceil(NOISE_WEIGHT);
        Ok(Self { leaves, depth: tree::depth(leaves) })
    }

    fn noise_length(self) -> usize {
        NOISE_WEIGHT * self.leaves
    }

    /// Bytes that the sender says per tree: two masked sums per level, and how its leaves differ in sum.
    fn tree_bytes(self) -> usize {
        self.depth * 32 + 16
    }
}

/// What the sender says of its side of the check: who knows the value sees that it is the same, and nobody else anything.
fn answer(binding: &[u8; 32], value: Gf) -> [u8; 32] {
    derive(domain::NOISE_CHECK, &[binding, &value.to_bytes()])
}

/// `Σ χ_i · values_i` with coefficients from a challenge, taken in portions.
fn combination(challenge: &mut Stream, values: impl Iterator<Item = Gf>) -> Gf {
    const PORTION: usize = 4096;
    let mut values = values.fuse();
    let mut sum = Gf::ZERO;
    loop {
        let portion: Vec<Gf> = values.by_ref().take(PORTION).collect();
        if portion.is_empty() {
            return sum;
        }
        let coefficients: Vec<Gf> = challenge.blocks(portion.len()).into_iter().map(Gf).collect();
        sum ^= crate::kernel::inner(&portion, &coefficients);
    }
}

#[cfg(test)]
mod tests;
