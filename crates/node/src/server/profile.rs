//! Our own profile beside DSP (`tidm/1`): leases, queries, notices, facts for reconciliation.
//!
//! Never releases a key before the lease is durable, and never a key or a row without one.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use serde::Deserialize;

use tidm_space::engine::commit::Reply;
use tidm_space::engine::input::Heard;
use tidm_space::evidence::encode::decode;
use tidm_space::evidence::fact::What;
use tidm_space::fault::Fault;
use tidm_space::id::Id;
use tidm_space::identity::did::Did;
use tidm_space::negotiation::message::Role;
use tidm_space::wire::dsp::error;
use tidm_space::wire::tidm::{facts, lease, notice};

use super::answer::{Presented, caller, json, refusal};
use super::dsp::{hear, not_found};
use crate::app::App;
use crate::jobs;
use crate::net::auth::Caller;
use crate::store::writer::WorkError;

type Shared = State<Arc<App>>;

/// Routes below the DSP base.
pub fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/tidm/1/leases/challenge", post(challenge))
        .route("/tidm/1/leases/request", post(ask))
        .route(lease::RENEW_PATH, post(renew))
        .route("/tidm/1/leases/{lease}/query", post(query))
        .route(
            "/tidm/1/leases/returned",
            post(|s: Shared, h, b| noticed(s, notice::read_lease_returned, h, b)),
        )
        .route(
            "/tidm/1/leases/ended",
            post(|s: Shared, h, b| noticed(s, notice::read_lease_ended, h, b)),
        )
        .route(
            notice::STANDING_PATH,
            post(|s: Shared, h, b| noticed(s, notice::read_contract_standing, h, b)),
        )
        .route(
            "/tidm/1/contracts/ended",
            post(|s: Shared, h, b| noticed(s, notice::read_contract_ended, h, b)),
        )
        .route(
            "/tidm/1/contracts/deleted",
            post(|s: Shared, h, b| noticed(s, notice::read_deleted, h, b)),
        )
        .route("/tidm/1/contracts/{contract}/facts", get(facts_of))
}

/// The gate: a lease, and with it the data key wrapped to the caller's one-time key.
async fn ask(State(app): Shared, headers: Presented, body: Bytes) -> Response {
    match try_ask(&app, &headers, &body).await {
        Ok(body) => json(StatusCode::OK, body),
        Err(error) => refusal(error, lease::write_refusal),
    }
}

/// A challenge that evidence must answer, for a use of a contract with us.
async fn challenge(State(app): Shared, headers: Presented, body: Bytes) -> Response {
    let done = async {
        let who = caller(&app, &headers).await?;
        let contract = lease::read_challenge_request(&body)?;
        of_this_peer(&app, &who, &contract).await?;
        app.writer.remember(who.token.clone()).await?;
        let (nonce, until) = app.attest.challenge(who.did.as_str(), app.clock.now())?;
        Ok::<_, WorkError>(lease::write_challenge(&nonce, until))
    };
    match done.await {
        Ok(body) => json(StatusCode::OK, body),
        Err(error) => refusal(error, lease::write_refusal),
    }
}

/// Strangers get no appraisal: it costs more than they may cost.
async fn of_this_peer(app: &App, who: &Caller, contract: &Id) -> Result<(), WorkError> {
    let found = app.store.contract(contract).await;
    let found = found.map_err(|why| WorkError::Store(why.to_string()))?;
    let theirs = found.is_some_and(|it| it.role == Role::Provider && it.peer == who.did);
    if theirs { Ok(()) } else { Err(not_found("contract")) }
}

