//! The log of what people did, and whether its chain holds.
//!
//! Never changed here: every entry is written where it happened.

#![expect(
    unused_qualifications,
    reason = "utoipa writes out the path of a parameter struct that stands in the same module"
)]

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use tidm_crypto::hash::Digest;
use tidm_space::people::log::{Entry as Kept, LEFT};

use super::Api;
use super::answer::{Answer, Fail};
use super::docs::ProblemDocument;
use super::extract::{Params, Speak};
use super::page::{Page, Wanted as Paged};
use crate::app::App;
use crate::lang::Lang;
use crate::store::people::Wanted;

pub(super) fn log() -> Api {
    Api::new().routes(routes!(entries)).routes(routes!(verify))
}

/// Which entries.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Filter {
    /// Of this account alone.
    account: Option<String>,
    /// Of this act (`people.role`, `POST /contracts/{id}/revoke`) or route (`/contracts/{id}/revoke`) alone.
    route: Option<String>,
    /// `next` of the page before.
    cursor: Option<String>,
    /// Rows, 1 to 200; 50 when absent.
    limit: Option<i64>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Entry {
    place: u64,
    /// RFC 3339.
    at: String,
    /// An account; ` anonymous` (with a space before it) is nobody that the node knows, ` machine` whoever sat at it.
    who: String,
    act: String,
    /// On whom or what: the ids of the route's path, or the contract used.
    subject: String,
    /// `done`, `refused`, or `unknown` where the caller went away before the end.
    outcome: &'static str,
    reason: String,
    /// How often within a minute.
    times: u64,
    /// Outcome and reason in the reader's language.
    says: String,
    /// SHA-256 over this entry and the digest of the one before.
    digest: String,
}

fn shown((it, digest): (Kept, String), lang: Lang) -> Entry {
    let outcome = match (it.allowed, it.reason == LEFT) {
        (false, _) => "refused",
        (true, false) => "done",
        (true, true) => "unknown",
    };
    Entry {
        outcome,
        says: says(&it, outcome, lang),
        place: it.place,
        at: it.at.to_string(),
        who: it.who,
        act: it.act,
        subject: it.subject,
        reason: it.reason,
        times: it.times,
        digest,
    }
}

fn says(it: &Kept, outcome: &str, lang: Lang) -> String {
    match outcome {
        "done" => lang.pick("已执行", "done").to_owned(),
        "unknown" => lang
            .pick(
                "调用方中途离开,结果未知",
                "the caller left before the end; not known whether it was done",
            )
            .to_owned(),
        _ => match lang {
            Lang::Zh => format!("拒绝 {} 次:{}", it.times, it.reason),
            Lang::En => format!("refused, {} times: {}", it.times, it.reason),
        },
    }
}

/// What people did and what was refused, newest first.
#[utoipa::path(
    get, path = "/people-log", tag = "people", params(Filter), security(("bearer" = ["people-log"])),
    responses((status = 200, body = Page<Entry>))
)]
pub(super) async fn entries(
    State(app): State<Arc<App>>,
    Speak(lang): Speak,
    Params(it): Params<Filter>,
) -> Answer<Json<Page<Entry>>> {
    let page = Paged { cursor: it.cursor, limit: it.limit };
    let wanted = Wanted { who: it.account, act: it.route };
    let found = app.store.people_log(&wanted, page.after()?.as_ref(), page.most()?).await?;
    Ok(Json(Page::of(found, |it| shown(it, lang))))
}

/// What somebody wrote down earlier.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Noted {
    /// Place of an entry.
    place: Option<u64>,
    /// Its digest.
    digest: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Verification {
    /// Every entry follows from the ones before it, and the noted one is still what it was.
    holds: bool,
    /// Entries that follow, from the first.
    entries: u64,
    /// Digest of the last of them: to be noted elsewhere, with `entries` for its place.
    head: String,
    /// The first place at which the chain is broken.
    #[serde(skip_serializing_if = "Option::is_none")]
    broken_at: Option<u64>,
    /// Whether the noted entry is still there.
    #[serde(skip_serializing_if = "Option::is_none")]
    noted: Option<bool>,
    /// The same in the reader's language.
    says: String,
}

/// Read the whole log on from its first entry: where is its chain broken? A new end written by whoever holds the database
/// shows only against a noted entry.
#[utoipa::path(
    get, path = "/people-log/verification", tag = "people", params(Noted), security(("bearer" = ["people-log"])),
    responses((status = 200, body = Verification), (status = 400, description = "Not a place and a digest", body = ProblemDocument, content_type = "application/problem+json"))
)]
pub(super) async fn verify(
    State(app): State<Arc<App>>,
    Speak(lang): Speak,
    Params(it): Params<Noted>,
) -> Answer<Json<Verification>> {
    let noted = match (it.place, it.digest) {
        (None, None) => None,
        (Some(place), Some(digest)) => {
            let digest = Digest::parse(&digest);
            Some((place, digest.map_err(|_| Fail::field("digest", "not a SHA-256 digest"))?))
        }
        _ => return Err(Fail::field("place", "place and digest belong together")),
    };
    let found = app.store.verify_people_log(noted).await?;
    let says = match (found.broken, found.noted, lang) {
        (Some(at), _, Lang::Zh) => format!("日志链在第 {at} 条断裂"),
        (Some(at), _, Lang::En) => format!("the chain is broken at entry {at}"),
        (None, Some(false), Lang::Zh) => "链完整,但与所记录的条目不符:日志曾被重写".to_owned(),
        (None, Some(false), Lang::En) => {
            "the chain holds, but the noted entry is not in it: the log was written anew".to_owned()
        }
        (None, _, Lang::Zh) => format!("日志链完整,共 {} 条", found.entries),
        (None, _, Lang::En) => format!("the chain of {} entries holds", found.entries),
    };
    Ok(Json(Verification {
        holds: found.broken.is_none() && found.noted != Some(false),
        entries: found.entries,
        head: found.head.to_string(),
        broken_at: found.broken,
        noted: found.noted,
        says,
    }))
}
