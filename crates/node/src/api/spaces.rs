//! Spaces: run one, invite organisations, join, revoke a membership.
//!
//! Never issues by itself: an invitation lets an organisation ask our issuer, which signs (DCP §6). A
//! revocation is a bit on the published status list; nobody has to be told for it to hold.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use tidm_space::identity::did::Did;

use super::answer::{Answer, Fail};
use super::auth::Caller;
use super::docs::ProblemDocument;
use super::extract::{Body, OneId};
use crate::accounts::Scope;
use crate::app::App;
use crate::jobs::membership::{self, Particulars};
use crate::people::may_rule_keys;
use crate::store::issuer::MemberRow;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewSpace {
    name: String,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Space {
    id: String,
    name: String,
    /// Issues its memberships: this node.
    operator: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewInvitation {
    did: String,
    /// Of provider, consumer, custodian, intermediary, infrastructure; the first two when absent.
    #[serde(default)]
    roles: Vec<String>,
    /// Where it is: a code of ISO 3166 such as CN or CN-32. Its membership says so, and terms may ask for it.
    country: Option<String>,
    /// The unified social credit code (GB 32100) of its legal entity. Its membership says so, and accounts of one entity share
    /// its budgets.
    #[serde(rename = "creditCode")]
    credit_code: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Invitation {
    /// For `POST /spaces/join` at the invited node. No secret: it works for the invited DID alone.
    invitation: String,
    until: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Join {
    invitation: String,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Joined {
    space: String,
    operator: String,
    /// `issued`: the membership is in our wallet; `open`: the operator has not delivered it yet.
    state: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Revoke {
    did: String,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Revoked {
    /// Memberships that ended by this call.
    revoked: u64,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Member {
    did: String,
    since: String,
    until: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked: Option<String>,
}

fn did(text: &str) -> Answer<Did> {
    Did::parse(text).map_err(|why| Fail::field("did", why))
}

/// Run a space: this node issues its memberships.
#[utoipa::path(
    post, path = "/spaces", tag = "spaces", request_body = NewSpace, security(("bearer" = ["admin"])),
    responses((status = 201, body = Space), (status = 400, description = "Empty or too long a name", body = ProblemDocument, content_type = "application/problem+json"))
)]
pub(super) async fn create(
    State(app): State<Arc<App>>,
    Body(it): Body<NewSpace>,
) -> Answer<impl IntoResponse> {
    let name = it.name.trim().to_owned();
    if name.is_empty() || name.len() > tidm_space::limits::TITLE_BYTES {
        return Err(Fail::field("name", "empty or too long"));
    }
    let id = membership::create(&app, &name).await?;
    let operator = app.identity.did.to_string();
    Ok((StatusCode::CREATED, Json(Space { id, name, operator })))
}

/// Spaces that this node runs.
#[utoipa::path(
    get, path = "/spaces", tag = "spaces", security(("bearer" = ["admin"])),
    responses((status = 200, body = [Space]))
)]
pub(super) async fn list(State(app): State<Arc<App>>) -> Answer<Json<Vec<Space>>> {
    let operator = app.identity.did.to_string();
    let all = app.store.spaces().await?.into_iter();
    Ok(Json(all.map(|(id, name)| Space { id, name, operator: operator.clone() }).collect()))
}

/// Everybody who was ever made a member of a space of ours, newest first.
#[utoipa::path(
    get, path = "/spaces/{id}/members", tag = "spaces", params(("id" = String, Path)), security(("bearer" = ["admin"])),
    responses((status = 200, body = [Member]), (status = 404, description = "No space of this node", body = ProblemDocument, content_type = "application/problem+json"))
)]
pub(super) async fn members(
    State(app): State<Arc<App>>,
    OneId(id): OneId,
) -> Answer<Json<Vec<Member>>> {
    membership::ours(&app, id.as_str()).await?;
    let all = app.store.space_members(&app.identity.did, id.as_str()).await?;
    let member = |it: MemberRow| Member {
        did: it.holder,
        since: it.at.to_string(),
        until: it.until.to_string(),
        revoked: it.revoked.map(|it| it.to_string()),
    };
    Ok(Json(all.into_iter().map(member).collect()))
}

/// Invite an organisation.
#[utoipa::path(
    post, path = "/spaces/{id}/invitations", tag = "spaces", params(("id" = String, Path)), request_body = NewInvitation, security(("bearer" = ["admin"])),
    responses((status = 201, body = Invitation), (status = 404, description = "No space of this node", body = ProblemDocument, content_type = "application/problem+json"))
)]
pub(super) async fn invite(
    State(app): State<Arc<App>>,
    OneId(id): OneId,
    Body(it): Body<NewInvitation>,
) -> Answer<impl IntoResponse> {
    let holder = did(&it.did)?;
    let (country, credit_code) = (it.country.as_deref(), it.credit_code.as_deref());
    let about = Particulars { country, credit_code };
    let made = membership::invite(&app, id.as_str(), &holder, &it.roles, about).await?;
    let (invitation, until) = (made.0, made.1.to_string());
    Ok((StatusCode::CREATED, Json(Invitation { invitation, until })))
}

/// Join a space that invited us: ask its operator for our membership, and wait a moment for it.
#[utoipa::path(
    post, path = "/spaces/join", tag = "spaces", request_body = Join, security(("bearer" = ["admin"])),
    responses((status = 200, body = Joined), (status = 400, description = "Not an invitation", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 403, description = "The operator refused", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "The operator does not answer", body = ProblemDocument, content_type = "application/problem+json"))
)]
pub(super) async fn join(
    State(app): State<Arc<App>>,
    Body(it): Body<Join>,
) -> Answer<Json<Joined>> {
    let done = membership::join(&app, &it.invitation).await?;
    Ok(Json(Joined { space: done.space, operator: done.issuer, state: done.state }))
}

/// Revoke an organisation's membership: it holds from the next message after a verifier's status list.
#[utoipa::path(
    post, path = "/spaces/{id}/revocations", tag = "spaces", params(("id" = String, Path)), request_body = Revoke, security(("bearer" = ["admin"])),
    responses((status = 200, body = Revoked), (status = 404, description = "No space of this node, or nobody of that name in it", body = ProblemDocument, content_type = "application/problem+json"))
)]
pub(super) async fn revoke(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    OneId(id): OneId,
    Body(it): Body<Revoke>,
) -> Answer<Json<Revoked>> {
    may_rule_keys(&app, &who, Scope::Admin).await?;
    let revoked = membership::revoke(&app, id.as_str(), &did(&it.did)?).await?;
    Ok(Json(Revoked { revoked }))
}
