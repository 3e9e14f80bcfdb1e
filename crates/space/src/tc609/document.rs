//! The document of a digital contract: its information (dictionary C.1), its objects and execution nodes (C.3, C.4), and
//! its policies in three classes (C.2).
//!
//! Threats: a contract that counts as signed without signatures; two descriptions of one product in one contract.
//! [`Document::check`] refuses both. Never verifies a signature: no document names an algorithm or canonical form.

use std::collections::BTreeSet;

use crate::limits::{
    TC609_ACTIONS, TC609_CLAUSES, TC609_CONSTRAINTS, TC609_DUTY_DEPTH, TC609_ITEMS,
    TC609_SIGNATORIES,
};
use crate::tc609::code::{ContractCode, NodeCode, ProductCode, SubjectCode, write_moment};
use crate::tc609::words::{ActionWord, ConstraintWord, OperatorWord};
use crate::time::Time;

/// A contract with its policies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    pub frame: Frame,
    pub permissions: Vec<Item>,
    pub prohibitions: Vec<Item>,
    pub obligations: Vec<Item>,
}

/// What an ODRL policy has no place for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub id: ContractCode,
    pub name: String,
    pub summary: Option<String>,
    pub status: Status,
    pub created: Option<Time>,
    pub mode: SignMode,
    pub signatories: Vec<Signatory>,
    /// When the last party signed.
    pub signed: Option<Time>,
    pub from: Option<Time>,
    /// `indate`: the end of validity.
    pub until: Time,
    /// A JSON object, as compact text.
    pub expansion: Option<String>,
    /// Each once, in the order in which the policies first name them.
    pub subjects: Vec<Subject>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Initiated,
    Negotiating,
    Signing,
    Signed,
    SigningFailed,
    Performing,
    Terminated,
}

impl Status {
    /// `04` is not assigned.
    pub const ALL: [(Self, &'static str); 7] = [
        (Self::Initiated, "01"),
        (Self::Negotiating, "02"),
        (Self::Signing, "03"),
        (Self::Signed, "0301"),
        (Self::SigningFailed, "0302"),
        (Self::Performing, "05"),
        (Self::Terminated, "06"),
    ];

    pub fn code(self) -> &'static str {
        Self::ALL.iter().find(|(it, _)| *it == self).map_or("", |(_, code)| code)
    }

    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, it)| *it == code).map(|(it, _)| *it)
    }

    /// Whether every signature was given.
    pub fn binds(self) -> bool {
        matches!(self, Self::Signed | Self::Performing | Self::Terminated)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignMode {
    PointToPoint,
    Platform,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Provider,
    Consumer,
    ServiceProvider,
    Other,
}

impl Role {
    pub const ALL: [(Self, &'static str); 4] = [
        (Self::Provider, "01"),
        (Self::Consumer, "02"),
        (Self::ServiceProvider, "03"),
        (Self::Other, "04"),
    ];

    pub fn code(self) -> &'static str {
        Self::ALL.iter().find(|(it, _)| *it == self).map_or("", |(_, code)| code)
    }

    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, it)| *it == code).map(|(it, _)| *it)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signatory {
    pub id: SubjectCode,
    pub name: Option<String>,
    pub role: Role,
    /// As it came; what it covers is not said anywhere.
    pub signature: Option<String>,
}

/// A product and where policies about it are carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    pub product: ProductCode,
    pub name: Option<String>,
    pub summary: Option<String>,
    pub owner: Option<SubjectCode>,
    pub provider: NodeCode,
    pub provider_name: Option<String>,
    pub consumer: Option<NodeCode>,
    pub consumer_name: Option<String>,
}

/// One policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    pub product: ProductCode,
    pub clause: Clause,
}

