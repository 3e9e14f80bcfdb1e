//! The loop that does what is owed: deliver messages, fire timers, run jobs.
//!
//! Never forgets: rows that this process claimed and did not finish are taken again when their claim ends,
//! by this or another replica. One peer that hangs holds back only its own messages.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use tidm_space::engine::commit::{About, Due, Send as Sending, Timer};
use tidm_space::engine::input::{Input, Outcome, Wish};
use tidm_space::id::Id;
use tidm_space::identity::did::Did;
use tidm_space::wire;

use super::{auth, certificates, journal, planes};
use crate::app::App;
use crate::jobs;
use crate::store::messages::Line;
use crate::store::writer::After;

/// Messages under way to one peer at a time.
const PER_PEER: usize = 64;
/// How often the store is looked at even if nobody says that something is due.
const LOOK: Duration = Duration::from_secs(5);
/// Old rows are swept this often.
const SWEEP: Duration = Duration::from_secs(600);

/// Runs until `after` closes. What is under way then is durable and goes on at the next start.
pub async fn run(app: Arc<App>, mut after: mpsc::UnboundedReceiver<After>) {
    let lanes = Arc::new(Lanes::default());
    let mut tasks = JoinSet::new();
    let mut sweep = tokio::time::interval(SWEEP);
    let mut wake = tokio::time::Instant::now();
    loop {
        tokio::select! {
            told = after.recv() => {
                let Some(told) = told else { break };
                if told.facts { app.log_bell.notify_one(); }
                for send in told.sends { tasks.spawn(deliver(app.clone(), lanes.clone(), send)); }
                for timer in told.timers { tasks.spawn(fire(app.clone(), timer)); }
                // A timer in the future may have been set: look when it is due.
                wake = wake.min(tokio::time::Instant::now() + Duration::from_millis(200));
            }
            () = tokio::time::sleep_until(wake) => {
                wake = tokio::time::Instant::now() + look(&app, &lanes, &mut tasks).await;
            }
            Some(_) = tasks.join_next(), if !tasks.is_empty() => {}
            _ = sweep.tick() => {
                if let Err(error) = app.store.sweep(app.clock.now()).await {
                    tracing::warn!(%error, "sweeping old rows failed");
                }
            }
        }
    }
    tasks.shutdown().await;
}

/// Takes what is due; says how long to wait until the next look.
async fn look(app: &Arc<App>, lanes: &Arc<Lanes>, tasks: &mut JoinSet<()>) -> Duration {
    let now = app.clock.now();
    let due = async {
        let sends = app.store.due_sends(now).await?;
        let timers = app.store.due_timers(now).await?;
        let next = app.store.next_due().await?;
        Ok::<_, crate::store::StoreError>((sends, timers, next))
    };
    match due.await {
        Ok((sends, timers, next)) => {
            for send in sends {
                tasks.spawn(deliver(app.clone(), lanes.clone(), send));
            }
            for timer in timers {
                tasks.spawn(fire(app.clone(), timer));
            }
            next.map_or(LOOK, |next| next.since(now).clamp(Duration::from_millis(5), LOOK))
        }
        Err(error) => {
            tracing::warn!(%error, "the queue cannot be read");
            LOOK
        }
    }
}

/// One semaphore per peer, and what is under way: a message that waits behind a hung peer until its claim
/// ends is found again by the next look, and must not be sent twice at once.
#[derive(Default)]
struct Lanes {
    lanes: Mutex<HashMap<String, Arc<Semaphore>>>,
    under_way: Mutex<HashSet<Id>>,
}

/// A message under way; over when dropped.
struct UnderWay<'a> {
    lanes: &'a Lanes,
    id: Id,
}

impl Lanes {
    fn of(&self, peer: &str) -> Arc<Semaphore> {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        lanes.entry(peer.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(PER_PEER))).clone()
    }

    /// `None`: this message is under way already.
    fn begin(&self, id: &Id) -> Option<UnderWay<'_>> {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        under_way.insert(id.clone()).then(|| UnderWay { lanes: self, id: id.clone() })
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.lanes.under_way.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}

/// Whom a message may hold up: its peer; of planes, the one that hears it.
fn lane(send: &Sending) -> &str {
    match &send.about {
        About::Flow(_) => {
            let authority = send.url.match_indices('/').nth(2).map(|(at, _)| at);
            authority.and_then(|at| send.url.get(..at)).unwrap_or(&send.url)
        }
        About::Negotiation(_) | About::Transfer(_) | About::Notice { .. } => send.to.as_str(),
    }
}

