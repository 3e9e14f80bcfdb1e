//! Consumer: from a wish to a finished matching.
//!
//! Every step can be repeated: the session, the nonce and the one-time key are saved before they are said, so a lost answer
//! costs no second use.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use tokio::net::UnixListener;

use tidm_compute::job::failure::Blame;
use tidm_compute::job::order::{Kind, Report};
use tidm_space::catalog::product::Kind as ProductKind;
use tidm_space::contract::Contract;
use tidm_space::engine::commit::Reply;
use tidm_space::engine::input::{HoldWish, Input, Wish};
use tidm_space::fault::Fault;
use tidm_space::id::Id;
use tidm_space::lease::message::{Grant, Request};
use tidm_space::lease::state::{Lease, State as Standing};
use tidm_space::limits::{LEASE_MAX, MATCH_ITEMS};
use tidm_space::negotiation::message::Role;
use tidm_space::policy::matching::Key;
use tidm_space::policy::usage::Use;
use tidm_space::psi::{Acceptance, Asked, Invitation, Protocol, Session};
use tidm_space::wire::tidm::psi;

use super::order::Job;
use super::registry::Turn;
use super::settle::{self, Ended};
use super::tally::Tally;
use super::{
    ATTEMPTS, WORKERS, Written, asked, drawn, folder, here, many, order, process, request, save,
    stopping, store, streams, table, task, terms, unhex,
};
use crate::app::App;
use crate::jobs::use_data::ask::{no_answer, refusal};
use crate::jobs::{renewing, rest, workers};
use crate::net::auth;
use crate::net::client::CallError;
use crate::store::matchings::{Matching, Record, State};
use crate::store::rows::hex;
use crate::store::writer::WorkError;

/// What somebody wants matched.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub contract: Id,
    pub mine: Mine,
    /// Our columns, in the order of the contract's key; empty: they are called alike.
    pub columns: Vec<String>,
    /// What the result is to be.
    pub result: Written,
    pub protocol: Protocol,
    pub purpose: Option<String>,
    /// Processes of each side; absent: as the list is long ([`Asked::workers`]).
    pub workers: Option<u32>,
    /// How long a lease it asks for at a time; renewed for as long as the matching runs.
    pub span: Duration,
    /// What of the match is to be known.
    pub asked: Asked,
}

/// Our list.
#[derive(Clone, Debug)]
pub enum Mine {
    /// Bytes that were sent ahead; gone afterwards.
    Upload { id: String, account: String },
    /// A table of ours.
    Product(Id),
}

/// After a lost connection, the first pause before the next try.
const PAUSE: Duration = Duration::from_millis(500);

/// How long our process may go on when the provider's side is over without a result: it may know better why.
const LAST_WORD: Duration = Duration::from_secs(1);

/// Begins one; it runs on by itself.
///
/// # Errors
/// [`Fault::Refused`] `psi.*` for a wish that cannot be met, [`Fault::NotFound`] for what is not ours.
pub async fn start(app: &Arc<App>, it: Wanted) -> Result<Matching, WorkError> {
    let contract = app.store.contract(&it.contract).await.map_err(store)?;
    let contract = contract.filter(|it| it.role == Role::Consumer);
    let contract = contract.ok_or(Fault::NotFound { what: "contract" })?;
    contract.check_active()?;
    let (_, key) = terms(&contract)?;
    if it.workers.is_some_and(|it| it == 0 || it > WORKERS) {
        return Err(Fault::refused("psi.workers", format!("workers are 1 to {WORKERS}")).into());
    }
    let Listed { object, name, temporary, columns, items } =
        listed(app, &it.mine, &key, (it.columns, it.result.columns())).await?;
    let workers = fitting(app, &contract, (&it.asked, it.protocol, items), it.workers)?;
    let now = app.clock.now();
    let matching = Matching {
        id: hex(&drawn::<32>()),
        contract: contract.id.clone(),
        role: Role::Consumer,
        state: State::Open,
        lease: None,
        created: now,
        moved: now,
        record: Record {
            protocol: it.protocol.name().to_owned(),
            table: it.protocol.table().map(|it| it.to_string()),
            purpose: it.purpose,
            items,
            object,
            name,
            columns,
            shown: it.result.columns().to_vec(),
            bitmap: it.result == Written::Bitmap,
            temporary,
            nonce: hex(&drawn::<16>()),
            key: hex(&drawn::<32>()),
            workers,
            span_ms: u64::try_from(it.span.min(LEASE_MAX).as_millis()).ok(),
            asked: asked::record(&it.asked),
            ..Record::default()
        },
    };
    begun(app, matching).await
}