/// What is permitted, prohibited or owed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clause {
    pub actions: Vec<Act>,
    /// All of them hold.
    pub constraints: Vec<Constraint>,
    pub expansion: Option<Expansion>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    Listed(&'static ActionWord),
    /// An action of ODRL's or ours, inside an extension.
    Own(String),
    /// A token that is not in the dictionary.
    Unlisted(String),
    /// Somebody else's extension: a JSON object, as compact text.
    Foreign(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Constraint {
    pub name: Name,
    pub op: &'static OperatorWord,
    pub value: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Name {
    Listed(&'static ConstraintWord),
    /// `expansionItem`.
    Extension,
    Unlisted(String),
}

impl Name {
    pub fn code(&self) -> &str {
        match self {
            Self::Listed(it) => it.code,
            Self::Extension => EXTENSION,
            Self::Unlisted(it) => it,
        }
    }

    pub fn from_code(code: &str) -> Option<Self> {
        if code == EXTENSION {
            return Some(Self::Extension);
        }
        let listed = ConstraintWord::by_code(code).map(Self::Listed);
        listed.or_else(|| is_token(code).then(|| Self::Unlisted(code.to_owned())))
    }
}

/// `policyExpansion`: what belongs to a permission, prohibition or obligation besides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expansion {
    /// Of a permission its prior duties, of a prohibition its remedies, of an obligation what its breach costs.
    Duties(Vec<Clause>),
    /// Anything else, as it came.
    Text(String),
}

pub const EXTENSION: &str = "expansionItem";

/// What a word outside the dictionaries may look like.
pub fn is_token(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|it| it.is_ascii_alphanumeric())
        && text != EXTENSION
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadDocument {
    #[error("a contract in state {0} has a signature of every signatory and the time of signing")]
    Unsigned(&'static str),
    #[error("names the same {0} twice")]
    Twice(&'static str),
    #[error("a contract has {0}")]
    Missing(&'static str),
    #[error("a time of it cannot be written in whole seconds and four digits of a year")]
    Time,
    #[error("validity ends before it begins, or before the contract was made or signed")]
    Period,
    #[error("holds more than {0}")]
    TooMany(&'static str),
}

impl Document {
    /// Every policy with the name of its class and its number in it.
    pub fn items(&self) -> impl Iterator<Item = (&'static str, usize, &Item)> {
        [
            ("permission", &self.permissions),
            ("prohibition", &self.prohibitions),
            ("obligation", &self.obligations),
        ]
        .into_iter()
        .flat_map(|(name, all)| all.iter().enumerate().map(move |(i, it)| (name, i, it)))
    }

    pub fn subject(&self, of: &ProductCode) -> Option<&Subject> {
        self.frame.subjects.iter().find(|it| it.product == *of)
    }

    /// What must hold between the parts; each part was checked when it was made.
    pub fn check(&self) -> Result<(), BadDocument> {
        let frame = &self.frame;
        frame.check()?;
        let items = self.items().count();
        if items == 0 {
            return Err(BadDocument::Missing("at least one policy"));
        }
        if items > TC609_ITEMS {
            return Err(BadDocument::TooMany("64 policies"));
        }
        let mut seen: Vec<&ProductCode> = vec![];
        for (_, _, item) in self.items() {
            item.clause.check(TC609_DUTY_DEPTH)?;
            if !seen.contains(&&item.product) {
                seen.push(&item.product);
            }
        }
        if !seen.into_iter().eq(frame.subjects.iter().map(|it| &it.product)) {
            return Err(BadDocument::Missing(
                "its products once each, in the order of its policies",
            ));
        }
        Ok(())
    }
}

impl Frame {
    fn check(&self) -> Result<(), BadDocument> {
        let ids: BTreeSet<&str> = self.signatories.iter().map(|it| it.id.as_str()).collect();
        if ids.len() != self.signatories.len() {
            return Err(BadDocument::Twice("signatory"));
        }
        if self.signatories.is_empty() {
            return Err(BadDocument::Missing("at least one signatory"));
        }
        if self.signatories.len() > TC609_SIGNATORIES {
            return Err(BadDocument::TooMany("32 signatories"));
        }
        let all = self.signatories.iter().all(|it| it.signature.is_some());
        if self.status.binds() && (!all || self.signed.is_none()) {
            return Err(BadDocument::Unsigned(self.status.code()));
        }
        let earlier = [self.created, self.signed, self.from];
        if earlier.into_iter().flatten().chain([self.until]).any(|it| write_moment(it).is_none()) {
            return Err(BadDocument::Time);
        }
        if earlier.into_iter().flatten().any(|it| it > self.until) {
            return Err(BadDocument::Period);
        }
        if matches!((self.created, self.signed), (Some(made), Some(signed)) if signed < made) {
            return Err(BadDocument::Period);
        }
        Ok(())
    }

    /// The one signatory in this role; `None` also where there are several.
    pub fn sole(&self, role: Role) -> Option<&Signatory> {
        let mut all = self.signatories.iter().filter(|it| it.role == role);
        all.next().filter(|_| all.next().is_none())
    }
}

impl Clause {
    fn check(&self, left: usize) -> Result<(), BadDocument> {
        let Some(left) = left.checked_sub(1) else {
            return Err(BadDocument::TooMany("levels of duties"));
        };
        if self.actions.is_empty() {
            return Err(BadDocument::Missing("an action in each policy"));
        }
        if self.actions.len() > TC609_ACTIONS {
            return Err(BadDocument::TooMany("32 actions in a policy"));
        }
        if self.constraints.len() > TC609_CONSTRAINTS {
            return Err(BadDocument::TooMany("64 constraints in a policy"));
        }
        if self
            .actions
            .iter()
            .enumerate()
            .any(|(i, it)| self.actions.iter().skip(i + 1).any(|o| o == it))
        {
            return Err(BadDocument::Twice("action"));
        }
        let Some(Expansion::Duties(duties)) = &self.expansion else { return Ok(()) };
        if duties.is_empty() {
            return Err(BadDocument::Missing("a duty where it says there is one"));
        }
        if duties.len() > TC609_CLAUSES {
            return Err(BadDocument::TooMany("16 duties of a policy"));
        }
        duties.iter().try_for_each(|it| it.check(left))
    }
}
