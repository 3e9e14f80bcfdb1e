//! Consumer: uses of data under a contract, each under a lease of its own.
//!
//! ```text
//!   sealed table   own worker starts → its one-time key → lease + wrapped key → SQL → close
//!   query          statement's digest → lease → statement to the provider → Arrow IPC → close
//!   sealed file    the opening program's one-time key → lease + wrapped key → handed to that program
//! ```
//!
//! Threat model: the gate at the provider decides; nothing here is authoritative. The data key goes wrapped
//! to the process that uses the data (worker or opening program) and never through this one in the clear.
//! Answers of the provider are bounded and parsed as hostile. Not protected against: an administrator of
//! this machine who patches the worker (level E1 says so).

pub(super) mod ask;
mod file;
mod program;

use std::fs::File;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::sync::watch;

use tidm_crypto::domain;
use tidm_crypto::hash::sha256;
use tidm_crypto::kem::KemSecret;
use tidm_sandbox::host::{Job, KeyDenied, Table};
use tidm_sandbox::job::{Hello, TableKey};
use tidm_sandbox::noise::shape;
use tidm_sandbox::result;
use tidm_space::catalog::delivery::Use;
use tidm_space::contract::Contract;
use tidm_space::engine::input::{Input, Wish};
use tidm_space::fault::Fault;
use tidm_space::id::Id;
use tidm_space::lease::message::{Grant, Outcome, Request};
use tidm_space::limits::LEASE_MAX;
use tidm_space::negotiation::message::Role;
use tidm_space::policy::privacy::Epsilon;

pub use file::{
    OpenFile, OpenRequest, Sealed, close_file, open_file, renew_file, sealed_copy, standing,
};
pub use program::{ProgramFile, program, program_copy};

use super::{attested, provide, query, release, renewing, spool, workers};
use crate::app::App;
use crate::net::auth;
use crate::random::os;
use crate::store::notes::Copy;
use crate::store::writer::WorkError;

/// What a use left behind: the result, and the lease it ran under.
#[derive(Clone, Debug)]
pub struct UseResult {
    pub lease: Id,
    /// Uses that remain; `None`: the contract does not count.
    pub uses_left: Option<u64>,
    /// What remains of a privacy budget, in millionths; `None`: answers have no price.
    pub epsilon_left: Option<u64>,
    pub rows: u64,
    /// An Arrow IPC stream.
    pub ipc: Vec<u8>,
}

impl UseResult {
    fn of(grant: Grant, (rows, ipc): (u64, Vec<u8>)) -> Self {
        let Grant { lease, uses_left, epsilon_left, .. } = grant;
        Self { lease, uses_left, epsilon_left, rows, ipc }
    }
}

/// Largest result taken from a provider; its own workers let out no more ([`workers::bounds`]).
const RESULT_BYTES: usize = 257 << 20;
/// What may stand in a path segment as it is.
const SEGMENT: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b':');
/// On top of the statement's own time: connection, queue for a worker, transport.
const TRAVEL: Duration = Duration::from_secs(30);

/// One statement over the sealed table of a contract, in a worker of ours.
///
/// # Errors
/// [`Fault::Denied`] with the term that said no (`rule`), by the provider's gate or the output gate;
/// [`Fault::Refused`] `use.not-delivered` before the data was fetched, `query.*` for the statement;
/// [`Fault::Unavailable`] while the provider does not answer.
pub async fn query_sealed(
    app: &Arc<App>,
    contract: &Id,
    sql: &str,
    purpose: Option<&str>,
) -> Result<UseResult, WorkError> {
    let contract = ours(app, contract).await?;
    // A statement that cannot be read must not cost a use.
    query::digest(sql)?;
    let copy = copy_of(app, &contract, "table").await?;
    let (app, sql, purpose) = (app.clone(), sql.to_owned(), purpose.map(str::to_owned));
    let using =
        tokio::spawn(async move { Sealing::new(app, contract, purpose).run(sql, copy).await });
    using.await.map_err(|_| Fault::ApiMisuse("a use's task panicked"))?
}

/// One use of a sealed table under way.
struct Sealing {
    app: Arc<App>,
    contract: Contract,
    purpose: Option<String>,
    /// The lease, once the gate granted it.
    held: watch::Sender<Option<Grant>>,
    /// What the gate said instead.
    denied: Mutex<Option<WorkError>>,
}

impl Sealing {
    fn new(app: Arc<App>, contract: Contract, purpose: Option<String>) -> Self {
        Self { app, contract, purpose, held: watch::Sender::new(None), denied: Mutex::default() }
    }

    async fn run(self, sql: String, copy: Copy) -> Result<UseResult, WorkError> {
        let done = self.work(sql, copy).await;
        let Some(grant) = self.held.borrow().clone() else {
            let said = self.denied.lock().unwrap_or_else(PoisonError::into_inner).take();
            return Err(match (said, done) {
                (Some(said), _) => said,
                (None, Err(why)) => why,
                (None, Ok(_)) => Fault::ApiMisuse("a sealed table was used without a lease").into(),
            });
        };
        let result = match &done {
            Ok((rows, ipc)) => Outcome {
                done: true,
                rows: *rows,
                bytes: ipc.len() as u64,
                result: Some(sha256(ipc)),
            },
            Err(_) => Outcome { done: false, rows: 0, bytes: 0, result: None },
        };
        count("sealed-table", result.done);
        close(&self.app, &grant.lease, result).await?;
        let (rows, ipc) = done?;
        Ok(UseResult::of(grant, (rows, ipc)))
    }

