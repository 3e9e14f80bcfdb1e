//! Why a job ended without a result: one code, one text, whose fault, what to do next. Never holds a key or a secret.

use serde::{Deserialize, Serialize};
use tidm_mpc::fault::Fault;

use super::journal::RUNS;
use crate::keys;

/// Everything that can end a job.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error(transparent)]
    Mpc(#[from] Fault),
    #[error(transparent)]
    Keys(#[from] keys::Fault),
    #[error("the order is not understood: {0}")]
    Order(String),
    #[error("another process works in the job's directory")]
    Busy,
    #[error("{action} in the job's directory failed: {reason}")]
    Directory { action: &'static str, reason: String },
    #[error("the list is not the one that this job began with ({what} differs)")]
    SourceChanged { what: &'static str },
    #[error("this job has used up its {0} connections")]
    TooManyConnections(u64),
    #[error("workers ended {0} times without a word")]
    WorkersKilled(u32),
    #[error("the jail of the computing process lacks {layer:?}: {reason}")]
    Jail { layer: tidm_jail::Layer, reason: String },
    #[error("a computing process says that it moved what no step of a job moves")]
    Untrue,
    /// What a worker said.
    #[error("{}", .0.text)]
    Told(ErrorReport),
    /// Of a leader, with this member.
    #[error("member {}: {failure}", number + 1)]
    Member { number: usize, failure: Box<Self> },
}

/// Who has to do something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Blame {
    /// The list, the rule or the order of this party.
    Input,
    /// This machine or this program.
    Ours,
    Peer,
    Connection,
    Nobody,
}

/// A failure on its way to whoever started the job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorReport {
    pub code: String,
    pub text: String,
    pub blame: Blame,
    /// What to do next.
    pub next: String,
    /// With which member of a job of many it came up, counted from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<usize>,
}

impl Failure {
    pub fn code(&self) -> &str {
        match self {
            Self::Mpc(fault) => fault.code(),
            Self::Keys(fault) => fault.code(),
            Self::Order(_) => "job.order",
            Self::Busy => "job.busy",
            Self::Directory { .. } => "job.directory",
            Self::SourceChanged { .. } => "job.source-changed",
            Self::TooManyConnections(_) => "job.too-many-connections",
            Self::WorkersKilled(_) => "job.workers-killed",
            Self::Jail { .. } => "job.jail",
            Self::Untrue => "job.process-untrue",
            Self::Told(report) => &report.code,
            Self::Member { failure, .. } => failure.code(),
        }
    }

    /// Whether another connection may bring the job on.
    pub fn is_lost(&self) -> bool {
        matches!(self, Self::Mpc(Fault::Unlucky { .. } | Fault::Lost { .. }))
    }

    /// Whether the same order, started again, would meet it again: then the peer need not wait.
    pub fn is_final(&self) -> bool {
        let passing = matches!(
            self,
            Self::Mpc(Fault::Spill { .. } | Fault::Cancelled) | Self::Directory { .. } | Self::Busy
        );
        !passing && !self.is_lost()
    }

    pub fn report(&self) -> ErrorReport {
        if let Self::Told(report) = self {
            return report.clone();
        }
        if let Self::Member { number, failure } = self {
            return ErrorReport { member: Some(*number), ..failure.report() };
        }
        let (blame, next) = self.advice();
        let (code, text) = (self.code().to_owned(), self.to_string());
        ErrorReport { code, text, blame, next: next.to_owned(), member: None }
    }

    fn advice(&self) -> (Blame, &'static str) {
        const AGAIN: &str = "start the same order again: finished parts are kept";
        match self {
            Self::Mpc(fault) => match fault {
                Fault::PeerMisbehaved { .. } => (
                    Blame::Peer,
                    "ask the peer which program it runs; do not repeat the job blindly",
                ),
                Fault::PeerIncompatible { .. } => {
                    (Blame::Peer, "compare the terms of both orders, then begin a new job")
                }
                Fault::PeerStopped => {
                    (Blame::Peer, "the peer's own report says why; start again when it is solved")
                }
                Fault::Lost { .. } => (Blame::Connection, AGAIN),
                Fault::Cancelled => (Blame::Nobody, AGAIN),
                Fault::TooMany { what: RUNS, .. } => {
                    (Blame::Peer, "find out why the connection breaks, then begin a new job")
                }
                Fault::TooMany { .. } => {
                    (Blame::Input, "agree on larger sizes, or give the job more memory")
                }
                Fault::Duplicates { .. } => {
                    (Blame::Input, "remove equal keys, or agree on `first` or `multiply`")
                }
                Fault::Spill { .. } => {
                    (Blame::Ours, "look at space and health of the disk, then start again")
                }
                Fault::Unlucky { .. } => (Blame::Nobody, AGAIN),
                Fault::ApiMisuse(_) => (Blame::Ours, "report this as an error of the program"),
            },
            Self::Keys(_) => {
                (Blame::Input, "correct the list, the mapping or the rule, then begin a new job")
            }
            Self::Order(_) => (Blame::Ours, "correct the order"),
            Self::Busy => (Blame::Ours, "wait until it has ended"),
            Self::Directory { .. } => {
                (Blame::Ours, "look at space and rights of the directory, then start again")
            }
            Self::SourceChanged { .. } => {
                (Blame::Input, "give the job its old list back, or begin a new job on both sides")
            }
            Self::TooManyConnections(_) => (Blame::Connection, "begin a new job on both sides"),
            Self::WorkersKilled(_) => {
                (Blame::Ours, "give the job more memory or fewer workers, then start again")
            }
            Self::Jail { .. } => (
                Blame::Ours,
                "run the node where the kernel allows it: see the threats of jobs in the documentation",
            ),
            Self::Untrue => (
                Blame::Ours,
                "its program is not what it was: look for what the peer may have done before you match with it again",
            ),
            Self::Told(report) => (report.blame, ""),
            Self::Member { failure, .. } => failure.advice(),
        }
    }

    /// The same, and with which member.
    pub(super) fn of_member(self, number: usize) -> Self {
        Self::Member { number, failure: Box::new(self) }
    }

    /// A failed action in the job's directory.
    pub(crate) fn directory(action: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |why| Self::Directory { action, reason: why.to_string() }
    }
}
