//! Provider: from a product version to a signed table.
//!
//! Never believed before every byte was read again, the statement signed and the fact told: only then is the row done. What a
//! crash leaves is a row that is open, and is begun again.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tidm_compute::keys::Mapping;
use tidm_compute::table::{INDEX, Order, Prepare, TABLE};
use tidm_crypto::hash::{Digest, sha256};
use tidm_crypto::jcs;
use tidm_space::catalog::product::{Kind, Product};
use tidm_space::engine::input::{Input, Wish};
use tidm_space::engine::node::Signer as _;
use tidm_space::fault::Fault;
use tidm_space::id::Id;
use tidm_space::limits::MATCH_TABLE_ITEMS;
use tidm_space::negotiation::message::Role;
use tidm_space::policy::matching::Key;
use tidm_space::policy::usage::Use;
use tidm_space::psi::table::Statement;
use tidm_space::wire::tidm::psi_table;

use super::super::ask::{TABLE as LIST, size};
use super::super::process::{self, Task};
use super::super::registry::Live;
use super::super::{here, kind, rule, stopping, store};
use super::{checked, delete, folder, put, save, seed, spec};
use crate::app::App;
use crate::jobs::rest;
use crate::store::matchings::{State, Trouble};
use crate::store::tables::{Record, Table};
use crate::store::writer::WorkError;

/// Begins to make a table, unless it is there or being made: then it is that one.
///
/// # Errors
/// [`Fault::NotFound`] for a product that is not ours, [`Fault::Refused`] `psi.table-key` and `psi.columns` for a key that it has not.
pub async fn start(app: &Arc<App>, product: &Id, key: Option<Key>) -> Result<Table, WorkError> {
    let found = app.store.product(product).await.map_err(store)?;
    let found = found.filter(|it| it.kind == Kind::Table);
    let product = found.ok_or(Fault::NotFound { what: "table" })?;
    let source = app.store.source(&product.id).await.map_err(store)?;
    let source = source.ok_or(Fault::NotFound { what: "table" })?;
    let key = key_of(&product, key)?;
    let id = spec(&product.id, &key).to_string();
    let known = app.store.table(&id).await.map_err(store)?;
    if let Some(known) =
        known.filter(|it| it.state == State::Done || app.matchings.live(&id).is_some())
    {
        return Ok(known);
    }
    let local = rest::list(app, &source.object).await.map_err(here)?;
    let entries = size(&local, kind(LIST)).await?;
    let now = app.clock.now();
    let it = Table {
        id: id.clone(),
        role: Role::Provider,
        product: product.id.clone(),
        contract: None,
        state: State::Open,
        created: now,
        moved: now,
        record: Record {
            version: product.version,
            key: key.to_string(),
            entries,
            items: MATCH_TABLE_ITEMS,
            ..Record::default()
        },
    };
    save(app, &it).await?;
    tokio::spawn(run(app.clone(), id));
    Ok(it)
}

/// The one that was said, or the only one that the product is offered by.
fn key_of(product: &Product, said: Option<Key>) -> Result<Key, Fault> {
    let offered: BTreeSet<String> = product
        .offers
        .iter()
        .filter(|it| it.deliveries().contains(&Use::Psi))
        .filter_map(|it| it.terms().summary.limits.matching.key.as_ref())
        .map(ToString::to_string)
        .collect();
    let only =
        || match offered.iter().map(|it| Key::parse(it)).collect::<Option<Vec<_>>>()?.as_slice() {
            [one] => Some(one.clone()),
            _ => None,
        };
    let key = said.or_else(only).ok_or_else(|| {
        let keys: Vec<&str> = offered.iter().map(String::as_str).collect();
        let why = match keys.as_slice() {
            [] => "the product is offered by no key: say one, as in part_no:text;first".to_owned(),
            all => format!("the product is offered by several keys: say one of {}", all.join(", ")),
        };
        Fault::refused("psi.table-key", why)
    })?;
    let has = |name: &str| product.columns.iter().any(|it| it.name == name);
    match key.parts.iter().find(|part| !has(&part.column)) {
        Some(part) => {
            let why = format!("the product has no column {}", part.column);
            Err(Fault::refused("psi.columns", why))
        }
        None => Ok(key),
    }
}

/// Makes one, unless that is being done.
pub(super) async fn run(app: Arc<App>, id: String) {
    let turn = match app.matchings.begin(&id) {
        Ok(Some(turn)) => turn,
        Ok(None) => return,
        Err(error) => {
            tracing::error!(%error, "a table cannot be made");
            return;
        }
    };
    let Ok(Some(mut it)) = app.store.table(&id).await else { return };
    let done = tokio::select! {
        done = made(&app, &mut it, &turn.live) => done,
        () = turn.live.cancelled() => Err(trouble("psi.cancelled", "somebody here stopped it")),
        // It stays open, and is begun again after the next start.
        () = stopping(&app) => return,
    };
    clear(&folder(&app, &id)).await;
    it.moved = app.clock.now();
    (it.state, it.record.fault) = match done {
        Ok(()) => (State::Done, None),
        Err(why) => (State::Failed, Some(why)),
    };
    if let Err(why) = save(&app, &it).await {
        tracing::error!(%why, id, "the end of a table's making cannot be saved");
    }
}

