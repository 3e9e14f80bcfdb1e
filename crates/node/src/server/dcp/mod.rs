//! DCP 1.0 endpoints: our wallet (credential service) and our issuer (DCP §5, §6).
//!
//! Threat model: anybody who can make a DID may call; a caller is only ever believed to be the DID that
//! signed its token (DCP §4.3.3), each token works once, bodies are bounded, and what a stranger may learn
//! is that it was refused. Resolving a caller's DID makes us call an address of its choice: the client
//! refuses private addresses, redirects, long answers and slow ones.
//!
//! Never a rule of the data space: handlers authenticate, parse, ask the pure core and write the answer.

pub mod issuer;
pub mod testing;
pub mod wallet;

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Extension, Router};
use serde_json::json;

use tidm_space::fault::Fault;
use tidm_space::limits::MESSAGE_BYTES;
use tidm_space::wire::dcp::query::NO_DEFINITIONS;

use super::answer;
use crate::app::App;
use crate::identity::Identity;
use crate::init::{ISSUER_PATH, WALLET_PATH};
use crate::net::claims::{self, Presenter};
use crate::store::StoreError;
use crate::store::writer::WorkError;

/// Whose wallet or issuer is called.
#[derive(Clone)]
pub struct Me(pub Identity);

/// Routes of one identity, below its own public URL.
pub fn routes(me: Identity) -> Router<Arc<App>> {
    let wallet = Router::new()
        .route("/presentations/query", post(wallet::query))
        .route("/credentials", post(wallet::store))
        .route("/offers", post(wallet::offer));
    let issuer = Router::new()
        .route("/credentials", post(issuer::request))
        .route("/requests/{id}", get(issuer::status))
        .route("/metadata", get(issuer::metadata))
        .route("/schemas/{kind}", get(issuer::schema))
        .route("/status/{profile}/{list}", get(issuer::status_list));
    Router::new()
        .nest(WALLET_PATH, wallet)
        .nest(ISSUER_PATH, issuer)
        .layer(DefaultBodyLimit::max(MESSAGE_BYTES))
        .layer(Extension(Me(me)))
}

/// Who calls `me`; the token is used up.
async fn caller(app: &App, me: &Identity, headers: &HeaderMap) -> Result<Presenter, WorkError> {
    let authorization = headers.get(header::AUTHORIZATION).and_then(|it| it.to_str().ok());
    let who = claims::identify(authorization, &me.did, &app.directory, &app.clock).await?;
    app.writer.remember(who.token.clone()).await?;
    Ok(who)
}

fn store(error: StoreError) -> WorkError {
    WorkError::Store(error.to_string())
}

/// A refusal as DCP's callers expect it: 401 without proof of who calls (DCP §5.4, §6.4).
fn refusal(error: WorkError) -> Response {
    let body = |fault: &Fault| {
        let reason = match fault {
            // Which check failed is for our log alone.
            Fault::Denied { code, .. } if code.starts_with("token.") => "not authorized".to_owned(),
            // A stranger chose the address that we called: what we met there is not for it.
            Fault::Unavailable { .. } => "not available now".to_owned(),
            Fault::ApiMisuse(_) => "internal".to_owned(),
            Fault::PeerMisbehaved { .. }
            | Fault::PeerIncompatible { .. }
            | Fault::Denied { .. }
            | Fault::NotFound { .. }
            | Fault::Conflict { .. }
            | Fault::Refused { .. } => fault.to_string(),
        };
        json!({"code": fault.code(), "reason": reason}).to_string()
    };
    let status = match &error {
        WorkError::Fault(fault) if fault.code().starts_with("token.") => {
            Some(StatusCode::UNAUTHORIZED)
        }
        // DCP §5.4.1.1: "If it does not, it MUST return 501 Not Implemented".
        WorkError::Fault(fault) if fault.code() == NO_DEFINITIONS => {
            Some(StatusCode::NOT_IMPLEMENTED)
        }
        WorkError::Fault(_) | WorkError::Store(_) | WorkError::Stopping => None,
    };
    let mut answer = answer::refusal(error, body);
    if let Some(status) = status {
        *answer.status_mut() = status;
    }
    answer
}
