//! `Idempotency-Key`: a creating call that is sent twice is done once.
//!
//! Never for calls whose reply is a secret: those are outside this layer, since replies are stored.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use tidm_crypto::hash::sha256;

use super::BODY_BYTES;
use super::answer::{Answer, Fail};
use crate::accounts::Who;
use crate::app::App;
use crate::problem::Problem;
use crate::store::accounts::{self as rows, ReplyRow};

const HEADER: &str = "idempotency-key";
const REPLAYED: &str = "idempotent-replayed";
/// Longest key: a UUID has 36 bytes, and some prefix it.
const KEY_BYTES: usize = 128;
/// A reply is kept this long; later the same key is a new call.
const KEEP: Duration = Duration::from_secs(24 * 3600);
/// A call that has not ended by then died with its node.
const UNDER_WAY: Duration = Duration::from_secs(600);
/// Longer replies are not kept, and their calls not repeatable.
const REPLY_BYTES: usize = 1 << 20;

/// Does the call, or gives the reply of the time before.
pub(super) async fn once(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let key = request.headers().get(HEADER).map(|it| it.to_str().map(str::to_owned));
    let key = match key {
        Some(Ok(key))
            if request.method() == Method::POST && (1..=KEY_BYTES).contains(&key.len()) =>
        {
            key
        }
        Some(_) if request.method() == Method::POST => {
            return Fail::field(HEADER, "1 to 128 visible characters").into_response();
        }
        Some(_) | None => return next.run(request).await,
    };
    // The call ends whether or not its caller waits: the reply must be there for the second try.
    match tokio::spawn(known(app, key, request, next)).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(fail)) => fail.into_response(),
        Err(_) => Fail(Problem::of("internal")).into_response(),
    }
}

async fn known(app: Arc<App>, key: String, request: Request, next: Next) -> Answer<Response> {
    let (parts, body) = request.into_parts();
    let body =
        to_bytes(body, BODY_BYTES).await.map_err(|_| Fail(Problem::of("request.too-large")))?;
    let account = parts.extensions.get::<Who>().map(|it| it.account.clone()).unwrap_or_default();
    let name = sha256(format!("{account}\n{}\n{key}", parts.uri.path()).as_bytes()).to_string();
    let asked =
        sha256(&[parts.uri.query().unwrap_or_default().as_bytes(), b"\n", &body[..]].concat())
            .to_string();
    if !take(&app, &name, &asked).await? {
        let kept = app.store.reply(&name).await?;
        return match kept {
            Some(it) if it.request != asked => Err(Fail(Problem::of("idempotency.mismatch"))),
            Some(it) if it.status != 0 => Ok(replay(it)),
            Some(_) | None => {
                let mut problem = Problem::of("idempotency.pending");
                problem.retry_after = Some(Duration::from_secs(1));
                Err(Fail(problem))
            }
        };
    }
    let answer = next.run(Request::from_parts(parts, Body::from(body))).await;
    keep(&app, name, asked, answer).await
}

async fn take(app: &App, name: &str, asked: &str) -> Answer<bool> {
    let (name, asked, now) = (name.to_owned(), asked.to_owned(), app.clock.now());
    let taken = Arc::new(Mutex::new(false));
    let told = taken.clone();
    app.writer
        .note(move |conn| {
            let (name, asked, told) = (name.clone(), asked.clone(), told.clone());
            Box::pin(async move {
                let done = rows::take_reply(conn, &name, &asked, now, now.after(UNDER_WAY)).await?;
                *told.lock().unwrap_or_else(PoisonError::into_inner) = done;
                Ok(())
            })
        })
        .await?;
    let taken = *taken.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(taken)
}

/// Only what was done is kept: a refusal may be met by a second try.
async fn keep(app: &App, name: String, asked: String, answer: Response) -> Answer<Response> {
    if !answer.status().is_success() {
        app.writer
            .note(move |conn| {
                let name = name.clone();
                Box::pin(async move { rows::drop_reply(conn, &name).await })
            })
            .await?;
        return Ok(answer);
    }
    let (parts, body) = answer.into_parts();
    let body = to_bytes(body, REPLY_BYTES).await.map_err(|_| Fail(Problem::of("internal")))?;
    let kind = parts
        .headers
        .get(header::CONTENT_TYPE)
        .and_then(|it| it.to_str().ok())
        .unwrap_or_default()
        .to_owned();
    let row = ReplyRow {
        request: asked,
        status: parts.status.as_u16(),
        kind,
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    let until = app.clock.now().after(KEEP);
    app.writer
        .note(move |conn| {
            let (name, row) = (name.clone(), row.clone());
            Box::pin(async move { rows::save_reply(conn, &name, &row, until).await })
        })
        .await?;
    Ok(Response::from_parts(parts, Body::from(body)))
}

fn replay(it: ReplyRow) -> Response {
    let status = StatusCode::from_u16(it.status).unwrap_or(StatusCode::OK);
    let mut answer = (status, it.body).into_response();
    if let Ok(kind) = HeaderValue::from_str(&it.kind) {
        answer.headers_mut().insert(header::CONTENT_TYPE, kind);
    }
    answer.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    answer
}
