//! One's own account: password, second factor, sessions.
//!
//! Never by an API key where it would hand the account over: password and second factor want a session.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use tidm_space::people::scope::Scope;

use super::answer::{Answer, Fail};
use super::auth::Caller;
use super::docs::ProblemDocument;
use super::extract::Body;
use super::page::Page;
use super::people::Shown;
use crate::accounts;
use crate::app::App;
use crate::people::{self, factor};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Join {
    /// From the one-time link.
    token: String,
    /// At least 12 characters, not common, without the name.
    #[schema(format = Password)]
    password: String,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Joined {
    name: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Change {
    #[schema(format = Password)]
    old: String,
    #[schema(format = Password)]
    new: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Enrol {
    /// Once more; empty for whoever signs in at an identity provider alone.
    #[schema(format = Password)]
    password: String,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Enrolment {
    /// For the authenticator app (as text or as a QR code). Shown once.
    uri: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Code {
    code: String,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Recovery {
    /// Each stands in for a code once. Shown once.
    codes: Vec<String>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Me {
    #[serde(flatten)]
    person: Shown,
    /// What this token may do now.
    scopes: Vec<&'static str>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Session {
    id: String,
    created: String,
    used: String,
    /// It is the one that asks.
    this: bool,
}

/// Set one's password by the one-time link.
#[utoipa::path(
    post, path = "/join", tag = "people", request_body = Join, security(()),
    responses((status = 201, body = Joined), (status = 403, description = "The link was used or is too old", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "The password is too weak, or was used before", body = ProblemDocument, content_type = "application/problem+json"))
)]
pub(super) async fn join(
    State(app): State<Arc<App>>,
    Body(it): Body<Join>,
) -> Answer<impl IntoResponse> {
    let name = people::join(&app, &it.token, &it.password).await?;
    Ok((StatusCode::CREATED, Json(Joined { name })))
}

/// Who one is here, and what this token may do.
#[utoipa::path(get, path = "/me", tag = "people", security(("bearer" = ["own"])), responses((status = 200, body = Me)))]
pub(super) async fn me(Caller(who): Caller) -> Json<Me> {
    let scopes = Scope::ALL.into_iter().filter(|it| who.may(*it)).map(Scope::word).collect();
    Json(Me { person: Shown::of(who.person), scopes })
}

/// Change one's password; all other sessions end.
#[utoipa::path(
    put, path = "/me/password", tag = "people", request_body = Change, security(("bearer" = ["own"])),
    responses((status = 204, description = "Changed"), (status = 401, description = "The old one is wrong", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "The new one is too weak, or was used before", body = ProblemDocument, content_type = "application/problem+json"))
)]
pub(super) async fn password(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    Body(it): Body<Change>,
) -> Answer<StatusCode> {
    people::change_password(&app, &who, &it.old, &it.new).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// One's sessions, newest first.
#[utoipa::path(
    get, path = "/me/sessions", tag = "people", security(("bearer" = ["own"])),
    responses((status = 200, body = Page<Session>))
)]
pub(super) async fn sessions(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
) -> Answer<Json<Page<Session>>> {
    let now = app.clock.now();
    let found = app.store.sessions_of(&who.account).await?;
    let open = found.into_iter().filter(|it| !accounts::is_over(&app, it, now));
    let shown = open.map(|it| Session {
        this: who.session.as_ref() == Some(&it.id),
        created: it.created.to_string(),
        used: it.used.to_string(),
        id: it.id,
    });
    Ok(Json(Page::whole(shown.collect())))
}

/// End one of one's sessions.
#[utoipa::path(
    delete, path = "/me/sessions/{id}", tag = "people", params(("id" = String, Path)), security(("bearer" = ["own"])),
    responses((status = 204, description = "Ended"), (status = 404, description = "None of one's own", body = ProblemDocument, content_type = "application/problem+json"))
)]
pub(super) async fn end(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    Path(id): Path<String>,
) -> Answer<StatusCode> {
    match app.store.session(&id).await? {
        Some(it) if it.account == who.account => accounts::sign_out(&app, &id).await?,
        Some(_) | None => return Err(Fail::not_found("session")),
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Begin to enrol a second factor.
#[utoipa::path(
    post, path = "/me/second-factor", tag = "people", request_body = Enrol, security(("bearer" = ["own"])),
    responses((status = 201, body = Enrolment), (status = 409, description = "There is one", body = ProblemDocument, content_type = "application/problem+json"))
)]
pub(super) async fn begin_factor(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    Body(it): Body<Enrol>,
) -> Answer<impl IntoResponse> {
    let uri = factor::begin(&app, &who, &it.password).await?;
    Ok((StatusCode::CREATED, Json(Enrolment { uri })))
}

/// Show by a code that the app has it; from now on it is asked for.
#[utoipa::path(
    post, path = "/me/second-factor/confirm", tag = "people", request_body = Code, security(("bearer" = ["own"])),
    responses((status = 200, body = Recovery), (status = 401, description = "Not the code", body = ProblemDocument, content_type = "application/problem+json"))
)]
pub(super) async fn confirm_factor(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    Body(it): Body<Code>,
) -> Answer<Json<Recovery>> {
    Ok(Json(Recovery { codes: factor::confirm(&app, &who, &it.code).await? }))
}

/// Remove one's second factor.
#[utoipa::path(
    post, path = "/me/second-factor/remove", tag = "people", request_body = Code, security(("bearer" = ["own"])),
    responses((status = 204, description = "Removed"), (status = 401, description = "Not the code", body = ProblemDocument, content_type = "application/problem+json"))
)]
pub(super) async fn remove_factor(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    Body(it): Body<Code>,
) -> Answer<StatusCode> {
    factor::remove(&app, &who, &it.code).await?;
    Ok(StatusCode::NO_CONTENT)
}
