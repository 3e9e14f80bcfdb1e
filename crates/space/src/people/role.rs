//! Roles, and what each grants.
//!
//! GB/T 22239 (等保 2.0) wants three administrators apart: system, security, audit. Under separation an account that
//! holds one of the three holds nothing else: who grants rights reads no data, who reads the log changes nothing.

use std::collections::BTreeSet;

use super::scope::Scope;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// 系统管理员
    System,
    /// 安全管理员
    Security,
    /// 审计管理员
    Audit,
    /// 数据管理员: publishes and contracts.
    Steward,
    /// 分析员: uses data under contracts.
    Analyst,
    /// 审计员: reads evidence and the log of what people did.
    Auditor,
    /// 监管人员: sees evidence and statistics, no data.
    Regulator,
}

impl Role {
    pub const ALL: [Self; 7] = [
        Self::System,
        Self::Security,
        Self::Audit,
        Self::Steward,
        Self::Analyst,
        Self::Auditor,
        Self::Regulator,
    ];

    pub fn word(self) -> &'static str {
        match self {
            Self::System => "system-administrator",
            Self::Security => "security-administrator",
            Self::Audit => "audit-administrator",
            Self::Steward => "data-steward",
            Self::Analyst => "analyst",
            Self::Auditor => "auditor",
            Self::Regulator => "regulator",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.word() == word)
    }

    pub fn is_administrator(self) -> bool {
        match self {
            Self::System | Self::Security | Self::Audit => true,
            Self::Steward | Self::Analyst | Self::Auditor | Self::Regulator => false,
        }
    }

    /// The table.
    pub fn scopes(self) -> &'static [Scope] {
        match self {
            Self::System => &[Scope::Admin, Scope::Accounts],
            Self::Security => &[Scope::Rights],
            Self::Audit => &[Scope::PeopleLog],
            Self::Steward => &[Scope::Read, Scope::Publish, Scope::Contract],
            Self::Analyst => &[Scope::Read, Scope::Use],
            Self::Auditor => &[Scope::Audit, Scope::PeopleLog],
            Self::Regulator => &[Scope::Audit],
        }
    }

    /// All that one administrator of a small team holds.
    pub fn everything() -> BTreeSet<Self> {
        Self::ALL.into_iter().filter(|it| *it != Self::Regulator).collect()
    }
}

/// Two roles that one account must not hold where administrators are separated.
pub fn conflict(roles: &BTreeSet<Role>) -> Option<(Role, Role)> {
    let administrator = roles.iter().find(|it| it.is_administrator())?;
    let other = roles.iter().find(|it| *it != administrator)?;
    Some((*administrator, *other))
}

/// As the store keeps them: words separated by spaces. A word that nobody knows any more grants nothing.
pub fn read(text: &str) -> BTreeSet<Role> {
    text.split(' ').filter_map(Role::from_word).collect()
}

pub fn write(roles: &BTreeSet<Role>) -> String {
    roles.iter().map(|it| it.word()).collect::<Vec<_>>().join(" ")
}
