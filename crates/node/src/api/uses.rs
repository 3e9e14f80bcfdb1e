//! Uses of data under a contract: each asks the provider's gate for a lease and leaves facts.
//!
//! Never opens anything here: plaintext is made in a worker or in the opening program, results pass through.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use arrow::json::writer::{JsonArray, WriterBuilder};
use axum::Json;
use axum::body::Body as Stream;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use tidm_sandbox::result;
use tidm_space::fault::Fault;
use tidm_space::id::Id;
use tidm_space::lease::state::{Lease, State as Standing};
use tidm_space::limits::LEASE;
use tidm_space::policy::privacy::{Epsilon, micro_text};
use tidm_space::time::Time;

use super::answer::{Answer, Fail};
use super::auth::Caller;
use super::docs::ProblemDocument;
use super::extract::{Body, OneId};
use crate::app::App;
use crate::jobs::flight;
use crate::jobs::use_data::{self, OpenRequest, UseResult};
use crate::people::may_use;
use crate::problem::Problem;

/// Media type of an Arrow IPC stream.
const ARROW: &str = "application/vnd.apache.arrow.stream";
/// Rows that are turned into JSON; more are for Arrow.
const JSON_ROWS: u64 = 100_000;

/// Where a statement runs.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Place {
    /// In the provider's sandbox: only results leave (E2).
    #[default]
    Provider,
    /// In this node's sandbox over the sealed table that was delivered (E1).
    Here,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Query {
    contract: String,
    /// One SELECT; the table is called `data`.
    sql: String,
    #[serde(default)]
    purpose: Option<String>,
    /// provider or here.
    #[serde(default, rename = "where")]
    place: Place,
    /// What the answer may cost of a privacy budget: `0.1`. Only where the contract's answers are noisy.
    #[serde(default)]
    epsilon: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Rows {
    lease: String,
    /// Absent: the contract does not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    uses_left: Option<u64>,
    /// What is left of the privacy budget; absent: answers have no noise.
    #[serde(skip_serializing_if = "Option::is_none")]
    epsilon_left: Option<String>,
    columns: Vec<String>,
    rows: u64,
    /// One object a row.
    #[schema(value_type = Vec<Object>)]
    data: Vec<Value>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Open {
    contract: String,
    #[serde(default)]
    purpose: Option<String>,
    /// One-time X25519 public key of the opening process, base64.
    key: String,
    /// How long the program needs; the provider cuts it. 60 when absent.
    #[serde(default)]
    seconds: Option<u64>,
    /// The content is to be written to a file: only where the contract permits handing on.
    #[serde(default)]
    export: bool,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Opened {
    lease: String,
    contract: String,
    until: String,
    /// From now.
    life_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    uses_left: Option<u64>,
    /// The data key under the one-time key (HPKE), base64.
    wrapped_key: String,
    /// The operator's share of it (HPKE), base64, where the key is split.
    #[serde(skip_serializing_if = "Option::is_none")]
    wrapped_share: Option<String>,
    /// Of the sealed copy.
    bytes: u64,
    sha256: String,
    may_export: bool,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Stands {
    /// granted, returned, expired or revoked; a suspension revokes, too.
    state: &'static str,
    until: String,
    /// From now; 0 where it is over.
    life_ms: u64,
}

impl Stands {
    fn of(it: &Lease, now: Time) -> Self {
        let granted = it.state == Standing::Granted && it.until > now;
        let life = if granted { it.until.since(now) } else { Duration::ZERO };
        let state = if granted || it.state != Standing::Granted {
            it.state.name()
        } else {
            Standing::Expired { at: it.until }.name()
        };
        let life_ms = u64::try_from(life.as_millis()).unwrap_or(0);
        Self { state: state.word(), until: it.until.to_string(), life_ms }
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Closing {
    done: bool,
    /// Plaintext bytes that the program saw.
    #[serde(default)]
    bytes: u64,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Tools {
    contract: String,
    /// Seconds to wait for the provider; 0 to 60, 30 when absent.
    #[serde(default)]
    wait: Option<u64>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Connected {
    transfer: String,
    /// Location of the provider's Arrow Flight SQL service.
    endpoint: String,
    /// Bearer token for each call: whoever has it may ask what the contract grants.
    token: String,
    /// When the token ends, as far as the provider said.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
}

/// Longest wait for a provider in one call.
const WAIT: u64 = 60;

/// Let one's own tools ask statements at the provider over Arrow Flight SQL: address and token.
#[utoipa::path(
    post, path = "/uses/flight", tag = "uses", request_body = Tools, security(("bearer" = ["use"])),
    responses((status = 200, body = Connected),
        (status = 422, description = "The provider does not offer it for this contract", body = ProblemDocument, content_type = "application/problem+json"))
)]
pub(super) async fn flight(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    Body(it): Body<Tools>,
) -> Answer<impl IntoResponse> {
    let contract = Id::parse(&it.contract)?;
    may_use(&app, &who, &contract).await?;
    let wait = it.wait.unwrap_or(WAIT / 2);
    if wait > WAIT {
        return Err(Fail::field("wait", format!("at most {WAIT} seconds")));
    }
    let found = flight::connect(&app, &contract, Duration::from_secs(wait)).await?;
    let connected = Connected {
        transfer: found.transfer.to_string(),
        endpoint: found.endpoint,
        token: found.token,
        expires: found.expires,
    };
    // A token is for one pair of eyes (RFC 9111 §5.2.2.5).
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(connected)))
}

/// Run one statement under a lease.
#[utoipa::path(
    post, path = "/uses/query", tag = "uses", request_body = Query, security(("bearer" = ["use"])),
    responses((status = 200, description = "Rows; with `Accept: application/vnd.apache.arrow.stream` an Arrow IPC stream, lease and uses left in headers",
            content((Rows = "application/json"), (Vec<u8> = "application/vnd.apache.arrow.stream"))),
        (status = 403, description = "A term said no: see cause", body = ProblemDocument, content_type = "application/problem+json"))
)]
pub(super) async fn query(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    headers: HeaderMap,
    Body(it): Body<Query>,
) -> Answer<Response> {
    let contract = Id::parse(&it.contract)?;
    may_use(&app, &who, &contract).await?;
    let purpose = it.purpose.as_deref();
    let epsilon = it.epsilon.as_deref().map(epsilon).transpose()?;
    let done = match (it.place, epsilon) {
        (Place::Provider, _) => {
            use_data::noisy_at_provider(&app, &contract, &it.sql, (purpose, epsilon)).await?
        }
        (Place::Here, None) => use_data::query_sealed(&app, &contract, &it.sql, purpose).await?,
        (Place::Here, Some(_)) => {
            return Err(Fail::field("epsilon", "noise is added at the provider alone"));
        }
    };
    let arrow = headers
        .get_all(header::ACCEPT)
        .iter()
        .any(|it| it.to_str().is_ok_and(|it| it.contains(ARROW)));
    if arrow {
        return Ok(streamed(done));
    }
    let shown = tokio::task::spawn_blocking(move || shown(&done)).await;
    let shown = shown.map_err(|_| Fail(Problem::of("internal")))??;
    Ok(Json(shown).into_response())
}

fn epsilon(text: &str) -> Answer<Epsilon> {
    Epsilon::parse(text).ok_or_else(|| {
        Fail::field("epsilon", "above 0, at most 100, with at most six decimals, such as 0.1")
    })
}

fn streamed(done: UseResult) -> Response {
    let mut answer = ([(header::CONTENT_TYPE, ARROW)], done.ipc).into_response();
    let named = [
        ("tidm-lease", Some(done.lease.to_string())),
        ("tidm-uses-left", done.uses_left.map(|it| it.to_string())),
        ("tidm-epsilon-left", done.epsilon_left.map(micro_text)),
    ];
    for (name, value) in named {
        if let Some(value) = value.and_then(|it| it.parse().ok()) {
            answer.headers_mut().insert(name, value);
        }
    }
    answer
}

fn shown(done: &UseResult) -> Answer<Rows> {
    let (columns, data) = rows(&done.ipc)?;
    Ok(Rows {
        lease: done.lease.to_string(),
        uses_left: done.uses_left,
        epsilon_left: done.epsilon_left.map(micro_text),
        columns,
        rows: done.rows,
        data,
    })
}

/// Names of the columns and the rows of a result, which another node may have made.
///
/// # Errors
/// `request.too-large` for more rows than JSON is good for, and when the result is none.
pub fn rows(ipc: &[u8]) -> Result<(Vec<String>, Vec<Value>), Problem> {
    let unreadable = || Fault::misbehaved("query.result", "the result is no Arrow stream");
    let read = result::read(ipc).ok_or_else(|| Problem::from(unreadable()))?;
    if read.count > JSON_ROWS {
        let why = format!("{} rows are too many for JSON: ask for {ARROW}", read.count);
        return Err(Problem::of("request.too-large").detail(why));
    }
    let columns = read.schema.fields().iter().map(|it| it.name().clone()).collect();
    let data = json(&read.batches).map_err(|error| {
        tracing::warn!(%error, "a result cannot be shown");
        Problem::from(unreadable())
    })?;
    Ok((columns, data))
}

fn json(batches: &[RecordBatch]) -> Result<Vec<Value>, ArrowError> {
    let mut out = Vec::new();
    let mut writer = WriterBuilder::new().with_explicit_nulls(true).build::<_, JsonArray>(&mut out);
    writer.write_batches(&batches.iter().collect::<Vec<_>>())?;
    writer.finish()?;
    drop(writer);
    if out.is_empty() {
        return Ok(Vec::new());
    }
    serde_json::from_slice(&out).map_err(|why| ArrowError::JsonError(why.to_string()))
}

/// Get a lease for one opening of a sealed file.
#[utoipa::path(
    post, path = "/uses/open", tag = "uses", request_body = Open, security(("bearer" = ["use"])),
    responses((status = 201, body = Opened), (status = 403, description = "A term said no: see cause", body = ProblemDocument, content_type = "application/problem+json"))
)]
pub(super) async fn open(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    Body(it): Body<Open>,
) -> Answer<impl IntoResponse> {
    let key = STANDARD.decode(&it.key).ok().and_then(|it| <[u8; 32]>::try_from(it).ok());
    let asked = OpenRequest {
        contract: Id::parse(&it.contract)?,
        purpose: it.purpose,
        key: key.ok_or_else(|| Fail::field("key", "32 bytes in base64"))?,
        span: it.seconds.map_or(LEASE, Duration::from_secs),
        export: it.export,
    };
    may_use(&app, &who, &asked.contract).await?;
    let done = use_data::open_file(&app, asked).await?;
    let opened = Opened {
        lease: done.lease.to_string(),
        contract: done.contract.to_string(),
        until: done.until.to_string(),
        life_ms: u64::try_from(done.life.as_millis()).unwrap_or(0),
        uses_left: done.uses_left,
        wrapped_key: STANDARD.encode(&done.wrapped_key),
        wrapped_share: done.wrapped_share.as_deref().map(|it| STANDARD.encode(it)),
        bytes: done.bytes,
        sha256: done.sha256.to_string(),
        may_export: done.may_export,
    };
    Ok((StatusCode::CREATED, Json(opened)))
}

