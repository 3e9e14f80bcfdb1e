//! Provider: an invitation, the peer's gate's lease, and our process beside the peer's.
//!
//! Threat model: the consumer is the contract's, as authenticated; it may invite as often as the gate permits, repeat every
//! message, and open streams without end (bounded). Its process is started only when both leases stand.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tidm_compute::job::failure::{Blame, ErrorReport};
use tidm_compute::job::order::Report;

use tidm_space::catalog::product::Kind;
use tidm_space::contract::Contract;
use tidm_space::engine::commit::Reply;
use tidm_space::engine::input::{HoldWish, Input, Wish};
use tidm_space::fault::Fault;
use tidm_space::id::Id;
use tidm_space::identity::did::Did;
use tidm_space::lease::message::Grant;
use tidm_space::lease::state::{Lease, State as Standing};
use tidm_space::negotiation::message::Role;
use tidm_space::psi::{Acceptance, Invitation, Protocol};

use super::ask::{TABLE, size};
use super::order::Job;
use super::registry::{Live, Turn};
use super::settle::{self, Ended};
use super::tally::Tally;
use super::{
    ATTEMPTS, WORKERS, asked, drawn, folder, here, is_here, order, process, request, save,
    stopping, store, table, task, terms,
};
use crate::app::App;
use crate::jobs::{renewing, rest, workers};
use crate::store::matchings::{self as rows, Matching, Record, State};
use crate::store::rows::hex;
use crate::store::writer::WorkError;

/// Looks at our side of an invitation before the gate is asked: what would fail then must not cost a use.
///
/// # Errors
/// [`Fault::NotFound`] for strangers, [`Fault::Refused`] `psi.*` for what is not offered.
pub async fn prepare(app: &App, from: &Did, it: &Invitation) -> Result<(), WorkError> {
    let contract = app.store.contract(&it.session.contract).await.map_err(store)?;
    let contract = contract.filter(|it| it.role == Role::Provider && it.peer == *from);
    let contract = contract.ok_or(Fault::NotFound { what: "contract" })?;
    let (_, key) = terms(&contract)?;
    let product = app.store.product(&contract.product).await.map_err(store)?;
    let product = product.filter(|it| it.kind == Kind::Table);
    let product = product.ok_or_else(|| Fault::refused("psi.table", "the product is no table"))?;
    let has = |name: &String| product.columns.iter().any(|it| it.name == *name);
    if let Some(part) = key.parts.iter().find(|part| !has(&part.column)) {
        let why = format!("the product has no column {}", part.column);
        return Err(Fault::refused("psi.columns", why).into());
    }
    let asked = &it.session.asked;
    asked::check(&contract, asked, (it.session.protocol, it.workers, it.session.items))?;
    if let Some(table) = it.session.protocol.table() {
        table::offered(app, &contract, table, it.session.items).await?;
    }
    if it.session.protocol == Protocol::Ecdh {
        it.session.protocol.takes(own(app, &contract).await?.1)?;
    }
    if it.session.protocol.table().is_none() {
        order::check_size(app, &contract, job(app, &contract, it, 1).await?)?;
    }
    if let Some(column) = asked.columns().iter().find(|it| !has(it)) {
        let why = format!("the product has no column {column}");
        return Err(Fault::refused("psi.reveal", why).into());
    }
    match app.store.matching(&hex(&it.session.id)).await.map_err(store)? {
        Some(known) if known.contract != contract.id || known.role != Role::Provider => {
            Err(Fault::refused("psi.session", "this session is another one's").into())
        }
        Some(_) => Ok(()),
        None => app.matchings.serving().map(drop).ok_or_else(|| busy().into()),
    }
}

/// Our end of what an invitation asks for.
async fn job(
    app: &App,
    contract: &Contract,
    it: &Invitation,
    workers: u32,
) -> Result<Job, WorkError> {
    Ok(Job {
        role: Role::Provider,
        protocol: it.session.protocol,
        asked: it.session.asked.clone(),
        ours: own(app, contract).await?.1,
        theirs: it.session.items,
        workers,
    })
}

pub(super) fn busy() -> Fault {
    let reason = "as many matchings as this node takes at a time are being computed".to_owned();
    Fault::Unavailable { reason, retry_after: Duration::from_secs(5) }
}

