//! The DSP catalogue: pages of our products, and what an intermediary found at others.
//!
//! Threat model: a caller is a member, and sees an offer that names recipients only if it is one of them.
//! A page is bounded in entries and bytes whatever the request says. Filters are data, never queries.
//!
//! Pages are concatenations of wire forms stored at publishing: nothing is evaluated per offer, so the last
//! page costs what the first does. `Link: <…>; rel="next"` names the next page; the same body is posted there.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::{Value, json};

use tidm_crypto::hash::sha256;
use tidm_space::catalog::product::Product;
use tidm_space::catalog::search::Filter;
use tidm_space::fault::Fault;
use tidm_space::id::Id;
use tidm_space::identity::did::Did;
use tidm_space::wire::dsp::catalog::{
    CONTEXT, CatalogRequest, DataService, dataset_to_json, error_to_json, root_dataset_to_json,
};

use super::answer::{Presented, caller, holds, refusal};
use super::dsp::not_found;
use super::filter::{self, matches};
use super::gzip;
use crate::app::App;
use crate::config::Role;
use crate::search;
use crate::store::StoreError;
use crate::store::catalogue::Listed;
use crate::store::read::Cursor;
use crate::store::remote::Found;
use crate::store::writer::WorkError;

type Shared = State<Arc<App>>;

/// Entries of a page, unless the request wants fewer.
const PAGE: usize = 100;
/// Entries of a page at most.
const PAGE_MOST: usize = 500;
/// Bytes of a page's entries, so that it stays a message; one entry always fits.
const PAGE_BYTES: usize = 640 * 1024;
/// Rows looked at for one page of a search: a rare word must not hold a handler for long.
const SCANNED: usize = 20_000;

pub fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/catalog/request", post(request))
        .route("/catalog/datasets/{id}", get(dataset))
}

#[derive(Deserialize)]
struct Asked {
    cursor: Option<String>,
    limit: Option<usize>,
}

/// How our catalogue names our DSP endpoint.
pub fn service(app: &App) -> Result<DataService, Fault> {
    let id = Id::parse(&format!("{}#dsp", app.identity.did))
        .map_err(|_| Fault::ApiMisuse("our DID is no id"))?;
    let flight = app.config.flight.enabled;
    Ok(DataService { id, endpoint: app.identity.dsp_base(), flight })
}

async fn request(
    State(app): Shared,
    Query(asked): Query<Asked>,
    headers: Presented,
    body: Bytes,
) -> Response {
    let started = std::time::Instant::now();
    match try_request(&app, &asked, &headers, &body).await {
        Ok(Shown::Same) => StatusCode::PRECONDITION_FAILED.into_response(),
        Ok(Shown::Page { document, next, tag }) => {
            let mut out = gzip::json(&headers, document);
            for (name, text) in [(header::LINK, next), (header::ETAG, Some(tag))] {
                if let Some(value) = text.and_then(|it| HeaderValue::from_str(&it).ok()) {
                    out.headers_mut().insert(name, value);
                }
            }
            metrics::histogram!("tidm_catalog_seconds").record(started.elapsed().as_secs_f64());
            out
        }
        Err(error) => refusal(error, write_error),
    }
}

fn write_error(fault: &Fault) -> String {
    error_to_json(fault.code(), &[&fault.to_string()]).to_string()
}

/// What a request for a page comes to.
enum Shown {
    Page {
        document: String,
        next: Option<String>,
        tag: String,
    },
    /// The caller holds it. To a POST that is 412, not 304 (RFC 9110 §13.1.2).
    Same,
}

/// An intermediary's catalogue holds those of others.
fn shows_others(app: &App) -> bool {
    app.config.node.roles.contains(&Role::Intermediary)
}

/// The same as long as nothing changed that the page could show.
async fn tag(app: &App, who: &Did, asked: &Asked, body: &[u8]) -> Result<String, WorkError> {
    let heads = app.store.heads().await.map_err(|why| WorkError::Store(why.to_string()))?;
    let cursor = asked.cursor.as_deref().unwrap_or_default();
    let limit = asked.limit.unwrap_or(PAGE);
    let others = if shows_others(app) { heads.others } else { 0 };
    let of = format!("{} {others} {who} {limit} {cursor} {}", heads.own, sha256(body));
    Ok(format!("\"{}\"", sha256(of.as_bytes())))
}

