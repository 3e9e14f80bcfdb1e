//! The node's key directory: one wrapping key per contract, and the tombstones of destroyed ones (house D13).
//!
//! Never part of the store: a restored store does not restore keys. A restored key directory keeps its
//! tombstones, because files are copied in and never taken away.

use std::collections::BTreeSet;

use tidm_space::id::Id;

#[derive(Clone, Debug, Default)]
pub struct Keys {
    present: BTreeSet<Id>,
    tombstones: BTreeSet<Id>,
    /// Planted bug: a backup is believed rather than the tombstone.
    pub believes_backups: bool,
}

impl Keys {
    /// Makes the contract's key where there is none; `false`: it was destroyed.
    pub fn make(&mut self, contract: &Id) -> bool {
        if self.tombstones.contains(contract) {
            return false;
        }
        self.present.insert(contract.clone());
        true
    }

    pub fn has(&self, contract: &Id) -> bool {
        self.present.contains(contract) && !self.tombstones.contains(contract)
    }

    /// Tombstone first, then the key: a crash in between leaves no usable key.
    pub fn destroy(&mut self, contract: &Id) {
        self.tombstones.insert(contract.clone());
        self.present.remove(contract);
    }

    /// What a careless operator copies from an old disk: keys, whatever was destroyed since.
    pub fn restore(&mut self, from: &Self) {
        self.present.extend(from.present.iter().cloned());
        if self.believes_backups {
            self.tombstones.clone_from(&from.tombstones);
        }
    }
}
