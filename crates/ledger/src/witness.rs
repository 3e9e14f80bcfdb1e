//! Both sides of C2SP tlog-witness `add-checkpoint`: the log's request, the witness's decision.
//!
//! The witness's whole answer is a pure function of what it knows, what it last cosigned and the
//! request. Its shell must compare-and-set the new head durably **before** it answers; otherwise two
//! requests at once roll the witness back.
//!
//! Threat model: requests come from anyone. Must never cosign a head that is not an extension of
//! the last one cosigned for the same origin.

use std::fmt;

use crate::checkpoint::{CheckpointError, SignedCheckpoint};
use crate::cosignature::{self, Cosigned};
use crate::decimal;
use crate::limits::{
    MAX_ADD_CHECKPOINT_BYTES, MAX_NOTE_SIGNATURES, MAX_PROOF_HASHES, MAX_TREE_SIZE,
};
use crate::note::{KeyKind, NoteError, NoteSigner, SignatureLine, VerifierKey};
use crate::proof::{self, ProofError, verify_consistency};
use crate::tree::{EMPTY_ROOT, Hash, HashSource, sha256};

/// Content type of the body of a 409: "The response MUST have a Content-Type of" exactly this.
pub const CONFLICT_CONTENT_TYPE: &str = "text/x.tlog.size";

/// Why a request or an answer of the protocol is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WitnessError {
    /// The text does not follow the format.
    #[error("malformed witness message: {0}")]
    Malformed(&'static str),
    /// The checkpoint in it is refused.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The witness's signature lines are refused.
    #[error(transparent)]
    Note(#[from] NoteError),
}

/// Body of a `POST <submission prefix>/add-checkpoint`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddCheckpoint {
    /// Size of the last head the witness cosigned, as the log believes.
    pub old: u64,
    /// Consistency proof from that size.
    pub proof: Vec<Hash>,
    /// The new head.
    pub checkpoint: SignedCheckpoint,
}

impl AddCheckpoint {
    /// Reads a request body; an error is a 400.
    pub fn parse(body: &[u8]) -> Result<Self, WitnessError> {
        if body.len() > MAX_ADD_CHECKPOINT_BYTES {
            return Err(WitnessError::Malformed("too long"));
        }
        let text = std::str::from_utf8(body).map_err(|_| WitnessError::Malformed("not UTF-8"))?;
        let (head, checkpoint) = text
            .split_once("\n\n")
            .ok_or(WitnessError::Malformed("no empty line before the checkpoint"))?;
        let mut lines = head.split('\n');
        let old = lines
            .next()
            .and_then(|it| it.strip_prefix("old "))
            .and_then(|it| decimal::parse_up_to(it, MAX_TREE_SIZE))
            .ok_or(WitnessError::Malformed("the first line is not `old <size>`"))?;
        let mut proof = Vec::new();
        for line in lines {
            if proof.len() == MAX_PROOF_HASHES {
                return Err(WitnessError::Malformed("more than 63 proof lines"));
            }
            proof.push(
                Hash::from_base64(line)
                    .ok_or(WitnessError::Malformed("a proof line is not one base64 hash"))?,
            );
        }
        Ok(Self { old, proof, checkpoint: SignedCheckpoint::parse(checkpoint)? })
    }

    /// The log's request: `head` with nothing but the log's own signature, and the proof from
    /// `old`, the size the witness has (0 if unknown: it will answer with the right one).
    pub fn build(
        old: u64,
        head: &SignedCheckpoint,
        log: &VerifierKey,
        source: &impl HashSource,
    ) -> Result<Self, ProofError> {
        let proof = proof::consistency(old, head.checkpoint().size(), source)?;
        Ok(Self { old, proof, checkpoint: head.only(log) })
    }
}

impl fmt::Display for AddCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "old {}", self.old)?;
        self.proof.iter().try_for_each(|it| writeln!(f, "{it}"))?;
        write!(f, "\n{}", self.checkpoint)
    }
}

/// A log that a witness is configured for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// Its origin line.
    pub origin: String,
    /// Keys trusted for it; one signature is enough.
    pub keys: Vec<VerifierKey>,
}

/// What a witness answers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Answer {
    /// 200: persist the head by compare-and-set against the last one, then cosign at `time`.
    Cosign {
        /// Size and root to persist before answering.
        persist: (u64, Hash),
        /// Unix seconds for the cosignature.
        time: u64,
    },
    /// 409: the last cosigned size, which the log should prove from.
    Conflict {
        /// That size.
        size: u64,
    },
    /// 403: no valid signature by a trusted key, or an invalid one by such a key.
    Forbidden,
    /// 404: the origin is not configured.
    NotFound,
    /// 422: the proof or the root is wrong. May be evidence of misbehaviour: keep the request.
    Unprocessable,
    /// 400: malformed, or `old` above the checkpoint's size.
    BadRequest,
}

impl Answer {
    /// HTTP status code.
    pub fn status(&self) -> u16 {
        match self {
            Self::Cosign { .. } => 200,
            Self::BadRequest => 400,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::Conflict { .. } => 409,
            Self::Unprocessable => 422,
        }
    }

