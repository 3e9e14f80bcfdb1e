//! How the API says what went wrong: problems travel as themselves and are put into words last.
//!
//! Never an internal error's text: that is logged here, and only its code leaves.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use tidm_space::fault::Fault;
use tidm_space::id::BadId;

use crate::app::App;
use crate::lang::Lang;
use crate::objects::ObjectError;
use crate::problem::{MEDIA_TYPE, Problem};
use crate::store::StoreError;
use crate::store::writer::WorkError;

/// A failure of a handler.
#[derive(Debug)]
pub(super) struct Fail(pub(super) Problem);

pub(super) type Answer<T> = Result<T, Fail>;

impl Fail {
    pub(super) fn not_found(what: &'static str) -> Self {
        Fault::NotFound { what }.into()
    }

    /// A field of the request that is wrong.
    pub(super) fn field(name: &str, why: impl std::fmt::Display) -> Self {
        Self(Problem::of("request.malformed").detail(format!("{name}: {why}")))
    }

    fn internal(error: &dyn std::fmt::Display) -> Self {
        tracing::error!(%error, "a call of the API failed");
        Self(Problem::of("internal"))
    }
}

impl From<Problem> for Fail {
    fn from(it: Problem) -> Self {
        Self(it)
    }
}

impl From<Fault> for Fail {
    fn from(fault: Fault) -> Self {
        if let Fault::ApiMisuse(what) = &fault {
            tracing::error!(what, "a fault of our own behind the API");
        }
        Self(fault.into())
    }
}

impl From<WorkError> for Fail {
    fn from(error: WorkError) -> Self {
        match error {
            WorkError::Fault(fault) => fault.into(),
            WorkError::Store(reason) => Self::internal(&reason),
            WorkError::Stopping => Self(Problem::of("unavailable").detail("the node is stopping")),
        }
    }
}

impl From<StoreError> for Fail {
    fn from(error: StoreError) -> Self {
        if let StoreError::TooMany { .. } = error {
            return Self(Problem::of("request.too-large").detail(error.to_string()));
        }
        Self::internal(&error)
    }
}

impl From<ObjectError> for Fail {
    fn from(error: ObjectError) -> Self {
        match error {
            ObjectError::Missing(what) => Self(Problem::of("object.missing").cause(what)),
            ObjectError::TooLarge(most) => {
                Self(Problem::of("request.too-large").detail(format!("at most {most} bytes")))
            }
            ObjectError::Key
            | ObjectError::Changed(_)
            | ObjectError::Kept(_)
            | ObjectError::Setup(_)
            | ObjectError::Denied
            | ObjectError::Failed(_)
            | ObjectError::Source(_) => Self::internal(&error),
        }
    }
}

impl From<BadId> for Fail {
    fn from(error: BadId) -> Self {
        Self(Problem::of("request.malformed").detail(error.to_string()))
    }
}

/// A job's error: a fault inside says it all, anything else stays here.
impl From<anyhow::Error> for Fail {
    fn from(error: anyhow::Error) -> Self {
        let error = match error.downcast::<WorkError>() {
            Ok(work) => return work.into(),
            Err(error) => error,
        };
        match error.downcast::<Fault>() {
            Ok(fault) => fault.into(),
            Err(error) => Self::internal(&format!("{error:#}")),
        }
    }
}

impl IntoResponse for Fail {
    fn into_response(self) -> Response {
        let status =
            StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut answer = status.into_response();
        answer.extensions_mut().insert(Arc::new(self.0));
        answer
    }
}

pub(super) async fn no_such_path() -> Fail {
    Fail::not_found("path")
}

pub(super) async fn no_such_method() -> Fail {
    Fail(Problem::of("request.method"))
}

/// Puts problems into the reader's language, and marks every answer as not for caches.
pub(super) async fn localise(
    State(app): State<Arc<App>>,
    request: Request,
    next: Next,
) -> Response {
    let wanted = request
        .headers()
        .get(header::ACCEPT_LANGUAGE)
        .and_then(|it| it.to_str().ok())
        .map(str::to_owned);
    let mut answer = next.run(request).await;
    let problem = answer.extensions_mut().remove::<Arc<Problem>>().or_else(|| unspoken(&answer));
    if let Some(problem) = problem {
        let lang = Lang::negotiate(wanted.as_deref(), app.config.node.lang);
        let allow = answer.headers().get(header::ALLOW).cloned();
        answer = problem.response(lang);
        if let Some(allow) = allow {
            answer.headers_mut().insert(header::ALLOW, allow);
        }
        if problem.status == 401 {
            answer.headers_mut().insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Bearer realm=\"tidm\""),
            );
        }
    }
    let headers = answer.headers_mut();
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.append(header::VARY, HeaderValue::from_static("accept-language"));
    answer
}

/// A refusal of the framework itself: said in our words.
fn unspoken(answer: &Response) -> Option<Arc<Problem>> {
    let status = answer.status();
    let ours = answer.headers().get(header::CONTENT_TYPE).is_some_and(|it| it == MEDIA_TYPE);
    if ours || !(status.is_client_error() || status.is_server_error()) {
        return None;
    }
    let code = match status {
        StatusCode::NOT_FOUND => "not-found",
        StatusCode::METHOD_NOT_ALLOWED => "request.method",
        StatusCode::PAYLOAD_TOO_LARGE => "request.too-large",
        it if it.is_client_error() => "request.malformed",
        _ => "internal",
    };
    Some(Arc::new(Problem::of(code)))
}