    async fn work(&self, sql: String, copy: Copy) -> Result<(u64, Vec<u8>), WorkError> {
        let app = &self.app;
        let me = app.identity.did.as_str();
        let asked = self.request([0; 32]);
        let now = app.clock.now();
        let terms = if attested::needed(app, &self.contract, &asked)? {
            workers::terms_attested(&self.contract, &asked, me, now)?
        } else {
            workers::terms_of(&self.contract, &asked, None, me, now)?
        };
        let local = spool::local(app, &copy.object)
            .await
            .map_err(|why| WorkError::Store(why.to_string()))?;
        let file = File::open(local.path()).map_err(|why| WorkError::Store(why.to_string()))?;
        let aad = provide::aad(&self.contract.id, &self.contract.product, me);
        let table = Table {
            name: workers::TABLE.to_owned(),
            files: vec![file],
            rules: workers::rules(&terms, None)?,
            aad_prefix: Some(aad.as_bytes().to_vec()),
        };
        let job = Job { sql, tables: vec![table] };
        let bounds = workers::bounds(app, &terms);
        tokio::select! {
            done = app.workers.run(job, bounds, |hello| self.keys(hello)) => {
                let done = done?;
                Ok((done.rows, done.ipc))
            }
            ended = self.over() => Err(ended.into()),
            refused = self.refused() => Err(refused.into()),
        }
    }

    fn request(&self, key: [u8; 32]) -> Request {
        Request {
            contract: self.contract.id.clone(),
            kind: Use::SealedTable,
            nonce: ask::nonce(),
            key,
            purpose: self.purpose.clone(),
            query: None,
            items: None,
            epsilon: None,
            span: self.app.config.limits.query_deadline.min(LEASE_MAX),
        }
    }

    /// The worker's jail is on and this is its key: now, and not earlier, a lease is worth asking for.
    async fn keys(&self, hello: Hello) -> Result<Vec<TableKey>, KeyDenied> {
        match self.lease(&hello).await {
            Ok(key) => Ok(vec![key]),
            Err(why) => {
                let said = why.to_string();
                *self.denied.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
                Err(KeyDenied(said))
            }
        }
    }

    async fn lease(&self, hello: &Hello) -> Result<TableKey, WorkError> {
        let key = hello
            .public_key
            .as_slice()
            .try_into()
            .map_err(|_| Fault::ApiMisuse("a worker's key of another length"))?;
        let ask::Keyed { grant, wrapped, share } =
            ask::keyed(&self.app, &self.contract, self.request(key)).await?;
        let aad = release::associated_data(&grant.lease, &grant.contract);
        self.held.send_replace(Some(grant));
        Ok(TableKey {
            table: workers::TABLE.to_owned(),
            wrapped,
            info: domain::LEASE_KEY.as_bytes().to_vec(),
            aad,
            share,
        })
    }

    /// The lease, once one is held.
    async fn lease_held(&self) -> Option<Id> {
        let mut held = self.held.subscribe();
        match held.wait_for(Option::is_some).await {
            Ok(grant) => grant.as_ref().map(|it| it.lease.clone()),
            Err(_) => None,
        }
    }

    /// Keeps the lease that is held, and ends when the gate refuses that.
    async fn refused(&self) -> Fault {
        match self.lease_held().await {
            Some(lease) => renewing::refused(&self.app, &self.contract, &lease).await,
            None => std::future::pending().await,
        }
    }

    /// Ends when the lease that is held does; never before one is held.
    async fn over(&self) -> Fault {
        match self.lease_held().await {
            Some(lease) => workers::over(&self.app, &lease).await,
            None => std::future::pending().await,
        }
    }
}

/// One statement at the provider; only what passes its output gate comes back.
///
/// # Errors
/// As [`query_sealed`], without `use.not-delivered`.
pub async fn query_at_provider(
    app: &Arc<App>,
    contract: &Id,
    sql: &str,
    purpose: Option<&str>,
) -> Result<UseResult, WorkError> {
    noisy_at_provider(app, contract, sql, (purpose, None)).await
}

