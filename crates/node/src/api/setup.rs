//! First start: the one-time link makes the administrator.
//!
//! Never works twice: the token is used up in the transaction that creates the account.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::answer::Answer;
use super::docs::ProblemDocument;
use super::extract::Body;
use super::html;
use super::people::Invitation;
use crate::accounts;
use crate::app::App;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Setup {
    /// From the link printed at first start; valid for 30 minutes.
    token: String,
    name: String,
    /// At least 12 characters.
    #[schema(format = Password)]
    password: String,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Made {
    name: String,
    /// Where administrators are separated: the two others, whose links must reach two other people. Shown once.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    invitations: Vec<Invitation>,
}

/// Create the administrator, once.
#[utoipa::path(
    post, path = "/setup", tag = "access", request_body = Setup, security(()),
    responses((status = 201, body = Made), (status = 403, description = "Not the token, or its time is over", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "An administrator exists", body = ProblemDocument, content_type = "application/problem+json"))
)]
pub(super) async fn finish(
    State(app): State<Arc<App>>,
    Body(it): Body<Setup>,
) -> Answer<impl IntoResponse> {
    let invited = accounts::setup(&app, &it.token, &it.name, &it.password).await?;
    let invitations = invited.into_iter().map(|it| Invitation::of(&app, it)).collect();
    Ok((StatusCode::CREATED, Json(Made { name: it.name, invitations })))
}

/// The page behind the link. It holds nothing but a form.
pub(super) async fn page() -> impl IntoResponse {
    html::page(include_str!("setup.html"))
}

pub(super) async fn script() -> impl IntoResponse {
    html::script(include_str!("setup.js"))
}
