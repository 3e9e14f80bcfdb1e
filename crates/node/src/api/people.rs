//! People of this node: accounts for the system administrator, rights for the security administrator, the log for those
//! who watch both.
//!
//! Never a password and never a link twice: a link is in the answer that made it and nowhere else.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use tidm_space::id::Id;
use tidm_space::people::decide::Person;
use tidm_space::people::role::Role;
use tidm_space::people::rule::{Known, Rule as Needs};

use super::Api;
use super::answer::{Answer, Fail};
use super::auth::Caller;
use super::docs::ProblemDocument;
use super::extract::{Body, OneId, Params};
use super::page::{Page, Wanted};
use crate::accounts::{digest, secret};
use crate::app::App;
use crate::people::{Deed, Invited, LINK_LIFE, perform};

pub(super) fn accounts() -> Api {
    Api::new()
        .routes(routes!(add))
        .routes(routes!(invite))
        .routes(routes!(disable))
        .routes(routes!(enable))
        .routes(routes!(unlock))
}

pub(super) fn rights() -> Api {
    Api::new()
        .routes(routes!(set_roles))
        .routes(routes!(set_groups))
        .routes(routes!(reset_factor))
        .routes(routes!(rules))
        .routes(routes!(set_rule, drop_rule))
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Shown {
    name: String,
    /// invited, active or disabled.
    state: &'static str,
    roles: Vec<&'static str>,
    /// `group=NAME` and `NAME=VALUE`, separated by `;`.
    groups: String,
    second_factor: bool,
}

impl Shown {
    pub(super) fn of(it: Person) -> Self {
        Self {
            state: it.state.word(),
            roles: it.roles.iter().map(|it| it.word()).collect(),
            groups: it.known.to_string(),
            second_factor: it.second_factor,
            name: it.name,
        }
    }
}

/// A one-time link to set a password. Shown once.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Invitation {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    token: String,
    /// What the person runs.
    command: String,
    /// RFC 3339.
    until: String,
}

impl Invitation {
    pub(super) fn of(app: &App, it: Invited) -> Self {
        Self {
            command: format!(
                "tidm --url {} people join --token {}",
                app.identity.public_url, it.token
            ),
            role: it.role.map(Role::word),
            name: it.name,
            token: it.token,
            until: it.until.to_string(),
        }
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct New {
    /// 1 to 64 bytes.
    name: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Roles {
    /// All that the account is to have: system-administrator, security-administrator, audit-administrator, data-steward, analyst, auditor, regulator.
    roles: Vec<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Groups {
    /// All that is known of the person: `group=NAME` and `NAME=VALUE`, separated by `;`.
    groups: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewRule {
    /// `group=NAME`, `NAME=A|B` or `NAME>=NUMBER`, separated by `;`; all must be met.
    rule: String,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Rule {
    /// A contract or a product.
    subject: String,
    rule: String,
}

/// People, by name.
#[utoipa::path(
    get, path = "/people", tag = "people", params(Wanted), security(("bearer" = ["accounts"])),
    responses((status = 200, body = Page<Shown>))
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Params(page): Params<Wanted>,
) -> Answer<Json<Page<Shown>>> {
    let found = app.store.people(page.after()?.as_ref(), page.most()?).await?;
    Ok(Json(Page::of(found, Shown::of)))
}

/// One person.
#[utoipa::path(
    get, path = "/people/{id}", tag = "people", params(("id" = String, Path)), security(("bearer" = ["accounts"])),
    responses((status = 200, body = Shown), (status = 404, description = "Nobody of this name", body = ProblemDocument, content_type = "application/problem+json"))
)]
pub(super) async fn show(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> Answer<Json<Shown>> {
    let found = app.store.person(&name).await?.ok_or_else(|| Fail::not_found("person"))?;
    Ok(Json(Shown::of(found)))
}

fn fresh(app: &App, name: &str) -> Invited {
    let until = app.clock.now().after(LINK_LIFE);
    Invited { name: name.to_owned(), role: None, token: secret(), until }
}

/// Make an account without rights; its link is for its person alone.
#[utoipa::path(
    post, path = "/people", tag = "people", request_body = New, security(("bearer" = ["accounts"])),
    responses((status = 201, body = Invitation), (status = 409, description = "The name is taken", body = ProblemDocument, content_type = "application/problem+json"))
)]
async fn add(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    Body(it): Body<New>,
) -> Answer<impl IntoResponse> {
    let made = fresh(&app, &it.name);
    let (name, digest, until) = (it.name, digest(&made.token), made.until);
    perform(&app, &who, Deed::Add { name, digest, until }).await?;
    Ok((StatusCode::CREATED, Json(Invitation::of(&app, made))))
}

/// A fresh link to set a password. Where administrators are separated the account loses its roles: the security
/// administrator grants them again.
#[utoipa::path(
    post, path = "/people/{id}/link", tag = "people", params(("id" = String, Path)), security(("bearer" = ["accounts"])),
    responses((status = 201, body = Invitation), (status = 403, description = "Oneself, or without the scope", body = ProblemDocument, content_type = "application/problem+json"))
)]
async fn invite(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    Path(name): Path<String>,
) -> Answer<impl IntoResponse> {
    let made = fresh(&app, &name);
    let (digest, until) = (digest(&made.token), made.until);
    perform(&app, &who, Deed::Link { name, digest, until }).await?;
    Ok((StatusCode::CREATED, Json(Invitation::of(&app, made))))
}

