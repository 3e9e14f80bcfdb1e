//! Keys as files: `identity.key`, `log.key`, `witness.key`, `people.key`, `marks.key`, `tables.key`, `contracts/HASH.key` and `contracts/HASH.destroyed`.
//!
//! Replicas of one node may share the directory: a key is made by linking a finished file, so the first
//! one wins everywhere, and a tombstone is looked for after every link as well as before.
//!
//! With a passphrase each file is sealed under a master key of argon2id; `passphrase.json` holds salt and
//! cost, never the key.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use tidm_crypto::hash::sha256;
use tidm_crypto::secret::Secret;
use tidm_crypto::sign::{KeyKind, SigningKey};
use tidm_space::id::Id;

use super::file::{self, Purpose};
use super::{ContractKey, KeyError, Keys, generate, random};

const IDENTITY: Purpose<'_> = Purpose { kind: "identity es256", id: "" };
const LOG: Purpose<'_> = Purpose { kind: "log ed25519", id: "" };
const WITNESS: Purpose<'_> = Purpose { kind: "witness ed25519", id: "" };
const PEOPLE: Purpose<'_> = Purpose { kind: "people", id: "" };

const MARKS: Purpose<'_> = Purpose { kind: "marks", id: "" };
const TABLES: Purpose<'_> = Purpose { kind: "tables", id: "" };
const LISTS: Purpose<'_> = Purpose { kind: "lists", id: "" };

/// The signing keys of a node: file, purpose, kind.
const SIGNING: [(&str, Purpose<'_>, KeyKind); 3] = [
    ("identity.key", IDENTITY, KeyKind::Es256),
    ("log.key", LOG, KeyKind::Ed25519),
    ("witness.key", WITNESS, KeyKind::Ed25519),
];

/// RFC 9106 §4, second recommended option with margin: 64 MiB, 3 passes; 0.2 s at start, once.
const MEMORY_KIB: u32 = 64 * 1024;
const PASSES: u32 = 3;
/// A changed file must not make start-up swallow the machine's memory.
const MOST_MEMORY_KIB: u32 = 1024 * 1024;
const MOST_PASSES: u32 = 32;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cost {
    salt: String,
    memory_kib: u32,
    passes: u32,
}

/// The directory, opened; signing keys are in memory, contract keys are read when asked for.
pub struct Directory {
    dir: PathBuf,
    identity: SigningKey,
    log: SigningKey,
    witness: SigningKey,
    master: Option<Secret<[u8; 32]>>,
}

/// What [`Directory::create`] found or made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// Files made now; empty when all were there.
    pub files: Vec<PathBuf>,
}

impl Directory {
    /// Makes what is missing and leaves what is there. A second call makes nothing.
    pub fn create(dir: &Path, passphrase: Option<&Secret<String>>) -> Result<Made, KeyError> {
        make_dir(dir)?;
        make_dir(&dir.join("contracts"))?;
        let mut files = Vec::new();
        let cost = dir.join("passphrase.json");
        let fresh = SIGNING.iter().all(|(name, ..)| !dir.join(name).exists());
        if passphrase.is_some() && fresh && !cost.exists() {
            let salt = random()?;
            let it = Cost {
                salt: STANDARD.encode(salt.expose()),
                memory_kib: MEMORY_KIB,
                passes: PASSES,
            };
            let text = serde_json::to_vec(&it).map_err(|_| KeyError::Passphrase)?;
            file::create(&cost, &text)?;
            files.push(cost);
        }
        let master = master(dir, passphrase)?;
        for (name, purpose, kind) in SIGNING {
            let path = dir.join(name);
            if file::read(&path, purpose, master.as_ref())?.is_none() {
                let text =
                    file::encode(purpose, &generate(kind)?.to_secret_bytes(), master.as_ref())?;
                if file::create(&path, text.expose())? {
                    files.push(path);
                }
            }
        }
        Ok(Made { files })
    }

    /// Opens what [`Directory::create`] made; refuses files that others may read.
    pub fn open(dir: &Path, passphrase: Option<&Secret<String>>) -> Result<Self, KeyError> {
        file::guard(dir)?;
        let contracts = dir.join("contracts");
        file::guard(&contracts)?;
        let master = master(dir, passphrase)?;
        let signing = |(name, purpose, kind): (&str, _, _)| {
            let path = dir.join(name);
            let bytes = file::read(&path, purpose, master.as_ref())?
                .ok_or_else(|| KeyError::Missing(path.clone()))?;
            SigningKey::from_secret_bytes(kind, bytes.expose())
                .map_err(|_| KeyError::Malformed(path))
        };
        let [identity, log, witness] = SIGNING.map(signing);
        Ok(Self { dir: dir.to_owned(), identity: identity?, log: log?, witness: witness?, master })
    }

    fn path(&self, contract: &Id, ending: &str) -> PathBuf {
        // A peer chooses the id: hashed, it is a harmless file name of fixed length.
        let name: String = sha256(contract.as_str().as_bytes())
            .as_bytes()
            .iter()
            .map(|it| format!("{it:02x}"))
            .collect();
        self.dir.join("contracts").join(format!("{name}.{ending}"))
    }

    /// A secret of the node, made at the first call.
    fn made(&self, name: &str, purpose: Purpose<'_>) -> Result<Secret<[u8; 32]>, KeyError> {
        let path = self.dir.join(name);
        if let Some(key) = file::read(&path, purpose, self.master.as_ref())? {
            return Ok(key);
        }
        let text = file::encode(purpose, &random()?, self.master.as_ref())?;
        file::create(&path, text.expose())?;
        // Another replica may have come first: its key is the one.
        file::read(&path, purpose, self.master.as_ref())?.ok_or(KeyError::Missing(path))
    }

