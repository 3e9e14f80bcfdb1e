//! What happened, as one readable line each, with its place in the evidence log.
//!
//! Never the record itself: that is what a receipt carries.

#![expect(
    unused_qualifications,
    reason = "utoipa writes out the path of a parameter struct that stands in the same module"
)]

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use tidm_space::evidence::encode::summary;
use tidm_space::id::Id;

use super::answer::{Answer, Fail};
use super::docs::ProblemDocument;
use super::extract::{Params, Speak};
use super::page::{Page, Wanted};
use crate::app::App;
use crate::store::timeline::{About, Logged};

/// Steps of a timeline shown with its subject; all of them are in `GET /facts`.
const TIMELINE: i64 = 100;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Filter {
    /// One of the four at most.
    contract: Option<String>,
    product: Option<String>,
    negotiation: Option<String>,
    transfer: Option<String>,
    /// `next` of the page before.
    cursor: Option<String>,
    /// Rows, 1 to 200; 50 when absent.
    limit: Option<i64>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Line {
    pub(super) id: String,
    at: String,
    /// The node that recorded it.
    by: String,
    /// One line in the reader's language.
    summary: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    product: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    negotiation: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    contract: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    transfer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lease: Option<String>,
    /// Place in the evidence log; absent until the sequencer has put it there.
    #[serde(skip_serializing_if = "Option::is_none")]
    log_index: Option<u64>,
}

fn line(it: &Logged, speak: Speak) -> Line {
    let text = |it: &Option<Id>| it.as_ref().map(Id::to_string);
    let links = &it.fact.links;
    Line {
        id: it.fact.id.to_string(),
        at: it.fact.at.to_string(),
        by: it.fact.by.to_string(),
        summary: summary(&it.fact, speak.core()),
        peer: links.peer.as_ref().map(ToString::to_string),
        product: text(&links.product),
        negotiation: text(&links.negotiation),
        contract: text(&links.contract),
        transfer: text(&links.transfer),
        lease: text(&links.lease),
        log_index: it.index,
    }
}

/// What happened to one subject, oldest first.
pub(super) async fn timeline(app: &App, about: About, speak: Speak) -> Answer<Vec<Line>> {
    let found = app.store.facts(&about, None, TIMELINE).await?;
    Ok(found.rows.iter().rev().map(|it| line(it, speak)).collect())
}

/// Facts, newest first.
#[utoipa::path(
    get, path = "/facts", tag = "evidence", params(Filter), security(("bearer" = ["audit"])),
    responses((status = 200, body = Page<Line>), (status = 400, description = "More than one filter, or a wrong cursor", body = ProblemDocument, content_type = "application/problem+json"))
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    speak: Speak,
    Params(it): Params<Filter>,
) -> Answer<Json<Page<Line>>> {
    let wanted = Wanted { cursor: it.cursor, limit: it.limit };
    let about = match (it.contract, it.product, it.negotiation, it.transfer) {
        (None, None, None, None) => About::Everything,
        (Some(id), None, None, None) => About::Contract(Id::parse(&id)?),
        (None, Some(id), None, None) => About::Product(Id::parse(&id)?),
        (None, None, Some(id), None) => About::Negotiation(Id::parse(&id)?),
        (None, None, None, Some(id)) => About::Transfer(Id::parse(&id)?),
        (_, _, _, _) => return Err(Fail::field("contract", "one filter at a time")),
    };
    let found = app.store.facts(&about, wanted.after()?.as_ref(), wanted.most()?).await?;
    Ok(Json(Page::of(found, |it| line(&it, speak))))
}
