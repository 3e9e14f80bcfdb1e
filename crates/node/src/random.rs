//! The operating system's randomness, in the shape that the cryptographic core wants.
//!
//! Never a seeded generator: those exist in tests and in the simulator only.

use getrandom::SysRng;
use rand_core::UnwrapErr;

use tidm_crypto::secret::Secret;

/// Draws from the operating system at every call; a system without randomness stops the process.
pub fn os() -> UnwrapErr<SysRng> {
    UnwrapErr(SysRng)
}

/// 32 fresh bytes.
pub fn key() -> Secret<[u8; 32]> {
    Secret::random(&mut os())
}
