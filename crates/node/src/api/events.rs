//! New and changed offers of others as they come: server-sent events (HTML Living Standard §9.2).
//!
//! Threat model: a listener that takes nothing must cost nothing. A page of changes is read when the one before is
//! taken, so no more than that waits for anybody; the number of listeners is bounded; a connection that stalls is
//! cut by the listener of the node. Whoever was away goes on with `Last-Event-ID`, and is told where changes that it
//! missed are forgotten.

#![expect(
    unused_qualifications,
    reason = "utoipa writes out the path of a parameter struct that stands in the same module"
)]

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::Stream;
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, watch};
use utoipa::{IntoParams, ToSchema};

use tidm_space::catalog::search::Filter;

use super::answer::{Answer, Fail};
use super::docs::ProblemDocument;
use super::extract::Params;
use super::wanted::Wanted;
use crate::app::App;
use crate::problem::Problem;
use crate::store::StoreError;
use crate::store::remote::{Change, Kind};

/// Listeners at a time: each holds a connection and looks into the store now and then.
pub const LISTENERS: usize = 256;
/// Changes read at a time for one listener.
const PAGE: i64 = 100;
/// Changes made by other replicas ring no bell here.
const LOOK: Duration = Duration::from_secs(5);
/// Proxies cut connections that are silent for longer.
const ALIVE: Duration = Duration::from_secs(15);

/// A change of what others offer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChangeShown {
    /// Grows; for `Last-Event-ID`.
    pub(crate) seq: i64,
    /// new, changed or gone.
    pub(crate) kind: &'static str,
    pub(crate) at: String,
    pub(crate) provider: String,
    pub(crate) id: String,
    pub(crate) title: String,
}

impl From<Change> for ChangeShown {
    fn from(it: Change) -> Self {
        Self {
            seq: it.seq,
            kind: it.kind.word(),
            at: it.at.to_string(),
            provider: it.provider,
            id: it.id,
            title: it.title,
        }
    }
}

/// Whether a change is wanted. What is gone cannot be asked any more: it is told to all who may have seen it.
pub(crate) fn concerns(wanted: &Filter, it: &Change) -> bool {
    let Some(entry) = it.entry.as_ref().filter(|_| it.kind != Kind::Gone) else {
        return it.kind == Kind::Gone
            && wanted.provider.as_ref().is_none_or(|wanted| *wanted == it.provider);
    };
    wanted.takes(&it.provider, &entry.facets, &entry.text)
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct After {
    /// The last event's number; as the header `Last-Event-ID`. Without either: from now on.
    after: Option<i64>,
}

/// Listen to new, changed and gone products of others. `lost` says that changes before it were forgotten.
#[utoipa::path(
    get, path = "/catalog/events", tag = "catalog", params(Wanted, After, ("Last-Event-ID" = Option<String>, Header)), security(("bearer" = ["read"])),
    responses((status = 200, description = "Events named new, changed, gone or lost; data as ChangeShown", body = ChangeShown, content_type = "text/event-stream"),
        (status = 503, description = "Too many listen already", body = ProblemDocument, content_type = "application/problem+json"))
)]
pub(super) async fn listen(
    State(app): State<Arc<App>>,
    Params(wanted): Params<Wanted>,
    Params(asked): Params<After>,
    headers: HeaderMap,
) -> Answer<Sse<impl Stream<Item = Result<Event, Infallible>>>> {
    let wanted = wanted.filter_of_one()?;
    let said = headers.get("last-event-id").and_then(|it| it.to_str().ok());
    let said = said.map(|it| it.trim().parse::<i64>());
    let last = match said {
        Some(Ok(it)) => Some(it),
        Some(Err(_)) => return Err(Fail::field("Last-Event-ID", "not one that we gave")),
        None => asked.after,
    };
    let full = || Fail(Problem::of("catalog.listeners"));
    let place = app.listeners.clone().try_acquire_owned().map_err(|_| full())?;
    let head = app.store.heads().await?.others;
    let listener = Listener {
        bell: app.changed.subscribe(),
        stopping: app.stopping.subscribe(),
        at: last.unwrap_or(head),
        resumes: last.is_some(),
        waiting: VecDeque::new(),
        app,
        wanted,
        _place: place,
    };
    let stream = futures::stream::unfold(listener, |mut it| async move {
        let event = it.next().await?;
        Some((Ok(event), it))
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(ALIVE)))
}

