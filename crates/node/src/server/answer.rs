//! Answers of the protocol endpoints: JSON bodies, typed errors, and what a stranger may learn.
//!
//! Never tells an unauthorised caller that something exists: DSP answers 404 there (DSP §8.2, §10.2).

use std::convert::Infallible;
use std::net::IpAddr;
use std::ops::Deref;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

use tidm_space::fault::Fault;

use crate::api::auth::From;
use crate::app::App;
use crate::net::auth::{Caller, Proof};
use crate::net::certificates::Chain;
use crate::store::writer::WorkError;

/// A JSON document.
pub fn json(status: StatusCode, body: impl Into<Bytes>) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body.into()).into_response()
}

/// Codes of refusals that say who somebody is not.
const STRANGERS: [&str; 7] =
    ["token.", "certificate.", "member.", "members.", "presentation.", "credential.", "status."];

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
        Fault::Denied { code, .. } if STRANGERS.iter().any(|it| code.starts_with(it)) => {
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

/// A request's headers, and the certificate of the connection on which it came.
pub struct Presented {
    headers: HeaderMap,
    certificate: Option<Arc<Chain>>,
    address: Option<IpAddr>,
}

impl Presented {
    /// Where the connection comes from.
    pub fn address(&self) -> Option<IpAddr> {
        self.address
    }
}

impl Deref for Presented {
    type Target = HeaderMap;

    fn deref(&self) -> &HeaderMap {
        &self.headers
    }
}

impl<S: Sync> FromRequestParts<S> for Presented {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let certificate = parts.extensions.get::<Arc<Chain>>().cloned();
        let address = parts.extensions.get::<From>().map(|it| it.0.ip());
        Ok(Self { headers: parts.headers.clone(), certificate, address })
    }
}

/// Who calls, or the answer for strangers.
pub async fn caller(app: &App, presented: &Presented) -> Result<Caller, WorkError> {
    let authorization = presented.get(header::AUTHORIZATION).and_then(|it| it.to_str().ok());
    let shown = Proof { authorization, certificate: presented.certificate.as_deref() };
    let found = app.gate.check(shown, app).await?;
    Ok(Caller { address: presented.address, ..found })
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(name: header::HeaderName, value: &str) -> HeaderMap {
        let mut all = HeaderMap::new();
        all.insert(name, HeaderValue::from_str(value).unwrap());
        all
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
