//! The token renewal profile: a pull's access token is exchanged for a fresh one (RFC 6749 §6).
//!
//! Threat model: a stolen refresh token is worth nothing to whom it was not given: it is bound to the consumer's
//! DID, and the call is authenticated by a token that this DID signed, which names the access token to replace,
//! is meant for the provider, lives ten minutes at most and is used once. Both tokens are replaced together, so
//! a second use of a refresh token finds nothing. Every refusal reads the same; the log says which it was.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;

use tidm_crypto::hash::sha256;
use tidm_crypto::jws;
use tidm_crypto::secret::ct_eq;
use tidm_space::dataflow::message::Plane;
use tidm_space::dataflow::state::Flow;
use tidm_space::fault::Fault;
use tidm_space::id::Id;
use tidm_space::identity::did::Did;
use tidm_space::identity::token::{self, Claims};
use tidm_space::limits::{CLOCK_SKEW, RENEWAL_LIFE};
use tidm_space::time::Time;

use super::bytes::Tokens;
use super::store;
use crate::app::App;
use crate::server::answer::json;
use crate::server::data::bearer;
use crate::store::writer::{Token, WorkError};

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/flows/{id}/token", post(renew))
}

async fn renew(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    match try_renew(&app, &id, &headers, &body).await {
        Ok(tokens) => {
            let body = serde_json::json!({
                "access_token": tokens.access,
                "token_type": "Bearer",
                "expires_in": tokens.seconds,
                "refresh_token": tokens.refresh,
            });
            let mut answer = json(StatusCode::OK, body.to_string());
            let no_store = header::HeaderValue::from_static("no-store");
            answer.headers_mut().insert(header::CACHE_CONTROL, no_store);
            answer
        }
        Err(WorkError::Fault(fault)) => {
            tracing::info!(code = fault.code(), %fault, "refused to renew a token");
            let later = matches!(fault, Fault::Unavailable { .. });
            let status =
                if later { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::BAD_REQUEST };
            json(status, r#"{"error":"invalid_grant"}"#)
        }
        Err(error) => {
            tracing::error!(%error, "a token could not be renewed");
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
    }
}

async fn try_renew(
    app: &App,
    id: &str,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Tokens, WorkError> {
    let id = Id::parse(id).map_err(|_| refused("no such flow"))?;
    let flow = app.store.flow(&id).await.map_err(store)?;
    let flow = flow.filter(|it| it.plane == Plane::Data && it.is_open());
    let flow = flow.ok_or_else(|| refused("no such flow"))?;
    let row = app.store.flow_token(&id).await.map_err(store)?;
    let (Some(row), Some(presented)) = (row, refresh_token(body)) else {
        return Err(refused("no refresh token").into());
    };
    let Some(kept) = row.refresh else { return Err(refused("not renewable").into()) };
    if !ct_eq(kept.as_bytes(), sha256(presented.as_bytes()).as_bytes()) {
        return Err(refused("another refresh token").into());
    }
    let bearer = bearer(headers).ok_or_else(|| refused("no client authentication"))?;
    let parsed = jws::Unverified::parse(bearer).map_err(|_| refused("not a compact JWS"))?;
    let claims = token::parse(parsed.unproven_payload())?;
    let (client, until) = check(&claims, &flow, app.clock.now())?;
    let access = claims.token.as_deref().unwrap_or_default();
    if !ct_eq(row.token.as_bytes(), sha256(access.as_bytes()).as_bytes()) {
        return Err(refused("it names another access token").into());
    }
    let key = app.directory.key(&client, parsed.header.kid.as_deref()).await?;
    parsed.verify(&key).map_err(|_| refused("its signature does not verify"))?;
    let jti = Id::parse(&claims.jti).map_err(|_| refused("its jti is no id"))?;
    app.writer.remember(Token { issuer: client, jti, until }).await?;
    Tokens::fresh(app, &flow).await
}

/// RFC 6749 §6: `grant_type=refresh_token&refresh_token=…`, form-encoded.
fn refresh_token(body: &[u8]) -> Option<String> {
    let mut granted = false;
    let mut token = None;
    for (name, value) in form_urlencoded::parse(body) {
        match &*name {
            "grant_type" => granted = value == "refresh_token",
            "refresh_token" if token.is_none() => token = Some(value.into_owned()),
            // "parameters MUST NOT be included more than once"
            "refresh_token" => return None,
            _ => {}
        }
    }
    token.filter(|_| granted)
}

/// Who signed for this renewal, as far as its claims tell: its signature is still to be checked.
fn check(it: &Claims, flow: &Flow, now: Time) -> Result<(Did, Time), Fault> {
    let bound = flow.terms.counterparty.as_str();
    let meant = matches!(it.aud.as_slice(), [one] if one == flow.terms.participant.as_str());
    for (holds, why) in [
        (it.iss == it.sub, "iss and sub differ"),
        (it.iss == bound, "the refresh token is bound to another participant"),
        (meant, "it is meant for somebody else"),
        (it.exp > now, "it has expired"),
        (it.exp.since(it.iat) <= RENEWAL_LIFE, "it lives too long"),
        (it.iat <= now.after(CLOCK_SKEW), "it begins in the future"),
        (it.nbf.is_none_or(|it| it <= now.after(CLOCK_SKEW)), "it begins in the future"),
    ] {
        if !holds {
            return Err(refused(why));
        }
    }
    let client = Did::parse(&it.iss).map_err(|_| refused("its issuer is no DID"))?;
    Ok((client, it.exp))
}

fn refused(why: &str) -> Fault {
    Fault::denied("token.refused", "token", why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_refresh_token_in_a_form_of_its_grant_counts() {
        for (body, token) in [
            ("grant_type=refresh_token&refresh_token=a%2Bb", Some("a+b")),
            ("refresh_token=a&grant_type=refresh_token", Some("a")),
            ("refresh_token=a", None),
            ("grant_type=password&refresh_token=a", None),
            ("grant_type=refresh_token", None),
            ("grant_type=refresh_token&refresh_token=a&refresh_token=b", None),
            ("", None),
        ] {
            assert_eq!(refresh_token(body.as_bytes()).as_deref(), token, "{body}");
        }
        assert_eq!(
            refresh_token(b"grant_type=refresh_token&refresh_token=%ff%fe\xff"),
            Some("\u{fffd}\u{fffd}\u{fffd}".to_owned())
        );
    }
}
