//! Contracts: what was signed, by whom, what is left, and how one ends.
//!
//! Never hides that a side did not sign: such a contract says *unsigned by* wherever it is shown (house D14).

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use tidm_space::contract::{Contract, End, State as Standing};
use tidm_space::engine::commit::About as Subject;
use tidm_space::engine::input::{Input, Wish};
use tidm_space::id::Id;
use tidm_space::lease::privacy;
use tidm_space::negotiation::message::Role;
use tidm_space::policy::privacy::micro_text;

use super::answer::{Answer, Fail};
use super::auth::Caller;
use super::docs::ProblemDocument;
use super::extract::{Body, OneId, Params, Speak};
use super::facts::{self, Line};
use super::messages::{self, Said};
use super::negotiations::Reason;
use super::page::{Page, Wanted};
use super::shown::{self, Meaning};
use crate::accounts::{Scope, Who};
use crate::app::App;
use crate::people::may_rule_keys;
use crate::store::timeline::About;

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Short {
    id: String,
    /// Ours: consumer or provider.
    role: &'static str,
    provider: String,
    consumer: String,
    product: String,
    /// active, suspended or ended.
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    suspended: Option<Suspended>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<Ended>,
    /// `signed`, or `unsigned by` and the DID.
    provider_signature: String,
    consumer_signature: String,
    signed_at: String,
    /// Last instant of use.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<String>,
    /// Most uses; absent: the contract does not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    uses: Option<u64>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Suspended {
    at: String,
    reason: String,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Ended {
    /// revoked, expired, used-up or agreed.
    why: &'static str,
    by: &'static str,
    at: String,
    reason: String,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Full {
    #[serde(flatten)]
    short: Short,
    negotiation: String,
    /// What it means for each kind of use that it permits.
    terms: Vec<Meaning>,
    /// As the gate counts, where this node is the gate; as the last lease said, where it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    uses_left: Option<u64>,
    /// What is left of the privacy budget, the same way.
    #[serde(skip_serializing_if = "Option::is_none")]
    epsilon_left: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_use: Option<String>,
    /// SHA-256 of what was signed.
    digest: String,
    /// The deletion receipt; evidence of destruction, never proof that no copy exists.
    #[serde(skip_serializing_if = "Option::is_none")]
    deletion: Option<Deleted>,
    /// Since when a deletion receipt is overdue that the contract obliges to; it may have come later.
    #[serde(skip_serializing_if = "Option::is_none")]
    deletion_missed: Option<String>,
    /// As it travels: ODRL.
    #[schema(value_type = Object)]
    policy: serde_json::Value,
    /// What happened, oldest first.
    timeline: Vec<Line>,
    /// Each message of its negotiation, oldest first.
    messages: Vec<Said>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Deleted {
    at: String,
    /// SHA-256 of each deleted file.
    files: Vec<String>,
    /// The consumer's signature over it: a compact JWS.
    receipt: String,
}

fn short(app: &App, it: &Contract) -> Short {
    let me = &app.identity.did;
    let (provider, consumer) = (it.provider(me).to_string(), it.consumer(me).to_string());
    let signature = |there: bool, by: &str| {
        if there { "signed".to_owned() } else { format!("unsigned by {by}") }
    };
    let ended = match &it.state {
        Standing::Active | Standing::Suspended { .. } => None,
        Standing::Ended { why, by, at, reason } => Some(Ended {
            why: why.word(),
            by: by.word(),
            at: at.to_string(),
            reason: reason.clone(),
        }),
    };
    let suspended = match &it.state {
        Standing::Suspended { at, reason } => {
            Some(Suspended { at: at.to_string(), reason: reason.clone() })
        }
        Standing::Active | Standing::Ended { .. } => None,
    };
    let terms = it.terms().ok();
    let uses = terms.as_ref().and_then(|terms| terms.summary.uses);
    let until = terms.and_then(|terms| terms.until(it.first_use));
    Short {
        id: it.id.to_string(),
        role: it.role.word(),
        provider_signature: signature(it.provider_signature.is_some(), &provider),
        consumer_signature: signature(it.consumer_signature.is_some(), &consumer),
        provider,
        consumer,
        product: it.product.to_string(),
        state: it.word(),
        suspended,
        ended,
        signed_at: it.signed_at.to_string(),
        until: until.map(|it| it.to_string()),
        uses,
    }
}

async fn full(app: &App, it: &Contract, speak: Speak) -> Answer<Full> {
    let short = short(app, it);
    let uses_left = match (short.uses, it.role) {
        (None, _) => None,
        (Some(most), Role::Provider) => {
            Some(most.saturating_sub(app.store.spent(&it.id).await?.uses))
        }
        (Some(most), Role::Consumer) => Some(app.store.uses_left(&it.id).await?.unwrap_or(most)),
    };
    let epsilon_left = epsilon_left(app, it).await?;
    Ok(Full {
        short,
        negotiation: it.negotiation.to_string(),
        terms: shown::meanings(&it.policy, speak),
        uses_left,
        epsilon_left,
        first_use: it.first_use.map(|it| it.to_string()),
        digest: it.digest.to_string(),
        deletion: it.deletion.as_ref().map(|it| Deleted {
            at: it.at.to_string(),
            files: it.files.iter().map(ToString::to_string).collect(),
            receipt: it.receipt.0.clone(),
        }),
        deletion_missed: it.missed.map(|it| it.to_string()),
        policy: tidm_space::wire::odrl::to_json(&it.policy),
        timeline: facts::timeline(app, About::Contract(it.id.clone()), speak).await?,
        messages: messages::of(app, &Subject::Negotiation(it.negotiation.clone())).await?,
    })
}

async fn epsilon_left(app: &App, it: &Contract) -> Answer<Option<String>> {
    let budget = it.terms().ok().and_then(|it| it.summary.limits.privacy.budget);
    let Some(budget) = budget else { return Ok(None) };
    let left = match it.role {
        Role::Provider => {
            privacy::left(budget, app.store.epsilon_spent(&*app.directory, it).await?)
        }
        Role::Consumer => app.store.epsilon_left(&it.id).await?.unwrap_or_else(|| budget.micro()),
    };
    Ok(Some(micro_text(left)))
}

/// Contracts, newest first.
#[utoipa::path(
    get, path = "/contracts", tag = "contracts", params(Wanted), security(("bearer" = ["read"])),
    responses((status = 200, body = Page<Short>))
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Params(page): Params<Wanted>,
) -> Answer<Json<Page<Short>>> {
    let found = app.store.contracts(page.after()?.as_ref(), page.most()?).await?;
    Ok(Json(Page::of(found, |it| short(&app, &it))))
}

pub(super) async fn find(app: &App, id: &Id) -> Answer<Contract> {
    app.store.contract(id).await?.ok_or_else(|| Fail::not_found("contract"))
}

/// One contract: terms in sentences, uses left, signatures, what happened.
#[utoipa::path(
    get, path = "/contracts/{id}", tag = "contracts", params(("id" = String, Path)), security(("bearer" = ["read"])),
    responses((status = 200, body = Full), (status = 404, description = "No such contract", body = ProblemDocument, content_type = "application/problem+json"))
)]
pub(super) async fn show(
    State(app): State<Arc<App>>,
    speak: Speak,
    OneId(id): OneId,
) -> Answer<Json<Full>> {
    let it = find(&app, &id).await?;
    Ok(Json(full(&app, &it, speak).await?))
}

