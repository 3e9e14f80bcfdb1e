//! Tables for matching: make one of a product, look at those that are here, delete one.
//!
//! Never an entry or a key of one: only sizes, digests and the signed statement.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use tidm_space::fault::Fault;
use tidm_space::id::Id;
use tidm_space::negotiation::message::Role;
use tidm_space::policy::matching::Key;

use super::answer::{Answer, Fail};
use super::docs::ProblemDocument;
use super::extract::{Body, Params};
use super::page::{Page, Wanted as Which};
use crate::app::App;
use crate::jobs::matching::table::prepare;
use crate::problem::Problem;
use crate::store::StoreError;
use crate::store::matchings::State as Stage;
use crate::store::tables::Table;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Prepare {
    /// A version of a product of ours.
    product: String,
    /// `column:form,…;equals`; absent: the one that the product is offered by.
    #[serde(default)]
    key: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Shown {
    id: String,
    /// made (of a product of ours) or kept (of a peer's, under a contract).
    kind: &'static str,
    product: String,
    version: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    contract: Option<String>,
    /// open (being made, or not fetched yet), done or failed.
    state: &'static str,
    key: String,
    /// Entries that it shows, and most items of one session.
    entries: u64,
    items: u64,
    /// Index and table together.
    bytes: u64,
    /// Digest of the index, which names every byte.
    #[serde(skip_serializing_if = "Option::is_none")]
    table: Option<String>,
    /// The provider's statement about it: a compact JWS.
    #[serde(skip_serializing_if = "Option::is_none")]
    statement: Option<String>,
    /// Kept: how often it was fetched.
    fetched: u64,
    created: String,
    moved: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Object)]
    progress: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Object)]
    report: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Object)]
    fault: Option<Value>,
}

fn shown(app: &App, it: Table) -> Shown {
    let progress = app.matchings.told(&it.id).and_then(|it| serde_json::to_value(it).ok());
    let record = it.record;
    Shown {
        id: it.id,
        kind: if it.role == Role::Provider { "made" } else { "kept" },
        product: it.product.to_string(),
        version: record.version,
        contract: it.contract.map(|it| it.to_string()),
        state: it.state.word(),
        key: record.key,
        entries: record.entries,
        items: record.items,
        bytes: record.index_bytes.saturating_add(record.bytes),
        table: record.table,
        statement: record.signed,
        fetched: record.fetched,
        created: it.created.to_string(),
        moved: it.moved.to_string(),
        progress: progress.filter(|_| it.state == Stage::Open),
        report: record.report,
        fault: record.fault.and_then(|it| serde_json::to_value(it).ok()),
    }
}

/// Make a table of a product version, for matchings with lists that are much smaller.
#[utoipa::path(
    post, path = "/psi-tables", tag = "products", request_body = Prepare, security(("bearer" = ["publish"])),
    responses((status = 202, description = "Begun, or there already; look at it until it is done", body = Shown),
        (status = 422, description = "No such key or column", body = ProblemDocument, content_type = "application/problem+json"))
)]
pub(super) async fn prepare(
    State(app): State<Arc<App>>,
    Body(it): Body<Prepare>,
) -> Answer<impl IntoResponse> {
    let product = Id::parse(&it.product)?;
    let key = it.key.as_deref().map(|text| {
        Key::parse(text)
            .ok_or_else(|| Fail::field("key", "as in part_no:text-any-case,maker;first"))
    });
    let begun = prepare::start(&app, &product, key.transpose()?).await?;
    Ok((StatusCode::ACCEPTED, Json(shown(&app, begun))))
}

/// Tables that are here, newest first.
#[utoipa::path(
    get, path = "/psi-tables", tag = "products", params(Which), security(("bearer" = ["read"])),
    responses((status = 200, body = Page<Shown>))
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Params(which): Params<Which>,
) -> Answer<Json<Page<Shown>>> {
    let found = app.store.tables(which.after()?.as_ref(), which.most()?).await;
    Ok(Json(Page::of(found.map_err(failed)?, |it| shown(&app, it))))
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Waiting {
    /// Seconds to wait for its end; 0 to 60.
    #[serde(default)]
    wait: u64,
}

/// Longest wait in one call, and how often it looks.
const WAIT: u64 = 60;
const STEP: Duration = Duration::from_millis(50);

/// How one stands.
#[utoipa::path(
    get, path = "/psi-tables/{id}", tag = "products", params(("id" = String, Path), Waiting), security(("bearer" = ["read"])),
    responses((status = 200, body = Shown), (status = 404, description = "No such table", body = ProblemDocument, content_type = "application/problem+json"))
)]
pub(super) async fn show(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Params(waiting): Params<Waiting>,
) -> Answer<Json<Shown>> {
    if waiting.wait > WAIT {
        return Err(Fail::field("wait", format!("at most {WAIT} seconds")));
    }
    let until = tokio::time::Instant::now() + Duration::from_secs(waiting.wait);
    loop {
        let found = app.store.table(&id).await.map_err(failed)?;
        let it = found.ok_or(Fault::NotFound { what: "table" })?;
        if it.state != Stage::Open || tokio::time::Instant::now() >= until {
            return Ok(Json(shown(&app, it)));
        }
        tokio::time::sleep(STEP).await;
    }
}

/// Delete one; one that is being made is stopped.
#[utoipa::path(
    delete, path = "/psi-tables/{id}", tag = "products", params(("id" = String, Path)), security(("bearer" = ["publish"])),
    responses((status = 204, description = "Its bytes are gone here; copies at consumers answer nothing any more"), (status = 404, description = "No such table", body = ProblemDocument, content_type = "application/problem+json"))
)]
pub(super) async fn drop(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Answer<StatusCode> {
    prepare::drop(&app, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn failed(why: StoreError) -> Fail {
    tracing::error!(%why, "tables cannot be read");
    Fail(Problem::of("internal"))
}