    /// Body of a 409: the size and a newline. Sent as [`CONFLICT_CONTENT_TYPE`].
    pub fn conflict_body(&self) -> Option<String> {
        match self {
            Self::Conflict { size } => Some(format!("{size}\n")),
            Self::Cosign { .. }
            | Self::BadRequest
            | Self::Forbidden
            | Self::NotFound
            | Self::Unprocessable => None,
        }
    }
}

/// Decides about a request in the order the specification gives.
///
/// `known` is the configuration for the request's origin, `last` the head last cosigned for it,
/// `now` the witness's clock in Unix seconds.
pub fn decide(
    known: Option<&LogEntry>,
    last: Option<(u64, Hash)>,
    request: &AddCheckpoint,
    now: u64,
) -> Answer {
    let head = request.checkpoint.checkpoint();
    // "If the checkpoint origin is unknown, the witness MUST respond with a 404"
    let Some(known) = known.filter(|it| it.origin == head.origin()) else {
        return Answer::NotFound;
    };
    // "403 [...] if either no signature from a trusted key for the origin is present, or a signature
    // line's key name and ID match a trusted key but the signature itself fails to verify"
    if request.checkpoint.signatures(&known.keys).is_err() {
        return Answer::Forbidden;
    }
    // "The old size MUST be equal to or lower than the checkpoint size. Otherwise [...] 400"
    if request.old > head.size() {
        return Answer::BadRequest;
    }
    // "or zero if it never cosigned a checkpoint for that origin"
    let (last_size, last_root) = last.unwrap_or((0, EMPTY_ROOT));
    if request.old != last_size {
        return Answer::Conflict { size: last_size };
    }
    // "A checkpoint of size zero MUST have the root hash of the empty tree", an empty proof for an
    // old size of zero, the same root for the same size, else a proof: all of them 422, all of them
    // what verifying consistency from the last head means.
    match verify_consistency(last_size, last_root, head.size(), head.root(), &request.proof) {
        Ok(()) => Answer::Cosign { persist: (head.size(), head.root()), time: now },
        Err(proof::BadProof) => Answer::Unprocessable,
    }
}

/// Body of a 200, once the head is durable.
pub fn cosign(
    signer: &NoteSigner,
    time: u64,
    request: &AddCheckpoint,
) -> Result<String, NoteError> {
    Ok(format!("{}\n", cosignature::sign(signer, time, &request.checkpoint)?))
}

/// The log's side of a 200: cosignatures by `witnesses` on `head`, with their lines to add to it.
///
/// Lines of unknown keys are ignored; a bad line by a known one is an error, as is no known one.
pub fn parse_cosignatures<'a>(
    body: &[u8],
    head: &SignedCheckpoint,
    witnesses: impl IntoIterator<Item = &'a VerifierKey> + Clone,
) -> Result<Vec<(Cosigned, SignatureLine)>, WitnessError> {
    if body.len() > crate::limits::MAX_NOTE_BYTES {
        return Err(WitnessError::Malformed("too long"));
    }
    let text = std::str::from_utf8(body).map_err(|_| WitnessError::Malformed("not UTF-8"))?;
    let text = text
        .strip_suffix('\n')
        .ok_or(WitnessError::Malformed("the answer does not end in a newline"))?;
    let mut found: Vec<(Cosigned, SignatureLine)> = Vec::new();
    for (count, line) in text.split('\n').enumerate() {
        if count == MAX_NOTE_SIGNATURES {
            return Err(WitnessError::Malformed("too many signature lines"));
        }
        let line = SignatureLine::parse(line)?;
        let known = witnesses
            .clone()
            .into_iter()
            .find(|it| it.kind() == KeyKind::Cosignature && it.matches(&line));
        let Some(key) = known else { continue };
        let time = key.verify(head.note().text(), &line)?.ok_or(NoteError::BadSignature)?;
        if found.iter().all(|(it, _)| it.key != *key) {
            found.push((Cosigned { key: key.clone(), time }, line));
        }
    }
    if found.is_empty() { Err(NoteError::Unsigned.into()) } else { Ok(found) }
}

/// The log's side of a 409: the size the witness has.
pub fn parse_conflict(content_type: &str, body: &[u8]) -> Result<u64, WitnessError> {
    if content_type != CONFLICT_CONTENT_TYPE {
        return Err(WitnessError::Malformed("a 409 of another content type"));
    }
    std::str::from_utf8(body)
        .ok()
        .and_then(|it| it.strip_suffix('\n'))
        .and_then(|it| decimal::parse_up_to(it, MAX_TREE_SIZE))
        .ok_or(WitnessError::Malformed("a 409 whose body is not a size and a newline"))
}

/// Path of a log's last cosigned head below a witness's monitoring prefix.
pub fn monitor_path(origin: &str) -> String {
    format!("{}/checkpoint", sha256(origin.as_bytes()).to_hex())
}

#[cfg(test)]
mod tests;
