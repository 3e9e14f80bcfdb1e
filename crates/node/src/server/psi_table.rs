//! Tables for matching: the provider's signed word on one, and the table itself under the lease of a matching.
//!
//! Threat model: as for [`super::psi`]; a table is given only for a matching over it whose leases both stand, a few times per
//! run, and the giving stops when the lease does. A table without evaluated points says its size and no more.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::Response;
use axum::routing::get;
use futures::channel::mpsc;
use futures::{SinkExt as _, StreamExt as _};

use tidm_space::fault::Fault;
use tidm_space::id::Id;
use tidm_space::negotiation::message::Role;
use tidm_space::wire::tidm::{lease, psi_table};

use super::answer::{Presented, caller, json, refusal};
use super::dsp::not_found;
use crate::app::App;
use crate::jobs::matching::registry::Live;
use crate::jobs::matching::{serve, table};
use crate::jobs::workers;
use crate::objects::ObjectError;
use crate::store::tables::Table;
use crate::store::writer::WorkError;

type Shared = State<Arc<App>>;

/// Downloads of one run: a connection may break.
const DOWNLOADS: u32 = 5;

/// Routes below the DSP base.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/tidm/1/psi/table/{contract}", get(statement))
        .route("/tidm/1/psi/{lease}/table", get(bytes))
}

async fn statement(State(app): Shared, Path(of): Path<String>, headers: Presented) -> Response {
    let done = async {
        let who = caller(&app, &headers).await?;
        let of = Id::parse(&of).map_err(|_| not_found("contract"))?;
        app.writer.remember(who.token.clone()).await?;
        let contract = app.store.contract(&of).await.map_err(failed)?;
        let contract = contract.filter(|it| it.role == Role::Provider && it.peer == who.did);
        let contract = contract.ok_or(Fault::NotFound { what: "contract" })?;
        contract.check_active()?;
        let it = table::made(&app, &contract).await?;
        it.record.signed.ok_or_else(|| Fault::ApiMisuse("a table that nobody signed").into())
    };
    match done.await {
        Ok(signed) => json(StatusCode::OK, psi_table::write(&signed)),
        Err(error) => refusal(error, lease::write_refusal),
    }
}

/// Index, then table.
async fn bytes(State(app): Shared, Path(of): Path<String>, headers: Presented) -> Response {
    let done = async {
        let who = caller(&app, &headers).await?;
        let of = Id::parse(&of).map_err(|_| not_found("lease"))?;
        app.writer.remember(who.token.clone()).await?;
        let live = serve::stream(&app, &who.did, &of).await?;
        let it = app.store.matching_of(&of).await.map_err(failed)?;
        let it = it.filter(|it| it.record.table.is_some()).ok_or_else(|| not_found("table"))?;
        let contract = app.store.contract(&it.contract).await.map_err(failed)?;
        let contract = contract.ok_or_else(|| not_found("contract"))?;
        let made = table::made(&app, &contract).await?;
        if made.record.table != it.record.table {
            let why = "the table was made anew since this matching began";
            return Err(WorkError::from(Fault::refused("psi.table-version", why)));
        }
        if !live.downloads(DOWNLOADS) {
            let why = "this run fetched its table too often";
            return Err(Fault::denied("psi.attempts", "attempts", why).into());
        }
        Ok((made, live, of))
    };
    match done.await {
        Ok((made, live, of)) => given(app, made, live, of),
        Err(error) => refusal(error, lease::write_refusal),
    }
}

fn given(app: Arc<App>, made: Table, live: Arc<Live>, of: Id) -> Response {
    let length = made.record.index_bytes.saturating_add(made.record.bytes);
    let (mut out, body) = mpsc::channel::<Result<Bytes, std::io::Error>>(2);
    tokio::spawn(async move {
        let why = tokio::select! {
            done = copied(&app, &made, &live, &mut out) => done.err(),
            () = live.cancelled() => Some(std::io::Error::other("the matching was stopped")),
            ended = workers::over(&app, &of) => Some(std::io::Error::other(ended.to_string())),
        };
        if let Some(why) = why {
            tracing::info!(%why, lease = %of, "a table is not given to its end");
            if out.send(Err(why)).await.is_err() {
                tracing::debug!("nobody reads it any more");
            }
        }
    });
    let answer = Response::builder()
        .status(StatusCode::OK)
        .header(header::CONTENT_TYPE, "application/octet-stream")
        .header(header::CONTENT_LENGTH, length);
    answer.body(Body::from_stream(body)).unwrap_or_default()
}

async fn copied(
    app: &App,
    made: &Table,
    live: &Live,
    out: &mut mpsc::Sender<Result<Bytes, std::io::Error>>,
) -> std::io::Result<()> {
    let failed = |why: ObjectError| std::io::Error::other(why);
    for key in table::objects(&made.id).map_err(|why| std::io::Error::other(why.to_string()))? {
        let mut pieces = app.objects.get(&key).await.map_err(failed)?;
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(failed)?;
            let bytes = piece.len();
            out.send(Ok(piece)).await.map_err(std::io::Error::other)?;
            live.gave(bytes);
        }
    }
    Ok(())
}

fn failed(why: crate::store::StoreError) -> WorkError {
    WorkError::Store(why.to_string())
}
