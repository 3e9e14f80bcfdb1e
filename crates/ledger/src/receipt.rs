//! Receipts (C2SP tlog-proof): one file that proves offline that an entry is in a log.
//!
//! Verifying never answers with a bare yes: a [`Report`] says what was proven and what was not, so
//! that nobody shows "in the log" for "a proof was attached".
//!
//! Threat model: the whole receipt, its index, size and root included, comes from whoever profits.
//! Must never take `extra` for authenticated, and never let a missing cosignature look like a
//! failed one or the other way round.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::checkpoint::{CheckpointError, SignedCheckpoint};
use crate::cosignature;
use crate::decimal;
use crate::limits::{MAX_EXTRA_BYTES, MAX_PROOF_HASHES, MAX_RECEIPT_BYTES, MAX_TREE_SIZE};
use crate::note::{NoteError, VerifierKey};
use crate::policy::{Policy, satisfied};
use crate::proof::{self, ProofError, verify_inclusion};
use crate::tree::{Hash, HashSource, leaf_hash};

/// First line of a receipt.
pub const HEADER: &str = "c2sp.org/tlog-proof@v1";

/// Why a text is no receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// The text does not follow the format.
    #[error("malformed receipt: {0}")]
    Malformed(&'static str),
    /// The checkpoint in it is refused.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
}

/// Index, inclusion proof and signed head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    extra: Option<Vec<u8>>,
    index: u64,
    proof: Vec<Hash>,
    checkpoint: SignedCheckpoint,
}

impl Receipt {
    /// Receipt of entry `index` under `checkpoint`.
    pub fn build(
        index: u64,
        checkpoint: SignedCheckpoint,
        source: &impl HashSource,
    ) -> Result<Self, ProofError> {
        let proof = proof::inclusion(checkpoint.checkpoint().size(), index, source)?;
        Ok(Self { extra: None, index, proof, checkpoint })
    }

    /// Attaches data that is **not** authenticated, at most [`MAX_EXTRA_BYTES`].
    pub fn with_extra(self, extra: Vec<u8>) -> Result<Self, ReceiptError> {
        if extra.len() > MAX_EXTRA_BYTES {
            return Err(ReceiptError::Malformed("extra is above 47,000 bytes"));
        }
        Ok(Self { extra: Some(extra), ..self })
    }

    /// Reads a `.tlog-proof` file.
    pub fn parse(bytes: &[u8]) -> Result<Self, ReceiptError> {
        if bytes.len() > MAX_RECEIPT_BYTES {
            return Err(ReceiptError::Malformed("too long"));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| ReceiptError::Malformed("not UTF-8"))?;
        let (head, checkpoint) = text
            .split_once("\n\n")
            .ok_or(ReceiptError::Malformed("no empty line before the checkpoint"))?;
        let mut lines = head.split('\n').peekable();
        if lines.next() != Some(HEADER) {
            return Err(ReceiptError::Malformed("the first line is not c2sp.org/tlog-proof@v1"));
        }
        let extra = match lines.peek().and_then(|it| it.strip_prefix("extra ")) {
            None => None,
            Some(extra) => {
                lines.next();
                Some(decode_extra(extra)?)
            }
        };
        let index = lines
            .next()
            .and_then(|it| it.strip_prefix("index "))
            .and_then(|it| decimal::parse_up_to(it, MAX_TREE_SIZE))
            .ok_or(ReceiptError::Malformed("no line `index <number>`"))?;
        let mut proof = Vec::new();
        for line in lines {
            if proof.len() == MAX_PROOF_HASHES {
                return Err(ReceiptError::Malformed("more than 63 proof lines"));
            }
            proof.push(
                Hash::from_base64(line)
                    .ok_or(ReceiptError::Malformed("a proof line is not one base64 hash"))?,
            );
        }
        Ok(Self { extra, index, proof, checkpoint: SignedCheckpoint::parse(checkpoint)? })
    }

    /// Data the sender attached; proves nothing.
    pub fn extra(&self) -> Option<&[u8]> {
        self.extra.as_deref()
    }

