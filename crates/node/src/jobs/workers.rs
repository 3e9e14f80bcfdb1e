//! Worker processes for uses: a bounded number at a time, each killed when its lease is over.
//!
//! Threat model: the statement is hostile, so is the worker after reading it. What it may cost is bounded
//! here, what it may say in [`tidm_sandbox`]; a lease that ends while it runs kills it. Never a key in the
//! clear passes here: data keys go into a worker wrapped to the worker's own key.

use std::future::Future;
use std::time::Duration;

use tokio::sync::Semaphore;

use tidm_sandbox::gate::Rules;
use tidm_sandbox::host::{Failure, Job, KeyDenied, Limits as Bounds, Outcome, Worker};
use tidm_sandbox::job::{Hello, TableKey};
use tidm_sandbox::noise::{Clamp, Noise};
use tidm_sandbox::refusal::{Code, Refusal};
use tidm_space::contract::Contract;
use tidm_space::fault::Fault;
use tidm_space::id::Id;
use tidm_space::lease::message::Request;
use tidm_space::lease::seen::ATTESTED;
use tidm_space::lease::state::State;
use tidm_space::policy::eval::{Facts, Request as Asked};
use tidm_space::policy::privacy::{Epsilon, Unit};
use tidm_space::policy::terms::Limits as Terms;
use tidm_space::policy::tiers::kept;
use tidm_space::policy::usage::Level;
use tidm_space::time::Time;

use crate::app::App;
use crate::config;

/// The one table of a use, as statements name it.
pub const TABLE: &str = "data";
/// How long a use waits for a place among the workers before it is told to come back.
const QUEUE: Duration = Duration::from_secs(10);
/// How often a running use looks whether its lease still stands: a revocation bites within this.
const LOOK: Duration = Duration::from_millis(250);
/// A worker is never started for less time than this.
const LEAST: Duration = Duration::from_millis(50);

/// How workers are started, and how many at a time.
pub struct Workers {
    worker: Worker,
    places: Semaphore,
}

impl Workers {
    pub fn new(worker: Worker, limits: &config::Limits) -> Self {
        Self { worker, places: Semaphore::new(limits.workers.max(1)) }
    }

    /// Runs one job once there is a place.
    pub async fn run<K, F>(&self, job: Job, bounds: Bounds, keys: K) -> Result<Outcome, Fault>
    where
        K: FnOnce(Hello) -> F,
        F: Future<Output = Result<Vec<TableKey>, KeyDenied>>,
    {
        let place = tokio::time::timeout(QUEUE, self.places.acquire()).await;
        let Ok(Ok(_place)) = place else {
            let reason = "all places for workers are taken".to_owned();
            return Err(Fault::Unavailable { reason, retry_after: QUEUE });
        };
        let started = std::time::Instant::now();
        let done = self.worker.run(job, bounds, keys).await;
        metrics::histogram!("tidm_use_seconds").record(started.elapsed().as_secs_f64());
        done.map_err(fault)
    }
}

/// What the terms of a contract let one use do at this moment. What is counted was checked by the gate: `uses_left` is what it
/// said; where nothing is known of that, as before the lease, what comes out is in no use more than the gate grants.
pub fn terms_of(
    contract: &Contract,
    request: &Request,
    uses_left: Option<u64>,
    recipient: &str,
    now: Time,
) -> Result<Terms, Fault> {
    permitted(contract, request, uses_left, &[Asked::new(now, request.kind, recipient)])
}

/// The same where the use brings evidence of where it takes place: what that comes to is for the gate to find.
pub fn terms_attested(
    contract: &Contract,
    request: &Request,
    recipient: &str,
    now: Time,
) -> Result<Terms, Fault> {
    let asked = Asked::new(now, request.kind, recipient);
    let proven = |level| {
        let more = Facts { topics: ATTESTED, ..Facts::default() };
        Asked { level, more, ..asked.clone() }
    };
    permitted(contract, request, None, &[proven(Level::E4), proven(Level::E3), asked.clone()])
}

