//! Whether the node works, and who it is.
//!
//! Never more than "ok" to strangers: roles and custodians are for signed-in people.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use tidm_space::people::decide::SecondFactor;

use super::answer::Answer;
use crate::accounts;
use crate::app::App;

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Health {
    /// `ok`, or `read-only` while no evidence custodian has answered.
    status: &'static str,
    /// Nobody can sign in yet: use the link printed at first start.
    setup_needed: bool,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Info {
    org: String,
    did: String,
    public_url: String,
    dsp_address: String,
    /// How peers prove who they are: did, dcp, mtls or development; those of several spaces joined by `+`.
    identity_mode: String,
    /// What everybody must know about that mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    banner: Option<&'static str>,
    version: &'static str,
    roles: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    credit_code: Option<String>,
    /// Name of the evidence log.
    log_origin: String,
    custodians: usize,
    /// Cosignatures that a checkpoint needs.
    quorum: usize,
    /// Members of the space as its operator signed them; absent before a list was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    members: Option<usize>,
    /// When the certificates of this node end, the first one; RFC 3339. Absent without TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate_ends: Option<String>,
    /// system, security and audit administrator must be different accounts.
    separation: bool,
    /// Who must have a second factor: off, administrators or everybody.
    second_factor: &'static str,
    /// RFC 3339.
    time: String,
}

/// Whether the node works.
#[utoipa::path(get, path = "/health", tag = "node", security(()), responses((status = 200, body = Health)))]
pub(super) async fn health(State(app): State<Arc<App>>) -> Answer<Json<Health>> {
    let setup_needed = accounts::setup_needed(&app).await?;
    let status = if app.log.readiness().is_ok() { "ok" } else { "read-only" };
    Ok(Json(Health { status, setup_needed }))
}

/// Who this node is.
#[utoipa::path(get, path = "/info", tag = "node", security(("bearer" = ["read"])), responses((status = 200, body = Info)))]
pub(super) async fn info(State(app): State<Arc<App>>) -> Json<Info> {
    Json(Info {
        org: app.config.node.org.clone(),
        did: app.identity.did.to_string(),
        public_url: app.identity.public_url.clone(),
        dsp_address: app.identity.dsp_base(),
        identity_mode: app.gate.name(),
        banner: app.gate.banner(),
        version: env!("CARGO_PKG_VERSION"),
        roles: app.config.node.roles.iter().map(|it| it.name()).collect(),
        credit_code: app.config.node.credit_code.clone(),
        log_origin: app.log.origin.clone(),
        custodians: app.log.custodians().len(),
        quorum: app.log.quorum(),
        members: app.directory.lists().iter().map(|it| it.members.len()).reduce(|a, b| a + b),
        certificate_ends: app.tls.as_ref().and_then(|it| it.ends()).map(|it| it.to_string()),
        separation: app.config.people.settings.separation,
        second_factor: match app.config.people.settings.second_factor {
            SecondFactor::Off => "off",
            SecondFactor::Administrators => "administrators",
            SecondFactor::Everybody => "everybody",
        },
        time: app.clock.now().to_string(),
    })
}
