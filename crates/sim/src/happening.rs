//! Everything that can happen in a world, as one closed list.
//!
//! Never holds a choice that is still to be made: a happening names its subjects, so that a log line says it all.

use tidm_space::catalog::product::Product;
use tidm_space::id::Id;
use tidm_space::lease::message::Request;
use tidm_space::policy::model::Policy;

use crate::net::Weather;
use crate::node::CrashPoint;
use crate::traitors::Kind;

#[derive(Clone, Debug)]
pub enum Happening {
    /// A provider publishes a product version with its offers.
    Publish { node: usize, product: Box<Product> },
    /// A consumer asks for the terms of a listed offer.
    RequestListed { consumer: usize, provider: usize, product: Id, offer: Box<Policy> },
    /// A consumer asks for other terms than were listed.
    RequestOther { consumer: usize, provider: usize, product: Id, offer: Box<Policy> },
    /// A person of either side puts other terms on the table.
    Counter { node: usize, negotiation: Id, offer: Box<Policy> },
    /// A person approves what is on the table.
    Approve { node: usize, negotiation: Id },
    /// A person ends a negotiation.
    Terminate { node: usize, negotiation: Id },
    /// A consumer has a contract's data delivered.
    Transfer { node: usize, contract: Id, format: &'static str },
    /// Either side suspends a running transfer.
    Suspend { node: usize, transfer: Id },
    /// Either side resumes a suspended transfer.
    Resume { node: usize, transfer: Id },
    /// Either side ends a transfer before its time.
    EndTransfer { node: usize, transfer: Id },
    /// A consumer asks the gate for a use, with a fresh nonce.
    Ask { node: usize, request: Box<Request> },
    /// The same request once more: same nonce, same key.
    AskAgain { node: usize, request: Box<Request> },
    /// A consumer sends a query under a lease it holds or held.
    Query { node: usize, lease: Id },
    /// A consumer says what came of a use.
    Return { node: usize, lease: Id },
    /// A consumer wants a use to go on.
    Renew { node: usize, lease: Id },
    /// A provider revokes a contract.
    Revoke { node: usize, contract: Id },
    /// A provider suspends a contract.
    SuspendContract { node: usize, contract: Id },
    /// A provider resumes a suspended contract.
    ResumeContract { node: usize, contract: Id },
    /// Either side ends a contract as agreed.
    End { node: usize, contract: Id },
    /// Nothing happens for a while.
    Pass { ms: i64 },
    /// The clock of one node jumps.
    ClockJump { node: usize, ms: i64 },
    /// A process dies at this point of its next piece of work, and comes back after a while.
    Crash { node: usize, point: CrashPoint },
    /// An operator puts a copy of store and keys aside.
    Backup { node: usize },
    /// A consumer's store is set back to that copy.
    Restore { node: usize },
    /// Keys of an old copy are put into the key directory.
    RestoreKeys { node: usize },
    /// The network gets better or worse.
    Weather { weather: Weather },
    /// The link between two nodes is cut.
    Cut { a: usize, b: usize },
    /// All links work again.
    Mend,
    /// A sequencer appends what is not logged yet, and may die after this many steps.
    Sequence { node: usize, crash_after: Option<usize> },
    /// A sequencer that was superseded does not know it and tries to append.
    StaleSequencer { node: usize },
    /// An operator invites somebody to its space (again).
    Invite { operator: usize, holder: usize },
    /// A holder asks the operator for its membership.
    Join { node: usize },
    /// A person at the issuer decides about a request.
    Decide { operator: usize, request: String, approves: bool },
    /// An operator ends somebody's membership.
    RevokeMember { operator: usize, holder: usize },
    /// A traitor does what it does.
    Betray { node: usize, kind: Kind },
}

impl Happening {
    /// Every name, for the proof that each was reached.
    pub const NAMES: [&'static str; 35] = [
        "publish",
        "request-listed",
        "request-other",
        "counter",
        "approve",
        "terminate",
        "transfer",
        "suspend",
        "resume",
        "end-transfer",
        "ask",
        "ask-again",
        "query",
        "return",
        "renew",
        "revoke",
        "suspend-contract",
        "resume-contract",
        "end",
        "pass",
        "clock-jump",
        "crash",
        "backup",
        "restore",
        "restore-keys",
        "weather",
        "cut",
        "mend",
        "sequence",
        "stale-sequencer",
        "invite",
        "join",
        "decide",
        "revoke-member",
        "betray",
    ];

