//! Consumer: the provider's signed word on its table, and the table, fetched once per contract and kept.
//!
//! Threat model: the provider's server may say anything. No more is taken than was signed for, nothing is kept that is not what
//! the signed digest names, and what is kept is compared whole when it may be another one than it was ([`super::compared`]): a disk may
//! lose bytes.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Method;
use tokio::io::AsyncWriteExt as _;

use tidm_compute::table::{INDEX, TABLE};
use tidm_crypto::hash::Digest;
use tidm_crypto::jws;
use tidm_space::contract::Contract;
use tidm_space::fault::Fault;
use tidm_space::id::Id;
use tidm_space::limits::MATCH_TABLE_STATEMENT_BYTES;
use tidm_space::negotiation::message::Role;
use tidm_space::psi::Protocol;
use tidm_space::psi::table::Statement;
use tidm_space::wire::tidm::{psi, psi_table};

use super::super::ask::{self, Wanted};
use super::super::registry::Live;
use super::super::{asked, folder, here, store, terms};
use super::{checked, delete, kept, object, put, save};
use crate::app::App;
use crate::jobs::spool;
use crate::jobs::use_data::ask::{no_answer, refusal};
use crate::net::auth;
use crate::store::matchings::{Matching, State};
use crate::store::tables::{Record, Table};
use crate::store::writer::WorkError;

/// Tries of a download that broke off, and the pause before the second.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_millis(500);
/// Longest wait for the next bytes.
const SILENCE: Duration = Duration::from_secs(30);

/// Begins a matching over the provider's table.
///
/// # Errors
/// As [`ask::start`]; `psi.no-table` and `psi.table-*` where there is none, or none to be believed.
pub async fn start(app: &Arc<App>, wanted: Wanted) -> Result<Matching, WorkError> {
    let contract = app.store.contract(&wanted.contract).await.map_err(store)?;
    let contract = contract.filter(|it| it.role == Role::Consumer);
    let contract = contract.ok_or(Fault::NotFound { what: "contract" })?;
    contract.check_active()?;
    // What no table answers is not asked for.
    let any = Protocol::Table(Digest([0; 32]));
    asked::check(&contract, &wanted.asked, (any, wanted.workers.unwrap_or(1), 0))?;
    let (jws, statement) = said(app, &contract).await?;
    let id = kept(&contract.id, statement.table);
    if app.store.table(&id).await.map_err(store)?.is_none() {
        save(app, &row(app, &contract, id, jws, &statement)).await?;
    }
    ask::start(app, Wanted { protocol: Protocol::Table(statement.table), ..wanted }).await
}

fn row(app: &App, contract: &Contract, id: String, jws: String, it: &Statement) -> Table {
    let now = app.clock.now();
    Table {
        id,
        role: Role::Consumer,
        product: contract.product.clone(),
        contract: Some(contract.id.clone()),
        state: State::Open,
        created: now,
        moved: now,
        record: Record {
            version: it.version,
            key: it.key.to_string(),
            entries: it.entries,
            items: it.items,
            index_bytes: it.index_bytes,
            bytes: it.bytes,
            table: Some(it.table.to_string()),
            signed: Some(jws),
            ..Record::default()
        },
    }
}

/// What the provider signed of its table for this contract: asked for, verified with its key, and about this product and rule.
async fn said(app: &App, contract: &Contract) -> Result<(String, Statement), WorkError> {
    let encoded = utf8_percent_encode(contract.id.as_str(), NON_ALPHANUMERIC);
    let url = format!("{}/tidm/1/psi/table/{encoded}", contract.address);
    let authorization = auth::speak(app, &contract.peer);
    let answer = app.client.call(Method::GET, &url, authorization.as_deref(), None).await;
    let answer = answer.map_err(|why| no_answer(&contract.peer, &why.to_string()))?;
    if !answer.status.is_success() {
        return Err(refusal(&contract.peer, answer.status.as_u16(), &answer.body).into());
    }
    let jws = psi_table::read(&answer.body)?;
    let statement = verified(app, contract, &jws).await?;
    let (bytes, most) = (statement.whole(), app.config.limits.upload_bytes);
    if bytes > most {
        let why = format!(
            "the table has {bytes} bytes, and limits.upload_mib lets this node take {most}"
        );
        return Err(Fault::refused("psi.table-large", why).into());
    }
    Ok((jws, statement))
}

