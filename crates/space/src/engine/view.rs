//! What a decision needs from the store, and what the store found.
//!
//! Never a handle to a store: plain values, loaded in the transaction that saves the decision.

use crate::catalog::product::Product;
use crate::contract::Contract;
use crate::dataflow::registration::Registration;
use crate::dataflow::state::Flow;
use crate::id::Id;
use crate::identity::did::Did;
use crate::identity::member::Group;
use crate::lease::machine::Spent;
use crate::lease::message::Nonce;
use crate::lease::state::Lease;
use crate::negotiation::state::Negotiation;
use crate::policy::counted::Newest;
use crate::time::Time;
use crate::transfer::state::Transfer;

use super::commit::Seen;
use super::refusal::Tally;

/// What to load. Everything is by primary key or by a unique index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    pub message: Option<(Did, Id)>,
    pub negotiation: Option<Id>,
    /// Also the product of the negotiation that is loaded.
    pub negotiation_product: bool,
    /// The negotiation that this peer calls by this pid: finds the one that a repeated opening made.
    pub negotiation_of: Option<(Did, Id)>,
    /// How many negotiations are open with this peer.
    pub open_with: Option<Did>,
    pub transfer: Option<Id>,
    pub transfer_of: Option<(Did, Id)>,
    pub contract: Option<Id>,
    /// Also the contract of the transfer that is loaded.
    pub transfer_contract: bool,
    pub product: Option<Id>,
    /// The newest version of this line.
    pub line: Option<Id>,
    pub lease: Option<Id>,
    /// Also the contract of the lease that is loaded, what was debited, and its open leases; of a lease in a matching also
    /// those that we hold.
    pub lease_contract: bool,
    pub lease_of: Option<(Id, Nonce)>,
    /// What was debited under this contract.
    pub spent: Option<Id>,
    /// The leases of this contract that are still granted, and its open transfers.
    pub open_under: Option<Id>,
    /// What was refused under the contract that is loaded, since it was told last.
    pub refusals: bool,
    /// Of the same, whether it was told that this lease ended and was never held.
    pub missed: Option<Id>,
    /// A data flow; if it is that of a transfer of ours, also the transfer and its contract. The flow of each
    /// transfer that is loaded comes without asking.
    pub flow: Option<Id>,
    /// The flow that this control plane opened for this process of its.
    pub flow_of: Option<(Id, Id)>,
    /// How many flows are open for this control plane.
    pub flows_with: Option<Id>,
    /// A registered data plane that runs this profile, the first by its id.
    pub data_plane: Option<String>,
}

/// What only some contracts' terms ask for, seen when the first rows are there. Loaded in the same transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct More {
    /// When the newest uses under this contract began.
    pub starts: Option<(Id, Newest)>,
    pub product: Option<Id>,
    /// What a legal entity was debited for the line of this product, under all contracts that this node provides: those on record
    /// for any of these.
    pub group: Option<(Vec<Group>, Id)>,
    /// When the newest of its uses of that line began.
    pub group_starts: Option<(Vec<Group>, Id, Newest)>,
    /// Contracts that a product is made under; few.
    pub sources: Vec<Id>,
}

impl More {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Needs {
    pub(super) fn with_message(mut self, from: &Did, id: Option<&Id>) -> Self {
        self.message = id.map(|id| (from.clone(), id.clone()));
        self
    }
}

/// What was found; absent means there is none.
#[derive(Clone, Debug, Default)]
pub struct View {
    pub seen: Option<Seen>,
    pub negotiation: Option<Negotiation>,
    pub open_negotiations: u32,
    pub transfer: Option<Transfer>,
    pub contract: Option<Contract>,
    /// Those of [`More::sources`] that there are.
    pub sources: Vec<Contract>,
    pub product: Option<Product>,
    pub newest: Option<Product>,
    pub lease: Option<Lease>,
    pub spent: Spent,
    pub starts: Option<Vec<Time>>,
    pub group: Option<Spent>,
    pub group_starts: Option<Vec<Time>>,
    pub open_leases: Vec<Lease>,
    pub refusals: Vec<Tally>,
    pub open_transfers: Vec<Transfer>,
    pub flows: Vec<Flow>,
    pub open_flows: u32,
    pub data_plane: Option<Registration>,
}
