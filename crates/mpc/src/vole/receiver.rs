//! The side that holds a and c.
//!
//! Never says a noise value or position; says them under keys of transfers, and one combination under a random mask.

use super::{RESERVE, Security, Shape, answer};
use crate::base_ot;
use crate::code::Outputs;
use crate::extension::{self, COLUMNS};
use crate::fault::Fault;
use crate::field::Gf;
use crate::hash::commitment;
use crate::kernel::{self, Pair};
use crate::limits::{NOISE_WEIGHT, TREES_PER_MESSAGE};
use crate::random::Stream;
use crate::session::Session;
use crate::step::Step;
use crate::tree::{Expander, path};

/// Trees whose leaves are the first half of the noise.
const FIRST_TREES: usize = NOISE_WEIGHT / 2;
const _: () = assert!(NOISE_WEIGHT.is_multiple_of(2));
/// Places that [`Receiver::expand`] copies at a time.
const PORTION: usize = 1 << 14;

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
        let mut places = self.begin(session, wanted)?;
        let mut all = Vec::with_capacity(wanted);
        while all.len() < wanted {
            let count = (wanted - all.len()).min(PORTION);
            all.extend_from_slice(places.next(count)?);
        }
        places.finish();
        Ok(all)
    }

    /// The same, but the places are worked out as they are asked for. Only half of the noise is ever in memory: the first
    /// half passes through the code, so its trees are planted when their turn comes.
    pub fn begin(
        &mut self,
        session: &mut Session<'_>,
        wanted: usize,
    ) -> Result<Expansion<'_>, Fault> {
        let shape = Shape::of(wanted)?;
        let checked = self.security.checked();
        if self.reserve.len() != RESERVE {
            return Err(Fault::ApiMisuse("an expansion was begun and not finished"));
        }
        let leaves = u32::try_from(shape.leaves).unwrap_or(u32::MAX);
        let targets: Vec<usize> =
            (0..NOISE_WEIGHT).map(|_| self.own.below(leaves) as usize).collect();
        let sides: Vec<u8> = targets
            .iter()
            .flat_map(|target| path(*target, shape.depth))
            .map(|bit| 1 - bit)
            .collect();
        let keys = self.extension.extend(session, &sides, &mut self.own, checked)?;
        let reserve = std::mem::take(&mut self.reserve);
        let mut forest =
            Forest { expander: &self.expander, shape, targets, sides, keys, reserve, said: vec![] };
        let mut second = Vec::with_capacity(FIRST_TREES * shape.leaves);
        for begin in (0..NOISE_WEIGHT).step_by(TREES_PER_MESSAGE) {
            let end = (begin + TREES_PER_MESSAGE).min(NOISE_WEIGHT);
            let message = session.receive(Step::Trees, (end - begin) * shape.tree_bytes())?;
            for (j, said) in (begin..end).zip(message.chunks_exact(shape.tree_bytes())) {
                if j < FIRST_TREES {
                    forest.said.extend_from_slice(said);
                } else {
                    forest.plant(j, said, &mut second);
                }
            }
            session.progress(Step::Trees, end, NOISE_WEIGHT)?;
        }
        if checked {
            let may_differ = self.goes_on_anyway();
            forest.check(session, &mut self.own, &second, may_differ)?;
        }
        let outputs = Outputs::new(&mut second);
        let ready = Vec::new();
        let left = wanted;
        let keep = &mut self.reserve;
        Ok(Expansion { forest, second, outputs, planted: 0, ready, taken: 0, left, keep })
    }
}

/// Places on their way out of one expansion, in order. [`Expansion::finish`] keeps what the next one begins with.
pub struct Expansion<'a> {
    forest: Forest<'a>,
    /// The second half of the noise, convolved.
    second: Vec<Pair>,
    outputs: Outputs,
    planted: usize,
    ready: Vec<Pair>,
    /// How many of those that are ready were given away.
    taken: usize,
    left: usize,
    keep: &'a mut Vec<Pair>,
}

