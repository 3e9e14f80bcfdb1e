//! Matching of lists under a contract (private set intersection): who may, with what, and what came of it.
//!
//! ```text
//!   consumer's node                                   provider's node
//!   start: a row, our list, its size
//!   invite ── session, size, lease request ─────────► gate: lease, items debited; row
//!          ◄─ lease, request to join, size ──────────
//!   gate: lease for the provider
//!   join ───────────────────────────────────────────► process starts
//!   process ◄──► socket ◄──► stream (one port, TLS) ◄──► socket ◄──► process
//!   result looked at, kept or withheld; lease returned           lease returned
//! ```
//!
//! Threat model: the peer's node is who it says (the same proofs as for every message), but what its computing process sends
//! is hostile: the process that reads it holds no key of this node, and everything it may cost has a bound. Which items the peer put in
//! is not known, only how many: that is what the gate counts. A lease that ends stops both processes within a moment.
//! Withholding a result that is too small is this node's own word (E1 for the peer). Rows never leave a node; what does leave
//! is listed by kind and bytes in the report of each side.

pub mod ask;
mod asked;
pub mod many;
mod order;
pub mod process;
pub mod registry;
pub mod serve;
pub mod settle;
pub mod streams;
pub mod table;
mod tally;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tidm_compute::job::order::{Kind, Results};
use tidm_compute::keys;
use tidm_crypto::hash::Digest;
use tidm_space::contract::Contract;
use tidm_space::fault::Fault;
use tidm_space::lease::message::Request;
use tidm_space::limits::LEASE_MAX;
use tidm_space::negotiation::message::Role;
use tidm_space::policy::matching::{Equals, Form, Key, Matching as Terms};
use tidm_space::policy::usage::Use;

use self::process::Task;
use self::registry::Live;
use crate::app::App;
use crate::jobs::rest;
use crate::store::matchings::{self as rows, Matching};
use crate::store::writer::WorkError;

/// Processes of one matching at a time, on each side.
pub const WORKERS: u32 = 16;
/// How often a matching is begun again after a connection was lost or the node was stopped. Each time gives a peer that
/// does not keep to the protocol another try.
const ATTEMPTS: u32 = 5;
/// How long a process waits for the peer's, which may still be reading its list.
const PATIENCE: Duration = Duration::from_secs(600);

/// What the contract says about matching.
///
/// # Errors
/// [`Fault::Refused`] `psi.terms` where it does not let lists be matched.
pub fn terms(contract: &Contract) -> Result<(Terms, Key), Fault> {
    let terms = contract.terms()?;
    let why = terms.unkeepable(Use::Psi);
    if let Some(why) = why.first() {
        return Err(Fault::refused(
            "psi.terms",
            format!("this contract is not for matching lists: {why}"),
        ));
    }
    let matching = *terms.summary.limits.matching;
    match matching.key.clone() {
        Some(key) => Ok((matching, key)),
        None => Err(Fault::refused("psi.terms", "this contract says no key to match by")),
    }
}

/// The contract's key as the computing process knows it; roles are the provider's columns.
fn rule(key: &Key) -> keys::Rule {
    let part = |it: &tidm_space::policy::matching::Part| {
        let (form, ignore_case) = match it.form {
            Form::Exact => (keys::Form::Exact, false),
            Form::Text => (keys::Form::Text, false),
            Form::TextAnyCase => (keys::Form::Text, true),
            Form::Digits => (keys::Form::Digits, false),
            Form::Phone => (keys::Form::Phone, false),
            Form::Date => (keys::Form::Date, false),
            Form::Integer => (keys::Form::Integer, false),
            Form::Decimal => (keys::Form::Decimal, false),
            Form::CreditCode => (keys::Form::CreditCode, false),
        };
        keys::Part { role: it.column.clone(), form, ignore_case }
    };
    let equals = match key.equals {
        Equals::Refuse => keys::Equals::Refuse,
        Equals::First => keys::Equals::First,
        Equals::Multiply => keys::Equals::Multiply,
    };
    keys::Rule { parts: key.parts.iter().map(part).collect(), equals }
}

/// Where a matching keeps what it needs to go on after a crash.
fn folder(app: &App, id: &str) -> PathBuf {
    app.config.node.data.join("matchings").join(id)
}

/// Makes [`folder`], for this node's user alone.
fn keep(app: &App, id: &str) -> Result<(), WorkError> {
    use std::os::unix::fs::DirBuilderExt as _;
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true).mode(0o700).create(folder(app, id)).map_err(here)
}

/// Whether this replica is the one that runs it.
fn is_here(app: &App, id: &str) -> bool {
    folder(app, id).is_dir()
}

/// What a party of a matching asks the other's gate for.
fn request(it: &Matching, query: Option<Digest>) -> Result<Request, Fault> {
    let (Some(nonce), Some(key)) = (unhex(&it.record.nonce), unhex(&it.record.key)) else {
        return Err(Fault::ApiMisuse("a matching without its nonce"));
    };
    Ok(Request {
        contract: it.contract.clone(),
        kind: Use::Psi,
        nonce,
        key,
        purpose: it.record.purpose.clone(),
        query,
        items: Some(it.record.items),
        epsilon: None,
        span: it.record.span_ms.map_or(LEASE_MAX, Duration::from_millis),
    })
}