/// The statement, if the contract's provider signed it and it is the contract's.
///
/// # Errors
/// [`Fault::PeerMisbehaved`] `psi.table-signed`.
pub async fn verified(app: &App, contract: &Contract, jws: &str) -> Result<Statement, Fault> {
    let wrong = |why: &str| Fault::misbehaved("psi.table-signed", why);
    let parsed = jws::Unverified::parse_within(jws, MATCH_TABLE_STATEMENT_BYTES)
        .map_err(|why| wrong(&why.to_string()))?;
    if parsed.header.typ.as_deref() != Some(psi_table::TYP) {
        return Err(wrong("what came is no statement about a table"));
    }
    let key = app.directory.key(&contract.peer, parsed.header.kid.as_deref()).await;
    // Its document has no such key: somebody else signed.
    let key = key
        .map_err(|why| if let Fault::Denied { reason, .. } = &why { wrong(reason) } else { why })?;
    let payload = parsed.verify(&key).map_err(|why| wrong(&why.to_string()))?;
    let statement = psi_table::read_statement(payload)?;
    let (_, key) = terms(contract)?;
    statement.is_for(&contract.product, &key)?;
    Ok(statement)
}

/// The whole table is here after this, fetched under the matching's lease unless it was kept: its index and its bytes.
pub(super) async fn ensure(
    app: &App,
    it: &Matching,
    contract: &Contract,
    (table, live): (Digest, &Live),
) -> Result<[spool::Local; 2], WorkError> {
    let id = kept(&contract.id, table);
    let found = app.store.table(&id).await.map_err(store)?;
    let mut found = found.ok_or_else(|| {
        Fault::refused(
            "psi.no-table",
            "what was kept of the table was deleted: begin a new matching",
        )
    })?;
    let jws = found.record.signed.clone().unwrap_or_default();
    let statement = verified(app, contract, &jws).await?;
    if statement.table != table {
        return Err(Fault::misbehaved("psi.table-signed", "another table was signed").into());
    }
    if found.state == State::Done {
        let here = local(app, &id).await;
        if let Ok([index, file]) = &here {
            let files = [index.path(), file.path()];
            if app.compared.whole(&id, files, compare(&id, files, table)).await? {
                return here;
            }
        }
    }
    let Some(lease) = &it.lease else {
        return Err(Fault::ApiMisuse("a matching without its lease").into());
    };
    let dir = folder(app, &it.id);
    download(app, contract, lease, (&statement, &dir, live)).await?;
    put(app, &id, &dir).await?;
    found.state = State::Done;
    found.moved = app.clock.now();
    found.record.fetched += 1;
    save(app, &found).await?;
    // A contract that ended meanwhile has had its tables deleted already.
    let stands = app.store.contract(&contract.id).await.map_err(store)?;
    if stands.is_none_or(|it| it.check_active().is_err()) {
        delete(app, &found).await?;
        contract.check_active()?;
    }
    local(app, &id).await
}

/// Whether the files are the table of this digest.
async fn compare(id: &str, [index, file]: [&Path; 2], table: Digest) -> Result<bool, WorkError> {
    match checked(index.to_owned(), file.to_owned()).await? {
        Ok(facts) if Digest(facts.digest) == table => return Ok(true),
        Ok(_) => tracing::warn!(id, "what is kept of a table is another one's"),
        Err(why) => tracing::warn!(id, why, "what is kept of a table is damaged"),
    }
    Ok(false)
}

/// A session over a kept table failed: before the next one the table is compared again.
pub(in crate::jobs::matching) fn doubt(app: &App, it: &Matching) {
    if let Ok(Some(table)) = super::table_of(&it.record) {
        app.compared.forget(&kept(&it.contract, table));
    }
}

