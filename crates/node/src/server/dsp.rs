//! DSP 2025-1 endpoints: negotiation and transfer, both roles (catalogue: [`super::catalog`]).
//!
//! Never keeps state: each message is one unit of work, durable before it is acknowledged.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};

use tidm_crypto::hash::sha256;
use tidm_space::engine::commit::{About, Reply};
use tidm_space::engine::input::{Heard, Input, Received, TransferSpoken};
use tidm_space::fault::Fault;
use tidm_space::id::Id;
use tidm_space::transfer::message::Body;
use tidm_space::wire::dsp::error::pids_in;
use tidm_space::wire::dsp::negotiation::{self as wire_negotiation, Endpoint as Said};
use tidm_space::wire::dsp::transfer::{self as wire_transfer, Endpoint as Moved};

use super::answer::{Presented, caller, json, refusal};
use crate::app::App;
use crate::jobs::secrets;
use crate::net::auth::{self, Caller};
use crate::net::journal;
use crate::store::StoreError;
use crate::store::messages::Line;
use crate::store::writer::WorkError;

type Shared = State<Arc<App>>;

/// Routes below the DSP base.
pub fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/negotiations/request", post(open_request))
        .route("/negotiations/offers", post(open_offer))
        .route("/negotiations/{pid}", get(negotiation))
        .route(
            "/negotiations/{pid}/request",
            post(|s: Shared, p, h, b| said(s, Said::Request, p, h, b)),
        )
        .route(
            "/negotiations/{pid}/offers",
            post(|s: Shared, p, h, b| said(s, Said::Offer, p, h, b)),
        )
        .route(
            "/negotiations/{pid}/events",
            post(|s: Shared, p, h, b| said(s, Said::Events, p, h, b)),
        )
        .route(
            "/negotiations/{pid}/agreement",
            post(|s: Shared, p, h, b| said(s, Said::Agreement, p, h, b)),
        )
        .route(
            "/negotiations/{pid}/agreement/verification",
            post(|s: Shared, p, h, b| said(s, Said::Verification, p, h, b)),
        )
        .route(
            "/negotiations/{pid}/termination",
            post(|s: Shared, p, h, b| said(s, Said::Termination, p, h, b)),
        )
        .route("/transfers/request", post(open_transfer))
        .route("/transfers/{pid}", get(transfer))
        .route("/transfers/{pid}/start", post(|s: Shared, p, h, b| moved(s, Moved::Start, p, h, b)))
        .route(
            "/transfers/{pid}/completion",
            post(|s: Shared, p, h, b| moved(s, Moved::Completion, p, h, b)),
        )
        .route(
            "/transfers/{pid}/suspension",
            post(|s: Shared, p, h, b| moved(s, Moved::Suspension, p, h, b)),
        )
        .route(
            "/transfers/{pid}/termination",
            post(|s: Shared, p, h, b| moved(s, Moved::Termination, p, h, b)),
        )
}

async fn open_request(State(app): Shared, headers: Presented, body: Bytes) -> Response {
    hear_negotiation(&app, Said::RequestOpen, None, &headers, &body).await
}

async fn open_offer(State(app): Shared, headers: Presented, body: Bytes) -> Response {
    hear_negotiation(&app, Said::OfferOpen, None, &headers, &body).await
}

async fn said(
    State(app): Shared,
    endpoint: Said,
    Path(pid): Path<String>,
    headers: Presented,
    body: Bytes,
) -> Response {
    match Id::parse(&pid) {
        Ok(pid) => hear_negotiation(&app, endpoint, Some(pid), &headers, &body).await,
        Err(_) => {
            refusal(not_found("negotiation"), |fault| wire_negotiation::error((None, None), fault))
        }
    }
}

async fn hear_negotiation(
    app: &App,
    endpoint: Said,
    mine: Option<Id>,
    headers: &Presented,
    body: &Bytes,
) -> Response {
    let (pid, begun) = (mine.clone(), std::time::Instant::now());
    let path = path_of_negotiation(endpoint);
    match try_negotiation(app, endpoint, mine, headers, body).await {
        Ok((status, body, about)) => {
            heard(app, about.map(About::Negotiation), path, (status, String::new()), begun);
            json(status, body)
        }
        Err(error) => {
            let told = told(&error);
            let (provider, consumer) = pids_in(body);
            let pids = (provider.as_ref(), consumer.as_ref());
            let answer = refusal(error, |fault| wire_negotiation::error(pids, fault));
            heard(app, pid.map(About::Negotiation), path, (answer.status(), told), begun);
            answer
        }
    }
}

