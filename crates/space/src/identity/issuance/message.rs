//! What is said between holder and issuer (DCP §6.4 to §6.8).
//!
//! Never more than the message: who said it is known from its token.

use crate::identity::credential::Profile;
use crate::identity::did::Did;

/// A holder asks for credentials by the ids of the issuer's metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub holder_pid: String,
    pub wants: Vec<String>,
}

/// One credential on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    pub kind: String,
    pub profile: Profile,
    /// Compact JWS.
    pub payload: String,
}

/// The issuer's answer to the holder's wallet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    pub issuer_pid: String,
    pub holder_pid: String,
    pub outcome: Outcome,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Issued(Vec<Container>),
    Rejected(String),
}

/// Something that can be issued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    pub id: String,
    pub kind: Option<String>,
    pub schema: Option<String>,
    pub reason: Option<String>,
    pub bindings: Vec<String>,
    /// The alias, verbatim: others may offer what we do not speak.
    pub profile: Option<String>,
}

/// An issuer offers credentials; also what its metadata say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    pub issuer: Did,
    pub credentials: Vec<Object>,
}
