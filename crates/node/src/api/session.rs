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
use super::auth::Caller;
use super::docs::ProblemDocument;
use super::extract::Body;
use crate::accounts;
use crate::app::App;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SignIn {
    name: String,
    #[schema(format = Password)]
    password: String,
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
    Body(it): Body<SignIn>,
) -> Answer<impl IntoResponse> {
    let token = accounts::sign_in(&app, &it.name, &it.password).await?;
    let until = app.clock.now().after(accounts::SESSION_LIFE).to_string();
    let session = Session {
        token: token.expose().to_owned(),
        until,
        idle_seconds: accounts::SESSION_IDLE.as_secs(),
    };
    Ok((StatusCode::CREATED, Json(session)))
}

/// Sign out: the session ends now.
#[utoipa::path(
    delete, path = "/session", tag = "access", security(("bearer" = ["read"])),
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