    fn alive(&self, contract: &Id) -> Result<(), KeyError> {
        let path = self.path(contract, "destroyed");
        match fs::symlink_metadata(&path) {
            Ok(_) => Err(KeyError::Destroyed),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(e) => Err(KeyError::Io(path, e)),
        }
    }
}

impl Keys for Directory {
    fn identity(&self) -> &SigningKey {
        &self.identity
    }

    fn log(&self) -> &SigningKey {
        &self.log
    }

    fn witness(&self) -> &SigningKey {
        &self.witness
    }

    fn people(&self) -> Result<Secret<[u8; 32]>, KeyError> {
        self.made("people.key", PEOPLE)
    }

    fn contract_key(&self, contract: &Id) -> Result<ContractKey, KeyError> {
        if let Some(key) = self.get(contract)? {
            return Ok(key);
        }
        let purpose = Purpose { kind: "contract", id: contract.as_str() };
        let text = file::encode(purpose, &random()?, self.master.as_ref())?;
        let path = self.path(contract, "key");
        file::create(&path, text.expose())?;
        // Another replica may have destroyed it between our look and our link.
        if let Err(e) = self.alive(contract) {
            file::erase(&path)?;
            return Err(e);
        }
        self.get(contract)?.ok_or(KeyError::Missing(path))
    }

    fn get(&self, contract: &Id) -> Result<Option<ContractKey>, KeyError> {
        self.alive(contract)?;
        let purpose = Purpose { kind: "contract", id: contract.as_str() };
        file::read(&self.path(contract, "key"), purpose, self.master.as_ref())
    }

    fn destroy(&self, contract: &Id) -> Result<(), KeyError> {
        file::create(&self.path(contract, "destroyed"), contract.as_str().as_bytes())?;
        file::erase(&self.path(contract, "key"))
    }

    fn gone(&self, contract: &Id) -> Result<bool, KeyError> {
        let path = self.path(contract, "key");
        match fs::symlink_metadata(&path) {
            Ok(_) => Ok(false),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(true),
            Err(e) => Err(KeyError::Io(path, e)),
        }
    }

    fn mark_root(&self) -> Result<Secret<[u8; 32]>, KeyError> {
        if let Some(key) = self.kept_mark_root()? {
            return Ok(key);
        }
        let path = self.dir.join("marks.key");
        let text = file::encode(MARKS, &random()?, self.master.as_ref())?;
        file::create(&path, text.expose())?;
        self.kept_mark_root()?.ok_or(KeyError::Missing(path))
    }

    fn kept_mark_root(&self) -> Result<Option<Secret<[u8; 32]>>, KeyError> {
        file::read(&self.dir.join("marks.key"), MARKS, self.master.as_ref())
    }

    fn table_root(&self) -> Result<Secret<[u8; 32]>, KeyError> {
        self.made("tables.key", TABLES)
    }

    fn lists_root(&self) -> Result<Secret<[u8; 32]>, KeyError> {
        self.made("lists.key", LISTS)
    }

    fn list(&self) -> Result<Vec<Id>, KeyError> {
        let dir = self.dir.join("contracts");
        let mut ids = Vec::new();
        for entry in fs::read_dir(&dir).map_err(|e| file::io_error(&dir, e))? {
            let path = entry.map_err(|e| file::io_error(&dir, e))?.path();
            if path.extension().is_none_or(|it| it != "key") {
                continue;
            }
            if let Some(text) = file::id_in(&path)? {
                let id = Id::parse(&text).map_err(|_| KeyError::Malformed(path))?;
                // A crash between tombstone and erasure leaves the file: it is dead all the same.
                if self.alive(&id).is_ok() {
                    ids.push(id);
                }
            }
        }
        ids.sort();
        Ok(ids)
    }
}

fn make_dir(dir: &Path) -> Result<(), KeyError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|e| KeyError::Io(dir.to_owned(), e))?;
    file::guard(dir)
}

/// The master key, if the directory is sealed. Derived once per start.
fn master(
    dir: &Path,
    passphrase: Option<&Secret<String>>,
) -> Result<Option<Secret<[u8; 32]>>, KeyError> {
    let path = dir.join("passphrase.json");
    let malformed = || KeyError::Malformed(path.clone());
    let (text, passphrase) = match (file::contents(&path)?, passphrase) {
        (None, None) => return Ok(None),
        (Some(text), Some(passphrase)) => (text, passphrase),
        (Some(_), None) => return Err(KeyError::PassphraseNeeded),
        (None, Some(_)) => return Err(KeyError::PassphraseUnused),
    };
    let cost: Cost = serde_json::from_slice(text.expose()).map_err(|_| malformed())?;
    if cost.memory_kib > MOST_MEMORY_KIB || cost.passes > MOST_PASSES {
        return Err(malformed());
    }
    let salt = STANDARD.decode(&cost.salt).map_err(|_| malformed())?;
    let params = Params::new(cost.memory_kib, cost.passes, 1, Some(32)).map_err(|_| malformed())?;
    let mut key = [0; 32];
    let done = Argon2::new(Algorithm::Argon2id, Version::V0x13, params).hash_password_into(
        passphrase.expose().as_bytes(),
        &salt,
        &mut key,
    );
    let secret = Secret::new(key);
    zeroize::Zeroize::zeroize(&mut key);
    done.map(|()| Some(secret)).map_err(|_| malformed())
}
