//! One side of one transfer, and what it holds in each state.
//!
//! Never moves by itself: only [`super::machine`] changes a [`Transfer`].

use crate::id::Id;
use crate::identity::did::Did;
use crate::negotiation::message::Role;
use crate::time::Time;

use super::message::{DataAddress, Message};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing acknowledged yet; exists only while our first message is under way.
    Initial,
    Requested,
    Started {
        address: Option<DataAddress>,
    },
    Suspended {
        by: Role,
        reason: Vec<String>,
    },
    Completed {
        by: Role,
    },
    Terminated {
        by: Role,
        code: Option<String>,
        reason: Vec<String>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    Initial,
    Requested,
    Started,
    Suspended,
    Completed,
    Terminated,
}

impl Name {
    pub const ALL: [Self; 6] = [
        Self::Initial,
        Self::Requested,
        Self::Started,
        Self::Suspended,
        Self::Completed,
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
            Self::Started => "STARTED",
            Self::Suspended => "SUSPENDED",
            Self::Completed => "COMPLETED",
            Self::Terminated => "TERMINATED",
        }
    }

    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Terminated)
    }
}

impl State {
    pub fn name(&self) -> Name {
        match self {
            Self::Initial => Name::Initial,
            Self::Requested => Name::Requested,
            Self::Started { .. } => Name::Started,
            Self::Suspended { .. } => Name::Suspended,
            Self::Completed { .. } => Name::Completed,
            Self::Terminated { .. } => Name::Terminated,
        }
    }
}

/// One side of one transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// Our pid.
    pub id: Id,
    pub role: Role,
    pub peer: Did,
    pub peer_pid: Option<Id>,
    /// Where the peer hears us, without a trailing slash.
    pub address: String,
    pub contract: Id,
    pub format: String,
    /// Where the consumer wants a push to go.
    pub push_to: Option<DataAddress>,
    pub state: State,
    /// Said, not yet acknowledged. Invariant: `next(state, role, pending)` is legal.
    pub pending: Option<Message>,
    /// How often it was started, the first time and after each suspension.
    pub starts: u32,
    pub created: Time,
    pub moved: Time,
}

impl Transfer {
    /// (providerPid, consumerPid) as messages carry them; the peer's may not be known yet.
    pub fn pids(&self) -> (Option<&Id>, Option<&Id>) {
        match self.role {
            Role::Provider => (Some(&self.id), self.peer_pid.as_ref()),
            Role::Consumer => (self.peer_pid.as_ref(), Some(&self.id)),
        }
    }

    /// What we said last may have ended it at the peer: it is repeated until it is answered, never given up.
    pub fn must_be_answered(&self) -> bool {
        self.pending.as_ref().is_some_and(|it| super::machine::rank(it.body.kind()) > 0)
    }

    pub fn is_open(&self) -> bool {
        !self.state.name().is_terminal()
    }
}