async fn try_request(
    app: &Arc<App>,
    asked: &Asked,
    headers: &Presented,
    body: &[u8],
) -> Result<Shown, WorkError> {
    let who = caller(app, headers).await?;
    app.writer.remember(who.token).await?;
    let tag = tag(app, &who.did, asked, body).await?;
    if holds(headers, &tag) {
        return Ok(Shown::Same);
    }
    let wanted = filter::read(&CatalogRequest::parse(body)?)?;
    let limit = asked.limit.unwrap_or(PAGE).clamp(1, PAGE_MOST);
    let from = match &asked.cursor {
        Some(text) => Place::parse(text)
            .ok_or_else(|| Fault::misbehaved("catalog.cursor", "not a cursor of ours"))?,
        None => Place::Own(None),
    };
    let mut page =
        Page { limit, service: service(app)?, own: vec![], remote: vec![], bytes: 0, next: None };
    page.fill(app, &who.did, &wanted, from).await?;
    let next = page.next.as_ref().map(|place| {
        let limit = asked.limit.map(|_| format!("&limit={limit}")).unwrap_or_default();
        format!(
            "<{}/catalog/request?cursor={}{limit}>; rel=\"next\"",
            app.identity.dsp_base(),
            place.write()
        )
    });
    Ok(Shown::Page { document: page.write(app), next, tag })
}

/// Where a page begins: our own products come first, then those of others.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    Own(Option<Cursor>),
    Remote(Option<(String, String)>),
    /// Behind this place of a search among those of others.
    Found(String),
}

impl Place {
    fn write(&self) -> String {
        let text = match self {
            Self::Own(None) => "o".to_owned(),
            Self::Own(Some(it)) => format!("o{}", it.write()),
            Self::Remote(None) => "r".to_owned(),
            Self::Remote(Some((provider, id))) => format!("r{provider} {id}"),
            Self::Found(cursor) => format!("f{cursor}"),
        };
        URL_SAFE_NO_PAD.encode(text)
    }

    fn parse(text: &str) -> Option<Self> {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        match (text.get(..1)?, text.get(1..)?) {
            ("o", "") => Some(Self::Own(None)),
            ("o", cursor) => Some(Self::Own(Some(Cursor::parse(cursor)?))),
            ("r", "") => Some(Self::Remote(None)),
            ("r", pair) => {
                let (provider, id) = pair.split_once(' ')?;
                Some(Self::Remote(Some((provider.to_owned(), id.to_owned()))))
            }
            ("f", cursor) => search::is_cursor(cursor).then(|| Self::Found(cursor.to_owned())),
            _ => None,
        }
    }
}

/// A page in the making.
struct Page {
    limit: usize,
    service: DataService,
    own: Vec<String>,
    remote: Vec<Found>,
    bytes: usize,
    next: Option<Place>,
}

impl Page {
    fn is_full(&self, more: usize) -> bool {
        let entries = self.own.len() + self.remote.len();
        entries >= self.limit || (entries > 0 && self.bytes + more > PAGE_BYTES)
    }

    async fn fill(
        &mut self,
        app: &Arc<App>,
        who: &Did,
        wanted: &Filter,
        from: Place,
    ) -> Result<(), WorkError> {
        let store = |why: StoreError| WorkError::Store(why.to_string());
        let mut behind = None;
        let after = match from {
            Place::Own(after) => {
                if !self.fill_own(app, who, wanted, after).await.map_err(store)? {
                    return Ok(());
                }
                None
            }
            Place::Remote(after) => after,
            Place::Found(cursor) => {
                behind = Some(cursor);
                None
            }
        };
        if !shows_others(app) {
            return Ok(());
        }
        if *wanted == Filter::default() {
            self.fill_remote(app, who, after).await.map_err(store)
        } else {
            self.fill_found(app, who, wanted, behind).await
        }
    }

