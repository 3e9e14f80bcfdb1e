//! An answer: exact sums over units, each with noise of its own.
//!
//! ε is shared by the parts of an answer evenly, as a quotient that nothing rounds; they cost it together. Never gives out
//! a number without noise.

use rand_core::CryptoRng;

use crate::laplace::{Scale, draw};
use crate::limits::{MICRO, PARTS};
use crate::unit::{Part, Rows};

/// Why there is no answer; nothing of it depends on the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// No number is asked for, or more than [`PARTS`].
    Parts,
    /// ε, or a bound of a unit, is zero: no noise would do.
    Zero,
}

/// The parts of an answer, over all units; each unit comes once. `epsilon` in millionths, for all parts together.
///
/// # Errors
/// [`Refused`], before a unit is looked at.
pub fn noisy<'a, R: CryptoRng + ?Sized>(
    parts: &[Part],
    units: impl IntoIterator<Item = &'a Rows>,
    epsilon: u64,
    rng: &mut R,
) -> Result<Vec<i128>, Refused> {
    if parts.is_empty() || parts.len() > PARTS {
        return Err(Refused::Parts);
    }
    let scales: Option<Vec<Scale>> =
        parts.iter().map(|it| scale(it.sensitivity(), parts.len(), epsilon)).collect();
    let scales = scales.ok_or(Refused::Zero)?;
    let mut sums = vec![0_i128; parts.len()];
    for unit in units {
        for (sum, part) in sums.iter_mut().zip(parts) {
            // Exact: 2^64 units of 2^62.
            *sum = sum.saturating_add(part.of(unit));
        }
    }
    let noisy = sums.into_iter().zip(scales);
    Ok(noisy.map(|(sum, scale)| sum.saturating_add(draw(scale, rng))).collect())
}

/// `sensitivity · parts / ε`.
fn scale(sensitivity: u64, parts: usize, epsilon: u64) -> Option<Scale> {
    let num = u128::from(sensitivity)
        .checked_mul(u128::try_from(parts).ok()?)?
        .checked_mul(u128::from(MICRO))?;
    Scale::new(num, u128::from(epsilon))
}

#[cfg(test)]
mod tests;
