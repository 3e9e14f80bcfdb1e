//! Values that must not be printed, compared in variable time or left in memory.
//!
//! Must never implement `Serialize`, `Display`, `PartialEq` or `Deref`: each use of the inside is
//! a visible [`Secret::expose`]. Moves may leave copies on the stack; only the last owner erases.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroize;

/// A secret value, erased when dropped.
pub struct Secret<T: Zeroize>(T);

impl<T: Zeroize> Secret<T> {
    /// Takes ownership of `value`. Copies made before are the caller's to erase.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The inside, for the one computation that needs it.
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl Secret<[u8; 32]> {
    /// 32 fresh bytes from `rng`, for a data key or a nonce that must stay hidden.
    pub fn random(rng: &mut dyn rand_core::CryptoRng) -> Self {
        let mut bytes = [0; 32];
        rng.fill_bytes(&mut bytes);
        let secret = Self(bytes);
        bytes.zeroize();
        secret
    }
}

impl<T: Zeroize + Clone> Clone for Secret<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Zeroize> Drop for Secret<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl<T: Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Equality whose time depends on the lengths only.
pub fn ct_eq(left: &[u8], right: &[u8]) -> bool {
    left.ct_eq(right).into()
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, rc::Rc};

    use super::*;

    #[test]
    fn debug_shows_nothing() {
        let secret = Secret::new(vec![0xAB_u8; 4]);
        assert_eq!(format!("{secret:?}"), "Secret(…)");
        assert_eq!(format!("{secret:#?}"), "Secret(…)");
    }

    #[test]
    fn drop_zeroizes() {
        struct Spy(Rc<Cell<bool>>);
        impl Zeroize for Spy {
            fn zeroize(&mut self) {
                self.0.set(true);
            }
        }
        let seen = Rc::new(Cell::new(false));
        drop(Secret::new(Spy(seen.clone())));
        assert!(seen.get());
    }

    #[test]
    fn constant_time_equality() {
        assert!(ct_eq(b"", b""));
        assert!(ct_eq(b"abc", b"abc"));
        assert!(!ct_eq(b"abc", b"abd"));
        assert!(!ct_eq(b"abc", b"ab"));
    }
}
