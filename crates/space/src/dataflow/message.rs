//! What the two planes say to each other.
//!
//! Never bytes: [`crate::wire::dps`] parses and writes them. Addresses hold tokens: their `Debug` hides them.

use crate::id::Id;
use crate::transfer::message::DataAddress;

/// One of the two halves of a connector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plane {
    Control,
    Data,
}

impl Plane {
    pub const ALL: [Self; 2] = [Self::Control, Self::Data];

    pub fn word(self) -> &'static str {
        match self {
            Self::Control => "control",
            Self::Data => "data",
        }
    }

    /// By its [`word`](Self::word).
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.word() == word)
    }

    pub fn other(self) -> Self {
        match self {
            Self::Control => Self::Data,
            Self::Data => Self::Control,
        }
    }
}

/// What a flow is about, as its first message says (`DataFlowBaseMessage`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Whom the control plane acts for, and the other party of the contract.
    pub participant: Id,
    pub counterparty: Id,
    pub context: String,
    /// The transfer process, as the control plane calls it.
    pub process: Id,
    pub agreement: Id,
    pub dataset: Id,
    pub profile: Profile,
}

/// A transfer profile; its ending says which way the data goes (DPS §Transfer Profile Requirements).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile(String);

impl Profile {
    pub const HTTP_PULL: &str = "https://w3id.org/dspace-sig/profile/http-pull";
    pub const HTTP_PUSH: &str = "https://w3id.org/dspace-sig/profile/http-push";

    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `None`: its name does not tell.
    pub fn direction(&self) -> Option<Direction> {
        let ends = |end: &str| {
            let at = self.0.len().checked_sub(end.len());
            at.and_then(|at| self.0.get(at..)).is_some_and(|it| it.eq_ignore_ascii_case(end))
        };
        match (ends("-pull"), ends("-push")) {
            (true, _) => Some(Direction::Pull),
            (_, true) => Some(Direction::Push),
            (false, false) => None,
        }
    }

    /// The published HTTP profile, whose addresses are checked to the letter.
    pub fn is_published(&self) -> bool {
        self.0 == Self::HTTP_PULL || self.0 == Self::HTTP_PUSH
    }
}

/// Who opens the connection: the one who wants the data, or the one who has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Pull,
    Push,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub id: Option<Id>,
    pub body: Body,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// C, consumer: get ready; a push gets its address in the answer.
    Prepare,
    /// D: ready.
    Prepared {
        address: Option<DataAddress>,
    },
    /// C, provider: begin; a push has its address here, a pull gets one in the answer.
    Start {
        address: Option<DataAddress>,
    },
    /// C, consumer: the other side began. D: we began.
    Started {
        address: Option<DataAddress>,
    },
    Suspend {
        reason: Option<String>,
    },
    Resume {
        address: Option<DataAddress>,
    },
    Terminate {
        reason: Option<String>,
    },
    /// C or D: everything was transmitted.
    Completed,
    /// D: it will not go on by itself. Changes no state.
    Errored {
        reason: String,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Prepare,
    Prepared,
    Start,
    Started,
    Suspend,
    Resume,
    Terminate,
    Completed,
    Errored,
}

impl Kind {
    pub const ALL: [Self; 9] = [
        Self::Prepare,
        Self::Prepared,
        Self::Start,
        Self::Started,
        Self::Suspend,
        Self::Resume,
        Self::Terminate,
        Self::Completed,
        Self::Errored,
    ];

    /// As paths name it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Prepare => "prepare",
            Self::Prepared => "prepared",
            Self::Start => "start",
            Self::Started => "started",
            Self::Suspend => "suspend",
            Self::Resume => "resume",
            Self::Terminate => "terminate",
            Self::Completed => "completed",
            Self::Errored => "errored",
        }
    }

    /// By its [`word`](Self::word).
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.word() == word)
    }
}

impl Body {
    pub fn kind(&self) -> Kind {
        match self {
            Self::Prepare => Kind::Prepare,
            Self::Prepared { .. } => Kind::Prepared,
            Self::Start { .. } => Kind::Start,
            Self::Started { .. } => Kind::Started,
            Self::Suspend { .. } => Kind::Suspend,
            Self::Resume { .. } => Kind::Resume,
            Self::Terminate { .. } => Kind::Terminate,
            Self::Completed => Kind::Completed,
            Self::Errored { .. } => Kind::Errored,
        }
    }

    /// The address it carries.
    pub fn address(&self) -> Option<&DataAddress> {
        match self {
            Self::Prepared { address }
            | Self::Start { address }
            | Self::Started { address }
            | Self::Resume { address } => address.as_ref(),
            Self::Prepare
            | Self::Suspend { .. }
            | Self::Terminate { .. }
            | Self::Completed
            | Self::Errored { .. } => None,
        }
    }
}
