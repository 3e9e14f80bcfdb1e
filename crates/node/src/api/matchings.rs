//! Matching of lists under contracts: begin, look, stop, fetch what matched.
//!
//! Never an item or a key of either side: only counts, bytes by kind, and one's own rows.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Body as Stream;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use tidm_space::fault::Fault;
use tidm_space::id::Id;
use tidm_space::policy::matching::Reveal as Kind;
use tidm_space::psi::{Asked, Protocol};

use super::answer::{Answer, Fail};
use super::auth::Caller;
use super::docs::ProblemDocument;
use super::extract::{Body, Params};
use super::page::{Page, Wanted as Which};
use super::uploads::{self, Named, Upload};
use crate::accounts::Who;
use crate::app::App;
use crate::jobs::matching::ask::{self, Mine, Wanted};
use crate::jobs::matching::many::lead;
use crate::jobs::matching::table::fetch;
use crate::jobs::matching::{self, Written};
use crate::people::{may_use, may_use_of, sees};
use crate::problem::Problem;
use crate::store::StoreError;
use crate::store::matchings::{Bytes, Matching, Party as Joined, State as Stage};
use crate::store::read::Page as Found;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Begin {
    contract: String,
    /// Further contracts, each with another provider: the rows that all have. Those contracts reveal `common`.
    #[serde(default)]
    also: Vec<String>,
    mine: List,
    /// Our columns in the order of the contract's key; absent: they are called alike.
    #[serde(default)]
    columns: Vec<String>,
    /// Columns of ours that the result is to have, in this order; absent: all.
    #[serde(default)]
    shown: Vec<String>,
    /// The result is one bit for each row of our list instead of rows: `tidmrow1`, the number of rows (8 bytes, little
    /// endian), then words of 8 bytes in which bit n stands for row 64 · word + n.
    #[serde(default)]
    bitmap: bool,
    /// rr22 (fast), rr22-low (fewest bytes), rr22-malicious, or ecdh (rows of small lists).
    #[serde(default)]
    protocol: Option<String>,
    /// Over the table that the provider prepared; without a protocol.
    #[serde(default)]
    table: bool,
    #[serde(default)]
    purpose: Option<String>,
    /// Processes of each side, 1 to 16; when absent two for rows of 2^20 items and more, else one.
    #[serde(default)]
    workers: Option<u32>,
    /// What of the match is to be known; the rows that match when absent.
    #[serde(default)]
    reveal: Option<Reveal>,
}

/// One kind, with what belongs to it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Reveal {
    /// rows, size, sum, atLeast or labels.
    kind: String,
    /// sum: a column of the provider, and how many decimals count (2 when absent).
    column: Option<String>,
    decimals: Option<u32>,
    /// atLeast: how many.
    least: Option<u64>,
    /// labels: columns of the provider, and bytes for each row (256 when absent).
    columns: Option<Vec<String>>,
    bytes: Option<u32>,
}

impl Reveal {
    fn asked(self) -> Answer<Asked> {
        let kind = Kind::from_name(&self.kind);
        let missing = |name: &str| Fail::field(name, "it belongs to this kind of answer");
        let asked = match kind {
            None => return Err(Fail::field("kind", "rows, size, sum, atLeast or labels")),
            Some(Kind::Common) => {
                return Err(Fail::field("kind", "name further contracts in `also`"));
            }
            Some(Kind::Rows) => Asked::Rows,
            Some(Kind::Size) => Asked::Size,
            Some(Kind::Sum) => Asked::Sum {
                column: self.column.ok_or_else(|| missing("column"))?,
                decimals: self.decimals.unwrap_or(2),
            },
            Some(Kind::AtLeast) => Asked::AtLeast(self.least.ok_or_else(|| missing("least"))?),
            Some(Kind::Labels) => Asked::Labels {
                columns: self.columns.ok_or_else(|| missing("columns"))?,
                bytes: self.bytes.unwrap_or(256),
            },
        };
        Ok(asked)
    }
}

/// Our list: one of the two.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct List {
    /// Of `PUT /matchings/list`; gone when the matching is over. CSV, TSV, Parquet or Arrow by its name's ending.
    upload: Option<String>,
    /// A table of ours.
    product: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Shown {
    id: String,
    /// Ours: consumer or provider.
    role: &'static str,
    contract: String,
    /// open, done or failed.
    state: &'static str,
    protocol: String,
    /// Digest of the table that it is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    table: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lease: Option<String>,
    /// Of ours and of the peer's, as upper bounds that both know.
    items: u64,
    their_items: u64,
    created: String,
    moved: String,
    /// How far it is, while it runs here.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Object)]
    progress: Option<Value>,
    /// Counts, seconds, and bytes that left and came, by kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Object)]
    report: Option<Value>,
    /// What is asked for; absent: the rows that match.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Object)]
    reveal: Option<Value>,
    /// `size`, `sum` (a decimal number as text) or `atLeast`, where we are to know.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Object)]
    answer: Option<Value>,
    /// Rows of ours that matched, where we are to know.
    #[serde(skip_serializing_if = "Option::is_none")]
    matched: Option<u64>,
    /// Of more than two: the other parties, where we lead.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    parties: Vec<Party>,
    /// The term for which the result is not shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    withheld: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Object)]
    fault: Option<Value>,
    /// Bytes that left and came in attempts that ended without a report.
    #[serde(skip_serializing_if = "Option::is_none")]
    broken_off: Option<BrokenOff>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct BrokenOff {
    sent: u64,
    received: u64,
    /// This node was killed in one of them: that attempt may have moved up to a second's bytes more.
    at_least: bool,
    /// The same by kind.
    traffic: BTreeMap<String, Moved>,
}

#[derive(Serialize, ToSchema)]
struct Moved {
    sent: u64,
    received: u64,
}

impl From<Bytes> for Moved {
    fn from(Bytes { sent, received }: Bytes) -> Self {
        Self { sent, received }
    }
}

/// One of several providers.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Party {
    contract: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    lease: Option<String>,
    items: u64,
}

