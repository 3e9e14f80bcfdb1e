//! A contract in the words of TC609, with what those words cannot say.
//!
//! Never leaves a loss out, and never shows a document of what is not signed by everybody.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use tidm_space::tc609::loss::{Kind, Loss};
use tidm_space::wire::tc609::to_json;

use super::answer::Answer;
use super::docs::ProblemDocument;
use super::extract::{OneId, Speak};
use crate::app::App;
use crate::jobs::tc609 as job;

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Written {
    /// 47 characters; given at the first asking, and the same ever after.
    contract_id: String,
    /// The id of the agreement, the same on both sides.
    contract: String,
    /// SHA-256 of the document as it was signed.
    contract_hash: String,
    #[schema(value_type = Object)]
    document: serde_json::Value,
    losses: Vec<Lost>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Lost {
    /// For example permission[0]; empty: the contract itself.
    place: String,
    term: String,
    /// near, carried or dropped.
    kind: &'static str,
    why: &'static str,
}

/// A signed contract as TC609-6-2025-14 writes it. By its id, its negotiation's or its 47-character code.
#[utoipa::path(
    get, path = "/contracts/{id}/tc609", tag = "contracts", params(("id" = String, Path)), security(("bearer" = ["read"])),
    responses((status = 200, body = Written), (status = 404, description = "No such contract", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "No codes here, or not signed by everybody", body = ProblemDocument, content_type = "application/problem+json"))
)]
pub(super) async fn show(
    State(app): State<Arc<App>>,
    speak: Speak,
    OneId(id): OneId,
) -> Answer<Json<Written>> {
    let it = job::find(&app, &id).await?;
    let (document, losses) = job::document(&app, &it).await?;
    let lost = |it: &Loss| Lost {
        place: it.place.clone(),
        term: it.term.clone(),
        kind: match it.kind {
            Kind::Near => "near",
            Kind::Carried => "carried",
            Kind::Dropped => "dropped",
        },
        why: it.why(speak.core()),
    };
    Ok(Json(Written {
        contract_id: it.deal.code.to_string(),
        contract: it.signed()?.id.to_string(),
        contract_hash: job::evidence_code(&document).to_string(),
        document: to_json(&document),
        losses: losses.iter().map(lost).collect(),
    }))
}