/// How many processes of ours match this list.
///
/// # Errors
/// [`Fault::Refused`] `psi.*` where the terms, or this node's memory, do not let it be matched so.
fn fitting(
    app: &App,
    contract: &Contract,
    (asked, protocol, items): (&Asked, Protocol, u64),
    wanted: Option<u32>,
) -> Result<u32, Fault> {
    let workers = wanted.unwrap_or_else(|| asked.workers(protocol, items));
    asked::check(contract, asked, (protocol, workers, items))?;
    if protocol.table().is_some() {
        return Ok(workers);
    }
    // How long the provider's list is we are told with its lease; one row it has.
    let (role, asked) = (Role::Consumer, asked.clone());
    let job = Job { role, protocol, asked, ours: items, theirs: 1, workers };
    let workers = if wanted.is_some() { workers } else { order::workers(app, contract, &job) };
    order::check_size(app, contract, Job { workers, ..job })?;
    Ok(workers)
}

/// A list of ours, as it is going to be matched.
pub(super) struct Listed {
    pub object: String,
    pub name: String,
    pub temporary: bool,
    /// Ours, in the order of the contract's key.
    pub columns: Vec<String>,
    /// At least its rows.
    pub items: u64,
}

/// Looks a list up and at it. `columns`: those to match by (none: they are called as in the key) and those to show.
pub(super) async fn listed(
    app: &App,
    mine: &Mine,
    key: &Key,
    (columns, shown): (Vec<String>, &[String]),
) -> Result<Listed, WorkError> {
    let named = || key.parts.iter().map(|it| it.column.clone()).collect();
    let columns: Vec<String> = if columns.is_empty() { named() } else { columns };
    if columns.len() != key.parts.len() {
        let why = format!("lists are matched by {key}: name one column of yours for each part");
        return Err(Fault::refused("psi.columns", why).into());
    }
    let (object, name, temporary) = list(app, mine).await?;
    let list = rest::list(app, &object).await.map_err(here)?;
    let kind = super::kind(&name);
    let items = size(&list, kind).await?;
    has_columns(&list, kind, &columns).await?;
    has_columns(&list, kind, shown).await?;
    Ok(Listed { object, name, temporary, columns, items })
}

/// Keeps the row of one that somebody here wants, and runs it.
pub(super) async fn begun(app: &Arc<App>, it: Matching) -> Result<Matching, WorkError> {
    super::keep(app, &it.id)?;
    save(app, &it).await?;
    tokio::spawn(run(app.clone(), it.id.clone()));
    Ok(it)
}

async fn list(app: &App, mine: &Mine) -> Result<(String, String, bool), WorkError> {
    match mine {
        Mine::Upload { id, account } => {
            let row = app.store.upload(id).await.map_err(store)?;
            let row = row
                .filter(|it| it.account == *account && rest::is_sealed(&it.object))
                .ok_or(Fault::NotFound { what: "upload" })?;
            Ok((row.object, row.name, true))
        }
        Mine::Product(id) => {
            let product = app.store.product(id).await.map_err(store)?;
            let table = product.filter(|it| it.kind == ProductKind::Table);
            table.ok_or(Fault::NotFound { what: "table" })?;
            let source = app.store.source(id).await.map_err(store)?;
            let source = source.ok_or(Fault::NotFound { what: "product" })?;
            Ok((source.object, TABLE.to_owned(), false))
        }
    }
}

/// How our own tables lie in the object store.
pub(super) const TABLE: &str = "table.parquet";

/// At least the rows of a list: what the peer may know.
pub(super) async fn size(list: &rest::List, kind: Kind) -> Result<u64, WorkError> {
    let list = list.source(kind);
    let counted = tokio::task::spawn_blocking(move || {
        tidm_compute::keys::rows_at_most(list.place(), kind.format())
    });
    let counted = counted.await;
    let counted = counted.map_err(|_| Fault::ApiMisuse("counting rows panicked"))?;
    let items = counted.map_err(|why| Fault::refused("psi.list", why.to_string()))?;
    if items > MATCH_ITEMS {
        let why = format!("the list may have {items} items, which is more than {MATCH_ITEMS}");
        return Err(Fault::refused("psi.size", why).into());
    }
    Ok(items)
}

/// Columns that the result is to have are in the list.
async fn has_columns(list: &rest::List, kind: Kind, columns: &[String]) -> Result<(), WorkError> {
    if columns.is_empty() {
        return Ok(());
    }
    let (list, columns) = (list.source(kind), columns.to_owned());
    let looked = tokio::task::spawn_blocking(move || {
        tidm_compute::keys::check_columns((list.place(), kind.format()), &columns)
    });
    let looked = looked.await.map_err(|_| Fault::ApiMisuse("looking at columns panicked"))?;
    Ok(looked.map_err(|why| Fault::refused("psi.columns", why.to_string()))?)
}

