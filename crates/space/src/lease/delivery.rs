//! Deliveries: what leaves without a lease of its own is held against the terms all the same, at the moment it leaves.
//!
//! Never counts: what only a gate counts is not granted for plain delivery at all. A purpose is a promise there (E0), for
//! nothing says one.

use crate::contract::Contract;
use crate::fault::Fault;
use crate::id::Id;
use crate::policy::eval::{Request as Asked, evaluate};
use crate::policy::facts::Facts;
use crate::policy::terms::Terms;
use crate::policy::usage::Use;
use crate::time::Time;

/// The contract's terms, if they let its data leave in this kind of use now.
///
/// # Errors
/// [`Fault::Denied`] `transfer.kind` where they do not grant or cannot keep it, or what [`evaluate`] says of plain bytes.
pub fn deliverable(contract: &Contract, kind: Use, now: Time) -> Result<Terms, Fault> {
    let denied = |why: &str| Fault::denied("transfer.kind", "contract", why);
    let terms = contract.terms()?;
    if !terms.summary.allows(kind) {
        return Err(denied(&format!("the contract does not grant {}", kind.name())));
    }
    if let Some(why) = terms.unkeepable(kind).first() {
        return Err(denied(why));
    }
    terms.check_not_gone(contract.first_use, now)?;
    if kind == Use::Plain {
        let purpose = terms.summary.purposes.as_ref().and_then(|all| all.first()).cloned();
        // Whom the terms name is the peer, as was checked when they were signed; other programs have names of their own.
        let party = terms.assignee.as_ref().map_or(contract.peer.as_str(), Id::as_str);
        let deeds = terms.consent(contract.consented.is_some());
        let asked = Asked {
            purpose: purpose.as_deref(),
            first_use_at: contract.first_use,
            agreed_at: Some(contract.signed_at),
            more: Facts { deeds: &deeds, ..Facts::default() },
            ..Asked::new(now, kind, party)
        };
        evaluate(&terms, &asked).permitted()?;
    }
    Ok(terms)
}
