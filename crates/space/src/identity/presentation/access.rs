//! The access token of our wallet: which verifier may read which credentials, for some minutes (DCP §4.3.1).
//!
//! Opaque to others; to us it is a JWT of our own with a `typ` of its own, so that no other signed thing
//! can be taken for it. Bound to the verifier's DID: a token that leaks opens nothing for anybody else,
//! since the caller must prove that DID with a self-issued token too (proof of possession, DCP §5.3.1).
//! Never stored: what it grants is inside, under our signature.

use serde_json::{Value as Json, json};

use crate::fault::Fault;
use crate::id::Id;
use crate::identity::did::Did;
use crate::identity::presentation::scope::Scope;
use crate::identity::token::{self, Claims};
use crate::limits::ACCESS_LIFE;
use crate::time::Time;

/// Keeps the token from being taken for another signed thing.
pub const TYP: &str = "tidm-access+jwt";

/// The claims of a token that lets `verifier` read `scopes` of the wallet of `holder`.
pub fn mint(holder: &Did, verifier: &Did, scopes: &[Scope], jti: &Id, now: Time) -> Json {
    let scopes: Vec<String> = scopes.iter().map(ToString::to_string).collect();
    json!({
        "iss": holder.as_str(),
        "sub": verifier.as_str(),
        "aud": holder.as_str(),
        "jti": jti.as_str(),
        "iat": now.seconds(),
        "exp": now.after(ACCESS_LIFE).seconds(),
        "scope": scopes.join(" "),
    })
}

/// What the token grants to `verifier`. The caller verified our own signature and the `typ` before.
pub fn check(payload: &[u8], holder: &Did, verifier: &Did, now: Time) -> Result<Vec<Scope>, Fault> {
    let no = |why: &str| Fault::denied("token.access", "identity", why);
    let it: Claims = token::parse(payload)?;
    if it.iss != holder.as_str() || it.aud != [holder.as_str()] {
        return Err(no("the access token is for another wallet"));
    }
    if it.sub != verifier.as_str() {
        return Err(no("the access token was given to somebody else"));
    }
    if it.exp <= now {
        return Err(no("the access token has expired"));
    }
    Scope::parse_all(it.scope.unwrap_or_default().split_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_opens_only_its_wallet_to_its_verifier_in_its_time() {
        let did = |name: &str| Did::parse(&format!("did:web:{name}")).unwrap();
        let now = Time::from_ms(1_000_000);
        let scopes = [Scope::kind("MembershipCredential"), Scope::Id("urn:uuid:1".into())];
        let payload =
            mint(&did("h"), &did("v"), &scopes, &Id::parse("j").unwrap(), now).to_string();
        let ask = |holder: &str, verifier: &str, now| {
            check(payload.as_bytes(), &did(holder), &did(verifier), now)
        };
        assert_eq!(ask("h", "v", now).unwrap(), scopes);
        for (holder, verifier, at) in
            [("x", "v", now), ("h", "x", now), ("v", "h", now), ("h", "v", now.after(ACCESS_LIFE))]
        {
            assert_eq!(ask(holder, verifier, at).unwrap_err().code(), "token.access");
        }
        assert!(check(b"{}", &did("h"), &did("v"), now).is_err());
    }
}