/// The gate granted `lease`: the same answer, however often it is asked for.
pub async fn accepted(
    app: &Arc<App>,
    it: &Invitation,
    lease: Grant,
) -> Result<Acceptance, WorkError> {
    let id = hex(&it.session.id);
    let matching = match app.store.matching(&id).await.map_err(store)? {
        Some(known) if known.lease.as_ref() == Some(&lease.lease) => known,
        Some(_) => {
            return Err(Fault::conflict("psi.session", "this session had another lease").into());
        }
        None => opened(app, id, it, &lease).await?,
    };
    // What we ask the consumer's gate for.
    let join = request(&matching, it.lease.query)?;
    let (items, workers) = (matching.record.items, matching.record.workers);
    Ok(Acceptance { lease, join, items, workers })
}

/// Our list under a contract, and at least its rows.
async fn own(app: &App, contract: &Contract) -> Result<(String, u64), WorkError> {
    let source = app.store.source(&contract.product).await.map_err(store)?;
    let source = source.ok_or(Fault::NotFound { what: "product" })?;
    let list = rest::list(app, &source.object).await.map_err(here)?;
    let items = size(&list, super::kind(TABLE)).await?;
    Ok((source.object, items))
}

async fn opened(
    app: &Arc<App>,
    id: String,
    it: &Invitation,
    lease: &Grant,
) -> Result<Matching, WorkError> {
    let contract = app.store.contract(&it.session.contract).await.map_err(store)?;
    let contract = contract.ok_or(Fault::NotFound { what: "contract" })?;
    let (_, key) = terms(&contract)?;
    let (object, items) = own(app, &contract).await?;
    // Numbers of workers need not be the same: as many as were asked for, if there is memory for them here.
    let asked_for = it.workers.clamp(1, WORKERS);
    let workers = order::workers(app, &contract, &job(app, &contract, it, asked_for).await?);
    let now = app.clock.now();
    let matching = Matching {
        id,
        contract: contract.id.clone(),
        role: Role::Provider,
        state: State::Open,
        lease: Some(lease.lease.clone()),
        created: now,
        moved: now,
        record: Record {
            protocol: it.session.protocol.name().to_owned(),
            table: it.session.protocol.table().map(|it| it.to_string()),
            purpose: it.lease.purpose.clone(),
            items,
            their_items: it.session.items,
            object,
            name: TABLE.to_owned(),
            columns: key.parts.iter().map(|it| it.column.clone()).collect(),
            nonce: hex(&drawn::<16>()),
            key: hex(&drawn::<32>()),
            workers,
            asked: asked::record(&it.session.asked),
            ..Record::default()
        },
    };
    opened_once(app, matching, lease).await
}

/// Keeps the row of a session that a peer's message opened, and watches its lease; if the same message was answered meanwhile,
/// that row stands.
pub(super) async fn opened_once(
    app: &Arc<App>,
    it: Matching,
    lease: &Grant,
) -> Result<Matching, WorkError> {
    let _one = app.matchings.door().await;
    if let Some(known) = app.store.matching(&it.id).await.map_err(store)? {
        return Ok(known);
    }
    save(app, &it).await?;
    tokio::spawn(forsaken(app.clone(), it.id.clone(), lease.lease.clone()));
    Ok(it)
}

/// Ends an open matching of ours with its lease, where no process of it does: its consumer never came, or never came back.
pub(super) async fn forsaken(app: Arc<App>, id: String, lease: Id) {
    let ended = tokio::select! {
        ended = workers::over(&app, &lease) => ended,
        // It stays open, and is watched again after the next start.
        () = stopping(&app) => return,
    };
    loop {
        // Looked at with the turn in hand: what ran until now has written its row.
        if let Ok(Some(_turn)) = app.matchings.begin(&id) {
            match app.store.matching(&id).await {
                // Another replica runs it, and watches it.
                Ok(Some(it)) if it.record.join.is_some() && !is_here(&app, &id) => return,
                Ok(Some(it)) if it.state == State::Open => {
                    return settle::settle(&app, it, Ended::Refused(ended)).await;
                }
                Ok(_) => return,
                Err(error) => tracing::warn!(%error, id, "a matching cannot be looked at"),
            }
        }
        // Its process sees the same end.
        tokio::time::sleep(LAST_WORD).await;
    }
}

