//! Planes of other programs and the data flows between them and this node.
//!
//! Never shows a secret or an address's token: a registration is shown without what it proves itself with.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use tidm_space::dataflow::message::Plane as Half;
use tidm_space::dataflow::registration::Registration;
use tidm_space::dataflow::state::{Flow as DataFlow, State as Stage};
use tidm_space::id::Id;
use tidm_space::wire::dps::registration;

use super::answer::{Answer, Fail};
use super::docs::ProblemDocument;
use super::extract::{Body, OneId, Params};
use super::page::{Page, Wanted};
use crate::app::App;
use crate::server::signaling;
use crate::store::planes::{self, FlowData};

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Plane {
    /// control or data.
    kind: &'static str,
    id: String,
    endpoint: String,
    profiles: Vec<String>,
    labels: Vec<String>,
    /// Control plane: the data sets that it may have moved; * is all of them.
    datasets: Vec<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Register {
    /// control or data.
    kind: String,
    /// The registration message of Data Plane Signaling.
    registration: serde_json::Value,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Flow {
    id: String,
    /// Ours: control or data.
    plane: &'static str,
    /// Ours: consumer or provider.
    role: &'static str,
    /// The registered other half.
    partner: String,
    process: String,
    agreement: String,
    dataset: String,
    profile: String,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// What the data plane reported as beyond repair.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    created: String,
    moved: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Full {
    #[serde(flatten)]
    flow: Flow,
    /// What it brought here.
    data: Vec<Brought>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Brought {
    object: String,
    bytes: u64,
    sha256: String,
    at: String,
}

fn shown(it: Registration) -> Plane {
    Plane {
        kind: it.plane.word(),
        id: it.id.to_string(),
        endpoint: it.endpoint,
        profiles: it.profiles,
        labels: it.labels,
        datasets: it.datasets,
    }
}

fn flow(it: &DataFlow) -> Flow {
    let reason = match &it.state {
        Stage::Suspended { reason, .. } | Stage::Terminated { reason, .. } => reason.clone(),
        Stage::Initialized
        | Stage::Preparing
        | Stage::Prepared { .. }
        | Stage::Starting { .. }
        | Stage::Started { .. }
        | Stage::Completed { .. } => None,
    };
    Flow {
        id: it.id.to_string(),
        plane: it.plane.word(),
        role: it.role.word(),
        partner: it.partner.to_string(),
        process: it.terms.process.to_string(),
        agreement: it.terms.agreement.to_string(),
        dataset: it.terms.dataset.to_string(),
        profile: it.terms.profile.as_str().to_owned(),
        state: it.state.name().token(),
        reason,
        error: it.error.clone(),
        created: it.created.to_string(),
        moved: it.moved.to_string(),
    }
}

fn brought(it: FlowData) -> Brought {
    Brought {
        object: it.object,
        bytes: it.bytes,
        sha256: it.digest.to_string(),
        at: it.at.to_string(),
    }
}

fn half(kind: &str) -> Answer<Half> {
    Half::from_word(kind).ok_or_else(|| Fail::field("kind", "control or data"))
}

/// Registered planes of other programs.
#[utoipa::path(
    get, path = "/planes", tag = "planes", security(("bearer" = ["admin"])),
    responses((status = 200, body = Page<Plane>))
)]
pub(super) async fn list(State(app): State<Arc<App>>) -> Answer<Json<Page<Plane>>> {
    let mut all = Vec::new();
    for kind in Half::ALL {
        all.extend(app.store.planes(kind).await?.into_iter().map(shown));
    }
    Ok(Json(Page::whole(all)))
}

/// Register a plane; the same id again replaces it whole.
#[utoipa::path(
    put, path = "/planes", tag = "planes", request_body = Register, security(("bearer" = ["admin"])),
    responses((status = 200, body = Plane), (status = 400, description = "Not a registration, or with an authorization that is not spoken here", body = ProblemDocument, content_type = "application/problem+json"))
)]
pub(super) async fn register(
    State(app): State<Arc<App>>,
    Body(it): Body<Register>,
) -> Answer<Json<Plane>> {
    let read = registration::read(half(&it.kind)?, it.registration.to_string().as_bytes())?;
    signaling::register(&app, read.clone()).await?;
    Ok(Json(shown(read)))
}

/// Forget a plane: it is nobody from now on.
#[utoipa::path(
    delete, path = "/planes/{kind}/{id}", tag = "planes", params(("kind" = String, Path), ("id" = String, Path)),
    security(("bearer" = ["admin"])),
    responses((status = 204, description = "Forgotten"), (status = 404, description = "No such plane", body = ProblemDocument, content_type = "application/problem+json"))
)]
pub(super) async fn remove(
    State(app): State<Arc<App>>,
    Path((kind, id)): Path<(String, String)>,
) -> Answer<StatusCode> {
    let (kind, id) = (half(&kind)?, Id::parse(&id)?);
    if app.store.plane(kind, &id).await?.is_none() {
        return Err(Fail::not_found("plane"));
    }
    app.writer
        .note(move |conn| {
            let id = id.clone();
            Box::pin(async move { planes::drop_plane(conn, kind, &id).await })
        })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Data flows, the one that moved last first.
#[utoipa::path(
    get, path = "/dataflows", tag = "planes", params(Wanted), security(("bearer" = ["read"])),
    responses((status = 200, body = Page<Flow>))
)]
pub(super) async fn flows(
    State(app): State<Arc<App>>,
    Params(page): Params<Wanted>,
) -> Answer<Json<Page<Flow>>> {
    let found = app.store.flows(page.after()?.as_ref(), page.most()?).await?;
    Ok(Json(Page::of(found, |it| flow(&it))))
}

/// One data flow, and what it brought here.
#[utoipa::path(
    get, path = "/dataflows/{id}", tag = "planes", params(("id" = String, Path)), security(("bearer" = ["read"])),
    responses((status = 200, body = Full), (status = 404, description = "No such data flow", body = ProblemDocument, content_type = "application/problem+json"))
)]
pub(super) async fn show(State(app): State<Arc<App>>, OneId(id): OneId) -> Answer<Json<Full>> {
    let found = app.store.flow(&id).await?.ok_or_else(|| Fail::not_found("data flow"))?;
    let data = app.store.flow_data(&id).await?.into_iter().map(brought).collect();
    Ok(Json(Full { flow: flow(&found), data }))
}
