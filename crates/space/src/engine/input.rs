//! Everything that can happen to a node, as one closed list.
//!
//! Never raw bytes: messages are parsed and their senders authenticated before they get here.

use tidm_crypto::hash::Digest;
use tidm_crypto::sign::VerifyingKey;

use crate::catalog::product::Product;
use crate::contract::{Deletion, End};
use crate::dataflow::message as flowing;
use crate::evidence::fact::Closed;
use crate::id::Id;
use crate::identity::did::Did;
use crate::lease;
use crate::negotiation::message as said;
use crate::policy::model::Policy;
use crate::transfer::message as moved;

use crate::approval::Rules;
use crate::time::Time;

use super::commit::{Send, Timer};
use super::view::Needs;

#[derive(Clone, Debug)]
pub enum Input {
    Heard(Box<Received>),
    Delivered {
        send: Box<Send>,
        outcome: Outcome,
    },
    Due(Timer),
    Wish(Box<Wish>),
    /// We are the data plane: a registered control plane ordered this.
    Ordered(Box<FlowOrder>),
    /// We are the control plane: a registered data plane reports this.
    Reported(Box<FlowReport>),
}

/// What an authenticated control plane wants of a flow.
#[derive(Clone, Debug)]
pub struct FlowOrder {
    /// Its registration.
    pub from: Id,
    /// Where it hears us.
    pub address: String,
    /// `None`: it opens a flow.
    pub mine: Option<Id>,
    pub id: Option<Id>,
    /// With the two messages that open one.
    pub terms: Option<flowing::Terms>,
    pub body: flowing::Body,
    /// Get ready after answering, and report by a callback (DPS §Asynchronous Transitions).
    pub background: bool,
}

/// What an authenticated data plane says of a flow.
#[derive(Clone, Debug)]
pub struct FlowReport {
    /// Its registration.
    pub from: Id,
    /// The transfer.
    pub flow: Id,
    pub theirs: Option<Id>,
    pub body: flowing::Body,
}

/// A message of an authenticated peer.
#[derive(Clone, Debug)]
pub struct Received {
    pub from: Did,
    /// The key of `from` that signatures in this message are checked with.
    pub key: Option<VerifyingKey>,
    /// The message's `@id`.
    pub id: Option<Id>,
    /// SHA-256 of the body: the same id with another body is a forgery or a fault.
    pub digest: Digest,
    /// What we know of the asker beside it; asked for by leases and renewals alone.
    pub seen: lease::seen::Seen,
    pub what: Heard,
}

#[derive(Clone, Debug)]
pub enum Heard {
    Negotiation(Box<NegotiationSpoken>),
    Transfer(Box<TransferSpoken>),
    /// Our profile: a lease is asked for.
    Ask(Box<lease::message::Request>),
    /// The same by a program that is none of this family, at the key access service: it gets the bare key.
    Rewrap(Box<lease::message::Request>),
    /// Our profile: a lease that is held is to go on.
    Renew(lease::message::Renewal),
    /// The same with evidence that this node has appraised.
    Attested(Box<(lease::message::Request, lease::message::Proven)>),
    /// A renewal with new evidence that this node has appraised.
    RenewAttested(Box<(lease::message::Renewal, lease::message::Proven)>),
    Return {
        lease: Id,
        outcome: lease::message::Outcome,
        /// The holder's signature on it.
        receipt: Option<said::Signature>,
    },
    /// The peer's gate ended a lease that we did not return.
    LeaseEnded {
        contract: Id,
        lease: Id,
        how: Closed,
    },
    /// The peer ended a contract.
    Ended {
        contract: Id,
        why: End,
        reason: String,
    },
    /// The provider suspended a contract, with its reason, or resumed it.
    Standing {
        contract: Id,
        change: u32,
        reason: Option<String>,
    },
    /// The consumer's deletion receipt.
    Deleted {
        contract: Id,
        deletion: Deletion,
    },
}

impl Heard {
    /// The signature that such a message carries, if it does.
    pub fn signature(&self) -> Option<&str> {
        let it = match self {
            Self::Negotiation(spoken) => spoken.body.signature()?,
            Self::Deleted { deletion, .. } => &deletion.receipt,
            Self::Return { receipt, .. } => receipt.as_ref()?,
            Self::Transfer(_)
            | Self::Ask(_)
            | Self::Rewrap(_)
            | Self::Renew(_)
            | Self::Attested(_)
            | Self::RenewAttested(_)
            | Self::LeaseEnded { .. }
            | Self::Standing { .. }
            | Self::Ended { .. } => return None,
        };
        Some(&it.0)
    }
}

