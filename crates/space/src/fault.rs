//! What went wrong, sorted by whose fault it is: that decides HTTP status, log level and evidence.
//!
//! Never holds a peer's raw bytes, and never a secret.

use std::time::Duration;

/// One fault. `code` is stable and short (`negotiation.after-end`); `reason` is for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The peer broke the protocol. Answered with an error; nothing changes. HTTP 400.
    #[error("the peer broke the protocol ({code}): {reason}")]
    PeerMisbehaved { code: &'static str, reason: String },
    /// The peer speaks a dialect or asks for a term that we cannot honour. HTTP 400.
    #[error("not supported here ({code}): {reason}")]
    PeerIncompatible { code: &'static str, reason: String },
    /// The rules say no. `rule` names the term that said so, `zh` its reason in Chinese where it was given. HTTP 403.
    #[error("denied by {rule}: {reason}")]
    Denied { code: &'static str, rule: String, reason: String, zh: Option<Box<str>> },
    /// Nobody here knows that id, or the caller may not know that it exists. HTTP 404.
    #[error("no such {what}")]
    NotFound { what: &'static str },
    /// The store holds something else by now: load again and decide again. HTTP 409.
    #[error("in conflict ({code}): {reason}")]
    Conflict { code: &'static str, reason: String },
    /// A person or program of ours asked for something that cannot be done now. HTTP 422.
    #[error("cannot be done ({code}): {reason}")]
    Refused { code: &'static str, reason: String },
    /// Not now. HTTP 503.
    #[error("not available now: {reason}")]
    Unavailable { reason: String, retry_after: Duration },
    /// Our own code called in the wrong order. Never caused by the values of outside data. HTTP 500.
    #[error("misuse: {0}")]
    ApiMisuse(&'static str),
}

impl Fault {
    pub fn misbehaved(code: &'static str, reason: impl Into<String>) -> Self {
        Self::PeerMisbehaved { code, reason: reason.into() }
    }

    pub fn incompatible(code: &'static str, reason: impl Into<String>) -> Self {
        Self::PeerIncompatible { code, reason: reason.into() }
    }

    pub fn denied(code: &'static str, rule: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Denied { code, rule: rule.into(), reason: reason.into(), zh: None }
    }

    /// The same denial, with its reason in Chinese as well; other faults stay as they are.
    #[must_use]
    pub fn in_chinese(mut self, said: impl Into<Box<str>>) -> Self {
        if let Self::Denied { zh, .. } = &mut self {
            *zh = Some(said.into());
        }
        self
    }

    pub fn refused(code: &'static str, reason: impl Into<String>) -> Self {
        Self::Refused { code, reason: reason.into() }
    }

    pub fn conflict(code: &'static str, reason: impl Into<String>) -> Self {
        Self::Conflict { code, reason: reason.into() }
    }

    /// The stable code, for logs, metrics and problem documents.
    pub fn code(&self) -> &'static str {
        match self {
            Self::PeerMisbehaved { code, .. }
            | Self::PeerIncompatible { code, .. }
            | Self::Denied { code, .. }
            | Self::Conflict { code, .. }
            | Self::Refused { code, .. } => code,
            Self::NotFound { .. } => "not-found",
            Self::Unavailable { .. } => "unavailable",
            Self::ApiMisuse(_) => "internal",
        }
    }
}
