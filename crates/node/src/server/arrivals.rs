//! Where providers push what a transfer of ours delivers.
//!
//! Threat model: an address is made for one transfer, with a token of 32 random bytes of which only the digest is
//! kept. It takes bytes of that transfer while that is not suspended, until they are whole, and no more after; wrong,
//! unknown, resting and used tokens get the same answer. Bytes are bounded while they arrive
//! (`limits.upload_mib`), go to a file and never to memory, and become the contract's copy only if they have the
//! digest that came along. A sender that stops sending is cut off; one that comes back goes on where it stopped.
//!
//! Resuming follows the IETF draft *Resumable Uploads for HTTP*: HEAD tells `Upload-Offset` and `Upload-Complete`, PATCH
//! goes on at `Upload-Offset`. Who knows nothing of it sends the whole in one POST or PUT.
//!
//! Never answers 2xx before what arrived is durable.

use std::path::Path as File;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::{Extension, Router};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use futures::StreamExt as _;
use tokio::io::AsyncWriteExt as _;

use tidm_crypto::hash::{Digest, sha256};
use tidm_space::catalog::delivery::{HTTP_ADDRESS, Use, Way};
use tidm_space::engine::input::{Input, Wish};
use tidm_space::id::Id;
use tidm_space::limits::TRANSFER_RUNNING;
use tidm_space::transfer::message::DataAddress;
use tidm_space::transfer::state::Transfer;

use super::data::{bearer, granted, unauthorised};
use super::watch::{Cut, LOOK};
use crate::app::App;
use crate::jobs::arriving;
use crate::jobs::runs::Run;
use crate::jobs::sending::RESUMABLE;
use crate::lang::Lang;
use crate::problem::Problem;
use crate::random;
use crate::store::notes::{self, Grant};
use crate::store::writer::WorkError;

/// Below the public URL.
pub fn routes() -> Router<Arc<App>> {
    let methods = post(take).put(take).patch(take).head(progress);
    Router::new().route("/arrivals/{transfer}", methods.layer(DefaultBodyLimit::disable()))
}

/// A fresh address for a transfer that is about to be asked for.
pub async fn address(app: &App, contract: &Id, transfer: &Id) -> Result<DataAddress, WorkError> {
    let token = URL_SAFE_NO_PAD.encode(random::key().expose());
    let grant = Grant {
        contract: contract.clone(),
        transfer: transfer.clone(),
        token: sha256(token.as_bytes()),
        object: arriving::object_of(contract, "none"),
        // It ends with the transfer, which may rest; longer than a transfer nothing lives.
        until: app.clock.now().after(TRANSFER_RUNNING.saturating_mul(2)),
    };
    app.writer
        .note(move |conn| {
            let grant = grant.clone();
            Box::pin(async move { notes::save_grant(conn, &grant).await })
        })
        .await?;
    Ok(DataAddress {
        endpoint_type: HTTP_ADDRESS.to_owned(),
        endpoint: Some(format!("{}/arrivals/{transfer}", app.identity.public_url)),
        properties: vec![
            ("authorization".to_owned(), token),
            ("authType".to_owned(), "bearer".to_owned()),
            (RESUMABLE.to_owned(), "true".to_owned()),
        ],
    })
}

/// The transfer that this request's token is for.
async fn holder(app: &App, id: &str, headers: &HeaderMap) -> Result<Transfer, Response> {
    let (Some(token), Ok(id)) = (bearer(headers), Id::parse(id)) else {
        return Err(unauthorised());
    };
    match granted(app, &id, sha256(token.as_bytes())).await {
        Ok(Some((_, it))) if it.takes() && pushed(&it) => Ok(it),
        Ok(_) => Err(unauthorised()),
        Err(error) => Err(unavailable(&error.to_string())),
    }
}

fn pushed(it: &Transfer) -> bool {
    it.delivery().is_some_and(|it| it.way == Way::Push)
}

fn unavailable(why: &str) -> Response {
    tracing::error!(%why, "pushed bytes cannot be taken");
    (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "1")]).into_response()
}

fn refused(app: &App, headers: &HeaderMap, code: &'static str) -> Response {
    let wanted = headers.get(header::ACCEPT_LANGUAGE).and_then(|it| it.to_str().ok());
    Problem::of(code).response(Lang::negotiate(wanted, app.config.node.lang))
}

