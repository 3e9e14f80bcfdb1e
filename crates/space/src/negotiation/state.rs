//! One side of one negotiation, and what it holds in each state.
//!
//! Never moves by itself: only [`super::machine`] changes a [`Negotiation`].

use crate::approval::Rules;
use crate::id::Id;
use crate::identity::did::Did;
use crate::policy::model::Policy;
use crate::time::Time;

use super::message::{Agreement, Message, Role, Signature};

/// The states of DSP §7.2, each with what it owns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing acknowledged yet; exists only while our first message is under way.
    Initial,
    Requested {
        offer: Policy,
    },
    Offered {
        offer: Policy,
    },
    Accepted {
        offer: Policy,
    },
    Agreed {
        agreement: Agreement,
    },
    Verified {
        agreement: Agreement,
        consumer_signature: Option<Signature>,
    },
    Finalized {
        agreement: Agreement,
        consumer_signature: Option<Signature>,
    },
    Terminated {
        by: Role,
        code: Option<String>,
        reason: Vec<String>,
    },
}

/// A state without its data: what the transition table and the wire speak of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    Initial,
    Requested,
    Offered,
    Accepted,
    Agreed,
    Verified,
    Finalized,
    Terminated,
}

impl Name {
    pub const ALL: [Self; 8] = [
        Self::Initial,
        Self::Requested,
        Self::Offered,
        Self::Accepted,
        Self::Agreed,
        Self::Verified,
        Self::Finalized,
        Self::Terminated,
    ];

    /// By its [`token`](Self::token).
    pub fn from_token(token: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.token() == token)
    }

    /// As DSP writes it.
    pub fn token(self) -> &'static str {
        match self {
            Self::Initial => "INITIAL",
            Self::Requested => "REQUESTED",
            Self::Offered => "OFFERED",
            Self::Accepted => "ACCEPTED",
            Self::Agreed => "AGREED",
            Self::Verified => "VERIFIED",
            Self::Finalized => "FINALIZED",
            Self::Terminated => "TERMINATED",
        }
    }

    /// "Terminal states are final."
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Finalized | Self::Terminated)
    }
}

impl State {
    pub fn name(&self) -> Name {
        match self {
            Self::Initial => Name::Initial,
            Self::Requested { .. } => Name::Requested,
            Self::Offered { .. } => Name::Offered,
            Self::Accepted { .. } => Name::Accepted,
            Self::Agreed { .. } => Name::Agreed,
            Self::Verified { .. } => Name::Verified,
            Self::Finalized { .. } => Name::Finalized,
            Self::Terminated { .. } => Name::Terminated,
        }
    }

    /// The terms on the table, where there are any.
    pub fn offer(&self) -> Option<&Policy> {
        match self {
            Self::Requested { offer } | Self::Offered { offer } | Self::Accepted { offer } => {
                Some(offer)
            }
            Self::Agreed { agreement }
            | Self::Verified { agreement, .. }
            | Self::Finalized { agreement, .. } => Some(&agreement.policy),
            Self::Initial | Self::Terminated { .. } => None,
        }
    }

    pub fn agreement(&self) -> Option<&Agreement> {
        match self {
            Self::Agreed { agreement }
            | Self::Verified { agreement, .. }
            | Self::Finalized { agreement, .. } => Some(agreement),
            Self::Initial
            | Self::Requested { .. }
            | Self::Offered { .. }
            | Self::Accepted { .. }
            | Self::Terminated { .. } => None,
        }
    }
}

/// One side of one negotiation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Negotiation {
    /// Our pid.
    pub id: Id,
    pub role: Role,
    pub peer: Did,
    /// The peer's pid, known from its first message or answer.
    pub peer_pid: Option<Id>,
    /// Where the peer hears us: its DSP base or its callback address, without a trailing slash.
    pub address: String,
    /// The dataset (product version) that is negotiated.
    pub product: Id,
    pub state: State,
    /// Said, not yet acknowledged. Invariant: `next(state, role, pending)` is legal.
    pub pending: Option<Message>,
    /// Offers and counter-offers so far.
    pub rounds: u32,
    /// Waits for a person of ours to approve.
    pub awaits_approval: bool,
    /// The terms that we said last, so that a person sees what the peer changed in them.
    pub proposed: Option<Policy>,
    /// What this node answers by itself; copied from the offer or the wish that began it.
    pub rules: Rules,
    pub created: Time,
    pub moved: Time,
}

impl Negotiation {
    /// (providerPid, consumerPid) as messages carry them; the peer's may not be known yet.
    pub fn pids(&self) -> (Option<&Id>, Option<&Id>) {
        match self.role {
            Role::Provider => (Some(&self.id), self.peer_pid.as_ref()),
            Role::Consumer => (self.peer_pid.as_ref(), Some(&self.id)),
        }
    }

    /// What we said last may have concluded it at the peer: it is repeated until it is answered, never given up.
    pub fn must_be_answered(&self) -> bool {
        self.pending.as_ref().is_some_and(|it| it.body.kind() == super::message::Kind::Finalize)
    }

    pub fn is_open(&self) -> bool {
        !self.state.name().is_terminal()
    }
}
