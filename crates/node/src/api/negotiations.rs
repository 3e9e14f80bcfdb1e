//! Negotiations: asking for a contract, and what a person says in between.
//!
//! Never moves one by itself: each call is one wish to the engine, and shows what came of it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use tidm_space::engine::commit::{About as Subject, Reply};
use tidm_space::engine::input::{ContractWish, Input, SayWish, Wish};
use tidm_space::fault::Fault;
use tidm_space::id::Id;
use tidm_space::limits::REASON_CHARS;
use tidm_space::negotiation::message::Role;
use tidm_space::negotiation::state::{Negotiation, State as Stage};
use tidm_space::policy::model::Policy;
use tidm_space::policy::sentence;

use super::answer::{Answer, Fail};
use super::catalog;
use super::docs::ProblemDocument;
use super::extract::{Body, OneId, Params, Speak};
use super::facts::{self, Line};
use super::messages::{self, Said};
use super::page::{Listing, Page};
use super::shown::{self, Changed, Meaning};
use super::terms::Choices;
use super::wait::Waiting;
use crate::app::App;
use crate::net::auth::participant;
use crate::rules::{self, RuleText};
use crate::store::timeline::About;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Request {
    /// The provider's DID; where it has none, its name, and then its address is needed.
    peer: String,
    /// The provider's DSP base; found through its DID where left out.
    #[serde(default)]
    address: Option<String>,
    /// The product version's id in its catalogue.
    product: String,
    /// Which offer; may be left out where there is only one.
    #[serde(default)]
    offer: Option<String>,
    /// Own terms instead of the offer's; a person at the provider decides about them.
    #[serde(default)]
    terms: Option<Choices>,
    /// What this node answers by itself from then on; what no rule speaks of, a person or the usual course decides.
    #[serde(default)]
    rules: Vec<RuleText>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Counter {
    terms: Choices,
}

#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Reason {
    /// Told to the other side.
    pub(super) reason: String,
}

