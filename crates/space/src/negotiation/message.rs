//! What the two sides of a negotiation say.
//!
//! Never bytes: [`crate::wire::dsp`] parses and writes them.

use crate::id::Id;
use crate::policy::model::Policy;
use crate::time::Time;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Consumer,
    Provider,
}

impl Role {
    #[must_use]
    pub fn peer(self) -> Self {
        match self {
            Self::Consumer => Self::Provider,
            Self::Provider => Self::Consumer,
        }
    }

    pub const ALL: [Self; 2] = [Self::Consumer, Self::Provider];

    /// By its [`word`](Self::word).
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.word() == word)
    }

    pub fn word(self) -> &'static str {
        match self {
            Self::Consumer => "consumer",
            Self::Provider => "provider",
        }
    }
}

/// One message with its own id, so that a repeated one is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The message's `@id`. Foreign connectors may leave it out.
    pub id: Option<Id>,
    pub body: Body,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// `ContractRequestMessage`: the consumer wants these terms.
    Request { offer: Policy },
    /// `ContractOfferMessage`: the provider wants these.
    Offer { offer: Policy },
    /// `ContractNegotiationEventMessage`, ACCEPTED.
    Accept,
    /// `ContractAgreementMessage`.
    Agree { agreement: Agreement },
    /// `ContractAgreementVerificationMessage`, with our extra property (house D14).
    Verify { signature: Option<Signature> },
    /// `ContractNegotiationEventMessage`, FINALIZED.
    Finalize,
    /// `ContractNegotiationTerminationMessage`.
    Terminate { code: Option<String>, reason: Vec<String> },
}

impl Body {
    /// The signature that this message carries, if it does.
    pub fn signature(&self) -> Option<&Signature> {
        match self {
            Self::Agree { agreement } => agreement.signature.as_ref(),
            Self::Verify { signature } => signature.as_ref(),
            Self::Request { .. }
            | Self::Offer { .. }
            | Self::Accept
            | Self::Finalize
            | Self::Terminate { .. } => None,
        }
    }
}

/// What both sides sign: ODRL agreement, when, and the provider's signature over it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreement {
    pub id: Id,
    pub policy: Policy,
    pub at: Time,
    /// Our extra property (house D14): absent from foreign connectors.
    pub signature: Option<Signature>,
}

/// A compact JWS over the agreement's canonical bytes, detached payload put back by the verifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature(pub String);

/// A body without its data: what the transition table speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Request,
    Offer,
    Accept,
    Agree,
    Verify,
    Finalize,
    Terminate,
}

impl Kind {
    pub const ALL: [Self; 7] = [
        Self::Request,
        Self::Offer,
        Self::Accept,
        Self::Agree,
        Self::Verify,
        Self::Finalize,
        Self::Terminate,
    ];

    pub fn word(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Offer => "offer",
            Self::Accept => "accept",
            Self::Agree => "agree",
            Self::Verify => "verify",
            Self::Finalize => "finalize",
            Self::Terminate => "terminate",
        }
    }
}

impl Body {
    pub fn kind(&self) -> Kind {
        match self {
            Self::Request { .. } => Kind::Request,
            Self::Offer { .. } => Kind::Offer,
            Self::Accept => Kind::Accept,
            Self::Agree { .. } => Kind::Agree,
            Self::Verify { .. } => Kind::Verify,
            Self::Finalize => Kind::Finalize,
            Self::Terminate { .. } => Kind::Terminate,
        }
    }
}
