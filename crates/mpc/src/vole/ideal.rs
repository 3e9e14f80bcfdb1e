//! What a trusted dealer would hand out. For tests of what is built on these vectors; never used by a protocol.

use crate::field::Gf;
use crate::kernel::Pair;
use crate::random::Stream;

/// Δ and b for the sender, pairs of a and c for the receiver.
#[derive(Debug)]
pub struct Dealt {
    pub delta: Gf,
    pub b: Vec<Gf>,
    pub pairs: Vec<Pair>,
}

pub fn deal(stream: &mut Stream, length: usize) -> Dealt {
    let delta = Gf(stream.block());
    let b: Vec<Gf> = stream.blocks(length).into_iter().map(Gf).collect();
    let pairs = b.iter().map(|b| {
        let a = Gf(stream.block());
        Pair { a, c: a.times(delta) ^ *b }
    });
    Dealt { delta, pairs: pairs.collect(), b }
}

/// Whether the two sides hold what a dealer could have dealt.
pub fn fits(delta: Gf, b: &[Gf], pairs: &[Pair]) -> bool {
    b.len() == pairs.len()
        && b.iter().zip(pairs).all(|(b, pair)| pair.c == pair.a.times(delta) ^ *b)
}
