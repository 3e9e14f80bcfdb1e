//! Our data plane: orders of control planes, and the status of their flows.
//!
//! Never answers before the flow is durable, and never with a token that was made before: an order that is
//! repeated gets a fresh one, which ends the old.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};

use tidm_space::dataflow::message::{Body, Direction, Kind, Message, Plane};
use tidm_space::dataflow::state::{Flow, Name};
use tidm_space::engine::commit::Reply;
use tidm_space::engine::input::{FlowOrder, Input};
use tidm_space::fault::Fault;
use tidm_space::id::{Id, Ids as _};
use tidm_space::negotiation::message::Role;
use tidm_space::wire::dps::{self, Ordered};

use super::{bytes, content, door, no_flow, ok, refused, store};
use crate::app::App;
use crate::clock::FreshIds;
use crate::store::writer::WorkError;

type Shared = State<Arc<App>>;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/dataflows/prepare", post(|s: Shared, h, b| open(s, Kind::Prepare, h, b)))
        .route("/dataflows/start", post(|s: Shared, h, b| open(s, Kind::Start, h, b)))
        .route("/dataflows/{id}/{order}", post(order))
        .route("/dataflows/{id}/status", get(status))
}

async fn open(State(app): Shared, kind: Kind, headers: HeaderMap, body: Bytes) -> Response {
    answer(take(&app, kind, None, &headers, &body).await)
}

async fn order(
    State(app): Shared,
    Path((id, order)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let kind = [Kind::Started, Kind::Suspend, Kind::Resume, Kind::Terminate, Kind::Completed]
        .into_iter()
        .find(|it| it.word() == order);
    let Some(kind) = kind else { return StatusCode::NOT_FOUND.into_response() };
    let Ok(id) = Id::parse(&id) else { return refused(no_flow()) };
    answer(take(&app, kind, Some(id), &headers, &body).await)
}

fn answer(done: Result<Response, WorkError>) -> Response {
    done.unwrap_or_else(refused)
}

async fn take(
    app: &Arc<App>,
    kind: Kind,
    mine: Option<Id>,
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<Response, WorkError> {
    let plane = door::plane(app, Plane::Control, headers).await?;
    let Ordered { id, terms, body } = dps::read(kind, body)?;
    let mut background = false;
    if let Some(terms) = &terms {
        let name = terms.profile.as_str();
        if !app.config.signaling.profiles.iter().any(|it| it == name) {
            let why = format!("the transfer profile {name} is not run here");
            return Err(Fault::incompatible("dataflow.profile", why).into());
        }
        background = app.config.signaling.background.iter().any(|it| it == name);
        if kind == Kind::Start {
            content::of(app, &plane.id, terms).await?;
        }
    }
    if let Some(endpoint) = body.address().and_then(|it| it.endpoint.as_deref()) {
        app.client
            .check(endpoint)
            .map_err(|why| Fault::misbehaved("dataflow.address", why.to_string()))?;
    }
    let order =
        FlowOrder { from: plane.id, address: plane.endpoint, mine, id, terms, body, background };
    match app.writer.run(Input::Ordered(Box::new(order))).await? {
        Reply::Flow { it, .. } => done(app, kind, &it).await,
        Reply::Nothing
        | Reply::Negotiation { .. }
        | Reply::Transfer { .. }
        | Reply::Lease(_)
        | Reply::Contract(_)
        | Reply::Product(_) => {
            Err(Fault::ApiMisuse("an order about a flow was answered by something else").into())
        }
    }
}

async fn done(app: &App, kind: Kind, flow: &Flow) -> Result<Response, WorkError> {
    if !matches!(kind, Kind::Prepare | Kind::Start | Kind::Resume) {
        return Ok(StatusCode::OK.into_response());
    }
    let body = match (flow.state.name(), kind) {
        (Name::Preparing | Name::Starting, _) => {
            let location = format!("/dataflows/{}/status", flow.id);
            let accepted = [(header::LOCATION, location)];
            let body = dps::status(flow, &said(Body::Prepare));
            let mut answer = ok(body);
            *answer.status_mut() = StatusCode::ACCEPTED;
            return Ok((accepted, answer).into_response());
        }
        (Name::Prepared, Kind::Prepare) => {
            Body::Prepared { address: own_address(app, flow).await? }
        }
        (Name::Started, Kind::Start) => Body::Started { address: own_address(app, flow).await? },
        // A pull's address and its token are what they were before the suspension.
        (_, _) => Body::Resume { address: None },
    };
    Ok(ok(dps::status(flow, &said(body))))
}

/// The address that is ours to give: where a pull is served, or where a push is taken.
pub(crate) async fn own_address(
    app: &App,
    flow: &Flow,
) -> Result<Option<tidm_space::transfer::message::DataAddress>, WorkError> {
    match (flow.role, flow.direction()) {
        (Role::Provider, Some(Direction::Pull)) | (Role::Consumer, Some(Direction::Push)) => {
            bytes::address(app, flow).await.map(Some)
        }
        (_, _) => Ok(None),
    }
}

fn said(body: Body) -> Message {
    Message { id: Some(FreshIds.fresh()), body }
}

async fn status(State(app): Shared, Path(id): Path<String>, headers: HeaderMap) -> Response {
    let found = async {
        let plane = door::plane(&app, Plane::Control, &headers).await?;
        let id = Id::parse(&id).map_err(|_| no_flow())?;
        let flow = app.store.flow(&id).await.map_err(store)?;
        flow.filter(|it| it.plane == Plane::Data && it.partner == plane.id).ok_or_else(no_flow)
    };
    match found.await {
        Ok(flow) => ok(dps::status_response(&flow)),
        Err(error) => refused(error),
    }
}
