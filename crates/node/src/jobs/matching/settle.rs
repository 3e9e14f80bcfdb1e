//! What came of a matching: looked at, kept or withheld, said to the peer's gate.
//!
//! Never tells the peer how many rows matched where it is not to know: what a returned lease names is what both know anyway.

use std::sync::Arc;

use tidm_compute::job::failure::ErrorReport;
use tidm_compute::job::order::Report;
use tidm_compute::job::progress::Traffic;
use tidm_space::engine::input::{Input, Wish};
use tidm_space::fault::Fault;
use tidm_space::id::Id;
use tidm_space::lease::message::Outcome;
use tidm_space::lease::state::State as Standing;
use tidm_space::negotiation::message::Role;
use tidm_space::psi::Asked;
use tidm_space::psi::many::withheld;

use super::{LABELS, ROWS, asked, folder, here, many, save, store, tally, terms, unhex};
use crate::app::App;
use crate::jobs::{rest, uploads};
use crate::objects::Key;
use crate::store::matchings::{self as rows, Matching, State, Trouble};
use crate::store::writer::WorkError;

/// How a run ended.
pub enum Ended {
    Done(Box<Report>),
    /// Our process or the peer's could not.
    Failed(ErrorReport),
    /// A gate or this node said no.
    Refused(Fault),
}

/// Saves the end, gives the lease back and clears away.
pub async fn settle(app: &Arc<App>, mut it: Matching, ended: Ended) {
    let mut received = 0;
    it.moved = app.clock.now();
    let done = match ended {
        Ended::Done(report) => {
            received = report.received;
            keep(app, &mut it, *report).await
        }
        Ended::Failed(why) => {
            Err(Trouble { code: why.code, text: format!("{}. {}", why.text, why.next) })
        }
        Ended::Refused(why) => Err(Trouble { code: why.code().to_owned(), text: why.to_string() }),
    };
    (it.state, it.record.fault) = match done {
        Ok(()) => (State::Done, None),
        Err(trouble) => (State::Failed, Some(trouble)),
    };
    let word = it.state.word();
    metrics::counter!("tidm_matchings_total", "outcome" => word).increment(1);
    if let Err(why) = save(app, &it).await {
        // The row stays open, and is gone on with after the next start.
        tracing::error!(%why, id = it.id, "the end of a matching cannot be saved");
        return;
    }
    give_back(app, &it, received).await;
    clear(app, &it).await;
}

/// Finishes what a kill left of ends that were saved, before anything runs here: leases that are held are given back, folders go. Nobody
/// else works in this node's directory, and what still runs, or is gone on with, has an open row.
pub(super) async fn finish(app: &Arc<App>) -> Result<(), WorkError> {
    let mut folders = match tokio::fs::read_dir(folder(app, "")).await {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        folders => folders.map_err(here)?,
    };
    while let Some(entry) = folders.next_entry().await.map_err(here)? {
        let id = entry.file_name().into_string().ok().filter(|it| unhex::<32>(it).is_some());
        let Some(id) = id else { continue };
        match app.store.matching(&id).await.map_err(store)? {
            Some(it) if it.state == State::Open => {}
            Some(it) => {
                let report = it.record.report.as_ref();
                let received = report.and_then(|it| it.get("received")?.as_u64()).unwrap_or(0);
                give_back(app, &it, received).await;
                clear(app, &it).await;
            }
            // Its row was never saved.
            None => remove(app, &id).await,
        }
    }
    Ok(())
}

/// Looks at the result, and keeps it where the contract lets it be seen.
async fn keep(app: &App, it: &mut Matching, mut report: Report) -> Result<(), Trouble> {
    let ours = |why: String| Trouble { code: "psi.result".to_owned(), text: why };
    let contract = app.store.contract(&it.contract).await.map_err(|why| ours(why.to_string()))?;
    let contract = contract.ok_or_else(|| ours("the contract is gone".to_owned()))?;
    let (terms, _) = terms(&contract).map_err(|why| ours(why.to_string()))?;
    let mut all = vec![terms.clone()];
    if it.role == Role::Consumer && it.record.is_many() {
        let others = many::lead::all_terms(app, &it.record).await;
        all.extend(others.map_err(|why| ours(why.to_string()))?);
    }
    let consumers = if it.role == Role::Consumer { it.record.items } else { it.record.their_items };
    asked::keep(&mut it.record, &mut report, &terms);
    if let Some(matched) = report.matched.take() {
        it.record.withheld = withheld(&all, matched, consumers).map(str::to_owned);
        if it.record.withheld.is_none() {
            it.record.matched = Some(matched);
            it.record.rows = Some(moved(app, it, ROWS).await.map_err(ours)?);
            if let Asked::Labels { .. } = asked::of(&it.record).unwrap_or_default()
                && it.role == Role::Consumer
            {
                it.record.labels = Some(moved(app, it, LABELS).await.map_err(ours)?);
            }
        }
    }
    it.record.report = serde_json::to_value(&report).ok();
    Ok(())
}

