//! What one correlated transfer is hashed to: bits for triples, numbers for products.
//!
//! Hashing by `π(x) ⊕ x` under a key of the session breaks the correlation (GKWY20: correlation robust, which is what
//! transfers against a curious peer ask for, as b is pseudo-random).
//!
//! Never uses a place twice; never says a key, only what it masks.

use super::{Receiver, Sender, WORD_BITS, words};
use crate::fault::Fault;
use crate::field::Gf;
use crate::hash::{Permutation, derive, domain, half};
use crate::limits::MAX_PRODUCTS;
use crate::session::{Party, Session};
use crate::step::Step;

/// Shares of random bits with `c = a·b`, one product per bit of a word.
#[derive(Debug, Default)]
pub struct Triples {
    pub a: Vec<u128>,
    pub b: Vec<u128>,
    pub c: Vec<u128>,
}

/// One party's end of a supply of transfers.
pub struct Transfers {
    end: End,
    hash: Permutation,
}

enum End {
    Sender(Sender),
    Receiver(Receiver),
}

impl Transfers {
    /// `sender` holds Δ; `name` tells several supplies of one session apart.
    pub fn set_up(session: &mut Session<'_>, sender: Party, name: &[u8]) -> Result<Self, Fault> {
        let key = derive(domain::BITS, &[session.binding(), name, b"hash"]);
        let hash = Permutation::new(half(&key).to_le_bytes());
        let end = if session.party() == sender {
            End::Sender(Sender::set_up(session, name)?)
        } else {
            End::Receiver(Receiver::set_up(session, name)?)
        };
        Ok(Self { end, hash })
    }

    /// `count` words of triples. Nothing but the transfers travels: of two random transfers, one gives each party a share of
    /// a and the other's b a share of their product, the second the same with a and b swapped (ALSZ13).
    pub fn triples(&mut self, session: &mut Session<'_>, count: usize) -> Result<Triples, Fault> {
        let mut triples = Triples::default();
        let hash = &self.hash;
        let wanted = count * 2 * WORD_BITS;
        match &mut self.end {
            End::Sender(sender) => {
                let delta = sender.delta();
                sender.produce(session, wanted, |places| {
                    for pair in places.chunks_exact(2 * WORD_BITS) {
                        let (first, second) = pair.split_at(WORD_BITS);
                        let (zero, one) = (bits(hash, first, 0), bits(hash, first, delta));
                        let (nought, unit) = (bits(hash, second, 0), bits(hash, second, delta));
                        let (a, b) = (zero ^ one, nought ^ unit);
                        triples.push(a, b, a & b ^ zero ^ nought);
                    }
                })?;
            }
            End::Receiver(receiver) => receiver.produce(session, wanted, |places| {
                for pair in places.chunks_exact(2 * WORD_BITS) {
                    let (first, second) = pair.split_at(WORD_BITS);
                    let (b, a) = (choices(first), choices(second));
                    triples.push(a, b, a & b ^ bits(hash, first, 0) ^ bits(hash, second, 0));
                }
            })?,
        }
        Ok(triples)
    }

    /// Shares mod 2^64 of `bit · value` for shared bits and values that the transfers' sender knows; the other party passes
    /// as many values, which are not looked at. With m = m₀ ⊕ m₁ that is `v·m₀ + m₁·v·(1 − 2m₀)`: one transfer each.
    pub fn products(
        &mut self,
        session: &mut Session<'_>,
        bits: &[u128],
        values: &[u64],
    ) -> Result<Vec<u64>, Fault> {
        let count = values.len();
        if count > MAX_PRODUCTS {
            let (count, most) = (count as u64, MAX_PRODUCTS as u64);
            return Err(Fault::TooMany { what: "products at once", count, most });
        }
        if bits.len() != words(count) {
            return Err(Fault::ApiMisuse("as many bits as values are multiplied"));
        }
        let hash = &self.hash;
        match &mut self.end {
            End::Sender(sender) => {
                let delta = sender.delta();
                let mut keys = Vec::with_capacity(count);
                sender.produce(session, count, |places| {
                    let (zeros, ones) = (numbers(hash, places, 0), numbers(hash, places, delta));
                    keys.extend(zeros.into_iter().zip(ones));
                })?;
                hold(session, bits, values, &keys)
            }
            End::Receiver(receiver) => {
                let mut keys = Vec::with_capacity(count);
                let mut random = Vec::with_capacity(words(count));
                receiver.produce(session, count, |places| {
                    random.extend(places.chunks(WORD_BITS).map(choices));
                    keys.extend(numbers(hash, places, 0));
                })?;
                choose(session, bits, &random, keys)
            }
        }
    }
}

