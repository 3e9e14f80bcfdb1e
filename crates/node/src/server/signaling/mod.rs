//! Data Plane Signaling 1.0-RC3: this node as the data plane of other programs (`/dataplane`), and as their
//! control plane (`/signaling`).
//!
//! Threat model: whoever reaches the port may call. A caller is nobody until an administrator registered it
//! ([`door`]); it sees only its own flows, and a control plane may have only those data sets moved that its
//! registration names, of products that are offered for plain delivery ([`content`]). The bytes themselves lie
//! behind a token that is bound to one flow, dies with it and rests with it ([`bytes`]). Addresses that a plane
//! names are called like those of peers: no private network unless the configuration says so.
//! Not protected against: a registered control plane that lies about a contract that this node does not know.
//! It is the operator's own other half; the data sets in its registration bound what a lie can move.
//!
//! Never on unless `signaling.enabled`: everything here answers 404.

pub mod bytes;
pub mod content;
mod control_plane;
mod data_plane;

mod door;
mod registry;
mod renewal;

pub(crate) use data_plane::own_address;
pub(crate) use registry::save as register;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};

use tidm_space::fault::Fault;

use super::answer::{json, refusal};
use crate::app::App;
use crate::store::StoreError;
use crate::store::writer::WorkError;

/// Where control planes reach our data plane, below the public URL.
pub const DATA_PLANE: &str = "/dataplane";
/// Where data planes reach our control plane.
pub const CONTROL_PLANE: &str = "/signaling";

/// Below the public URL.
pub fn routes(app: &Arc<App>) -> Router<Arc<App>> {
    let bounded = DefaultBodyLimit::max(tidm_space::limits::MESSAGE_BYTES);
    let data = data_plane::routes()
        .merge(registry::control_planes())
        .merge(renewal::routes())
        .layer(bounded)
        // Data may be larger than a message: its own bound is in `bytes`.
        .merge(bytes::routes());
    let control = control_plane::routes().merge(registry::data_planes()).layer(bounded);
    Router::new()
        .nest(DATA_PLANE, data)
        .nest(CONTROL_PLANE, control)
        .route_layer(middleware::from_fn_with_state(app.clone(), switched))
}

async fn switched(
    State(app): State<Arc<App>>,
    request: axum::extract::Request,
    next: Next,
) -> Response {
    if app.config.signaling.enabled {
        next.run(request).await
    } else {
        StatusCode::NOT_FOUND.into_response()
    }
}

/// A refusal; the protocol leaves its body open.
fn refused(error: WorkError) -> Response {
    if let WorkError::Fault(Fault::Denied { code: "plane.unknown", .. }) = &error {
        return (StatusCode::UNAUTHORIZED, [("www-authenticate", "Bearer")]).into_response();
    }
    refusal(error, |fault| {
        serde_json::json!({"code": fault.code(), "error": fault.to_string()}).to_string()
    })
}

fn ok(body: String) -> Response {
    json(StatusCode::OK, body)
}

fn store(why: StoreError) -> WorkError {
    WorkError::Store(why.to_string())
}

fn no_flow() -> WorkError {
    Fault::NotFound { what: "data flow" }.into()
}
