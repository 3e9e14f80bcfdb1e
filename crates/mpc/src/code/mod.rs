//! The expand-convolute code of Raghuraman, Rindal and Tanguy (CRYPTO 2023), systematic, of rate 1/2.
//!
//! Compresses a sparse noise vector `e = (e₁, e₂)` into `e₁ + E·C·e₂`: C is a convolution with a memory of
//! [`CODE_MEMORY`] symbols, E adds up [`CODE_WEIGHT`] symbols per output, one out of each of as many equal sections (the
//! *regular* expander). Under the LPN assumption for this code and regular noise the result is pseudo-random.
//!
//! Two details carry the security and must stay. The convolution always adds the symbol 24 places back, so its state never
//! dies out once it is not zero. The expander takes one symbol per section. A convolved symbol depends on about half of those
//! before it, so an output reaches from the beginning to its last place: with free choice, among a million outputs some
//! would end early. Sums of outputs that cancel in the last two sections exist, and end somewhere in the one before; sums of few that
//! cancel in three are not expected; so a code word of few outputs reaches over at least w − 3 of w sections. Never Silver: its codes have been broken (RRT23).
//!
//! Code and noise are public respectively uniform; indices here are public, so memory may be addressed by them.

use crate::field::narrowed;
use crate::hash::{derive, domain};
use crate::kernel::{self, Lane};
use crate::limits::{CODE_MEMORY, CODE_WEIGHT};
use crate::random::Stream;

/// Outputs whose indices are drawn at a time.
const BATCH: usize = 1 << 14;
/// Blocks of the stream per output: room for [`CODE_WEIGHT`] indices of 32 bits.
const BLOCKS_PER_OUTPUT: usize = CODE_WEIGHT.div_ceil(4);

/// Compresses `noise` in place: its first half becomes the output, the second is cut off. An odd last symbol is lost.
pub fn compress<L: Lane>(noise: &mut Vec<L>) {
    let outputs = noise.len() / 2;
    let (first, second) = noise.split_at_mut(outputs);
    let second = &mut second[..outputs];
    Outputs::new(second).add(first, second);
    noise.truncate(outputs);
}

/// Outputs in their order, in any portions.
pub struct Outputs {
    stream: Stream,
    places: Vec<[u32; CODE_WEIGHT]>,
}

impl Outputs {
    /// Convolves the second half of the noise, in place. As many outputs follow.
    pub fn new<L: Lane>(second: &mut [L]) -> Self {
        // Nothing up anybody's sleeve: the code depends on its length only.
        let length = (second.len() as u64).to_le_bytes();
        convolve(second, &mut Stream::new(&derive(domain::CODE, &[b"taps", &length])));
        Self { stream: index_stream(second.len()), places: Vec::with_capacity(BATCH) }
    }

    /// Makes the next outputs of the next symbols of the first half, in place, and of all of the convolved second one.
    pub fn add<L: Lane>(&mut self, first: &mut [L], second: &[L]) {
        let Ok(length) = u32::try_from(second.len()) else { return };
        for outputs in first.chunks_mut(BATCH) {
            draw_places(length, outputs.len(), &mut self.stream, &mut self.places);
            kernel::gather(outputs, second, &self.places);
        }
    }
}

fn index_stream(outputs: usize) -> Stream {
    Stream::new(&derive(domain::CODE, &[b"indices", &(outputs as u64).to_le_bytes()]))
}

/// Portion by portion, so that taps come out of the cache.
fn convolve<L: Lane>(symbols: &mut [L], stream: &mut Stream) {
    const PORTION: usize = 256 * CODE_MEMORY;
    let mut before = [L::default(); CODE_MEMORY];
    let mut taps = Vec::with_capacity(PORTION);
    for symbols in symbols.chunks_mut(PORTION) {
        let blocks = stream.blocks(symbols.len().div_ceil(4));
        let words = blocks.iter().flat_map(|block| words(*block));
        taps.clear();
        taps.extend(words.take(symbols.len()).map(|word| word >> (33 - CODE_MEMORY)));
        kernel::convolve(symbols, &taps, &mut before);
    }
}

/// The places of the next outputs, one in each section; section k begins at k·length/w.
fn draw_places(
    length: u32,
    outputs: usize,
    stream: &mut Stream,
    places: &mut Vec<[u32; CODE_WEIGHT]>,
) {
    let begins: [u32; CODE_WEIGHT + 1] = std::array::from_fn(|k| narrowed_part(length, k));
    let blocks = stream.blocks(outputs * BLOCKS_PER_OUTPUT);
    places.clear();
    places.extend(blocks.chunks_exact(BLOCKS_PER_OUTPUT).map(|blocks| {
        let mut own = [0; CODE_WEIGHT];
        let draws = blocks.iter().flat_map(|block| words(*block));
        for ((place, section), draw) in own.iter_mut().zip(begins.windows(2)).zip(draws) {
            *place = section[0] + narrowed(draw, section[1] - section[0]);
        }
        own
    }));
}

fn narrowed_part(length: u32, k: usize) -> u32 {
    u32::try_from(u64::from(length) * k as u64 / CODE_WEIGHT as u64).unwrap_or(length)
}

fn words(block: u128) -> [u32; 4] {
    std::array::from_fn(|index| crate::field::word(block, u32::try_from(index).unwrap_or(0)))
}

#[cfg(test)]
mod tests;