async fn deliver(app: Arc<App>, lanes: Arc<Lanes>, send: Sending) {
    let Some(_under_way) = lanes.begin(&send.id) else { return };
    let lane = lanes.of(lane(&send));
    let Ok(_place) = lane.acquire().await else { return };
    let begun = std::time::Instant::now();
    let (status, outcome) = post(&app, &send).await;
    journal::note(&app, send.about.clone(), line(&app, &send, status, &outcome, begun));
    match &outcome {
        Outcome::Accepted { .. } | Outcome::Answered(_) => {
            metrics::counter!("tidm_messages_delivered_total").increment(1);
        }
        Outcome::Refused { code, reason, .. } => {
            metrics::counter!("tidm_messages_refused_total").increment(1);
            tracing::info!(to = %send.to, url = %send.url, ?code, ?reason, "a peer refused a message");
        }
        Outcome::Unreachable { reason } => {
            metrics::counter!("tidm_messages_unreachable_total").increment(1);
            tracing::info!(to = %send.to, url = %send.url, attempts = send.attempts, %reason, "a peer cannot be reached");
        }
    }
    if let Err(error) = app.writer.run(Input::Delivered { send: Box::new(send), outcome }).await {
        tracing::warn!(%error, "the outcome of a delivery was not recorded; it will be delivered again");
    }
}

/// Posts one message and says what came of it: the answer's status, and what that means.
async fn post(app: &App, send: &Sending) -> (Option<u16>, Outcome) {
    let authorization = match &send.about {
        About::Flow(flow) => match planes::present(app, flow).await {
            Ok(secret) => secret.map(|it| format!("Bearer {it}")),
            Err(outcome) => return (None, outcome),
        },
        About::Negotiation(_) | About::Transfer(_) | About::Notice { .. } => {
            auth::speak(app, &send.to)
        }
    };
    let answer = match app
        .client
        .call(reqwest::Method::POST, &send.url, authorization.as_deref(), Some(send.body.clone()))
        .await
    {
        Ok(answer) => answer,
        Err(super::client::CallError::Address { url, why }) => {
            let reason = vec![format!("{url}: {why}")];
            let code = Some("peer.address".to_owned());
            return (None, Outcome::Refused { not_found: false, code, reason });
        }
        Err(error) => return (None, Outcome::Unreachable { reason: error.to_string() }),
    };
    let status = answer.status.as_u16();
    let outcome = match status {
        200..=299 => match &send.about {
            About::Flow(_) => planes::outcome(&answer.body),
            About::Negotiation(_) | About::Transfer(_) | About::Notice { .. } => {
                Outcome::Accepted { pid: peers_pid(send, &answer.body) }
            }
        },
        404 => Outcome::Refused {
            not_found: true,
            code: None,
            reason: unknown_there(&send.to, &answer.body),
        },
        408 | 425 | 429 | 500..=599 => Outcome::Unreachable { reason: format!("HTTP {status}") },
        _ => {
            let (code, mut reason) = wire::dsp::error::read(&answer.body);
            if reason.is_empty() {
                reason.push(format!("HTTP {status}"));
            }
            Outcome::Refused { not_found: false, code, reason }
        }
    };
    (Some(status), outcome)
}

/// What a 404 means: something that the peer does not know, or that it does not know us by our certificate.
fn unknown_there(peer: &Did, body: &[u8]) -> Vec<String> {
    let mut reason = vec!["404 from the peer".to_owned()];
    reason.extend(certificates::refused_by(peer, body).map(|it| it.to_string()));
    reason
}

/// What the journal says of it.
fn line(
    app: &App,
    send: &Sending,
    status: Option<u16>,
    outcome: &Outcome,
    begun: std::time::Instant,
) -> Line {
    let reason = match outcome {
        Outcome::Accepted { .. } | Outcome::Answered(_) => String::new(),
        Outcome::Refused { code, reason, .. } => {
            let code = code.as_ref().map(|it| format!("[{it}] ")).unwrap_or_default();
            format!("{code}{}", reason.join("; "))
        }
        Outcome::Unreachable { reason } => reason.clone(),
    };
    Line {
        at: app.clock.now(),
        out: true,
        path: journal::last_part(&send.url),
        status,
        took_ms: journal::since(begun),
        attempt: send.attempts.saturating_add(1),
        reason,
    }
}

/// The peer's own pid from its answer to an opening message.
fn peers_pid(send: &Sending, body: &[u8]) -> Option<Id> {
    match &send.about {
        About::Negotiation(mine) => wire::dsp::negotiation::read_ack(body, mine),
        About::Transfer(mine) => wire::dsp::transfer::read_ack(body, mine),
        About::Notice { .. } | About::Flow(_) => None,
    }
}

async fn fire(app: Arc<App>, timer: Timer) {
    let outcome = match &timer.what {
        Due::Job(job) => match jobs::run(&app, job).await {
            Ok(()) => return,
            Err(error) => {
                tracing::warn!(%error, job = %timer.key, attempts = timer.attempts, "a job failed and will be tried again");
                let attempts = timer.attempts.saturating_add(1);
                app.writer.run(Input::Wish(Box::new(Wish::Postpone { timer, attempts }))).await
            }
        },
        Due::NegotiationIdle(_)
        | Due::TransferIdle(_)
        | Due::NegotiationRule(_)
        | Due::TransferRule(_)
        | Due::LeaseEnd { .. }
        | Due::ContractEnd { .. }
        | Due::DeletionDue { .. } => app.writer.run(Input::Due(timer)).await,
    };
    if let Err(error) = outcome {
        tracing::warn!(%error, "a timer could not be handled; it will fire again");
    }
}

#[cfg(test)]
mod tests;
