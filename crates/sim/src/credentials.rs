//! What DCP keeps in a node's store: requests and places at the issuer, credentials and questions at the wallet.
//!
//! Never decides: what follows from a request or a delivery is `space/identity/issuance`'s business. Requests pass
//! through `wire::record`, as they would on disk.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use tidm_space::identity::did::Did;
use tidm_space::identity::issuance::state::Issuance;
use tidm_space::identity::issuance::wallet::Answered;
use tidm_space::time::Time;
use tidm_space::wire::record::{self, BadRecord};

/// A credential request at its issuer, and when its wallet is told (again).
#[derive(Clone, Debug)]
pub struct Request {
    pub holder: Did,
    pub holder_pid: String,
    pub state: &'static str,
    pub due: Option<Time>,
    record: Rc<str>,
}

/// A place on the issuer's status list: given out once, with the credential that is signed for it.
#[derive(Clone, Debug)]
pub struct Place {
    pub issuance: String,
    pub holder: Did,
    pub revoked: bool,
}

/// A question of a wallet to its issuer.
#[derive(Clone, Debug)]
pub struct Asked {
    pub issuer: Did,
    pub answered: Answered,
}

#[derive(Clone, Debug, Default)]
pub struct Credentials {
    pub requests: BTreeMap<String, Request>,
    /// Who is invited, and whether the invitation was used.
    pub invitations: BTreeMap<Did, bool>,
    pub places: Vec<Place>,
    /// Tokens that were used up.
    pub tokens: BTreeSet<u64>,
    pub asked: BTreeMap<String, Asked>,
    /// Credentials by their digest, in the order in which they came.
    pub wallet: Vec<String>,
}

impl Credentials {
    pub fn save(&mut self, it: &Issuance, due: Option<Time>) {
        let row = Request {
            holder: it.holder.clone(),
            holder_pid: it.holder_pid.clone(),
            state: it.state.name().word(),
            due,
            record: record::issuance::write(it).into(),
        };
        self.requests.insert(it.id.clone(), row);
    }

    pub fn issuance(&self, id: &str) -> Result<Option<Issuance>, BadRecord> {
        self.requests.get(id).map(|it| record::issuance::read(&it.record)).transpose()
    }

    /// Requests of a holder that are still to be decided or delivered.
    pub fn open(&self, holder: &Did) -> Result<Vec<Issuance>, BadRecord> {
        self.requests
            .values()
            .filter(|it| it.holder == *holder && matches!(it.state, "received" | "approved"))
            .map(|it| record::issuance::read(&it.record))
            .collect()
    }

    /// Requests of a holder that are decided, and delivered or given up.
    pub fn past(&self, holder: &Did) -> Result<Vec<Issuance>, BadRecord> {
        self.requests
            .values()
            .filter(|it| it.holder == *holder && !matches!(it.state, "received" | "approved"))
            .map(|it| record::issuance::read(&it.record))
            .collect()
    }

    /// Keeps a credential once.
    pub fn hold(&mut self, text: String) {
        if !self.wallet.contains(&text) {
            self.wallet.push(text);
        }
    }

    /// Whether this wallet was answered with a credential: it trusts that issuer from then on.
    pub fn joined(&self, issuer: &Did) -> bool {
        self.asked.values().any(|it| it.issuer == *issuer && it.answered == Answered::Issued)
    }

    /// A request of ours that nobody answered yet.
    pub fn waits(&self) -> bool {
        self.asked.values().any(|it| it.answered == Answered::Open)
    }
}