/// The side of [`Transfers::products`] that knows the values.
fn hold(
    session: &mut Session<'_>,
    bits: &[u128],
    values: &[u64],
    keys: &[(u64, u64)],
) -> Result<Vec<u64>, Fault> {
    let swaps = super::gates::from_wire(&session.receive(Step::Choices, bits.len() * 16)?);
    let mut message = Vec::with_capacity(8 * values.len());
    let mut shares = Vec::with_capacity(values.len());
    for (i, (value, (zero, one))) in values.iter().zip(keys).enumerate() {
        let own = bit(bits, i);
        let swap = 0u64.wrapping_sub(bit(&swaps, i));
        let (at_zero, at_one) = (zero ^ swap & (zero ^ one), one ^ swap & (zero ^ one));
        // ±v without a branch.
        let signed = (value ^ 0u64.wrapping_sub(own)).wrapping_add(own);
        let correction = at_zero.wrapping_add(signed).wrapping_sub(at_one);
        message.extend_from_slice(&correction.to_le_bytes());
        shares.push(value.wrapping_mul(own).wrapping_sub(at_zero));
    }
    session.send(Step::Products, &message)?;
    Ok(shares)
}

/// The side that knows no value.
fn choose(
    session: &mut Session<'_>,
    bits: &[u128],
    random: &[u128],
    mut keys: Vec<u64>,
) -> Result<Vec<u64>, Fault> {
    let swaps: Vec<u128> = bits.iter().zip(random).map(|(bit, random)| bit ^ random).collect();
    session.send(Step::Choices, &super::gates::to_wire(&swaps))?;
    let message = session.receive(Step::Products, 8 * keys.len())?;
    for (i, (key, correction)) in keys.iter_mut().zip(message.chunks_exact(8)).enumerate() {
        let correction = Gf::from_slice(correction).0;
        *key = key.wrapping_add(low(correction).wrapping_mul(bit(bits, i)));
    }
    Ok(keys)
}

impl Triples {
    fn push(&mut self, a: u128, b: u128, c: u128) {
        self.a.push(a);
        self.b.push(b);
        self.c.push(c);
    }

    /// The last `count` words.
    pub(super) fn take(&mut self, count: usize) -> Self {
        let keep = self.a.len().saturating_sub(count);
        let last = |all: &mut Vec<u128>| all.split_off(keep);
        Self { a: last(&mut self.a), b: last(&mut self.b), c: last(&mut self.c) }
    }
}

/// One bit each of the hashes of up to 128 places.
fn bits(hash: &Permutation, places: &[Gf], offset: u128) -> u128 {
    let mut blocks = [0; WORD_BITS];
    let blocks = &mut blocks[..places.len().min(WORD_BITS)];
    for (block, place) in blocks.iter_mut().zip(places) {
        *block = place.0 ^ offset;
    }
    hash.fold(blocks);
    gather(blocks.iter().copied())
}

/// The receiver's bits a, which are the lowest of c.
fn choices(places: &[Gf]) -> u128 {
    gather(places.iter().map(|place| place.0))
}

fn gather(blocks: impl Iterator<Item = u128>) -> u128 {
    blocks.zip(0..).fold(0, |word, (block, i)| word | (block & 1) << i)
}

/// 64 bits each of the hashes.
fn numbers(hash: &Permutation, places: &[Gf], offset: u128) -> Vec<u64> {
    let mut blocks: Vec<u128> = places.iter().map(|place| place.0 ^ offset).collect();
    hash.fold(&mut blocks);
    blocks.into_iter().map(low).collect()
}

#[expect(clippy::cast_possible_truncation, reason = "the lower half is the purpose")]
fn low(block: u128) -> u64 {
    block as u64
}

/// Bit i of a list of words; zero outside.
fn bit(words: &[u128], i: usize) -> u64 {
    low(words.get(i / WORD_BITS).copied().unwrap_or(0) >> (i % WORD_BITS) & 1)
}
