//! Scopes: which credentials a verifier may see, by type or by id (DCP §5.4.1.2).
//!
//! Never guesses: an alias or an operation that we do not know grants nothing and asks for nothing.

use std::fmt;

use crate::fault::Fault;
use crate::identity::credential::Credential;
use crate::limits::{ID_BYTES, SCOPES};

const TYPE: &str = "org.eclipse.dspace.dcp.vc.type:";
const ID: &str = "org.eclipse.dspace.dcp.vc.id:";
/// Wallets of other makers write the operation behind the type; reading is all there is.
const READ: &str = ":read";
const OTHER_OPERATIONS: [&str; 3] = [":write", ":all", ":*"];

/// Read access to some credentials.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    Kind(String),
    Id(String),
}

impl Scope {
    pub fn kind(name: &str) -> Self {
        Self::Kind(name.to_owned())
    }

    pub fn parse(text: &str) -> Result<Self, Fault> {
        let bad = |why: &str| {
            Fault::misbehaved("presentation.scope", format!("the scope {text:.100}: {why}"))
        };
        if text.len() > ID_BYTES || text.chars().any(|it| it.is_whitespace() || it.is_control()) {
            return Err(bad("too long, or with spaces"));
        }
        if OTHER_OPERATIONS.iter().any(|it| text.ends_with(it)) {
            return Err(bad("only reading can be asked for"));
        }
        let read = |rest: &str| rest.strip_suffix(READ).unwrap_or(rest).to_owned();
        let scope = if let Some(rest) = text.strip_prefix(TYPE) {
            Self::Kind(read(rest))
        } else if let Some(rest) = text.strip_prefix(ID) {
            Self::Id(read(rest))
        } else {
            return Err(bad("its alias is unknown here"));
        };
        if scope.name().is_empty() { Err(bad("it names nothing")) } else { Ok(scope) }
    }

    /// Several, as a query or a token lists them.
    pub fn parse_all<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Vec<Self>, Fault> {
        let mut scopes = Vec::new();
        for text in texts {
            if scopes.len() == SCOPES {
                return Err(Fault::misbehaved("presentation.scope", "too many scopes"));
            }
            scopes.push(Self::parse(text)?);
        }
        Ok(scopes)
    }

    fn name(&self) -> &str {
        match self {
            Self::Kind(name) | Self::Id(name) => name,
        }
    }

    /// Whether a credential is one of those.
    pub fn covers(&self, it: &Credential) -> bool {
        match self {
            Self::Kind(name) => it.kinds.iter().any(|kind| kind == name),
            Self::Id(name) => it.id.as_deref() == Some(name),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kind(name) => write!(f, "{TYPE}{name}{READ}"),
            Self::Id(name) => write!(f, "{ID}{name}{READ}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_read_as_written_and_unknown_ones_are_refused() {
        for (text, scope) in [
            (
                "org.eclipse.dspace.dcp.vc.type:MembershipCredential:read",
                Some(Scope::kind("MembershipCredential")),
            ),
            ("org.eclipse.dspace.dcp.vc.type:Member", Some(Scope::kind("Member"))),
            ("org.eclipse.dspace.dcp.vc.id:urn:uuid:8247", Some(Scope::Id("urn:uuid:8247".into()))),
            ("org.eclipse.dspace.dcp.vc.id:8247:read", Some(Scope::Id("8247".into()))),
            ("org.eclipse.dspace.dcp.vc.type:Member:write", None),
            ("org.eclipse.dspace.dcp.vc.type:Member:*", None),
            ("org.eclipse.dspace.dcp.vc.type:", None),
            ("org.eclipse.dspace.dcp.vc.type::read", None),
            ("org.eclipse.edc.vc.type:Member:read", None),
            ("org.eclipse.dspace.dcp.vc.type:a b:read", None),
            ("", None),
        ] {
            assert_eq!(Scope::parse(text).ok(), scope, "{text}");
            if let Some(scope) = scope {
                assert_eq!(Scope::parse(&scope.to_string()), Ok(scope));
            }
        }
        assert!(Scope::parse(&format!("{TYPE}{}", "x".repeat(ID_BYTES))).is_err());
        assert!(
            Scope::parse_all(std::iter::repeat_n("org.eclipse.dspace.dcp.vc.id:1", SCOPES + 1))
                .is_err()
        );
    }
}
