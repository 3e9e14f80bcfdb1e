//! What the engine knows about the node it decides for: identity, addresses, demands.
//!
//! Never holds a key: [`Signer`] signs for it.

use crate::contract::Contract;
use crate::identity::did::Did;
use crate::identity::member::Group;
use crate::lease::charge::Refunds;

/// Signs what we vouch for. Two implementations: the node's keys, the simulator's.
pub trait Signer: Sync {
    /// A compact JWS of `typ` over `payload` by our identity key.
    fn sign(&self, typ: &str, payload: &[u8]) -> String;
}

/// Knows of which legal entity a participant is. Two implementations: the node's member lists and the
/// memberships that were shown to it, the simulator's.
pub trait Groups: Sync {
    /// `None`: nothing that this node trusts says so.
    fn of(&self, participant: &Did) -> Option<Group>;
    /// All participants of whom [`Self::of`] says this.
    fn accounts(&self, entity: &Group) -> Vec<Did>;

    /// The legal entity of a contract's consumer, as the contract has it or else as it is known now.
    fn of_consumer(&self, contract: &Contract) -> Option<Group> {
        contract.group.clone().or_else(|| self.of(&contract.peer))
    }

    /// Whom the uses of that entity are on record for: the entity, and its accounts by themselves, as long as nobody had said
    /// whose they are.
    fn on_record(&self, contract: &Contract) -> Vec<Group> {
        let entity = self.of_consumer(contract).unwrap_or_else(|| Group::from(&contract.peer));
        let before = self.accounts(&entity);
        std::iter::once(entity).chain(before.iter().map(Group::from)).collect()
    }
}

#[derive(Clone, Copy)]
pub struct Node<'a> {
    pub me: &'a Did,
    /// Our DSP base, without a trailing slash: what peers get as `callbackAddress`.
    pub address: &'a str,
    pub signer: &'a dyn Signer,
    pub groups: &'a dyn Groups,
    /// House D14: a missing signature ends the negotiation.
    pub demands_signatures: bool,
    /// Whether we have demands on evidence, so that terms about a trusted environment can be kept here.
    pub attests: bool,
    /// Whether metered time comes back that a key was out for.
    pub refunds: Refunds,
}

#[cfg(test)]
impl Groups for std::collections::BTreeMap<Did, Group> {
    fn of(&self, participant: &Did) -> Option<Group> {
        self.get(participant).cloned()
    }

    fn accounts(&self, entity: &Group) -> Vec<Did> {
        self.iter().filter(|(_, of)| *of == entity).map(|(did, _)| did.clone()).collect()
    }
}
