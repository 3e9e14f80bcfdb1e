//! What came of a matching: the rows of our list that matched and what was given with them, fetched or forgotten.
//!
//! Never what a contract withholds, and never to who may not use under all of its contracts.

use std::sync::Arc;

use axum::body::Body as Stream;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;

use tidm_space::fault::Fault;

use super::answer::{Answer, Fail};
use super::auth::Caller;
use super::docs::ProblemDocument;
use super::matchings::{may_use_all, one};
use crate::app::App;
use crate::jobs::matching::settle;
use crate::jobs::rest;
use crate::objects::Key;
use crate::problem::Problem;
use crate::store::matchings::{Matching, State as Stage};

/// Delete what this node keeps of a result: rows and labels. That the matching was stays on record.
#[utoipa::path(
    delete, path = "/matchings/{id}/rows", tag = "uses", params(("id" = String, Path)), security(("bearer" = ["use"])),
    responses((status = 204, description = "Nothing of it is kept"), (status = 409, description = "It is not over", body = ProblemDocument, content_type = "application/problem+json"))
)]
pub(super) async fn forget(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    Path(id): Path<String>,
) -> Answer<StatusCode> {
    let it = one(&app, &id).await?;
    may_use_all(&app, &who, &it).await?;
    if it.state == Stage::Open {
        return Err(Fault::conflict("psi.no-rows", "it is not done yet").into());
    }
    settle::forget(&app, it).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The rows of our list that matched, in its format.
#[utoipa::path(
    get, path = "/matchings/{id}/rows", tag = "uses", params(("id" = String, Path)), security(("bearer" = ["use"])),
    responses((status = 200, description = "Rows", content_type = "application/octet-stream", body = Vec<u8>),
        (status = 409, description = "Not done, withheld, or not for this side", body = ProblemDocument, content_type = "application/problem+json"))
)]
pub(super) async fn rows(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    Path(id): Path<String>,
) -> Answer<impl IntoResponse> {
    let it = one(&app, &id).await?;
    may_use_all(&app, &who, &it).await?;
    let object = it.record.rows.clone();
    given(&app, it, object).await
}

/// What the provider gave with them: CSV, with the number of our row before it.
#[utoipa::path(
    get, path = "/matchings/{id}/labels", tag = "uses", params(("id" = String, Path)), security(("bearer" = ["use"])),
    responses((status = 200, description = "Rows", content_type = "text/csv", body = Vec<u8>),
        (status = 409, description = "Not done, withheld, or not asked for", body = ProblemDocument, content_type = "application/problem+json"))
)]
pub(super) async fn labels(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    Path(id): Path<String>,
) -> Answer<impl IntoResponse> {
    let it = one(&app, &id).await?;
    may_use_all(&app, &who, &it).await?;
    let object = it.record.labels.clone();
    given(&app, it, object).await
}

async fn given(
    app: &App,
    it: Matching,
    object: Option<String>,
) -> Answer<impl IntoResponse + use<>> {
    let Some(object) = object else {
        let why = match (it.state, it.record.withheld) {
            (Stage::Open, _) => "it is not done yet".to_owned(),
            (Stage::Failed, _) => "it failed".to_owned(),
            (Stage::Done, Some(term)) => format!("the result is withheld by {term}"),
            (Stage::Done, None) => {
                "it was not asked for, was deleted, or the contract gives it to the other side alone"
                    .to_owned()
            }
        };
        return Err(Fault::conflict("psi.no-rows", why).into());
    };
    let headers = |bytes: u64| {
        [
            (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
            (header::CONTENT_LENGTH, bytes.to_string()),
        ]
    };
    if rest::is_sealed(&object) {
        let (bytes, stream) = rest::opened(app, &object).await.map_err(|why| {
            tracing::error!(%why, object, "a result cannot be opened");
            Fail(Problem::of("internal"))
        })?;
        return Ok((headers(bytes), Stream::from_stream(stream)));
    }
    // Of before results were sealed.
    let key = Key::parse(&object).map_err(|_| Fail(Problem::of("internal")))?;
    let bytes = app.objects.head(&key).await?.bytes;
    Ok((headers(bytes), Stream::from_stream(app.objects.get(&key).await?)))
}
