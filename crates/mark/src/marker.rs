//! The keyed choice of cells, and what their last digit is to be.
//!
//! Threat: whoever receives a marked table wants to find the marked cells. Choice, parity and direction are bits of a
//! keyed hash (BLAKE3) of the column's name and the row's key. Never stored: they are worked out again to trace.

use tidm_crypto::cbor::{Value, tuple};
use tidm_crypto::domain;
use tidm_crypto::secret::Secret;

use crate::decimal::Decimal;
use crate::limits::ONE_OF;
use crate::row::RowKey;

/// The marks of one contract over one product.
pub struct Marker(Secret<[u8; 32]>);

/// A cell that carries a bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// Of the digit of the step.
    pub odd: bool,
    /// Which way, where it has to change.
    pub up: bool,
    /// Names the cell among others.
    pub(crate) name: [u8; 16],
}

impl Marker {
    /// `root` is the node's secret for marks; it outlives contracts, since leaks are found after their end.
    pub fn new(root: &Secret<[u8; 32]>, product: &str, contract: &str) -> Self {
        let about = vec![Value::Text(product.to_owned()), Value::Text(contract.to_owned())];
        let key = blake3::keyed_hash(root.expose(), &tuple(domain::MARK_KEY, about));
        Self(Secret::new(*key.as_bytes()))
    }

    /// Whether this row speaks in this column, and how.
    pub fn chosen(&self, column: &str, row: &RowKey) -> Option<Chosen> {
        let mut hash = blake3::Hasher::new_keyed(self.0.expose());
        hash.update(domain::MARK_CELL.as_bytes());
        hash.update(&(column.len() as u64).to_be_bytes());
        hash.update(column.as_bytes());
        hash.update(row.bytes());
        let bytes: [u8; 32] = *hash.finalize().as_bytes();
        let (mut choice, mut name) = ([0; 4], [0; 16]);
        choice.copy_from_slice(&bytes[..4]);
        name.copy_from_slice(&bytes[16..]);
        let [bits, ..] = bytes[4..5] else { return None };
        let here = u32::from_be_bytes(choice) < u32::MAX / ONE_OF;
        here.then_some(Chosen { odd: bits & 1 == 1, up: bits & 2 == 2, name })
    }

    /// The value to release instead; `None`: as it is.
    pub fn marked(&self, column: &str, row: &RowKey, step: i8, value: Decimal) -> Option<Decimal> {
        let it = self.chosen(column, row)?;
        let wrong = value.odd(step)? != it.odd;
        wrong.then(|| value.nudged(step, it.up)).flatten()
    }
}