impl Reason {
    pub(super) fn text(self) -> Answer<String> {
        if self.reason.chars().count() > REASON_CHARS {
            return Err(Fail::field("reason", format!("at most {REASON_CHARS} characters")));
        }
        Ok(if self.reason.trim().is_empty() { "by the operator".to_owned() } else { self.reason })
    }
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Short {
    id: String,
    /// Ours: consumer or provider.
    role: &'static str,
    peer: String,
    product: String,
    /// REQUESTED, OFFERED, ACCEPTED, AGREED, VERIFIED, FINALIZED or TERMINATED.
    state: &'static str,
    /// A person here has to decide.
    awaits_approval: bool,
    /// What we said and the peer has not acknowledged yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pending: Option<&'static str>,
    /// Offers and counter-offers so far.
    rounds: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    contract: Option<String>,
    /// Why it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    created: String,
    moved: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Full {
    #[serde(flatten)]
    short: Short,
    /// What is on the table, for each kind of use.
    terms: Vec<Meaning>,
    /// What the peer changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    diff: Option<Changed>,
    /// What happened, oldest first.
    timeline: Vec<Line>,
    /// Each message said or heard, oldest first.
    messages: Vec<Said>,
}

fn short(it: &Negotiation) -> Short {
    let reason = match &it.state {
        Stage::Terminated { reason, .. } => Some(reason.join("; ")),
        Stage::Initial
        | Stage::Requested { .. }
        | Stage::Offered { .. }
        | Stage::Accepted { .. }
        | Stage::Agreed { .. }
        | Stage::Verified { .. }
        | Stage::Finalized { .. } => None,
    };
    Short {
        id: it.id.to_string(),
        role: it.role.word(),
        peer: it.peer.to_string(),
        product: it.product.to_string(),
        state: it.state.name().token(),
        awaits_approval: it.awaits_approval,
        pending: it.pending.as_ref().map(|it| it.body.kind().word()),
        rounds: it.rounds,
        contract: it.state.agreement().map(|it| it.id.to_string()),
        reason,
        created: it.created.to_string(),
        moved: it.moved.to_string(),
    }
}

async fn full(app: &App, it: &Negotiation, speak: Speak) -> Answer<Full> {
    let terms = it.state.offer().map(|it| shown::meanings(it, speak)).unwrap_or_default();
    let timeline = facts::timeline(app, About::Negotiation(it.id.clone()), speak).await?;
    let diff = changed(app, it, speak).await?;
    let messages = messages::of(app, &Subject::Negotiation(it.id.clone())).await?;
    Ok(Full { short: short(it), terms, diff, timeline, messages })
}

/// The terms on the table against ours: a provider's listed offer, a consumer's last proposal.
async fn changed(app: &App, it: &Negotiation, speak: Speak) -> Answer<Option<Changed>> {
    let Some(table) = it.state.offer() else { return Ok(None) };
    Ok(match it.role {
        Role::Provider => {
            let product = app.store.product(&it.product).await?;
            let listed = product.as_ref().and_then(|product| product.offer(&table.id));
            listed.map(|offer| shown::changed("listed", offer.policy(), table, speak))
        }
        Role::Consumer => {
            it.proposed.as_ref().map(|ours| shown::changed("proposed", ours, table, speak))
        }
    })
}

/// Ask a provider for a contract.
#[utoipa::path(
    post, path = "/negotiations", tag = "contracts", request_body = Request, params(Waiting), security(("bearer" = ["contract"])),
    responses((status = 202, description = "Under way; with `wait`, as it stands when it came to rest", body = Full),
        (status = 422, description = "Terms that this node cannot honour", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "The provider cannot be reached", body = ProblemDocument, content_type = "application/problem+json"))
)]
pub(super) async fn request(
    State(app): State<Arc<App>>,
    speak: Speak,
    Params(waiting): Params<Waiting>,
    Body(it): Body<Request>,
) -> Answer<impl IntoResponse> {
    let peer = participant(&it.peer).map_err(|why| Fail::field("peer", why))?;
    let product = Id::parse(&it.product)?;
    let address = match it.address {
        Some(address) => address.trim_end_matches('/').to_owned(),
        None => app.directory.dsp_base(&peer).await?,
    };
    let offered = catalog::fetch(&app, &peer, &address, &product).await?;
    let listed = match &it.offer {
        Some(id) => offered.offers.iter().find(|offer| offer.model.id.as_str() == id),
        None if offered.offers.len() == 1 => offered.offers.first(),
        None => return Err(Fail::field("offer", "the product has several offers: name one")),
    };
    let listed = listed.ok_or_else(|| Fail::not_found("offer"))?.model.clone();
    let mut offer = match &it.terms {
        Some(choices) => own(&listed, choices)?,
        None => listed,
    };
    offer.target = Some(product.clone());
    let rules = rules::read(Role::Consumer, &it.rules).map_err(|why| Fail::field("rules", why))?;
    let wish = ContractWish { peer, address, product, offer, rules };
    let made = said(app.writer.run(Input::Wish(Box::new(Wish::Request(Box::new(wish))))).await?)?;
    let rested = waiting.negotiation(&app, &made.id).await?;
    Ok((StatusCode::ACCEPTED, Json(full(&app, &rested, speak).await?)))
}

/// Terms of our own choice in answer to an offer: the offer's id stays, so that its owner finds it.
fn own(listed: &Policy, choices: &Choices) -> Answer<Policy> {
    let (id, assigner) = (listed.id.clone(), listed.assigner.clone());
    if let Some(whole) = choices.whole()? {
        return Ok(whole.offered(id, assigner));
    }
    sentence::build(id, assigner, &choices.read()?).map_err(|why| Fail::field("terms", why))
}

fn said(reply: Reply) -> Answer<Negotiation> {
    match reply {
        Reply::Negotiation { it, .. } => Ok(*it),
        Reply::Nothing
        | Reply::Transfer { .. }
        | Reply::Flow { .. }
        | Reply::Lease(_)
        | Reply::Contract(_)
        | Reply::Product(_) => {
            Err(Fault::ApiMisuse("a wish about a negotiation was answered by something else")
                .into())
        }
    }
}

async fn say(
    app: &App,
    id: Id,
    body: SayWish,
    waiting: &Waiting,
    speak: Speak,
) -> Answer<Json<Full>> {
    said(
        app.writer.run(Input::Wish(Box::new(Wish::Say { negotiation: id.clone(), body }))).await?,
    )?;
    let rested = waiting.negotiation(app, &id).await?;
    Ok(Json(full(app, &rested, speak).await?))
}

