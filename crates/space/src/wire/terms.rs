//! The digest of what a policy says: the same on both sides of a wire, whatever envelope it travelled in.
//!
//! Never covers time, titles or unknown harmless properties: those are not terms, and foreign connectors
//! may drop them.

use tidm_crypto::hash::{Digest, sha256};
use tidm_crypto::jcs;

use crate::policy::model::Policy;

use super::odrl;

/// What of a policy its digest covers.
pub fn bare(policy: &Policy) -> Policy {
    Policy { timestamp: None, extra: vec![], verbatim: None, ..policy.clone() }
}

/// SHA-256 over RFC 8785 of the policy's terms, parties and target.
pub fn digest(policy: &Policy) -> Digest {
    // A policy's JSON holds strings, arrays and objects only, so that its canonical form always exists.
    sha256(&jcs::canonical(&odrl::to_json(&bare(policy))).unwrap_or_default())
}