fn permitted(
    contract: &Contract,
    request: &Request,
    uses_left: Option<u64>,
    asked: &[Asked<'_>],
) -> Result<Terms, Fault> {
    let terms = contract.terms()?;
    let before = terms
        .summary
        .uses
        .zip(uses_left)
        .map(|(limit, left)| limit.saturating_sub(left).saturating_sub(1));
    let of_contract = asked.iter().map(|it| Asked {
        purpose: request.purpose.as_deref(),
        // The gate at the provider keeps this time; where it is not known, this is the first use.
        first_use_at: contract.first_use.or(Some(it.now)),
        agreed_at: Some(contract.signed_at),
        ..it.clone()
    });
    let asked: Vec<Asked<'_>> = of_contract.collect();
    kept(&terms, &asked, before)
}

/// The contract's terms as the output gate reads them. `epsilon`: what the gate charged for a noisy answer.
///
/// # Errors
/// [`Fault::ApiMisuse`] where the terms ask for noise that nobody paid for.
pub fn rules(terms: &Terms, epsilon: Option<Epsilon>) -> Result<Rules, Fault> {
    let noise = match (&terms.privacy.unit, epsilon) {
        (None, _) if !terms.privacy.asked() => None,
        (Some(unit), Some(epsilon)) => Some(noise(unit, epsilon)),
        (None, _) | (Some(_), None) => {
            return Err(Fault::ApiMisuse("a noisy answer without unit or price was granted"));
        }
    };
    Ok(Rules {
        columns: terms.columns.as_ref().map(|all| all.iter().cloned().collect()),
        aggregates_only: terms.aggregates_only,
        min_group: terms.min_group.unwrap_or(0),
        entity: None,
        max_rows: terms.output_rows,
        max_bytes: terms.output_bytes,
        raw_rows_allowed: !terms.aggregates_only && noise.is_none(),
        noise,
    })
}

fn noise(unit: &Unit, epsilon: Epsilon) -> Noise {
    let clamp = |it: &tidm_space::policy::privacy::Clamp| Clamp {
        column: it.column.clone(),
        exponent: it.step.exponent(),
        low: it.low,
        high: it.high,
    };
    Noise {
        unit: unit.column.clone(),
        rows: unit.rows,
        sums: unit.sums.iter().map(clamp).collect(),
        epsilon: epsilon.micro(),
    }
}

/// What one use may cost: the node's limits and the contract's. The lease's end is [`over`]'s.
pub fn bounds(app: &App, terms: &Terms) -> Bounds {
    let usual = Bounds::default();
    Bounds {
        deadline: app.config.limits.query_deadline.max(LEAST),
        memory_bytes: app.config.limits.worker_memory_bytes,
        max_rows: terms.output_rows.map_or(usual.max_rows, |it| it.min(usual.max_rows)),
        max_bytes: terms.output_bytes.map_or(usual.max_bytes, |it| it.min(usual.max_bytes)),
        ..usual
    }
}

/// Ends when the lease does: returned, expired or revoked.
pub async fn over(app: &App, lease: &Id) -> Fault {
    loop {
        tokio::time::sleep(LOOK).await;
        match app.store.lease(lease).await {
            Ok(Some(it)) if it.state == State::Granted && app.clock.now() < it.until => {}
            Ok(found) => {
                let word = found.map_or("gone", |it| match it.state {
                    State::Granted | State::Expired { .. } => "expired",
                    State::Returned { .. } => "returned",
                    State::Revoked { .. } => "revoked",
                });
                return Fault::denied(
                    "lease.ended",
                    "lease",
                    format!("the lease of this use is {word}; the use was stopped"),
                );
            }
            Err(error) => tracing::warn!(%error, "a lease cannot be looked at"),
        }
    }
}

/// Why a use has no result, without a word of the engine's.
fn fault(failure: Failure) -> Fault {
    match failure {
        Failure::Refused(refusal) => refused(&refusal),
        Failure::Job(why) => Fault::refused("query.job", why),
        Failure::Key(KeyDenied(why)) => Fault::denied("lease.key", "lease", why),
        Failure::Deadline(after) => Fault::refused(
            "query.deadline",
            format!("the statement did not end within {} s; make it smaller", after.as_secs()),
        ),
        Failure::Output(_) => Fault::denied(
            "query.too-many-bytes",
            "output",
            "the result is larger than the contract or this node allows",
        ),
        Failure::Jail { layer, reason } => {
            tracing::error!(?layer, %reason, "the worker's jail cannot be set up on this machine");
            Fault::Unavailable {
                reason: "this node cannot run statements safely; its administrator has to look"
                    .to_owned(),
                retry_after: QUEUE,
            }
        }
        Failure::Ended(how) => {
            tracing::warn!(%how, "a worker ended without an answer");
            Fault::refused(
                "query.failed",
                "the statement could not be completed: it may need more memory than a use has",
            )
        }
        Failure::Protocol | Failure::Io(_) => {
            tracing::error!(error = %failure, "a worker could not be run");
            Fault::Unavailable {
                reason: "the worker could not be run".to_owned(),
                retry_after: QUEUE,
            }
        }
    }
}

/// A refusal of the plan is the asker's to mend; one of the output gate is the contract's rule.
pub fn refused(it: &Refusal) -> Fault {
    let says = it.to_string();
    match it.code {
        Code::RawRows => Fault::denied("query.raw-rows", "tidm:aggregatesOnly", says),
        Code::Aggregate => Fault::denied("query.aggregate", "tidm:aggregatesOnly", says),
        Code::Noise => Fault::denied("query.noise", "tidm:privacyUnit", says),
        Code::SmallGroup => Fault::denied("query.small-group", "tidm:minGroup", says),
        Code::Entity => Fault::denied("query.entity", "tidm:minGroup", says),
        Code::TooManyRows => Fault::denied("query.too-many-rows", "tidm:outputRows", says),
        Code::TooManyBytes => Fault::denied("query.too-many-bytes", "tidm:outputBytes", says),
        Code::UnknownColumn => Fault::denied("query.column", "tidm:columns", says),
        Code::Malformed | Code::UnknownTable => Fault::refused("query.malformed", says),
        Code::TooComplex => Fault::refused("query.too-complex", says),
        Code::Statement | Code::Function | Code::Construct => {
            Fault::refused("query.not-allowed", says)
        }
        Code::Seal => Fault::refused(
            "use.seal",
            "the sealed data does not open: it was changed, or it was sealed for another contract; fetch it again",
        ),
        Code::Table => Fault::refused("use.table", says),
        Code::Memory => Fault::refused("query.memory", says),
        Code::Failed => Fault::refused("query.failed", says),
    }
}
