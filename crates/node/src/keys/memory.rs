//! Keys of a test or of a throw-away demo: gone with the process.
//!
//! Never for a node that keeps data: nothing sealed under these keys opens again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tidm_crypto::secret::Secret;
use tidm_crypto::sign::{KeyKind, SigningKey};
use tidm_space::id::Id;

use super::{ContractKey, KeyError, Keys, generate, random};

pub struct Memory {
    identity: SigningKey,
    log: SigningKey,
    witness: SigningKey,
    people: Secret<[u8; 32]>,
    marks: Secret<[u8; 32]>,
    tables: Secret<[u8; 32]>,
    lists: Secret<[u8; 32]>,
    contracts: Mutex<Contracts>,
}

#[derive(Default)]
struct Contracts {
    keys: BTreeMap<Id, ContractKey>,
    tombstones: BTreeSet<Id>,
}

impl Memory {
    /// Two fresh signing keys and no contract.
    pub fn new() -> Result<Self, KeyError> {
        Ok(Self {
            identity: generate(KeyKind::Es256)?,
            log: generate(KeyKind::Ed25519)?,
            witness: generate(KeyKind::Ed25519)?,
            people: random()?,
            marks: random()?,
            tables: random()?,
            lists: random()?,
            contracts: Mutex::default(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Contracts> {
        self.contracts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Keys for Memory {
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
        Ok(self.people.clone())
    }

    fn contract_key(&self, contract: &Id) -> Result<ContractKey, KeyError> {
        if let Some(key) = self.get(contract)? {
            return Ok(key);
        }
        let fresh = random()?;
        Ok(self.lock().keys.entry(contract.clone()).or_insert(fresh).clone())
    }

    fn get(&self, contract: &Id) -> Result<Option<ContractKey>, KeyError> {
        let it = self.lock();
        if it.tombstones.contains(contract) {
            Err(KeyError::Destroyed)
        } else {
            Ok(it.keys.get(contract).cloned())
        }
    }

    fn destroy(&self, contract: &Id) -> Result<(), KeyError> {
        let mut it = self.lock();
        it.tombstones.insert(contract.clone());
        it.keys.remove(contract);
        Ok(())
    }

    fn gone(&self, contract: &Id) -> Result<bool, KeyError> {
        Ok(!self.lock().keys.contains_key(contract))
    }

    fn mark_root(&self) -> Result<Secret<[u8; 32]>, KeyError> {
        Ok(self.marks.clone())
    }

    fn kept_mark_root(&self) -> Result<Option<Secret<[u8; 32]>>, KeyError> {
        Ok(Some(self.marks.clone()))
    }

    fn table_root(&self) -> Result<Secret<[u8; 32]>, KeyError> {
        Ok(self.tables.clone())
    }

    fn lists_root(&self) -> Result<Secret<[u8; 32]>, KeyError> {
        Ok(self.lists.clone())
    }

    fn list(&self) -> Result<Vec<Id>, KeyError> {
        Ok(self.lock().keys.keys().cloned().collect())
    }
}
