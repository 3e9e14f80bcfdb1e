//! Correlated transfers of bits in bulk: the receiver gets random bits a and blocks c, the sender Δ and blocks b, with
//! `c = a·Δ + b` in every place.
//!
//! As in [`crate::vole`], but the noise is one per block, so the noise values need no transfers: the sender says, per tree,
//! the sum of its leaves and Δ, and the one leaf that the receiver misses hides Δ (BCGI18, Ferret's single-point transfers).
//! Δ's lowest bit is one and that of every leaf zero, so a is the lowest bit of c and takes no memory of its own; Δ has 127
//! random bits. The code is linear and keeps that.
//!
//! Threats: a curious peer sees trees under keys of transfers (sender's side) and masked choices (receiver's side); c's
//! lowest bits are pseudo-random to the sender by LPN (noise: [`BIT_NOISE_WEIGHT`]). There is no consistency check, so never
//! use this against a malicious peer. Never says Δ, a leaf or a place.

use zeroize::Zeroize as _;

use crate::base_ot;
use crate::extension::{self, COLUMNS};
use crate::fault::Fault;
use crate::field::Gf;
use crate::hash::{derive, domain};
use crate::limits::{
    BIT_EXPANSION, BIT_NOISE_WEIGHT, EXPANSIONS_AT_ONCE, MIN_EXPANSION, TREES_PER_MESSAGE,
};
use crate::random::Stream;
use crate::session::Session;
use crate::step::Step;
use crate::tree::{self, Expander, path};

/// The bit that tells a from c, and Δ from a leaf.
const MARK: u128 = 1;

/// The side that holds Δ and b.
pub struct Sender {
    delta: u128,
    own: Stream,
    extension: extension::Sender,
    expander: Expander,
}

/// The side that holds c, and a in its lowest bits.
pub struct Receiver {
    own: Stream,
    extension: extension::Receiver,
    expander: Expander,
}

/// Sizes of one expansion; both parties work out the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    wanted: usize,
    leaves: usize,
    depth: usize,
}

impl Shape {
    pub(super) fn of(wanted: usize) -> Self {
        let leaves = (2 * wanted.max(MIN_EXPANSION)).div_ceil(BIT_NOISE_WEIGHT);
        Self { wanted, leaves, depth: tree::depth(leaves) }
    }

    fn noise_length(self) -> usize {
        BIT_NOISE_WEIGHT * self.leaves
    }

    /// Transfers that its trees take.
    fn transfers(self) -> usize {
        BIT_NOISE_WEIGHT * self.depth
    }

    /// Bytes per tree: two masked sums per level, and the sum of all leaves and Δ.
    fn tree_bytes(self) -> usize {
        self.depth * 32 + 16
    }
}

/// The expansions that together give `wanted` places.
pub(super) fn shapes(wanted: usize) -> Vec<Shape> {
    let begins = (0..wanted).step_by(BIT_EXPANSION);
    begins.map(|begin| Shape::of((wanted - begin).min(BIT_EXPANSION))).collect()
}

/// Numbers of the trees of each message.
fn portions() -> impl Iterator<Item = (usize, usize)> {
    let begins = (0..BIT_NOISE_WEIGHT).step_by(TREES_PER_MESSAGE);
    begins.map(|begin| (begin, (begin + TREES_PER_MESSAGE).min(BIT_NOISE_WEIGHT)))
}

impl Sender {
    /// `name` tells several set-ups of one session apart; both parties give the same.
    pub fn set_up(session: &mut Session<'_>, name: &[u8]) -> Result<Self, Fault> {
        let binding = derive(domain::BITS, &[session.binding(), name]);
        let mut own = session.stream(b"bits sender");
        let secret = own.block();
        let choices: Vec<u8> = (0..COLUMNS).map(|i| u8::from(secret >> i & 1 == 1)).collect();
        let keys = base_ot::receive(session, &choices)?;
        let extension = extension::Sender::new(&binding, secret, &keys)?;
        let delta = own.block() | MARK;
        Ok(Self { delta, own, extension, expander: Expander::new(&binding) })
    }

    pub fn delta(&self) -> u128 {
        self.delta
    }

    /// `wanted` new places, handed to `take` in portions of at most [`BIT_EXPANSION`], which is a multiple of 256.
    pub fn produce(
        &mut self,
        session: &mut Session<'_>,
        wanted: usize,
        mut take: impl FnMut(&[Gf]),
    ) -> Result<(), Fault> {
        for group in shapes(wanted).chunks(EXPANSIONS_AT_ONCE) {
            let count = group.iter().map(|shape| shape.transfers()).sum();
            let keys = self.extension.extend(session, count, false)?;
            let mut keys = keys.as_slice();
            for shape in group {
                let (own, rest) = keys.split_at(shape.transfers());
                take(&self.expand(session, *shape, own)?);
                keys = rest;
            }
        }
        Ok(())
    }

