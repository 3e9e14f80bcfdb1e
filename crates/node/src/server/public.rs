//! What anybody may read: our DID document, the protocol versions, health, metrics.
//!
//! Never anything about products, contracts or peers.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;

use tidm_space::identity::credential::Profile;
use tidm_space::wire::dsp::version;

use super::answer::json;
use crate::app::App;
use crate::identity::DSP_PATH;

type Shared = State<Arc<App>>;

pub fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/.well-known/did.json", get(did_document))
        .route("/.well-known/dspace-version", get(versions))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics_text))
}

async fn did_document(State(app): Shared) -> Response {
    json(StatusCode::OK, app.identity.document().to_string())
}

async fn versions(State(app): Shared) -> Response {
    let shown = if app.gate.credentials() { Profile::ALL.as_slice() } else { &[] };
    let profiles: Vec<&str> = shown.iter().map(|it| it.alias()).collect();
    json(StatusCode::OK, version::write(DSP_PATH, &app.identity.dsp_base(), &profiles))
}

/// Ready: the store answers, and the evidence log may be written (house D15).
async fn ready(State(app): Shared) -> Response {
    if let Err(error) = app.store.next_due().await {
        tracing::error!(%error, "not ready");
        return (StatusCode::SERVICE_UNAVAILABLE, "the store does not answer\n").into_response();
    }
    match app.log.readiness() {
        Ok(()) => (StatusCode::OK, "ready\n").into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}

async fn metrics_text(State(app): Shared) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], app.metrics.render()).into_response()
}
