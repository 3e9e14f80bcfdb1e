//! Ids as they cross the wire: ours are `urn:uuid:` version 7 made by the shell, a peer's is any short text.
//!
//! Never allocates an id by itself: uniqueness is the caller's duty, passed in through [`Ids`].

use std::fmt;

use uuid::Uuid;

use crate::limits::ID_BYTES;

/// An id of ours or of a peer: 1 to [`ID_BYTES`] bytes, no control characters, no spaces.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id(Box<str>);

impl Id {
    /// Takes an id from outside as it is; peers' ids are echoed verbatim.
    pub fn parse(text: &str) -> Result<Self, BadId> {
        if text.is_empty() {
            return Err(BadId::Empty);
        }
        if text.len() > ID_BYTES {
            return Err(BadId::TooLong(text.len()));
        }
        if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(BadId::Character);
        }
        Ok(Self(text.into()))
    }

    /// A DID was checked more strictly than an id is.
    pub(crate) fn of_did(did: &str) -> Self {
        Self(did.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<Uuid> for Id {
    fn from(it: Uuid) -> Self {
        Self(it.urn().to_string().into())
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadId {
    #[error("an id must not be empty")]
    Empty,
    #[error("an id of {0} bytes is longer than {ID_BYTES}")]
    TooLong(usize),
    #[error("an id holds no spaces and no control characters")]
    Character,
}

/// Where fresh ids come from: the node draws UUIDv7, the simulator counts from its seed.
pub trait Ids {
    fn fresh(&mut self) -> Id;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_ids_are_kept_verbatim_and_bounded() {
        for (text, ok) in [
            ("CD123:ACN0101:456", true),
            ("urn:uuid:0190b6a0-0000-7000-8000-000000000000", true),
            ("", false),
            ("a b", false),
            ("a\nb", false),
        ] {
            assert_eq!(
                Id::parse(text).map(|id| id.as_str() == text),
                if ok { Ok(true) } else { Id::parse(text).map(|_| false) }
            );
            assert_eq!(Id::parse(text).is_ok(), ok, "{text:?}");
        }
        assert_eq!(Id::parse(&"x".repeat(ID_BYTES + 1)), Err(BadId::TooLong(ID_BYTES + 1)));
    }
}