    /// Whether all of our own are on the page, or were before.
    async fn fill_own(
        &mut self,
        app: &App,
        who: &Did,
        wanted: &Filter,
        mut after: Option<Cursor>,
    ) -> Result<bool, StoreError> {
        let mut scanned = 0;
        let me = app.identity.did.as_str();
        loop {
            let rows = app.store.listed(after.as_ref(), count(self.limit)).await?;
            for (cursor, row) in rows.rows {
                scanned += 1;
                if let Some(text) = self.shown(row, who).filter(|it| matches(it, me, wanted)) {
                    if self.is_full(text.len()) {
                        self.next = Some(Place::Own(after));
                        return Ok(false);
                    }
                    self.bytes += text.len();
                    self.own.push(text);
                }
                after = Some(cursor);
            }
            if rows.next.is_none() {
                return Ok(true);
            }
            if scanned >= SCANNED || self.is_full(0) {
                self.next = Some(Place::Own(after));
                return Ok(false);
            }
        }
    }

    /// The entry as this caller may see it.
    fn shown(&self, row: Listed, who: &Did) -> Option<String> {
        match row {
            Listed::Open(text) => Some(text),
            Listed::Restricted(product) => {
                let product = visible(*product, who)?;
                dataset_to_json(&product, &self.service).map(|it| it.to_string())
            }
        }
    }

    async fn fill_remote(
        &mut self,
        app: &App,
        who: &Did,
        mut after: Option<(String, String)>,
    ) -> Result<(), StoreError> {
        // One more than fits tells whether a next page is needed.
        let room = self.limit.saturating_sub(self.own.len());
        let rows = app.store.remote(after.as_ref(), count(room) + 1).await?;
        let more = rows.len() > room;
        for row in rows {
            if self.is_full(row.dataset.len()) {
                self.next = Some(Place::Remote(after));
                return Ok(());
            }
            after = Some((row.provider.clone(), row.id.clone()));
            // Nobody needs its own products back.
            if row.provider != who.as_str() {
                self.bytes += row.dataset.len();
                self.remote.push(row);
            }
        }
        if more {
            self.next = Some(Place::Remote(after));
        }
        Ok(())
    }

    /// What a search finds among others' offers.
    async fn fill_found(
        &mut self,
        app: &Arc<App>,
        who: &Did,
        wanted: &Filter,
        mut behind: Option<String>,
    ) -> Result<(), WorkError> {
        loop {
            // One more than fits tells whether a next page is needed.
            let room = self.limit.saturating_sub(self.own.len() + self.remote.len()) + 1;
            let page = search::search(app, wanted, behind.as_deref(), room).await;
            let page = page.map_err(|error| match search::blame(error) {
                Ok(fault) => WorkError::Fault(fault),
                Err(error) => WorkError::Store(format!("{error:#}")),
            })?;
            for (row, cursor) in page.rows {
                if self.is_full(row.dataset.len()) {
                    self.next = Some(behind.map_or(Place::Remote(None), Place::Found));
                    return Ok(());
                }
                behind = Some(cursor);
                if row.provider != who.as_str() {
                    self.bytes += row.dataset.len();
                    self.remote.push(row);
                }
            }
            match page.next {
                Some(next) => behind = Some(next),
                None => return Ok(()),
            }
        }
    }

    /// The document, its entries inserted as they are stored.
    fn write(&self, app: &App) -> String {
        let head = json!({
            "@context": [CONTEXT],
            "@id": format!("{}#catalog", app.identity.did),
            "@type": "Catalog",
            "participantId": app.identity.did.as_str(),
            "service": [self.service.to_json()],
        });
        let mut out = head.to_string();
        out.reserve(self.bytes + 1024);
        out.pop();
        if !self.own.is_empty() {
            out.push_str(",\"dataset\":[");
            out.push_str(&self.own.join(","));
            out.push(']');
        }
        if !self.remote.is_empty() {
            out.push_str(",\"catalog\":[");
            let groups: Vec<String> = self
                .remote
                .chunk_by(|a, b| a.provider == b.provider && a.address == b.address)
                .map(nested)
                .collect();
            out.push_str(&groups.join(","));
            out.push(']');
        }
        out.push('}');
        out
    }
}