    pub fn name(&self) -> &'static str {
        match self {
            Self::Publish { .. } => "publish",
            Self::RequestListed { .. } => "request-listed",
            Self::RequestOther { .. } => "request-other",
            Self::Counter { .. } => "counter",
            Self::Approve { .. } => "approve",
            Self::Terminate { .. } => "terminate",
            Self::Transfer { .. } => "transfer",
            Self::Suspend { .. } => "suspend",
            Self::Resume { .. } => "resume",
            Self::EndTransfer { .. } => "end-transfer",
            Self::Ask { .. } => "ask",
            Self::AskAgain { .. } => "ask-again",
            Self::Query { .. } => "query",
            Self::Return { .. } => "return",
            Self::Renew { .. } => "renew",
            Self::Revoke { .. } => "revoke",
            Self::SuspendContract { .. } => "suspend-contract",
            Self::ResumeContract { .. } => "resume-contract",
            Self::End { .. } => "end",
            Self::Pass { .. } => "pass",
            Self::ClockJump { .. } => "clock-jump",
            Self::Crash { .. } => "crash",
            Self::Backup { .. } => "backup",
            Self::Restore { .. } => "restore",
            Self::RestoreKeys { .. } => "restore-keys",
            Self::Weather { .. } => "weather",
            Self::Cut { .. } => "cut",
            Self::Mend => "mend",
            Self::Sequence { .. } => "sequence",
            Self::StaleSequencer { .. } => "stale-sequencer",
            Self::Invite { .. } => "invite",
            Self::Join { .. } => "join",
            Self::Decide { .. } => "decide",
            Self::RevokeMember { .. } => "revoke-member",
            Self::Betray { .. } => "betray",
        }
    }

    /// One line for the log, without the documents.
    pub fn line(&self) -> String {
        match self {
            Self::Publish { node, product } => format!("n{node} publish {}", product.id),
            Self::RequestListed { consumer, provider, product, offer }
            | Self::RequestOther { consumer, provider, product, offer } => {
                format!(
                    "n{consumer} {} {product} of n{provider} by offer {}",
                    self.name(),
                    offer.id
                )
            }
            Self::Counter { node, negotiation: it, .. }
            | Self::Approve { node, negotiation: it }
            | Self::Terminate { node, negotiation: it } => {
                format!("n{node} {} {it}", self.name())
            }
            Self::Transfer { node, contract, format } => {
                format!("n{node} transfer {contract} as {format}")
            }
            Self::Revoke { node, contract: it }
            | Self::SuspendContract { node, contract: it }
            | Self::ResumeContract { node, contract: it }
            | Self::End { node, contract: it }
            | Self::Suspend { node, transfer: it }
            | Self::Resume { node, transfer: it }
            | Self::EndTransfer { node, transfer: it }
            | Self::Query { node, lease: it }
            | Self::Renew { node, lease: it }
            | Self::Return { node, lease: it } => format!("n{node} {} {it}", self.name()),
            Self::Ask { node, request } | Self::AskAgain { node, request } => {
                format!("n{node} {} {:?} under {}", self.name(), request.kind, request.contract)
            }
            Self::Pass { ms } => format!("pass {ms} ms"),
            Self::ClockJump { node, ms } => format!("n{node} clock-jump {ms} ms"),
            Self::Crash { node, point } => format!("n{node} crash {point:?}"),
            Self::Backup { node }
            | Self::Restore { node }
            | Self::RestoreKeys { node }
            | Self::Join { node }
            | Self::StaleSequencer { node } => {
                format!("n{node} {}", self.name())
            }
            Self::Weather { weather } => format!("weather {weather:?}"),
            Self::Cut { a, b } => format!("cut n{a} n{b}"),
            Self::Mend => "mend".to_owned(),
            Self::Sequence { node, crash_after } => {
                format!("n{node} sequence, crash after {crash_after:?}")
            }
            Self::Invite { operator, holder } | Self::RevokeMember { operator, holder } => {
                format!("n{operator} {} n{holder}", self.name())
            }
            Self::Decide { operator, request, approves } => {
                let word = if *approves { "approves" } else { "rejects" };
                format!("n{operator} {word} {request}")
            }
            Self::Betray { node, kind } => format!("n{node} betray {kind:?}"),
        }
    }
}