async fn local(app: &App, id: &str) -> Result<[spool::Local; 2], WorkError> {
    let index = spool::local(app, object(id, INDEX)?.as_str()).await.map_err(here)?;
    let table = spool::local(app, object(id, TABLE)?.as_str()).await.map_err(here)?;
    Ok([index, table])
}

/// Both files in `dir`, and what the statement says they are.
async fn download(
    app: &App,
    contract: &Contract,
    lease: &Id,
    (statement, dir, live): (&Statement, &Path, &Live),
) -> Result<(), WorkError> {
    let mut pause = PAUSE;
    for left in (0..TRIES).rev() {
        match fetched(app, contract, lease, (statement, dir, live)).await {
            Ok(()) => break,
            Err(WorkError::Fault(Fault::Unavailable { reason, .. })) if left > 0 => {
                tracing::info!(reason, "the download of a table is begun again");
                tokio::time::sleep(pause).await;
                pause = pause.saturating_mul(2);
            }
            Err(why) => return Err(why),
        }
    }
    let damaged = |why: String| {
        let why = format!("what {} sent is not the table that it signed: {why}", contract.peer);
        Fault::misbehaved("psi.table-damaged", why)
    };
    let found = checked(dir.join(INDEX), dir.join(TABLE)).await?.map_err(damaged)?;
    let same = Digest(found.digest) == statement.table
        && (found.version, found.entries, found.items, found.bytes)
            == (statement.version, statement.entries, statement.items, statement.bytes);
    if same { Ok(()) } else { Err(damaged("its index is another one".to_owned()).into()) }
}

async fn fetched(
    app: &App,
    contract: &Contract,
    lease: &Id,
    (statement, dir, live): (&Statement, &Path, &Live),
) -> Result<(), WorkError> {
    let broken = |why: &dyn std::fmt::Display| no_answer(&contract.peer, &why.to_string());
    let url = format!("{}{}", contract.address, psi::path(lease, "table"));
    let mut request = app.client.request(Method::GET, &url).await.map_err(|why| broken(&why))?;
    if let Some(value) = auth::speak(app, &contract.peer) {
        request = request.header("authorization", value);
    }
    let mut answer = request.send().await.map_err(|why| broken(&why))?;
    if !answer.status().is_success() {
        let (status, mut body) = (answer.status().as_u16(), Vec::new());
        // A refusal is short; of a longer one the rest is not read.
        while body.len() < MATCH_TABLE_STATEMENT_BYTES {
            let piece = answer.chunk().await.map_err(|why| broken(&why))?;
            let Some(piece) = piece else { break };
            body.extend_from_slice(&piece);
        }
        return Err(refusal(&contract.peer, status, &body).into());
    }
    let mut index = tokio::fs::File::create(dir.join(INDEX)).await.map_err(here)?;
    let mut table = tokio::fs::File::create(dir.join(TABLE)).await.map_err(here)?;
    let mut left = [statement.index_bytes, statement.bytes];
    loop {
        let piece = tokio::time::timeout(SILENCE, answer.chunk()).await;
        let piece =
            piece.map_err(|_| broken(&"no more bytes came"))?.map_err(|why| broken(&why))?;
        let Some(mut piece) = piece else { break };
        live.fetched(piece.len());
        for (file, left) in [&mut index, &mut table].into_iter().zip(&mut left) {
            let most = usize::try_from(*left).unwrap_or(usize::MAX).min(piece.len());
            let these = piece.split_to(most);
            *left -= these.len() as u64;
            file.write_all(&these).await.map_err(here)?;
        }
        if !piece.is_empty() {
            let why = format!("{} sends more than it signed for", contract.peer);
            return Err(Fault::misbehaved("psi.table-damaged", why).into());
        }
    }
    for mut file in [index, table] {
        file.flush().await.map_err(here)?;
        file.sync_all().await.map_err(here)?;
    }
    if left == [0, 0] { Ok(()) } else { Err(broken(&"the table broke off").into()) }
}