/// A process that was just killed may still have written a file.
async fn clear(folder: &Path) {
    for _ in 0..5 {
        match tokio::fs::remove_dir_all(folder).await {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                tracing::debug!(%error, "the folder of a table is not empty yet");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Ok(()) | Err(_) => return,
        }
    }
}

fn trouble(code: &str, text: impl ToString) -> Trouble {
    Trouble { code: code.to_owned(), text: text.to_string() }
}

fn failed(why: WorkError) -> Trouble {
    match why {
        WorkError::Fault(fault) => trouble(fault.code(), &fault),
        why @ (WorkError::Store(_) | WorkError::Stopping) => trouble("psi.result", why),
    }
}

async fn made(app: &Arc<App>, it: &mut Table, live: &Live) -> Result<(), Trouble> {
    let task = order(app, it).await.map_err(failed)?;
    let report = process::run(&app.compute, &task, live).await;
    let report = report.map_err(|why| trouble(&why.code, format!("{}. {}", why.text, why.next)))?;
    it.record.report = serde_json::to_value(&report).ok();
    signed(app, it).await.map_err(failed)
}

async fn order(app: &App, it: &Table) -> Result<Task, WorkError> {
    let key = Key::parse(&it.record.key).ok_or(Fault::ApiMisuse("a table without its key"))?;
    let source = app.store.source(&it.product).await.map_err(store)?;
    let source = source.ok_or(Fault::NotFound { what: "table" })?;
    let local = rest::list(app, &source.object).await.map_err(here)?;
    let dir = folder(app, &it.id);
    // What a run before this one left.
    if let Err(error) = tokio::fs::remove_dir_all(&dir).await
        && error.kind() != std::io::ErrorKind::NotFound
    {
        return Err(here(error));
    }
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir).map_err(here)?;
    let rule = rule(&key);
    let order = Prepare {
        context: spec(&it.product, &key).to_string(),
        key: seed(app, &it.product, &key)?,
        version: it.record.version,
        entries: it.record.entries,
        client_items: it.record.items,
        mapping: Mapping::same(&rule),
        rule,
        source: local.source(kind(LIST)),
        dir,
        memory: app.config.limits.matching_memory_bytes,
    };
    Ok(Task::table(&Order::Prepare(order), vec![local.into_file()])?)
}

/// Every byte is read again, signed, kept, and a fact.
async fn signed(app: &Arc<App>, it: &mut Table) -> Result<(), WorkError> {
    let dir = folder(app, &it.id);
    let found = checked(dir.join(INDEX), dir.join(TABLE)).await?;
    let found = found.map_err(here)?;
    let index_bytes = tokio::fs::metadata(dir.join(INDEX)).await.map_err(here)?.len();
    let key = Key::parse(&it.record.key).ok_or(Fault::ApiMisuse("a table without its key"))?;
    let statement = Statement {
        table: Digest(found.digest),
        product: it.product.clone(),
        version: it.record.version,
        key,
        entries: found.entries,
        items: found.items,
        index_bytes,
        bytes: found.bytes,
        at: app.clock.now(),
    };
    let payload = jcs::canonical(&psi_table::statement(&statement)).map_err(here)?;
    let jws = app.identity.sign(psi_table::TYP, &payload);
    put(app, &it.id, &dir).await?;
    let wish = Wish::TablePrepared {
        product: it.product.clone(),
        table: statement.table,
        statement: sha256(jws.as_bytes()),
        entries: found.entries,
        bytes: statement.whole(),
    };
    app.writer.run(Input::Wish(Box::new(wish))).await?;
    it.record.table = Some(statement.table.to_string());
    it.record.signed = Some(jws);
    (it.record.index_bytes, it.record.bytes) = (index_bytes, found.bytes);
    Ok(())
}

/// Deletes a table of ours, or a peer's that is kept here; one that is being made is stopped first.
///
/// # Errors
/// [`Fault::NotFound`] for none.
pub async fn drop(app: &App, id: &str) -> Result<(), WorkError> {
    let it = app.store.table(id).await.map_err(store)?;
    let it = it.ok_or(Fault::NotFound { what: "table" })?;
    while app.matchings.cancel(id) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    delete(app, &it).await
}

/// Goes on with what was being made when the node stopped.
pub async fn resume(app: &Arc<App>) -> Result<(), WorkError> {
    for it in app.store.open_tables().await.map_err(store)? {
        tokio::spawn(run(app.clone(), it.id));
    }
    Ok(())
}
