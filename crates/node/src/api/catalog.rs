//! Others' products: found in what was crawled, read at their provider.
//!
//! Never trusts a catalogue: it is parsed as hostile, and terms that nobody here understands are marked.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tidm_space::fault::Fault;
use tidm_space::id::Id;
use tidm_space::identity::did::Did;
use tidm_space::policy::usage::Use;
use tidm_space::wire::dsp::catalog::{Dataset, parse_dataset};

use super::answer::{Answer, Fail};
use super::docs::ProblemDocument;
use super::extract::Speak;
use super::terms::{self, OfferShown};
use crate::app::App;
use crate::net::auth;
use crate::net::client::CallError;

/// What may stand in a path segment as it is.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b':');
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
    let unavailable = |why: String| Fault::Unavailable { reason: format!("{peer}: {why}"), retry_after: LATER };
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
pub(super) async fn show(State(app): State<Arc<App>>, speak: Speak, Path((provider, id)): Path<(String, String)>) -> Answer<Json<Full>> {
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