/// What was crawled at one provider, as a catalogue in ours.
fn nested(rows: &[Found]) -> String {
    let Some(first) = rows.first() else { return String::new() };
    let named = rows.iter().find_map(|row| access_service(&row.dataset));
    let service = named.unwrap_or_else(|| format!("{}#dsp", first.provider));
    let head = json!({
        "@id": format!("{}#catalog", first.provider),
        "@type": "Catalog",
        "participantId": first.provider,
        "service": [{ "@id": service, "@type": "DataService", "endpointURL": first.address }],
    });
    let mut out = head.to_string();
    out.pop();
    out.push_str(",\"dataset\":[");
    out.push_str(&rows.iter().map(|it| it.dataset.as_str()).collect::<Vec<_>>().join(","));
    out.push_str("]}");
    out
}

/// The service that a dataset's distributions name by id.
fn access_service(dataset: &str) -> Option<String> {
    let it: Value = serde_json::from_str(dataset).ok()?;
    let all = it.get("distribution")?.as_array()?;
    all.iter().find_map(|it| it.get("accessService")?.as_str().map(str::to_owned))
}

/// The product with the offers that `who` may see; `None` where it may see none.
pub(super) fn visible(product: Product, who: &Did) -> Option<Product> {
    let may = |list: &Option<Vec<String>>| {
        list.as_ref().is_none_or(|all| all.iter().any(|it| it == who.to_id().as_str()))
    };
    let mut draft = (*product).clone();
    draft.offers.retain(|offer| may(&offer.terms().summary.recipients));
    if draft.offers.is_empty() {
        return None;
    }
    Product::new(draft).ok()
}

fn count(it: usize) -> i64 {
    i64::try_from(it).unwrap_or(i64::MAX)
}

async fn dataset(State(app): Shared, Path(id): Path<String>, headers: Presented) -> Response {
    match try_dataset(&app, &id, &headers).await {
        Ok(document) => gzip::json(&headers, document),
        Err(error) => refusal(error, write_error),
    }
}

async fn try_dataset(app: &App, id: &str, headers: &Presented) -> Result<String, WorkError> {
    let who = caller(app, headers).await?;
    app.writer.remember(who.token).await?;
    let id = Id::parse(id).map_err(|_| not_found("dataset"))?;
    let store = |why: StoreError| WorkError::Store(why.to_string());
    if let Some(product) = app.store.product(&id).await.map_err(store)? {
        let shown = visible(product, &who.did).ok_or_else(|| not_found("dataset"))?;
        let document =
            root_dataset_to_json(&shown, &service(app)?).ok_or_else(|| not_found("dataset"))?;
        return Ok(document.to_string());
    }
    if !shows_others(app) {
        return Err(not_found("dataset"));
    }
    let row = app
        .store
        .remote_product(id.as_str())
        .await
        .map_err(store)?
        .ok_or_else(|| not_found("dataset"))?;
    let mut document: Value =
        serde_json::from_str(&row.dataset).map_err(|_| not_found("dataset"))?;
    if let Some(map) = document.as_object_mut() {
        map.insert("@context".to_owned(), json!([CONTEXT]));
        map.insert("tidm:provider".to_owned(), json!(row.provider));
    }
    Ok(document.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_travel() {
        for it in [
            Place::Own(None),
            Place::Own(Some(Cursor { key: 7, id: "urn:x".to_owned() })),
            Place::Remote(None),
            Place::Remote(Some(("did:web:a".to_owned(), "urn:x".to_owned()))),
            Place::Found("A".repeat(27)),
        ] {
            assert_eq!(Place::parse(&it.write()), Some(it));
        }
        for bad in ["", "!", "eA", "b3g"] {
            assert_eq!(Place::parse(bad), None, "{bad}");
        }
    }
}