/// The sealed bytes that an open lease is for.
#[utoipa::path(
    get, path = "/uses/{lease}/copy", tag = "uses", params(("lease" = String, Path)), security(("bearer" = ["use"])),
    responses((status = 200, description = "Ciphertext", content_type = "application/octet-stream", body = Vec<u8>),
        (status = 403, description = "The lease is over", body = ProblemDocument, content_type = "application/problem+json"))
)]
pub(super) async fn copy(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    OneId(lease): OneId,
) -> Answer<impl IntoResponse> {
    if let Some(found) = app.store.lease(&lease).await? {
        may_use(&app, &who, &found.request.contract).await?;
    }
    let sealed = use_data::sealed_copy(&app, &lease).await?;
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, sealed.bytes.to_string()),
    ];
    Ok((headers, Stream::from_stream(sealed.stream)))
}

/// How an opening's lease stands: the process that shows the file asks again and again, and stops on anything but `granted`.
#[utoipa::path(
    get, path = "/uses/{lease}", tag = "uses", params(("lease" = String, Path)), security(("bearer" = ["use"])),
    responses((status = 200, body = Stands), (status = 404, description = "No such lease", body = ProblemDocument, content_type = "application/problem+json"))
)]
pub(super) async fn standing(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    OneId(lease): OneId,
) -> Answer<Json<Stands>> {
    let it = use_data::standing(&app, &lease).await?;
    may_use(&app, &who, &it.request.contract).await?;
    // Asked several times a second, and it hands out no data: counted, and only its refusals are entries of their own.
    who.logged();
    Ok(Json(Stands::of(&it, app.clock.now())))
}

