//! Calling those who subscribed to changes of others' offers.
//!
//! At least once and in order: what a subscriber has taken moves on only after it said so (2xx). One that fails is
//! called again with growing pauses and given up after a week; 410 ends its subscription (as in WebSub §5.1).
//!
//! Threat model: a subscriber may be slow, gone, or an address in our own network. Each call is checked as those to
//! peers are, bounded in time and in what is read of its answer; calls run beside each other in a bounded number. The
//! body is signed with the node's key as a detached JWS (RFC 7515 App. F) in `Tidm-Signature`; it names its
//! subscription, a number of its own and its time, so that a captured call is worth nothing elsewhere or later.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use serde_json::json;

use tidm_space::catalog::reading::pause;
use tidm_space::engine::node::Signer as _;
use tidm_space::limits::REASON_CHARS;
use tidm_space::time::Time;

use crate::api::events::{ChangeShown, concerns, lost};
use crate::api::wanted;
use crate::app::App;
use crate::net::client::Ask;
use crate::store::subscriptions::{Subscription, delete_subscription, told};

/// Changes made by other replicas ring no bell here.
const LOOK: Duration = Duration::from_secs(5);
/// After a change this long for more to come: one call instead of many.
const GATHER: Duration = Duration::from_millis(200);
/// Calls beside each other.
const AT_ONCE: usize = 8;
/// Changes of one call: a body of some 60 kB.
const EVENTS: i64 = 200;
/// Who fails for so long is not called any more.
const GIVE_UP: Duration = Duration::from_secs(7 * 24 * 3600);
/// The type of the signature, so that it stands for nothing else.
const TYPE: &str = "tidm-catalog-events";
/// The header that carries the signature.
pub const SIGNATURE: &str = "tidm-signature";

/// Runs until dropped.
pub async fn run(app: Arc<App>) {
    let mut bell = app.changed.subscribe();
    loop {
        // The sender is in the app, so it does not end before us.
        drop(tokio::time::timeout(LOOK, bell.changed()).await);
        tokio::time::sleep(GATHER).await;
        if let Err(error) = round(&app).await {
            tracing::warn!(%error, "subscribers could not be called; trying again");
        }
    }
}

/// Calls everybody who is due until each has what there is or failed; how many calls were taken.
pub async fn round(app: &Arc<App>) -> anyhow::Result<usize> {
    let head = app.store.heads().await?.others;
    let due = app.store.subscriptions_due(app.clock.now(), head).await?;
    let calls = due.into_iter().map(|it| serve(app, it));
    let done: Vec<anyhow::Result<usize>> =
        futures::stream::iter(calls).buffer_unordered(AT_ONCE).collect().await;
    done.into_iter().sum()
}

impl Subscription {
    /// Not called any more.
    pub fn is_stopped(&self) -> bool {
        self.next == Time::from_ms(i64::MAX)
    }
}

async fn serve(app: &Arc<App>, mut it: Subscription) -> anyhow::Result<usize> {
    let mut calls = 0;
    loop {
        let missed = lost(app, it.sent).await?;
        let from = missed.unwrap_or(it.sent);
        let changes = app.store.changes(from, EVENTS).await?;
        let Some(last) = changes.last().map(|it| it.seq) else { return Ok(calls) };
        let wanted = wanted::kept(&it.filter);
        let events: Vec<ChangeShown> = changes
            .into_iter()
            .filter(|change| concerns(&wanted, change))
            .map(ChangeShown::from)
            .collect();
        let now = app.clock.now();
        if !events.is_empty() || missed.is_some() {
            match call(app, &it, &events, missed.is_some(), now).await {
                Called::Taken => {
                    calls += 1;
                    it.ok = Some(now);
                }
                Called::Ended => {
                    tracing::info!(subscription = it.id, "the subscriber wants no more calls");
                    let id = it.id;
                    app.writer
                        .note(move |conn| {
                            let id = id.clone();
                            Box::pin(async move { delete_subscription(conn, &id).await })
                        })
                        .await?;
                    return Ok(calls);
                }
                Called::Failed(why) => {
                    note(app, failed(it, now, &why)).await?;
                    return Ok(calls);
                }
            }
        }
        it = Subscription {
            sent: last,
            next: now,
            failures: 0,
            failing_since: None,
            error: None,
            ..it
        };
        note(app, it.clone()).await?;
    }
}

fn failed(it: Subscription, now: Time, why: &str) -> Subscription {
    let failures = it.failures.saturating_add(1);
    let since = it.failing_since.unwrap_or(now);
    let over = now.since(since) >= GIVE_UP;
    let next = if over { Time::from_ms(i64::MAX) } else { now.after(pause(failures)) };
    let error = Some(why.chars().take(REASON_CHARS).collect());
    Subscription { failures, failing_since: Some(since), next, error, ..it }
}

async fn note(app: &App, it: Subscription) -> anyhow::Result<()> {
    app.writer
        .note(move |conn| {
            let it = it.clone();
            Box::pin(async move { told(conn, &it).await })
        })
        .await?;
    Ok(())
}

enum Called {
    Taken,
    Ended,
    Failed(String),
}

async fn call(
    app: &App,
    it: &Subscription,
    events: &[ChangeShown],
    lost: bool,
    now: Time,
) -> Called {
    let body = json!({
        "subscription": it.id,
        "delivery": uuid::Uuid::now_v7().to_string(),
        "from": app.identity.did.as_str(),
        "at": now.to_string(),
        // Changes before these were forgotten: search again.
        "lost": lost,
        "events": events,
    })
    .to_string();
    let Some(signature) = detached(&app.identity.sign(TYPE, body.as_bytes())) else {
        return Called::Failed("it could not be signed".to_owned());
    };
    let headers = vec![(SIGNATURE, signature)];
    let ask = Ask { json: Some(body), headers, ..Ask::default() };
    match app.client.ask(reqwest::Method::POST, &it.url, ask).await {
        Ok(answer) if answer.status.is_success() => Called::Taken,
        Ok(answer) if answer.status == reqwest::StatusCode::GONE => Called::Ended,
        Ok(answer) => Called::Failed(format!("it answers {}", answer.status)),
        Err(why) => Called::Failed(why.to_string()),
    }
}

/// `header..signature`: the payload is the body.
fn detached(compact: &str) -> Option<String> {
    let (header, rest) = compact.split_once('.')?;
    let (_, signature) = rest.split_once('.')?;
    Some(format!("{header}..{signature}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_pause_longer_and_end_after_a_week() {
        let mut it = Subscription {
            id: "a".to_owned(),
            account: "b".to_owned(),
            url: "https://a.example".to_owned(),
            filter: "{}".to_owned(),
            created: Time::ZERO,
            sent: 3,
            next: Time::ZERO,
            failures: 0,
            failing_since: None,
            ok: None,
            error: None,
        };
        let mut now = Time::from_ms(1000);
        let mut tries = 0;
        while !it.is_stopped() {
            it = failed(it, now, "no answer");
            assert!(it.next > now && it.sent == 3);
            now = it.next;
            tries += 1;
        }
        // Once an hour at the most, once they are rare.
        assert!((150..200).contains(&tries), "{tries}");
    }

    #[test]
    fn a_signature_leaves_its_body_out() {
        assert_eq!(detached("a.b.c").as_deref(), Some("a..c"));
        assert_eq!(detached("a.b"), None);
    }
}
