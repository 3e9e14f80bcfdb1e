//! The door: who calls, and whether that is enough for the route.
//!
//! Never a default yes: no token is 401, a token without the route's scope is 403.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::answer::{Answer, Fail};
use crate::accounts::{self, Scope, Who};
use crate::app::App;
use crate::people::{self, factor};
use crate::problem::Problem;

/// Where a connection comes from; the listener puts it into every request.
#[derive(Clone, Copy, Debug)]
pub struct From(pub SocketAddr);

/// Carries a code of the second factor with any call.
const CODE: &str = "tidm-code";

/// Lets a request through whose token carries the group's scope.
pub(super) async fn require(
    State((app, scope)): State<(Arc<App>, Scope)>,
    request: Request,
    next: Next,
) -> Response {
    through(&app, &[scope], request, next).await.unwrap_or_else(Fail::into_response)
}

/// Whoever reads data or looks after the node and its people.
pub(super) async fn require_some(
    State((app, scopes)): State<(Arc<App>, &'static [Scope])>,
    request: Request,
    next: Next,
) -> Response {
    through(&app, scopes, request, next).await.unwrap_or_else(Fail::into_response)
}

async fn through(
    app: &App,
    scopes: &[Scope],
    mut request: Request,
    next: Next,
) -> Answer<Response> {
    let headers = request.headers();
    let token = bearer(headers).map(str::to_owned);
    let code = headers.get(CODE).map(|it| it.to_str().unwrap_or_default().to_owned());
    let mut who = caller(app, token.as_deref()).await?;
    if let Some(code) = code {
        factor::prove(app, &mut who, &code).await?;
    }
    let mut denied = None;
    for scope in scopes {
        match who.check(*scope) {
            Ok(()) => {
                request.extensions_mut().insert(who);
                return Ok(next.run(request).await);
            }
            Err(why) => denied = denied.or(Some((*scope, why))),
        }
    }
    let Some((scope, why)) = denied else { return Err(Fail(Problem::of("auth.forbidden"))) };
    if scope.is_administrative() {
        let subject = format!("{} {}", request.method(), request.uri().path());
        people::refused(app, &who.account, "call", &subject, &why.reason()).await?;
    }
    Err(Fail(people::problem(&why)))
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

async fn caller(app: &App, token: Option<&str>) -> Answer<Who> {
    let found = match token {
        Some(token) => accounts::authenticate(app, token).await?,
        None => None,
    };
    if let Some(who) = found {
        return Ok(who);
    }
    let code = if accounts::setup_needed(app).await? { "setup.needed" } else { "auth.required" };
    let mut problem = Problem::of(code);
    // Whoever sends no token gets the same status before and after set-up.
    problem.status = 401;
    Err(Fail(problem))
}

/// The caller that [`require`] let through.
pub(super) struct Caller(pub(super) Who);

impl FromRequestParts<Arc<App>> for Caller {
    type Rejection = Fail;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self, Fail> {
        parts
            .extensions
            .get::<Who>()
            .cloned()
            .map(Self)
            .ok_or_else(|| Fail(Problem::of("auth.required")))
    }
}

/// Whether the caller sits at this very machine; not so behind a proxy, whose headers give it away.
pub(super) struct Local(pub(super) bool);

impl FromRequestParts<Arc<App>> for Local {
    type Rejection = Fail;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self, Fail> {
        let near =
            parts.extensions.get::<From>().is_some_and(|it| it.0.ip().to_canonical().is_loopback());
        let proxied = ["forwarded", "x-forwarded-for", "x-real-ip", "via"]
            .iter()
            .any(|it| parts.headers.contains_key(*it));
        Ok(Self(near && !proxied))
    }
}
