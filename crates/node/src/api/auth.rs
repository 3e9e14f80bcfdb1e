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
use crate::problem::Problem;

/// Where a connection comes from; the listener puts it into every request.
#[derive(Clone, Copy, Debug)]
pub struct From(pub SocketAddr);

/// Lets a request through whose token carries the group's scope.
pub(super) async fn require(
    State((app, scope)): State<(Arc<App>, Scope)>,
    mut request: Request,
    next: Next,
) -> Response {
    let token = bearer(request.headers()).map(str::to_owned);
    match caller(&app, token.as_deref()).await {
        Ok(who) if who.may(scope) => {
            request.extensions_mut().insert(who);
            next.run(request).await
        }
        Ok(_) => Fail(Problem::of("auth.forbidden").cause(format!("scope {}", scope.word())))
            .into_response(),
        Err(fail) => fail.into_response(),
    }
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