/// How far it came.
fn told(mut answer: Response, offset: u64, complete: bool) -> Response {
    let headers = answer.headers_mut();
    headers.insert("upload-offset", HeaderValue::from(offset));
    let complete = HeaderValue::from_static(if complete { "?1" } else { "?0" });
    headers.insert("upload-complete", complete);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

async fn progress(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    let it = match holder(&app, &id, &headers).await {
        Ok(it) => it,
        Err(answer) => return answer,
    };
    let found = async {
        if let Some(copy) = arriving::kept(&app, &it).await? {
            return Ok((copy.bytes, true));
        }
        Ok::<_, anyhow::Error>((arriving::length(&arriving::partial(&app, &it.id)?).await?, false))
    };
    match found.await {
        Ok((offset, complete)) => told(StatusCode::NO_CONTENT.into_response(), offset, complete),
        Err(error) => unavailable(&format!("{error:#}")),
    }
}

/// What a sender says of its bytes.
struct Said {
    offset: u64,
    /// Nothing follows after this request.
    last: bool,
    sha256: Option<Digest>,
}

impl Said {
    fn of(method: &Method, headers: &HeaderMap) -> Option<Self> {
        let text = |name: &str| headers.get(name).and_then(|it| it.to_str().ok()).map(str::trim);
        let offset = match (method == Method::PATCH, text("upload-offset")) {
            (true, None) => return None,
            (_, Some(offset)) => offset.parse().ok()?,
            (false, None) => 0,
        };
        let last = text("upload-complete") != Some("?0");
        Some(Self { offset, last, sha256: text("repr-digest").and_then(read_digest) })
    }
}

/// SHA-256 in a `Repr-Digest` (RFC 9530 §3).
fn read_digest(text: &str) -> Option<Digest> {
    let mut all = text.split(',').filter_map(|it| it.trim().split_once('='));
    let (_, value) = all.find(|(name, _)| name.trim().eq_ignore_ascii_case("sha-256"))?;
    let bytes = value.trim().strip_prefix(':')?.strip_suffix(':')?;
    Some(Digest(STANDARD.decode(bytes).ok()?.try_into().ok()?))
}

async fn take(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    connection: Option<Extension<Cut>>,
    method: Method,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let it = match holder(&app, &id, &headers).await {
        Ok(it) => it,
        Err(answer) => return answer,
    };
    let Some(said) = Said::of(&method, &headers) else {
        return refused(&app, &headers, "request.malformed");
    };
    let Some(run) = app.runs.take_over(&it.id, it.created).await else {
        return refused(&app, &headers, "delivery.broken");
    };
    // On its own: what is whole is kept even if the sender does not wait for our answer.
    let taking = tokio::spawn({
        let app = app.clone();
        async move { taken(&app, &it, said, body, run).await }
    });
    let outcome = match taking.await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(error)) => return unavailable(&format!("{error:#}")),
        Err(error) => return unavailable(&error.to_string()),
    };
    match outcome {
        Taken::Part(offset) => told(StatusCode::NO_CONTENT.into_response(), offset, false),
        Taken::Whole(bytes) => told(StatusCode::NO_CONTENT.into_response(), bytes, true),
        Taken::Elsewhere(offset) => told(refused(&app, &headers, "delivery.offset"), offset, false),
        Taken::Broken => {
            if let Some(Extension(cut)) = connection {
                cut.now();
            }
            refused(&app, &headers, "delivery.broken")
        }
        Taken::TooLarge => refused(&app, &headers, "delivery.too-large"),
        Taken::Other => refused(&app, &headers, "delivery.digest"),
        Taken::Over => unauthorised(),
    }
}

/// What came of a request that brings bytes.
enum Taken {
    Whole(u64),
    /// More is to follow.
    Part(u64),
    /// It does not go on where it stopped.
    Elsewhere(u64),
    /// The sender, or whatever stopped the transfer, broke it off. What came is kept.
    Broken,
    TooLarge,
    /// Not the bytes that were announced.
    Other,
    /// The contract ended meanwhile.
    Over,
}

async fn taken(
    app: &Arc<App>,
    it: &Transfer,
    said: Said,
    body: Body,
    run: Run,
) -> anyhow::Result<Taken> {
    if let Some(copy) = arriving::kept(app, it).await? {
        return Ok(Taken::Whole(copy.bytes));
    }
    let partial = arriving::partial(app, &it.id)?;
    let here = arriving::length(&partial).await?;
    if said.offset != 0 && said.offset != here {
        return Ok(Taken::Elsewhere(here));
    }
    let outcome = written(app, it, &said, body, &partial, &run).await?;
    if let Taken::Part(bytes) = outcome
        && said.last
    {
        return whole(app, it, &said, &partial, bytes).await;
    }
    Ok(outcome)
}

