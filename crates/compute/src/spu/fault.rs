//! What went wrong with a peer that runs spu, and at which step. Never holds a key, a peer's bytes or a secret.

use std::fmt;

/// Where a session stands. The names are for people: they stand in faults and progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Connect,
    /// Not of the sequence: what carries its messages.
    Link,
    Settings,
    Reading,
    Repeats,
    Digest,
    Ready,
    Curve,
    OwnItems,
    PeerItems,
    Answers,
    Exchange,
    Matching,
    Writing,
    Sizes,
    Close,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "connect",
            Self::Link => "carry messages",
            Self::Settings => "compare settings",
            Self::Reading => "read the lists",
            Self::Repeats => "say whether keys repeat",
            Self::Digest => "exchange digests",
            Self::Ready => "wait for each other",
            Self::Curve => "compare curve and receiver",
            Self::OwnItems => "send our masked items",
            Self::PeerItems => "mask the peer's items",
            Self::Answers => "receive our items masked twice",
            Self::Exchange => "exchange items",
            Self::Matching => "match",
            Self::Writing => "write results",
            Self::Sizes => "exchange sizes",
            Self::Close => "close the connection",
        })
    }
}

/// One fault, by whose fault it is. [`Fault::code`] is stable and short; the text is for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("the peer broke the protocol at step \"{step}\": {what}")]
    PeerMisbehaved { step: Step, what: &'static str },
    /// The peer runs other settings; the text says which and what to set.
    #[error("the peer is set up differently: {what}")]
    PeerIncompatible { what: &'static str },
    #[error("no peer within {seconds} s at step \"{step}\": is it started, and does it reach us?")]
    Unreachable { step: Step, seconds: u64 },
    #[error("the peer was silent for {seconds} s at step \"{step}\"")]
    Silent { step: Step, seconds: u64 },
    /// The peer says that it works, and nothing comes of it.
    #[error(
        "nothing went on for {seconds} s at step \"{step}\", though the peer says that it works"
    )]
    Stalled { step: Step, seconds: u64 },
    #[error("a message could not be delivered to the peer: {reason}")]
    Lost { reason: String },
    #[error("the session was stopped")]
    Cancelled,
    #[error("{what}: {count} are more than {most}")]
    TooMany { what: &'static str, count: u64, most: u64 },
    #[error(
        "{count} keys repeat earlier ones: remove them, or say that the first of equals counts"
    )]
    Duplicates { count: u64 },
    #[error("column `{column}` is not in the file")]
    NoColumn { column: String },
    #[error("{what}: {reason}")]
    Local { what: String, reason: String },
}

impl Fault {
    /// The stable code, for logs, metrics and problem documents.
    pub fn code(&self) -> &'static str {
        match self {
            Self::PeerMisbehaved { .. } => "spu.peer-misbehaved",
            Self::PeerIncompatible { .. } => "spu.peer-incompatible",
            Self::Unreachable { .. } => "spu.unreachable",
            Self::Silent { .. } => "spu.silent",
            Self::Stalled { .. } => "spu.stalled",
            Self::Lost { .. } => "spu.connection-lost",
            Self::Cancelled => "spu.cancelled",
            Self::TooMany { .. } => "spu.too-many",
            Self::Duplicates { .. } => "spu.duplicate-keys",
            Self::NoColumn { .. } => "spu.no-column",
            Self::Local { .. } => "spu.local",
        }
    }

    pub(super) fn misbehaved(step: Step, what: &'static str) -> Self {
        Self::PeerMisbehaved { step, what }
    }

    pub(super) fn local(what: impl Into<String>, reason: impl fmt::Display) -> Self {
        Self::Local { what: what.into(), reason: reason.to_string() }
    }
}
