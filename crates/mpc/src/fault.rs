//! What went wrong, sorted by whose fault it is. Never holds a peer's bytes, an item or a secret.

use crate::step::Step;

/// One fault. [`Fault::code`] is stable and short; the text is for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The peer broke the protocol. In the malicious variant this is also what a caught cheat looks like.
    #[error("the peer broke the protocol at step {step}: {what}")]
    PeerMisbehaved { step: Step, what: &'static str },
    /// The peer runs another protocol, another version, or agreed to other sizes.
    #[error("the peer does not run what was agreed: {what}")]
    PeerIncompatible { what: &'static str },
    /// The peer said that it gives up, for a reason of its own that it keeps to itself.
    #[error("the peer gave up")]
    PeerStopped,
    /// The connection ended. A new session may be tried.
    #[error("the connection was lost at step {step}: {reason}")]
    Lost { step: Step, reason: String },
    /// The caller stopped the session.
    #[error("the session was stopped")]
    Cancelled,
    /// More than this build carries in one session.
    #[error("{what}: {count} are more than {most}")]
    TooMany { what: &'static str, count: u64, most: u64 },
    /// A set has items more than once.
    #[error(
        "{count} items of the set repeat earlier ones: remove them, or say that the first of equals counts"
    )]
    Duplicates { count: u64 },
    /// The space for parts of large sets failed, or gave back other bytes than it was given.
    #[error("the spill space failed: {reason}")]
    Spill { reason: String },
    /// An event of probability below 2^-40. Running again with a new seed helps.
    #[error("step {step} failed by chance (below 2^-40): run again with a new seed")]
    Unlucky { step: Step },
    /// Our own code called wrongly. Never caused by outside data.
    #[error("misuse: {0}")]
    ApiMisuse(&'static str),
}

impl Fault {
    /// The stable code, for logs, metrics and problem documents.
    pub fn code(&self) -> &'static str {
        match self {
            Self::PeerMisbehaved { .. } => "mpc.peer-misbehaved",
            Self::PeerIncompatible { .. } => "mpc.peer-incompatible",
            Self::PeerStopped => "mpc.peer-stopped",
            Self::Lost { .. } => "mpc.connection-lost",
            Self::Cancelled => "mpc.cancelled",
            Self::TooMany { .. } => "mpc.too-many",
            Self::Duplicates { .. } => "mpc.duplicate-items",
            Self::Spill { .. } => "mpc.spill-failed",
            Self::Unlucky { .. } => "mpc.unlucky",
            Self::ApiMisuse(_) => "mpc.misuse",
        }
    }

    pub(crate) fn misbehaved(step: Step, what: &'static str) -> Self {
        Self::PeerMisbehaved { step, what }
    }
}
