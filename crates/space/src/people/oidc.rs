//! What an identity provider says (OpenID Connect Core 1.0, Discovery 1.0): read with bounds, and judged.
//!
//! Never verifies a signature and never fetches: the shell does, and hands over what was signed. Threat model: the
//! provider's documents come from outside; tokens may be those of another provider (mix-up), of another client, of
//! another sign-in (replay), old, unsigned, or signed with a secret that the attacker knows (`HS256` under a public key).

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::role::Role;
use crate::fault::Fault;
use crate::identity::token::date;
use crate::limits::{
    CLOCK_SKEW, MESSAGE_BYTES, OIDC_AUDIENCES, OIDC_KEYS, OIDC_VALUES, TITLE_BYTES, TOKEN_BYTES,
};
use crate::time::Time;

/// Signatures of ID tokens that are taken: asymmetric ones alone.
pub const ALGORITHMS: [&str; 3] = ["RS256", "ES256", "EdDSA"];

/// Where a provider is found, as its discovery document says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provider {
    pub authorization: String,
    pub token: String,
    pub keys: String,
    /// RFC 9207: answers name their issuer.
    pub names_issuer: bool,
}

/// Claims of an ID token.
#[derive(Clone, Debug, PartialEq)]
pub struct Claims {
    pub issuer: String,
    pub subject: String,
    pub audience: Vec<String>,
    /// `azp`
    pub party: Option<String>,
    pub issued: Time,
    pub expires: Time,
    pub begins: Option<Time>,
    pub nonce: Option<String>,
    pub all: Map<String, Value>,
}

/// What this sign-in expects.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    pub issuer: &'a str,
    pub client: &'a str,
    pub nonce: &'a str,
}

fn bad(why: impl std::fmt::Display) -> Fault {
    Fault::misbehaved("oidc.malformed", format!("the identity provider's document: {why}"))
}

fn object(bytes: &[u8], most: usize) -> Result<Map<String, Value>, Fault> {
    if bytes.len() > most {
        return Err(bad("too long"));
    }
    match tidm_crypto::jcs::parse(bytes) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) | Err(_) => Err(bad("no JSON object, or a name twice")),
    }
}

fn text(map: &Map<String, Value>, name: &str) -> Result<Option<String>, Fault> {
    match map.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(it)) if it.len() <= TITLE_BYTES => Ok(Some(it.clone())),
        Some(_) => Err(bad(format!("{name} is no short text"))),
    }
}

fn must(map: &Map<String, Value>, name: &str) -> Result<String, Fault> {
    text(map, name)?.filter(|it| !it.is_empty()).ok_or_else(|| bad(format!("{name} is missing")))
}

/// Reads a discovery document. Discovery 1.0 §4.3: its issuer is exactly the one that was asked.
pub fn provider(bytes: &[u8], issuer: &str) -> Result<Provider, Fault> {
    let map = object(bytes, MESSAGE_BYTES)?;
    if must(&map, "issuer")? != issuer {
        return Err(Fault::denied("oidc.issuer", "iss", "the provider calls itself otherwise"));
    }
    Ok(Provider {
        authorization: must(&map, "authorization_endpoint")?,
        token: must(&map, "token_endpoint")?,
        keys: must(&map, "jwks_uri")?,
        names_issuer: map.get("authorization_response_iss_parameter_supported")
            == Some(&Value::Bool(true)),
    })
}

/// Keys of a provider, unread but bounded.
pub fn keys(bytes: &[u8]) -> Result<Vec<Value>, Fault> {
    match object(bytes, MESSAGE_BYTES)?.remove("keys") {
        Some(Value::Array(keys)) if keys.len() <= OIDC_KEYS => Ok(keys),
        Some(_) | None => Err(bad(format!("keys is no list of at most {OIDC_KEYS}"))),
    }
}

/// The ID token in the answer of a token endpoint.
pub fn id_token(bytes: &[u8]) -> Result<String, Fault> {
    match object(bytes, MESSAGE_BYTES)?.remove("id_token") {
        Some(Value::String(it)) if it.len() <= TOKEN_BYTES => Ok(it),
        Some(_) | None => Err(bad("it holds no ID token")),
    }
}

