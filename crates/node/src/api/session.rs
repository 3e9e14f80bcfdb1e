//! Signing in and out.
//!
//! Never a cookie: a token that a browser sends by itself invites forged requests.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::answer::Answer;
use super::auth::{Caller, Origin};
use super::docs::ProblemDocument;
use super::extract::Body;
use crate::accounts::{self, Token};
use crate::app::App;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SignIn {
    name: String,
    #[schema(format = Password)]
    password: String,
    /// Of the second factor, where one is enrolled: six digits, or a recovery code.
    #[serde(default)]
    code: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Session {
    /// For `Authorization: Bearer`. Shown once.
    token: String,
    /// RFC 3339.
    until: String,
    /// Unused for so many seconds, it ends sooner.
    idle_seconds: u64,
}

/// Sign in.
#[utoipa::path(
    post, path = "/session", tag = "access", request_body = SignIn, security(()),
    responses((status = 201, body = Session), (status = 401, description = "Wrong name or password", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 429, description = "Locked for a while: see Retry-After", body = ProblemDocument, content_type = "application/problem+json"))
)]
pub(super) async fn sign_in(
    State(app): State<Arc<App>>,
    Origin(from): Origin,
    Body(it): Body<SignIn>,
) -> Answer<impl IntoResponse> {
    let named = (it.name.as_str(), it.password.as_str());
    let token = accounts::sign_in(&app, named, it.code.as_deref(), &from).await?;
    Ok((StatusCode::CREATED, Json(show(&app, &token))))
}

/// A session as its owner is told of it, once.
pub(super) fn show(app: &App, token: &Token) -> Session {
    let config = &app.config.people;
    Session {
        token: token.expose().to_owned(),
        until: app.clock.now().after(config.session).to_string(),
        idle_seconds: config.idle.as_secs(),
    }
}

/// Sign out: the session ends now.
#[utoipa::path(
    delete, path = "/session", tag = "access", security(("bearer" = ["own"])),
    responses((status = 204, description = "Ended"), (status = 401, body = ProblemDocument, content_type = "application/problem+json", description = "No session"))
)]
pub(super) async fn sign_out(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
) -> Answer<StatusCode> {
    if let Some(session) = &who.session {
        accounts::sign_out(&app, session).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}
