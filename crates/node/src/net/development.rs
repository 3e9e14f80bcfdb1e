//! Foreign connectors under test: fixed tokens, and plain claims that anybody can write.
//!
//! Never believed but in the mode `development`.
//!
//! Threat model: a plain claim proves nothing; the configuration accepts it on a loopback listener alone. A fixed token
//! is a password: compared by digest, kept in a file of its own, shown by nothing.

use std::path::Path;

use anyhow::Context as _;
use serde_json::{Value, json};

use tidm_crypto::hash::{Digest, sha256};
use tidm_crypto::secret::Secret;
use tidm_space::identity::did::{BadDid, Did};
use tidm_space::limits::TOKEN_BYTES;

/// A file of fixed tokens is written by hand.
const TOKENS_FILE_BYTES: u64 = 64 << 10;

/// Foreign connectors under test.
#[derive(Debug, Default)]
pub struct Development {
    claims: bool,
    tokens: Vec<Fixed>,
}

/// One line of the file of tokens.
#[derive(Debug)]
struct Fixed {
    peer: Did,
    /// SHA-256 of what the peer sends.
    theirs: Digest,
    /// What we send to it.
    ours: Option<Secret<String>>,
}

/// The participant of this name: its DID, or the name itself where it has none.
pub fn participant(name: &str) -> Result<Did, BadDid> {
    Did::parse(name).or_else(|_| Did::named(name))
}

impl Development {
    pub(super) fn open(claims: bool, tokens: Option<&Path>) -> anyhow::Result<Self> {
        Ok(Self { claims, tokens: tokens.map(read_tokens).transpose()?.unwrap_or_default() })
    }

    /// Whom a fixed token or a plain claim names.
    pub(super) fn peer(&self, value: &str) -> Option<Did> {
        if value.len() > TOKEN_BYTES {
            return None;
        }
        let given = sha256(value.as_bytes());
        if let Some(known) = self.tokens.iter().find(|it| it.theirs == given) {
            return Some(known.peer.clone());
        }
        let name = self.claims.then(|| claimed(value))??;
        participant(&name).ok()
    }

    /// What names us to a peer that is no member: the token agreed on, or a plain claim.
    pub(super) fn speak(&self, me: &Did, to: &Did) -> String {
        let agreed = self.tokens.iter().find(|it| it.peer == *to).and_then(|it| it.ours.as_ref());
        match agreed {
            Some(token) => token.expose().clone(),
            None => {
                let (audience, client) = (to.to_id(), me.to_id());
                json!({"region": "any", "audience": audience.as_str(), "clientId": client.as_str()})
                    .to_string()
            }
        }
    }
}

/// The participant that a plain JSON claim names; some connectors wrap the claim as the text of a member `token`.
fn claimed(value: &str) -> Option<String> {
    let claim: Value = serde_json::from_str(value).ok()?;
    let inner = claim.get("token").and_then(Value::as_str);
    let inner: Option<Value> = inner.and_then(|it| serde_json::from_str(it).ok());
    let claim = inner.unwrap_or(claim);
    let names = ["clientId", "participantId", "client_id", "iss", "sub"];
    let named = names.into_iter().find_map(|name| claim.get(name)?.as_str())?;
    Some(named.to_owned())
}

/// Lines of `PARTICIPANT TOKEN [TOKEN-THAT-WE-SEND]`; `#` begins a comment.
fn read_tokens(path: &Path) -> anyhow::Result<Vec<Fixed>> {
    let shown = path.display();
    let bytes = std::fs::metadata(path).with_context(|| format!("the tokens {shown}"))?.len();
    anyhow::ensure!(bytes <= TOKENS_FILE_BYTES, "the tokens {shown} are larger than 64 KiB");
    let text = std::fs::read_to_string(path).with_context(|| format!("the tokens {shown}"))?;
    let mut all = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        let (name, theirs, ours) = match words.as_slice() {
            [name, theirs] => (name, theirs, None),
            [name, theirs, ours] => (name, theirs, Some(Secret::new((*ours).to_owned()))),
            _ => anyhow::bail!("{shown}, line {}: PARTICIPANT TOKEN [OUR-TOKEN]", index + 1),
        };
        let peer = participant(name)
            .with_context(|| format!("{shown}, line {}: the participant", index + 1))?;
        all.push(Fixed { peer, theirs: sha256(theirs.as_bytes()), ours });
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::super::auth::without_scheme;
    use super::*;

    fn development() -> Development {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tokens");
        std::fs::write(&path, "# test kits\nTCK secret-1\n\ndid:web:a secret-2 ours-2\n").unwrap();
        Development { claims: true, tokens: read_tokens(&path).unwrap() }
    }

    #[test]
    fn tokens_and_claims_name_their_participant() {
        let it = development();
        for (value, name) in [
            ("secret-1", Some("TCK")),
            ("Bearer secret-1", Some("TCK")),
            ("bearer secret-2", Some("did:web:a")),
            ("secret-3", None),
            ("", None),
            (r#"{"region":"any","audience":"x","clientId":"connector"}"#, Some("connector")),
            (r#"Bearer {"clientId":"did:web:b"}"#, Some("did:web:b")),
            (r#"{"token":"{\"clientId\":\"inner\"}"}"#, Some("inner")),
            (r#"{"clientId":""}"#, None),
            (r#"{"clientId":7}"#, None),
            (r#"["clientId"]"#, None),
            ("{", None),
        ] {
            let peer = it.peer(without_scheme(value));
            assert_eq!(peer.map(|it| it.to_id().to_string()).as_deref(), name, "{value}");
        }
        let strict = Development { claims: false, ..development() };
        assert_eq!(strict.peer(r#"{"clientId":"connector"}"#), None);
        let long = format!(r#"{{"clientId":"{}"}}"#, "x".repeat(TOKEN_BYTES));
        assert_eq!(it.peer(&long), None);
    }

    #[test]
    fn we_send_what_was_agreed_on() {
        let it = development();
        let (me, known) = (Did::parse("did:web:me").unwrap(), Did::parse("did:web:a").unwrap());
        assert_eq!(it.speak(&me, &known), "ours-2");
        let claim: Value =
            serde_json::from_str(&it.speak(&me, &participant("TCK").unwrap())).unwrap();
        assert_eq!((&claim["clientId"], &claim["audience"]), (&"did:web:me".into(), &"TCK".into()));
    }

    #[test]
    fn damaged_files_are_refused_by_line() {
        let dir = tempfile::tempdir().unwrap();
        for (text, told) in [("TCK\n", "line 1"), ("\nTCK a b c\n", "line 2")] {
            let path = dir.path().join("tokens");
            std::fs::write(&path, text).unwrap();
            assert!(read_tokens(&path).unwrap_err().to_string().contains(told), "{text}");
        }
        assert!(read_tokens(&dir.path().join("none")).is_err());
    }
}
