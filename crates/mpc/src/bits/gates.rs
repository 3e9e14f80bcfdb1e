//! Gates on shared bits, as Goldreich, Micali and Wigderson: sums are local, products take a triple and one message each way.
//!
//! A *slice* is one wire of many circuits side by side, 128 in a word. Shares that leave are masked by triples that are
//! used once; never opens anything else.

use super::{Transfers, Triples, WORD_BITS, words};
use crate::extension::transpose::flip;
use crate::fault::Fault;
use crate::field::Gf;
use crate::session::{Party, Session};
use crate::step::Step;

/// One party's end of a gate-by-gate computation.
pub struct Gates {
    transfers: Transfers,
    stock: Triples,
}

impl Gates {
    pub fn set_up(session: &mut Session<'_>) -> Result<Self, Fault> {
        let transfers = Transfers::set_up(session, Party::Sender, b"gates")?;
        Ok(Self { transfers, stock: Triples::default() })
    }

    /// The transfers below, of which the session's sender holds Δ.
    pub fn transfers(&mut self) -> &mut Transfers {
        &mut self.transfers
    }

    /// Makes triples for `count` words of gates in one go: cheaper than level by level.
    pub fn prepare(&mut self, session: &mut Session<'_>, count: usize) -> Result<(), Fault> {
        let missing = count.saturating_sub(self.stock.a.len());
        if missing > 0 {
            let mut more = self.transfers.triples(session, missing)?;
            self.stock.a.append(&mut more.a);
            self.stock.b.append(&mut more.b);
            self.stock.c.append(&mut more.c);
        }
        Ok(())
    }

    /// Shares of `x · y`, bit by bit.
    pub fn and(
        &mut self,
        session: &mut Session<'_>,
        x: &[u128],
        y: &[u128],
    ) -> Result<Vec<u128>, Fault> {
        if x.len() != y.len() {
            return Err(Fault::ApiMisuse("a gate has two inputs"));
        }
        self.prepare(session, x.len())?;
        let Triples { a, b, mut c } = self.stock.take(x.len());
        let mut ours: Vec<u128> = x.iter().zip(&a).map(|(x, a)| x ^ a).collect();
        ours.extend(y.iter().zip(&b).map(|(y, b)| y ^ b));
        let theirs = exchange(session, &ours)?;
        let both: Vec<u128> =
            ours.iter().zip(&theirs).map(|(ours, theirs)| ours ^ theirs).collect();
        let (d, e) = both.split_at(x.len());
        // (a + d)(b + e) = c + d·b + e·a + d·e; the last is public and one party's to add.
        let adds = if session.party() == Party::Sender { u128::MAX } else { 0 };
        for ((c, (a, b)), (d, e)) in c.iter_mut().zip(a.iter().zip(&b)).zip(d.iter().zip(e)) {
            *c ^= d & b ^ e & a ^ d & e & adds;
        }
        Ok(c)
    }

    /// Words of gates of [`Self::equal`].
    pub fn equal_gates(bits: usize, count: usize) -> usize {
        bits.saturating_sub(1) * words(count)
    }

    /// Shares of "both parties' strings are equal", for `count` strings of slices: a tree of products over the bits.
    pub fn equal(
        &mut self,
        session: &mut Session<'_>,
        mut slices: Vec<Vec<u128>>,
        count: usize,
    ) -> Result<Vec<u128>, Fault> {
        let width = words(count);
        if slices.iter().any(|slice| slice.len() != width) {
            return Err(Fault::ApiMisuse("slices are as long as there are strings"));
        }
        self.prepare(session, Self::equal_gates(slices.len(), count))?;
        // One party turns its bits over: the sum of both is then one where they agree.
        if session.party() == Party::Sender {
            slices.iter_mut().flatten().for_each(|word| *word = !*word);
        }
        while slices.len() > 1 {
            let half = slices.len() / 2;
            let left = slices.split_off(slices.len() - half).concat();
            let right = slices.split_off(slices.len() - half).concat();
            let product = self.and(session, &left, &right)?;
            slices.extend(product.chunks(width.max(1)).map(<[u128]>::to_vec));
        }
        // No bits at all are always equal.
        let always = if session.party() == Party::Sender { u128::MAX } else { 0 };
        let mut equal = slices.pop().unwrap_or_else(|| vec![always; width]);
        mask_tail(&mut equal, count);
        Ok(equal)
    }