/// Appends the body to the file. What came before it broke off stays.
async fn written(
    app: &Arc<App>,
    it: &Transfer,
    said: &Said,
    body: Body,
    partial: &File,
    run: &Run,
) -> anyhow::Result<Taken> {
    let mut file = arriving::open(partial, said.offset).await?;
    let mut bytes = said.offset;
    let mut pieces = body.into_data_stream();
    let mut look = tokio::time::interval(LOOK);
    let mut last = tokio::time::Instant::now();
    let outcome = loop {
        tokio::select! {
            piece = pieces.next() => match piece {
                None => break Taken::Part(bytes),
                Some(Err(_)) => break Taken::Broken,
                Some(Ok(piece)) => {
                    bytes = bytes.saturating_add(piece.len() as u64);
                    if bytes > app.config.limits.upload_bytes {
                        break Taken::TooLarge;
                    }
                    file.write_all(&piece).await?;
                    last = tokio::time::Instant::now();
                }
            },
            // Asked even while the sender says nothing: a suspension cuts a silent connection, too.
            _ = look.tick() => {
                let silent = last.elapsed() >= app.config.limits.stalled;
                if silent || !takes(app, it).await {
                    break Taken::Broken;
                }
            }
            () = run.replaced() => break Taken::Broken,
        }
    };
    file.flush().await?;
    file.sync_all().await?;
    if matches!(outcome, Taken::TooLarge) {
        arriving::forget(partial).await?;
    }
    Ok(outcome)
}

/// A store that does not answer for a moment has stopped nothing.
async fn takes(app: &App, it: &Transfer) -> bool {
    let contract = app.store.contract(&it.contract).await;
    let stands = contract.map_or(true, |it| it.is_some_and(|it| it.is_active()));
    let now = app.store.transfer(&it.id).await;
    stands && now.map_or(true, |now| now.is_some_and(|now| now.takes()))
}

async fn whole(
    app: &Arc<App>,
    it: &Transfer,
    said: &Said,
    partial: &File,
    bytes: u64,
) -> anyhow::Result<Taken> {
    let (here, content) = arriving::digest(partial).await?;
    anyhow::ensure!(here == bytes, "a partial file changed while it was read");
    if said.sha256.is_some_and(|it| it != content) {
        arriving::forget(partial).await?;
        return Ok(Taken::Other);
    }
    let sealed = match it.delivery().map(|it| it.kind) {
        Some(Use::SealedTable) => "table",
        Some(Use::SealedFile) => "file",
        Some(Use::Plain | Use::Query | Use::Psi) | None => "none",
    };
    if !arriving::keep(app, it, partial, (bytes, content), sealed).await? {
        return Ok(Taken::Over);
    }
    let wish = Wish::Arrived { transfer: it.id.clone(), bytes, content };
    app.writer.run(Input::Wish(Box::new(wish))).await?;
    metrics::counter!("tidm_arrivals_total").increment(1);
    Ok(Taken::Whole(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_that_senders_tell() {
        let known = sha256(b"x");
        let text = STANDARD.encode(known.as_bytes());
        for (said, found) in [
            (format!("sha-256=:{text}:"), Some(known)),
            (format!("sha-512=:AAAA:, SHA-256=:{text}: "), Some(known)),
            (format!("sha-256={text}"), None),
            ("sha-256=:AAAA:".to_owned(), None),
            ("sha-256=::".to_owned(), None),
            ("sha-256".to_owned(), None),
            (String::new(), None),
        ] {
            assert_eq!(read_digest(&said), found, "{said:?}");
        }
    }

    #[test]
    fn what_a_request_says() {
        for (method, pairs, wanted) in [
            (Method::POST, &[][..], Some((0, true))),
            (Method::PUT, &[("upload-complete", "?0")], Some((0, false))),
            (Method::PATCH, &[("upload-offset", "7")], Some((7, true))),
            (Method::PATCH, &[], None),
            (Method::PATCH, &[("upload-offset", "x")], None),
            (Method::PATCH, &[("upload-offset", "99999999999999999999999")], None),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.insert(*name, HeaderValue::from_static(value));
            }
            let said = Said::of(&method, &headers).map(|it| (it.offset, it.last));
            assert_eq!(said, wanted, "{method} {pairs:?}");
        }
    }
}
