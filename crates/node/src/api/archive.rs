//! The archive of a contract, for whoever audits.
//!
//! Never a part of it: what cannot be proven yet makes the whole wait.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};

use super::answer::{Answer, Fail};
use super::docs::ProblemDocument;
use super::extract::OneId;
use crate::app::App;
use crate::jobs::archive;

/// The whole negotiation of a contract in one signed file that is checked offline.
#[utoipa::path(
    get, path = "/contracts/{id}/archive", tag = "contracts", params(("id" = String, Path)), security(("bearer" = ["audit"])),
    responses((status = 200, description = "RFC 8785 JSON", body = Object), (status = 404, description = "No such contract", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "A fact is not witnessed yet, or the peer's key cannot be had", body = ProblemDocument, content_type = "application/problem+json"))
)]
pub(super) async fn show(State(app): State<Arc<App>>, OneId(id): OneId) -> Answer<Response> {
    let contract = app.store.contract(&id).await?.ok_or_else(|| Fail::not_found("contract"))?;
    let bytes = archive::make(&app, &contract).await?;
    Ok(([(header::CONTENT_TYPE, "application/json")], bytes).into_response())
}