impl Expansion<'_> {
    /// The next `count` places, each given once.
    pub fn next(&mut self, count: usize) -> Result<&[Pair], Fault> {
        self.left = self
            .left
            .checked_sub(count)
            .ok_or(Fault::ApiMisuse("more places are taken than were asked for"))?;
        self.ready.drain(..self.taken);
        while self.ready.len() < count && self.planted < FIRST_TREES {
            self.grow();
        }
        self.taken = count;
        Ok(&self.ready[..count])
    }

    pub fn finish(mut self) {
        self.ready.drain(..self.taken);
        while self.planted < FIRST_TREES {
            self.grow();
        }
        *self.keep = self.ready.split_off(self.ready.len() - RESERVE);
    }

    /// Some trees at a time: the code is faster over longer portions.
    fn grow(&mut self) {
        let begin = self.ready.len();
        while self.planted < FIRST_TREES && self.ready.len() < begin + PORTION {
            let said = self.forest.first(self.planted);
            self.forest.plant(self.planted, said, &mut self.ready);
            self.planted += 1;
        }
        self.outputs.add(&mut self.ready[begin..], &self.second);
    }
}

/// The trees of one expansion: what their positions and noise values are, and what the sender said of the first half.
struct Forest<'a> {
    expander: &'a Expander,
    shape: Shape,
    targets: Vec<usize>,
    /// Which sums were asked for, and the keys that open them, level by level.
    sides: Vec<u8>,
    keys: Vec<u128>,
    reserve: Vec<Pair>,
    said: Vec<u8>,
}

impl Forest<'_> {
    fn first(&self, j: usize) -> &[u8] {
        let bytes = self.shape.tree_bytes();
        &self.said[j * bytes..(j + 1) * bytes]
    }

    /// Appends the places of tree `j`: a is zero but at the target, c is the sender's b but there.
    fn plant(&self, j: usize, said: &[u8], noise: &mut Vec<Pair>) {
        let range = j * self.shape.depth..(j + 1) * self.shape.depth;
        let (sides, keys) = (&self.sides[range.clone()], &self.keys[range]);
        let (target, value) = (self.targets[j], self.reserve[j]);
        let (levels, all) = said.split_at(keys.len() * 32);
        let sums: Vec<u128> = levels
            .chunks_exact(32)
            .zip(sides)
            .zip(keys)
            .map(|((level, side), key)| {
                let (left, right) = level.split_at(16);
                let take = 0u128.wrapping_sub(u128::from(*side));
                let (left, right) = (Gf::from_slice(left).0, Gf::from_slice(right).0);
                key ^ (left & !take | right & take)
            })
            .collect();
        let (mut leaves, mut spare) = (Vec::new(), Vec::new());
        self.expander.puncture(target, &sums, &mut leaves, &mut spare, self.shape.leaves);
        // Σ leaves + b of the sender, + Σ leaves of ours, + c = leaf + a·Δ.
        let missing = leaves.iter().fold(Gf::from_slice(all).0 ^ value.c.0, |sum, leaf| sum ^ leaf);
        let begin = noise.len();
        noise.extend(leaves.iter().map(|leaf| Pair { a: Gf::ZERO, c: Gf(*leaf) }));
        if let Some(place) = noise.get_mut(begin + target) {
            *place = Pair { a: value.a, c: Gf(missing) };
        }
    }

    /// The other side of [`super::Sender`]'s check, over the first half's trees one by one and then the second half.
    fn check(
        &self,
        session: &mut Session<'_>,
        own: &mut Stream,
        second: &[Pair],
        may_differ: bool,
    ) -> Result<(), Fault> {
        let mut challenge = session.challenge(b"vole");
        let mask = self.reserve[NOISE_WEIGHT];
        let (mut sum, mut ours) = (mask.a, mask.c);
        let (mut planted, mut values) = (Vec::with_capacity(self.shape.leaves), Vec::new());
        let mut second = second.chunks_exact(self.shape.leaves);
        for (j, target) in self.targets.iter().enumerate() {
            planted.clear();
            let tree = if j < FIRST_TREES {
                self.plant(j, self.first(j), &mut planted);
                &planted
            } else {
                second.next().unwrap_or_default()
            };
            let factors: Vec<Gf> = challenge.blocks(tree.len()).into_iter().map(Gf).collect();
            values.clear();
            values.extend(tree.iter().map(|pair| pair.c));
            ours ^= kernel::inner(&values, &factors);
            // All other a of a tree are zero.
            sum ^= factors.get(*target).map_or(Gf::ZERO, |factor| factor.times(self.reserve[j].a));
        }
        let nonce = own.bytes32();
        let committed = commitment(session.binding(), &ours.to_bytes(), &nonce);
        session.send(Step::CheckClaim, &[&sum.to_bytes()[..], &committed].concat())?;
        let heard = session.receive(Step::CheckAnswer, 32)?;
        if heard != answer(session.binding(), ours) && !may_differ {
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
