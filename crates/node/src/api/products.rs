//! Products of this node: publishing a file, and what is known of it.
//!
//! Threat model: a local path is read with the node's own rights, so only somebody at this machine who may
//! publish can name one; everybody else uploads. Sample rows are shown to this node's people only where the
//! product says so.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use tidm_ingest::options::{ColumnType, Options};
use tidm_space::catalog::product::{Approval, Grade, Product};
use tidm_space::id::Id;
use tidm_space::negotiation::message::Role;
use tidm_space::policy::sentence::Sentences;

use super::answer::{Answer, Fail};
use super::auth::{Caller, Local};
use super::docs::ProblemDocument;
use super::extract::{Body, OneId, Params, Speak};
use super::facts::{self, Line};
use super::page::{Page, Wanted};
use super::shown::{self, OfferShown};
use super::terms::{self, Choices};
use crate::app::App;
use crate::jobs::publish::{OfferRequest, PublishRequest, publish as run};
use crate::jobs::spool;
use crate::problem::Problem;
use crate::rules::{self as approval_rules, RuleText};
use crate::store::accounts as rows;
use crate::store::timeline::About;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Publish {
    /// Id of an upload; or `path`.
    #[serde(default)]
    upload: Option<String>,
    /// A file on the node's own machine; only for callers on that machine.
    #[serde(default)]
    path: Option<String>,
    title: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    keywords: Vec<String>,
    /// The line of an earlier product: this is its next version.
    #[serde(default)]
    line: Option<String>,
    /// general, important or core (GB/T 43697).
    #[serde(default)]
    grade: Option<String>,
    /// Show sample rows in the catalogue.
    #[serde(default)]
    preview: bool,
    offers: Vec<NewOffer>,
    /// Contracts of this node, as their consumer, under which what it is made of was used. Each must permit it; where one
    /// passes its terms on, no offer may be looser.
    #[serde(default)]
    derived_from: Vec<String>,
    #[serde(default)]
    reading: Reading,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct NewOffer {
    #[serde(default)]
    terms: Choices,
    /// auto, ask (the same as manual) or counter; auto when absent.
    #[serde(default)]
    approval: Option<String>,
    /// query, sealed-table, sealed-file, plain; empty: every way that fits file and terms, plain excepted.
    #[serde(default)]
    deliveries: Vec<String>,
    /// What this node does by itself when a negotiation or transfer reaches a state; goes before `approval`.
    #[serde(default)]
    rules: Vec<RuleText>,
}

/// How to read the file; nothing is required.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub(super) struct Reading {
    /// Sheet of a workbook; the first when absent.
    sheet: Option<String>,
    /// Broken rows that may be skipped and reported; 0 when absent.
    lenient: u64,
    /// Types set by hand, by column: boolean, integer, float, date, timestamp, timestamp_utc, text.
    #[schema(value_type = BTreeMap<String, String>)]
    types: BTreeMap<String, ColumnType>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Short {
    id: String,
    /// What all versions share.
    line: String,
    version: u64,
    title: String,
    /// table, file, app or model.
    kind: &'static str,
    grade: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    rows: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    offers: usize,
    published_at: String,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Full {
    #[serde(flatten)]
    short: Short,
    description: String,
    keywords: Vec<String>,
    columns: Vec<Column>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_sha256: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    origin_sha256: Option<String>,
    /// Where it came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Object)]
    origin: Option<Value>,
    /// What was found in each column.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Object)]
    profile: Option<Value>,
    /// Sample rows: `columns` and `rows`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Object)]
    preview: Option<Value>,
    /// Contracts under which what it is made of was used, with those of earlier versions. No catalogue tells them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    derived_from: Vec<String>,
    offers: Vec<OfferShown>,
    timeline: Vec<Line>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Column {
    name: String,
    /// Arrow's name of the type.
    data_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Published {
    #[serde(flatten)]
    product: Full,
    /// Broken rows that were left out.
    skipped: u64,
}

fn short(it: &Product) -> Short {
    Short {
        id: it.id.to_string(),
        line: it.line.to_string(),
        version: it.version,
        title: it.title.clone(),
        kind: it.kind.name(),
        grade: it.grade.name(),
        rows: it.rows,
        bytes: it.bytes,
        offers: it.offers.len(),
        published_at: it.published_at.to_string(),
    }
}

async fn full(app: &App, it: &Product, speak: Speak) -> Answer<Full> {
    let source = app.store.source(&it.id).await?;
    let json = |text: Option<String>| text.and_then(|it| serde_json::from_str(&it).ok());
    let (origin, profile, preview) = match source {
        Some(found) => (
            json(Some(found.origin)),
            json(found.profile),
            json(found.preview.filter(|_| it.preview)),
        ),
        None => (None, None, None),
    };
    let column = |it: &tidm_space::catalog::product::Column| Column {
        name: it.name.clone(),
        data_type: it.data_type.clone(),
        unit: it.unit.clone(),
        title: it.title.clone(),
    };
    Ok(Full {
        short: short(it),
        description: it.description.clone(),
        keywords: it.keywords.clone(),
        columns: it.columns.iter().map(column).collect(),
        content_sha256: it.content.map(|it| it.to_string()),
        origin_sha256: it.origin.map(|it| it.to_string()),
        origin,
        profile,
        preview,
        derived_from: it.derived_from.iter().map(Id::to_string).collect(),
        offers: it.offers.iter().map(|it| shown::ours(it, speak)).collect(),
        timeline: facts::timeline(app, About::Product(it.id.clone()), speak).await?,
    })
}

/// Where the bytes are while they are read.
enum Bytes {
    Here(PathBuf),
    /// An upload with its guard: deleted when it was used.
    Sent {
        spooled: spool::Local,
        row: rows::UploadRow,
    },
}

async fn bytes(app: &App, it: &Publish, local: bool, account: &str) -> Answer<Bytes> {
    match (&it.upload, &it.path) {
        (None, Some(path)) if local => {
            let path = PathBuf::from(path);
            if !path.is_absolute() {
                return Err(Fail::field("path", "an absolute path on the node's machine"));
            }
            Ok(Bytes::Here(path))
        }
        (None, Some(_)) => {
            Err(Fail(Problem::of("auth.forbidden").detail(
                "path: only for callers on the node's own machine; upload the file instead",
            )))
        }
        (Some(id), None) => {
            let row = app
                .store
                .upload(id)
                .await?
                .filter(|it| it.account == account)
                .filter(|it| !crate::jobs::rest::is_sealed(&it.object))
                .ok_or_else(|| Fail::not_found("upload"))?;
            let spooled = spool::local(app, &row.object).await?;
            Ok(Bytes::Sent { spooled, row })
        }
        (Some(_), Some(_)) | (None, None) => Err(Fail::field("upload", "either upload or path")),
    }
}

fn request(it: Publish, file: PathBuf, name: Option<String>, by: &str) -> Answer<PublishRequest> {
    let grade = match &it.grade {
        None => Grade::General,
        Some(word) => Grade::from_name(word)
            .ok_or_else(|| Fail::field("grade", "general, important or core"))?,
    };
    let mut offers = Vec::with_capacity(it.offers.len());
    for offer in &it.offers {
        let approval = match &offer.approval {
            None => Approval::Auto,
            Some(word) => Approval::from_name(word)
                .ok_or_else(|| Fail::field("approval", "auto, ask (or manual) or counter"))?,
        };
        let deliveries = terms::kinds("deliveries", &offer.deliveries)?;
        let rules = approval_rules::read(Role::Provider, &offer.rules)
            .map_err(|why| Fail::field("rules", why))?;
        let policy = offer.terms.whole()?;
        let sentences = match policy {
            None => offer.terms.read()?,
            Some(_) => Sentences::default(),
        };
        offers.push(OfferRequest { sentences, policy, approval, deliveries, rules });
    }
    let options = Options {
        by: by.to_owned(),
        sheet: it.reading.sheet,
        types: it.reading.types,
        broken_rows_allowed: it.reading.lenient,
        ..Options::default()
    };
    Ok(PublishRequest {
        file,
        name,
        title: it.title,
        description: it.description,
        keywords: it.keywords,
        line: it.line.as_deref().map(Id::parse).transpose()?,
        grade,
        preview: it.preview,
        offers,
        derived_from: it.derived_from.iter().map(|it| Id::parse(it)).collect::<Result<_, _>>()?,
        options,
    })
}

/// Publish a file as a product version.
#[utoipa::path(
    post, path = "/products", tag = "products", request_body = Publish, security(("bearer" = ["publish"])),
    responses((status = 201, body = Published), (status = 403, description = "A contract that it is made under does not permit it, or not on these terms", body = ProblemDocument, content_type = "application/problem+json"), (status = 422, description = "The file, terms or texts cannot be published; nothing has changed", body = ProblemDocument, content_type = "application/problem+json"))
)]
pub(super) async fn publish(
    State(app): State<Arc<App>>,
    speak: Speak,
    Caller(who): Caller,
    Local(local): Local,
    Body(it): Body<Publish>,
) -> Answer<impl IntoResponse> {
    let bytes = bytes(&app, &it, local, &who.account).await?;
    let (file, name) = match &bytes {
        Bytes::Here(path) => (path.clone(), None),
        Bytes::Sent { spooled, row } => (spooled.path().to_owned(), Some(row.name.clone())),
    };
    let asked = request(it, file, name, app.identity.did.as_str())?;
    let done = run(&app, asked, |_| ControlFlow::Continue(())).await?;
    if let Bytes::Sent { spooled, row } = bytes {
        drop(spooled);
        crate::jobs::uploads::used_up(&app, &row).await;
    }
    let product = full(&app, &done.product, speak).await?;
    Ok((StatusCode::CREATED, Json(Published { product, skipped: done.skipped.rows })))
}

/// Products of this node, newest first.
#[utoipa::path(
    get, path = "/products", tag = "products", params(Wanted), security(("bearer" = ["read"])),
    responses((status = 200, body = Page<Short>))
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Params(page): Params<Wanted>,
) -> Answer<Json<Page<Short>>> {
    let found = app.store.products(page.after()?.as_ref(), page.most()?).await?;
    Ok(Json(Page::of(found, |it| short(&it))))
}

/// One product: schema, profile, sample, and its offers in sentences with who enforces them.
#[utoipa::path(
    get, path = "/products/{id}", tag = "products", params(("id" = String, Path)), security(("bearer" = ["read"])),
    responses((status = 200, body = Full), (status = 404, description = "No such product", body = ProblemDocument, content_type = "application/problem+json"))
)]
pub(super) async fn show(
    State(app): State<Arc<App>>,
    speak: Speak,
    OneId(id): OneId,
) -> Answer<Json<Full>> {
    let it = app.store.product(&id).await?.ok_or_else(|| Fail::not_found("product"))?;
    Ok(Json(full(&app, &it, speak).await?))
}