/// A DSP negotiation message with the pids it names. `mine` comes from the path it was posted to.
#[derive(Clone, Debug)]
pub struct NegotiationSpoken {
    /// `None`: it opens a negotiation.
    pub mine: Option<Id>,
    pub theirs: Option<Id>,
    pub callback: Option<String>,
    /// Which side we are in this negotiation.
    pub role: said::Role,
    pub body: said::Body,
}

#[derive(Clone, Debug)]
pub struct TransferSpoken {
    pub mine: Option<Id>,
    pub theirs: Option<Id>,
    pub callback: Option<String>,
    pub body: moved::Body,
}

/// What came of trying to deliver a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// 2xx. `pid` is the peer's own pid, if its answer named one.
    Accepted { pid: Option<Id> },
    /// 2xx of a data plane: what it says to be doing.
    Answered(Box<FlowAnswer>),
    /// 4xx: it will not take it. 404 is retried for a while ([`crate::limits::RETRY_NOT_FOUND`]).
    Refused { not_found: bool, code: Option<String>, reason: Vec<String> },
    /// No answer, 5xx, 429: try again later.
    Unreachable { reason: String },
}

/// What a data plane's answer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowAnswer {
    pub theirs: Option<Id>,
    pub state: crate::dataflow::state::Name,
    pub address: Option<moved::DataAddress>,
    pub error: Option<String>,
}

/// What a person or program of ours wants, and what our own jobs report.
#[derive(Clone, Debug)]
pub enum Wish {
    /// Consumer: ask for these terms.
    Request(Box<ContractWish>),
    /// Counter-offer, accept, approve, terminate.
    Say {
        negotiation: Id,
        body: SayWish,
    },
    /// Consumer: have the contract's data delivered.
    Fetch(Box<TransferWish>),
    SayTransfer {
        transfer: Id,
        body: moved::Body,
    },
    /// Provider's job: the data lies ready there.
    Provided {
        transfer: Id,
        /// Of a pull.
        address: Option<moved::DataAddress>,
        bytes: u64,
        content: Digest,
    },
    /// Consumer's job: the data arrived whole.
    Received {
        transfer: Id,
        bytes: u64,
        content: Digest,
    },
    /// Go on with what was suspended.
    ResumeTransfer {
        transfer: Id,
    },
    /// Provider's job: the data was pushed and taken whole.
    Pushed {
        transfer: Id,
        bytes: u64,
        content: Digest,
    },
    /// Consumer: what was pushed here is whole.
    Arrived {
        transfer: Id,
        bytes: u64,
        content: Digest,
    },
    /// A transfer's job: nothing to do, as the transfer stood then.
    TransferRests {
        transfer: Id,
        seen: Time,
    },
    /// Consumer: the peer's gate granted this.
    Hold(Box<HoldWish>),
    /// The peer's gate lets a use of ours go on until then.
    Renewed {
        lease: Id,
        number: u32,
        until: Time,
    },
    /// Consumer: let the provider join a matching, under the lease `ours` that it granted.
    Join {
        ours: Box<lease::state::Lease>,
        request: Box<lease::message::Request>,
    },
    /// Either side: what came of a lease that we hold or granted.
    Close {
        lease: Id,
        outcome: lease::message::Outcome,
    },
    /// Provider: what came of a lease that a program of the consumer used without its node.
    Used {
        lease: Id,
        outcome: lease::message::Outcome,
    },
    /// Provider: its person consents to uses under the contract.
    Consent {
        contract: Id,
    },
    EndContract {
        contract: Id,
        why: End,
        reason: String,
    },
    /// Provider: nothing may be used under it for a while.
    Suspend {
        contract: Id,
        reason: String,
    },
    Resume {
        contract: Id,
    },
    /// Provider: end it if it stands, and have every copy destroyed and accounted for.
    Recall {
        contract: Id,
        reason: String,
    },
    /// Provider's job: the contract's wrapping key and its sealed bytes are erased, and were looked for afterwards in vain.
    KeyDestroyed {
        contract: Id,
    },
    /// Consumer's job: ciphertext and caches are deleted, and were looked for afterwards in vain.
    Erased {
        contract: Id,
        files: Vec<Digest>,
    },
    Publish(Box<Product>),
    /// Provider's job: a table for matching was made of a product version, and signed.
    TablePrepared {
        product: Id,
        table: Digest,
        statement: Digest,
        entries: u64,
        bytes: u64,
    },
    /// Data plane's job: the flow is ready; a pull's address, or where a push is taken.
    FlowReady {
        flow: Id,
        address: Option<moved::DataAddress>,
    },
    /// Data plane's job: everything was transmitted.
    FlowDone {
        flow: Id,
        bytes: u64,
        content: Digest,
    },
    /// Data plane: these bytes arrived or left; the flow goes on.
    FlowMoved {
        flow: Id,
        bytes: u64,
        content: Digest,
    },
    /// Data plane's job: the provider renewed the tokens of the address that is pulled from.
    FlowRenewed {
        flow: Id,
        address: moved::DataAddress,
    },
    /// Data plane's job: nothing to do, as the flow stood then.
    FlowRests {
        flow: Id,
        seen: Time,
    },
    /// Data plane's job: it cannot go on.
    FlowFailed {
        flow: Id,
        reason: String,
    },
    /// A contract that was concluded elsewhere is kept here from now on.
    Adopt(Box<Adoption>),
    /// A job of ours failed: try again later.
    Postpone {
        timer: Timer,
        attempts: u32,
    },
}

