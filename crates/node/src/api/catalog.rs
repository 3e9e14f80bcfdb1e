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
use tidm_space::catalog::reading::Standing;
use tidm_space::catalog::search::FacetCounts;
use tidm_space::fault::Fault;
use tidm_space::id::Id;
use tidm_space::identity::did::Did;
use tidm_space::policy::usage::Use;
use tidm_space::wire::dsp::catalog::{Dataset, parse_dataset};

use super::answer::{Answer, Fail};
use super::docs::ProblemDocument;
use super::extract::{Params, Speak};
use super::page::Page;
use super::shown::{self, OfferShown};
use super::wanted::Wanted;
use crate::app::App;
use crate::jobs::crawl as job;
use crate::net::client::CallError;
use crate::net::{auth, certificates};
use crate::search as index;

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
pub(crate) async fn fetch(
    app: &App,
    peer: &Did,
    base: &str,
    product: &Id,
) -> Result<Dataset, Fault> {
    let url = format!("{base}/catalog/datasets/{}", utf8_percent_encode(product.as_str(), SEGMENT));
    let authorization = auth::speak(app, peer);
    let unavailable =
        |why: String| Fault::Unavailable { reason: format!("{peer}: {why}"), retry_after: LATER };
    let answer = app.client.call(reqwest::Method::GET, &url, authorization.as_deref(), None).await;
    let answer = answer.map_err(|why| match why {
        CallError::Address { .. } => Fault::refused("peer.address", why.to_string()),
        CallError::NoAnswer { .. } | CallError::TooLarge { .. } => unavailable(why.to_string()),
    })?;
    match answer.status.as_u16() {
        200..=299 => Ok(parse_dataset(&answer.body)?),
        404 => match certificates::refused_by(peer, &answer.body) {
            Some(refused) => Err(refused),
            None => Err(Fault::NotFound { what: "product of this provider" }),
        },
        status => Err(unavailable(format!("HTTP {status}"))),
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
    let offers = found.offers.iter().map(|it| shown::theirs(&it.model, &kinds, speak)).collect();
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
#[serde(rename_all = "camelCase")]
pub(super) struct Short {
    provider: String,
    id: String,
    title: String,
    /// When its source last confirmed it.
    seen: String,
    /// Since when it is as it is.
    changed: String,
    /// Since when its source cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    failing_since: Option<String>,
    source: Source,
}

/// How an entry is known.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Source {
    /// Whose catalogue said so: its provider's, or an intermediary's.
    via: String,
    /// The address that was asked.
    request: String,
    /// SHA-256 of what was said.
    digest: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Crawled {
    /// Members that were asked.
    members: usize,
    /// Products that they offer.
    entries: u64,
    /// Members whose catalogue was as before.
    unchanged: usize,
    failed: Vec<Failed>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Failed {
    member: String,
    why: String,
}

/// Which page of a search.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Behind {
    /// `next` of the page before.
    cursor: Option<String>,
    /// Results, 1 to 200; 50 when absent.
    limit: Option<usize>,
}

/// Results of a page when nobody says, and at most.
const USUAL: usize = 50;
const MOST: usize = 200;

/// Search the products of the space's members, as last crawled: the best match first, then the newest.
#[utoipa::path(
    get, path = "/catalog", tag = "catalog", params(Wanted, Behind), security(("bearer" = ["read"])),
    responses((status = 200, body = Hits), (status = 400, description = "A wrong cursor or price", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "A highest price without its currency, where there are several", body = ProblemDocument, content_type = "application/problem+json"))
)]
pub(super) async fn search(
    State(app): State<Arc<App>>,
    Params(it): Params<Wanted>,
    Params(from): Params<Behind>,
) -> Answer<Json<Hits>> {
    let wanted = it.filter()?;
    if from.cursor.as_ref().is_some_and(|it| !index::is_cursor(it)) {
        return Err(Fail::field("cursor", "not one that we gave"));
    }
    let most = match from.limit {
        None => USUAL,
        Some(it) if (1..=MOST).contains(&it) => it,
        Some(_) => return Err(Fail::field("limit", format!("from 1 to {MOST}"))),
    };
    let found = index::search(&app, &wanted, from.cursor.as_deref(), most).await?;
    let members = app.store.standings().await?;
    let short = |(it, _): (crate::store::remote::Found, String)| {
        // Until its source confirmed it again, an entry was last seen when it was read as it is.
        let ok = members.get(&it.via).and_then(|it| it.ok);
        let failing = members.get(&it.via).and_then(|it| it.failing_since);
        Short {
            seen: ok.map_or(it.changed, |ok| ok.max(it.changed)).to_string(),
            changed: it.changed.to_string(),
            failing_since: failing.map(|it| it.to_string()),
            source: Source { via: it.via, request: it.request, digest: it.digest },
            provider: it.provider,
            id: it.id,
            title: it.title,
        }
    };
    Ok(Json(Hits {
        items: found.rows.into_iter().map(short).collect(),
        next: found.next,
        facets: found.facets.map(Facets::from),
    }))
}

/// How reading stands with a member.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct MemberShown {
    member: String,
    /// Products known from its catalogue.
    entries: u64,
    /// The last reading that succeeded, also if nothing had changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    ok: Option<String>,
    /// The last reading of everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    whole: Option<String>,
    /// Failures in a row.
    failures: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    failing_since: Option<String>,
    /// Why the last reading failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// When it is asked again.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// How reading stands with each member: what it offers, since when it fails and why.
#[utoipa::path(
    get, path = "/catalog/members", tag = "catalog", security(("bearer" = ["read"])),
    responses((status = 200, body = Page<MemberShown>))
)]
pub(super) async fn members(State(app): State<Arc<App>>) -> Answer<Json<Page<MemberShown>>> {
    let shown = |(member, it): (String, Standing)| {
        let text = |it: Option<tidm_space::time::Time>| it.map(|it| it.to_string());
        MemberShown {
            member,
            entries: it.entries,
            ok: text(it.ok),
            whole: text(it.whole),
            failures: it.failures,
            failing_since: text(it.failing_since),
            error: it.error,
            next: text(it.next),
        }
    };
    let items = app.store.standings().await?.into_iter().map(shown).collect();
    Ok(Json(Page { items, next: None }))
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
    Ok(Json(Crawled {
        members: done.members,
        entries: done.entries,
        unchanged: done.unchanged,
        failed,
    }))
}