/// The same for what the answer may cost, where answers are noisy.
///
/// # Errors
/// As [`query_at_provider`]; [`Fault::Denied`] `query.noise` before anything is paid, where the words of the statement alone
/// say that it has no noisy answer.
pub async fn noisy_at_provider(
    app: &Arc<App>,
    contract: &Id,
    sql: &str,
    (purpose, epsilon): (Option<&str>, Option<Epsilon>),
) -> Result<UseResult, WorkError> {
    let contract = ours(app, contract).await?;
    let digest = query::digest(sql)?;
    if epsilon.is_some() {
        shape::preflight(sql).map_err(|why| workers::refused(&why))?;
    }
    let request = Request {
        contract: contract.id.clone(),
        kind: Use::Query,
        nonce: ask::nonce(),
        // Nothing is wrapped for a query; the field is there for every kind of use.
        key: KemSecret::generate(&mut os()).public().to_bytes(),
        purpose: purpose.map(str::to_owned),
        query: Some(digest),
        items: None,
        epsilon,
        span: app.config.limits.query_deadline.min(LEASE_MAX),
    };
    let (app, sql) = (app.clone(), sql.to_owned());
    let using = tokio::spawn(async move {
        let grant = ask::lease(&app, &contract, request).await?;
        // Not stopped when our lease ends meanwhile: the last use's own end may arrive before its answer.
        let done = tokio::select! {
            done = remote(&app, &contract, &grant.lease, &sql) => done,
            refused = renewing::refused(&app, &contract, &grant.lease) => Err(refused.into()),
        };
        let outcome = match &done {
            Ok((rows, ipc)) => Outcome {
                done: true,
                rows: *rows,
                bytes: ipc.len() as u64,
                result: Some(sha256(ipc)),
            },
            Err(_) => Outcome { done: false, rows: 0, bytes: 0, result: None },
        };
        count("query", outcome.done);
        close(&app, &grant.lease, outcome).await?;
        let (rows, ipc) = done?;
        Ok(UseResult::of(grant, (rows, ipc)))
    });
    using.await.map_err(|_| Fault::ApiMisuse("a use's task panicked"))?
}

async fn remote(
    app: &App,
    contract: &Contract,
    lease: &Id,
    sql: &str,
) -> Result<(u64, Vec<u8>), WorkError> {
    let url = format!(
        "{}/tidm/1/leases/{}/query",
        contract.address,
        utf8_percent_encode(lease.as_str(), SEGMENT)
    );
    let authorization = auth::speak(app, &contract.peer);
    let no_answer = |why: String| ask::no_answer(&contract.peer, &why);
    let mut request = app
        .client
        .request(reqwest::Method::POST, &url)
        .await
        .map_err(|why| no_answer(why.to_string()))?;
    if let Some(authorization) = authorization {
        request = request.header("authorization", authorization);
    }
    let response = request
        .timeout(app.config.limits.query_deadline.saturating_add(TRAVEL))
        .header("content-type", "application/json")
        .body(serde_json::json!({ "sql": sql }).to_string())
        .send()
        .await
        .map_err(|why| no_answer(why.without_url().to_string()))?;
    let status = response.status().as_u16();
    let mut body = Vec::new();
    let mut pieces = response.bytes_stream();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|why| no_answer(why.without_url().to_string()))?;
        if body.len().saturating_add(piece.len()) > RESULT_BYTES {
            return Err(Fault::misbehaved(
                "query.result",
                format!("{} sent a result larger than this node takes", contract.peer),
            )
            .into());
        }
        body.extend_from_slice(&piece);
    }
    if !(200..300).contains(&status) {
        return Err(ask::refusal(&contract.peer, status, &body).into());
    }
    let counted =
        tokio::task::spawn_blocking(move || result::read(&body).map(|it| (it.count, body)));
    let broken = || {
        Fault::misbehaved(
            "query.result",
            format!("{} sent a result that is no Arrow stream", contract.peer),
        )
    };
    Ok(counted.await.ok().flatten().ok_or_else(broken)?)
}

/// An active contract in which we are the consumer.
async fn ours(app: &App, contract: &Id) -> Result<Contract, WorkError> {
    let found = app.store.contract(contract).await.map_err(failed)?;
    let it =
        found.filter(|it| it.role == Role::Consumer).ok_or(Fault::NotFound { what: "contract" })?;
    it.check_active()?;
    Ok(it)
}

/// Our copy, sealed as `sealed` says (`table`, `file`).
async fn copy_of(app: &App, contract: &Contract, sealed: &str) -> Result<Copy, WorkError> {
    let copies = app.store.copies(&contract.id).await.map_err(failed)?;
    if let Some(copy) = copies.iter().find(|it| it.sealed == sealed) {
        return Ok(copy.clone());
    }
    let why = match copies.first() {
        None => "nothing was delivered under this contract yet: request its delivery, then use it"
            .to_owned(),
        Some(other) => format!(
            "what was delivered under this contract is sealed as {:?}, not as {sealed:?}",
            other.sealed
        ),
    };
    Err(Fault::refused("use.not-delivered", why).into())
}

/// Records what came of a lease; the engine tells the provider.
async fn close(app: &App, lease: &Id, outcome: Outcome) -> Result<(), WorkError> {
    app.writer
        .run(Input::Wish(Box::new(Wish::Close { lease: lease.clone(), outcome })))
        .await
        .map(drop)
}

fn count(kind: &'static str, done: bool) {
    let outcome = if done { "done" } else { "failed" };
    metrics::counter!("tidm_uses_total", "kind" => kind, "outcome" => outcome).increment(1);
}

fn failed(why: crate::store::StoreError) -> WorkError {
    WorkError::Store(why.to_string())
}
