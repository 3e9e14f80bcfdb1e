//! Operator: what no share of a key is released for.
//!
//! Never releases anything itself; a hold counts from the moment it is answered.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use tidm_space::id::Id;
use tidm_space::limits::REASON_CHARS;
use tidm_space::share;

use super::answer::{Answer, Fail};
use super::auth::Caller;
use super::docs::ProblemDocument;
use super::extract::{Body, OneId};
use crate::accounts::Scope;
use crate::app::App;
use crate::people::may_rule_keys;
use crate::store::shares::set_hold;

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Hold {
    /// A contract's id or a participant's DID.
    subject: String,
    reason: String,
    at: String,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewHold {
    /// A contract's id or a participant's DID.
    subject: String,
    /// Told to whoever is refused.
    reason: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Holds {
    holds: Vec<Hold>,
}

/// Operator: what is held, the newest first.
#[utoipa::path(
    get, path = "/operator/holds", tag = "operator", security(("bearer" = ["admin"])),
    responses((status = 200, body = Holds))
)]
pub(super) async fn list(State(app): State<Arc<App>>) -> Answer<Json<Holds>> {
    let shown =
        |it: share::Hold| Hold { subject: it.subject, reason: it.reason, at: it.at.to_string() };
    Ok(Json(Holds { holds: app.store.holds().await?.into_iter().map(shown).collect() }))
}

/// Operator: release no share for a contract or participant any more.
#[utoipa::path(
    post, path = "/operator/holds", tag = "operator", request_body = NewHold, security(("bearer" = ["admin"])),
    responses((status = 204, description = "Held from now on"), (status = 403, description = "A fresh code is needed", body = ProblemDocument, content_type = "application/problem+json"), (status = 422, description = "Not an id or DID", body = ProblemDocument, content_type = "application/problem+json"))
)]
pub(super) async fn hold(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    Body(it): Body<NewHold>,
) -> Answer<StatusCode> {
    may_rule_keys(&app, &who, Scope::Admin).await?;
    let subject = Id::parse(&it.subject)?;
    let reason = it.reason.trim().to_owned();
    if reason.is_empty() || reason.chars().count() > REASON_CHARS {
        return Err(Fail::field("reason", format!("1 to {REASON_CHARS} characters")));
    }
    set_hold(&app.writer, &app.identity.did, &subject, Some(reason), app.clock.now()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Operator: take a hold away.
#[utoipa::path(
    delete, path = "/operator/holds/{subject}", tag = "operator", params(("subject" = String, Path)), security(("bearer" = ["admin"])),
    responses((status = 204, description = "Nothing is held there any more"), (status = 403, description = "A fresh code is needed", body = ProblemDocument, content_type = "application/problem+json"))
)]
pub(super) async fn free(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    OneId(subject): OneId,
) -> Answer<StatusCode> {
    may_rule_keys(&app, &who, Scope::Admin).await?;
    set_hold(&app.writer, &app.identity.did, &subject, None, app.clock.now()).await?;
    Ok(StatusCode::NO_CONTENT)
}
