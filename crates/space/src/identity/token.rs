//! Claims of a DCP self-issued ID token (DCP §4.3): who calls, whom they mean, for how long.
//!
//! Never checks a signature: the shell verifies the JWS first ([`tidm_crypto::jws`]) and hands the payload over.
//! Threat model: the payload is the peer's; a replay is caught by remembering [`Checked::jti`] until [`Checked::until`].

use std::time::Duration;

use serde_json::{Map, Value as Json};

use crate::fault::Fault;
use crate::id::Id;
use crate::identity::did::Did;
use crate::limits::{CLOCK_SKEW, TOKEN_BYTES, TOKEN_LIFE};
use crate::time::Time;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    pub iss: String,
    pub sub: String,
    /// RFC 7519 allows several; [`check`] allows one.
    pub aud: Vec<String>,
    pub jti: String,
    pub iat: Time,
    pub exp: Time,
    pub nbf: Option<Time>,
    /// DCP: the access token for the caller's credential service.
    pub token: Option<String>,
    pub scope: Option<String>,
}

/// Proven about one call, once its signature was verified with a key of `from`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    pub from: Did,
    /// Must be new for `from`; the store remembers it until `until`.
    pub jti: Id,
    pub until: Time,
}

/// Reads a JWT payload.
pub fn parse(payload: &[u8]) -> Result<Claims, Fault> {
    let bad =
        |why: &str| Fault::misbehaved("token.malformed", format!("the token's claims: {why}"));
    if payload.len() > TOKEN_BYTES {
        return Err(bad("too long"));
    }
    let json: Json =
        tidm_crypto::jcs::parse(payload).map_err(|_| bad("not JSON, or a name twice"))?;
    let map = json.as_object().ok_or_else(|| bad("no JSON object"))?;
    let text = |key: &str| match map.get(key) {
        Some(Json::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(bad(&format!("{key} is no string"))),
        None => Ok(None),
    };
    let must = |key: &str| {
        text(key)?.filter(|t| !t.is_empty()).ok_or_else(|| bad(&format!("{key} is missing")))
    };
    let aud = match map.get("aud") {
        Some(Json::String(one)) => vec![one.clone()],
        Some(Json::Array(all)) => {
            let all: Option<Vec<String>> =
                all.iter().map(|v| v.as_str().map(str::to_owned)).collect();
            all.ok_or_else(|| bad("aud holds something that is no string"))?
        }
        _ => return Err(bad("aud is missing")),
    };
    Ok(Claims {
        iss: must("iss")?,
        sub: must("sub")?,
        aud,
        jti: must("jti")?,
        iat: date(map, "iat").ok_or_else(|| bad("iat is no time"))?,
        exp: date(map, "exp").ok_or_else(|| bad("exp is no time"))?,
        nbf: match map.get("nbf") {
            Some(_) => Some(date(map, "nbf").ok_or_else(|| bad("nbf is no time"))?),
            None => None,
        },
        token: text("token")?,
        scope: text("scope")?,
    })
}

/// RFC 7519 NumericDate: seconds, possibly with a fraction. Fractions round down, which only shortens.
pub(crate) fn date(map: &Map<String, Json>, key: &str) -> Option<Time> {
    let number = map.get(key)?.as_number()?;
    let seconds = match number.as_i64() {
        Some(whole) => whole,
        None => number.to_string().split_once('.')?.0.parse().ok()?,
    };
    (seconds >= 0).then(|| Time::from_ms(seconds.saturating_mul(1000)))
}

/// DCP §4.3.3, and our own bounds on life and clocks: a call between nodes takes seconds.
pub fn check(it: &Claims, expected_aud: &Did, now: Time) -> Result<Checked, Fault> {
    check_within(it, expected_aud, now, TOKEN_LIFE)
}

/// As [`check`], for tokens that may live up to `life`.
pub fn check_within(
    it: &Claims,
    expected_aud: &Did,
    now: Time,
    life: Duration,
) -> Result<Checked, Fault> {
    let no = |code: &'static str, why: &str| Err(Fault::denied(code, "identity", why));
    if it.iss != it.sub {
        return no("token.subject", "iss and sub differ: the token is not self-issued");
    }
    if it.aud.len() != 1 || it.aud.first().is_none_or(|aud| aud != expected_aud.as_str()) {
        return no("token.audience", "the token is meant for somebody else, or for several");
    }
    if it.exp < it.iat || it.exp.since(it.iat) > life {
        return no("token.life", "the token lives longer than allowed, or ends before it begins");
    }
    if it.iat > now.after(CLOCK_SKEW) || it.nbf.is_some_and(|nbf| nbf > now.after(CLOCK_SKEW)) {
        return no("token.future", "the token begins in the future: compare the clocks");
    }
    if it.exp <= now {
        return no("token.expired", "the token has expired");
    }
    let from =
        Did::parse(&it.iss).map_err(|_| Fault::misbehaved("token.issuer", "iss is no DID"))?;
    let jti = Id::parse(&it.jti).map_err(|why| Fault::misbehaved("token.jti", why.to_string()))?;
    // Once past `exp` the token is refused as expired, so nothing need be remembered longer.
    Ok(Checked { from, jti, until: it.exp })
}

/// The claims of a call of ours; `jti` must be fresh. Lives as long as [`TOKEN_LIFE`] allows.
pub fn mint(from: &Did, to: &Did, jti: &Id, now: Time) -> Json {
    serde_json::json!({
        "iss": from.as_str(),
        "sub": from.as_str(),
        "aud": to.as_str(),
        "jti": jti.as_str(),
        "iat": now.seconds(),
        "exp": now.seconds().saturating_add(i64::try_from(TOKEN_LIFE.as_secs()).unwrap_or(0)),
    })
}

/// As [`mint`], with an access token to our wallet (DCP §4.3.1).
pub fn mint_with(from: &Did, to: &Did, jti: &Id, now: Time, access: &str) -> Json {
    let mut claims = mint(from, to, jti, now);
    if let Some(map) = claims.as_object_mut() {
        map.insert("token".to_owned(), access.into());
    }
    claims
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn did(name: &str) -> Did {
        Did::parse(&format!("did:web:{name}")).unwrap()
    }

    #[test]
    fn our_own_tokens_pass_once_checked() {
        let now = Time::parse("2026-06-30T00:00:00.900Z").unwrap();
        let jti = Id::parse("urn:uuid:1").unwrap();
        let claims = parse(mint(&did("a"), &did("b"), &jti, now).to_string().as_bytes()).unwrap();
        let checked = check(&claims, &did("b"), now).unwrap();
        assert_eq!(
            (checked.from, checked.jti, checked.until),
            (did("a"), jti, Time::from_ms(now.seconds() * 1000 + 60_000))
        );
    }

    #[test]
    fn each_rule_refuses_with_its_code() {
        let good = json!({"iss": "did:web:a", "sub": "did:web:a", "aud": "did:web:b", "jti": "1", "iat": 1000, "exp": 1060});
        let now = Time::from_ms(1_000_000);
        let later = |s: u64| now.after(Duration::from_secs(s));
        for (change, at, code) in [
            (json!({}), now, None),
            (json!({"aud": ["did:web:b"]}), now, None),
            (json!({"iat": 1005, "exp": 1065}), now, None),
            (json!({"iat": 1000.5}), now, None),
            (json!({}), later(59), None),
            (json!({}), later(60), Some("token.expired")),
            (json!({"sub": "did:web:c"}), now, Some("token.subject")),
            (json!({"aud": "did:web:c"}), now, Some("token.audience")),
            (json!({"aud": "did:web:b:x"}), now, Some("token.audience")),
            (json!({"aud": ["did:web:b", "did:web:c"]}), now, Some("token.audience")),
            (json!({"aud": ["did:web:b", "did:web:b"]}), now, Some("token.audience")),
            (json!({"aud": []}), now, Some("token.audience")),
            (json!({"aud": null}), now, Some("token.malformed")),
            (json!({"exp": 1061}), now, Some("token.life")),
            (json!({"exp": 999}), now, Some("token.life")),
            (json!({"exp": 9.0e300}), now, Some("token.malformed")),
            (json!({"exp": i64::MAX}), now, Some("token.life")),
            (json!({"iat": 1006, "exp": 1066}), now, Some("token.future")),
            (json!({"nbf": 1006}), now, Some("token.future")),
            (json!({"iat": -1}), now, Some("token.malformed")),
            (json!({"iat": "1000"}), now, Some("token.malformed")),
            (json!({"jti": ""}), now, Some("token.malformed")),
            (json!({"jti": "a b"}), now, Some("token.jti")),
            (json!({"iss": "a", "sub": "a"}), now, Some("token.issuer")),
            (json!({"token": 5}), now, Some("token.malformed")),
        ] {
            let mut claims = good.clone();
            for (key, value) in change.as_object().unwrap() {
                claims[key] = value.clone();
            }
            let got = parse(claims.to_string().as_bytes()).and_then(|it| check(&it, &did("b"), at));
            assert_eq!(got.as_ref().err().map(Fault::code), code, "{claims} at {at}");
        }
    }

    #[test]
    fn longer_lives_and_access_tokens_are_for_those_who_allow_them() {
        let now = Time::from_ms(1_000_000);
        let (a, b, jti) = (did("a"), did("b"), Id::parse("1").unwrap());
        let mut claims = mint_with(&a, &b, &jti, now, "opaque");
        claims["exp"] = json!(1600);
        let claims = parse(claims.to_string().as_bytes()).unwrap();
        assert_eq!(claims.token.as_deref(), Some("opaque"));
        assert_eq!(check(&claims, &b, now).unwrap_err().code(), "token.life");
        let checked = check_within(&claims, &b, now, Duration::from_secs(600)).unwrap();
        assert_eq!(checked.until, Time::from_ms(1_600_000), "remembered as long as it lives");
    }

    #[test]
    fn nasty_payloads_are_refused() {
        for nasty in
            [&b""[..], b"[]", b"null", b"{", b"\xff\xff", b"{}", "[".repeat(10_000).as_bytes()]
        {
            assert_eq!(parse(nasty).unwrap_err().code(), "token.malformed");
        }
    }
}
