//! The test profile of DCP: several identities on one node, a token service and a trigger, for the test kit.
//!
//! Threat model: this signs tokens for whoever knows a secret and issues test credentials to anybody. It is
//! there only where the configuration names identities for it **and** the operator allowed a test profile
//! on the command line; on other nodes these paths do not exist. The identities share the node's key but
//! have DIDs of their own, so nothing they sign is ever the node's own.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Extension, Router};
use serde_json::json as document;

use tidm_crypto::secret::ct_eq;
use tidm_space::fault::Fault;
use tidm_space::identity::credential::MEMBERSHIP;
use tidm_space::identity::did::Did;
use tidm_space::identity::presentation::scope::Scope;

use super::{Me, refusal};
use crate::app::App;
use crate::identity::Identity;
use crate::init::DID_DOCUMENT;
use crate::server::answer::json;

/// Credentials that an identity of the test profile issues.
pub(super) const KINDS: [&str; 2] = [MEMBERSHIP, "SensitiveDataCredential"];

type Shared = State<Arc<App>>;

/// Routes of all identities of the test profile, below the public URL.
pub fn routes(app: &App) -> Router<Arc<App>> {
    let mut all = Router::new();
    for me in &app.actors {
        let own = super::routes(me.clone()).merge(
            Router::new()
                .route(&format!("/{DID_DOCUMENT}"), get(did_document))
                .route("/trigger", post(trigger))
                .layer(Extension(Me(me.clone()))),
        );
        let name = me.public_url.rsplit('/').next().unwrap_or_default();
        all = all.nest(&format!("/{name}"), own);
    }
    if !app.actors.is_empty() {
        all = all.route("/sts/token", post(token));
    }
    all
}

/// An identity of the test profile lies on a path below the node's own address.
pub(super) fn is_test(me: &Identity) -> bool {
    me.did.as_str().trim_start_matches("did:web:").contains(':')
}

async fn did_document(Extension(Me(me)): Extension<Me>) -> Response {
    json(StatusCode::OK, me.document().to_string())
}

/// A protected resource: whoever proves a membership with this very call may have it.
async fn trigger(
    State(app): Shared,
    Extension(Me(me)): Extension<Me>,
    headers: HeaderMap,
) -> Response {
    let shown = async {
        let who = super::caller(&app, &me, &headers).await?;
        let access = who.access.ok_or_else(|| {
            Fault::denied("token.access", "identity", "the token carries no access token")
        })?;
        app.claims.present(&app, &me, &who.did, &access, &[Scope::kind(MEMBERSHIP)]).await
    };
    match shown.await {
        Ok(_) => json(StatusCode::OK, "{}"),
        Err(error) => refusal(error),
    }
}

/// OAuth 2 client credentials (DCP §4.3.2): the client's id names the identity, the secret is one for all.
async fn token(State(app): Shared, body: Bytes) -> Response {
    match issue_token(&app, &body) {
        Ok(token) => {
            let body = document!({"access_token": token, "token_type": "Bearer", "expires_in": 60});
            let mut answer = json(StatusCode::OK, body.to_string());
            answer
                .headers_mut()
                .insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
            answer
        }
        Err(why) => {
            tracing::info!(why, "the token service refused");
            json(StatusCode::BAD_REQUEST, document!({"error": "invalid_request"}).to_string())
        }
    }
}

fn issue_token(app: &App, body: &[u8]) -> Result<String, &'static str> {
    let body = std::str::from_utf8(body).map_err(|_| "not text")?;
    // A form is written as a query is.
    let form = reqwest::Url::parse(&format!("http://localhost/?{body}")).map_err(|_| "no form")?;
    let field = |name: &str| {
        form.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    };
    if field("grant_type").as_deref() != Some("client_credentials") {
        return Err("another grant");
    }
    let secret = field("client_secret").unwrap_or_default();
    let known = app.sts_secret.as_ref().ok_or("no secret is set")?;
    if !ct_eq(secret.as_bytes(), known.expose().as_bytes()) {
        return Err("another secret");
    }
    let name = field("client_id").unwrap_or_default();
    let me = app
        .actors
        .iter()
        .find(|it| it.public_url.rsplit('/').next() == Some(name.as_str()))
        .ok_or("another client")?;
    let audience = field("audience").and_then(|it| Did::parse(&it).ok()).ok_or("no audience")?;
    let scopes = field("bearer_access_scope").unwrap_or_default();
    let scopes =
        Scope::parse_all(scopes.split_whitespace()).map_err(|_| "scopes are not understood")?;
    Ok(me.token(&audience, Some(&scopes), &app.clock))
}
