//! What the two sides of a transfer say, and where the data is.
//!
//! Never bytes: [`crate::wire::dsp`] parses and writes them. A token in a [`DataAddress`] is a secret:
//! `Debug` hides it.

use std::fmt;

use crate::id::Id;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The message's `@id`.
    pub id: Option<Id>,
    pub body: Body,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// `TransferRequestMessage`; an address only for push.
    Request {
        contract: Id,
        format: String,
        address: Option<DataAddress>,
    },
    /// `TransferStartMessage`; an address for pull.
    Start {
        address: Option<DataAddress>,
    },
    Complete,
    Suspend {
        code: Option<String>,
        reason: Vec<String>,
    },
    Terminate {
        code: Option<String>,
        reason: Vec<String>,
    },
}

/// DSP `DataAddress`: endpoint and its properties (`authorization`, `authType`, …), order kept.
#[derive(Clone, PartialEq, Eq)]
pub struct DataAddress {
    pub endpoint_type: String,
    pub endpoint: Option<String>,
    pub properties: Vec<(String, String)>,
}

impl DataAddress {
    pub fn property(&self, name: &str) -> Option<&str> {
        self.properties.iter().find(|(it, _)| it == name).map(|(_, value)| value.as_str())
    }
}

/// Properties that open something, under the names that connectors give them; any spelling of upper and lower case.
const SECRETS: [&str; 7] = [
    "authorization",
    "refreshtoken",
    "accesskeyid",
    "secretaccesskey",
    "sessiontoken",
    "token",
    "authcode",
];

impl DataAddress {
    pub fn is_secret(name: &str) -> bool {
        SECRETS.iter().any(|it| name.eq_ignore_ascii_case(it))
    }

    /// Without what opens anything.
    pub fn without_secrets(mut self) -> Self {
        self.properties.retain(|(name, _)| !Self::is_secret(name));
        self
    }
}

impl fmt::Debug for DataAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.properties.iter().map(|(name, _)| name.as_str()).collect();
        write!(f, "DataAddress({} {:?} {names:?})", self.endpoint_type, self.endpoint)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Request,
    Start,
    Complete,
    Suspend,
    Terminate,
}

impl Kind {
    pub const ALL: [Self; 5] =
        [Self::Request, Self::Start, Self::Complete, Self::Suspend, Self::Terminate];

    pub fn word(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Start => "start",
            Self::Complete => "complete",
            Self::Suspend => "suspend",
            Self::Terminate => "terminate",
        }
    }
}

impl Body {
    pub fn kind(&self) -> Kind {
        match self {
            Self::Request { .. } => Kind::Request,
            Self::Start { .. } => Kind::Start,
            Self::Complete => Kind::Complete,
            Self::Suspend { .. } => Kind::Suspend,
            Self::Terminate { .. } => Kind::Terminate,
        }
    }
}
