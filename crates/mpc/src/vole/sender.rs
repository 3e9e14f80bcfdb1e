//! The side that holds Δ.
//!
//! Never says a leaf, Δ or b; says sums of leaves under keys of transfers, and once the combination that both know.

use super::{RESERVE, Security, Shape, answer, combination};
use zeroize::Zeroize as _;

use crate::base_ot;
use crate::extension::{self, COLUMNS};
use crate::fault::Fault;
use crate::field::Gf;
use crate::hash::commitment;
use crate::limits::{NOISE_WEIGHT, TREES_PER_MESSAGE};
use crate::random::Stream;
use crate::session::Session;
use crate::step::Step;
use crate::tree::Expander;

/// The sender between expansions.
pub struct Sender {
    delta: Gf,
    security: Security,
    own: Stream,
    extension: extension::Sender,
    expander: Expander,
    /// b of the places that the next expansion uses.
    reserve: Vec<Gf>,
}

impl Sender {
    pub fn set_up(session: &mut Session<'_>, security: Security) -> Result<Self, Fault> {
        let mut own = session.stream(b"vole sender");
        let secret = own.block();
        let delta = Gf(own.block());
        let choices: Vec<u8> = bits(secret).chain(bits(delta.0)).collect();
        let keys = base_ot::receive(session, &choices)?;
        let (for_extension, for_delta) = keys.split_at(COLUMNS);
        let extension = extension::Sender::new(session.binding(), secret, for_extension)?;
        let bytes = security.value_bytes();
        let keep = u128::MAX >> (128 - 8 * bytes);
        let message = session.receive(Step::NoiseValues, COLUMNS * RESERVE * bytes)?;
        // Bit i of Δ gives b's part at x^i; summed up by Horner's rule from the top bit down.
        let mut reserve = vec![Gf::ZERO; RESERVE];
        let columns = message.chunks_exact(RESERVE * bytes).zip(for_delta).enumerate();
        for (i, (correction, key)) in columns.rev() {
            let take = 0u128.wrapping_sub(delta.0 >> i & 1);
            let masks = Stream::keyed(*key).blocks(RESERVE);
            let corrections = correction.chunks_exact(bytes);
            for ((b, mask), said) in reserve.iter_mut().zip(masks).zip(corrections) {
                *b = b.doubled() ^ Gf(mask & keep ^ take & Gf::from_slice(said).0);
            }
        }
        let expander = Expander::new(session.binding());
        Ok(Self { delta, security, own, extension, expander, reserve })
    }

    pub fn delta(&self) -> Gf {
        self.delta
    }

    /// b of `wanted` new places.
    pub fn expand(&mut self, session: &mut Session<'_>, wanted: usize) -> Result<Vec<Gf>, Fault> {
        let shape = Shape::of(wanted)?;
        let checked = self.security.checked();
        let keys = self.extension.extend(session, NOISE_WEIGHT * shape.depth, checked)?;
        let mut noise = Vec::with_capacity(shape.noise_length());
        let (mut leaves, mut spare) = (Vec::new(), Vec::new());
        for begin in (0..NOISE_WEIGHT).step_by(TREES_PER_MESSAGE) {
            let end = (begin + TREES_PER_MESSAGE).min(NOISE_WEIGHT);
            let mut message = Vec::with_capacity((end - begin) * shape.tree_bytes());
            for j in begin..end {
                let root = self.own.block();
                let sums = self.expander.expand(root, &mut leaves, &mut spare, shape.leaves);
                for (sums, keys) in sums.iter().zip(&keys[j * shape.depth..]) {
                    message.extend_from_slice(&(sums[0] ^ keys[0]).to_le_bytes());
                    message.extend_from_slice(&(sums[1] ^ keys[1]).to_le_bytes());
                }
                let all = leaves.iter().fold(self.reserve[j].0, |sum, leaf| sum ^ leaf);
                message.extend_from_slice(&all.to_le_bytes());
                noise.extend(leaves.iter().map(|leaf| Gf(*leaf)));
            }
            session.send(Step::Trees, &message)?;
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

    /// Both compare `Σ χ_i·c_i` with `Δ·Σ χ_i·a_i + Σ χ_i·b_i`. The receiver commits first, so it cannot repeat what it
    /// hears; the sender answers before the opening, which so tells it nothing that it does not know. Its answer is a hash:
    /// the value itself, for a sum that the receiver made up, would be Δ times that.
    fn check(&self, session: &mut Session<'_>, noise: &[Gf]) -> Result<(), Fault> {
        let mut challenge = session.challenge(b"vole");
        let claim = session.receive(Step::CheckClaim, 16 + 32)?;
        let (sum, committed) = claim.split_at(16);
        let ours = combination(&mut challenge, noise.iter().copied())
            ^ self.reserve[NOISE_WEIGHT]
            ^ self.delta.times(Gf::from_slice(sum));
        session.send(Step::CheckAnswer, &answer(session.binding(), ours))?;
        let opening = session.receive(Step::CheckOpening, 32)?;
        let mut nonce = [0; 32];
        nonce.copy_from_slice(&opening);
        if commitment(session.binding(), &ours.to_bytes(), &nonce) != committed {
            return Err(Fault::misbehaved(
                Step::CheckOpening,
                "the noise values do not fit the key",
            ));
        }
        Ok(())
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.delta.0.zeroize();
    }
}

fn bits(number: u128) -> impl Iterator<Item = u8> {
    (0..128).map(move |i| u8::from(number >> i & 1 == 1))
}

#[cfg(test)]
impl Sender {
    /// From here on this party's noise value of tree `j` is another than what its peer was told.
    pub(super) fn lie(&mut self, j: usize) {
        self.reserve[j] ^= Gf::ONE;
    }
}
