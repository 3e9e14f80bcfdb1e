//! Evidence for outsiders: receipts, their verification, audits of a contract, lineage.
//!
//! Never the judge in its own cause: a receipt verifies with the log's and custodians' keys alone.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::answer::{Answer, Fail};
use crate::app::App;
use crate::init;
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
