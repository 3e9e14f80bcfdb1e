//! What two parties agree on before lists are matched: a session, its digest, who is invited to what.
//!
//! ```text
//!   consumer ── PsiInvitation(session, lease request) ──► provider's gate: lease for the consumer
//!            ◄─ PsiAcceptance(lease, request to join) ───
//!   consumer's gate: lease for the provider
//!            ── PsiJoining(lease) ──────────────────────► both hold a lease: the first protocol byte may go
//! ```
//!
//! Both leases name the session's digest, so that neither is good for another session, other sizes or another protocol. Never
//! knows items, keys or results: those are the computing processes'.

pub mod asked;
pub mod many;
pub mod table;

use tidm_crypto::cbor::{Value, tuple};
use tidm_crypto::domain;
use tidm_crypto::hash::{Digest, sha256};

use crate::fault::Fault;
use crate::id::Id;
use crate::lease::message::{Grant, Request};
use crate::limits::MATCH_ECDH_ITEMS;
pub use asked::Asked;

/// How matches are computed. Names are part of the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// Against a curious peer, fastest.
    #[default]
    Fast,
    /// Against a curious peer, with the fewest bytes.
    LowCommunication,
    /// Against a peer that does anything.
    Malicious,
    /// Against a curious peer, by Diffie and Hellman: rows of small lists.
    Ecdh,
    /// Over a table that the provider made and signed before, by the digest of its index ([`table::Statement`]).
    Table(Digest),
}

impl Protocol {
    /// Those that need no table.
    pub const ALL: [Self; 4] = [Self::Fast, Self::LowCommunication, Self::Malicious, Self::Ecdh];

    pub fn name(self) -> &'static str {
        match self {
            Self::Fast => "rr22",
            Self::LowCommunication => "rr22-low",
            Self::Malicious => "rr22-malicious",
            Self::Ecdh => "ecdh",
            Self::Table(_) => table::PROTOCOL,
        }
    }

    /// The table that it is over.
    pub fn table(self) -> Option<Digest> {
        match self {
            Self::Table(digest) => Some(digest),
            Self::Fast | Self::LowCommunication | Self::Malicious | Self::Ecdh => None,
        }
    }

    /// Whether it is for lists of so many items, of either party.
    ///
    /// # Errors
    /// [`Fault::Refused`] `psi.protocol`.
    pub fn takes(self, items: u64) -> Result<(), Fault> {
        match self {
            Self::Ecdh if items > MATCH_ECDH_ITEMS => {
                let why = format!("ecdh is for lists of at most {MATCH_ECDH_ITEMS} items");
                Err(Fault::refused("psi.protocol", why))
            }
            Self::Ecdh | Self::Fast | Self::LowCommunication | Self::Malicious | Self::Table(_) => {
                Ok(())
            }
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.name() == name)
    }
}

/// What is agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Drawn by the consumer, never again.
    pub id: [u8; 32],
    pub contract: Id,
    pub protocol: Protocol,
    /// Items that the consumer puts in, as an upper bound.
    pub items: u64,
    pub asked: Asked,
}

impl Session {
    /// What both leases of the session name.
    pub fn digest(&self) -> Digest {
        let mut parts = vec![
            Value::Bytes(self.id.to_vec()),
            Value::Text(self.contract.to_string()),
            Value::Text(self.protocol.name().to_owned()),
            Value::Int(i64::try_from(self.items).unwrap_or(i64::MAX)),
        ];
        parts.extend(self.asked.digested());
        parts.extend(self.protocol.table().map(|it| Value::Bytes(it.as_bytes().to_vec())));
        sha256(&tuple(domain::JOB, parts))
    }
}

/// Consumer to provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    pub session: Session,
    /// Connections at a time that the consumer can serve.
    pub workers: u32,
    pub lease: Request,
}

impl Invitation {
    /// Whether the lease that is asked for is one for this session.
    pub fn fits(&self) -> bool {
        let (session, lease) = (&self.session, &self.lease);
        lease.contract == session.contract
            && lease.kind == crate::policy::usage::Use::Psi
            && lease.query == Some(session.digest())
            && lease.items == Some(session.items)
    }
}

/// The provider's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acceptance {
    pub lease: Grant,
    /// What the provider asks the consumer's gate for.
    pub join: Request,
    /// Items that the provider puts in, as an upper bound.
    pub items: u64,
    pub workers: u32,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::samples;

    #[test]
    fn digests_name_every_part() {
        let it = Session {
            id: [1; 32],
            contract: samples::id("urn:agreement:1"),
            protocol: Protocol::Fast,
            items: 7,
            asked: Asked::Rows,
        };
        let column = || "a".to_owned();
        let columns = |all: &[&str]| all.iter().map(|it| (*it).to_owned()).collect();
        let asked = |asked| Session { asked, ..it.clone() };
        let mut digests = std::collections::BTreeSet::from([it.digest().to_string()]);
        for other in [
            Session { id: [2; 32], ..it.clone() },
            Session { contract: samples::id("urn:agreement:2"), ..it.clone() },
            Session { protocol: Protocol::Malicious, ..it.clone() },
            Session { protocol: Protocol::Ecdh, ..it.clone() },
            Session { protocol: Protocol::Table(Digest([1; 32])), ..it.clone() },
            Session { protocol: Protocol::Table(Digest([2; 32])), ..it.clone() },
            Session { items: 8, ..it.clone() },
            asked(Asked::Size),
            asked(Asked::Sum { column: column(), decimals: 2 }),
            asked(Asked::Sum { column: column(), decimals: 3 }),
            asked(Asked::AtLeast(2)),
            asked(Asked::AtLeast(3)),
            asked(Asked::Labels { columns: columns(&["a"]), bytes: 2 }),
            asked(Asked::Labels { columns: columns(&["a", "b"]), bytes: 2 }),
            asked(Asked::Labels { columns: columns(&["ab"]), bytes: 2 }),
        ] {
            assert!(digests.insert(other.digest().to_string()), "{other:?}");
        }
        for protocol in Protocol::ALL {
            assert_eq!(Protocol::from_name(protocol.name()), Some(protocol));
        }
        assert_eq!(Protocol::from_name("kkrt"), None);
    }
}
