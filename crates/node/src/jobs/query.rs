//! Provider: a statement run beside the data, under a lease that was granted for exactly this statement.
//!
//! Threat model: the asker holds a lease and may send anything. The statement must have the digest that
//! the lease names, the lease must be the asker's, granted and unexpired, and it runs once: the claim is a
//! row, so that neither a second request nor a second replica runs it again. Only what passes the output
//! gate leaves; the lease is closed whatever happened.

use std::sync::Arc;

use serde::Deserialize;

use tidm_crypto::hash::{Digest, sha256};
use tidm_sandbox::host::{Job, KeyDenied, Outcome as Result_, Table};
use tidm_sandbox::plan::canonical_hash;
use tidm_space::catalog::delivery::Use;
use tidm_space::contract::Contract;
use tidm_space::engine::input::{Input, Wish};
use tidm_space::fault::Fault;
use tidm_space::id::Id;
use tidm_space::identity::did::Did;
use tidm_space::lease::message::Outcome;
use tidm_space::lease::state::{Lease, State};
use tidm_space::negotiation::message::Role;

use super::{excerpt, spool, workers};
use crate::app::App;
use crate::store::notes;
use crate::store::writer::WorkError;

/// The body of a query.
#[derive(Deserialize)]
struct Asked {
    sql: String,
}

/// The statement in a body.
///
/// # Errors
/// [`Fault::PeerMisbehaved`] `message.malformed`.
pub fn parse(body: &[u8]) -> Result<String, Fault> {
    let asked: Asked = serde_json::from_slice(body).map_err(|_| {
        Fault::misbehaved("message.malformed", "a query is {\"sql\": \"SELECT …\"}")
    })?;
    Ok(asked.sql)
}

/// The digest a lease for this statement names.
pub fn digest(sql: &str) -> Result<Digest, Fault> {
    canonical_hash(sql).map(Digest).map_err(|why| workers::refused(&why))
}

/// Who used a lease: that decides who is told what came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum User {
    /// The consumer's node: it got the lease, and closes it on its side.
    Node,
    /// A program of the consumer, without its node: that node is told.
    Program,
}

/// Runs the statement of a lease; an Arrow IPC stream. It runs to its end even if the asker goes away.
pub async fn serve(
    app: &Arc<App>,
    from: &Did,
    lease: &Id,
    body: &[u8],
) -> Result<Vec<u8>, WorkError> {
    let sql = parse(body)?;
    Ok(under(app, from, lease, sql, User::Node).await?.ipc)
}

/// Runs `sql` under a lease of `from` for it, once; it runs to its end even if the asker goes away.
pub async fn under(
    app: &Arc<App>,
    from: &Did,
    lease: &Id,
    sql: String,
    user: User,
) -> Result<Result_, WorkError> {
    let digest = digest(&sql)?;
    let lease = admitted(app, from, lease, digest).await?;
    let contract = app.store.contract(&lease.request.contract).await.map_err(failed)?;
    let contract = contract.ok_or(Fault::NotFound { what: "contract" })?;
    contract.check_active()?;
    keepable(&contract)?;
    claim(app, &lease).await?;
    // An earlier run may have ended between the first look and the claim: its lease is closed by now.
    let lease = admitted(app, from, &lease.id, digest).await?;
    let app = app.clone();
    let running = tokio::spawn(async move {
        let done = run(&app, &lease, &contract, sql).await;
        finish(&app, &lease, done, user).await
    });
    running.await.map_err(|_| Fault::ApiMisuse("a query's task panicked"))?
}

/// Whether this caller may run this statement under this lease now.
async fn admitted(app: &App, from: &Did, id: &Id, digest: Digest) -> Result<Lease, WorkError> {
    let lease = app.store.lease(id).await.map_err(failed)?;
    let lease = lease
        .filter(|it| it.role == Role::Provider && it.peer == *from)
        .ok_or(Fault::NotFound { what: "lease" })?;
    let denied = |code, why: String| Err(Fault::denied(code, "lease", why).into());
    match &lease.state {
        State::Granted if app.clock.now() < lease.until => {}
        State::Granted | State::Expired { .. } => {
            return denied("lease.expired", format!("the lease ended at {}", lease.until));
        }
        State::Returned { at, .. } => {
            return denied("lease.returned", format!("the lease was used up at {at}"));
        }
        State::Revoked { at } => {
            return denied("lease.revoked", format!("the lease was revoked at {at}"));
        }
    }
    if lease.request.kind != Use::Query {
        return denied("lease.kind", "the lease is for sealed data, not for a query".to_owned());
    }
    if lease.request.query != Some(digest) {
        return denied("lease.query", "the lease was granted for another statement".to_owned());
    }
    Ok(lease)
}

