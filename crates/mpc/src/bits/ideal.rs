//! What a trusted dealer would hand out, or answer. Tests compare the protocols with it; no protocol uses it.

use super::{Triples, WORD_BITS, words};
use crate::field::Gf;
use crate::random::Stream;

/// Δ and b for the sender of correlated transfers, c for the receiver, whose bits a are the lowest of c.
#[derive(Debug)]
pub struct Dealt {
    pub delta: u128,
    pub b: Vec<Gf>,
    pub c: Vec<Gf>,
}

pub fn deal(stream: &mut Stream, count: usize) -> Dealt {
    let delta = stream.block() | 1;
    let b: Vec<Gf> = stream.blocks(count).into_iter().map(|block| Gf(block & !1)).collect();
    let choices = stream.blocks(count);
    let c = b.iter().zip(choices).map(|(b, a)| Gf(b.0 ^ delta & 0u128.wrapping_sub(a & 1)));
    Dealt { delta, c: c.collect(), b }
}

/// Whether the two sides hold what a dealer could have dealt.
pub fn fits(delta: u128, b: &[Gf], c: &[Gf]) -> bool {
    let one = |(b, c): (&Gf, &Gf)| b.0 & 1 == 0 && c.0 ^ b.0 == delta & 0u128.wrapping_sub(c.0 & 1);
    delta & 1 == 1 && b.len() == c.len() && b.iter().zip(c).all(one)
}

/// Whether two parties hold shares of products, of so many words.
pub fn are_triples([one, other]: [&Triples; 2], count: usize) -> bool {
    let open = |one: &[u128], other: &[u128]| -> Vec<u128> {
        one.iter().zip(other).map(|(one, other)| one ^ other).collect()
    };
    let lengths = [one, other].map(|it| [it.a.len(), it.b.len(), it.c.len()]);
    let (a, b) = (open(&one.a, &other.a), open(&one.b, &other.b));
    lengths == [[count; 3]; 2] && open(&one.c, &other.c) == and(&a, &b)
}

/// And-gates, a word at a time.
pub fn and(x: &[u128], y: &[u128]) -> Vec<u128> {
    x.iter().zip(y).map(|(x, y)| x & y).collect()
}

/// One bit for each two strings: whether they are equal.
pub fn equal(ours: &[u128], theirs: &[u128]) -> Vec<u128> {
    let mut found = vec![0; words(ours.len())];
    for (i, _) in ours.iter().zip(theirs).enumerate().filter(|(_, (ours, theirs))| ours == theirs) {
        if let Some(word) = found.get_mut(i / WORD_BITS) {
            *word |= 1 << (i % WORD_BITS);
        }
    }
    found
}

/// Each value where its bit is one, else zero.
pub fn products(bits: &[u128], values: &[u64]) -> Vec<u64> {
    let bit = |i: usize| bits.get(i / WORD_BITS).is_some_and(|it| it >> (i % WORD_BITS) & 1 == 1);
    values.iter().enumerate().map(|(i, value)| if bit(i) { *value } else { 0 }).collect()
}
