//! Checkpoints (C2SP tlog-checkpoint): the signed head of a log.
//!
//! Must never write or accept a second spelling of a head, and never drop an extension line:
//! signatures cover the bytes, and two spellings of one head look like two heads.

use std::fmt;

use crate::decimal;
use crate::limits::{MAX_EXTENSION_LINES, MAX_NAME_BYTES, MAX_TREE_SIZE};
use crate::note::{Note, NoteError, NoteSigner, SignatureLine, Verified, VerifierKey};
use crate::tree::Hash;

/// Why a checkpoint is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// The text does not follow the format.
    #[error("malformed checkpoint: {0}")]
    Malformed(&'static str),
    /// The note around it is refused.
    #[error(transparent)]
    Note(#[from] NoteError),
}

/// Head of a log: which log, how many entries, which root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    origin: String,
    size: u64,
    root: Hash,
    extensions: Vec<String>,
}

impl Checkpoint {
    /// A head without extension lines.
    pub fn new(origin: &str, size: u64, root: Hash) -> Result<Self, CheckpointError> {
        Self::extended(origin, size, root, Vec::new())
    }

    /// A head with extension lines, each non-empty. Not recommended: no monitor can audit them.
    pub fn extended(
        origin: &str,
        size: u64,
        root: Hash,
        extensions: Vec<String>,
    ) -> Result<Self, CheckpointError> {
        let line = |it: &str| !it.is_empty() && it.bytes().all(|it| it >= b' ');
        if !line(origin) || origin.len() > MAX_NAME_BYTES {
            return Err(CheckpointError::Malformed(
                "the origin is empty, too long or not one line",
            ));
        }
        if size > MAX_TREE_SIZE {
            return Err(CheckpointError::Malformed("the tree size is above 2^63 - 1"));
        }
        if extensions.len() > MAX_EXTENSION_LINES || !extensions.iter().all(|it| line(it)) {
            return Err(CheckpointError::Malformed("too many extension lines, or one is empty"));
        }
        Ok(Self { origin: origin.to_owned(), size, root, extensions })
    }

    /// Reads a note's text.
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let text =
            text.strip_suffix('\n').ok_or(CheckpointError::Malformed("no newline at the end"))?;
        let mut lines = text.split('\n');
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next())
        else {
            return Err(CheckpointError::Malformed("fewer than three lines"));
        };
        let size = decimal::parse_up_to(size, MAX_TREE_SIZE)
            .ok_or(CheckpointError::Malformed("the tree size is not a plain decimal number"))?;
        let root = Hash::from_base64(root)
            .ok_or(CheckpointError::Malformed("the root is not strict base64 of 32 bytes"))?;
        let extensions = lines.take(MAX_EXTENSION_LINES + 1).map(str::to_owned).collect();
        Self::extended(origin, size, root, extensions)
    }

    /// As [`Self::parse`], from untrusted bytes.
    pub fn parse_bytes(bytes: &[u8]) -> Result<Self, CheckpointError> {
        Self::parse(
            std::str::from_utf8(bytes).map_err(|_| CheckpointError::Malformed("not UTF-8"))?,
        )
    }

    /// Identity of the log.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Entries in the log.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Root of the tree.
    pub fn root(&self) -> Hash {
        self.root
    }

    /// Lines after the root.
    pub fn extensions(&self) -> &[String] {
        &self.extensions
    }

    /// Signs it with the log's key, whose name must be the origin.
    pub fn sign(self, signer: &NoteSigner) -> Result<SignedCheckpoint, CheckpointError> {
        let line = signer.sign(&self.to_string())?;
        self.signed_by(line, signer.verifier())
    }

    /// Takes a signature line made elsewhere by `key`, the log's key, over [`Self::to_string`].
    pub fn signed_by(
        self,
        line: SignatureLine,
        key: &VerifierKey,
    ) -> Result<SignedCheckpoint, CheckpointError> {
        if key.name() != self.origin {
            return Err(CheckpointError::Malformed("the log key's name is not the origin"));
        }
        let mut note = Note::new(self.to_string())?;
        key.verify(note.text(), &line)?;
        note.add(line)?;
        Ok(SignedCheckpoint { checkpoint: self, note })
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{}\n{}", self.origin, self.size, self.root)?;
        self.extensions.iter().try_for_each(|it| writeln!(f, "{it}"))
    }
}

/// A checkpoint with its signature lines, which [`Self::verify`] checks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedCheckpoint {
    checkpoint: Checkpoint,
    note: Note,
}

impl SignedCheckpoint {
    /// Reads a signed note whose text is a checkpoint.
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let note = Note::parse(text)?;
        Ok(Self { checkpoint: Checkpoint::parse(note.text())?, note })
    }

    /// As [`Self::parse`], from untrusted bytes.
    pub fn parse_bytes(bytes: &[u8]) -> Result<Self, CheckpointError> {
        let note = Note::parse_bytes(bytes)?;
        Ok(Self { checkpoint: Checkpoint::parse(note.text())?, note })
    }

    /// The head, signed or not.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The note around it.
    pub fn note(&self) -> &Note {
        &self.note
    }

    /// The head, once `log` has been seen to have signed it under the log's own name.
    pub fn verify(&self, log: &VerifierKey) -> Result<&Checkpoint, CheckpointError> {
        if log.name() != self.checkpoint.origin {
            return Err(CheckpointError::Malformed("the log key's name is not the origin"));
        }
        self.note.verify([log])?;
        Ok(&self.checkpoint)
    }

    /// Signatures by `keys` ([`Note::verify`]).
    pub fn signatures<'a>(
        &self,
        keys: impl IntoIterator<Item = &'a VerifierKey> + Clone,
    ) -> Result<Vec<Verified>, NoteError> {
        self.note.verify(keys)
    }

    /// Adds a line, such as a cosignature, in place of an earlier one by the same key.
    pub fn add(&mut self, line: SignatureLine) -> Result<(), NoteError> {
        self.note.add(line)
    }

    /// The same head with only the lines by `key`.
    #[must_use]
    pub fn only(&self, key: &VerifierKey) -> Self {
        Self { checkpoint: self.checkpoint.clone(), note: self.note.only(key) }
    }
}

impl fmt::Display for SignedCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.note.fmt(f)
    }
}

#[cfg(test)]
mod tests;