/// A file of the matching's folder into the object store, sealed as it is: the name it has there.
async fn moved(app: &App, it: &Matching, name: &str) -> Result<String, String> {
    let object = rest::result(&it.id, name);
    let put = rest::put(app, &object, &folder(app, &it.id).join(name)).await;
    put.map_err(|why| why.to_string())?;
    Ok(object)
}

/// The lease that we hold: the provider's gate's as the consumer, the consumer's as the provider.
async fn give_back(app: &App, it: &Matching, received: u64) {
    let joined = || it.record.join.as_deref().and_then(|it| Id::parse(it).ok());
    let held = match it.role {
        Role::Consumer => it.lease.clone(),
        Role::Provider => joined(),
    };
    for party in &it.record.parties {
        if let Some(lease) = party.lease.as_deref().and_then(|it| Id::parse(it).ok()) {
            give_one_back(app, it, lease, party.items, received).await;
        }
    }
    let Some(lease) = held else { return };
    give_one_back(app, it, lease, it.record.their_items, received).await;
}

/// `items`: of the other side.
async fn give_one_back(app: &App, it: &Matching, lease: Id, items: u64, received: u64) {
    let held = app.store.lease(&lease).await;
    if matches!(&held, Ok(Some(it)) if it.state != Standing::Granted) {
        return;
    }
    let done = it.state == State::Done;
    let outcome =
        Outcome { done, rows: if done { items } else { 0 }, bytes: received, result: None };
    let wish = Wish::Close { lease, outcome };
    if let Err(why) = app.writer.run(Input::Wish(Box::new(wish))).await {
        // It ends by itself when its time is over, or ended already.
        tracing::info!(%why, id = it.id, "the lease of a matching is not given back");
    }
}

async fn remove(app: &App, id: &str) {
    if let Err(error) = tokio::fs::remove_dir_all(folder(app, id)).await
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(%error, id, "the folder of a matching stays behind");
    }
}

async fn clear(app: &App, it: &Matching) {
    remove(app, &it.id).await;
    if !it.record.temporary {
        return;
    }
    if let Some((_, upload)) = it.record.object.rsplit_once('/') {
        uploads::forget(app, upload, &it.record.object).await;
    }
}

/// Saves the row of one that stays open.
pub(super) async fn noted(app: &App, it: &Matching) {
    if let Err(why) = save(app, it).await {
        tracing::warn!(%why, id = it.id, "a matching's row cannot be saved");
    }
}

/// What left and came in an attempt that ended without a report, so that the list of what left this node is whole.
pub(super) fn broken_off(app: &App, it: &mut Matching) {
    let Some(live) = app.matchings.live(&it.id) else { return };
    add(it, live.take_moved());
    it.record.tallied = it.record.attempts;
}

/// The same of an attempt whose node was killed in it: as much as had been written down.
pub(super) fn recovered(app: &App, it: &mut Matching) {
    if it.record.tallied >= it.record.attempts {
        return;
    }
    it.record.tallied = it.record.attempts;
    it.record.broken_unsure = true;
    let found = tally::found(&folder(app, &it.id));
    if let Some(found) = found.filter(|found| found.attempt == it.record.attempts) {
        add(it, found.traffic);
    }
}

fn add(it: &mut Matching, traffic: Traffic) {
    for (kind, moved) in traffic {
        let of = it.record.broken_kinds.entry(kind).or_default();
        for all in [of, &mut it.record.broken_off] {
            all.sent = all.sent.saturating_add(moved.sent);
            all.received = all.received.saturating_add(moved.received);
        }
    }
}

/// Deletes the result of one that is over; that it was stays on record.
///
/// # Errors
/// Where the store does not take it.
pub async fn forget(app: &App, mut it: Matching) -> Result<(), WorkError> {
    for object in [it.record.rows.take(), it.record.labels.take()].into_iter().flatten() {
        let key = Key::parse(&object).map_err(here)?;
        app.objects.delete(&key).await.map_err(here)?;
    }
    app.writer
        .note(move |conn| {
            let it = it.clone();
            Box::pin(async move { rows::strip(conn, &it).await })
        })
        .await
}
