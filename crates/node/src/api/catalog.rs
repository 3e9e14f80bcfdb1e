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
use super::terms::{self, OfferShown};
use crate::app::App;
use crate::jobs::crawl as job;
use crate::net::auth;
use crate::net::client::CallError;
use crate::store::filter::{FacetCounts, Filter, Most};

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
pub(super) async fn fetch(app: &App, peer: &Did, base: &str, product: &Id) -> Answer<Dataset> {
    let url = format!("{base}/catalog/datasets/{}", utf8_percent_encode(product.as_str(), SEGMENT));
    let authorization = auth::speak(app, peer);
    let unavailable =
        |why: String| Fault::Unavailable { reason: format!("{peer}: {why}"), retry_after: LATER };
    let answer = app.client.call(reqwest::Method::GET, &url, Some(&authorization), None).await;
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
    let base = app.directory.dsp_base(&provider).await?;
    let found = fetch(&app, &provider, &base, &Id::parse(&id)?).await?;
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
    /// A DSP format or a kind of use (query, sealed-table, sealed-file, plain); `unknown` where none is named.
    format: Option<String>,
    /// general, important, core or unknown.
    grade: Option<String>,
    /// The provider's DID.
    provider: Option<String>,
    /// Most that an offer may cost: `100 CNY`, or `100` in whatever currency. What is free costs less.
    max_price: Option<String>,
    /// true: some offer costs nothing.
    free: Option<bool>,
    /// `next` of the page before.
    cursor: Option<String>,
}

impl Wanted {
    fn filter(&self) -> Answer<Filter> {
        let text = self.search.as_deref().unwrap_or_default();
        let facets = [&self.format, &self.grade, &self.provider, &self.max_price];
        let longest = facets.into_iter().flatten().map(String::len).chain([text.len()]).max();
        if longest.is_some_and(|it| it > SEARCH_BYTES) {
            return Err(Fail::field("search", format!("at most {SEARCH_BYTES} bytes")));
        }
        let most = |it: &String| {
            let found = Most::parse(it);
            found.ok_or_else(|| Fail::field("max_price", "an amount, for example 100 or 100 CNY"))
        };
        Ok(Filter {
            words: job::words(text),
            format: self.format.as_deref().filter(|it| !it.is_empty()).map(Filter::format_of),
            grade: self.grade.clone().filter(|it| !it.is_empty()),
            provider: self.provider.clone().filter(|it| !it.is_empty()),
            max_price: self.max_price.as_ref().filter(|it| !it.is_empty()).map(most).transpose()?,
            free: self.free.unwrap_or(false),
        })
    }
}

/// A value and how many products it would leave, everything else that is asked for applied.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Count {
    value: String,
    count: u64,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Facets {
    format: Vec<Count>,
    grade: Vec<Count>,
    /// DIDs.
    provider: Vec<Count>,
    /// Currencies of prices; `none`: free use only.
    price: Vec<Count>,
    /// true, false or unknown.
    free: Vec<Count>,
}

impl From<FacetCounts> for Facets {
    fn from(it: FacetCounts) -> Self {
        let list = |all: Vec<(String, u64)>| {
            all.into_iter().map(|(value, count)| Count { value, count }).collect()
        };
        Self {
            format: list(it.format),
            grade: list(it.grade),
            provider: list(it.provider),
            price: list(it.price),
            free: list(it.free),
        }
    }
}

/// A page of what was found.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Hits {
    items: Vec<Short>,
    /// Cursor of the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    /// Counts of all that was found, with the first page.
    #[serde(skip_serializing_if = "Option::is_none")]
    facets: Option<Facets>,
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
    responses((status = 200, body = Hits), (status = 400, description = "A wrong cursor or price", body = ProblemDocument, content_type = "application/problem+json"))
)]
pub(super) async fn search(
    State(app): State<Arc<App>>,
    Params(it): Params<Wanted>,
) -> Answer<Json<Hits>> {
    let wanted = it.filter()?;
    if let Some(cursor) = &it.cursor
        && job::read_cursor(cursor).is_none()
    {
        return Err(Fail::field("cursor", "not one that we gave"));
    }
    let found = job::search(&app, &wanted, it.cursor.as_deref()).await?;
    let short = |it: crate::store::catalogue::Found| Short {
        provider: it.provider,
        id: it.id,
        title: it.title,
        seen: it.seen.to_string(),
    };
    Ok(Json(Hits {
        items: found.rows.into_iter().map(short).collect(),
        next: found.next,
        facets: found.facets.map(Facets::from),
    }))
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
