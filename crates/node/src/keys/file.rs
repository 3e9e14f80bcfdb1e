//! One key in one file, and the steps that make writing and erasing it durable.
//!
//! Never reads a file that others may read, and never writes one that is not synced before it is named.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use tidm_crypto::aead;
use tidm_crypto::secret::Secret;
use zeroize::Zeroize;

use super::KeyError;

/// A key file is a few hundred bytes; more is not ours.
const FILE_BYTES: u64 = 8192;
const VERSION: u32 = 1;

/// What a key is for; part of what the encryption authenticates, so files cannot be swapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Purpose<'a> {
    pub(super) kind: &'static str,
    pub(super) id: &'a str,
}

/// On disk. `nonce` is there when `key` is sealed under the passphrase.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    version: u32,
    kind: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nonce: Option<String>,
    key: String,
}

impl Drop for Record {
    fn drop(&mut self) {
        self.key.zeroize();
    }
}

/// Text of the file that keeps `key`, sealed when there is a `master`.
pub(super) fn encode(
    purpose: Purpose<'_>,
    key: &Secret<[u8; 32]>,
    master: Option<&Secret<[u8; 32]>>,
) -> Result<Secret<Vec<u8>>, KeyError> {
    let (nonce, key) = match master {
        None => (None, STANDARD.encode(key.expose())),
        Some(master) => {
            let mut nonce = [0; aead::NONCE_BYTES];
            getrandom::fill(&mut nonce).map_err(|_| KeyError::Randomness)?;
            let sealed = aead::seal(master, nonce, &associated(purpose), key.expose())
                .map_err(|_| KeyError::Passphrase)?;
            (Some(STANDARD.encode(nonce)), STANDARD.encode(sealed))
        }
    };
    let record = Record {
        version: VERSION,
        kind: purpose.kind.to_owned(),
        id: purpose.id.to_owned(),
        nonce,
        key,
    };
    let mut text = serde_json::to_vec(&record).map_err(|_| KeyError::Passphrase)?;
    text.push(b'\n');
    Ok(Secret::new(text))
}

/// Reads the key of `purpose` back. `None`: the file is not there.
pub(super) fn read(
    path: &Path,
    purpose: Purpose<'_>,
    master: Option<&Secret<[u8; 32]>>,
) -> Result<Option<Secret<[u8; 32]>>, KeyError> {
    let Some(text) = contents(path)? else { return Ok(None) };
    let malformed = || KeyError::Malformed(path.to_owned());
    let record: Record = serde_json::from_slice(text.expose()).map_err(|_| malformed())?;
    if record.version != VERSION || record.kind != purpose.kind || record.id != purpose.id {
        return Err(malformed());
    }
    let bytes = Secret::new(STANDARD.decode(&record.key).map_err(|_| malformed())?);
    let plain = match (&record.nonce, master) {
        (None, None) => bytes,
        (Some(nonce), Some(master)) => {
            let nonce = STANDARD
                .decode(nonce)
                .ok()
                .and_then(|it| it.try_into().ok())
                .ok_or_else(malformed)?;
            aead::open(master, nonce, &associated(purpose), bytes.expose())
                .map_err(|_| KeyError::Passphrase)?
        }
        (Some(_), None) => return Err(KeyError::PassphraseNeeded),
        // A key in clear inside a sealed directory was put there by somebody else.
        (None, Some(_)) => return Err(KeyError::Passphrase),
    };
    let mut key: [u8; 32] = plain.expose().as_slice().try_into().map_err(|_| malformed())?;
    let secret = Secret::new(key);
    key.zeroize();
    Ok(Some(secret))
}

/// The contract id written in a key file or a tombstone.
pub(super) fn id_in(path: &Path) -> Result<Option<String>, KeyError> {
    let Some(text) = contents(path)? else { return Ok(None) };
    let mut record: Record =
        serde_json::from_slice(text.expose()).map_err(|_| KeyError::Malformed(path.to_owned()))?;
    Ok(Some(std::mem::take(&mut record.id)))
}

fn associated(purpose: Purpose<'_>) -> Vec<u8> {
    format!("tidm key {VERSION}\n{}\n{}", purpose.kind, purpose.id).into_bytes()
}

/// Refuses what group or others may touch.
pub(super) fn guard(path: &Path) -> Result<(), KeyError> {
    let found = fs::metadata(path).map_err(|e| io_error(path, e))?;
    if found.permissions().mode() & 0o077 == 0 {
        Ok(())
    } else {
        Err(KeyError::Exposed(path.to_owned()))
    }
}

pub(super) fn contents(path: &Path) -> Result<Option<Secret<Vec<u8>>>, KeyError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(io_error(path, e)),
    };
    let found = file.metadata().map_err(|e| io_error(path, e))?;
    if found.permissions().mode() & 0o077 != 0 {
        return Err(KeyError::Exposed(path.to_owned()));
    }
    let mut text = Vec::new();
    file.take(FILE_BYTES + 1).read_to_end(&mut text).map_err(|e| io_error(path, e))?;
    if text.len() as u64 > FILE_BYTES {
        return Err(KeyError::Malformed(path.to_owned()));
    }
    Ok(Some(Secret::new(text)))
}

/// Makes `path` with `text`, mode 0600, durable. `Ok(false)`: it was there already and is untouched.
///
/// A link instead of a rename: two replicas that make the same key end with one of them, not the later.
pub(super) fn create(path: &Path, text: &[u8]) -> Result<bool, KeyError> {
    let partial = path.with_extension(format!("{}.partial", uuid::Uuid::now_v7().simple()));
    let written = (|| {
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&partial)?;
        file.write_all(text)?;
        file.sync_all()?;
        fs::hard_link(&partial, path)
    })();
    let removed = fs::remove_file(&partial);
    match written {
        Ok(()) => {
            removed.map_err(|e| io_error(&partial, e))?;
            sync_parent(path)?;
            Ok(true)
        }
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(e) => Err(io_error(path, e)),
    }
}

/// Overwrites, syncs, unlinks, syncs the directory. A missing file is erased already.
pub(super) fn erase(path: &Path) -> Result<(), KeyError> {
    let mut file = match OpenOptions::new().write(true).open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(io_error(path, e)),
    };
    let erased = (|| {
        let length = usize::try_from(file.metadata()?.len().min(FILE_BYTES)).unwrap_or_default();
        file.write_all(&vec![0; length])?;
        file.sync_all()?;
        fs::remove_file(path)
    })();
    erased.map_err(|e| io_error(path, e))?;
    sync_parent(path)
}

fn sync_parent(path: &Path) -> Result<(), KeyError> {
    let Some(parent) = path.parent() else { return Ok(()) };
    File::open(parent).and_then(|it| it.sync_all()).map_err(|e| io_error(parent, e))
}

pub(super) fn io_error(path: &Path, error: io::Error) -> KeyError {
    if error.kind() == io::ErrorKind::NotFound {
        KeyError::Missing(path.to_owned())
    } else {
        KeyError::Io(path.to_owned(), error)
    }
}