impl From<Joined> for Party {
    fn from(it: Joined) -> Self {
        Self { contract: it.contract, lease: it.lease, items: it.items }
    }
}

fn shown(app: &App, it: Matching) -> Shown {
    let progress = app.matchings.told(&it.id).and_then(|it| serde_json::to_value(it).ok());
    let record = it.record;
    let Bytes { sent, received } = record.broken_off;
    let at_least = record.broken_unsure;
    let broken = at_least || sent + received > 0;
    let kinds = record.broken_kinds.into_iter();
    let traffic = kinds.map(|(kind, moved)| (kind, moved.into())).collect();
    Shown {
        broken_off: broken.then_some(BrokenOff { sent, received, at_least, traffic }),
        id: it.id,
        role: it.role.word(),
        contract: it.contract.to_string(),
        state: it.state.word(),
        protocol: record.protocol,
        table: record.table,
        lease: it.lease.map(|it| it.to_string()),
        items: record.items,
        their_items: record.their_items,
        created: it.created.to_string(),
        moved: it.moved.to_string(),
        progress: progress.filter(|_| it.state == Stage::Open),
        report: record.report,
        reveal: record.asked,
        answer: record.answer,
        matched: record.matched,
        parties: record.parties.into_iter().map(Party::from).collect(),
        withheld: record.withheld,
        fault: record.fault.and_then(|it| serde_json::to_value(it).ok()),
    }
}

/// All that it is under.
fn contracts(it: &Matching) -> Answer<Vec<Id>> {
    let more = it.record.parties.iter().map(|it| Id::parse(&it.contract));
    let all: Result<Vec<Id>, _> = std::iter::once(Ok(it.contract.clone())).chain(more).collect();
    all.map_err(|_| Fail(Problem::of("internal")))
}

/// Whether the rules let the caller use every contract that it is under.
pub(super) async fn may_use_all(app: &App, who: &Who, it: &Matching) -> Answer<()> {
    for contract in contracts(it)? {
        may_use(app, who, &contract).await?;
    }
    Ok(())
}

/// As the caller may see it: what matched is for those whom the rules let use the contract.
async fn shown_to(app: &App, who: &Who, mut it: Matching) -> Answer<Shown> {
    let told = it.record.answer.is_some() || it.record.matched.is_some();
    for contract in contracts(&it)? {
        if told && !sees(app, who, &contract).await? {
            (it.record.answer, it.record.matched) = (None, None);
        }
    }
    Ok(shown(app, it))
}

/// Send a list ahead, as it is. It is sealed before it reaches a disk.
#[utoipa::path(
    put, path = "/matchings/list", tag = "uses", params(Named), security(("bearer" = ["use"])),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 201, body = Upload), (status = 413, description = "Larger than limits.upload_bytes", body = ProblemDocument, content_type = "application/problem+json"))
)]
pub(super) async fn send_list(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    Params(named): Params<Named>,
    body: Stream,
) -> Answer<impl IntoResponse> {
    Ok((StatusCode::CREATED, Json(uploads::keep_list(&app, who.account, named, body).await?)))
}

