//! Bytes on their way out: an object sent to an HTTP address, going on where an earlier try broke off.
//!
//! Threat model: the address is a stranger's. It is called under the rules for peers' addresses, its answers are not
//! read beyond status and headers, redirects are not followed, and one that takes nothing any more is left
//! ([`crate::config::Limits::stalled`]). What it says to have already is believed: the digest that goes along lets it
//! find out, and if it lies it spoils its own copy.
//!
//! Never an object in memory: pieces are read as the receiver takes them.

use std::num::NonZeroU64;
use std::sync::Arc;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder};

use tidm_crypto::hash::Digest;
use tidm_space::contract::Contract;
use tidm_space::id::Id;
use tidm_space::transfer::message::DataAddress;

use super::arriving::wait;
use crate::app::App;
use crate::net::client::CallError;
use crate::objects::Key;
use crate::server::budget::{Bounds, Place, paced};
use crate::server::watch::{LOOK, Watch};

/// The property of an address whose endpoint says how far an upload came (`Upload-Offset` in the answer to HEAD) and
/// takes the rest by PATCH, as the IETF draft *Resumable Uploads for HTTP* has it.
pub const RESUMABLE: &str = "tidm:resumable";

/// What is sent.
#[derive(Clone, Debug)]
pub struct Parcel {
    pub key: Key,
    pub bytes: u64,
    pub sha256: Digest,
}

/// What came of it.
#[derive(Debug)]
pub enum Sent {
    Whole,
    /// The token is refused: it ran out, or the delivery rests.
    Expired,
    Later(std::time::Duration),
    /// For good.
    Refused(String),
}

/// A place among the connections of what is delivered under this contract (or data flow).
pub fn place(app: &App, of: &Id, bounds: Bounds) -> anyhow::Result<Place> {
    let place = app.budgets.take(of, bounds);
    place.context("all connections of this contract's deliveries are taken")
}

/// What deliveries of a contract may take: what the operator allows each, or less where the contract says so.
pub fn bounds(app: &App, contract: &Contract) -> Bounds {
    let usual = app.config.limits.delivery;
    // A contract that does not compile delivers nothing anyway.
    let Ok(terms) = contract.terms() else { return usual };
    // The narrowest of all permissions: a delivery does not say which it goes by.
    let rate = terms.grants.iter().filter_map(|it| it.limits.delivery_rate).min();
    let rate = rate.map(|it| NonZeroU64::new(it).unwrap_or(NonZeroU64::MIN));
    let most = terms.grants.iter().filter_map(|it| it.limits.delivery_connections).min();
    let most = most.map_or(u32::MAX, |it| u32::try_from(it).unwrap_or(u32::MAX));
    Bounds {
        connections: usual.connections.min(most),
        rate: match (usual.rate, rate) {
            (Some(ours), Some(theirs)) => Some(ours.min(theirs)),
            (ours, theirs) => ours.or(theirs),
        },
    }
}

