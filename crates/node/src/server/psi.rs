//! Matching of lists: the provider's end of invitation, joining and streams.
//!
//! Threat model: as for leases ([`super::profile`]); a stream is upgraded only for the consumer of a matching whose leases both
//! stand, and it is cut when the provider's does not any more. Never looks at what a stream carries.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, header};
use axum::response::Response;
use axum::routing::{get, post};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;

use tidm_space::engine::commit::Reply;
use tidm_space::engine::input::Heard;
use tidm_space::fault::Fault;
use tidm_space::id::Id;
use tidm_space::wire::tidm::{lease, psi, psi_many};

use super::answer::{Presented, caller, json, refusal};
use super::dsp::{hear, not_found};
use crate::app::App;
use crate::jobs::matching::many::member;
use crate::jobs::matching::{serve, streams};
use crate::jobs::workers;
use crate::store::writer::WorkError;

type Shared = State<Arc<App>>;

/// Routes below the DSP base.
pub fn routes() -> Router<Arc<App>> {
    Router::new()
        .route(psi::INVITE_PATH, post(invite))
        .route(psi_many::INVITE_PATH, post(invite_many))
        .route(psi_many::START_PATH, post(start_many))
        .route("/tidm/1/psi/{lease}/join", post(join))
        .route("/tidm/1/psi/{lease}/stream", get(stream))
        .merge(super::psi_table::routes())
}

async fn invite(State(app): Shared, headers: Presented, body: Bytes) -> Response {
    let done = async {
        let who = caller(&app, &headers).await?;
        let (id, invitation) = psi::read_invitation(&body)?;
        // House D15: no lease while the evidence log may not go on.
        if let Err(reason) = app.log.readiness() {
            let retry_after = std::time::Duration::from_secs(2);
            return Err(WorkError::from(Fault::Unavailable { reason, retry_after }));
        }
        serve::prepare(&app, &who.did, &invitation).await?;
        let heard = Heard::Ask(Box::new(invitation.lease.clone()));
        let Reply::Lease(grant) = hear(&app, who, id, &body, heard).await? else {
            return Err(Fault::ApiMisuse("a lease request without a grant").into());
        };
        serve::accepted(&app, &invitation, grant).await
    };
    match done.await {
        Ok(accepted) => json(StatusCode::OK, psi::write_acceptance(&accepted)),
        Err(error) => refusal(error, lease::write_refusal),
    }
}

/// Of more than two parties: nothing is granted and nothing kept, only said.
async fn invite_many(State(app): Shared, headers: Presented, body: Bytes) -> Response {
    let done = async {
        let who = caller(&app, &headers).await?;
        let (_, invitation) = psi_many::read_invitation(&body)?;
        app.writer.remember(who.token.clone()).await?;
        member::word(&app, &who.did, &invitation).await
    };
    match done.await {
        Ok(word) => json(StatusCode::OK, psi_many::write_word(&word)),
        Err(error) => refusal(error, lease::write_refusal),
    }
}

async fn start_many(State(app): Shared, headers: Presented, body: Bytes) -> Response {
    let done = async {
        let who = caller(&app, &headers).await?;
        let (id, start) = psi_many::read_start(&body)?;
        // House D15, as for an invitation of two.
        if let Err(reason) = app.log.readiness() {
            let retry_after = std::time::Duration::from_secs(2);
            return Err(WorkError::from(Fault::Unavailable { reason, retry_after }));
        }
        member::prepare(&app, &who.did, &start).await?;
        let heard = Heard::Ask(Box::new(start.lease.clone()));
        let Reply::Lease(grant) = hear(&app, who, id, &body, heard).await? else {
            return Err(Fault::ApiMisuse("a lease request without a grant").into());
        };
        member::accepted(&app, &start, grant).await
    };
    match done.await {
        Ok(accepted) => json(StatusCode::OK, psi::write_acceptance(&accepted)),
        Err(error) => refusal(error, lease::write_refusal),
    }
}

async fn join(
    State(app): Shared,
    Path(of): Path<String>,
    headers: Presented,
    body: Bytes,
) -> Response {
    let done = async {
        let who = caller(&app, &headers).await?;
        let of = Id::parse(&of).map_err(|_| not_found("lease"))?;
        let grant = psi::read_joining(&body)?;
        app.writer.remember(who.token.clone()).await?;
        serve::joined(&app, &who.did, &of, grant).await
    };
    match done.await {
        Ok(()) => json(StatusCode::OK, "{}"),
        Err(error) => refusal(error, lease::write_refusal),
    }
}

/// RFC 9110 §7.8: the connection is the computing processes' from the answer on.
async fn stream(
    State(app): Shared,
    Path(of): Path<String>,
    headers: Presented,
    mut request: Request,
) -> Response {
    let upgrade = request.extensions_mut().remove::<OnUpgrade>();
    let asked = headers.get(header::UPGRADE).is_some_and(|it| it == psi::UPGRADE);
    let done = async {
        let who = caller(&app, &headers).await?;
        let of = Id::parse(&of).map_err(|_| not_found("lease"))?;
        app.writer.remember(who.token.clone()).await?;
        let Some(upgrade) = upgrade.filter(|_| asked) else {
            let why = format!("a stream is an HTTP/1.1 connection upgraded to {}", psi::UPGRADE);
            return Err(WorkError::from(Fault::refused("psi.upgrade", why)));
        };
        let live = serve::stream(&app, &who.did, &of).await?;
        let busy = |reason: &str| Fault::Unavailable {
            reason: reason.to_owned(),
            retry_after: std::time::Duration::from_secs(1),
        };
        let ours = streams::ours(&live).await;
        let ours = ours.ok_or_else(|| busy("the computing process takes no connection yet"))?;
        Ok((upgrade, ours, live, of))
    };
    let (upgrade, ours, live, of) = match done.await {
        Ok(it) => it,
        Err(error) => return refusal(error, lease::write_refusal),
    };
    tokio::spawn(async move {
        let Ok(_place) = live.streams.try_acquire() else {
            tracing::info!(lease = %of, "too many streams of one matching");
            return;
        };
        let Ok(theirs) = upgrade.await else { return };
        tokio::select! {
            _ = streams::join(TokioIo::new(theirs), ours) => {}
            () = live.cancelled() => {}
            ended = workers::over(&app, &of) => tracing::debug!(%ended, "a stream is cut"),
        }
    });
    let answer = Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(header::CONNECTION, "upgrade")
        .header(header::UPGRADE, psi::UPGRADE);
    answer.body(Body::empty()).unwrap_or_default()
}
