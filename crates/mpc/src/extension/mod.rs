//! A few thousand oblivious transfers out of 128: IKNP with the consistency check of SoftSpokenOT (Roy, CRYPTO 2022, k = 1).
//!
//! The receiver's choice vector is hidden in 128 columns; the sender holds each column with or without the choices added,
//! as one bit of its secret s says. Transposed, row j is `t_j` for the receiver and `t_j ⊕ c_j·s` for the sender, and hashing
//! breaks the correlation (GKWY20). A malicious receiver could use other choices per column and so learn bits of s; the
//! check makes it show a linear hash of the choices and of every column, which the sender compares with its own. 129 to 256
//! more rows with random choices hide what the hash would tell; they are thrown away.

pub(crate) mod transpose;

use zeroize::Zeroize as _;

use crate::fault::Fault;
use crate::field::Gf;
use crate::hash::{Permutation, domain};
use crate::random::Stream;
use crate::session::Session;
use crate::step::Step;
use transpose::transpose;

/// Columns: one per bit of the sender's secret.
pub const COLUMNS: usize = 128;

/// The sender of the extended transfers. It was the receiver of the base transfers, with its secret's bits as choices.
pub struct Sender {
    secret: u128,
    columns: Vec<Stream>,
    hash: Permutation,
    used: u128,
}

/// The receiver of the extended transfers.
pub struct Receiver {
    columns: Vec<[Stream; 2]>,
    hash: Permutation,
    used: u128,
}

impl Sender {
    /// `keys[i]` is the base transfer's key for bit i of `secret`.
    pub fn new(binding: &[u8; 32], secret: u128, keys: &[u128]) -> Result<Self, Fault> {
        if keys.len() != COLUMNS {
            return Err(Fault::ApiMisuse("an extension wants 128 base transfers"));
        }
        let columns = keys.iter().map(|key| Stream::keyed(*key)).collect();
        Ok(Self { secret, columns, hash: Permutation::bound(domain::EXTENSION, binding), used: 0 })
    }

    /// Both keys of `count` transfers.
    pub fn extend(
        &mut self,
        session: &mut Session<'_>,
        count: usize,
        checked: bool,
    ) -> Result<Vec<[u128; 2]>, Fault> {
        let blocks = rounded(count);
        let message = session.receive(Step::Extension, COLUMNS * blocks * 16)?;
        let mut columns = Vec::with_capacity(COLUMNS);
        for (i, (stream, correction)) in
            self.columns.iter_mut().zip(message.chunks_exact(blocks * 16)).enumerate()
        {
            let take = 0u128.wrapping_sub(self.secret >> i & 1);
            let mut column = stream.blocks(blocks);
            for (block, bytes) in column.iter_mut().zip(correction.chunks_exact(16)) {
                *block ^= take & Gf::from_slice(bytes).0;
            }
            columns.push(column);
        }
        if checked {
            self.check(session, &columns)?;
        }
        let rows = transpose(&columns, count);
        let mut zero = rows.clone();
        let mut one: Vec<u128> = rows.iter().map(|row| row ^ self.secret).collect();
        let used = self.used;
        self.hash.tweaked(&mut zero, |j| used + j as u128);
        self.hash.tweaked(&mut one, |j| used + j as u128);
        self.used += count as u128;
        Ok(zero.into_iter().zip(one).map(|(zero, one)| [zero, one]).collect())
    }

    fn check(&self, session: &mut Session<'_>, columns: &[Vec<u128>]) -> Result<(), Fault> {
        let point = Gf(session.challenge(b"extension").block());
        let claim = session.receive(Step::ExtensionCheck, (1 + COLUMNS) * 16)?;
        let (choices, claims) = claim.split_at(16);
        let choices = Gf::from_slice(choices);
        let mut wrong = 0;
        for (i, (column, claimed)) in columns.iter().zip(claims.chunks_exact(16)).enumerate() {
            let expected =
                Gf::from_slice(claimed).0 ^ 0u128.wrapping_sub(self.secret >> i & 1) & choices.0;
            wrong |= digest(column, point).0 ^ expected;
        }
        if wrong == 0 {
            return Ok(());
        }
        Err(Fault::misbehaved(Step::ExtensionCheck, "the choices differ between the columns"))
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.secret.zeroize();
    }
}

impl Receiver {
    /// Both keys of each base transfer.
    pub fn new(binding: &[u8; 32], keys: &[[u128; 2]]) -> Result<Self, Fault> {
        if keys.len() != COLUMNS {
            return Err(Fault::ApiMisuse("an extension wants 128 base transfers"));
        }
        let columns = keys.iter().map(|pair| pair.map(Stream::keyed)).collect();
        Ok(Self { columns, hash: Permutation::bound(domain::EXTENSION, binding), used: 0 })
    }

    /// The keys of `choices`, each 0 or 1.
    pub fn extend(
        &mut self,
        session: &mut Session<'_>,
        choices: &[u8],
        own: &mut Stream,
        checked: bool,
    ) -> Result<Vec<u128>, Fault> {
        let blocks = rounded(choices.len());
        let mut packed = vec![0u128; blocks];
        for (j, choice) in choices.iter().enumerate() {
            packed[j / 128] |= u128::from(choice & 1) << (j % 128);
        }
        // What fills up the last block, and the block after it, are random: they hide the digest of the rest.
        let last = choices.len() / 128;
        packed[last] |= own.block().checked_shl(low(choices.len() % 128)).unwrap_or(0);
        own.fill(&mut packed[last + 1..]);
        let mut columns = Vec::with_capacity(COLUMNS);
        let mut message = Vec::with_capacity(COLUMNS * blocks * 16);
        for [zero, one] in &mut self.columns {
            let column = zero.blocks(blocks);
            let other = one.blocks(blocks);
            for ((own, other), choices) in column.iter().zip(&other).zip(&packed) {
                message.extend_from_slice(&(own ^ other ^ choices).to_le_bytes());
            }
            columns.push(column);
        }
        session.send(Step::Extension, &message)?;
        if checked {
            let point = Gf(session.challenge(b"extension").block());
            let mut claim = digest(&packed, point).to_bytes().to_vec();
            for column in &columns {
                claim.extend_from_slice(&digest(column, point).to_bytes());
            }
            session.send(Step::ExtensionCheck, &claim)?;
        }
        let mut rows = transpose(&columns, choices.len());
        let used = self.used;
        self.hash.tweaked(&mut rows, |j| used + j as u128);
        self.used += choices.len() as u128;
        Ok(rows)
    }
}

/// Blocks of 128 rows for `count` transfers and 129 to 256 rows of hiding.
fn rounded(count: usize) -> usize {
    count / 128 + 2
}

fn low(bits: usize) -> u32 {
    u32::try_from(bits).unwrap_or(u32::MAX)
}

/// A column as a polynomial in the challenge; the last block, which hides the rest, stands free.
fn digest(column: &[u128], point: Gf) -> Gf {
    column.iter().fold(Gf::ZERO, |sum, block| sum.times(point) ^ Gf(*block))
}

#[cfg(test)]
mod tests;
