//! What handlers take out of a request, each failure a problem that names the field.
//!
//! Never a lenient reader: unknown fields are errors where a body is ours to define.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::header;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use tidm_space::id::Id;

use super::answer::Fail;
use crate::app::App;
use crate::lang::Lang;
use crate::problem::Problem;

/// A JSON body.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Arc<App>> for Body<T> {
    type Rejection = Fail;

    async fn from_request(request: Request, state: &Arc<App>) -> Result<Self, Fail> {
        let json = request
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|it| it.to_str().ok())
            .is_some_and(|it| {
                it.split(';')
                    .next()
                    .unwrap_or_default()
                    .trim()
                    .eq_ignore_ascii_case("application/json")
            });
        if !json {
            return Err(Fail(
                Problem::of("request.malformed")
                    .detail("content-type: application/json is expected"),
            ));
        }
        let bytes = Bytes::from_request(request, state).await.map_err(|why| {
            let code = if why.status().as_u16() == 413 {
                "request.too-large"
            } else {
                "request.malformed"
            };
            Fail(Problem::of(code))
        })?;
        let it = serde_json::from_slice(&bytes)
            .map_err(|why| Fail(Problem::of("request.malformed").detail(why.to_string())))?;
        Ok(Self(it))
    }
}

/// Query parameters.
pub(super) struct Params<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequestParts<Arc<App>> for Params<T> {
    type Rejection = Fail;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self, Fail> {
        match Query::<T>::try_from_uri(&parts.uri) {
            Ok(Query(it)) => Ok(Self(it)),
            Err(why) => Err(Fail(Problem::of("request.malformed").detail(why.body_text()))),
        }
    }
}

/// The one id in the path.
pub(super) struct OneId(pub(super) Id);

impl FromRequestParts<Arc<App>> for OneId {
    type Rejection = Fail;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<App>) -> Result<Self, Fail> {
        let found = Path::<String>::from_request_parts(parts, state).await;
        let Path(text) = found.map_err(|_| Fail::field("id", "not readable"))?;
        Ok(Self(Id::parse(&text)?))
    }
}

/// The reader's language.
#[derive(Clone, Copy)]
pub(super) struct Speak(pub(super) Lang);

impl Speak {
    /// As the core calls it.
    pub(super) fn core(self) -> tidm_space::lang::Lang {
        self.0.pick(tidm_space::lang::Lang::Zh, tidm_space::lang::Lang::En)
    }
}

impl FromRequestParts<Arc<App>> for Speak {
    type Rejection = Fail;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Fail> {
        let wanted = parts.headers.get(header::ACCEPT_LANGUAGE).and_then(|it| it.to_str().ok());
        Ok(Self(Lang::negotiate(wanted, app.config.node.lang)))
    }
}
