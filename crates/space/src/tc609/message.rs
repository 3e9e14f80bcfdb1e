//! What is said at the interfaces of a node: six of TC609-6-2025-14 (B.2) for contracts, four of TC609-6-2025-15 (9.2)
//! for the control of uses, and two of our own for what no document gives an interface to.
//!
//! Threats: a message that was made for another node, or sent twice, does something twice. So each comes in an
//! [`Envelope`] whose signature covers receiver, time, number and body; what a message is about decides whether it is
//! the same again ([`Message::own_id`]). Never says what a message leads to: that is the shell's and the engine's.

use tidm_crypto::hash::Digest;

use crate::fault::Fault;
use crate::policy::usage::Use;
use crate::tc609::code::{ContractCode, NodeCode, SubjectCode};
use crate::tc609::document::{Document, Frame, Item, SignMode, Status, Subject};
use crate::time::Time;

/// One interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interface {
    Template,
    Create,
    Negotiate,
    Registrate,
    Execution,
    Terminate,
    Strategy,
    Feedback,
    Abnormal,
    Proof,
    /// Ours: contracts as they stand.
    Query,
    /// Ours: may this use happen?
    Decision,
}

impl Interface {
    pub const ALL: [Self; 12] = [
        Self::Template,
        Self::Create,
        Self::Negotiate,
        Self::Registrate,
        Self::Execution,
        Self::Terminate,
        Self::Strategy,
        Self::Feedback,
        Self::Abnormal,
        Self::Proof,
        Self::Query,
        Self::Decision,
    ];

    /// Its path without a slash, as printed, slips included; also its `msgcode`.
    pub fn path(self) -> &'static str {
        match self {
            Self::Template => "contractTemplate",
            Self::Create => "contractCreate",
            Self::Negotiate => "contractNegotiate",
            Self::Registrate => "contractRegistrate",
            Self::Execution => "contractExecution",
            Self::Terminate => "contractTerminate",
            Self::Strategy => "strategySend",
            Self::Feedback => "executionFeedback",
            Self::Abnormal => "abnormalTermination",
            Self::Proof => "fulfillmentProof",
            Self::Query => "contractQuery",
            Self::Decision => "strategyDecision",
        }
    }

    pub fn from_path(path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.path() == path)
    }

    /// The field that answers `0` or `1`.
    pub fn flag(self) -> &'static str {
        match self {
            Self::Create => "creationFlag",
            Self::Negotiate => "negotiationStatus",
            Self::Template
            | Self::Registrate
            | Self::Execution
            | Self::Terminate
            | Self::Strategy
            | Self::Feedback
            | Self::Abnormal
            | Self::Proof
            | Self::Query
            | Self::Decision => "status",
        }
    }

    /// Whether a member `signature` of the body is its sender's.
    pub fn is_signed(self) -> bool {
        matches!(
            self,
            Self::Create | Self::Terminate | Self::Strategy | Self::Feedback | Self::Proof
        )
    }
}

/// The headers of NDI-TR-2025-03 8.2, but for the signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    pub interface: Interface,
    pub at: Time,
    /// The caller's own number of this call.
    pub sequence: String,
}

impl Envelope {
    pub const VERSION: &'static str = "1.0.0";
    /// The JWS type of `signValue`.
    pub const TYPE: &'static str = "tc609-call+jws";

    /// From `msgcode`, `msgversion`, `timestamp` and `sequenceNum`.
    ///
    /// # Errors
    /// [`Fault::PeerMisbehaved`] `tc609.envelope`, with the header.
    pub fn read(interface: Interface, headers: [Option<&str>; 4]) -> Result<Self, Fault> {
        let wrong = |why: &str| Fault::misbehaved("tc609.envelope", why);
        let [code, version, at, sequence] = headers;
        if code != Some(interface.path()) {
            return Err(wrong("header msgcode: not the name of this interface"));
        }
        if version != Some(Self::VERSION) {
            return Err(wrong("header msgversion: not 1.0.0"));
        }
        let digits = |it: &&str| it.len() == 13 && it.bytes().all(|b| b.is_ascii_digit());
        let at = at.filter(digits).and_then(|it| it.parse().ok());
        let at = at.ok_or_else(|| wrong("header timestamp: not 13 digits of milliseconds"))?;
        let plain =
            |it: &&str| (1..=64).contains(&it.len()) && it.bytes().all(|b| b.is_ascii_graphic());
        let sequence = sequence.filter(plain);
        let sequence =
            sequence.ok_or_else(|| wrong("header sequenceNum: not 1 to 64 visible characters"))?;
        Ok(Self { interface, at: Time::from_ms(at), sequence: sequence.to_owned() })
    }

