//! What a route asks for.
//!
//! Never implied by another one, but for the word `admin` of an API key, which stands for all that its owner may.

use std::collections::BTreeSet;

/// What a caller may do. A key carries some, a session those of its person's roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    Read,
    Publish,
    Contract,
    Use,
    /// The evidence log, receipts, reports.
    Audit,
    /// The node itself: spaces, planes.
    Admin,
    /// Accounts of people: made, disabled, invited again.
    Accounts,
    /// Roles, groups, attributes, rules, others' API keys.
    Rights,
    /// The log of what people did.
    PeopleLog,
    /// One's own account: password, second factor, sessions, keys.
    Own,
}

impl Scope {
    pub const ALL: [Self; 10] = [
        Self::Read,
        Self::Publish,
        Self::Contract,
        Self::Use,
        Self::Audit,
        Self::Admin,
        Self::Accounts,
        Self::Rights,
        Self::PeopleLog,
        Self::Own,
    ];

    pub fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Publish => "publish",
            Self::Contract => "contract",
            Self::Use => "use",
            Self::Audit => "audit",
            Self::Admin => "admin",
            Self::Accounts => "accounts",
            Self::Rights => "rights",
            Self::PeopleLog => "people-log",
            Self::Own => "own",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.word() == word)
    }

    /// What the scopes written on a key mean.
    pub fn of_key(written: &BTreeSet<Self>) -> BTreeSet<Self> {
        if written.contains(&Self::Admin) { Self::ALL.into() } else { written.clone() }
    }
}
