//! One side of one transfer, and what it holds in each state.
//!
//! Never moves by itself: only [`super::machine`] changes a [`Transfer`].

use crate::catalog::delivery::Delivery;
use crate::id::Id;
use crate::identity::did::Did;
use crate::negotiation::message::Role;
use crate::time::Time;

use super::message::{DataAddress, Kind, Message};

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
        /// Where the data was: a start that names no other goes on there.
        address: Option<DataAddress>,
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

    /// What is delivered and by whom the bytes are moved, where the format is one of ours.
    pub fn delivery(&self) -> Option<Delivery> {
        Delivery::of(&self.format, self.push_to.as_ref())
    }

    /// Whether bytes may move now. What we said stops them at once, it does not wait for the answer; and a peer acts
    /// on our start as soon as it hears it, before its answer is here.
    pub fn delivers(&self) -> bool {
        let said = self.pending.as_ref().map(|it| it.body.kind());
        match (self.state.name(), said) {
            (_, Some(Kind::Suspend | Kind::Complete | Kind::Terminate)) => false,
            (Name::Started, _) | (Name::Requested | Name::Suspended, Some(Kind::Start)) => true,
            (_, _) => false,
        }
    }

    /// Consumer: whether pushed bytes are taken. A provider may begin before its start message, or the answer to our
    /// request, is here.
    pub fn takes(&self) -> bool {
        let early = match (self.state.name(), self.pending.as_ref().map(|it| it.body.kind())) {
            (Name::Initial, Some(Kind::Request)) | (Name::Requested, None) => true,
            (_, _) => false,
        };
        self.role == Role::Consumer && (early || self.delivers())
    }
}
