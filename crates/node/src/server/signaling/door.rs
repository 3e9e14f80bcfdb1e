//! Who calls: a registered plane by its bearer token, or an administrator by an API key.
//!
//! Never a default yes. Planes without a secret exist only where `signaling.trust_network` is on; then a call
//! without a token is taken for that of the one plane that the flow belongs to.

use axum::http::{HeaderMap, header};

use tidm_crypto::hash::sha256;
use tidm_space::dataflow::message::Plane;
use tidm_space::dataflow::registration::{Authorization, Registration};
use tidm_space::dataflow::state::Flow;
use tidm_space::fault::Fault;
use tidm_space::id::Id;

use super::store;
use crate::accounts::{self, Scope};
use crate::app::App;
use crate::server::data::bearer;
use crate::store::writer::WorkError;

/// The registered plane that calls.
pub(super) async fn plane(
    app: &App,
    plane: Plane,
    headers: &HeaderMap,
) -> Result<Registration, WorkError> {
    let token = bearer(headers).ok_or_else(unknown)?;
    let found = app.store.plane_with(plane, sha256(token.as_bytes())).await.map_err(store)?;
    Ok(found.ok_or_else(unknown)?)
}

/// The data plane that reports about this flow.
pub(super) async fn data_plane(
    app: &App,
    headers: &HeaderMap,
    flow: &Id,
) -> Result<(Registration, Flow), WorkError> {
    let found = app.store.flow(flow).await.map_err(store)?;
    let found = found.filter(|it| it.plane == Plane::Control);
    let caller = if headers.contains_key(header::AUTHORIZATION) {
        plane(app, Plane::Data, headers).await?
    } else {
        let partner = match &found {
            Some(flow) => app.store.plane(Plane::Data, &flow.partner).await.map_err(store)?,
            None => None,
        };
        partner.filter(|it| trusted(app, it)).ok_or_else(unknown)?
    };
    let flow = found.filter(|it| it.partner == caller.id);
    Ok((caller, flow.ok_or(Fault::NotFound { what: "transfer" })?))
}

fn trusted(app: &App, it: &Registration) -> bool {
    app.config.signaling.trust_network && it.authorization == Authorization::Network
}

/// Registration is for administrators.
pub(super) async fn administrator(app: &App, headers: &HeaderMap) -> Result<(), WorkError> {
    let token = bearer(headers).ok_or_else(unknown)?;
    match accounts::authenticate(app, token).await.map_err(store)? {
        Some(who) if who.may(Scope::Admin) => Ok(()),
        Some(_) => {
            Err(Fault::denied("plane.scope", "scope", "an API key with admin is needed").into())
        }
        None => Err(unknown().into()),
    }
}

fn unknown() -> Fault {
    Fault::denied("plane.unknown", "registration", "no registered plane calls with this token")
}
