//! Matching over a table that the provider made before: made and signed once per product version and rule, fetched once per
//! contract, asked about in any number of sessions.
//!
//! ```text
//!   provider                                              consumer
//!   prepare: process ──► index, table; signed; a fact
//!            ◄───────────────────────────── GET table/{contract}: the signed word on it
//!            ◄── invitation: table by its digest; leases as for every matching ──►
//!            ◄── GET {lease}/table: once per contract, kept by its digest ────────
//!   process (key of the version, index) ◄── stream ──► process (list, kept table) ──► rows
//! ```
//!
//! Threat model: as for [`super`]. The key of a version is derived from a secret of the node and goes to its own computing process
//! alone. What the consumer fetches is believed as far as the signed digest covers it. A provider may sign a table of other
//! contents, or answer at random: nothing proves that it does not. What a consumer keeps says nothing without the provider's
//! answers, which the gate counts; it is deleted with the contract all the same.

pub mod compared;
pub mod fetch;
pub mod prepare;
mod run;

pub(super) use run::{query_or_answer, table_of};

use std::path::PathBuf;

use tidm_compute::table::Seeded;
use tidm_crypto::cbor::{Value, tuple};
use tidm_crypto::domain;
use tidm_crypto::hash::{Digest, sha256};
use tidm_crypto::secret::Secret;
use tidm_space::contract::Contract;
use tidm_space::fault::Fault;
use tidm_space::id::Id;
use tidm_space::negotiation::message::Role;
use tidm_space::policy::matching::Key;
use zeroize::Zeroizing;

use super::{here, store, terms};
use crate::app::App;
use crate::objects::Key as ObjectKey;
use crate::store::matchings::State;
use crate::store::tables::{self as rows, Table};
use crate::store::writer::WorkError;

/// Product version and rule: names the table here, and is what items on both sides are hashed under.
pub(super) fn spec(product: &Id, key: &Key) -> Digest {
    let parts = vec![Value::Text(product.to_string()), Value::Text(key.to_string())];
    sha256(&tuple(domain::TABLE_ITEMS, parts))
}

/// What the key of a version is made from: of the node's secret, the version and the rule.
fn seed(app: &App, product: &Id, key: &Key) -> Result<Seeded, WorkError> {
    let root = app.keys.table_root().map_err(here)?;
    let parts = vec![
        Value::Bytes(root.expose().to_vec()),
        Value::Text(product.to_string()),
        Value::Text(key.to_string()),
    ];
    let secret = Secret::new(*sha256(&Zeroizing::new(tuple(domain::TABLE_KEY, parts))).as_bytes());
    Ok(Seeded::new(secret.expose()))
}

/// The name of a peer's table here: by contract and digest.
fn kept(contract: &Id, table: Digest) -> String {
    sha256(format!("{contract} {table}").as_bytes()).to_string()
}

/// A file of a table in the object store.
fn object(id: &str, name: &str) -> Result<ObjectKey, WorkError> {
    ObjectKey::parse(&format!("tables/{id}/{name}")).map_err(here)
}

/// Index and table, as a consumer gets them.
///
/// # Errors
/// Never for an id of ours.
pub fn objects(id: &str) -> Result<[ObjectKey; 2], WorkError> {
    let [index, table] = [tidm_compute::table::INDEX, tidm_compute::table::TABLE];
    Ok([object(id, index)?, object(id, table)?])
}

/// Where a table is made.
fn folder(app: &App, id: &str) -> PathBuf {
    app.config.node.data.join("tables").join(id)
}

/// The table that we made for a contract of ours.
///
/// # Errors
/// [`Fault::Refused`] `psi.no-table`.
pub async fn made(app: &App, contract: &Contract) -> Result<Table, WorkError> {
    let (_, key) = terms(contract)?;
    let id = spec(&contract.product, &key).to_string();
    let found = app.store.table(&id).await.map_err(store)?;
    let found = found.filter(|it| it.state == State::Done && it.role == Role::Provider);
    found.ok_or_else(|| {
        let why = "no table was prepared of this version of the product by this key";
        Fault::refused("psi.no-table", why).into()
    })
}

/// Provider: whether we have the table that an invitation names, and it takes as many items.
///
/// # Errors
/// [`Fault::Refused`] `psi.no-table`, `psi.table-version`, `psi.table-items`.
pub(in crate::jobs::matching) async fn offered(
    app: &App,
    contract: &Contract,
    table: Digest,
    items: u64,
) -> Result<(), WorkError> {
    let it = made(app, contract).await?;
    if it.record.table != Some(table.to_string()) {
        let why =
            "the table that is meant is not the one of this version: ask for its statement anew";
        return Err(Fault::refused("psi.table-version", why).into());
    }
    if items > it.record.items {
        let why = format!("{items} items are more than {} in one session", it.record.items);
        return Err(Fault::refused("psi.table-items", why).into());
    }
    Ok(())
}

/// Consumer: the contract is over, and what was kept under it goes.
pub async fn forget(app: &App, contract: &Id) -> Result<(), WorkError> {
    for it in app.store.tables_of(contract).await.map_err(store)? {
        delete(app, &it).await?;
    }
    Ok(())
}

/// The bytes first: a row without them is found again.
async fn delete(app: &App, it: &Table) -> Result<(), WorkError> {
    app.compared.forget(&it.id);
    for key in objects(&it.id)? {
        app.objects.erase(&key).await.map_err(here)?;
    }
    let id = it.id.clone();
    app.writer
        .note(move |conn| {
            let id = id.clone();
            Box::pin(async move { rows::drop(conn, &id).await })
        })
        .await
}

/// Saves a row of ours.
async fn save(app: &App, it: &Table) -> Result<(), WorkError> {
    let it = it.clone();
    app.writer
        .note(move |conn| {
            let it = it.clone();
            Box::pin(async move { rows::save(conn, &it).await })
        })
        .await
}

/// Both files into the object store.
async fn put(app: &App, id: &str, from: &std::path::Path) -> Result<(), WorkError> {
    for name in [tidm_compute::table::INDEX, tidm_compute::table::TABLE] {
        let file = tokio::fs::File::open(from.join(name)).await.map_err(here)?;
        app.objects.put(&object(id, name)?, file, u64::MAX).await.map_err(here)?;
    }
    Ok(())
}

/// Reads a whole table and compares it with its index.
async fn checked(
    index: PathBuf,
    table: PathBuf,
) -> Result<Result<tidm_compute::table::Facts, String>, WorkError> {
    let found = tokio::task::spawn_blocking(move || tidm_compute::table::check(&index, &table));
    let found = found.await.map_err(|_| Fault::ApiMisuse("checking a table panicked"))?;
    Ok(found.map_err(|why| why.to_string()))
}
