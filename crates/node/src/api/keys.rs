//! API keys for programs: everybody makes, lists and revokes their own; whoever grants rights sees and revokes all.
//!
//! Never shown again: the list knows a key's title and scopes, not the key.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use tidm_space::time::Time;

use super::answer::{Answer, Fail};
use super::auth::Caller;
use super::docs::ProblemDocument;
use super::extract::{Body, OneId, Params};
use super::page::{Page, Wanted};
use crate::accounts::{self, Scope};
use crate::app::App;
use crate::people::{Deed, perform};
use crate::store::accounts::KeyRow;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewKey {
    /// What it is for.
    title: String,
    /// Of read, publish, contract, use, audit, admin (all that the owner may), accounts, rights, people-log, own. A key
    /// never opens more than its owner may at the time.
    scopes: Vec<String>,
    /// RFC 3339 with a zone; without it the key lives until it is revoked. A key made with a key ends with that one at the latest.
    #[serde(default)]
    until: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Key {
    id: String,
    title: String,
    account: String,
    scopes: Vec<String>,
    created: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Made {
    #[serde(flatten)]
    key: Key,
    /// For `Authorization: Bearer`. Shown once.
    token: String,
}

fn show(it: KeyRow) -> Key {
    Key {
        id: it.id,
        title: it.title,
        account: it.account,
        scopes: it.scopes.split(' ').map(str::to_owned).collect(),
        created: it.created.to_string(),
        until: it.until.map(|it| it.to_string()),
    }
}

/// Make a key; its token is shown once.
#[utoipa::path(
    post, path = "/keys", tag = "access", request_body = NewKey, security(("bearer" = ["own"])),
    responses((status = 201, body = Made), (status = 400, description = "Unknown scope, empty title or past end", body = ProblemDocument, content_type = "application/problem+json"))
)]
pub(super) async fn create(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    Body(it): Body<NewKey>,
) -> Answer<impl IntoResponse> {
    let mut scopes = Vec::new();
    for word in &it.scopes {
        scopes.push(Scope::from_word(word).ok_or_else(|| {
            Fail::field(
                "scopes",
                format!("{word} is not one of {}", Scope::ALL.map(Scope::word).join(", ")),
            )
        })?);
    }
    let until = it
        .until
        .as_deref()
        .map(Time::parse)
        .transpose()
        .map_err(|why| Fail::field("until", why))?;
    // A key's key ends with it at the latest.
    let end = who.key.as_ref().and_then(|(_, end)| *end);
    let until = until.into_iter().chain(end).min();
    let now = app.clock.now();
    let (row, token) = accounts::draft_key(now, &who.account, &it.title, &scopes, until)?;
    perform(&app, &who, Deed::MakeKey(row.clone())).await?;
    Ok((StatusCode::CREATED, Json(Made { key: show(row), token: token.expose().to_owned() })))
}

/// One's own keys, newest first; with the scope rights everybody's.
#[utoipa::path(
    get, path = "/keys", tag = "access", params(Wanted), security(("bearer" = ["own"])),
    responses((status = 200, body = Page<Key>))
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    Params(page): Params<Wanted>,
) -> Answer<Json<Page<Key>>> {
    let owner = (!who.may(Scope::Rights)).then_some(who.account.as_str());
    let found = app.store.api_keys(owner, page.after()?.as_ref(), page.most()?).await?;
    Ok(Json(Page::of(found, show)))
}

/// Revoke a key at once.
#[utoipa::path(
    delete, path = "/keys/{id}", tag = "access", params(("id" = String, Path)), security(("bearer" = ["own"])),
    responses((status = 204, description = "Revoked"), (status = 404, description = "No such key", body = ProblemDocument, content_type = "application/problem+json"))
)]
pub(super) async fn revoke(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    OneId(id): OneId,
) -> Answer<StatusCode> {
    perform(&app, &who, Deed::RevokeKey(id.to_string())).await?;
    Ok(StatusCode::NO_CONTENT)
}
