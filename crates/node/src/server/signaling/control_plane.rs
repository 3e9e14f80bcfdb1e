//! Our control plane: reports of data planes, and the agreement behind a transfer.
//!
//! Never tells a data plane about a transfer that it does not run.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};

use tidm_space::dataflow::message::Kind;
use tidm_space::engine::input::{FlowReport, Input};
use tidm_space::fault::Fault;
use tidm_space::id::Id;
use tidm_space::wire::dps;

use super::{door, ok, refused, store};
use crate::app::App;
use crate::store::writer::WorkError;

type Shared = State<Arc<App>>;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/transfers/{id}/dataflow/{report}", post(report))
        .route("/transfers/{id}/agreement", get(agreement))
}

fn transfer(id: &str) -> Result<Id, WorkError> {
    Ok(Id::parse(id).map_err(|_| Fault::NotFound { what: "transfer" })?)
}

async fn report(
    State(app): Shared,
    Path((id, report)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let kind = [Kind::Prepared, Kind::Started, Kind::Completed, Kind::Errored]
        .into_iter()
        .find(|it| it.word() == report);
    let Some(kind) = kind else { return StatusCode::NOT_FOUND.into_response() };
    let done = async {
        let (plane, flow) = door::data_plane(&app, &headers, &transfer(&id)?).await?;
        let (status, body) = dps::read_callback(kind, &body)?;
        let report = FlowReport { from: plane.id, flow: flow.id, theirs: status.flow, body };
        app.writer.run(Input::Reported(Box::new(report))).await
    };
    match done.await {
        Ok(_) => StatusCode::OK.into_response(),
        Err(error) => refused(error),
    }
}

async fn agreement(State(app): Shared, Path(id): Path<String>, headers: HeaderMap) -> Response {
    let found = async {
        let (_, flow) = door::data_plane(&app, &headers, &transfer(&id)?).await?;
        let contract = app.store.contract(&flow.terms.agreement).await.map_err(store)?;
        contract.ok_or_else(|| WorkError::from(Fault::NotFound { what: "agreement" }))
    };
    match found.await {
        Ok(contract) => ok(dps::agreement(&contract)),
        Err(error) => refused(error),
    }
}
