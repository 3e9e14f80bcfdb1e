//! Copies that were delivered under a contract, and their recall.
//!
//! Never says of a copy that none is left anywhere: *destroyed* is the consumer's signed word for what its node kept.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use tidm_space::contract::Contract;
use tidm_space::engine::input::{Input, Wish};
use tidm_space::evidence::copies;
use tidm_space::negotiation::message::Role;

use super::answer::{Answer, Fail};
use super::auth::Caller;
use super::contracts::find;
use super::docs::ProblemDocument;
use super::extract::{Body, OneId, Speak};
use super::negotiations::Reason;
use crate::accounts::Scope;
use crate::app::App;
use crate::people::may_rule_keys;

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Recall {
    contract: String,
    /// active, suspended or ended.
    state: &'static str,
    /// Since when a deletion receipt is overdue that the contract obliges to.
    #[serde(skip_serializing_if = "Option::is_none")]
    deletion_missed: Option<String>,
    copies: Vec<Copy>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Copy {
    /// SHA-256 of what was delivered.
    sha256: String,
    bytes: u64,
    transfers: Vec<String>,
    /// When it was made available last.
    at: String,
    /// in-use, destroyed, not-named, refused, not-heard or never-arrived.
    result: &'static str,
    /// The same in the reader's language.
    says: String,
}

async fn shown(app: &App, it: &Contract, speak: Speak) -> Answer<Json<Recall>> {
    if it.role != Role::Provider {
        return Err(Fail::not_found("contract"));
    }
    let facts = app.store.contract_facts_of(&it.id, copies::KINDS).await?;
    let copy = |copy: copies::Copy| Copy {
        sha256: copy.content.to_string(),
        bytes: copy.bytes,
        transfers: copy.transfers.iter().map(ToString::to_string).collect(),
        at: copy.at.to_string(),
        result: copy.fate.word(),
        says: copy.fate.says(speak.core()),
    };
    Ok(Json(Recall {
        contract: it.id.to_string(),
        state: it.word(),
        deletion_missed: it.missed.map(|it| it.to_string()),
        copies: copies::copies(it, &facts).into_iter().map(copy).collect(),
    }))
}

/// Provider: the copies delivered under a contract, and what is known of each.
#[utoipa::path(
    get, path = "/contracts/{id}/copies", tag = "contracts", params(("id" = String, Path)), security(("bearer" = ["read"])),
    responses((status = 200, body = Recall), (status = 404, description = "No such contract of this provider", body = ProblemDocument, content_type = "application/problem+json"))
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    speak: Speak,
    OneId(id): OneId,
) -> Answer<Json<Recall>> {
    let it = find(&app, &id).await?;
    shown(&app, &it, speak).await
}

/// Provider: recall. The contract is revoked if it stands, its key is destroyed, and every copy is to be deleted and signed
/// for; a consumer that has not answered is told again.
#[utoipa::path(
    post, path = "/contracts/{id}/recall", tag = "contracts", params(("id" = String, Path)), request_body = Reason,
    security(("bearer" = ["contract"])),
    responses((status = 200, body = Recall), (status = 422, description = "Only the provider recalls", body = ProblemDocument, content_type = "application/problem+json"))
)]
pub(super) async fn recall(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    speak: Speak,
    OneId(id): OneId,
    Body(it): Body<Reason>,
) -> Answer<Json<Recall>> {
    may_rule_keys(&app, &who, Scope::Contract).await?;
    let wish = Wish::Recall { contract: id.clone(), reason: it.text()? };
    app.writer.run(Input::Wish(Box::new(wish))).await?;
    let it = find(&app, &id).await?;
    shown(&app, &it, speak).await
}