/// The consumer's gate lets us join: both leases stand, our process starts.
pub async fn joined(app: &Arc<App>, from: &Did, lease: &Id, grant: Grant) -> Result<(), WorkError> {
    let _one = app.matchings.door().await;
    let mut it = ours(app, from, lease).await?;
    if let Some(known) = &it.record.join {
        // Another lease would begin the session anew, with other items at no cost.
        if *known != grant.lease.to_string() {
            return Err(Fault::conflict("psi.session", "this session was joined already").into());
        }
        if is_here(app, &it.id) {
            tokio::spawn(run(app.clone(), it.id));
        }
        return Ok(());
    }
    let held = app.store.lease(lease).await.map_err(store)?;
    let held = held.ok_or(Fault::NotFound { what: "lease" })?;
    if grant.contract != it.contract {
        return Err(Fault::misbehaved("psi.session", "the lease is for another contract").into());
    }
    let request = request(&it, held.request.query)?;
    let joined = grant.lease.to_string();
    let wish = Wish::Hold(Box::new(HoldWish { request, grant }));
    let Reply::Lease(_) = app.writer.run(Input::Wish(Box::new(wish))).await? else {
        return Err(Fault::ApiMisuse("a lease that is none").into());
    };
    it.record.join = Some(joined);
    // What it keeps lies on this replica's disk, so that it is run here and nowhere else. The folder first: a joined row whose folder is
    // nowhere would be another replica's to each of them, for ever.
    super::keep(app, &it.id)?;
    if !claim(app, &it).await? {
        // Another replica was first. Nothing lies in it yet.
        drop(std::fs::remove_dir(folder(app, &it.id)));
        return Err(Fault::conflict("psi.session", "this session was joined already").into());
    }
    tokio::spawn(run(app.clone(), it.id));
    Ok(())
}

/// Saves the row with the lease that joins it, if no replica did that before.
async fn claim(app: &App, it: &Matching) -> Result<bool, WorkError> {
    let (first, it) = (Arc::new(AtomicBool::new(false)), it.clone());
    let claimed = first.clone();
    let saved = app.writer.note(move |conn| {
        let (it, claimed) = (it.clone(), claimed.clone());
        Box::pin(async move {
            claimed.store(rows::claim(conn, &it).await?, Ordering::Relaxed);
            Ok(())
        })
    });
    saved.await?;
    Ok(first.load(Ordering::Relaxed))
}

/// The open matching under a lease of ours, for its consumer.
async fn ours(app: &App, from: &Did, lease: &Id) -> Result<Matching, WorkError> {
    let it = app.store.matching_of(lease).await.map_err(store)?;
    let it = it.filter(|it| it.role == Role::Provider).ok_or(Fault::NotFound { what: "lease" })?;
    let contract = app.store.contract(&it.contract).await.map_err(store)?;
    let contract = contract.filter(|it| it.peer == *from);
    contract.ok_or(Fault::NotFound { what: "lease" })?.check_active()?;
    if it.state != State::Open {
        let why = it.record.fault.map_or_else(|| "it is done".to_owned(), |it| it.text);
        return Err(Fault::conflict("psi.over", why).into());
    }
    Ok(it)
}

