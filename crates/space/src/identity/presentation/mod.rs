//! Presentations: a holder shows credentials to one verifier (DCP §5).
//!
//! ```text
//!  caller ── self-issued token {token: access} ──► verifier
//!  holder's wallet ◄── self-issued token {token: access} + query(scopes) ── verifier
//!  holder's wallet ── presentation (signed by the holder, for this verifier) ──► verifier
//! ```
//!
//! Never talks: the shell asks the wallet, [`verify`] says what the answer proves.

pub mod access;
pub mod remember;
pub mod scope;
pub mod verify;

use crate::id::Id;
use crate::identity::credential::Profile;
use crate::identity::did::Did;
use crate::time::Time;

/// What a presentation claims; proven by [`verify`] only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presentation {
    pub profile: Profile,
    pub id: Option<Id>,
    pub holder: Did,
    pub audience: Vec<String>,
    pub from: Option<Time>,
    pub until: Option<Time>,
    /// Compact JWS each.
    pub credentials: Vec<String>,
}
