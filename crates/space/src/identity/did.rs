//! Decentralised identifiers (W3C DID Core 1.0) of the method `web`, and the address of their document.
//!
//! Never resolves: [`Did::document_url`] says where the document is, the shell gets it.

use std::fmt;

use crate::id::Id;
use crate::limits::ID_BYTES;

/// `did:web:host%3Aport:path…` or another method's DID taken verbatim.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Did(Box<str>);

impl Did {
    /// Checks DID Core's syntax: `did:` method `:` method-specific-id.
    pub fn parse(text: &str) -> Result<Self, BadDid> {
        let rest = text.strip_prefix("did:").ok_or(BadDid)?;
        let (method, id) = rest.split_once(':').ok_or(BadDid)?;
        let method_ok = !method.is_empty()
            && method.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        let id_ok = !id.is_empty()
            && !id.ends_with(':')
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_:%".contains(&b));
        if method_ok && id_ok && text.len() <= ID_BYTES {
            Ok(Self(text.into()))
        } else {
            Err(BadDid)
        }
    }

    /// The DID of a node that listens on `host:port`, without a path (did:web §3.1: the port's colon is `%3A`).
    pub fn web(host: &str, port: Option<u16>) -> Result<Self, BadDid> {
        match port {
            Some(port) => Self::parse(&format!("did:web:{host}%3A{port}")),
            None => Self::parse(&format!("did:web:{host}")),
        }
    }

    /// A participant that has no DID and is known by a plain name, as connectors under test are: `did:named:NAME`,
    /// percent-encoded. It resolves to nothing, so that it never passes where a key is asked for.
    pub fn named(name: &str) -> Result<Self, BadDid> {
        use std::fmt::Write as _;
        Id::parse(name).map_err(|_| BadDid)?;
        if name.starts_with("did:") {
            // What is proven has no second way to be named.
            return Err(BadDid);
        }
        let mut text = NAMED.to_owned();
        for byte in name.bytes() {
            if byte.is_ascii_alphanumeric() || b".-_".contains(&byte) {
                text.push(char::from(byte));
            } else {
                // Writing to a String cannot fail.
                let _infallible = write!(text, "%{byte:02X}");
            }
        }
        Self::parse(&text)
    }

    /// The plain name behind [`Did::named`], which writes each name in one way: no two participants share one.
    fn name(&self) -> Option<String> {
        self.decoded().filter(|name| Self::named(name).as_ref() == Ok(self))
    }

    fn decoded(&self) -> Option<String> {
        let text = self.0.strip_prefix(NAMED)?;
        let mut bytes = Vec::with_capacity(text.len());
        let mut rest = text.bytes();
        while let Some(byte) = rest.next() {
            bytes.push(if byte == b'%' {
                let (high, low) = (rest.next()?, rest.next()?);
                let digit = |it: u8| char::from(it).to_digit(16);
                u8::try_from(digit(high)? * 16 + digit(low)?).ok()?
            } else {
                byte
            });
        }
        String::from_utf8(bytes).ok()
    }

    /// Where a `did:web` document lies, without the scheme: `host[:port]/.well-known/did.json` (did:web §3.2).
    pub fn document_location(&self) -> Option<String> {
        let id = self.0.strip_prefix("did:web:")?;
        let mut parts = id.split(':');
        let host = parts.next()?.replace("%3A", ":").replace("%3a", ":");
        let path: Vec<&str> = parts.collect();
        if host.is_empty()
            || host.contains('%')
            || path.iter().any(|p| p.is_empty() || p.contains('%') || *p == ".." || *p == ".")
        {
            return None;
        }
        Some(if path.is_empty() {
            format!("{host}/.well-known/did.json")
        } else {
            format!("{host}/{}/did.json", path.join("/"))
        })
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As a party of a policy is named; a DID's alphabet is within an id's.
    pub fn to_id(&self) -> Id {
        let named = self.name().and_then(|it| Id::parse(&it).ok());
        named.unwrap_or_else(|| Id::of_did(&self.0))
    }
}

const NAMED: &str = "did:named:";

impl fmt::Display for Did {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Did {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a DID, for example did:web:plant.example")]
pub struct BadDid;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_documents_lie() {
        for (did, location) in [
            ("did:web:localhost%3A8443", Some("localhost:8443/.well-known/did.json")),
            ("did:web:plant.example", Some("plant.example/.well-known/did.json")),
            ("did:web:plant.example:unit:a", Some("plant.example/unit/a/did.json")),
            ("did:web:plant.example:..:a", None),
            ("did:key:z6Mk", None),
        ] {
            assert_eq!(Did::parse(did).unwrap().document_location().as_deref(), location, "{did}");
        }
    }

    #[test]
    fn plain_names_come_back() {
        for name in ["TCK_PARTICIPANT", "urn:connector:a/b?c", "某某公司", "100%"] {
            let did = Did::named(name).unwrap();
            assert_eq!(Did::parse(did.as_str()).as_ref(), Ok(&did));
            assert_eq!(did.to_id().as_str(), name);
            assert_eq!(did.document_location(), None);
        }
        for bad in ["", "two words", "\n", "did:x:y"] {
            assert_eq!(Did::named(bad), Err(BadDid), "{bad:?}");
        }
        for odd in [
            "did:named:%",
            "did:named:%4",
            "did:named:%zz",
            "did:named:%ff",
            "did:named:%20",
            "did:named:%61",
            "did:named:did%3Aweb%3Aa",
        ] {
            let did = Did::parse(odd).unwrap();
            assert_eq!(did.to_id().as_str(), odd);
        }
    }

    #[test]
    fn refuses_what_is_no_did() {
        for bad in [
            "",
            "did:",
            "did:web:",
            "web:a",
            "did:WEB:a",
            "did:web:a b",
            "did:web:a:",
            "did:web:a/b",
            "did:web:a?b",
        ] {
            assert_eq!(Did::parse(bad), Err(BadDid), "{bad}");
        }
    }
}
