//! One lease, as the side that holds this copy knows it.
//!
//! Never moves by itself: only [`super::machine`] changes a [`Lease`].

use crate::id::Id;
use crate::identity::did::Did;
use crate::negotiation::message::{Role, Signature};
use crate::policy::usage::Level;
use crate::time::Time;

use super::charge::Reserved;
use super::message::{Outcome, Request};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    pub id: Id,
    /// Ours: provider = the gate granted it, consumer = we hold it.
    pub role: Role,
    pub peer: Did,
    pub request: Request,
    pub granted: Time,
    pub until: Time,
    /// Renewals so far, and when the last one was.
    pub renewals: u32,
    pub renewed: Option<Time>,
    /// Uses that remained after this one, where the contract counts.
    pub uses_left: Option<u64>,
    /// What remained of ε, in millionths, where answers have a price.
    pub epsilon_left: Option<u64>,
    /// What evidence proved at the grant, where terms ask for any; nothing in the consumer's copy.
    pub level: Option<Level>,
    /// What the gate charged ahead; nothing in the consumer's copy.
    pub reserved: Reserved,
    pub state: State,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    Granted,
    /// `receipt`: the holder's signature that it gave the lease back, where it gave one.
    Returned {
        at: Time,
        outcome: Outcome,
        receipt: Option<Signature>,
    },
    Expired {
        at: Time,
    },
    Revoked {
        at: Time,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    /// No lease yet.
    None,
    Granted,
    Returned,
    Expired,
    Revoked,
}

impl Name {
    pub const ALL: [Self; 5] =
        [Self::None, Self::Granted, Self::Returned, Self::Expired, Self::Revoked];

    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Granted => "granted",
            Self::Returned => "returned",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

impl State {
    pub fn name(&self) -> Name {
        match self {
            Self::Granted => Name::Granted,
            Self::Returned { .. } => Name::Returned,
            Self::Expired { .. } => Name::Expired,
            Self::Revoked { .. } => Name::Revoked,
        }
    }
}
