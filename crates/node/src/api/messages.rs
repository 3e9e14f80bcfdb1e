//! The journal of messages as people and programs read it, and trying again at once what waits.
//!
//! Never a message's body: who looks for a fault needs what came of it, and bodies hold tokens.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use tidm_space::engine::commit::About;

use super::answer::{Answer, Fail};
use super::docs::ProblemDocument;
use super::extract::OneId;
use crate::app::App;
use crate::problem::Problem;
use crate::store::messages;

/// Lines shown with their subject.
const SHOWN: i64 = 200;

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Said {
    at: String,
    /// out: we said it; in: the peer did.
    direction: &'static str,
    /// What it was: request, offers, events, agreement, verification, start, completion, suspension or termination.
    message: String,
    /// HTTP status of the answer; absent where none came.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    latency_ms: u64,
    /// More than 1: a repetition.
    attempt: u32,
    /// Why it was refused or not answered.
    #[serde(skip_serializing_if = "String::is_empty")]
    reason: String,
}

/// Messages about one subject, oldest first.
pub(super) async fn of(app: &App, about: &About) -> Answer<Vec<Said>> {
    let found = app.store.messages(about, SHOWN).await?;
    let said = |it: messages::Line| Said {
        at: it.at.to_string(),
        direction: if it.out { "out" } else { "in" },
        message: it.path,
        status: it.status,
        latency_ms: it.took_ms,
        attempt: it.attempt,
        reason: it.reason,
    };
    Ok(found.into_iter().map(said).collect())
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Hurried {
    /// Something waits for the peer, and is tried within seconds.
    waits: bool,
}

async fn hurry(app: &App, about: About) -> Answer<Json<Hurried>> {
    if !app.store.waits(&about).await? {
        return Err(Fail(Problem::of("refused").detail("nothing waits to be delivered")));
    }
    let now = app.clock.now();
    app.writer
        .note(move |conn| {
            let about = about.clone();
            Box::pin(async move { messages::hurry(conn, &about, now).await.map(drop) })
        })
        .await?;
    Ok(Json(Hurried { waits: true }))
}

/// Try now what waits for the peer of a negotiation.
#[utoipa::path(
    post, path = "/negotiations/{id}/retry", tag = "contracts", params(("id" = String, Path)), security(("bearer" = ["contract"])),
    responses((status = 200, body = Hurried), (status = 404, description = "No such id", body = ProblemDocument, content_type = "application/problem+json"), (status = 422, description = "Nothing waits", body = ProblemDocument, content_type = "application/problem+json"))
)]
pub(super) async fn retry_negotiation(
    State(app): State<Arc<App>>,
    OneId(id): OneId,
) -> Answer<Json<Hurried>> {
    app.store.negotiation(&id).await?.ok_or_else(|| Fail::not_found("negotiation"))?;
    hurry(&app, About::Negotiation(id)).await
}

/// Try now what waits for the peer of a transfer.
#[utoipa::path(
    post, path = "/transfers/{id}/retry", tag = "transfers", params(("id" = String, Path)), security(("bearer" = ["use"])),
    responses((status = 200, body = Hurried), (status = 404, description = "No such id", body = ProblemDocument, content_type = "application/problem+json"), (status = 422, description = "Nothing waits", body = ProblemDocument, content_type = "application/problem+json"))
)]
pub(super) async fn retry_transfer(
    State(app): State<Arc<App>>,
    OneId(id): OneId,
) -> Answer<Json<Hurried>> {
    app.store.transfer(&id).await?.ok_or_else(|| Fail::not_found("transfer"))?;
    hurry(&app, About::Transfer(id)).await
}