/// Let an opening go on. The gate decides anew; its no ends the use.
#[utoipa::path(
    post, path = "/uses/{lease}/renew", tag = "uses", params(("lease" = String, Path)), security(("bearer" = ["use"])),
    responses((status = 200, description = "As it stands now, renewed or not", body = Stands),
        (status = 403, description = "The gate said no: stop", body = ProblemDocument, content_type = "application/problem+json"))
)]
pub(super) async fn renew(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    OneId(lease): OneId,
) -> Answer<Json<Stands>> {
    let it = use_data::standing(&app, &lease).await?;
    may_use(&app, &who, &it.request.contract).await?;
    let it = use_data::renew_file(&app, &lease).await?;
    Ok(Json(Stands::of(&it, app.clock.now())))
}

/// Say what came of an opening.
#[utoipa::path(
    post, path = "/uses/{lease}/close", tag = "uses", params(("lease" = String, Path)), request_body = Closing, security(("bearer" = ["use"])),
    responses((status = 204, description = "Noted; the provider is told"), (status = 404, description = "No such lease", body = ProblemDocument, content_type = "application/problem+json"))
)]
pub(super) async fn close(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    OneId(lease): OneId,
    Body(it): Body<Closing>,
) -> Answer<StatusCode> {
    if let Some(found) = app.store.lease(&lease).await? {
        may_use(&app, &who, &found.request.contract).await?;
    }
    use_data::close_file(&app, &lease, it.done, it.bytes).await?;
    Ok(StatusCode::NO_CONTENT)
}