async fn wished(app: &App, id: Id, wish: Wish, speak: Speak) -> Answer<Json<Full>> {
    app.writer.run(Input::Wish(Box::new(wish))).await?;
    let it = find(app, &id).await?;
    Ok(Json(full(app, &it, speak).await?))
}

/// Destroys the contract's key.
async fn finish(
    app: &App,
    who: &Who,
    (id, why): (Id, End),
    reason: Reason,
    speak: Speak,
) -> Answer<Json<Full>> {
    may_rule_keys(app, who, Scope::Contract).await?;
    let reason = reason.text()?;
    let wish = Wish::EndContract { contract: id.clone(), why, reason };
    wished(app, id, wish, speak).await
}

/// Provider: revoke it. Its key is destroyed; nothing opens under it again.
#[utoipa::path(
    post, path = "/contracts/{id}/revoke", tag = "contracts", params(("id" = String, Path)), request_body = Reason,
    security(("bearer" = ["contract"])),
    responses((status = 200, body = Full), (status = 403, description = "Who has a second factor gives a fresh code", body = ProblemDocument, content_type = "application/problem+json"), (status = 422, description = "Only the provider revokes", body = ProblemDocument, content_type = "application/problem+json"))
)]
pub(super) async fn revoke(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    speak: Speak,
    OneId(id): OneId,
    Body(it): Body<Reason>,
) -> Answer<Json<Full>> {
    finish(&app, &who, (id, End::Revoked), it, speak).await
}

