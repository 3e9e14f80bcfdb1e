//! Answers of the protocol endpoints: JSON bodies, typed errors, and what a stranger may learn.
//!
//! Never tells an unauthorised caller that something exists: DSP answers 404 there (DSP §8.2, §10.2).

use std::io::Write as _;

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;

use tidm_space::fault::Fault;

use crate::app::App;
use crate::net::auth::{self, Caller};
use crate::store::writer::WorkError;

/// A JSON document.
pub fn json(status: StatusCode, body: impl Into<Bytes>) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body.into()).into_response()
}

/// Shorter ones gain nothing.
const PACKED: usize = 1024;

/// A JSON document, compressed where the caller takes that (RFC 9110 §12.5.3).
pub fn packed(headers: &HeaderMap, body: String) -> Response {
    let mut out = match gzip(headers, &body) {
        Some(bytes) => {
            let mut out = json(StatusCode::OK, bytes);
            let gzip = HeaderValue::from_static("gzip");
            out.headers_mut().insert(header::CONTENT_ENCODING, gzip);
            out
        }
        None => json(StatusCode::OK, body),
    };
    out.headers_mut().insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    out
}

fn gzip(headers: &HeaderMap, body: &str) -> Option<Vec<u8>> {
    if body.len() < PACKED || !takes_gzip(headers) {
        return None;
    }
    let mut out = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    // Into memory: it cannot fail, and if it did the plain form stands.
    out.write_all(body.as_bytes()).ok()?;
    out.finish().ok()
}

fn takes_gzip(headers: &HeaderMap) -> bool {
    let all = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|it| it.to_str().ok());
    all.flat_map(|it| it.split(',')).any(|one| {
        let mut parts = one.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let refused = parts.any(|it| {
            it.strip_prefix("q=").and_then(|it| it.parse::<f32>().ok()).is_some_and(|it| it <= 0.0)
        });
        (name.eq_ignore_ascii_case("gzip") || name == "*") && !refused
    })
}

/// Whether the caller holds this very form already (RFC 9110 §13.1.2).
pub fn holds(headers: &HeaderMap, tag: &str) -> bool {
    let all = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|it| it.to_str().ok());
    all.flat_map(|it| it.split(',')).any(|it| {
        let it = it.trim();
        it == "*" || it.strip_prefix("W/").unwrap_or(it) == tag
    })
}

/// Which status a fault has towards a peer.
pub fn status(fault: &Fault) -> StatusCode {
    match fault {
        Fault::PeerMisbehaved { .. } | Fault::PeerIncompatible { .. } | Fault::Refused { .. } => {
            StatusCode::BAD_REQUEST
        }
        Fault::Denied { code, .. } if code.starts_with("token.") || code.starts_with("member.") => {
            StatusCode::NOT_FOUND
        }
        Fault::Denied { .. } => StatusCode::FORBIDDEN,
        Fault::NotFound { .. } => StatusCode::NOT_FOUND,
        Fault::Conflict { .. } => StatusCode::CONFLICT,
        Fault::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
        Fault::ApiMisuse(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// A refusal as a typed error body, written by `body` from the fault.
pub fn refusal(error: WorkError, body: impl FnOnce(&Fault) -> String) -> Response {
    let fault = match error {
        WorkError::Fault(fault) => fault,
        WorkError::Store(reason) => {
            tracing::error!(%reason, "the store failed while answering a peer");
            unavailable()
        }
        WorkError::Stopping => unavailable(),
    };
    if let Fault::ApiMisuse(what) = &fault {
        tracing::error!(what, "a fault of our own while answering a peer");
    } else {
        tracing::info!(code = fault.code(), %fault, "refused a peer's message");
    }
    metrics::counter!("tidm_peer_messages_refused_total", "code" => fault.code()).increment(1);
    json(status(&fault), body(&fault))
}

fn unavailable() -> Fault {
    Fault::Unavailable {
        reason: "try again".to_owned(),
        retry_after: std::time::Duration::from_secs(1),
    }
}

/// Who calls, or the answer for strangers.
pub async fn caller(app: &App, headers: &HeaderMap) -> Result<Caller, WorkError> {
    let authorization = headers.get(header::AUTHORIZATION).and_then(|it| it.to_str().ok());
    Ok(auth::check(authorization, &app.identity.did, &app.directory, &app.clock).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: header::HeaderName, value: &str) -> HeaderMap {
        let mut all = HeaderMap::new();
        all.insert(name, HeaderValue::from_str(value).unwrap());
        all
    }

    #[test]
    fn compressed_only_for_those_who_take_it() {
        for (accepts, taken) in [
            ("gzip", true),
            ("br, GZIP;q=0.5", true),
            ("*", true),
            ("gzip;q=0", false),
            ("gzip; q=0.0, br", false),
            ("br", false),
            ("", false),
        ] {
            assert_eq!(takes_gzip(&headers(header::ACCEPT_ENCODING, accepts)), taken, "{accepts}");
        }
        assert!(!takes_gzip(&HeaderMap::new()));
        let long = "轴承".repeat(1000);
        let all = headers(header::ACCEPT_ENCODING, "gzip");
        assert!(gzip(&all, &long).is_some_and(|it| it.len() < long.len() / 10));
        assert_eq!(gzip(&all, "short"), None);
    }

    #[test]
    fn tags_are_compared_weakly() {
        for (held, same) in [
            ("\"a\"", true),
            ("W/\"a\"", true),
            ("\"b\", \"a\"", true),
            ("*", true),
            ("\"b\"", false),
        ] {
            assert_eq!(holds(&headers(header::IF_NONE_MATCH, held), "\"a\""), same, "{held}");
        }
    }
}