/// Runs one to its end, unless it runs already.
pub async fn run(app: Arc<App>, id: String) {
    let turn = match app.matchings.begin(&id) {
        Ok(Some(turn)) => turn,
        Ok(None) => return,
        Err(error) => {
            tracing::error!(%error, "a matching cannot be run");
            return;
        }
    };
    let found = app.store.matching(&id).await;
    let Ok(Some(mut it)) = found else { return };
    settle::recovered(&app, &mut it);
    let done = tokio::select! {
        done = work(&app, &mut it, &turn) => Some(done),
        () = turn.live.cancelled() => {
            Some(Ended::Refused(Fault::refused("psi.cancelled", "somebody here stopped it")))
        }
        () = stopping(&app) => None,
    };
    if !matches!(done, Some(Ended::Done(_))) {
        settle::broken_off(&app, &mut it);
    }
    match done {
        Some(done) => settle::settle(&app, it, done).await,
        // It stays open, and is gone on with after the next start.
        None => settle::noted(&app, &it).await,
    }
}

async fn work(app: &Arc<App>, it: &mut Matching, turn: &Turn) -> Ended {
    // Before anything is asked for: what is granted has a time.
    let _place = app.matchings.asking().await;
    if it.record.is_many() {
        return Box::pin(many::lead::work(app, it, turn)).await;
    }
    match agreed(app, it).await {
        Ok(contract) => computed(app, it, &contract, turn).await,
        Err(WorkError::Fault(fault)) => Ended::Refused(fault),
        Err(why) => {
            Ended::Refused(Fault::Unavailable { reason: why.to_string(), retry_after: PAUSE })
        }
    }
}

/// Both leases exist after this.
async fn agreed(app: &Arc<App>, it: &mut Matching) -> Result<Contract, WorkError> {
    let contract = app.store.contract(&it.contract).await.map_err(store)?;
    let contract = contract.ok_or(Fault::NotFound { what: "contract" })?;
    contract.check_active()?;
    let session = session(it)?;
    let request = request(it, Some(session.digest()))?;
    let invitation = Invitation { session, workers: it.record.workers, lease: request.clone() };
    let posting = psi::write_invitation(&uuid::Uuid::now_v7().into(), &invitation);
    let answer = post(app, &contract, &posting.path, posting.body).await?;
    let Acceptance { lease, join, items, workers } = psi::read_acceptance(&answer)?;
    let fits = join.contract == contract.id
        && join.kind == Use::Psi
        && join.query == request.query
        && lease.contract == contract.id
        && (1..=WORKERS).contains(&workers);
    if !fits {
        let why = format!("{} accepted another session than it was invited to", contract.peer);
        return Err(Fault::misbehaved("psi.session", why).into());
    }
    hold(app, &request, &lease).await?;
    it.lease = Some(lease.lease.clone());
    it.record.their_items = items;
    it.record.workers = it.record.workers.min(workers);
    save(app, it).await?;
    let ours = app.store.lease(&lease.lease).await.map_err(store)?;
    let ours = ours.ok_or(Fault::NotFound { what: "lease" })?;
    let wish = Wish::Join { ours: Box::new(ours), request: Box::new(join) };
    let Reply::Lease(grant) = app.writer.run(Input::Wish(Box::new(wish))).await? else {
        return Err(Fault::ApiMisuse("a lease that is none").into());
    };
    it.record.join = Some(grant.lease.to_string());
    save(app, it).await?;
    let posting = psi::write_joining(&uuid::Uuid::now_v7().into(), &lease.lease, &grant);
    post(app, &contract, &posting.path, posting.body).await?;
    Ok(contract)
}

pub(super) async fn hold(app: &App, request: &Request, grant: &Grant) -> Result<(), WorkError> {
    let wish = HoldWish { request: request.clone(), grant: grant.clone() };
    app.writer.run(Input::Wish(Box::new(Wish::Hold(Box::new(wish))))).await.map(drop)
}

fn session(it: &Matching) -> Result<Session, Fault> {
    let over = table::table_of(&it.record)?.map(Protocol::Table);
    let protocol = over.or_else(|| Protocol::from_name(&it.record.protocol));
    let (Some(id), Some(protocol)) = (unhex(&it.id), protocol) else {
        return Err(Fault::ApiMisuse("a matching without its session"));
    };
    let (items, asked) = (it.record.items, asked::of(&it.record)?);
    Ok(Session { id, contract: it.contract.clone(), protocol, items, asked })
}

