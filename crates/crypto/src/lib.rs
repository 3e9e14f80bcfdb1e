//! Hashes, signatures, key encapsulation, authenticated encryption, canonical encodings and the
//! sealed-file container of a tidm node.
//!
//! Threat model: every byte that reaches a `parse`, `decode`, `open` or `verify` was chosen by an
//! attacker who also reads our source. Such input may be refused, never panic, never allocate more
//! than [`limits`] allows, and a refusal tells nothing about keys (see [`error`]).
//!
//! **Architecture invariant:** pure. No clock, no file, no socket, no randomness of its own:
//! randomness is a `&mut dyn CryptoRng` argument. Nothing here knows what a contract or a lease is.
//!
//! **Architecture invariant:** whatever is hashed or signed by tidm alone is a canonical CBOR
//! [`cbor::tuple`] opened by a string of [`domain`]; JSON that is signed is [`jcs`]. One way.
//!
//! How to read it: [`secret`] and [`hash`] first, then [`cbor`] and [`jcs`] (what is signed),
//! [`sign`] and [`jws`] (how), [`aead`] and [`kem`] (how things are hidden), [`suite`] (which
//! family), [`tdf`] last.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

pub mod aead;
pub mod cbor;
pub mod domain;
pub mod error;
pub mod hash;
pub mod jcs;
pub mod jws;
pub mod kem;
pub mod limits;
pub mod rest;
pub mod rsa;
pub mod secret;
pub mod sign;
mod spki;
pub mod suite;
pub mod tdf;
pub mod totp;

#[cfg(test)]
mod test_hex;
#[cfg(test)]
mod test_rng;
