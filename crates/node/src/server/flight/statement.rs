//! One execution: the ticket's nonce asks the gate, the worker runs, the output gate looks.
//!
//! Never counts twice: the lease is asked for with the nonce of the ticket, so that the same ticket again is
//! the same use, whatever happened to the first call. Nothing leaves before the use is on record.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tonic::metadata::MetadataMap;

use tidm_crypto::hash::{Digest, sha256};
use tidm_space::catalog::delivery::Use;
use tidm_space::engine::commit::Reply;
use tidm_space::engine::input::{Heard, Input, Received};
use tidm_space::fault::Fault;
use tidm_space::lease::message::{Grant, Nonce, Request};
use tidm_space::limits::LEASE_MAX;
use tidm_space::time::Time;

use super::session::Session;
use super::ticket::{Kind, PURPOSE_BYTES, Ticket};
use crate::app::App;
use crate::jobs::query::{self, User};
use crate::keys::{ContractKey, KeyError};
use crate::net::auth;
use crate::random::os;
use crate::store::writer::WorkError;

/// Header with the purpose of a use, UTF-8 percent-encoded: headers hold ASCII.
const PURPOSE: &str = "tidm-purpose";
/// A ticket is for the execution that follows at once; a client that waits this long asks again.
const TICKET_LIFE: Duration = Duration::from_secs(600);

/// What one use made.
pub(super) struct Done {
    pub(super) grant: Grant,
    pub(super) rows: u64,
    /// An Arrow IPC stream.
    pub(super) ipc: Vec<u8>,
    pub(super) digest: Digest,
}

impl Done {
    /// What the consumer's tool may keep as evidence: the lease is in the provider's log, with this digest.
    pub(super) fn receipt(&self) -> String {
        json!({
            "lease": self.grant.lease.as_str(),
            "contract": self.grant.contract.as_str(),
            "usesLeft": self.grant.uses_left,
            "rows": self.rows,
            "bytes": self.ipc.len(),
            "sha256": self.digest.to_string(),
        })
        .to_string()
    }
}

/// The purpose that a call states.
pub(super) fn purpose(metadata: &MetadataMap) -> Result<Option<String>, Fault> {
    let Some(value) = metadata.get(PURPOSE) else { return Ok(None) };
    let bad = |why: &str| Fault::refused("flight.purpose", format!("{PURPOSE}: {why}"));
    let text = value.to_str().map_err(|_| bad("not ASCII; percent-encode its UTF-8"))?;
    let text = percent_encoding::percent_decode_str(text).decode_utf8();
    let text = text.map_err(|_| bad("not UTF-8 when percent-decoded"))?;
    if text.is_empty() || text.len() > PURPOSE_BYTES {
        return Err(bad("empty or too long"));
    }
    Ok(Some(text.into_owned()))
}

/// The ticket of one execution.
pub(super) fn ticket(
    app: &App,
    session: &Session,
    sql: String,
    purpose: Option<String>,
) -> Result<Vec<u8>, Fault> {
    // What cannot be read costs nothing and gets no ticket.
    query::digest(&sql)?;
    let mut nonce = Nonce::default();
    rand_core::Rng::fill_bytes(&mut os(), &mut nonce);
    let until = app.clock.now().after(TICKET_LIFE).min(session.until);
    seal(app, session, &Ticket { nonce, until, purpose, sql }, Kind::Execution)
}

/// A statement to be executed as long as the token lives.
pub(super) fn prepare(
    app: &App,
    session: &Session,
    sql: String,
    purpose: Option<String>,
) -> Result<Vec<u8>, Fault> {
    query::digest(&sql)?;
    let it = Ticket { nonce: Nonce::default(), until: session.until, purpose, sql };
    seal(app, session, &it, Kind::Prepared)
}

/// The statement behind a handle of [`prepare`].
pub(super) fn prepared(app: &App, session: &Session, handle: &[u8]) -> Result<Ticket, Fault> {
    let now = app.clock.now();
    Ticket::open(handle, &key(app, session)?, &session.transfer, Kind::Prepared, now)
}

fn seal(app: &App, session: &Session, it: &Ticket, kind: Kind) -> Result<Vec<u8>, Fault> {
    it.seal(&key(app, session)?, &session.transfer, kind)
}

/// The contract's key: with it, its tickets are destroyed.
fn key(app: &App, session: &Session) -> Result<ContractKey, Fault> {
    app.keys.contract_key(&session.contract.id).map_err(|error| {
        if matches!(error, KeyError::Destroyed) {
            let why = "the key of this contract was destroyed";
            return Fault::denied("key.destroyed", "contract", why);
        }
        tracing::error!(%error, "a contract key cannot be read");
        Fault::Unavailable {
            reason: "the key store does not answer".to_owned(),
            retry_after: Duration::from_secs(1),
        }
    })
}

/// Runs what a ticket stands for.
pub(super) async fn execute(
    app: &Arc<App>,
    (session, address): (&Session, Option<IpAddr>),
    ticket: &[u8],
) -> Result<Done, WorkError> {
    let now: Time = app.clock.now();
    let key = key(app, session)?;
    let ticket = Ticket::open(ticket, &key, &session.transfer, Kind::Execution, now)?;
    let digest = query::digest(&ticket.sql)?;
    // House D15: no lease while the evidence log may not go on.
    if let Err(reason) = app.log.readiness() {
        return Err(Fault::Unavailable { reason, retry_after: Duration::from_secs(2) }.into());
    }
    let request = Request {
        contract: session.contract.id.clone(),
        kind: Use::Query,
        nonce: ticket.nonce,
        // Nothing is wrapped for a query; the fact's digest of this field names the token that was used.
        key: *session.token.as_bytes(),
        purpose: ticket.purpose,
        query: Some(digest),
        items: None,
        epsilon: None,
        span: app.config.limits.query_deadline.min(LEASE_MAX),
    };
    let heard = Received {
        from: session.contract.peer.clone(),
        key: None,
        id: None,
        digest: sha256(&ticket.nonce),
        seen: auth::seen(app, &session.contract.peer, address),
        what: Heard::Ask(Box::new(request)),
    };
    let Reply::Lease(grant) = app.writer.run(Input::Heard(Box::new(heard))).await? else {
        return Err(Fault::ApiMisuse("a lease request without a grant").into());
    };
    let from = &session.contract.peer;
    let done = query::under(app, from, &grant.lease, ticket.sql, User::Program).await?;
    let (rows, ipc) = (done.rows, done.ipc);
    let hashed = tokio::task::spawn_blocking(move || (sha256(&ipc), ipc)).await;
    let (digest, ipc) = hashed.map_err(|_| Fault::ApiMisuse("hashing a result panicked"))?;
    Ok(Done { grant, rows, ipc, digest })
}
