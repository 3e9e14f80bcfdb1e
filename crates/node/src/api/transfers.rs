//! Transfers: having a contract's data delivered, and stopping that.
//!
//! Never shows a data address's token: it is the node's, not the reader's.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use tidm_space::engine::commit::{About as Subject, Reply};
use tidm_space::engine::input::{Input, Wish};
use tidm_space::fault::Fault;
use tidm_space::id::Id;
use tidm_space::transfer::message::Body as Spoken;
use tidm_space::transfer::state::{State as Stage, Transfer};

use super::answer::{Answer, Fail};
use super::auth::Caller;
use super::docs::ProblemDocument;
use super::extract::{Body, OneId, Params, Speak};
use super::facts::{self, Line};
use super::messages::{self, Said};
use super::negotiations::Reason;
use super::page::{Page, Wanted};
use super::terms;
use super::wait::Waiting;
use crate::accounts::Who;
use crate::app::App;
use crate::jobs::order::{self, To};
use crate::people::may_use;
use crate::store::timeline::About;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Start {
    contract: String,
    /// sealed-table, sealed-file or plain (or the DSP format's name).
    format: String,
    /// The provider sends the bytes to this node, instead of this node fetching them.
    #[serde(default)]
    push: bool,
    /// The provider puts the bytes into this bucket.
    bucket: Option<Bucket>,
}

/// A bucket, and keys for it that should be good for this delivery alone.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Bucket {
    /// The service's address.
    endpoint: String,
    region: Option<String>,
    bucket: String,
    /// Before the object's name, for example `in/`.
    #[serde(default)]
    prefix: String,
    access_key_id: String,
    #[schema(format = Password)]
    secret_access_key: String,
    #[schema(format = Password)]
    session_token: Option<String>,
}

impl Start {
    fn to(self) -> Answer<To> {
        match (self.push, self.bucket) {
            (true, Some(_)) => Err(Fail::field("bucket", "either push or a bucket")),
            (true, None) => Ok(To::Push),
            (false, None) => Ok(To::Pull),
            (false, Some(it)) => Ok(To::Bucket(order::Bucket {
                endpoint: it.endpoint,
                region: it.region,
                name: it.bucket,
                prefix: it.prefix,
                key_id: it.access_key_id,
                secret: it.secret_access_key,
                session: it.session_token,
            })),
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Short {
    id: String,
    /// Ours: consumer or provider.
    role: &'static str,
    peer: String,
    contract: String,
    format: String,
    /// REQUESTED, STARTED, SUSPENDED, COMPLETED or TERMINATED.
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pending: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    created: String,
    moved: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Full {
    #[serde(flatten)]
    short: Short,
    /// Where a push goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<String>,
    /// Copies that lie here, consumer only.
    copies: Vec<Copied>,
    timeline: Vec<Line>,
    /// Each message said or heard, oldest first.
    messages: Vec<Said>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Copied {
    bytes: u64,
    sha256: String,
    /// table, file or none.
    sealed: String,
}

fn short(it: &Transfer) -> Short {
    let reason = match &it.state {
        Stage::Suspended { reason, .. } | Stage::Terminated { reason, .. } => {
            Some(reason.join("; "))
        }
        Stage::Initial | Stage::Requested | Stage::Started { .. } | Stage::Completed { .. } => None,
    };
    Short {
        id: it.id.to_string(),
        role: it.role.word(),
        peer: it.peer.to_string(),
        contract: it.contract.to_string(),
        format: it.format.clone(),
        state: it.state.name().token(),
        pending: it.pending.as_ref().map(|it| it.body.kind().word()),
        reason,
        created: it.created.to_string(),
        moved: it.moved.to_string(),
    }
}

async fn full(app: &App, it: &Transfer, speak: Speak) -> Answer<Full> {
    let copies = app.store.copies(&it.contract).await?;
    let copies = copies
        .into_iter()
        .filter(|copy| copy.transfer == it.id)
        .map(|it| Copied { bytes: it.bytes, sha256: it.digest.to_string(), sealed: it.sealed })
        .collect();
    let timeline = facts::timeline(app, About::Transfer(it.id.clone()), speak).await?;
    let messages = messages::of(app, &Subject::Transfer(it.id.clone())).await?;
    Ok(Full { short: short(it), to: order::shown(it), copies, timeline, messages })
}

fn moved(reply: Reply) -> Answer<Transfer> {
    match reply {
        Reply::Transfer { it, .. } => Ok(*it),
        Reply::Nothing
        | Reply::Negotiation { .. }
        | Reply::Flow { .. }
        | Reply::Lease(_)
        | Reply::Contract(_)
        | Reply::Product(_) => {
            Err(Fault::ApiMisuse("a wish about a transfer was answered by something else").into())
        }
    }
}

/// Have the contract's data delivered.
#[utoipa::path(
    post, path = "/transfers", tag = "transfers", request_body = Start, params(Waiting), security(("bearer" = ["use"])),
    responses((status = 202, description = "Under way; with `wait`, as it stands when it came to rest", body = Full),
        (status = 403, description = "The contract is over", body = ProblemDocument, content_type = "application/problem+json"))
)]
pub(super) async fn start(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    speak: Speak,
    Params(waiting): Params<Waiting>,
    Body(it): Body<Start>,
) -> Answer<impl IntoResponse> {
    let kind = terms::kind("format", &it.format)?;
    let contract = Id::parse(&it.contract)?;
    may_use(&app, &who, &contract).await?;
    let wish = order::order(&app, contract, kind, it.to()?).await?;
    let made = moved(app.writer.run(Input::Wish(Box::new(Wish::Fetch(Box::new(wish))))).await?)?;
    let rested = waiting.transfer(&app, &made.id).await?;
    Ok((StatusCode::ACCEPTED, Json(full(&app, &rested, speak).await?)))
}

/// Transfers, newest first.
#[utoipa::path(
    get, path = "/transfers", tag = "transfers", params(Wanted), security(("bearer" = ["read"])),
    responses((status = 200, body = Page<Short>))
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Params(page): Params<Wanted>,
) -> Answer<Json<Page<Short>>> {
    let found = app.store.transfers(page.after()?.as_ref(), page.most()?).await?;
    Ok(Json(Page::of(found, |it| short(&it))))
}

/// One transfer.
#[utoipa::path(
    get, path = "/transfers/{id}", tag = "transfers", params(("id" = String, Path), Waiting), security(("bearer" = ["read"])),
    responses((status = 200, body = Full), (status = 404, description = "No such transfer", body = ProblemDocument, content_type = "application/problem+json"))
)]
pub(super) async fn show(
    State(app): State<Arc<App>>,
    speak: Speak,
    Params(waiting): Params<Waiting>,
    OneId(id): OneId,
) -> Answer<Json<Full>> {
    let it = waiting.transfer(&app, &id).await?;
    Ok(Json(full(&app, &it, speak).await?))
}

