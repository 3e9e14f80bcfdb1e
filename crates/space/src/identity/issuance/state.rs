//! Where one credential request stands at the issuer.
//!
//! Never an optional field: each state owns what it needs.

use crate::identity::did::Did;
use crate::identity::issuance::message::Container;
use crate::time::Time;

/// One request of one holder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuance {
    /// `issuerPid`.
    pub id: String,
    pub issuer: Did,
    pub holder: Did,
    pub holder_pid: String,
    /// Ids of the issuer's metadata.
    pub wants: Vec<String>,
    /// The holder's `token` claim, shown to its wallet when we deliver (DCP §6.4).
    pub access: Option<String>,
    pub created: Time,
    pub moved: Time,
    pub state: State,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Nobody decided yet.
    Received,
    /// Signed; the wallet has not taken it yet.
    Approved { credentials: Vec<Container>, tries: u32 },
    /// The wallet took it.
    Issued,
    /// Refused; the wallet has not been told yet.
    Refused { reason: String, tries: u32 },
    /// Refused, and the wallet was told or could not be.
    Rejected { reason: String },
    /// The wallet did not take it in time.
    Undelivered,
}

/// The states' names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    Received,
    Approved,
    Issued,
    Refused,
    Rejected,
    Undelivered,
}

impl Name {
    pub const ALL: [Self; 6] = [
        Self::Received,
        Self::Approved,
        Self::Issued,
        Self::Refused,
        Self::Rejected,
        Self::Undelivered,
    ];

    pub fn word(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Approved => "approved",
            Self::Issued => "issued",
            Self::Refused => "refused",
            Self::Rejected => "rejected",
            Self::Undelivered => "undelivered",
        }
    }

    /// As the holder sees it.
    pub fn shown(self) -> Word {
        match self {
            Self::Received | Self::Approved => Word::Received,
            Self::Issued => Word::Issued,
            Self::Refused | Self::Rejected | Self::Undelivered => Word::Rejected,
        }
    }
}

impl State {
    pub fn name(&self) -> Name {
        match self {
            Self::Received => Name::Received,
            Self::Approved { .. } => Name::Approved,
            Self::Issued => Name::Issued,
            Self::Refused { .. } => Name::Refused,
            Self::Rejected { .. } => Name::Rejected,
            Self::Undelivered => Name::Undelivered,
        }
    }
}

/// What DCP's status message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    Received,
    Rejected,
    Issued,
}

impl Word {
    pub const ALL: [Self; 3] = [Self::Received, Self::Rejected, Self::Issued];

    pub fn word(self) -> &'static str {
        match self {
            Self::Received => "RECEIVED",
            Self::Rejected => "REJECTED",
            Self::Issued => "ISSUED",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.word() == word)
    }
}