async fn try_ask(app: &App, headers: &Presented, body: &Bytes) -> Result<String, WorkError> {
    let who = caller(app, headers).await?;
    let (id, heard) = lease::read_request(body)?;
    // House D15: no lease while the evidence log may not go on.
    if let Err(reason) = app.log.readiness() {
        return Err(
            Fault::Unavailable { reason, retry_after: std::time::Duration::from_secs(2) }.into()
        );
    }
    let Heard::Ask(request) = &heard else {
        return Err(Fault::ApiMisuse("a lease request that is none").into());
    };
    let request = (**request).clone();
    jobs::release::prepare(&request)?;
    let heard = match lease::read_evidence(body)? {
        None => heard,
        Some(evidence) => {
            of_this_peer(app, &who, &request.contract).await?;
            let (who, now) = (who.did.as_str(), app.clock.now());
            let proven =
                app.attest.appraise(who, (request.key, request.attested().0), &evidence, now)?;
            Heard::Attested(Box::new((request.clone(), proven)))
        }
    };
    let (started, from) = (std::time::Instant::now(), who.did.clone());
    let Reply::Lease(grant) = hear(app, who, id, body, heard).await? else {
        return Err(Fault::ApiMisuse("a lease request without a grant").into());
    };
    metrics::histogram!("tidm_lease_seconds").record(started.elapsed().as_secs_f64());
    let Some(released) = jobs::release::wrap(app, &request, &grant).await? else {
        return Ok(lease::write_grant(&grant, None));
    };
    if released.deposit.is_empty() {
        return Ok(lease::write_grant(&grant, Some(&released.wrapped)));
    }
    let split = jobs::split::shown(app, &released.deposit, (&from, &request), &grant)?;
    Ok(lease::write_split_grant(&grant, &released.wrapped, &split))
}

/// The gate of whoever granted a lease: its holder goes on with the use. No key is released again.
async fn renew(State(app): Shared, headers: Presented, body: Bytes) -> Response {
    let done = async {
        let who = caller(&app, &headers).await?;
        let (id, heard) = lease::read_renewal(&body)?;
        let heard = reappraised(&app, &who, heard, &body).await?;
        // House D15, as for a lease.
        if let Err(reason) = app.log.readiness() {
            let retry_after = std::time::Duration::from_secs(2);
            return Err(WorkError::from(Fault::Unavailable { reason, retry_after }));
        }
        let Reply::Lease(grant) = hear(&app, who, id, &body, heard).await? else {
            return Err(Fault::ApiMisuse("a renewal without a grant").into());
        };
        Ok(lease::write_grant(&grant, None))
    };
    match done.await {
        Ok(body) => json(StatusCode::OK, body),
        Err(error) => refusal(error, lease::write_refusal),
    }
}

/// A renewal that brings new evidence, with what this node's appraisal came to.
async fn reappraised(
    app: &App,
    who: &Caller,
    heard: Heard,
    body: &[u8],
) -> Result<Heard, WorkError> {
    let (Heard::Renew(renewal), Some(evidence)) = (&heard, lease::read_evidence(body)?) else {
        return Ok(heard);
    };
    let found = app.store.lease(&renewal.lease).await;
    let found = found.map_err(|why| WorkError::Store(why.to_string()))?;
    let theirs = found.filter(|it| it.role == Role::Provider && it.peer == who.did);
    let held = theirs.ok_or_else(|| not_found("lease"))?;
    let asked = (held.request.key, renewal.attested().0);
    let proven = app.attest.appraise(who.did.as_str(), asked, &evidence, app.clock.now())?;
    Ok(Heard::RenewAttested(Box::new((renewal.clone(), proven))))
}

/// Runs the query of a lease beside the data; only what passes the output gate leaves.
async fn query(
    State(app): Shared,
    Path(lease_id): Path<String>,
    headers: Presented,
    body: Bytes,
) -> Response {
    let done = async {
        let who = caller(&app, &headers).await?;
        let lease_id = Id::parse(&lease_id).map_err(|_| not_found("lease"))?;
        app.writer.remember(who.token.clone()).await?;
        jobs::query::serve(&app, &who.did, &lease_id, &body).await
    };
    match done.await {
        Ok(batches) => (
            StatusCode::OK,
            [(header::CONTENT_TYPE, "application/vnd.apache.arrow.stream")],
            batches,
        )
            .into_response(),
        Err(error) => refusal(error, lease::write_refusal),
    }
}