/// Notes a message of a peer. What was answered by 404 is about nothing that this peer may know of.
fn heard(
    app: &App,
    about: Option<About>,
    path: &str,
    (status, reason): (StatusCode, String),
    begun: std::time::Instant,
) {
    let Some(about) = about.filter(|_| status != StatusCode::NOT_FOUND) else { return };
    let line = Line {
        at: app.clock.now(),
        out: false,
        path: path.to_owned(),
        status: Some(status.as_u16()),
        took_ms: journal::since(begun),
        attempt: 1,
        reason,
    };
    journal::note(app, about, line);
}

fn told(error: &WorkError) -> String {
    match error {
        WorkError::Fault(fault) => format!("[{}] {fault}", fault.code()),
        WorkError::Store(_) | WorkError::Stopping => error.to_string(),
    }
}

fn path_of_negotiation(it: Said) -> &'static str {
    match it {
        Said::RequestOpen | Said::Request => "request",
        Said::OfferOpen | Said::Offer => "offers",
        Said::Events | Said::ProviderEvents | Said::ConsumerEvents => "events",
        Said::Agreement => "agreement",
        Said::Verification => "verification",
        Said::Termination => "termination",
    }
}

fn path_of_transfer(it: Moved) -> &'static str {
    match it {
        Moved::Request => "request",
        Moved::Start => "start",
        Moved::Completion => "completion",
        Moved::Suspension => "suspension",
        Moved::Termination => "termination",
    }
}

async fn try_negotiation(
    app: &App,
    endpoint: Said,
    mine: Option<Id>,
    headers: &Presented,
    body: &Bytes,
) -> Result<(StatusCode, String, Option<Id>), WorkError> {
    let who = caller(app, headers).await?;
    let (id, spoken) = wire_negotiation::read(endpoint, mine.as_ref(), body)?;
    match hear(app, who, id, body, Heard::Negotiation(Box::new(spoken))).await? {
        Reply::Negotiation { it, created } => {
            let status = if created { StatusCode::CREATED } else { StatusCode::OK };
            Ok((status, wire_negotiation::state(&it), Some(it.id)))
        }
        Reply::Nothing
        | Reply::Transfer { .. }
        | Reply::Flow { .. }
        | Reply::Lease(_)
        | Reply::Contract(_)
        | Reply::Product(_) => Ok((StatusCode::OK, "{}".to_owned(), None)),
    }
}

/// One message of an authenticated peer: one unit of work.
pub(super) async fn hear(
    app: &App,
    who: Caller,
    id: Option<Id>,
    body: &[u8],
    what: Heard,
) -> Result<Reply, WorkError> {
    let key = auth::key(app, &who, what.signature()).await?;
    let seen = auth::seen(app, &who.did, who.address);
    let received = Received { from: who.did, key, id, digest: sha256(body), seen, what };
    app.writer.run_once(Input::Heard(Box::new(received)), who.token).await
}

async fn negotiation(State(app): Shared, Path(pid): Path<String>, headers: Presented) -> Response {
    let found = async {
        let who = caller(&app, &headers).await?;
        app.writer.remember(who.token).await?;
        let pid = Id::parse(&pid).map_err(|_| not_found("negotiation"))?;
        let it =
            app.store.negotiation(&pid).await.map_err(|why| WorkError::Store(why.to_string()))?;
        it.filter(|it| it.peer == who.did).ok_or_else(|| not_found("negotiation"))
    };
    match found.await {
        Ok(it) => json(StatusCode::OK, wire_negotiation::state(&it)),
        Err(error) => refusal(error, |fault| wire_negotiation::error((None, None), fault)),
    }
}

async fn open_transfer(State(app): Shared, headers: Presented, body: Bytes) -> Response {
    hear_transfer(&app, Moved::Request, None, &headers, &body).await
}