/// Fresh bytes of the machine: a session's name, a nonce, a one-time key.
fn drawn<const N: usize>() -> [u8; N] {
    use rand_core::Rng as _;
    let mut bytes = [0; N];
    crate::random::os().fill_bytes(&mut bytes);
    bytes
}

/// Exactly `N` bytes.
fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |it: u8| char::from(it).to_digit(16).and_then(|it| u8::try_from(it).ok());
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let bytes = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?));
    let bytes: Option<Vec<u8>> = bytes.collect();
    bytes.filter(|_| rest.is_empty())?.try_into().ok()
}

/// What our process is told to do; over a table, with what it reads of it.
async fn task(
    app: &App,
    it: &Matching,
    contract: &Contract,
    list: rest::List,
    live: &Live,
) -> Result<Task, WorkError> {
    if let Some(digest) = table::table_of(&it.record)? {
        return table::query_or_answer(app, it, contract, (digest, list, live)).await;
    }
    if it.record.is_many() {
        let socket = vec![live.socket.clone()];
        let order = many::order(app, it, contract, &list, socket)?;
        return Ok(Task::many(&order, vec![list.into_file()])?);
    }
    let order = order::order(app, it, contract, &list, live.socket.clone())?;
    Ok(Task::job(&order, vec![list.into_file()])?)
}

/// What is written of our rows that matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    /// The rows, with these columns; empty: all.
    Rows(Vec<String>),
    /// A bit for each row of the list.
    Bitmap,
}

impl Written {
    fn columns(&self) -> &[String] {
        match self {
            Self::Rows(columns) => columns,
            Self::Bitmap => &[],
        }
    }
}

/// What our process writes of them.
fn results(app: &App, it: &Matching) -> Result<Results, Fault> {
    let key = Some(rest::result_key(app, &it.id)?);
    let to = Some(folder(app, &it.id).join(ROWS));
    if it.record.bitmap {
        return Ok(Results { bitmap: to, key, ..Results::default() });
    }
    let columns = Some(it.record.shown.clone()).filter(|all| !all.is_empty());
    Ok(Results { rows: to, columns, key, ..Results::default() })
}

/// The matched rows, in a matching's folder.
const ROWS: &str = "rows";
/// What the provider gave with them.
const LABELS: &str = "labels";

/// By a file's ending, as people name files.
fn kind(name: &str) -> Kind {
    match name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase()).as_deref() {
        Some("parquet") => Kind::Parquet,
        Some("arrow" | "feather" | "ipc") => Kind::ArrowFile,
        Some("arrows") => Kind::ArrowStream,
        Some("tsv") => Kind::CsvTab,
        Some(_) | None => Kind::Csv,
    }
}

/// Saves a row of ours.
async fn save(app: &App, it: &Matching) -> Result<(), WorkError> {
    let it = it.clone();
    app.writer
        .note(move |conn| {
            let it = it.clone();
            Box::pin(async move { rows::save(conn, &it).await })
        })
        .await
}

fn store(why: crate::store::StoreError) -> WorkError {
    WorkError::Store(why.to_string())
}

fn here(why: impl std::fmt::Display) -> WorkError {
    WorkError::Store(why.to_string())
}

/// Returns when this node stops.
async fn stopping(app: &App) {
    let mut stopping = app.stopping.subscribe();
    // The sender lives as long as the node.
    drop(stopping.wait_for(|it| *it).await);
}

/// Stops one that is open; `false` where another replica of this node runs it.
pub async fn stop(app: &Arc<App>, it: &Matching) -> Result<bool, WorkError> {
    if app.matchings.cancel(&it.id) {
        return Ok(true);
    }
    if it.record.join.is_some() && !is_here(app, &it.id) {
        return Ok(false);
    }
    // It waits for its peer.
    let Some(_turn) = app.matchings.begin(&it.id).map_err(here)? else {
        return Ok(app.matchings.cancel(&it.id));
    };
    if let Some(it) = app.store.matching(&it.id).await.map_err(store)?
        && it.state == rows::State::Open
    {
        let why = Fault::refused("psi.cancelled", "somebody here stopped it");
        settle::settle(app, it, settle::Ended::Refused(why)).await;
    }
    Ok(true)
}

/// Goes on with what was open on this replica when the node stopped: as the consumer. A provider's process starts when the
/// peer's comes.
pub async fn resume(app: &Arc<App>) -> Result<(), WorkError> {
    table::prepare::resume(app).await?;
    if let Err(why) = settle::finish(app).await {
        tracing::warn!(%why, "what matchings left that are over is not looked for");
    }
    for it in app.store.open_matchings(10_000).await.map_err(store)? {
        match (it.role, it.lease) {
            (Role::Consumer, _) if is_here(app, &it.id) => {
                tokio::spawn(ask::run(app.clone(), it.id));
            }
            (Role::Provider, Some(lease)) => {
                tokio::spawn(serve::forsaken(app.clone(), it.id, lease));
            }
            (Role::Consumer | Role::Provider, _) => {}
        }
    }
    Ok(())
}