type ReadNotice = fn(&[u8]) -> Result<(Option<Id>, Heard), Fault>;

async fn noticed(
    State(app): Shared,
    read: ReadNotice,
    headers: Presented,
    body: Bytes,
) -> Response {
    let done = async {
        let who = caller(&app, &headers).await?;
        let (id, heard) = read(&body)?;
        hear(&app, who, id, &body, heard).await
    };
    match done.await {
        Ok(_) => json(StatusCode::OK, "{}"),
        Err(error) => refusal(error, error::write),
    }
}

#[derive(Deserialize)]
struct After {
    #[serde(default)]
    after: i64,
}

/// Facts per page of reconciliation.
const FACTS: i64 = 500;

/// What we did as an operator at this party's word or for it.
fn is_of_share(entry: &[u8], party: &Did) -> bool {
    let Ok(fact) = decode(entry) else { return false };
    let What::Share { provider, .. } = &fact.what else { return false };
    fact.links.peer.as_ref() == Some(party) || provider == party.as_str()
}

/// Pages of an operator's rows that one request looks through for those of its caller.
const LOOKS: u32 = 20;

/// Rows of one page, and where the next one begins.
struct Found {
    rows: Vec<(i64, Vec<u8>)>,
    next: Option<i64>,
}

impl Found {
    fn cut(mut rows: Vec<(i64, Vec<u8>)>) -> Self {
        let most = usize::try_from(FACTS).unwrap_or(usize::MAX);
        let more = rows.len() > most;
        rows.truncate(most);
        let next = rows.last().map(|it| it.0).filter(|_| more);
        Self { rows, next }
    }
}

/// What we did as an operator for this party. Page and cursor are those of the rows before they are filtered.
async fn shares_of(
    app: &App,
    contract: &Id,
    party: &Did,
    mut after: i64,
) -> Result<Found, WorkError> {
    let first = after <= 0;
    for look in 1.. {
        let rows = app.store.share_facts_of(contract, after, FACTS + 1).await;
        let mut found = Found::cut(rows.map_err(|why| WorkError::Store(why.to_string()))?);
        found.rows.retain(|(_, entry)| is_of_share(entry, party));
        match found.next {
            Some(next) if found.rows.is_empty() && look < LOOKS => after = next,
            None if found.rows.is_empty() && first => return Err(not_found("contract")),
            Some(_) | None => return Ok(found),
        }
    }
    Err(not_found("contract"))
}

/// Our facts about a contract, for its other party, or as its operator for both.
async fn facts_of(
    State(app): Shared,
    Path(contract): Path<String>,
    Query(page): Query<After>,
    headers: Presented,
) -> Response {
    let found = async {
        let who = caller(&app, &headers).await?;
        app.writer.remember(who.token).await?;
        let contract = Id::parse(&contract).map_err(|_| not_found("contract"))?;
        let store = |why: crate::store::StoreError| WorkError::Store(why.to_string());
        let known = app.store.contract(&contract).await.map_err(store)?;
        let found = if known.is_some_and(|it| it.peer == who.did) {
            let rows = app.store.facts_of_contract(&contract, page.after, FACTS + 1).await;
            Found::cut(rows.map_err(store)?)
        } else {
            // No contract of ours with this caller; as an operator we may have been asked for shares under it.
            shares_of(&app, &contract, &who.did, page.after).await?
        };
        Ok::<_, WorkError>((contract, found))
    };
    match found.await {
        Ok((contract, Found { rows, next })) => {
            let entries: Vec<(String, Vec<u8>)> =
                rows.into_iter().map(|(seq, entry)| (seq.to_string(), entry)).collect();
            let next = next.map(|it| it.to_string());
            json(StatusCode::OK, facts::write_page(&contract, &entries, next.as_deref()))
        }
        Err(error) => refusal(error, error::write),
    }
}
