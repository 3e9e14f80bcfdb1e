//! Registration of planes by an administrator: `PUT` and `DELETE` of `/controlplanes` and `/dataplanes`.
//!
//! Never more than what is asked for: the same id again replaces the whole registration (DPS §Registration), so
//! a rotated secret ends the old one at once.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{delete, put};

use tidm_crypto::hash::sha256;
use tidm_space::dataflow::message::Plane;
use tidm_space::dataflow::registration::{Authorization, Registration};
use tidm_space::fault::Fault;
use tidm_space::id::Id;
use tidm_space::wire::dps::registration;

use super::{door, refused, store};
use crate::app::App;
use crate::store::planes;
use crate::store::writer::WorkError;

type Shared = State<Arc<App>>;

pub(super) fn control_planes() -> Router<Arc<App>> {
    Router::new()
        .route("/controlplanes", put(|s: Shared, h, b| register(s, Plane::Control, h, b)))
        .route("/controlplanes/{id}", delete(|s: Shared, p, h| remove(s, Plane::Control, p, h)))
}

pub(super) fn data_planes() -> Router<Arc<App>> {
    Router::new()
        .route("/dataplanes", put(|s: Shared, h, b| register(s, Plane::Data, h, b)))
        .route("/dataplanes/{id}", delete(|s: Shared, p, h| remove(s, Plane::Data, p, h)))
}

async fn register(State(app): Shared, plane: Plane, headers: HeaderMap, body: Bytes) -> Response {
    let done = async {
        door::administrator(&app, &headers).await?;
        save(&app, registration::read(plane, &body)?).await
    };
    match done.await {
        Ok(()) => StatusCode::OK.into_response(),
        Err(error) => refused(error),
    }
}

/// Checks a registration against this node's configuration and saves it.
pub(crate) async fn save(app: &App, it: Registration) -> Result<(), WorkError> {
    if it.authorization == Authorization::Network && !app.config.signaling.trust_network {
        return Err(Fault::incompatible(
            "plane.authorization",
            "planes without secrets are not registered here: signaling.trust_network is off",
        )
        .into());
    }
    app.client
        .check(&it.endpoint)
        .map_err(|why| Fault::misbehaved("plane.endpoint", why.to_string()))?;
    if let Authorization::Bearer { accept, .. } = &it.authorization {
        let found = app.store.plane_with(it.plane, sha256(accept.as_bytes())).await;
        if found.map_err(store)?.is_some_and(|other| other.id != it.id) {
            // Two planes with one secret could not be told apart.
            return Err(Fault::conflict(
                "plane.secret",
                "another plane presents this secret already: every plane needs its own",
            )
            .into());
        }
    }
    let now = app.clock.now();
    app.writer
        .note(move |conn| {
            let it = it.clone();
            Box::pin(async move { planes::save_plane(conn, &it, now).await })
        })
        .await
}

async fn remove(
    State(app): Shared,
    plane: Plane,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    let done = async {
        door::administrator(&app, &headers).await?;
        let id = Id::parse(&id).map_err(|_| Fault::NotFound { what: "plane" })?;
        app.store
            .plane(plane, &id)
            .await
            .map_err(store)?
            .ok_or(Fault::NotFound { what: "plane" })?;
        app.writer
            .note(move |conn| {
                let id = id.clone();
                Box::pin(async move { planes::drop_plane(conn, plane, &id).await })
            })
            .await
    };
    match done.await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => refused(error),
    }
}
