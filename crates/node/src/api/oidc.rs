//! Signing in at an identity provider: begin, come back, finish.
//!
//! Never a token in an address or a cookie: the page that the provider sends the browser to hands the code over, and gets
//! the session's token in the answer's body.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::answer::Answer;
use super::auth::Origin;
use super::docs::ProblemDocument;
use super::extract::Body;
use super::html;
use super::session::{self, Session};
use crate::app::App;
use crate::people::oidc::{self, Returned};

#[derive(Serialize, ToSchema)]
pub(super) struct Begun {
    /// Where the browser goes.
    url: String,
    /// To be brought back with the provider's answer; good for ten minutes, once.
    handle: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Finish {
    handle: String,
    /// `code`, `state` and `iss` as the provider put them into the address.
    code: String,
    state: String,
    #[serde(default)]
    iss: Option<String>,
}

/// Begin to sign in at the identity provider.
#[utoipa::path(
    post, path = "/oidc/begin", tag = "access", security(()),
    responses((status = 201, body = Begun), (status = 404, description = "No provider is configured", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "The provider does not answer", body = ProblemDocument, content_type = "application/problem+json"))
)]
pub(super) async fn begin(State(app): State<Arc<App>>) -> Answer<impl IntoResponse> {
    let begun = oidc::begin(&app).await?;
    Ok((StatusCode::CREATED, Json(Begun { url: begun.url, handle: begun.handle })))
}

/// Sign in with what the provider answered.
#[utoipa::path(
    post, path = "/oidc/finish", tag = "access", request_body = Finish, security(()),
    responses((status = 201, body = Session), (status = 403, description = "Not accepted: see detail", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 429, description = "Locked for a while: see Retry-After", body = ProblemDocument, content_type = "application/problem+json"))
)]
pub(super) async fn finish(
    State(app): State<Arc<App>>,
    Origin(from): Origin,
    Body(it): Body<Finish>,
) -> Answer<impl IntoResponse> {
    let returned = Returned {
        handle: &it.handle,
        state: &it.state,
        code: &it.code,
        issuer: it.iss.as_deref(),
    };
    let token = oidc::finish(&app, &returned, &from).await?;
    Ok((StatusCode::CREATED, Json(session::show(&app, &token))))
}

/// The page that begins, and that the provider sends back to. It holds nothing but a script of ours.
pub(super) async fn page() -> impl IntoResponse {
    html::page(include_str!("oidc.html"))
}

pub(super) async fn script() -> impl IntoResponse {
    html::script(include_str!("oidc.js"))
}