    /// Gates of [`Self::at_least`], each in a word of its own.
    pub const AT_LEAST_GATES: usize = 63 + 2 * 62;

    /// A share (bit 0) of "`share` of both, added mod 2^64, is at least `least`", for sums and bounds below 2^63.
    ///
    /// The sum less the bound has its top bit set where it is negative; the carry into that bit is worked out by a tree over
    /// positions, each of which generates a carry (g) or passes one on (p).
    pub fn at_least(
        &mut self,
        session: &mut Session<'_>,
        share: u64,
        least: u64,
    ) -> Result<u128, Fault> {
        if least >> 63 != 0 {
            let most = u64::MAX >> 1;
            return Err(Fault::TooMany { what: "the smallest result", count: least, most });
        }
        self.prepare(session, Self::AT_LEAST_GATES)?;
        let sends = session.party() == Party::Sender;
        let own = if sends { share } else { share.wrapping_sub(least) };
        let own: Vec<u128> = (0..64).map(|i| u128::from(own >> i & 1)).collect();
        let (top, low) = own.split_last().map_or((0, [].as_slice()), |(top, low)| (*top, low));
        let nothing = vec![0; low.len()];
        let (x, y) = if sends { (low, nothing.as_slice()) } else { (nothing.as_slice(), low) };
        // Positions from the lowest up.
        let mut generates = self.and(session, x, y)?;
        let mut passes = low.to_vec();
        while generates.len() > 1 {
            let pairs = generates.len() / 2;
            let even =
                |all: &[u128]| all.iter().step_by(2).take(pairs).copied().collect::<Vec<_>>();
            let odd = |all: &[u128]| all.iter().skip(1).step_by(2).copied().collect::<Vec<_>>();
            let above = odd(&passes);
            let left = [above.as_slice(), &above].concat();
            let right = [even(&generates), even(&passes)].concat();
            let both = self.and(session, &left, &right)?;
            let (carried, passed) = both.split_at(pairs);
            let last = (generates.len() % 2 == 1)
                .then(|| (generates.last().copied(), passes.last().copied()));
            generates =
                odd(&generates).iter().zip(carried).map(|(g, carried)| g ^ carried).collect();
            passes = passed.to_vec();
            if let Some((generated, passed)) = last {
                generates.extend(generated);
                passes.extend(passed);
            }
        }
        let carry = generates.first().copied().unwrap_or(0);
        let not = u128::from(sends);
        Ok((top ^ carry ^ not) & 1)
    }
}

/// Words of both, the receiver's first: large messages that crossed each other could fill both directions of a line and stop it.
fn exchange(session: &mut Session<'_>, ours: &[u128]) -> Result<Vec<u128>, Fault> {
    let length = 16 * ours.len();
    if session.party() == Party::Receiver {
        session.send(Step::Gates, &to_wire(ours))?;
    }
    let theirs = session.receive(Step::Gates, length)?;
    if session.party() == Party::Sender {
        session.send(Step::Gates, &to_wire(ours))?;
    }
    Ok(from_wire(&theirs))
}

pub(super) fn to_wire(words: &[u128]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// Words of a message whose length was checked before.
pub(super) fn from_wire(bytes: &[u8]) -> Vec<u128> {
    bytes.chunks_exact(16).map(|word| Gf::from_slice(word).0).collect()
}

/// The lowest `bits` bits of each value as slices.
pub fn slices(values: &[u128], bits: usize) -> Vec<Vec<u128>> {
    let mut slices = vec![Vec::with_capacity(words(values.len())); bits.min(WORD_BITS)];
    for values in values.chunks(WORD_BITS) {
        let mut square = [0; WORD_BITS];
        square[..values.len()].copy_from_slice(values);
        flip(&mut square);
        for (slice, word) in slices.iter_mut().zip(square) {
            slice.push(word);
        }
    }
    slices
}

/// Sets what lies behind the first `count` bits to zero.
pub fn mask_tail(bits: &mut [u128], count: usize) {
    let over = count % WORD_BITS;
    if let (Some(last), 1..) = (bits.last_mut(), over) {
        *last &= u128::MAX >> (WORD_BITS - over);
    }
}
