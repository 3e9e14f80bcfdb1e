//! The seam behind which every secret key of the node lies (D13).
//!
//! Threat model: a thief of backups or of the database must get nothing: keys are in a directory of their
//! own that backups leave out, readable by the node's user alone, under a passphrase if the operator
//! wants. A destroyed contract key must not come back: the tombstone is durable before the key is
//! erased, and whoever sees a tombstone refuses, whatever else lies there. Erasing overwrites, unlinks
//! and syncs; a disk that keeps old blocks (SSD, snapshots) may still hold them, which is why the
//! passphrase exists and why we call this destruction *evidence*, not proof.
//!
//! Never a key in a log, an error or a `Debug`. Exactly two implementations: [`directory::Directory`] and
//! [`memory::Memory`].

pub mod directory;
mod file;
pub mod memory;

use std::path::PathBuf;

use tidm_crypto::secret::Secret;
use tidm_crypto::sign::SigningKey;
use tidm_space::id::Id;

/// A 256-bit key that wraps the data keys of one contract.
pub type ContractKey = Secret<[u8; 32]>;

/// Signing keys of the node and wrapping keys of its contracts.
pub trait Keys: Send + Sync {
    /// ES256; its public half is in the DID document.
    fn identity(&self) -> &SigningKey;

    /// Ed25519; signs checkpoints of our own log and nothing else.
    fn log(&self) -> &SigningKey;

    /// Ed25519; cosigns checkpoints of others' logs. Another key than the log's: a log must not vouch for itself.
    fn witness(&self) -> &SigningKey;

    /// Seals what must not lie open about people: secrets of second factors. Made at the first call.
    fn people(&self) -> Result<Secret<[u8; 32]>, KeyError>;

    /// The contract's key, made at the first call. [`KeyError::Destroyed`] after [`Keys::destroy`], for ever.
    fn contract_key(&self, contract: &Id) -> Result<ContractKey, KeyError>;

    /// The contract's key if there is one. [`KeyError::Destroyed`] after [`Keys::destroy`].
    fn get(&self, contract: &Id) -> Result<Option<ContractKey>, KeyError>;

    /// Durable tombstone first, then the key is erased. Repeating it is fine; so is a contract without key.
    fn destroy(&self, contract: &Id) -> Result<(), KeyError>;

    /// Whether nothing of the contract's key lies here: looked for at its place, whatever the tombstone says.
    fn gone(&self, contract: &Id) -> Result<bool, KeyError>;

    /// What the keys of marks in released copies are made from; made at the first call. It is no contract's and
    /// outlives them all: a leak is found after its end.
    fn mark_root(&self) -> Result<Secret<[u8; 32]>, KeyError>;

    /// The same, but never made.
    fn kept_mark_root(&self) -> Result<Option<Secret<[u8; 32]>>, KeyError>;

    /// What the keys of tables for matching are made from; made at the first call. Another one means other tables.
    fn table_root(&self) -> Result<Secret<[u8; 32]>, KeyError>;

    /// What lists and results of matchings are sealed below on the node's own disks; made at the first call.
    fn lists_root(&self) -> Result<Secret<[u8; 32]>, KeyError>;

    /// Contracts whose key exists, sorted.
    fn list(&self) -> Result<Vec<Id>, KeyError>;
}

/// Why a key cannot be had. Opaque where cryptography said no.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("the key of this contract was destroyed")]
    Destroyed,
    #[error("{path} can be read by others on this machine; run chmod go-rwx on it", path = .0.display())]
    Exposed(PathBuf),
    #[error("{path} is missing; run `tidm init`, or restore the keys directory", path = .0.display())]
    Missing(PathBuf),
    #[error("{path} is not a key file of this program", path = .0.display())]
    Malformed(PathBuf),
    #[error("the passphrase does not open the keys, or a key file was changed")]
    Passphrase,
    #[error("the keys are under a passphrase; give it with TIDM_PASSPHRASE_FILE")]
    PassphraseNeeded,
    #[error("the keys are not under a passphrase, but one was given; leave it out")]
    PassphraseUnused,
    #[error("the operating system gave no randomness")]
    Randomness,
    #[error("{path}: {error}", path = .0.display(), error = .1)]
    Io(PathBuf, std::io::Error),
}

/// 32 fresh bytes from the operating system.
pub(crate) fn random() -> Result<Secret<[u8; 32]>, KeyError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|_| KeyError::Randomness)?;
    let secret = Secret::new(bytes);
    zeroize::Zeroize::zeroize(&mut bytes);
    Ok(secret)
}

/// A fresh signing key; draws again in the rare case that 32 bytes are no scalar.
pub(crate) fn generate(kind: tidm_crypto::sign::KeyKind) -> Result<SigningKey, KeyError> {
    loop {
        if let Ok(key) = SigningKey::from_secret_bytes(kind, random()?.expose()) {
            return Ok(key);
        }
    }
}

#[cfg(test)]
mod tests;
