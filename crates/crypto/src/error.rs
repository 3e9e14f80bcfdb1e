//! Errors shared by the modules. Those about keys and ciphertexts are opaque on purpose: a reason
//! ("tag wrong", "padding wrong", "point not on curve") is an oracle.

use thiserror::Error;

/// Something encrypted could not be opened: wrong key, wrong context, or damaged bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("cannot be opened: wrong key, wrong context or damaged bytes")]
pub struct Opaque;

/// A signature does not verify under the given key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the signature does not verify under this key")]
pub struct BadSignature;

/// Bytes or a JWK are not a usable key of the expected kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not a usable key of this kind: check the kind, the encoding and the length")]
pub struct BadKey;