/// Terms that a query cannot keep (a watermark, for one) are not kept by answering it.
fn keepable(contract: &Contract) -> Result<(), Fault> {
    let terms = contract.terms()?;
    match terms.unkeepable(Use::Query).first() {
        Some(why) => Err(Fault::denied("lease.kind", "contract", (*why).to_owned())),
        None => Ok(()),
    }
}

/// At most one run for each lease, on whatever replica.
async fn claim(app: &App, lease: &Lease) -> Result<(), WorkError> {
    if notes::claim_run(&app.writer, &lease.id, lease.until).await? {
        Ok(())
    } else {
        Err(Fault::denied(
            "lease.running",
            "lease",
            "the statement of this lease runs already or did run",
        )
        .into())
    }
}

async fn run(
    app: &App,
    lease: &Lease,
    contract: &Contract,
    sql: String,
) -> Result<Result_, WorkError> {
    let mut terms = workers::terms_of(
        contract,
        &lease.request,
        lease.uses_left,
        lease.peer.as_str(),
        app.clock.now(),
    )?;
    // No more leaves than was charged for it.
    let least =
        |slot: &mut Option<u64>, most: Option<u64>| *slot = slot.iter().copied().chain(most).min();
    least(&mut terms.output_rows, lease.reserved.rows);
    least(&mut terms.output_bytes, lease.reserved.bytes);
    // Rows that the terms do not permit are not in there: no statement can show what was never read.
    let here = |why: anyhow::Error| WorkError::Store(why.to_string());
    let object = excerpt::object(app, contract, Use::Query).await.map_err(here)?;
    let local = spool::local(app, &object).await.map_err(here)?;
    let file =
        std::fs::File::open(local.path()).map_err(|why| WorkError::Store(why.to_string()))?;
    let table = Table {
        name: workers::TABLE.to_owned(),
        files: vec![file],
        rules: workers::rules(&terms, lease.request.epsilon)?,
        aad_prefix: None,
    };
    let job = Job { sql, tables: vec![table] };
    // Not bounded by the lease's end, which its holder may move: whoever looks at it stops the worker.
    let bounds = workers::bounds(app, &terms);
    let keys = |_| async { Err(KeyDenied("nothing is sealed here".to_owned())) };
    tokio::select! {
        done = app.workers.run(job, bounds, keys) => Ok(done?),
        ended = workers::over(app, &lease.id) => Err(ended.into()),
    }
}

/// Closes the lease with what came of it, then answers.
async fn finish(
    app: &App,
    lease: &Lease,
    done: Result<Result_, WorkError>,
    user: User,
) -> Result<Result_, WorkError> {
    let outcome = match &done {
        Ok(it) => Outcome {
            done: true,
            rows: it.rows,
            bytes: it.ipc.len() as u64,
            result: Some(sha256(&it.ipc)),
        },
        Err(_) => Outcome { done: false, rows: 0, bytes: 0, result: None },
    };
    let word = if outcome.done { "done" } else { "refused" };
    metrics::counter!("tidm_queries_served_total", "outcome" => word).increment(1);
    // Nothing leaves whose use is not on record, and the claim stands until it is.
    let lease = lease.id.clone();
    let said = outcome.clone();
    let wish = match user {
        User::Node => Wish::Close { lease: lease.clone(), outcome },
        User::Program => Wish::Used { lease: lease.clone(), outcome },
    };
    app.writer.run(Input::Wish(Box::new(wish))).await?;
    if done.is_ok() {
        recorded(app, &lease, &said).await?;
    }
    notes::forget_run(&app.writer, &lease).await?;
    done
}

/// What is on record is this outcome: whoever returned the lease in front of us got its charge back, and gets nothing else.
async fn recorded(app: &App, lease: &Id, said: &Outcome) -> Result<(), WorkError> {
    let found = app.store.lease(lease).await.map_err(failed)?;
    let stands =
        |it: &Lease| matches!(&it.state, State::Returned { outcome, .. } if outcome == said);
    if found.as_ref().is_some_and(stands) {
        return Ok(());
    }
    Err(Fault::denied("lease.ended", "lease", "the lease ended before its result was there").into())
}

fn failed(why: crate::store::StoreError) -> WorkError {
    WorkError::Store(why.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_that_are_no_query_are_refused() {
        for (body, ok) in [
            (br#"{"sql":"SELECT 1"}"#.as_slice(), true),
            (br#"{"sql":1}"#, false),
            (br#"{"sq":"SELECT 1"}"#, false),
            (b"", false),
            (b"\xff\xfe", false),
            (b"[", false),
        ] {
            assert_eq!(parse(body).is_ok(), ok, "{body:?}");
        }
        assert!(digest("SELECT 'open").is_err());
    }
}