    /// What `signValue` signs: this call, to this node, with this body (SHA-256 of its bytes). RFC 8785.
    pub fn signed_bytes(&self, receiver: &NodeCode, body: Digest) -> Vec<u8> {
        let call = serde_json::json!({
            "msgcode": self.interface.path(),
            "msgversion": Self::VERSION,
            "timestamp": self.at.ms().to_string(),
            "sequenceNum": self.sequence,
            "receiver": receiver.as_str(),
            "bodySha256": body.to_string(),
        });
        // Texts alone: their canonical form always exists.
        tidm_crypto::jcs::canonical(&call).unwrap_or_default()
    }
}

/// The JWS type of a signature under a body or under terms.
pub const SIGNATURE_TYPE: &str = "tc609-contract+jws";

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    Template { template: Option<String>, issuer: NodeCode, entity: SubjectCode },
    Create(Create),
    Negotiate { terms: Terms, signatures: Vec<Signed> },
    Registrate { terms: Terms, signatories: Vec<Signed>, expansion: String },
    Execution(Box<Execution>),
    Terminate(Terminate),
    Strategy { of: Instance, version: String, document: Box<Document>, issued: Time },
    Feedback { of: Instance, connector: NodeCode, verdict: Verdict, details: Details, at: Time },
    Abnormal(Abnormal),
    Proof { of: Instance, proof: String, log: String, at: Time },
    Query { contract: Option<ContractCode> },
    Decision { contract: ContractCode, asked: Details },
}

/// A contract's own data, before anything is negotiated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Create {
    pub name: String,
    pub summary: String,
    pub issued: Time,
    pub from: Time,
    pub until: Time,
    pub mode: SignMode,
    pub issuer: NodeCode,
    pub entity: SubjectCode,
}

/// Policies of one contract about one product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    pub name: String,
    pub contract: ContractCode,
    pub subject: Subject,
    pub permissions: Vec<Item>,
    pub prohibitions: Vec<Item>,
    pub obligations: Vec<Item>,
}

/// One signatory's yes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    pub entity: SubjectCode,
    pub signature: String,
    pub at: Time,
}

/// What an execution node reports of a contract's performance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Execution {
    pub terms: Terms,
    pub strategy: String,
    /// Tokens of the actions done.
    pub actions: Vec<String>,
    pub result: String,
    pub details: Option<String>,
    pub at: Time,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terminate {
    pub name: String,
    pub contract: ContractCode,
    pub issued: Time,
    /// Before its time; else because it is over.
    pub early: bool,
    pub scheduled: Time,
    pub agreed: Option<Time>,
    pub issuer: NodeCode,
    pub entity: SubjectCode,
    /// Ours: no field of the standard has it.
    pub reason: Option<String>,
}

/// A policy instance of a contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    pub contract: ContractCode,
    pub strategy: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Allowed,
    Denied,
    Conditional,
}

impl Verdict {
    pub const ALL: [Self; 3] = [Self::Allowed, Self::Denied, Self::Conditional];

    pub fn word(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Denied => "denied",
            Self::Conditional => "conditional",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.word() == word)
    }
}

/// The context of one use, in our form; the standard gives none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Details {
    pub kind: Option<Use>,
    pub purpose: Option<String>,
    /// The whole object as compact text, empty where there was none.
    pub text: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Abnormal {
    pub of: Instance,
    pub connector: NodeCode,
    pub termination: String,
    pub reason: String,
    /// By the provider; else by a system.
    pub by_provider: bool,
    pub at: Time,
}