/// Stops it, for whom the rules on its contract let use it.
async fn say(app: &App, who: &Who, id: Id, body: Spoken, speak: Speak) -> Answer<Json<Full>> {
    let it = app.store.transfer(&id).await?.ok_or_else(|| Fail::not_found("transfer"))?;
    may_use(app, who, &it.contract).await?;
    let it = moved(
        app.writer.run(Input::Wish(Box::new(Wish::SayTransfer { transfer: id, body }))).await?,
    )?;
    Ok(Json(full(app, &it, speak).await?))
}

/// Suspend it.
#[utoipa::path(
    post, path = "/transfers/{id}/suspend", tag = "transfers", params(("id" = String, Path)), request_body = Reason,
    security(("bearer" = ["use"])),
    responses((status = 200, body = Full), (status = 422, description = "Not in this state", body = ProblemDocument, content_type = "application/problem+json"))
)]
pub(super) async fn suspend(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    speak: Speak,
    OneId(id): OneId,
    Body(it): Body<Reason>,
) -> Answer<Json<Full>> {
    let reason = vec![it.text()?];
    say(&app, &who, id, Spoken::Suspend { code: Some("operator".to_owned()), reason }, speak).await
}

/// Go on with what was suspended.
#[utoipa::path(
    post, path = "/transfers/{id}/resume", tag = "transfers", params(("id" = String, Path)), security(("bearer" = ["use"])),
    responses((status = 200, description = "It goes on; a provider first lays the data ready", body = Full), (status = 422, description = "Not in this state", body = ProblemDocument, content_type = "application/problem+json"))
)]
pub(super) async fn resume(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    speak: Speak,
    OneId(id): OneId,
) -> Answer<Json<Full>> {
    let it = app.store.transfer(&id).await?.ok_or_else(|| Fail::not_found("transfer"))?;
    may_use(&app, &who, &it.contract).await?;
    let wish = Wish::ResumeTransfer { transfer: id };
    let it = moved(app.writer.run(Input::Wish(Box::new(wish))).await?)?;
    Ok(Json(full(&app, &it, speak).await?))
}

/// End it.
#[utoipa::path(
    post, path = "/transfers/{id}/terminate", tag = "transfers", params(("id" = String, Path)), request_body = Reason,
    security(("bearer" = ["use"])),
    responses((status = 200, body = Full), (status = 422, description = "Not in this state", body = ProblemDocument, content_type = "application/problem+json"))
)]
pub(super) async fn terminate(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    speak: Speak,
    OneId(id): OneId,
    Body(it): Body<Reason>,
) -> Answer<Json<Full>> {
    let reason = vec![it.text()?];
    say(&app, &who, id, Spoken::Terminate { code: Some("operator".to_owned()), reason }, speak)
        .await
}
