//! The evidence log for verifiers (C2SP tlog-tiles), and our witness for others' logs (tlog-witness).
//!
//! Threat model: anybody may ask. Checkpoint and hash tiles are public: they hold hashes alone, and whoever
//! has an entry can prove that it is there. Entry bundles hold facts of many contracts and are *not* served:
//! a fact leaves by its receipt, or to the other party of its contract (`tidm/1` facts). `entries` answers 403.
//!
//! A witness answers exactly what the specification says, and only for the logs in its configuration.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};

use crate::app::App;
use crate::evidence::reader::ReadError;

type Shared = State<Arc<App>>;

/// A partial tile or a checkpoint is replaced soon; a full tile never changes.
const SHORT: &str = "public, max-age=1";
const FOR_EVER: &str = "public, max-age=31536000, immutable";

pub fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/log/checkpoint", get(checkpoint))
        .route("/log/tile/{*path}", get(tile))
        .route("/witness/add-checkpoint", post(add_checkpoint))
        .route("/witness/{origin}/checkpoint", get(witnessed))
}

fn bytes(kind: &'static str, cache: &'static str, body: Vec<u8>) -> Response {
    (StatusCode::OK, [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, cache)], body)
        .into_response()
}

fn plain(status: StatusCode, text: &'static str) -> Response {
    (status, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response()
}

fn failed(error: &ReadError) -> Response {
    match error {
        ReadError::Absent | ReadError::NotYet { .. } => {
            plain(StatusCode::NOT_FOUND, "nothing of that name is published\n")
        }
        ReadError::Damaged(_) | ReadError::Tiles(_) | ReadError::Thread => {
            tracing::error!(%error, "the evidence log cannot be read");
            plain(StatusCode::INTERNAL_SERVER_ERROR, "the log cannot be read\n")
        }
    }
}

async fn checkpoint(State(app): Shared) -> Response {
    match app.log.reader.checkpoint().await {
        Ok(body) => bytes("text/plain; charset=utf-8", SHORT, body),
        Err(error) => failed(&error),
    }
}

async fn tile(State(app): Shared, Path(path): Path<String>) -> Response {
    if path.starts_with("entries") {
        return plain(StatusCode::FORBIDDEN, "entries are not public: ask for a receipt\n");
    }
    match app.log.reader.tile(&format!("tile/{path}")).await {
        Ok(body) => bytes(
            "application/octet-stream",
            if path.contains(".p/") { SHORT } else { FOR_EVER },
            body,
        ),
        Err(error) => failed(&error),
    }
}

async fn add_checkpoint(State(app): Shared, body: Bytes) -> Response {
    let Some(witness) = app.log.witness.clone() else {
        return plain(StatusCode::NOT_FOUND, "no witness here\n");
    };
    let now = u64::try_from(app.clock.now().seconds()).unwrap_or(0);
    let answered = tokio::task::spawn_blocking(move || witness.add_checkpoint(&body, now)).await;
    match answered {
        Ok(Ok(answer)) => {
            metrics::counter!("tidm_witness_requests_total", "status" => answer.status.to_string())
                .increment(1);
            let status =
                StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let mut out = (status, answer.body).into_response();
            if let Ok(kind) = HeaderValue::from_str(&answer.media_type) {
                out.headers_mut().insert(header::CONTENT_TYPE, kind);
            }
            out
        }
        Ok(Err(error)) => {
            tracing::error!(%error, "the witness could not cosign");
            plain(StatusCode::INTERNAL_SERVER_ERROR, "nothing was cosigned\n")
        }
        Err(_) => plain(StatusCode::INTERNAL_SERVER_ERROR, "nothing was cosigned\n"),
    }
}

async fn witnessed(State(app): Shared, Path(origin): Path<String>) -> Response {
    let Some(witness) = app.log.witness.clone() else {
        return plain(StatusCode::NOT_FOUND, "no witness here\n");
    };
    match tokio::task::spawn_blocking(move || witness.checkpoint(&origin)).await {
        Ok(Ok(Some(body))) => bytes("text/plain; charset=utf-8", SHORT, body),
        Ok(Ok(None)) => plain(StatusCode::NOT_FOUND, "nothing of that log was cosigned here\n"),
        Ok(Err(error)) => {
            tracing::error!(%error, "the witness's state cannot be read");
            plain(StatusCode::INTERNAL_SERVER_ERROR, "the witness cannot be read\n")
        }
        Err(_) => plain(StatusCode::INTERNAL_SERVER_ERROR, "the witness cannot be read\n"),
    }
}
