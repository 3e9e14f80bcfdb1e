//! The door: who calls, and whether that is enough for the route; and what came of it, in the log of what people did.
//!
//! Each call that changes something or uses data, and each refusal, is an entry there: who, method and template of the
//! route, ids, outcome. What else was read is counted: one entry a minute for account and route. Never a body, a query or
//! an address of the caller's.
//!
//! Never a default yes: no token is 401, a token without the route's scope is 403.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use axum::extract::{FromRequestParts, MatchedPath, RawPathParams, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use tidm_space::people::log::ANONYMOUS;

use super::answer::{Answer, Fail};
use crate::accounts::{self, Scope, Who};
use crate::app::App;
use crate::people::{self, diary, factor};
use crate::problem::Problem;
use crate::store::people::Said;

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
    app: &Arc<App>,
    scopes: &[Scope],
    request: Request,
    next: Next,
) -> Answer<Response> {
    let (mut parts, body) = request.into_parts();
    let call = Call::of(&mut parts, scopes).await;
    let token = bearer(&parts.headers).map(str::to_owned);
    let code = parts.headers.get(CODE).map(|it| it.to_str().unwrap_or_default().to_owned());
    let mut who = match caller(app, token.as_deref()).await {
        Ok(it) => it,
        Err(fail) => {
            if fail.0.status == 401 && (call.noted || token.is_some()) {
                diary::refused(app, ANONYMOUS, call.act, "", fail.0.code).await?;
            }
            return Err(fail);
        }
    };
    who.from = origin(&parts);
    if let Some(code) = code {
        factor::prove(app, &mut who, &code).await?;
    }
    let mut denied = None;
    for scope in scopes {
        match who.check(*scope) {
            Ok(()) => {
                parts.extensions.insert(who.clone());
                let request = Request::from_parts(parts, body);
                return noted(app, call, who, next.run(request)).await;
            }
            Err(why) => denied = denied.or(Some(why)),
        }
    }
    let Some(why) = denied else { return Err(Fail(Problem::of("auth.forbidden"))) };
    diary::refused(app, &who.account, call.act, &call.subject, &why.reason()).await?;
    Err(Fail(people::problem(&why)))
}

/// A call as the log knows it.
struct Call {
    /// Method and template of the route.
    act: String,
    /// The ids of its path.
    subject: String,
    /// Whether it is an entry of its own when it is done, too: it changes something, or hands out data. A handler that
    /// does neither says so ([`Who::logged`]).
    noted: bool,
    reads: bool,
}

impl Call {
    async fn of(parts: &mut Parts, scopes: &[Scope]) -> Self {
        let route = parts.extensions.get::<MatchedPath>().map(|it| it.as_str().to_owned());
        let route = route.unwrap_or_default();
        let route = route.strip_prefix("/api/v1").unwrap_or(&route);
        let ids = match RawPathParams::from_request_parts(parts, &()).await {
            Ok(all) => all.iter().map(|(_, value)| value.to_owned()).collect::<Vec<_>>().join(" "),
            Err(_) => String::new(),
        };
        let reads = [Method::GET, Method::HEAD, Method::OPTIONS].contains(&parts.method);
        Self {
            act: format!("{} {route}", parts.method),
            subject: diary::plain(&ids),
            noted: !reads || scopes.contains(&Scope::Use),
            reads,
        }
    }
}

/// Writes the entry of a call whose caller went away before its end.
struct Open<'a> {
    app: &'a App,
    said: Option<Said>,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        if let Some(mut said) = self.said.take() {
            said.refused = None;
            said.left = true;
            self.app.diary.leave(&self.app.writer, said);
        }
    }
}

/// Runs the call; its answer goes out when its entry is durable, or when it is counted.
async fn noted(
    app: &App,
    call: Call,
    who: Who,
    running: impl Future<Output = Response>,
) -> Answer<Response> {
    let failed = |it: &Response| it.status().is_client_error() || it.status().is_server_error();
    if !call.noted {
        let answer = running.await;
        if !failed(&answer) {
            app.diary.read(&app.writer, app.clock.now(), &who.account, &call.act);
        }
        return Ok(answer);
    }
    let act = call.act.clone();
    let said = Said {
        act: call.act.into(),
        subject: call.subject,
        who: who.account.clone(),
        ..Said::done(app.clock.now(), "", "", "")
    };
    let mut open = Open { app, said: Some(said) };
    let answer = running.await;
    let Some(mut said) = open.said.take().filter(|_| !who.is_logged()) else {
        if call.reads && !failed(&answer) {
            app.diary.read(&app.writer, app.clock.now(), &who.account, &act);
        }
        return Ok(answer);
    };
    said.at = app.clock.now();
    if let Some(about) = who.subject().filter(|_| said.subject.is_empty()) {
        said.subject = about;
    }
    if !failed(&answer) {
        app.diary.write(&app.writer, said).await?;
        return Ok(answer);
    }
    let why = match answer.extensions().get::<Arc<Problem>>() {
        Some(it) => match &it.cause {
            Some(cause) => format!("{}: {cause}", it.code),
            None => it.code.to_owned(),
        },
        None => answer.status().as_str().to_owned(),
    };
    diary::refused(app, &said.who, said.act, &said.subject, &why).await?;
    Ok(answer)
}

/// The address that tries are counted by: of IPv6 the network, since one caller has all of it.
fn origin(parts: &Parts) -> String {
    match parts.extensions.get::<From>().map(|it| it.0.ip().to_canonical()) {
        None => accounts::NOWHERE.to_owned(),
        Some(IpAddr::V4(it)) => it.to_string(),
        Some(IpAddr::V6(it)) => Ipv6Addr::from((u128::from(it) >> 64) << 64).to_string(),
    }
}

/// Where a call without a token comes from.
pub(super) struct Origin(pub(super) String);

impl FromRequestParts<Arc<App>> for Origin {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self, Self::Rejection> {
        Ok(Self(origin(parts)))
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
