//! What changed in our catalogue since a revision: what a crawler of our own kind asks for (`tidm/1`).
//!
//! Threat model: a caller is a member, and learns of an offer that names recipients only if it is one of them, also
//! when that offer is gone. A page is bounded in rows and bytes.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use serde::Deserialize;

use tidm_space::fault::Fault;
use tidm_space::identity::did::Did;
use tidm_space::limits::CHANGES_PAGE;
use tidm_space::wire::dsp::catalog::{DataService, dataset_to_json};
use tidm_space::wire::dsp::error;
use tidm_space::wire::tidm::changes::{self, Said};

use super::answer::{Presented, caller, holds, refusal};
use super::catalog::{service, visible};
use super::gzip;
use crate::app::App;
use crate::store::StoreError;
use crate::store::catalogue::{Revised, UNLISTED};
use crate::store::writer::WorkError;

pub fn routes() -> Router<Arc<App>> {
    Router::new().route("/tidm/1/catalog/changes", get(changed))
}

#[derive(Deserialize)]
struct Since {
    #[serde(default)]
    since: u64,
}

/// `None`: nothing since.
struct Shown {
    page: Option<String>,
    head: u64,
}

async fn changed(
    State(app): State<Arc<App>>,
    Query(asked): Query<Since>,
    headers: Presented,
) -> Response {
    match try_changed(&app, asked.since, &headers).await {
        Ok(Shown { page, head }) => {
            let mut out = match page {
                Some(page) => gzip::json(&headers, page),
                None => StatusCode::NOT_MODIFIED.into_response(),
            };
            if let Ok(tag) = HeaderValue::from_str(&changes::tag(head)) {
                out.headers_mut().insert(header::ETAG, tag);
            }
            out
        }
        Err(error) => refusal(error, error::write),
    }
}

async fn try_changed(app: &App, since: u64, headers: &Presented) -> Result<Shown, WorkError> {
    let who = caller(app, headers).await?;
    app.writer.remember(who.token).await?;
    let store = |why: StoreError| WorkError::Store(why.to_string());
    // Before the rows: what comes in between is on this page or after this revision, never lost.
    let head = app.store.heads().await.map_err(store)?.own.unsigned_abs();
    if since > head {
        return Err(Fault::conflict(
            "catalog.revision",
            "this catalogue never had that revision: read all of it",
        )
        .into());
    }
    if since == head && holds(headers, &changes::tag(head)) {
        return Ok(Shown { page: None, head });
    }
    let most = i64::try_from(CHANGES_PAGE).unwrap_or(i64::MAX);
    let after = i64::try_from(since).unwrap_or(i64::MAX);
    let mut rows = app.store.revised(after, most + 1).await.map_err(store)?;
    let more = rows.len() > CHANGES_PAGE;
    rows.truncate(CHANGES_PAGE);
    let service = service(app)?;
    let said: Vec<(u64, Said)> = rows
        .into_iter()
        .map(|row| (row.revision.unsigned_abs(), said(row, &who.did, &service)))
        .collect();
    Ok(Shown { page: Some(changes::write_page(&said, head, more)), head })
}

fn said(row: Revised, who: &Did, service: &DataService) -> Said {
    match (row.listed, row.product) {
        (_, None) => Said::Offered(row.dataset),
        // Only who could see it learns that it is gone.
        (UNLISTED, Some(product)) if visible(product.clone(), who).is_some() => Said::Gone(row.id),
        (UNLISTED, Some(_)) => Said::Hidden,
        (_, Some(product)) => visible(product, who)
            .and_then(|it| dataset_to_json(&it, service))
            .map_or(Said::Hidden, |it| Said::Offered(it.to_string())),
    }
}
