//! Verifiable credentials: what an issuer says about a holder (W3C VC Data Model 1.1 and 2.0, as JWT).
//!
//! Never believed by itself: a [`Credential`] is what a JWT claims. Signatures, times, holder, status and
//! schema are checked in [`super::presentation::verify`], which hands out
//! [`Verified`](super::presentation::verify::Verified).

pub mod list;
pub mod schema;

use serde_json::{Map, Value as Json};

use crate::identity::did::Did;
use crate::time::Time;

/// The type of the credential that makes somebody a member of a space.
pub const MEMBERSHIP: &str = "MembershipCredential";
/// Claim of a membership credential's subject: the space's id.
pub const SPACE: &str = "memberOf";
/// Claim of a membership credential's subject: the member's roles.
pub const ROLES: &str = "roles";
/// Claim of a membership credential's subject: the member's region, a code of ISO 3166 (`CN`, `CN-32`).
pub const COUNTRY: &str = "country";
/// Claim of a membership credential's subject: the legal entity's unified social credit code (GB 32100).
pub const CREDIT_CODE: &str = "creditCode";

/// DCP's two profiles (DCP §7.1): data model, status list and proof go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Profile {
    Vc11,
    Vc20,
}

impl Profile {
    pub const ALL: [Self; 2] = [Self::Vc11, Self::Vc20];

    pub fn alias(self) -> &'static str {
        match self {
            Self::Vc11 => "vc11-sl2021/jwt",
            Self::Vc20 => "vc20-bssl/jwt",
        }
    }

    pub fn from_alias(alias: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.alias() == alias)
    }
}

/// One credential as its JWT states it.
#[derive(Clone, Debug, PartialEq)]
pub struct Credential {
    pub profile: Profile,
    pub id: Option<String>,
    pub kinds: Vec<String>,
    pub issuer: Did,
    pub subjects: Vec<Subject>,
    /// The latest of all beginnings that it states.
    pub from: Option<Time>,
    /// The earliest of all ends that it states.
    pub until: Option<Time>,
    pub statuses: Vec<Status>,
    /// Addresses of JSON schemas for the subject.
    pub schemas: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Subject {
    /// Whom the claims are about.
    pub id: Option<String>,
    /// The whole subject with its `id`, as the schema sees it.
    pub claims: Map<String, Json>,
}

/// Where it says whether it was revoked (Bitstring Status List §2.1, Status List 2021 §4.1).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Status {
    /// Address of the status list credential.
    pub list: String,
    pub index: u64,
    pub purpose: Purpose,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    Revocation,
    Suspension,
}

impl Purpose {
    pub fn word(self) -> &'static str {
        match self {
            Self::Revocation => "revocation",
            Self::Suspension => "suspension",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Revocation, Self::Suspension].into_iter().find(|it| it.word() == word)
    }
}

impl Credential {
    pub fn is_a(&self, kind: &str) -> bool {
        self.kinds.iter().any(|it| it == kind)
    }

    /// A text claim of the first subject.
    pub fn claim(&self, name: &str) -> Option<&str> {
        self.subjects.first()?.claims.get(name)?.as_str()
    }

    /// Whether it holds at `now`, by its own dates.
    pub fn is_current(&self, now: Time) -> bool {
        self.from.is_none_or(|from| from <= now.after(crate::limits::CLOCK_SKEW))
            && self.until.is_none_or(|until| now < until)
    }
}