async fn moved(
    State(app): Shared,
    endpoint: Moved,
    Path(pid): Path<String>,
    headers: Presented,
    body: Bytes,
) -> Response {
    match Id::parse(&pid) {
        Ok(pid) => hear_transfer(&app, endpoint, Some(pid), &headers, &body).await,
        Err(_) => refusal(not_found("transfer"), |fault| wire_transfer::error((None, None), fault)),
    }
}

async fn hear_transfer(
    app: &App,
    endpoint: Moved,
    mine: Option<Id>,
    headers: &Presented,
    body: &Bytes,
) -> Response {
    let (pid, begun) = (mine.clone(), std::time::Instant::now());
    let path = path_of_transfer(endpoint);
    match try_transfer(app, endpoint, mine, headers, body).await {
        Ok((status, body, about)) => {
            heard(app, about.map(About::Transfer), path, (status, String::new()), begun);
            json(status, body)
        }
        Err(error) => {
            let told = told(&error);
            let (provider, consumer) = pids_in(body);
            let pids = (provider.as_ref(), consumer.as_ref());
            let answer = refusal(error, |fault| wire_transfer::error(pids, fault));
            heard(app, pid.map(About::Transfer), path, (answer.status(), told), begun);
            answer
        }
    }
}

async fn try_transfer(
    app: &App,
    endpoint: Moved,
    mine: Option<Id>,
    headers: &Presented,
    body: &Bytes,
) -> Result<(StatusCode, String, Option<Id>), WorkError> {
    let who = caller(app, headers).await?;
    let (id, spoken) = match &mine {
        Some(mine) if app.config.test_profile.believes_paths() => {
            wire_transfer::read_by_path(endpoint, mine, body)?
        }
        mine => wire_transfer::read(endpoint, mine.as_ref(), body)?,
    };
    let spoken = keep_secrets(app, &who, spoken).await?;
    match hear(app, who, id, body, Heard::Transfer(Box::new(spoken))).await? {
        Reply::Transfer { it, created } => {
            let status = if created { StatusCode::CREATED } else { StatusCode::OK };
            Ok((status, wire_transfer::state(&it), Some(it.id)))
        }
        Reply::Nothing
        | Reply::Negotiation { .. }
        | Reply::Flow { .. }
        | Reply::Lease(_)
        | Reply::Contract(_)
        | Reply::Product(_) => Ok((StatusCode::OK, "{}".to_owned(), None)),
    }
}

/// Credentials for somebody's bucket are wrapped before anything is kept of them, under the key of the contract that
/// they came with. A data plane of another program that runs the format needs them as they are.
async fn keep_secrets(
    app: &App,
    who: &Caller,
    mut it: TransferSpoken,
) -> Result<TransferSpoken, WorkError> {
    let store = |why: StoreError| WorkError::Store(why.to_string());
    if let Body::Request { contract, format, address: Some(address) } = &mut it.body {
        let known = app.store.contract(contract).await.map_err(store)?;
        let known = known.is_some_and(|it| it.is_active() && it.peer == who.did);
        if known && !app.store.runs_format(format).await.map_err(store)? {
            *address = secrets::wrap(app, contract, address.clone())
                .map_err(|why| WorkError::Store(format!("credentials cannot be kept: {why}")))?;
        }
    }
    Ok(it)
}

async fn transfer(State(app): Shared, Path(pid): Path<String>, headers: Presented) -> Response {
    let found = async {
        let who = caller(&app, &headers).await?;
        app.writer.remember(who.token).await?;
        let pid = Id::parse(&pid).map_err(|_| not_found("transfer"))?;
        let it = app.store.transfer(&pid).await.map_err(|why| WorkError::Store(why.to_string()))?;
        it.filter(|it| it.peer == who.did).ok_or_else(|| not_found("transfer"))
    };
    match found.await {
        Ok(it) => json(StatusCode::OK, wire_transfer::state(&it)),
        Err(error) => refusal(error, |fault| wire_transfer::error((None, None), fault)),
    }
}

pub(super) fn not_found(what: &'static str) -> WorkError {
    Fault::NotFound { what }.into()
}
