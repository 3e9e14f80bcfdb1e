//! Others' products: found in what was crawled, read at their provider.
//!
//! Never trusts a catalogue: it is parsed as hostile, and terms that nobody here understands are marked.

#![expect(
    unused_qualifications,
    reason = "utoipa writes out the path of a parameter struct that stands in the same module"
)]

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tidm_space::fault::Fault;
use tidm_space::id::Id;
use tidm_space::identity::did::Did;
use tidm_space::policy::usage::Use;
use tidm_space::wire::dsp::catalog::{Dataset, parse_dataset};

use super::answer::{Answer, Fail};
use super::docs::ProblemDocument;
use super::extract::{Params, Speak};
use super::page::Page;
use super::terms::{self, OfferShown};
use crate::app::App;
use crate::jobs::crawl as job;
use crate::net::auth;
use crate::net::client::CallError;

/// What may stand in a path segment as it is.
const SEGMENT: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b':');
/// A provider that does not answer is asked again after this long at the earliest.
const LATER: std::time::Duration = std::time::Duration::from_secs(5);

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Full {
    id: String,
    provider: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    keywords: Vec<String>,
    /// DSP formats in which it is delivered.
    formats: Vec<String>,
    offers: Vec<OfferShown>,
    /// The dataset as its provider wrote it.
    #[schema(value_type = Object)]
    dataset: Value,
}

/// The dataset as its provider offers it now.
pub(super) async fn fetch(app: &App, peer: &Did, product: &Id) -> Answer<Dataset> {
    let base = app.directory.dsp_base(peer).await?;
    let url = format!("{base}/catalog/datasets/{}", utf8_percent_encode(product.as_str(), SEGMENT));
    let bearer = auth::mint(&app.identity, peer, &app.clock);
    let unavailable =
        |why: String| Fault::Unavailable { reason: format!("{peer}: {why}"), retry_after: LATER };
    let answer = app.client.call(reqwest::Method::GET, &url, Some(&bearer), None).await;
    let answer = answer.map_err(|why| match why {
        CallError::Address { .. } => Fault::refused("peer.address", why.to_string()),
        CallError::NoAnswer { .. } | CallError::TooLarge { .. } => unavailable(why.to_string()),
    })?;
    match answer.status.as_u16() {
        200..=299 => Ok(parse_dataset(&answer.body)?),
        404 => Err(Fail::not_found("product of this provider")),
        status => Err(unavailable(format!("HTTP {status}")).into()),
    }
}

/// One product of another node, as its provider offers it now.
#[utoipa::path(
    get, path = "/catalog/{provider}/{id}", tag = "catalog",
    params(("provider" = String, Path, description = "DID, percent-encoded"), ("id" = String, Path)), security(("bearer" = ["read"])),
    responses((status = 200, body = Full), (status = 404, description = "Not offered, or not to this node", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "The provider does not answer", body = ProblemDocument, content_type = "application/problem+json"))
)]
pub(super) async fn show(
    State(app): State<Arc<App>>,
    speak: Speak,
    Path((provider, id)): Path<(String, String)>,
) -> Answer<Json<Full>> {
    let provider = Did::parse(&provider).map_err(|why| Fail::field("provider", why))?;
    let found = fetch(&app, &provider, &Id::parse(&id)?).await?;
    let mut kinds: Vec<Use> = found.distributions.iter().filter_map(|it| it.kind()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let offers = found.offers.iter().map(|it| terms::theirs(&it.model, &kinds, speak)).collect();
    Ok(Json(Full {
        id: found.id.to_string(),
        provider: provider.to_string(),
        title: found.title,
        description: found.description,
        version: found.version,
        keywords: found.keywords,
        formats: found.distributions.into_iter().map(|it| it.format).collect(),
        offers,
        dataset: found.original,
    }))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// Words that title, description or keywords hold, all of them; everything when absent.
    search: Option<String>,
    /// `next` of the page before.
    cursor: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Short {
    provider: String,
    id: String,
    title: String,
    /// When it was last read from its provider.
    seen: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Crawled {
    /// Members that were asked.
    members: usize,
    /// Products that they offer.
    entries: u64,
    failed: Vec<Failed>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Failed {
    member: String,
    why: String,
}

/// Longest search text: more words than anybody reads results for.
const SEARCH_BYTES: usize = 1024;

/// Search the products of the space's members, as last crawled.
#[utoipa::path(
    get, path = "/catalog", tag = "catalog", params(Wanted), security(("bearer" = ["read"])),
    responses((status = 200, body = Page<Short>), (status = 400, description = "A wrong cursor", body = ProblemDocument, content_type = "application/problem+json"))
)]
pub(super) async fn search(
    State(app): State<Arc<App>>,
    Params(it): Params<Wanted>,
) -> Answer<Json<Page<Short>>> {
    let text = it.search.unwrap_or_default();
    if text.len() > SEARCH_BYTES {
        return Err(Fail::field("search", format!("at most {SEARCH_BYTES} bytes")));
    }
    if let Some(cursor) = &it.cursor
        && job::read_cursor(cursor).is_none()
    {
        return Err(Fail::field("cursor", "not one that we gave"));
    }
    let found = job::search(&app, &text, it.cursor.as_deref()).await?;
    let short = |it: crate::store::catalogue::Remote| Short {
        provider: it.provider,
        id: it.id,
        title: it.title,
        seen: it.seen.to_string(),
    };
    Ok(Json(Page { items: found.rows.into_iter().map(short).collect(), next: found.next }))
}

/// Read the catalogues of all members now.
#[utoipa::path(
    post, path = "/catalog/crawl", tag = "catalog", security(("bearer" = ["contract"])),
    responses((status = 200, body = Crawled))
)]
pub(super) async fn crawl(State(app): State<Arc<App>>) -> Answer<Json<Crawled>> {
    let done = job::crawl_once(&app).await?;
    let failed = done
        .failed
        .into_iter()
        .map(|(member, why)| Failed { member: member.to_string(), why })
        .collect();
    Ok(Json(Crawled { members: done.members, entries: done.entries, failed }))
}
