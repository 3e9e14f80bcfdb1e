//! Cosignatures of type 0x04 (C2SP tlog-cosignature): timestamped Ed25519 over a whole checkpoint.
//!
//! A cosignature says: "as of the specified time, the consistent tree head with the largest size the
//! cosigner has observed for the log identified by the origin line has the specified root hash".
//! Must never sign the note's text alone: without the header a witness key would make log signatures.

use crate::checkpoint::SignedCheckpoint;
use crate::note::{KeyKind, NoteError, NoteSigner, SignatureLine, VerifierKey};

/// A cosignature that verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cosigned {
    /// The witness's key.
    pub key: VerifierKey,
    /// When, in Unix seconds, by the witness's clock.
    pub time: u64,
}

/// The bytes a cosigner signs: two header lines, then the whole note text with extension lines.
pub fn message(text: &str, time: u64) -> String {
    format!("cosignature/v1\ntime {time}\n{text}")
}

/// Cosigns `checkpoint` at `time` (Unix seconds, not 0).
///
/// The caller has checked consistency ([`crate::witness::decide`]) and made the new size durable.
pub fn sign(
    signer: &NoteSigner,
    time: u64,
    checkpoint: &SignedCheckpoint,
) -> Result<SignatureLine, NoteError> {
    signer.cosign(checkpoint.note().text(), time)
}

/// The cosignatures by `witnesses` on `checkpoint`. Log keys among them are not witnesses and are
/// left out; a bad line by a known witness refuses all.
pub fn verify<'a>(
    checkpoint: &SignedCheckpoint,
    witnesses: impl IntoIterator<Item = &'a VerifierKey>,
) -> Result<Vec<Cosigned>, NoteError> {
    let keys: Vec<&VerifierKey> =
        witnesses.into_iter().filter(|it| it.kind() == KeyKind::Cosignature).collect();
    match checkpoint.signatures(keys.iter().copied()) {
        Ok(verified) => Ok(verified
            .into_iter()
            .filter_map(|it| Some(Cosigned { time: it.time?, key: it.key }))
            .collect()),
        Err(NoteError::Unsigned) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;