#[derive(Clone, Debug)]
pub struct ContractWish {
    pub peer: Did,
    /// The peer's DSP base.
    pub address: String,
    pub product: Id,
    pub offer: Policy,
    /// What is answered by itself from then on.
    pub rules: Rules,
}

/// A contract that no negotiation of this node led to.
#[derive(Clone, Debug)]
pub struct Adoption {
    pub id: Id,
    /// Ours.
    pub role: said::Role,
    pub peer: Did,
    /// The peer's DSP base.
    pub address: String,
    pub product: Id,
    pub policy: Policy,
    pub signed_at: Time,
    pub rules: Rules,
}

/// What an operator may say in a negotiation.
#[derive(Clone, Debug)]
pub enum SayWish {
    /// A (counter-)offer: a request where we are the consumer.
    Propose(Box<Policy>),
    /// Consumer: accept the offer. Provider: agree to what is on the table.
    Approve,
    Terminate {
        reason: String,
    },
}

#[derive(Clone, Debug)]
pub struct TransferWish {
    /// Where it has to be known before: the address of a push names it.
    pub id: Option<Id>,
    pub contract: Id,
    /// The provider's DSP base, where it is not the one that the contract was made at.
    pub address: Option<String>,
    pub format: String,
    pub push_to: Option<moved::DataAddress>,
}

#[derive(Clone, Debug)]
pub struct HoldWish {
    pub request: lease::message::Request,
    pub grant: lease::message::Grant,
}

impl Wish {
    /// What the store must load before this wish can be decided.
    pub(super) fn needs(&self) -> Needs {
        let contract = |id: &Id| Needs { contract: Some(id.clone()), ..Needs::default() };
        match self {
            Self::Request(_) => Needs::default(),
            Self::Say { negotiation, .. } => Needs {
                negotiation: Some(negotiation.clone()),
                negotiation_product: true,
                ..Needs::default()
            },
            Self::Fetch(it) => {
                Needs { data_plane: Some(it.format.clone()), ..contract(&it.contract) }
            }
            Self::FlowReady { flow, .. }
            | Self::FlowDone { flow, .. }
            | Self::FlowMoved { flow, .. }
            | Self::FlowRenewed { flow, .. }
            | Self::FlowRests { flow, .. }
            | Self::FlowFailed { flow, .. } => super::dataflow::of(flow),
            Self::SayTransfer { transfer, .. }
            | Self::Provided { transfer, .. }
            | Self::Received { transfer, .. }
            | Self::ResumeTransfer { transfer }
            | Self::Pushed { transfer, .. }
            | Self::Arrived { transfer, .. }
            | Self::TransferRests { transfer, .. } => Needs {
                transfer: Some(transfer.clone()),
                transfer_contract: true,
                ..Needs::default()
            },
            Self::Hold(it) => {
                Needs { lease: Some(it.grant.lease.clone()), ..contract(&it.request.contract) }
            }
            Self::Join { request, .. } => Needs {
                lease_of: Some((request.contract.clone(), request.nonce)),
                ..contract(&request.contract)
            },
            Self::Close { lease, .. } | Self::Used { lease, .. } | Self::Renewed { lease, .. } => {
                Needs { lease: Some(lease.clone()), lease_contract: true, ..Needs::default() }
            }
            Self::EndContract { contract: id, .. }
            | Self::Consent { contract: id }
            | Self::Suspend { contract: id, .. }
            | Self::Recall { contract: id, .. } => {
                Needs { open_under: Some(id.clone()), ..contract(id) }
            }
            Self::Resume { contract: id } => {
                Needs { open_under: Some(id.clone()), spent: Some(id.clone()), ..contract(id) }
            }
            Self::KeyDestroyed { contract: id } | Self::Erased { contract: id, .. } => contract(id),
            Self::Publish(product) => Needs {
                product: Some(product.id.clone()),
                line: Some(product.line.clone()),
                ..Needs::default()
            },
            Self::TablePrepared { product, .. } => {
                Needs { product: Some(product.clone()), ..Needs::default() }
            }
            Self::Adopt(it) => Needs { product: Some(it.product.clone()), ..contract(&it.id) },
            Self::Postpone { .. } => Needs::default(),
        }
    }
}
