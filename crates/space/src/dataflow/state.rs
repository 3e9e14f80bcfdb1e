//! One data flow as one plane sees it.
//!
//! Never moves by itself: only [`super::machine`] changes a [`Flow`].

use crate::id::Id;
use crate::negotiation::message::Role;
use crate::time::Time;
use crate::transfer::message::DataAddress;

use super::message::{Direction, Kind, Message, Plane, Terms};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing was heard or answered yet.
    Initialized,
    Preparing,
    /// Push: where the consumer's data plane takes the data.
    Prepared {
        address: Option<DataAddress>,
    },
    /// Push: where the provider's data plane will send it.
    Starting {
        address: Option<DataAddress>,
    },
    /// Where the data goes to (push) or comes from (pull), as far as this plane was told.
    Started {
        address: Option<DataAddress>,
    },
    Suspended {
        reason: Option<String>,
        address: Option<DataAddress>,
    },
    Completed {
        by: Plane,
    },
    Terminated {
        by: Plane,
        reason: Option<String>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    Initialized,
    Preparing,
    Prepared,
    Starting,
    Started,
    Suspended,
    Completed,
    Terminated,
}

impl Name {
    pub const ALL: [Self; 8] = [
        Self::Initialized,
        Self::Preparing,
        Self::Prepared,
        Self::Starting,
        Self::Started,
        Self::Suspended,
        Self::Completed,
        Self::Terminated,
    ];

    /// By its [`token`](Self::token).
    pub fn from_token(token: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.token() == token)
    }

    /// As the protocol writes it.
    pub fn token(self) -> &'static str {
        match self {
            Self::Initialized => "INITIALIZED",
            Self::Preparing => "PREPARING",
            Self::Prepared => "PREPARED",
            Self::Starting => "STARTING",
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
            Self::Initialized => Name::Initialized,
            Self::Preparing => Name::Preparing,
            Self::Prepared { .. } => Name::Prepared,
            Self::Starting { .. } => Name::Starting,
            Self::Started { .. } => Name::Started,
            Self::Suspended { .. } => Name::Suspended,
            Self::Completed { .. } => Name::Completed,
            Self::Terminated { .. } => Name::Terminated,
        }
    }

    pub fn address(&self) -> Option<&DataAddress> {
        match self {
            Self::Prepared { address }
            | Self::Starting { address }
            | Self::Started { address }
            | Self::Suspended { address, .. } => address.as_ref(),
            Self::Initialized
            | Self::Preparing
            | Self::Completed { .. }
            | Self::Terminated { .. } => None,
        }
    }
}

/// One data flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Data plane: the id we gave. Control plane: the id of the transfer.
    pub id: Id,
    /// Which half we are.
    pub plane: Plane,
    /// Which side of the contract this flow is on.
    pub role: Role,
    /// The registration of the other half.
    pub partner: Id,
    /// Where the other half hears us, without a trailing slash.
    pub address: String,
    /// Control plane: the id that the data plane gave, once it did.
    pub theirs: Option<Id>,
    /// Data plane: the message that opened it; the same one again is answered again.
    pub opened_by: Id,
    pub terms: Terms,
    pub state: State,
    /// Control plane: said in this order, the first one is under way. Data plane: what it still has to report.
    pub owed: Vec<Message>,
    /// What the data plane reported as beyond repair.
    pub error: Option<String>,
    pub created: Time,
    pub moved: Time,
}

impl Flow {
    pub fn is_open(&self) -> bool {
        !self.state.name().is_terminal()
    }

    /// What is under way ends the flow, or says that it is over: it is repeated until it is answered, never given up. A
    /// data plane that was not told would go on.
    pub fn must_be_answered(&self) -> bool {
        self.owed
            .first()
            .is_some_and(|it| matches!(it.body.kind(), Kind::Terminate | Kind::Completed))
    }

    pub fn direction(&self) -> Option<Direction> {
        self.terms.profile.direction()
    }

    /// As paths of the data plane name this flow. One that gave no id is called by the process.
    pub fn named(&self) -> &Id {
        self.theirs.as_ref().unwrap_or(&self.terms.process)
    }
}
