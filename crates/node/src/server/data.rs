//! The data plane: what a transfer delivers, fetched with the token of that transfer.
//!
//! Threat model: a token is 32 random bytes of which only the digest is kept; it opens one object, dies
//! with its transfer's contract, and a download under way dies with it. Wrong, unknown and dead tokens get
//! the same answer. Never more than [`PER_CONTRACT`] downloads of one contract at a time: a consumer who
//! opens thousands starves only itself.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;

use tidm_crypto::hash::{Digest, sha256};
use tidm_crypto::secret::ct_eq;
use tidm_space::id::Id;

use super::range::{self, Sent};
use crate::app::App;
use crate::objects::Key;
use crate::store::StoreError;
use crate::store::notes::Grant;

/// Downloads of one contract (or data flow) at a time: enough for parallel ranges.
const PER_CONTRACT: u32 = 8;

/// Below the public URL.
pub fn routes() -> Router<Arc<App>> {
    Router::new().route("/data/{transfer}", get(data))
}

/// Places for downloads, by contract.
#[derive(Default)]
pub struct Downloads(Mutex<HashMap<Id, u32>>);

/// One download under way; dropping it frees its place.
pub(super) struct Place {
    all: Arc<Downloads>,
    contract: Id,
}

impl Downloads {
    pub(super) fn take(self: &Arc<Self>, contract: &Id) -> Option<Place> {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = places.entry(contract.clone()).or_insert(0);
        if *taken >= PER_CONTRACT {
            return None;
        }
        *taken = taken.saturating_add(1);
        Some(Place { all: self.clone(), contract: contract.clone() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut places = self.all.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(taken) = places.get_mut(&self.contract) {
            *taken = taken.saturating_sub(1);
            if *taken == 0 {
                places.remove(&self.contract);
            }
        }
    }
}

async fn data(
    State(app): State<Arc<App>>,
    Path(transfer): Path<String>,
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
    let Some(place) = app.downloads.take(&grant.contract) else {
        return (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, "1")]).into_response();
    };
    match send(&app, grant, token, &method, &headers, place).await {
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

/// The grant of a transfer, if this token is its token, its time has not run out and its contract stands.
async fn standing(app: &App, transfer: &Id, token: Digest) -> Result<Option<Grant>, StoreError> {
    let grant = app.store.grant(transfer).await?;
    // Always compared, so that an unknown transfer takes as long as a wrong token.
    let known = grant.as_ref().map_or(Digest([0; 32]), |it| it.token);
    let same = ct_eq(known.as_bytes(), token.as_bytes());
    Ok(grant.filter(|it| same && app.clock.now() < it.until))
}

async fn send(
    app: &Arc<App>,
    grant: Grant,
    token: Digest,
    method: &Method,
    headers: &HeaderMap,
    place: Place,
) -> anyhow::Result<Response> {
    let sha256 = digest_of(app, &grant).await?;
    let key = Key::parse(&grant.object)?;
    let bytes = app.objects.head(&key).await?.bytes;
    let sent = Sent { key, bytes, sha256 };
    let (watched, transfer) = (app.clone(), grant.transfer);
    let rule: range::Rule = Box::new(move || {
        let (app, transfer) = (watched.clone(), transfer.clone());
        // A store that does not answer for a moment is no revocation; the next look will tell.
        Box::pin(
            async move { standing(&app, &transfer, token).await.map_or(true, |it| it.is_some()) },
        )
    });
    metrics::counter!("tidm_downloads_total").increment(1);
    Ok(range::answer(&app.objects, &sent, method, headers, rule, place).await?)
}

/// The digest of what a grant delivers: that of the seal, or of the product itself.
async fn digest_of(app: &App, grant: &Grant) -> anyhow::Result<Digest> {
    if let Some(seal) = app.store.seal(&grant.contract).await?
        && seal.object == grant.object
    {
        return Ok(seal.digest);
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

fn unauthorised() -> Response {
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
    fn places_are_counted_by_contract_and_freed() {
        let all = Arc::new(Downloads::default());
        let (a, b) = (Id::parse("a").unwrap(), Id::parse("b").unwrap());
        let held: Vec<Place> = (0..PER_CONTRACT).map_while(|_| all.take(&a)).collect();
        assert_eq!(held.len(), 8);
        assert!(all.take(&a).is_none());
        assert!(all.take(&b).is_some());
        drop(held);
        assert!(all.take(&a).is_some());
        assert!(all.0.lock().unwrap().is_empty());
    }

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
