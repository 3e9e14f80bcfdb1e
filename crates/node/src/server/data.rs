//! The data plane: what a transfer delivers, fetched with the token of that transfer.
//!
//! Threat model: a token is 32 random bytes of which only the digest is kept; it opens one object, as long as its
//! transfer is started, its contract stands and the terms of plain bytes hold, and a download under way ends with it. Wrong, unknown, resting and
//! dead tokens get the same answer. Connections and speed are bounded by contract ([`super::budget`]): a consumer who
//! opens thousands starves only itself.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Extension, Router};

use tidm_crypto::hash::{Digest, sha256};
use tidm_crypto::secret::ct_eq;
use tidm_space::catalog::delivery::Use;
use tidm_space::contract::Contract;
use tidm_space::id::Id;
use tidm_space::lease::delivery::deliverable;
use tidm_space::negotiation::message::Role;
use tidm_space::transfer::state::Transfer;

use super::budget::Place;
use super::range::{self, Sent};
use super::watch::{self, Cut};
use crate::app::App;
use crate::jobs::sending;
use crate::lang::Lang;
use crate::objects::Key;
use crate::problem::Problem;
use crate::store::StoreError;
use crate::store::notes::Grant;

/// Below the public URL.
pub fn routes() -> Router<Arc<App>> {
    Router::new().route("/data/{transfer}", get(data))
}

async fn data(
    State(app): State<Arc<App>>,
    Path(transfer): Path<String>,
    connection: Option<Extension<Cut>>,
    method: Method,
    headers: HeaderMap,
) -> Response {
    let Some(token) = bearer(&headers) else { return unauthorised() };
    let Ok(transfer) = Id::parse(&transfer) else { return unauthorised() };
    let token = sha256(token.as_bytes());
    let grant = match standing(&app, &transfer, token).await {
        Ok(Some(grant)) => grant,
        Ok(None) => return unauthorised(),
        Err(error) => return failed(&error.to_string()),
    };
    let bounds = match app.store.contract(&grant.contract).await {
        Ok(Some(contract)) => sending::bounds(&app, &contract),
        Ok(None) => return unauthorised(),
        Err(error) => return failed(&error.to_string()),
    };
    let Some(place) = app.budgets.take(&grant.contract, bounds) else {
        return busy(&app, &headers);
    };
    let held = (place, connection.map(|it| it.0));
    match send(&app, grant, token, &method, &headers, held).await {
        Ok(answer) => answer,
        Err(error) => failed(&error.to_string()),
    }
}

/// The bearer token of a request.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    // DSP leaves open how a token travels: with its scheme, or alone.
    let (scheme, token) = value.trim().split_once(' ').unwrap_or_else(|| ("bearer", value.trim()));
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token.trim())
}

/// The grant of a transfer that delivers, if this token is its token, its time has not run out, its contract stands and, of
/// plain bytes, its terms let them leave at this moment.
async fn standing(app: &App, transfer: &Id, token: Digest) -> Result<Option<Grant>, StoreError> {
    let Some((grant, it)) = granted(app, transfer, token).await? else { return Ok(None) };
    if it.role != Role::Provider || !it.delivers() {
        return Ok(None);
    }
    // A suspended contract delivers nothing, also before its transfers have heard of it.
    let contract = app.store.contract(&grant.contract).await?.filter(Contract::is_active);
    let now = app.clock.now();
    // What is sealed is held against the terms when it is opened.
    let may = |of: &Contract| {
        it.delivery()
            .is_some_and(|it| it.kind != Use::Plain || deliverable(of, it.kind, now).is_ok())
    };
    Ok(contract.is_some_and(|it| may(&it)).then_some(grant))
}

/// The grant that this token is for, and its transfer.
pub(super) async fn granted(
    app: &App,
    transfer: &Id,
    token: Digest,
) -> Result<Option<(Grant, Transfer)>, StoreError> {
    let grant = app.store.grant(transfer).await?;
    // Always compared, so that an unknown transfer takes as long as a wrong token.
    let known = grant.as_ref().map_or(Digest([0; 32]), |it| it.token);
    let same = ct_eq(known.as_bytes(), token.as_bytes());
    let Some(grant) = grant.filter(|it| same && app.clock.now() < it.until) else {
        return Ok(None);
    };
    Ok(app.store.transfer(transfer).await?.map(|it| (grant, it)))
}

/// All connections of the contract are taken.
pub(super) fn busy(app: &App, headers: &HeaderMap) -> Response {
    metrics::counter!("tidm_deliveries_busy_total").increment(1);
    let wanted = headers.get(header::ACCEPT_LANGUAGE).and_then(|it| it.to_str().ok());
    let mut problem = Problem::of("delivery.busy");
    problem.retry_after = Some(std::time::Duration::ZERO);
    problem.response(Lang::negotiate(wanted, app.config.node.lang))
}

async fn send(
    app: &Arc<App>,
    grant: Grant,
    token: Digest,
    method: &Method,
    headers: &HeaderMap,
    (place, connection): (Place, Option<Cut>),
) -> anyhow::Result<Response> {
    let sha256 = digest_of(app, &grant).await?;
    let key = Key::parse(&grant.object)?;
    let bytes = app.objects.head(&key).await?.bytes;
    let sent = Sent { key, bytes, sha256 };
    let (watched, transfer) = (app.clone(), grant.transfer);
    let rule: watch::Rule = Box::new(move || {
        let (app, transfer) = (watched.clone(), transfer.clone());
        // A store that does not answer for a moment is no revocation; the next look will tell.
        Box::pin(
            async move { standing(&app, &transfer, token).await.map_or(true, |it| it.is_some()) },
        )
    });
    metrics::counter!("tidm_downloads_total").increment(1);
    let stalled = app.config.limits.stalled;
    let guard = range::Guard { rule, place: Some(place), connection, stalled };
    Ok(range::answer(&app.objects, &sent, method, headers, guard).await?)
}

/// The digest of what a grant delivers: that of the seal, of the contract's own copy, or of the product itself.
async fn digest_of(app: &App, grant: &Grant) -> anyhow::Result<Digest> {
    if let Some(seal) = app.store.seal(&grant.contract).await?
        && seal.object == grant.object
    {
        return Ok(seal.digest);
    }
    if let Some(excerpt) = app.store.excerpt(&grant.contract).await?
        && excerpt.object == grant.object
    {
        return Ok(excerpt.digest);
    }
    let contract = app.store.contract(&grant.contract).await?;
    let product = match contract {
        Some(contract) => app.store.product(&contract.product).await?,
        None => None,
    };
    product
        .and_then(|it| it.content)
        .ok_or_else(|| anyhow::anyhow!("a grant for what nobody published"))
}

pub(super) fn unauthorised() -> Response {
    (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer")]).into_response()
}

fn failed(why: &str) -> Response {
    tracing::error!(%why, "a delivery could not be sent");
    (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "1")]).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_come_with_or_without_their_scheme() {
        for (value, token) in [
            ("Bearer abc", Some("abc")),
            ("bearer  abc ", Some("abc")),
            ("abc", Some("abc")),
            ("Basic abc", None),
            ("Bearer ", Some("Bearer")),
            ("", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, value.parse().unwrap());
            assert_eq!(bearer(&headers), token, "{value:?}");
        }
    }
}