    fn expand(
        &mut self,
        session: &mut Session<'_>,
        shape: Shape,
        keys: &[[u128; 2]],
    ) -> Result<Vec<Gf>, Fault> {
        let mut noise = Vec::with_capacity(shape.noise_length());
        let (mut leaves, mut spare) = (Vec::new(), Vec::new());
        for (begin, end) in portions() {
            let mut message = Vec::with_capacity((end - begin) * shape.tree_bytes());
            for keys in keys.chunks_exact(shape.depth).take(end).skip(begin) {
                let root = self.own.block();
                let sums = self.expander.expand(root, &mut leaves, &mut spare, shape.leaves);
                for (sums, keys) in sums.iter().zip(keys) {
                    message.extend_from_slice(&(sums[0] ^ keys[0]).to_le_bytes());
                    message.extend_from_slice(&(sums[1] ^ keys[1]).to_le_bytes());
                }
                let all = leaves.iter().fold(self.delta, |sum, leaf| sum ^ (leaf & !MARK));
                message.extend_from_slice(&all.to_le_bytes());
                noise.extend(leaves.iter().map(|leaf| Gf(leaf & !MARK)));
            }
            session.send(Step::BitTrees, &message)?;
        }
        crate::code::compress(&mut noise);
        noise.truncate(shape.wanted);
        Ok(noise)
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.delta.zeroize();
    }
}

impl Receiver {
    /// The other side of [`Sender::set_up`].
    pub fn set_up(session: &mut Session<'_>, name: &[u8]) -> Result<Self, Fault> {
        let binding = derive(domain::BITS, &[session.binding(), name]);
        let own = session.stream(b"bits receiver");
        let keys = base_ot::send(session, COLUMNS)?;
        let extension = extension::Receiver::new(&binding, &keys)?;
        Ok(Self { own, extension, expander: Expander::new(&binding) })
    }

    /// The other side of [`Sender::produce`].
    pub fn produce(
        &mut self,
        session: &mut Session<'_>,
        wanted: usize,
        mut take: impl FnMut(&[Gf]),
    ) -> Result<(), Fault> {
        for group in shapes(wanted).chunks(EXPANSIONS_AT_ONCE) {
            let mut targets = Vec::with_capacity(group.len() * BIT_NOISE_WEIGHT);
            let mut sides = Vec::new();
            for shape in group {
                let leaves = u32::try_from(shape.leaves).unwrap_or(u32::MAX);
                for _ in 0..BIT_NOISE_WEIGHT {
                    let target = self.own.below(leaves) as usize;
                    targets.push(target);
                    sides.extend(path(target, shape.depth).map(|bit| 1 - bit));
                }
            }
            let keys = self.extension.extend(session, &sides, &mut self.own, false)?;
            let (mut keys, mut sides) = (keys.as_slice(), sides.as_slice());
            for (shape, targets) in group.iter().zip(targets.chunks(BIT_NOISE_WEIGHT)) {
                let (own_keys, rest_keys) = keys.split_at(shape.transfers());
                let (own_sides, rest_sides) = sides.split_at(shape.transfers());
                let paths = Paths { targets, sides: own_sides, keys: own_keys };
                take(&self.expand(session, *shape, &paths)?);
                (keys, sides) = (rest_keys, rest_sides);
            }
        }
        Ok(())
    }

    fn expand(
        &self,
        session: &mut Session<'_>,
        shape: Shape,
        paths: &Paths<'_>,
    ) -> Result<Vec<Gf>, Fault> {
        let mut noise = Vec::with_capacity(shape.noise_length());
        let (mut leaves, mut spare) = (Vec::new(), Vec::new());
        let mut trees = paths
            .targets
            .iter()
            .zip(paths.sides.chunks_exact(shape.depth))
            .zip(paths.keys.chunks_exact(shape.depth));
        for (begin, end) in portions() {
            let message = session.receive(Step::BitTrees, (end - begin) * shape.tree_bytes())?;
            for (said, ((target, sides), keys)) in
                message.chunks_exact(shape.tree_bytes()).zip(&mut trees)
            {
                let (levels, all) = said.split_at(shape.depth * 32);
                let sums: Vec<u128> = levels
                    .chunks_exact(32)
                    .zip(sides)
                    .zip(keys)
                    .map(|((level, side), key)| {
                        let (left, right) = level.split_at(16);
                        let take = 0u128.wrapping_sub(u128::from(*side));
                        key ^ (Gf::from_slice(left).0 & !take | Gf::from_slice(right).0 & take)
                    })
                    .collect();
                self.expander.puncture(*target, &sums, &mut leaves, &mut spare, shape.leaves);
                // The sum without the missing leaf, which came out as zero: what remains is that leaf and Δ.
                let all = Gf::from_slice(all).0;
                let missing = leaves.iter().fold(all, |sum, leaf| sum ^ (leaf & !MARK));
                let begin = noise.len();
                noise.extend(leaves.iter().map(|leaf| Gf(leaf & !MARK)));
                if let Some(place) = noise.get_mut(begin + target) {
                    *place = Gf(missing | MARK);
                }
            }
        }
        crate::code::compress(&mut noise);
        noise.truncate(shape.wanted);
        Ok(noise)
    }
}

/// Where one expansion's noise lies, which sums are asked for, and the keys that open them.
struct Paths<'a> {
    targets: &'a [usize],
    sides: &'a [u8],
    keys: &'a [u128],
}