struct Listener {
    app: Arc<App>,
    wanted: Filter,
    bell: watch::Receiver<()>,
    stopping: watch::Receiver<bool>,
    /// The last change that was looked at.
    at: i64,
    /// Whether what it missed was not asked yet.
    resumes: bool,
    waiting: VecDeque<Event>,
    _place: OwnedSemaphorePermit,
}

impl Listener {
    /// `None`: the node stops, or its store fails; the listener connects again.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Some(event);
            }
            if *self.stopping.borrow() {
                return None;
            }
            // Seen before reading: what comes while we read rings again.
            self.bell.mark_unchanged();
            match self.fill().await {
                Ok(true) => continue,
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(%error, "changes cannot be read for a listener");
                    return None;
                }
            }
            let quiet = tokio::time::timeout(LOOK, self.bell.changed());
            tokio::select! {
                _ = quiet => {}
                _ = self.stopping.changed() => return None,
            }
        }
    }

    /// Whether anything came.
    async fn fill(&mut self) -> Result<bool, StoreError> {
        if std::mem::take(&mut self.resumes)
            && let Some(from) = lost(&self.app, self.at).await?
        {
            let data = format!("{{\"after\":{},\"resumed\":{from}}}", self.at);
            self.at = from;
            self.waiting.push_back(Event::default().event("lost").id(from.to_string()).data(data));
        }
        let changes = self.app.store.changes(self.at, PAGE).await?;
        let Some(last) = changes.last().map(|it| it.seq) else {
            return Ok(!self.waiting.is_empty());
        };
        self.at = last;
        for it in changes.into_iter().filter(|it| concerns(&self.wanted, it)) {
            let (seq, kind) = (it.seq.to_string(), it.kind.word());
            match Event::default().event(kind).id(seq).json_data(ChangeShown::from(it)) {
                Ok(event) => self.waiting.push_back(event),
                Err(error) => tracing::error!(%error, "a change cannot be written"),
            }
        }
        Ok(true)
    }
}

/// Where somebody goes on who knows the changes up to `at`, if some after that are forgotten or `at` is none of ours.
pub(crate) async fn lost(app: &App, at: i64) -> Result<Option<i64>, StoreError> {
    let head = app.store.heads().await?.others;
    if at > head || at < 0 {
        return Ok(Some(head));
    }
    let first = app.store.changes_kept().await?.map_or(head + 1, |it| it.0);
    Ok((at + 1 < first).then_some(first - 1))
}

#[cfg(test)]
mod tests {
    use tidm_space::catalog::facets::Facets;
    use tidm_space::time::Time;

    use super::*;
    use crate::store::remote::Indexed;

    #[test]
    fn what_is_gone_is_told_to_all_who_may_have_seen_it() {
        let entry = Indexed {
            provider: "did:web:a".to_owned(),
            id: "urn:1".to_owned(),
            title: "轴承".to_owned(),
            text: "轴承 bearing".to_owned(),
            changed: Time::ZERO,
            facets: Facets {
                formats: ["tidm:query".to_owned()].into(),
                grade: "general",
                prices: vec![],
                free: Some(true),
            },
        };
        let change = |kind, entry| Change {
            seq: 1,
            at: Time::ZERO,
            kind,
            provider: "did:web:a".to_owned(),
            id: "urn:1".to_owned(),
            title: "轴承".to_owned(),
            entry,
        };
        let gone = change(Kind::Gone, None);
        let new = change(Kind::New, Some(entry));
        let past = change(Kind::New, None);
        let by =
            |provider: &str| Filter { provider: Some(provider.to_owned()), ..Filter::default() };
        for (wanted, is_new, is_gone) in [
            (Filter::default(), true, true),
            (Filter::of_words("轴承"), true, true),
            (Filter::of_words("gear"), false, true),
            (Filter { grade: Some("core".to_owned()), ..Filter::default() }, false, true),
            (by("did:web:a"), true, true),
            (by("did:web:b"), false, false),
        ] {
            assert_eq!(
                (concerns(&wanted, &new), concerns(&wanted, &gone)),
                (is_new, is_gone),
                "{wanted:?}"
            );
            // Gone since: that is told by the change that says so.
            assert!(!concerns(&wanted, &past));
        }
    }
}