/// Reads the payload of an ID token.
pub fn claims(payload: &[u8]) -> Result<Claims, Fault> {
    let all = object(payload, TOKEN_BYTES)?;
    let audience = match all.get("aud") {
        Some(Value::String(one)) => vec![one.clone()],
        Some(Value::Array(many)) if many.len() <= OIDC_AUDIENCES => many
            .iter()
            .map(|it| it.as_str().map(str::to_owned).ok_or_else(|| bad("aud holds no text")))
            .collect::<Result<_, _>>()?,
        Some(_) | None => return Err(bad("aud is missing")),
    };
    let time = |name: &str| date(&all, name).ok_or_else(|| bad(format!("{name} is no time")));
    Ok(Claims {
        issuer: must(&all, "iss")?,
        subject: must(&all, "sub")?,
        audience,
        party: text(&all, "azp")?,
        issued: time("iat")?,
        expires: time("exp")?,
        begins: all.contains_key("nbf").then(|| time("nbf")).transpose()?,
        nonce: text(&all, "nonce")?,
        all,
    })
}

/// OpenID Connect Core 1.0 §3.1.3.7.
pub fn check(it: &Claims, expected: &Expected<'_>, now: Time) -> Result<(), Fault> {
    let no = |code: &'static str, claim: &str, why: &str| Err(Fault::denied(code, claim, why));
    if it.issuer != expected.issuer {
        return no("oidc.issuer", "iss", "the token is of another provider");
    }
    if !it.audience.iter().any(|aud| aud == expected.client) {
        return no("oidc.audience", "aud", "the token is meant for another client");
    }
    // Steps 4 and 5: more audiences need a party, and a party is us.
    if it.audience.len() > 1 && it.party.is_none()
        || it.party.as_ref().is_some_and(|party| party != expected.client)
    {
        return no("oidc.audience", "azp", "the token was issued to another client");
    }
    if now >= it.expires.after(CLOCK_SKEW) {
        return no("oidc.time", "exp", "the token has expired");
    }
    if it.issued > now.after(CLOCK_SKEW) || it.begins.is_some_and(|at| at > now.after(CLOCK_SKEW)) {
        return no("oidc.time", "iat", "the token is not valid yet: compare the clocks");
    }
    let nonce = it.nonce.as_deref().unwrap_or_default();
    if nonce.is_empty() || !tidm_crypto::secret::ct_eq(nonce.as_bytes(), expected.nonce.as_bytes())
    {
        return no("oidc.nonce", "nonce", "the token belongs to another sign-in");
    }
    Ok(())
}

/// A role that follows from a claim: `groups:quality=analyst`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    pub claim: String,
    pub value: String,
    pub role: Role,
}

impl Mapping {
    pub fn parse(text: &str) -> Option<Self> {
        let (claimed, role) = text.rsplit_once('=')?;
        let (claim, value) = claimed.split_once(':')?;
        if claim.is_empty() || value.is_empty() {
            return None;
        }
        let role = Role::from_word(role.trim())?;
        Some(Self { claim: claim.trim().to_owned(), value: value.trim().to_owned(), role })
    }

    fn fits(&self, claims: &Map<String, Value>) -> bool {
        match claims.get(&self.claim) {
            Some(Value::String(one)) => *one == self.value,
            Some(Value::Array(many)) => {
                many.iter().take(OIDC_VALUES).any(|it| it.as_str() == Some(&self.value))
            }
            Some(_) | None => false,
        }
    }
}

/// The roles that these claims bring. Under separation a provider makes nobody an administrator: that would be a
/// second hand that grants rights.
pub fn roles(all: &Map<String, Value>, mappings: &[Mapping], separation: bool) -> BTreeSet<Role> {
    let fitting = mappings.iter().filter(|it| it.fits(all)).map(|it| it.role);
    fitting.filter(|it| !(separation && it.is_administrator())).collect()
}