/// Match a list of ours with the product of a contract.
#[utoipa::path(
    post, path = "/matchings", tag = "uses", request_body = Begin, security(("bearer" = ["use"])),
    responses((status = 202, description = "Begun; look at it until it is done", body = Shown),
        (status = 422, description = "The contract is not for matching, or the list does not fit", body = ProblemDocument, content_type = "application/problem+json"))
)]
pub(super) async fn begin(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    Body(it): Body<Begin>,
) -> Answer<impl IntoResponse> {
    let contract = Id::parse(&it.contract)?;
    may_use(&app, &who, &contract).await?;
    let mine = match (it.mine.upload, it.mine.product) {
        (Some(id), None) => Mine::Upload { id, account: who.account.clone() },
        (None, Some(product)) => {
            let product = Id::parse(&product)?;
            may_use_of(&app, &who, std::slice::from_ref(&product)).await?;
            Mine::Product(product)
        }
        (_, _) => return Err(Fail::field("mine", "either an upload or a product")),
    };
    let asked = it.reveal.map_or(Ok(Asked::Rows), Reveal::asked)?;
    let result = match (it.bitmap, it.shown) {
        (false, columns) => Written::Rows(columns),
        (true, columns) if columns.is_empty() && asked.gives_rows() => Written::Bitmap,
        (true, _) => {
            return Err(Fail::field("bitmap", "only of rows that match, and without columns"));
        }
    };
    if !it.also.is_empty() {
        let mut contracts = vec![contract];
        for also in &it.also {
            let also = Id::parse(also)?;
            may_use(&app, &who, &also).await?;
            contracts.push(also);
        }
        if it.protocol.is_some() || it.workers.is_some() || asked != Asked::Rows || it.table {
            let why = "with further contracts there is one protocol, one process, and rows";
            return Err(Fail::field("also", why));
        }
        let (columns, purpose) = (it.columns, it.purpose);
        let wanted = lead::Wanted { contracts, mine, columns, result, purpose };
        let begun = lead::start(&app, wanted).await?;
        return Ok((StatusCode::ACCEPTED, Json(shown(&app, begun))));
    }
    let protocol = it.protocol.as_deref().map(|name| {
        Protocol::from_name(name)
            .ok_or_else(|| Fail::field("protocol", "rr22, rr22-low, rr22-malicious or ecdh"))
    });
    let wanted = Wanted {
        contract,
        mine,
        columns: it.columns,
        result,
        protocol: protocol.transpose()?.unwrap_or_default(),
        purpose: it.purpose,
        workers: it.workers,
        span: tidm_space::limits::LEASE_MAX,
        asked,
    };
    let begun = if !it.table {
        ask::start(&app, wanted).await?
    } else if it.protocol.is_none() {
        fetch::start(&app, wanted).await?
    } else {
        let why = "over a table there is one protocol, against a curious provider";
        return Err(Fault::refused("psi.table-protocol", why).into());
    };
    Ok((StatusCode::ACCEPTED, Json(shown(&app, begun))))
}

/// Matchings that this node takes or took part in, newest first.
#[utoipa::path(
    get, path = "/matchings", tag = "uses", params(Which), security(("bearer" = ["read"])),
    responses((status = 200, body = Page<Shown>))
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    Params(which): Params<Which>,
) -> Answer<Json<Page<Shown>>> {
    let found = app.store.matchings(which.after()?.as_ref(), which.most()?).await;
    let found = found.map_err(failed)?;
    let mut rows = Vec::with_capacity(found.rows.len());
    for it in found.rows {
        rows.push(shown_to(&app, &who, it).await?);
    }
    Ok(Json(Page::of(Found { rows, next: found.next }, |it| it)))
}

#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Patience {
    /// Seconds to wait for its end; 0 to 60.
    #[serde(default)]
    wait: u64,
}

/// How one stands.
#[utoipa::path(
    get, path = "/matchings/{id}", tag = "uses", params(("id" = String, Path), Patience), security(("bearer" = ["read"])),
    responses((status = 200, body = Shown), (status = 404, description = "No such matching", body = ProblemDocument, content_type = "application/problem+json"))
)]
pub(super) async fn show(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    Path(id): Path<String>,
    Params(patience): Params<Patience>,
) -> Answer<Json<Shown>> {
    if patience.wait > WAIT {
        return Err(Fail::field("wait", format!("at most {WAIT} seconds")));
    }
    let until = tokio::time::Instant::now() + Duration::from_secs(patience.wait);
    loop {
        let it = one(&app, &id).await?;
        if it.state != Stage::Open || tokio::time::Instant::now() >= until {
            return Ok(Json(shown_to(&app, &who, it).await?));
        }
        tokio::time::sleep(STEP).await;
    }
}

/// Longest wait in one call, and how often it looks.
const WAIT: u64 = 60;
const STEP: Duration = Duration::from_millis(50);

/// Stop one that is open.
#[utoipa::path(
    delete, path = "/matchings/{id}", tag = "uses", params(("id" = String, Path)), security(("bearer" = ["use"])),
    responses((status = 204, description = "It stops, and the peer notices"), (status = 409, description = "It is over, or another replica of this node runs it", body = ProblemDocument, content_type = "application/problem+json"))
)]
pub(super) async fn stop(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    Path(id): Path<String>,
) -> Answer<StatusCode> {
    let it = one(&app, &id).await?;
    may_use_all(&app, &who, &it).await?;
    if it.state != Stage::Open || !matching::stop(&app, &it).await? {
        return Err(Fault::conflict("psi.not-running", "it does not run on this node now").into());
    }
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn one(app: &App, id: &str) -> Answer<Matching> {
    let found = app.store.matching(id).await.map_err(failed)?;
    Ok(found.ok_or(Fault::NotFound { what: "matching" })?)
}

fn failed(why: StoreError) -> Fail {
    tracing::error!(%why, "matchings cannot be read");
    Fail(Problem::of("internal"))
}