/// Parts cannot run into each other: all codes are of one length, and the strategy's is told.
fn prefix(contract: &ContractCode, strategy: &str) -> String {
    format!("{contract} {}:{strategy} ", strategy.len())
}

impl Instance {
    /// What the ids of all messages about this instance begin with ([`Message::own_id`]).
    pub fn prefix(&self) -> String {
        prefix(&self.contract, &self.strategy)
    }
}

impl Terms {
    /// As the document of a contract that is still negotiated.
    pub fn document(&self, until: Time) -> Document {
        Document {
            frame: Frame {
                id: self.contract.clone(),
                name: self.name.clone(),
                summary: None,
                status: Status::Negotiating,
                created: None,
                mode: SignMode::PointToPoint,
                signatories: vec![],
                signed: None,
                from: None,
                until,
                expansion: None,
                subjects: vec![self.subject.clone()],
            },
            permissions: self.permissions.clone(),
            prohibitions: self.prohibitions.clone(),
            obligations: self.obligations.clone(),
        }
    }
}

impl Message {
    /// The contract that it is about, where there is one already.
    pub fn contract(&self) -> Option<&ContractCode> {
        match self {
            Self::Template { .. } | Self::Create(_) => None,
            Self::Negotiate { terms, .. } | Self::Registrate { terms, .. } => Some(&terms.contract),
            Self::Execution(it) => Some(&it.terms.contract),
            Self::Terminate(it) => Some(&it.contract),
            Self::Strategy { of, .. } | Self::Feedback { of, .. } | Self::Proof { of, .. } => {
                Some(&of.contract)
            }
            Self::Abnormal(it) => Some(&it.of.contract),
            Self::Query { contract } => contract.as_ref(),
            Self::Decision { contract, .. } => Some(contract),
        }
    }

    /// Whom the body names as its sender.
    pub fn sender(&self) -> Option<&NodeCode> {
        match self {
            Self::Template { issuer, .. } => Some(issuer),
            Self::Create(it) => Some(&it.issuer),
            Self::Terminate(it) => Some(&it.issuer),
            Self::Feedback { connector, .. } => Some(connector),
            Self::Abnormal(it) => Some(&it.connector),
            Self::Negotiate { .. }
            | Self::Registrate { .. }
            | Self::Execution(_)
            | Self::Strategy { .. }
            | Self::Proof { .. }
            | Self::Query { .. }
            | Self::Decision { .. } => None,
        }
    }

    /// For whom its sender says to speak.
    pub fn entity(&self) -> Option<&SubjectCode> {
        match self {
            Self::Template { entity, .. } => Some(entity),
            Self::Create(it) => Some(&it.entity),
            Self::Terminate(it) => Some(&it.entity),
            Self::Negotiate { .. }
            | Self::Registrate { .. }
            | Self::Execution(_)
            | Self::Strategy { .. }
            | Self::Feedback { .. }
            | Self::Abnormal(_)
            | Self::Proof { .. }
            | Self::Query { .. }
            | Self::Decision { .. } => None,
        }
    }

    /// What the standard knows it by, so that the same again is told from another: `None` where that is the call's
    /// own number.
    pub fn own_id(&self) -> Option<String> {
        let id = |of: &Instance, own: &str| Some(format!("{}{own}", of.prefix()));
        match self {
            Self::Execution(it) => {
                let prefix = prefix(&it.terms.contract, &it.strategy);
                Some(format!("{prefix}{}", it.at.ms()))
            }
            Self::Strategy { of, version, .. } => id(of, version),
            Self::Feedback { of, at, .. } => id(of, &at.ms().to_string()),
            Self::Abnormal(it) => Some(format!("{} {}", it.of.contract, it.termination)),
            Self::Proof { of, proof, .. } => Some(format!("{} {proof}", of.contract)),
            Self::Template { .. }
            | Self::Create(_)
            | Self::Negotiate { .. }
            | Self::Registrate { .. }
            | Self::Terminate(_)
            | Self::Query { .. }
            | Self::Decision { .. } => None,
        }
    }
}