/// Negotiations, newest first; or the inbox of those that wait for approval.
#[utoipa::path(
    get, path = "/negotiations", tag = "contracts", params(Listing), security(("bearer" = ["read"])),
    responses((status = 200, body = Page<Short>))
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Params(it): Params<Listing>,
) -> Answer<Json<Page<Short>>> {
    let is_inbox = it.inbox.unwrap_or(false);
    let page = it.page();
    let (after, most) = (page.after()?, page.most()?);
    let found = if is_inbox {
        app.store.inbox(after.as_ref(), most).await?
    } else {
        app.store.negotiations(after.as_ref(), most).await?
    };
    Ok(Json(Page::of(found, |it| short(&it))))
}

/// One negotiation: terms in sentences and what happened so far.
#[utoipa::path(
    get, path = "/negotiations/{id}", tag = "contracts", params(("id" = String, Path), Waiting), security(("bearer" = ["read"])),
    responses((status = 200, body = Full), (status = 404, description = "No such negotiation", body = ProblemDocument, content_type = "application/problem+json"))
)]
pub(super) async fn show(
    State(app): State<Arc<App>>,
    speak: Speak,
    Params(waiting): Params<Waiting>,
    OneId(id): OneId,
) -> Answer<Json<Full>> {
    let it = waiting.negotiation(&app, &id).await?;
    Ok(Json(full(&app, &it, speak).await?))
}

/// Say yes: a consumer accepts the offer, a provider agrees to what was asked.
#[utoipa::path(
    post, path = "/negotiations/{id}/approve", tag = "contracts", params(("id" = String, Path), Waiting), security(("bearer" = ["contract"])),
    responses((status = 200, body = Full), (status = 422, description = "Nothing waits for approval", body = ProblemDocument, content_type = "application/problem+json"))
)]
pub(super) async fn approve(
    State(app): State<Arc<App>>,
    speak: Speak,
    Params(waiting): Params<Waiting>,
    OneId(id): OneId,
) -> Answer<Json<Full>> {
    say(&app, id, SayWish::Approve, &waiting, speak).await
}

/// Propose other terms.
#[utoipa::path(
    post, path = "/negotiations/{id}/counter", tag = "contracts", params(("id" = String, Path), Waiting), request_body = Counter,
    security(("bearer" = ["contract"])),
    responses((status = 200, body = Full), (status = 422, description = "Not now, or terms that nobody can keep", body = ProblemDocument, content_type = "application/problem+json"))
)]
pub(super) async fn counter(
    State(app): State<Arc<App>>,
    speak: Speak,
    Params(waiting): Params<Waiting>,
    OneId(id): OneId,
    Body(it): Body<Counter>,
) -> Answer<Json<Full>> {
    let found = app.store.negotiation(&id).await?.ok_or_else(|| Fail::not_found("negotiation"))?;
    let on_table = found.state.offer().ok_or_else(|| {
        Fail(crate::problem::Problem::of("refused").detail("there are no terms on the table"))
    })?;
    let offer = own(on_table, &it.terms)?;
    say(&app, id, SayWish::Propose(Box::new(offer)), &waiting, speak).await
}

/// End it.
#[utoipa::path(
    post, path = "/negotiations/{id}/terminate", tag = "contracts", params(("id" = String, Path), Waiting), request_body = Reason,
    security(("bearer" = ["contract"])),
    responses((status = 200, body = Full), (status = 404, description = "No such negotiation", body = ProblemDocument, content_type = "application/problem+json"))
)]
pub(super) async fn terminate(
    State(app): State<Arc<App>>,
    speak: Speak,
    Params(waiting): Params<Waiting>,
    OneId(id): OneId,
    Body(it): Body<Reason>,
) -> Answer<Json<Full>> {
    let reason = it.text()?;
    say(&app, id, SayWish::Terminate { reason }, &waiting, speak).await
}

/// Say no: the negotiation ends, and the peer is told why.
#[utoipa::path(
    post, path = "/negotiations/{id}/reject", tag = "contracts", params(("id" = String, Path), Waiting), request_body = Reason,
    security(("bearer" = ["contract"])),
    responses((status = 200, body = Full), (status = 404, description = "No such negotiation", body = ProblemDocument, content_type = "application/problem+json"))
)]
pub(super) async fn reject(
    app: State<Arc<App>>,
    speak: Speak,
    waiting: Params<Waiting>,
    id: OneId,
    reason: Body<Reason>,
) -> Answer<Json<Full>> {
    terminate(app, speak, waiting, id, reason).await
}