/// Where a stream of the consumer leads: our process, started again where it is not running.
pub async fn stream(app: &Arc<App>, from: &Did, lease: &Id) -> Result<Arc<Live>, WorkError> {
    let it = ours(app, from, lease).await?;
    if it.record.join.is_none() {
        return Err(
            Fault::refused("psi.not-joined", "this node holds no lease of yours yet").into()
        );
    }
    if let Some(live) = app.matchings.live(&it.id) {
        return Ok(live);
    }
    if !is_here(app, &it.id) {
        let reason = "this session runs on another replica of this node".to_owned();
        return Err(Fault::Unavailable { reason, retry_after: Duration::from_secs(1) }.into());
    }
    if it.record.attempts >= attempts(&it) {
        return Err(
            Fault::denied("psi.attempts", "attempts", "this session was begun too often").into()
        );
    }
    tokio::spawn(run(app.clone(), it.id.clone()));
    for _ in 0..100 {
        if let Some(live) = app.matchings.live(&it.id) {
            return Ok(live);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let reason = "the computing process does not start".to_owned();
    Err(Fault::Unavailable { reason, retry_after: Duration::from_secs(1) }.into())
}

/// How often its process may be started: see [`many`].
fn attempts(it: &Matching) -> u32 {
    if it.record.is_many() { 1 } else { ATTEMPTS }
}

/// Runs our process to its end, unless it runs already.
async fn run(app: Arc<App>, id: String) {
    let turn = match app.matchings.begin(&id) {
        Ok(Some(turn)) => turn,
        Ok(None) => return,
        Err(error) => {
            tracing::error!(%error, "a matching cannot be run");
            return;
        }
    };
    // The consumer's process comes again, for as long as it is patient.
    let Some(_place) = app.matchings.serving() else { return };
    let Ok(Some(mut it)) = app.store.matching(&id).await else { return };
    if it.state != State::Open {
        return;
    }
    settle::recovered(&app, &mut it);
    if it.record.attempts >= attempts(&it) {
        // Its node was stopped in it, or its end could not be saved.
        let why = Fault::denied("psi.attempts", "attempts", "this session was begun too often");
        return settle::settle(&app, it, Ended::Refused(why)).await;
    }
    it.record.attempts += 1;
    settle::noted(&app, &it).await;
    turn.live.write_down(Tally::new(&folder(&app, &it.id), it.record.attempts));
    let ended = tokio::select! {
        ended = once(&app, &it, &turn) => Some(ended),
        () = turn.live.cancelled() => {
            Some(Ended::Refused(Fault::refused("psi.cancelled", "somebody here stopped it")))
        }
        () = stopping(&app) => None,
    };
    if !matches!(ended, Some(Ended::Done(_))) {
        settle::broken_off(&app, &mut it);
    }
    match ended {
        // It stays open: the consumer's streams start it again.
        None => settle::noted(&app, &it).await,
        // It stays open: the consumer comes back, or its lease ends.
        Some(Ended::Failed(why))
            if why.blame == Blame::Connection && it.record.attempts < attempts(&it) =>
        {
            settle::noted(&app, &it).await;
            tracing::info!(id, "a matching lost its peer");
        }
        Some(ended) => settle::settle(&app, it, ended).await,
    }
}

async fn once(app: &Arc<App>, it: &Matching, turn: &Turn) -> Ended {
    let here = |why: String| {
        Ended::Refused(Fault::Unavailable { reason: why, retry_after: Duration::from_secs(1) })
    };
    let Some(lease) = it.lease.clone() else {
        return Ended::Refused(Fault::ApiMisuse("a matching without its lease"));
    };
    let contract = match app.store.contract(&it.contract).await {
        Ok(Some(contract)) => contract,
        Ok(None) => return Ended::Refused(Fault::NotFound { what: "contract" }),
        Err(why) => return here(why.to_string()),
    };
    let list = match rest::list(app, &it.record.object).await {
        Ok(list) => list,
        Err(why) => return here(why.to_string()),
    };
    let task = match task(app, it, &contract, list, &turn.live).await {
        Ok(task) => task,
        Err(WorkError::Fault(fault)) => return Ended::Refused(fault),
        Err(why) => return here(why.to_string()),
    };
    let joined = it.record.join.as_deref().and_then(|it| Id::parse(it).ok());
    let Some(joined) = joined else {
        return Ended::Refused(Fault::ApiMisuse("a matching without the lease that it joins by"));
    };
    let running = process::run(&app.compute, &task, &turn.live);
    tokio::pin!(running);
    let ended = tokio::select! {
        done = &mut running => return of(done),
        ended = workers::over(app, &lease) => ended,
        ended = workers::over(app, &joined) => ended,
        refused = renewing::refused(app, &contract, &joined) => refused,
    };
    // The consumer gives its lease back when it has its result: our process may still be saying its last word.
    let returned = matches!(
        app.store.lease(&lease).await,
        Ok(Some(Lease { state: Standing::Returned { outcome, .. }, .. })) if outcome.done
    );
    if returned && let Ok(done) = tokio::time::timeout(LAST_WORD, running).await {
        return of(done);
    }
    Ended::Refused(ended)
}

fn of(done: Result<Report, ErrorReport>) -> Ended {
    done.map_or_else(Ended::Failed, |report| Ended::Done(Box::new(report)))
}

/// How long our process may go on after the consumer has given its lease back.
const LAST_WORD: Duration = Duration::from_secs(10);
