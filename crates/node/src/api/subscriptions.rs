//! Addresses that are called when others' offers change.
//!
//! Threat model: an address may point into our own network: it is checked as those of peers are, here and before every
//! call. Whoever may make one learns no more by it than by searching; what is sent is signed with the node's key.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use tidm_space::fault::Fault;
use tidm_space::time::Time;

use super::answer::{Answer, Fail};
use super::auth::Caller;
use super::docs::ProblemDocument;
use super::extract::{Body, OneId};
use super::page::Page;
use super::wanted::Wanted;
use crate::app::App;
use crate::store::subscriptions::{self as rows, Subscription};

/// Subscriptions of a node: each change is looked at for each of them.
const MOST: usize = 100;
/// Longest address.
const URL_BYTES: usize = 2048;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewSubscription {
    /// What is called: `https`, and no private address unless the configuration allows those.
    url: String,
    /// Only changes of what a search with these words and values would find.
    #[serde(default)]
    wanted: Wanted,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct SubscriptionShown {
    id: String,
    account: String,
    url: String,
    wanted: Wanted,
    created: String,
    /// The last change that was taken, or did not concern it.
    sent: i64,
    /// Failures in a row.
    failures: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    failing_since: Option<String>,
    /// The last call that was taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    ok: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// When it is tried again; absent where it is up to date, or given up.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    /// It failed for so long that it is not called any more.
    stopped: bool,
}

fn show(it: Subscription) -> SubscriptionShown {
    let text = |it: Option<Time>| it.map(|it| it.to_string());
    let stopped = it.is_stopped();
    SubscriptionShown {
        next: text(Some(it.next).filter(|_| it.failures > 0 && !stopped)),
        stopped,
        // Ours: written by `create` alone.
        wanted: serde_json::from_str(&it.filter).unwrap_or_default(),
        id: it.id,
        account: it.account,
        url: it.url,
        created: it.created.to_string(),
        sent: it.sent,
        failures: it.failures,
        failing_since: text(it.failing_since),
        ok: text(it.ok),
        error: it.error,
    }
}

/// Be called when products of others are new, changed or gone: from now on, in order, at least once.
#[utoipa::path(
    post, path = "/catalog/subscriptions", tag = "catalog", request_body = NewSubscription, security(("bearer" = ["contract"])),
    responses((status = 201, body = SubscriptionShown), (status = 400, description = "An address that is not called", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "Too many", body = ProblemDocument, content_type = "application/problem+json"))
)]
pub(super) async fn create(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    Body(it): Body<NewSubscription>,
) -> Answer<impl IntoResponse> {
    drop(it.wanted.filter_of_one()?);
    if it.url.len() > URL_BYTES {
        return Err(Fail::field("url", format!("at most {URL_BYTES} bytes")));
    }
    app.client.check_whole(&it.url).await.map_err(|why| Fail::field("url", why))?;
    if app.store.subscriptions().await?.len() >= MOST {
        return Err(Fault::refused("catalog.subscriptions", format!("at most {MOST}")).into());
    }
    let now = app.clock.now();
    let row = Subscription {
        id: uuid::Uuid::now_v7().simple().to_string(),
        account: who.account,
        url: it.url,
        filter: serde_json::to_string(&it.wanted).map_err(anyhow::Error::from)?,
        created: now,
        sent: app.store.heads().await?.others,
        next: now,
        failures: 0,
        failing_since: None,
        ok: None,
        error: None,
    };
    let saved = row.clone();
    app.writer
        .note(move |conn| {
            let row = saved.clone();
            Box::pin(async move { rows::save_subscription(conn, &row).await })
        })
        .await?;
    Ok((StatusCode::CREATED, Json(show(row))))
}

/// Who is called, and how that goes.
#[utoipa::path(
    get, path = "/catalog/subscriptions", tag = "catalog", security(("bearer" = ["contract"])),
    responses((status = 200, body = Page<SubscriptionShown>))
)]
pub(super) async fn list(State(app): State<Arc<App>>) -> Answer<Json<Page<SubscriptionShown>>> {
    let items = app.store.subscriptions().await?.into_iter().map(show).collect();
    Ok(Json(Page { items, next: None }))
}

/// Call an address no more.
#[utoipa::path(
    delete, path = "/catalog/subscriptions/{id}", tag = "catalog", params(("id" = String, Path)), security(("bearer" = ["contract"])),
    responses((status = 204, description = "Deleted"), (status = 404, description = "No such subscription", body = ProblemDocument, content_type = "application/problem+json"))
)]
pub(super) async fn delete(State(app): State<Arc<App>>, OneId(id): OneId) -> Answer<StatusCode> {
    if !app.store.subscriptions().await?.iter().any(|it| it.id == id.as_str()) {
        return Err(Fail::not_found("subscription"));
    }
    app.writer
        .note(move |conn| {
            let id = id.clone();
            Box::pin(async move { rows::delete_subscription(conn, id.as_str()).await })
        })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
