//! Who calls, and how we name ourselves: one file for every way in which peers prove who they are.
//!
//! [`Gate`] is the mode of this node (`identity.mode`). `did`: self-issued tokens in DCP's own shape. `development`:
//! besides those, plain JSON claims and fixed tokens of connectors under test, which prove nothing or little.
//!
//! Threat model: a forged, replayed, expired or misdirected token opens nothing. Audience, lifetime
//! (≤ 60 s) and signature are checked against the sender's `did:web` document, membership against the
//! space's signed list; the token id is used up in the transaction that acts on the message. A plain claim can be
//! written by anybody: the configuration accepts it on a loopback listener alone, and a node in development mode says
//! so in its log, in `/api/v1/info` and wherever it is asked who it is. A fixed token is a password: compared by
//! digest, kept in a file of its own.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use serde_json::{Value, json};

use tidm_crypto::hash::{Digest, sha256};
use tidm_crypto::jws;
use tidm_crypto::secret::Secret;
use tidm_crypto::sign::VerifyingKey;
use tidm_space::fault::Fault;
use tidm_space::identity::did::{BadDid, Did};
use tidm_space::identity::token;
use tidm_space::limits::TOKEN_BYTES;

use super::claims;
use super::directory::Directory;
use crate::app::App;
use crate::clock::Clock;
use crate::config::Mode;
use crate::identity::Identity;
use crate::store::writer::Token;

/// A file of fixed tokens is written by hand.
const TOKENS_FILE_BYTES: u64 = 64 << 10;

/// An authenticated peer.
#[derive(Clone, Debug)]
pub struct Caller {
    pub did: Did,
    /// What its signatures are checked with; a peer that only claims a name has none.
    pub key: Option<VerifyingKey>,
    /// The token it used, which is still to be used up; fixed tokens and claims are not.
    pub token: Option<Token>,
}

/// How peers prove who they are.
#[derive(Debug)]
pub enum Gate {
    Did,
    /// A membership credential takes the place of the member list ([`super::claims`]).
    Dcp,
    Development(Development),
}

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

impl Gate {
    pub fn open(mode: &Mode) -> anyhow::Result<Self> {
        Ok(match mode {
            Mode::Did => Self::Did,
            Mode::Dcp => Self::Dcp,
            Mode::Development { claims, tokens } => {
                let tokens = tokens.as_deref().map(read_tokens).transpose()?.unwrap_or_default();
                Self::Development(Development { claims: *claims, tokens })
            }
        })
    }

    /// As the configuration names it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Did => "did",
            Self::Dcp => "dcp",
            Self::Development(_) => "development",
        }
    }

    /// What everybody who looks at this node must know about its mode.
    pub fn banner(&self) -> Option<&'static str> {
        match self {
            Self::Did | Self::Dcp => None,
            Self::Development(_) => Some(
                "DEVELOPMENT IDENTITY: peers are believed without proof; never use this node with real data \
                 / 开发身份模式:对等方身份未经证明,切勿用于真实数据",
            ),
        }
    }

    /// Checks an `Authorization` value. Every failure reads the same to the caller; the log says which it was.
    pub async fn check(&self, authorization: Option<&str>, app: &App) -> Result<Caller, Fault> {
        let (me, directory, clock) = (&app.identity.did, &app.directory, &app.clock);
        if matches!(self, Self::Dcp) {
            let it = claims::identify(authorization, me, directory, clock).await?;
            app.claims.member(app, &it.did, it.access.as_deref()).await?;
            return Ok(Caller { did: it.did, key: Some(it.key), token: Some(it.token) });
        }
        let value = authorization.ok_or_else(|| refused("no Authorization"))?;
        if let Self::Development(it) = self
            && let Some(did) = it.peer(without_scheme(value))
        {
            return Ok(Caller { did, key: None, token: None });
        }
        self_issued(without_scheme(value), me, directory, clock).await
    }
}

/// Whether somebody who proves itself in another way is a member: on the list, or remembered from a credential.
pub async fn member(app: &App, peer: &Did) -> Result<(), Fault> {
    match app.gate {
        Gate::Dcp => app.claims.member(app, peer, None).await,
        Gate::Did | Gate::Development(_) => app.directory.member(peer),
    }
}

/// The value of the `Authorization` header of one request to `to`.
pub fn speak(app: &App, to: &Did) -> String {
    if let Gate::Development(it) = &app.gate
        && app.directory.member(to).is_err()
    {
        return it.speak(&app.identity.did, to);
    }
    bearer(&app.identity, to, &app.clock)
}

/// [`mint`] as the header says it.
pub fn bearer(identity: &Identity, audience: &Did, clock: &Clock) -> String {
    format!("Bearer {}", mint(identity, audience, clock))
}

/// A self-issued token for one request to `audience`.
pub fn mint(identity: &Identity, audience: &Did, clock: &Clock) -> String {
    identity.bearer(audience, clock)
}

/// The scheme is `Bearer`, in whatever case, or left out (DSP §4.3 leaves the value to the overlay).
fn without_scheme(value: &str) -> &str {
    let value = value.trim();
    match value.split_once(' ') {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("bearer") => rest.trim(),
        Some(_) | None => value,
    }
}

async fn self_issued(
    value: &str,
    me: &Did,
    directory: &Arc<Directory>,
    clock: &Clock,
) -> Result<Caller, Fault> {
    let parsed = jws::Unverified::parse(value).map_err(|_| refused("not a compact JWS"))?;
    let claims =
        token::parse(parsed.unproven_payload()).map_err(|_| refused("not a self-issued token"))?;
    let checked = token::check(&claims, me, clock.now())?;
    directory.member(&checked.from)?;
    let key = directory.key(&checked.from, parsed.header.kid.as_deref()).await?;
    parsed.verify(&key).map_err(|_| refused("its signature does not verify"))?;
    Ok(Caller {
        did: checked.from.clone(),
        key: Some(key),
        token: Some(Token { issuer: checked.from, jti: checked.jti, until: checked.until }),
    })
}

impl Development {
    /// Whom a fixed token or a plain claim names.
    fn peer(&self, value: &str) -> Option<Did> {
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
    fn speak(&self, me: &Did, to: &Did) -> String {
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

fn refused(why: &str) -> Fault {
    Fault::denied("token.refused", "token", why)
}

#[cfg(test)]
mod tests {
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