/// Sends what the receiver does not have yet.
pub async fn send(
    app: &Arc<App>,
    to: &DataAddress,
    parcel: &Parcel,
    place: Place,
) -> anyhow::Result<Sent> {
    let Some(endpoint) = to.endpoint.as_deref() else {
        return Ok(Sent::Refused("the data address names no endpoint".to_owned()));
    };
    let offset = match offset(app, to, endpoint).await? {
        Offset::Bytes(offset) if offset <= parcel.bytes => offset,
        Offset::Bytes(_) | Offset::Unknown => 0,
        Offset::Whole => return Ok(Sent::Whole),
        Offset::Expired => return Ok(Sent::Expired),
    };
    let pieces = app.objects.stream(&parcel.key, offset..parcel.bytes).await?;
    let watch = Arc::<Watch>::default();
    let body = reqwest::Body::wrap_stream(paced(pieces, Some(place), watch.clone()));
    let method = if offset > 0 { Method::PATCH } else { Method::POST };
    let mut request = match app.client.upload(method, endpoint).await {
        Ok(it) => it,
        Err(error @ CallError::Address { .. }) => return Ok(Sent::Refused(error.to_string())),
        Err(error) => return Err(error.into()),
    };
    request = authorised(request, to)
        .header("content-length", parcel.bytes - offset)
        // RFC 9530: of the whole, so that the receiver can tell that it has it.
        .header("repr-digest", repr_digest(parcel.sha256));
    request = if offset > 0 {
        request
            .header("content-type", "application/partial-upload")
            .header("upload-offset", offset)
            .header("upload-complete", "?1")
    } else {
        request.header("content-type", "application/octet-stream")
    };
    let answer = tokio::select! {
        answer = request.body(body).send() => answer.context("the data cannot be pushed")?,
        () = stalled(&watch, app.config.limits.stalled) => {
            anyhow::bail!("the receiver takes nothing any more")
        }
    };
    Ok(match answer.status().as_u16() {
        200..=299 => Sent::Whole,
        401 => Sent::Expired,
        429 | 503 => Sent::Later(wait(answer.headers())),
        // 409: what it has is not what it said; the next try asks again.
        status @ (404 | 408 | 409 | 425 | 500..=599) => {
            anyhow::bail!("the endpoint answers {status} to a push")
        }
        status => Sent::Refused(format!("the endpoint answers {status} to a push")),
    })
}

/// As RFC 9530 writes it.
pub fn repr_digest(sha256: Digest) -> String {
    format!("sha-256=:{}:", STANDARD.encode(sha256.as_bytes()))
}

fn authorised(request: RequestBuilder, to: &DataAddress) -> RequestBuilder {
    match to.property("authorization") {
        Some(token) => request.bearer_auth(token.trim_start_matches("Bearer ")),
        None => request,
    }
}

/// How far an earlier try came.
enum Offset {
    /// The endpoint knows nothing of that: from the start.
    Unknown,
    Bytes(u64),
    Whole,
    Expired,
}

async fn offset(app: &App, to: &DataAddress, endpoint: &str) -> anyhow::Result<Offset> {
    if to.property(RESUMABLE) != Some("true") {
        return Ok(Offset::Unknown);
    }
    let asked = match app.client.request(Method::HEAD, endpoint).await {
        Ok(it) => authorised(it, to),
        // Said by the call itself, which names the address.
        Err(CallError::Address { .. }) => return Ok(Offset::Unknown),
        Err(error) => return Err(error.into()),
    };
    let answer = asked.send().await.context("the endpoint of the push cannot be asked")?;
    Ok(match answer.status().as_u16() {
        200..=299 => read_offset(answer.headers()),
        401 => Offset::Expired,
        status => anyhow::bail!("the endpoint answers {status} when asked how far the push came"),
    })
}

fn read_offset(headers: &HeaderMap) -> Offset {
    let text = |name: &str| headers.get(name).and_then(|it| it.to_str().ok()).map(str::trim);
    if text("upload-complete") == Some("?1") {
        return Offset::Whole;
    }
    text("upload-offset").and_then(|it| it.parse().ok()).map_or(Offset::Unknown, Offset::Bytes)
}

/// Returns when nothing was taken for too long.
async fn stalled(watch: &Watch, most: std::time::Duration) {
    while watch.still_for() < most {
        tokio::time::sleep(LOOK).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_that_endpoints_tell() {
        for (pairs, bytes) in [
            (&[("upload-offset", "5"), ("upload-complete", "?0")][..], Some(5)),
            (&[("upload-offset", " 7 ")], Some(7)),
            (&[("upload-offset", "-7")], None),
            (&[("upload-offset", "99999999999999999999")], None),
            (&[], None),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.insert(*name, value.parse().unwrap());
            }
            let found = match read_offset(&headers) {
                Offset::Bytes(it) => Some(it),
                Offset::Unknown | Offset::Whole | Offset::Expired => None,
            };
            assert_eq!(found, bytes, "{pairs:?}");
        }
    }
}