    /// Claimed index of the entry.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// The head with its signature lines.
    pub fn checkpoint(&self) -> &SignedCheckpoint {
        &self.checkpoint
    }
}

fn decode_extra(text: &str) -> Result<Vec<u8>, ReceiptError> {
    STANDARD
        .decode(text)
        .ok()
        .filter(|it| it.len() <= MAX_EXTRA_BYTES)
        .ok_or(ReceiptError::Malformed("extra is not strict base64 of at most 47,000 bytes"))
}

impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADER}")?;
        if let Some(extra) = &self.extra {
            writeln!(f, "extra {}", STANDARD.encode(extra))?;
        }
        writeln!(f, "index {}", self.index)?;
        self.proof.iter().try_for_each(|it| writeln!(f, "{it}"))?;
        write!(f, "\n{}", self.checkpoint)
    }
}

/// What a receipt proves, part by part.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Report {
    /// Claimed index of the entry.
    pub index: u64,
    /// Claimed size of the tree.
    pub size: u64,
    /// Claimed root of the tree.
    pub root: Hash,
    /// Claimed log.
    pub origin: String,
    /// The entry is at `index` of the tree (`size`, `root`). Says nothing about whose tree it is.
    pub included: bool,
    /// The log signed (`origin`, `size`, `root`).
    pub log_signature_ok: bool,
    /// Witnesses that cosigned it, by key name, with their times in Unix seconds.
    pub cosigned_by: Vec<(String, u64)>,
    /// The cosignatures make the policy's quorum.
    pub quorum_met: bool,
    /// The policy asks for no witness: a met quorum says nothing about a split view.
    pub unwitnessed: bool,
    /// Why signatures were refused, if they were.
    pub refused: Option<NoteError>,
}

/// One part of what a receipt can prove.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Claim {
    /// These very bytes are entry `index` of the tree.
    EntryInTree,
    /// The log of that origin stands for the tree.
    LogSigned,
    /// Enough witnesses saw this tree as the log's largest: all others see the same.
    Witnessed,
}

impl Report {
    /// Each claim and whether it was proven.
    pub fn claims(&self) -> [(Claim, bool); 3] {
        [
            (Claim::EntryInTree, self.included),
            (Claim::LogSigned, self.log_signature_ok),
            (Claim::Witnessed, self.quorum_met && !self.unwitnessed),
        ]
    }

    /// Whether everything that the policy asks for was proven.
    pub fn accepted(&self) -> bool {
        self.included && self.log_signature_ok && self.quorum_met
    }
}

/// Checks `receipt` for `entry` against the log's key and the witnesses and quorum of `policy`.
///
/// Logs named in `policy` are not looked at: `log` is the one the caller means. A bad signature by
/// the log or by any known witness makes the note malformed, so nothing signed is proven.
pub fn verify(receipt: &Receipt, entry: &[u8], log: &VerifierKey, policy: &Policy) -> Report {
    let head = receipt.checkpoint.checkpoint();
    let included =
        verify_inclusion(leaf_hash(entry), receipt.index, head.size(), head.root(), &receipt.proof)
            .is_ok();
    let mut report = Report {
        index: receipt.index,
        size: head.size(),
        root: head.root(),
        origin: head.origin().to_owned(),
        included,
        log_signature_ok: false,
        cosigned_by: Vec::new(),
        quorum_met: false,
        unwitnessed: !policy.needs_witnesses(),
        refused: None,
    };
    let cosigned = match cosignature::verify(&receipt.checkpoint, policy.witness_keys()) {
        Ok(cosigned) => cosigned,
        Err(error) => {
            report.refused = Some(error);
            return report;
        }
    };
    match receipt.checkpoint.note().verify([log]) {
        Ok(_) => report.log_signature_ok = log.name() == head.origin(),
        Err(error @ NoteError::BadSignature) => {
            report.refused = Some(error);
            return report;
        }
        Err(error) => report.refused = Some(error),
    }
    report.quorum_met = satisfied(policy, cosigned.iter().map(|it| &it.key));
    report.cosigned_by =
        cosigned.into_iter().map(|it| (it.key.name().to_owned(), it.time)).collect();
    report
}

#[cfg(test)]
mod tests;