/// One message to the provider, said again while it does not answer.
pub(super) async fn post(
    app: &App,
    contract: &Contract,
    path: &str,
    body: String,
) -> Result<Vec<u8>, Fault> {
    let url = format!("{}{path}", contract.address);
    let mut pause = PAUSE;
    for last in [false, false, true] {
        let authorization = auth::speak(app, &contract.peer);
        let said =
            app.client.call(Method::POST, &url, authorization.as_deref(), Some(body.clone()));
        let fault = match said.await {
            Ok(answer) if answer.status.is_success() => return Ok(answer.body),
            Ok(answer) => refusal(&contract.peer, answer.status.as_u16(), &answer.body),
            Err(CallError::Address { url, why }) => {
                Fault::refused("peer.address", format!("{url}: {why}"))
            }
            Err(error @ (CallError::NoAnswer { .. } | CallError::TooLarge { .. })) => {
                no_answer(&contract.peer, &error.to_string())
            }
        };
        if last || !matches!(fault, Fault::Unavailable { .. }) {
            return Err(fault);
        }
        tokio::time::sleep(pause).await;
        pause = pause.saturating_mul(2);
    }
    Err(no_answer(&contract.peer, "no answer"))
}

/// The processes, until there is a result, for as long as our lease stands.
async fn computed(app: &Arc<App>, it: &mut Matching, contract: &Contract, turn: &Turn) -> Ended {
    let Some(lease) = it.lease.clone() else {
        return Ended::Refused(Fault::ApiMisuse("a matching without its lease"));
    };
    let Some(join) = it.record.join.as_deref().and_then(|it| Id::parse(it).ok()) else {
        return Ended::Refused(Fault::ApiMisuse("a matching without the lease that it granted"));
    };
    // Looked at while a lost peer is waited for, too.
    tokio::select! {
        ended = attempts(app, it, contract, &lease, turn) => ended,
        over = workers::over(app, &lease) => Ended::Refused(over),
        over = withdrawn(app, &join) => Ended::Refused(over),
        refused = renewing::refused(app, contract, &lease) => Ended::Refused(refused),
    }
}

/// Ends when the lease that our gate gave the provider was revoked or has run out, and some time after the provider gave it back
/// without a result; never once it gave it back with one, for ours may still be at work on its own.
async fn withdrawn(app: &App, join: &Id) -> Fault {
    let over = workers::over(app, join).await;
    let lease = app.store.lease(join).await;
    match lease {
        Ok(Some(Lease { state: Standing::Returned { outcome, .. }, .. })) if outcome.done => {
            std::future::pending().await
        }
        Ok(Some(Lease { state: Standing::Returned { .. }, .. })) => {
            tokio::time::sleep(LAST_WORD).await;
            Fault::denied(
                "psi.over",
                "matching",
                "the provider's side of it ended without a result",
            )
        }
        Ok(_) | Err(_) => over,
    }
}

/// A lost peer is tried again.
async fn attempts(
    app: &Arc<App>,
    it: &mut Matching,
    contract: &Contract,
    lease: &Id,
    turn: &Turn,
) -> Ended {
    loop {
        it.record.attempts += 1;
        settle::noted(app, it).await;
        turn.live.write_down(Tally::new(&folder(app, &it.id), it.record.attempts));
        let why = match once(app, it, contract, lease, turn).await {
            Err(Ended::Failed(why))
                if why.blame == Blame::Connection && it.record.attempts < ATTEMPTS =>
            {
                why
            }
            Ok(report) => return Ended::Done(Box::new(report)),
            Err(ended) => return ended,
        };
        settle::broken_off(app, it);
        tracing::info!(id = it.id, text = why.text, "a matching lost its peer and is begun again");
        tokio::time::sleep(PAUSE.saturating_mul(it.record.attempts)).await;
    }
}

async fn once(
    app: &Arc<App>,
    it: &Matching,
    contract: &Contract,
    lease: &Id,
    turn: &Turn,
) -> Result<Report, Ended> {
    let here = |why: String| Ended::Refused(Fault::Unavailable { reason: why, retry_after: PAUSE });
    let list = rest::list(app, &it.record.object).await.map_err(|why| here(why.to_string()))?;
    let socket = &turn.live.socket;
    // Left by the attempt before.
    drop(std::fs::remove_file(socket));
    let listener = UnixListener::bind(socket).map_err(|why| here(why.to_string()))?;
    let task = task(app, it, contract, list, &turn.live).await.map_err(|why| match why {
        WorkError::Fault(fault) => Ended::Refused(fault),
        why @ (WorkError::Store(_) | WorkError::Stopping) => here(why.to_string()),
    })?;
    let streams = streams::carry(app.clone(), contract.clone(), lease.clone(), listener);
    tokio::select! {
        done = process::run(&app.compute, &task, &turn.live) => done.map_err(|why| {
            table::fetch::doubt(app, it);
            Ended::Failed(why)
        }),
        fault = streams => Err(Ended::Refused(fault)),
    }
}