/// Either side: end it as agreed. Copies are deleted, the key is destroyed.
#[utoipa::path(
    post, path = "/contracts/{id}/end", tag = "contracts", params(("id" = String, Path)), request_body = Reason,
    security(("bearer" = ["contract"])),
    responses((status = 200, body = Full), (status = 404, description = "No such contract", body = ProblemDocument, content_type = "application/problem+json"))
)]
pub(super) async fn end(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    speak: Speak,
    OneId(id): OneId,
    Body(it): Body<Reason>,
) -> Answer<Json<Full>> {
    finish(&app, &who, (id, End::Agreed), it, speak).await
}

/// Provider: suspend it. Open leases are revoked, deliveries stop, and nothing is used under it until it is resumed.
#[utoipa::path(
    post, path = "/contracts/{id}/suspend", tag = "contracts", params(("id" = String, Path)), request_body = Reason,
    security(("bearer" = ["contract"])),
    responses((status = 200, body = Full), (status = 403, description = "Who has a second factor gives a fresh code", body = ProblemDocument, content_type = "application/problem+json"), (status = 422, description = "Not the provider, or the contract has ended", body = ProblemDocument, content_type = "application/problem+json"))
)]
pub(super) async fn suspend(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    speak: Speak,
    OneId(id): OneId,
    Body(it): Body<Reason>,
) -> Answer<Json<Full>> {
    may_rule_keys(&app, &who, Scope::Contract).await?;
    let wish = Wish::Suspend { contract: id.clone(), reason: it.text()? };
    wished(&app, id, wish, speak).await
}

/// Provider: consent to uses under it, where its terms ask for that first (obtainConsent). It holds for the whole contract.
#[utoipa::path(
    post, path = "/contracts/{id}/consent", tag = "contracts", params(("id" = String, Path)),
    security(("bearer" = ["contract"])),
    responses((status = 200, body = Full), (status = 403, description = "Who has a second factor gives a fresh code", body = ProblemDocument, content_type = "application/problem+json"), (status = 422, description = "Not the provider, or the terms ask for no consent", body = ProblemDocument, content_type = "application/problem+json"))
)]
pub(super) async fn consent(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    speak: Speak,
    OneId(id): OneId,
) -> Answer<Json<Full>> {
    may_rule_keys(&app, &who, Scope::Contract).await?;
    let wish = Wish::Consent { contract: id.clone() };
    wished(&app, id, wish, speak).await
}

/// Provider: resume a suspended contract. Leases do not come back; deliveries that the suspension stopped go on.
#[utoipa::path(
    post, path = "/contracts/{id}/resume", tag = "contracts", params(("id" = String, Path)),
    security(("bearer" = ["contract"])),
    responses((status = 200, body = Full), (status = 403, description = "Who has a second factor gives a fresh code", body = ProblemDocument, content_type = "application/problem+json"), (status = 422, description = "Not the provider, or the contract has ended", body = ProblemDocument, content_type = "application/problem+json"))
)]
pub(super) async fn resume(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    speak: Speak,
    OneId(id): OneId,
) -> Answer<Json<Full>> {
    may_rule_keys(&app, &who, Scope::Contract).await?;
    let wish = Wish::Resume { contract: id.clone() };
    wished(&app, id, wish, speak).await
}
