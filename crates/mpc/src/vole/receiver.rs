//! The side that holds a and c.
//!
//! Never says a noise value or position; says them under keys of transfers, and one combination under a random mask.

use super::{RESERVE, Security, Shape, combination};
use crate::base_ot;
use crate::extension::{self, COLUMNS};
use crate::fault::Fault;
use crate::field::Gf;
use crate::hash::commitment;
use crate::kernel::Pair;
use crate::limits::{NOISE_WEIGHT, TREES_PER_MESSAGE};
use crate::random::Stream;
use crate::session::Session;
use crate::step::Step;
use crate::tree::{Expander, path};

/// The receiver between expansions.
pub struct Receiver {
    security: Security,
    own: Stream,
    extension: extension::Receiver,
    expander: Expander,
    /// The places that the next expansion uses: their a are its noise values.
    reserve: Vec<Pair>,
    #[cfg(test)]
    lies: bool,
}

impl Receiver {
    pub fn set_up(session: &mut Session<'_>, security: Security) -> Result<Self, Fault> {
        let mut own = session.stream(b"vole receiver");
        let keys = base_ot::send(session, 2 * COLUMNS)?;
        let (for_extension, for_delta) = keys.split_at(COLUMNS);
        let extension = extension::Receiver::new(session.binding(), for_extension)?;
        let bytes = security.value_bytes();
        let keep = u128::MAX >> (128 - 8 * bytes);
        let mut reserve: Vec<Pair> =
            (0..RESERVE).map(|_| Pair { a: Gf(own.block() & keep), c: Gf::ZERO }).collect();
        let mut message = vec![0; COLUMNS * RESERVE * bytes];
        // Column i carries a at x^i of Δ; c is summed up by Horner's rule from the top bit down.
        let columns = message.chunks_exact_mut(RESERVE * bytes).zip(for_delta);
        for (correction, [zero, one]) in columns.rev() {
            let zeros = Stream::keyed(*zero).blocks(RESERVE);
            let ones = Stream::keyed(*one).blocks(RESERVE);
            let corrections = correction.chunks_exact_mut(bytes);
            for (((pair, zero), one), said) in
                reserve.iter_mut().zip(zeros).zip(ones).zip(corrections)
            {
                said.copy_from_slice(&(zero ^ one ^ pair.a.0).to_le_bytes()[..bytes]);
                pair.c = pair.c.doubled() ^ Gf(zero & keep);
            }
        }
        session.send(Step::NoiseValues, &message)?;
        let expander = Expander::new(session.binding());
        Ok(Self {
            security,
            own,
            extension,
            expander,
            reserve,
            #[cfg(test)]
            lies: false,
        })
    }

    /// a and c of `wanted` new places.
    pub fn expand(&mut self, session: &mut Session<'_>, wanted: usize) -> Result<Vec<Pair>, Fault> {
        let shape = Shape::of(wanted)?;
        let checked = self.security.checked();
        let leaves = u32::try_from(shape.leaves).unwrap_or(u32::MAX);
        let targets: Vec<usize> =
            (0..NOISE_WEIGHT).map(|_| self.own.below(leaves) as usize).collect();
        let sides: Vec<u8> = targets
            .iter()
            .flat_map(|target| path(*target, shape.depth))
            .map(|bit| 1 - bit)
            .collect();
        let keys = self.extension.extend(session, &sides, &mut self.own, checked)?;
        let mut noise = Vec::with_capacity(shape.noise_length());
        for begin in (0..NOISE_WEIGHT).step_by(TREES_PER_MESSAGE) {
            let end = (begin + TREES_PER_MESSAGE).min(NOISE_WEIGHT);
            let message = session.receive(Step::Trees, (end - begin) * shape.tree_bytes())?;
            for (j, said) in (begin..end).zip(message.chunks_exact(shape.tree_bytes())) {
                let range = j * shape.depth..(j + 1) * shape.depth;
                let tree = Tree { said, sides: &sides[range.clone()], keys: &keys[range] };
                self.plant(&tree, targets[j], self.reserve[j], shape.leaves, &mut noise);
            }
            session.progress(Step::Trees, end, NOISE_WEIGHT)?;
        }
        if checked {
            self.check(session, &noise)?;
        }
        crate::code::compress(&mut noise);
        self.reserve = noise.split_off(noise.len() - RESERVE);
        noise.truncate(wanted);
        noise.shrink_to_fit();
        Ok(noise)
    }

    /// Appends one tree's places: a is zero but at the target, c is the sender's b but there.
    fn plant(
        &self,
        tree: &Tree<'_>,
        target: usize,
        value: Pair,
        count: usize,
        noise: &mut Vec<Pair>,
    ) {
        let (levels, all) = tree.said.split_at(tree.keys.len() * 32);
        let sums: Vec<u128> = levels
            .chunks_exact(32)
            .zip(tree.sides)
            .zip(tree.keys)
            .map(|((level, side), key)| {
                let (left, right) = level.split_at(16);
                let take = 0u128.wrapping_sub(u128::from(*side));
                let (left, right) = (Gf::from_slice(left).0, Gf::from_slice(right).0);
                key ^ (left & !take | right & take)
            })
            .collect();
        let (mut leaves, mut spare) = (Vec::new(), Vec::new());
        self.expander.puncture(target, &sums, &mut leaves, &mut spare, count);
        // Σ leaves + b of the sender, + Σ leaves of ours, + c = leaf + a·Δ.
        let missing = leaves.iter().fold(Gf::from_slice(all).0 ^ value.c.0, |sum, leaf| sum ^ leaf);
        let begin = noise.len();
        noise.extend(leaves.iter().map(|leaf| Pair { a: Gf::ZERO, c: Gf(*leaf) }));
        if let Some(place) = noise.get_mut(begin + target) {
            *place = Pair { a: value.a, c: Gf(missing) };
        }
    }

    /// The other side of [`super::Sender`]'s check.
    fn check(&mut self, session: &mut Session<'_>, noise: &[Pair]) -> Result<(), Fault> {
        let mut challenge = session.challenge(b"vole");
        let ours = combination(&mut challenge.clone(), noise.iter().map(|pair| pair.c));
        let sum = combination(&mut challenge, noise.iter().map(|pair| pair.a));
        let mask = self.reserve[NOISE_WEIGHT];
        let ours = (ours ^ mask.c).to_bytes();
        let nonce = self.own.bytes32();
        let committed = commitment(session.binding(), &ours, &nonce);
        session.send(Step::CheckClaim, &[&(sum ^ mask.a).to_bytes()[..], &committed].concat())?;
        let answer = session.receive(Step::CheckAnswer, 16)?;
        if answer != ours && !self.goes_on_anyway() {
            return Err(Fault::misbehaved(Step::CheckAnswer, "the trees do not fit the key"));
        }
        session.send(Step::CheckOpening, &nonce)
    }
}

#[cfg(not(test))]
impl Receiver {
    /// Only a dishonest party of a test does.
    fn goes_on_anyway(&self) -> bool {
        false
    }
}

/// What belongs to one tree: what the sender said, which sums were asked for, and the keys that open them.
struct Tree<'a> {
    said: &'a [u8],
    sides: &'a [u8],
    keys: &'a [u128],
}

#[cfg(test)]
impl Receiver {
    /// From here on the noise value of tree `j` is another than the sender was told, and checks of ours are skipped.
    pub(super) fn lie(&mut self, j: usize) {
        self.reserve[j].a ^= Gf::ONE;
        self.lies = true;
    }

    fn goes_on_anyway(&self) -> bool {
        self.lies
    }
}