/// Nobody signs in to this account any more; its sessions end.
#[utoipa::path(
    post, path = "/people/{id}/disable", tag = "people", params(("id" = String, Path)), security(("bearer" = ["accounts"])),
    responses((status = 204, description = "Done"), (status = 409, description = "The last administrator of a kind, or not active", body = ProblemDocument, content_type = "application/problem+json"))
)]
async fn disable(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    Path(name): Path<String>,
) -> Answer<StatusCode> {
    perform(&app, &who, Deed::Disable(name)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Open a disabled account again.
#[utoipa::path(
    post, path = "/people/{id}/enable", tag = "people", params(("id" = String, Path)), security(("bearer" = ["accounts"])),
    responses((status = 204, description = "Done"), (status = 409, description = "Not disabled", body = ProblemDocument, content_type = "application/problem+json"))
)]
async fn enable(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    Path(name): Path<String>,
) -> Answer<StatusCode> {
    perform(&app, &who, Deed::Enable(name)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Forget failed sign-ins.
#[utoipa::path(
    post, path = "/people/{id}/unlock", tag = "people", params(("id" = String, Path)), security(("bearer" = ["accounts"])),
    responses((status = 204, description = "Done"))
)]
async fn unlock(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    Path(name): Path<String>,
) -> Answer<StatusCode> {
    perform(&app, &who, Deed::Unlock(name)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Set the roles of an account.
#[utoipa::path(
    put, path = "/people/{id}/roles", tag = "people", params(("id" = String, Path)), request_body = Roles, security(("bearer" = ["rights"])),
    responses((status = 204, description = "Set"), (status = 403, description = "Separation, oneself, or a fresh code is needed", body = ProblemDocument, content_type = "application/problem+json"))
)]
async fn set_roles(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    Path(name): Path<String>,
    Body(it): Body<Roles>,
) -> Answer<StatusCode> {
    let mut roles = BTreeSet::new();
    for word in &it.roles {
        let all = || Role::ALL.map(Role::word).join(", ");
        roles.insert(
            Role::from_word(word)
                .ok_or_else(|| Fail::field("roles", format!("{word} is not one of {}", all())))?,
        );
    }
    perform(&app, &who, Deed::SetRoles { name, roles }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Set the groups and attributes of a person.
#[utoipa::path(
    put, path = "/people/{id}/groups", tag = "people", params(("id" = String, Path)), request_body = Groups, security(("bearer" = ["rights"])),
    responses((status = 204, description = "Set"), (status = 400, description = "Not readable", body = ProblemDocument, content_type = "application/problem+json"))
)]
async fn set_groups(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    Path(name): Path<String>,
    Body(it): Body<Groups>,
) -> Answer<StatusCode> {
    let known = Known::parse(&it.groups).map_err(|why| Fail::field("groups", why))?;
    perform(&app, &who, Deed::SetKnown { name, known }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Remove the second factor of somebody who lost it; their sessions end.
#[utoipa::path(
    delete, path = "/people/{id}/second-factor", tag = "people", params(("id" = String, Path)), security(("bearer" = ["rights"])),
    responses((status = 204, description = "Removed"), (status = 403, description = "Oneself, or a fresh code is needed", body = ProblemDocument, content_type = "application/problem+json"))
)]
async fn reset_factor(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    Path(name): Path<String>,
) -> Answer<StatusCode> {
    perform(&app, &who, Deed::ResetSecondFactor(name)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Rules that narrow who uses a contract or a product.
#[utoipa::path(
    get, path = "/access-rules", tag = "people", params(Wanted), security(("bearer" = ["rights"])),
    responses((status = 200, body = Page<Rule>))
)]
async fn rules(
    State(app): State<Arc<App>>,
    Params(page): Params<Wanted>,
) -> Answer<Json<Page<Rule>>> {
    let found = app.store.rules(page.after()?.as_ref(), page.most()?).await?;
    Ok(Json(Page::of(found, |(subject, rule)| Rule { subject, rule })))
}

/// Whoever uses this contract or product here must meet the rule.
#[utoipa::path(
    put, path = "/access-rules/{id}", tag = "people", params(("id" = String, Path)), request_body = NewRule, security(("bearer" = ["rights"])),
    responses((status = 204, description = "Set"), (status = 400, description = "Not readable", body = ProblemDocument, content_type = "application/problem+json"))
)]
async fn set_rule(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    OneId(id): OneId,
    Body(it): Body<NewRule>,
) -> Answer<StatusCode> {
    let rule = Needs::parse(&it.rule).map_err(|why| Fail::field("rule", why))?;
    put_rule(&app, &who, &id, Some(rule)).await
}

/// Everybody with the scope `use` may again.
#[utoipa::path(
    delete, path = "/access-rules/{id}", tag = "people", params(("id" = String, Path)), security(("bearer" = ["rights"])),
    responses((status = 204, description = "Removed"))
)]
async fn drop_rule(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    OneId(id): OneId,
) -> Answer<StatusCode> {
    put_rule(&app, &who, &id, None).await
}

async fn put_rule(
    app: &App,
    who: &crate::accounts::Who,
    id: &Id,
    rule: Option<Needs>,
) -> Answer<StatusCode> {
    perform(app, who, Deed::SetRule { subject: id.to_string(), rule }).await?;
    Ok(StatusCode::NO_CONTENT)
}
