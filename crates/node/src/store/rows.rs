//! Small conversions between domain values and columns.
//!
//! Never lossy: what is written here can be read back.

use std::fmt::Write as _;

use tidm_space::catalog::product::Product;

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

pub(super) fn product_kind(it: &Product) -> &'static str {
    it.kind.name()
}
