//! Computing on bits that two parties share: a bit is the sum (exclusive or) of one bit of each.
//!
//! ```text
//!   silent    millions of correlated transfers, c = a·Δ + b with a bit a, from a few hundred kilobytes
//!   transfer  hashed, they are random transfers; two of them are a product of shared random bits (a triple),
//!             one multiplies a shared bit with a number that one party knows
//!   gates     and-gates by triples (GMW87, Bea91), 128 circuits in a word; equality, comparison
//! ```
//!
//! Against a curious peer only: somebody who deviates can make results wrong and may learn single bits of a share. Nothing
//! here opens a result; who opens what is decided above. Message lengths depend on the numbers of gates and bits only.

mod gates;
pub mod ideal;
mod silent;
mod transfer;

pub use gates::{Gates, mask_tail, slices};
pub use silent::{Receiver, Sender};
pub use transfer::{Transfers, Triples};

/// Bits of a word: as many circuits run side by side.
pub const WORD_BITS: usize = 128;

/// Words for `count` bits.
pub fn words(count: usize) -> usize {
    count.div_ceil(WORD_BITS)
}

#[cfg(test)]
mod tests;
