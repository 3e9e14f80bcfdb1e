//! Evidence for outsiders: receipts, their verification, audits of a contract, lineage.
//!
//! Never the judge in its own cause: a receipt verifies with the log's and custodians' keys alone.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use tidm_ledger::note::VerifierKey;

use super::answer::{Answer, Fail};
use super::docs::ProblemDocument;
use super::extract::{Body, OneId, Speak};
use crate::app::App;
use crate::init;
use crate::jobs::evidence as job;
use crate::jobs::evidence::verify;
use crate::jobs::{audit as auditing, lineage as tracing_back};
use crate::problem::Problem;

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct VerifierKeys {
    /// C2SP verifier key of this node's log.
    log: String,
    /// Verifier key of this node's witness, for logs that it watches.
    witness: String,
    /// Verifier keys of the custodians that cosign this node's log.
    custodians: Vec<String>,
    quorum: usize,
}

/// Keys to verify this node's evidence with.
#[utoipa::path(get, path = "/evidence/key", tag = "evidence", security(("bearer" = ["read"])), responses((status = 200, body = VerifierKeys)))]
pub(super) async fn key(State(app): State<Arc<App>>) -> Answer<Json<VerifierKeys>> {
    let failed = |error| {
        tracing::error!(%error, "a verifier key cannot be written");
        Fail(Problem::of("internal"))
    };
    Ok(Json(VerifierKeys {
        log: init::log_vkey(&app.config, app.keys.as_ref()).map_err(failed)?.to_string(),
        witness: init::witness_vkey(&app.config, app.keys.as_ref()).map_err(failed)?.to_string(),
        custodians: app.config.evidence.custodians.iter().map(|it| it.vkey.clone()).collect(),
        quorum: app.config.evidence.quorum,
    }))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Verify {
    /// The `.tlog-proof` file's text.
    receipt: String,
    /// Verifier keys of logs to believe; this node's own when absent.
    #[serde(default)]
    logs: Vec<String>,
    /// Verifier keys of witnesses to believe; this node's custodians when absent.
    #[serde(default)]
    witnesses: Vec<String>,
    /// How many of the witnesses must have cosigned; this node's own quorum when absent.
    #[serde(default)]
    quorum: Option<usize>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Verified {
    /// Everything that was asked for is proven.
    accepted: bool,
    origin: String,
    index: u64,
    size: u64,
    included: bool,
    log_signature: bool,
    quorum: bool,
    cosigned_by: Vec<String>,
    /// What is proven, what is not, and what no receipt proves; in the reader's language.
    text: String,
}

/// The receipt of a fact: a C2SP `.tlog-proof` that verifies offline.
#[utoipa::path(
    get, path = "/facts/{id}/receipt", tag = "evidence", params(("id" = String, Path)), security(("bearer" = ["audit"])),
    responses((status = 200, description = "The proof's text", body = String, content_type = "text/plain"),
        (status = 409, description = "Durable, but not witnessed yet", body = ProblemDocument, content_type = "application/problem+json"))
)]
pub(super) async fn receipt(State(app): State<Arc<App>>, OneId(id): OneId) -> Answer<Response> {
    match job::receipt(&app, &id).await {
        Ok((text, _)) => {
            Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response())
        }
        Err(job::ReceiptError::Unknown(_)) => Err(Fail::not_found("fact")),
        Err(job::ReceiptError::NotWitnessed) => Err(Fail(Problem::of("evidence.not-yet"))),
        Err(error @ (job::ReceiptError::Log(_) | job::ReceiptError::Store(_))) => {
            tracing::error!(%error, "a receipt cannot be made");
            Err(Fail(Problem::of("internal")))
        }
    }
}

fn keys(field: &str, all: &[String]) -> Answer<Vec<VerifierKey>> {
    all.iter().map(|it| crate::log::parse_vkey(it).map_err(|why| Fail::field(field, why))).collect()
}

/// Verify a receipt with the keys given, or with this node's.
#[utoipa::path(
    post, path = "/evidence/verify", tag = "evidence", request_body = Verify, security(("bearer" = ["audit"])),
    responses((status = 200, description = "What is proven and what is not", body = Verified), (status = 400, description = "Not a receipt, or not a key", body = ProblemDocument, content_type = "application/problem+json"))
)]
pub(super) async fn verify(
    State(app): State<Arc<App>>,
    speak: Speak,
    Body(it): Body<Verify>,
) -> Answer<Json<Verified>> {
    let mut logs = keys("logs", &it.logs)?;
    if logs.is_empty() {
        logs.extend(init::log_vkey(&app.config, app.keys.as_ref()).ok());
    }
    let own = it.witnesses.is_empty();
    let witnesses: Vec<String> = if own {
        app.config.evidence.custodians.iter().map(|it| it.vkey.clone()).collect()
    } else {
        it.witnesses
    };
    let quorum =
        it.quorum.unwrap_or(if own { app.config.evidence.quorum } else { witnesses.len() });
    let policy = verify::policy_of(&keys("witnesses", &witnesses)?, quorum)
        .map_err(|why| Fail::field("quorum", why))?;
    let report = verify::verify_file(it.receipt.as_bytes(), &logs, &policy)
        .map_err(|why| Fail::field("receipt", why))?;
    let proof = &report.proof;
    Ok(Json(Verified {
        accepted: report.accepted(),
        origin: proof.origin.clone(),
        index: proof.index,
        size: proof.size,
        included: proof.included,
        log_signature: proof.log_signature_ok,
        quorum: proof.quorum_met,
        cosigned_by: proof.cosigned_by.iter().map(|(name, _)| name.clone()).collect(),
        text: report.text(speak.core()),
    }))
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Audit {
    /// The report under this node's signature: a compact JWS over RFC 8785 JSON.
    signed: String,
    /// The same report, to read.
    #[schema(value_type = Object)]
    report: Value,
    /// Why the other side's facts are missing, if they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    peer_error: Option<String>,
}

/// Audit a contract: both sides' facts reconciled.
#[utoipa::path(
    get, path = "/audit/{contract}", tag = "evidence", params(("contract" = String, Path)), security(("bearer" = ["audit"])),
    responses((status = 200, description = "Signed report; with `Accept: text/markdown` for people", content((Audit = "application/json"), (String = "text/markdown"))),
        (status = 404, description = "No such contract", body = ProblemDocument, content_type = "application/problem+json"))
)]
pub(super) async fn audit(
    State(app): State<Arc<App>>,
    speak: Speak,
    headers: HeaderMap,
    OneId(id): OneId,
) -> Answer<Response> {
    let done = auditing::audit(&app, &id).await?.ok_or_else(|| Fail::not_found("contract"))?;
    let people = headers
        .get(header::ACCEPT)
        .is_some_and(|it| it.to_str().is_ok_and(|it| it.contains("text/markdown")));
    if people {
        let text = done.markdown(speak.core());
        return Ok(([(header::CONTENT_TYPE, "text/markdown; charset=utf-8")], text).into_response());
    }
    let report = tidm_space::wire::tidm::audit::to_json(&done.report);
    Ok(Json(Audit { signed: done.signed, report, peer_error: done.peer_error }).into_response())
}

/// Lineage of a product, contract or transfer: W3C PROV-JSON.
#[utoipa::path(
    get, path = "/lineage/{id}", tag = "evidence", params(("id" = String, Path)), security(("bearer" = ["audit"])),
    responses((status = 200, body = Object))
)]
pub(super) async fn lineage(State(app): State<Arc<App>>, OneId(id): OneId) -> Answer<Json<Value>> {
    Ok(Json(tracing_back::lineage(&app, &id).await?))
}
