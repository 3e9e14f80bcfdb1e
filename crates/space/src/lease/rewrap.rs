//! What a program outside of the node would have to fulfil to get a key, when the gate said no.
//!
//! Never decides: the gate did. Never tells more than the contract, which the asker signed.

use crate::contract::Contract;
use crate::fault::Fault;
use crate::lease::machine::Spent;

/// What would help.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obligation {
    /// State one of the purposes that the contract is for.
    Purpose(String),
    /// Open it with the node: the contract does not permit to hand the content on.
    Node,
    /// Agree on a new contract: this one is used up or over.
    Contract,
}

/// What the asker lacks; nothing where nothing is known to help.
pub fn obligations(
    contract: &Contract,
    spent: Spent,
    purpose: Option<&str>,
    no: &Fault,
) -> Vec<Obligation> {
    if !contract.is_active() {
        return vec![Obligation::Contract];
    }
    let Fault::Denied { code, .. } = no else { return Vec::new() };
    if *code == "policy.export" {
        return vec![Obligation::Node];
    }
    let Ok(terms) = contract.terms() else { return Vec::new() };
    if terms.summary.uses.is_some_and(|most| spent.uses >= most) {
        return vec![Obligation::Contract];
    }
    let purposes = terms.summary.purposes.unwrap_or_default();
    if purposes.iter().any(|it| Some(it.as_str()) == purpose) {
        return Vec::new();
    }
    purposes.into_iter().map(Obligation::Purpose).collect()
}
