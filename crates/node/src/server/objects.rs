//! Infrastructure role: keeps sealed objects for members of the space, under tokens that they sign.
//!
//! Threat model: an owner's token names one object, one right, one end and, to store, the digest of the
//! bytes. Objects lie below a name made of their owner, so that nobody's token reaches another's. What is
//! kept is ciphertext: this node never sees a key, learns sizes and times, and could only lose or alter
//! bytes, which digests find. Never answers a stranger otherwise than "not found".

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Extension, Router};
use futures::TryStreamExt as _;
use serde::{Deserialize, Serialize};
use tokio_util::io::StreamReader;

use tidm_crypto::hash::{Digest, sha256};
use tidm_crypto::jws;
use tidm_space::fault::Fault;
use tidm_space::identity::did::Did;
use tidm_space::wire::dsp::error;

use super::answer::{json, refusal};
use super::data::bearer;
use super::range::{self, Sent};
use super::watch::{self, Cut};
use crate::app::App;
use crate::config::Role;
use crate::jobs::infrastructure::{ObjectClaims, TYPE};
use crate::net::auth;
use crate::objects::{Key, ObjectError};
use crate::store::writer::WorkError;

/// Longest life of a token: longer ones were not made for one transfer.
const LIFE_SECONDS: i64 = 25 * 3600;
/// Characters of an object's name.
const NAME_CHARS: usize = 64;
/// The note beside an object.
const NOTE_BYTES: u64 = 4096;

/// Below the DSP base.
pub fn routes() -> Router<Arc<App>> {
    Router::new().route("/tidm/1/objects/{object}", get(fetch).put(store).delete(remove))
}

/// What is remembered of an object; written after its bytes, so that it vouches for them.
#[derive(Debug, Serialize, Deserialize)]
struct Note {
    owner: String,
    sha256: String,
    bytes: u64,
    /// Milliseconds since 1970.
    at: i64,
}

/// A proven right over one object.
struct Right {
    owner: Did,
    object: String,
    sha256: Option<Digest>,
}

impl Right {
    fn key(&self) -> Result<Key, WorkError> {
        let owner = sha256(self.owner.as_str().as_bytes());
        Key::parse(&format!("kept/{owner}/{}", self.object)).map_err(failed)
    }

    fn note_key(&self) -> Result<Key, WorkError> {
        let owner = sha256(self.owner.as_str().as_bytes());
        Key::parse(&format!("kept/{owner}/{}.note", self.object)).map_err(failed)
    }
}

async fn store(
    State(app): State<Arc<App>>,
    Path(object): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    match try_store(&app, &object, &headers, body).await {
        Ok(status) => json(status, "{}"),
        Err(error) => refusal(error, error::write),
    }
}

async fn try_store(
    app: &App,
    object: &str,
    headers: &HeaderMap,
    body: Body,
) -> Result<StatusCode, WorkError> {
    let right = right(app, headers, object, "put").await?;
    let wanted = right.sha256.ok_or_else(|| {
        Fault::misbehaved("object.digest", "a token to store names the sha256 of the bytes")
    })?;
    if let Some(note) = note(app, &right).await? {
        // An object is immutable; the same bytes again are a repeated request.
        return if note.sha256 == wanted.to_string() {
            Ok(StatusCode::OK)
        } else {
            Err(Fault::conflict(
                "object.exists",
                "this object is there already with other bytes: use a fresh name",
            )
            .into())
        };
    }
    let limit = app.config.limits.upload_bytes;
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|it| it.to_str().ok())
        .and_then(|it| it.parse::<u64>().ok());
    let too_large = || {
        Fault::refused(
            "object.too-large",
            format!("at most {limit} bytes are kept here for one object"),
        )
    };
    if announced.is_some_and(|it| it > limit) {
        return Err(too_large().into());
    }
    let key = right.key()?;
    let bytes = StreamReader::new(body.into_data_stream().map_err(std::io::Error::other));
    let put = match app.objects.put(&key, bytes, limit).await {
        Ok(put) => put,
        Err(ObjectError::TooLarge(_)) => return Err(too_large().into()),
        Err(ObjectError::Source(_)) => {
            return Err(Fault::misbehaved("object.broken", "the bytes broke off").into());
        }
        Err(why) => return Err(failed(why)),
    };
    if put.sha256 != wanted {
        app.objects.delete(&key).await.map_err(failed)?;
        return Err(Fault::misbehaved(
            "object.digest",
            "the bytes do not have the sha256 that the token names",
        )
        .into());
    }
    let note = Note {
        owner: right.owner.to_string(),
        sha256: wanted.to_string(),
        bytes: put.bytes,
        at: app.clock.now().ms(),
    };
    let note = serde_json::to_vec(&note).map_err(|why| WorkError::Store(why.to_string()))?;
    app.objects.put_bytes(&right.note_key()?, &note).await.map_err(failed)?;
    metrics::counter!("tidm_objects_stored_total").increment(1);
    Ok(StatusCode::CREATED)
}

async fn fetch(
    State(app): State<Arc<App>>,
    Path(object): Path<String>,
    connection: Option<Extension<Cut>>,
    method: Method,
    headers: HeaderMap,
) -> Response {
    let connection = connection.map(|it| it.0);
    match try_fetch(&app, &object, connection, &method, &headers).await {
        Ok(answer) => answer,
        Err(error) => refusal(error, error::write),
    }
}

async fn try_fetch(
    app: &Arc<App>,
    object: &str,
    connection: Option<Cut>,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Response, WorkError> {
    let right = right(app, headers, object, "get").await?;
    let note = note(app, &right).await?.ok_or(Fault::NotFound { what: "object" })?;
    let sha256 = Digest::parse(&note.sha256)
        .map_err(|_| WorkError::Store("a note without a digest".to_owned()))?;
    let sent = Sent { key: right.key()?, bytes: note.bytes, sha256 };
    let (objects, kept) = (app.objects.clone(), right.note_key()?);
    // The owner deletes it: a download under way ends.
    let rule: watch::Rule = Box::new(move || {
        let (objects, kept) = (objects.clone(), kept.clone());
        Box::pin(async move { !matches!(objects.head(&kept).await, Err(ObjectError::Missing(_))) })
    });
    let stalled = app.config.limits.stalled;
    let guard = range::Guard { rule, place: None, connection, stalled };
    range::answer(&app.objects, &sent, method, headers, guard).await.map_err(failed)
}

async fn remove(
    State(app): State<Arc<App>>,
    Path(object): Path<String>,
    headers: HeaderMap,
) -> Response {
    let done = async {
        let right = right(&app, &headers, &object, "delete").await?;
        // The note first: without it the bytes are nothing.
        app.objects.erase(&right.note_key()?).await.map_err(failed)?;
        app.objects.erase(&right.key()?).await.map_err(failed)
    };
    match done.await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => refusal(error, error::write),
    }
}

async fn note(app: &App, right: &Right) -> Result<Option<Note>, WorkError> {
    let key = right.note_key()?;
    let bytes = match app.objects.get_range(&key, 0..NOTE_BYTES).await {
        Ok(bytes) => bytes,
        Err(ObjectError::Missing(_)) => return Ok(None),
        Err(why) => return Err(failed(why)),
    };
    let note = serde_json::from_slice(&bytes)
        .map_err(|why| WorkError::Store(format!("a note cannot be read: {why}")))?;
    Ok(Some(note))
}

/// Checks the token: role, type, issuer's membership and signature, audience, object, right, time.
async fn right(
    app: &App,
    headers: &HeaderMap,
    object: &str,
    wanted: &str,
) -> Result<Right, WorkError> {
    if !app.config.node.roles.contains(&Role::Infrastructure) {
        return Err(Fault::NotFound { what: "object" }.into());
    }
    let token = bearer(headers).ok_or_else(|| refused("no bearer token"))?;
    let parsed = jws::Unverified::parse(token).map_err(|_| refused("not a compact JWS"))?;
    if parsed.header.typ.as_deref() != Some(TYPE) {
        return Err(refused("a token of another type").into());
    }
    let claims = parse(parsed.unproven_payload())?;
    let owner = Did::parse(&claims.iss).map_err(|_| refused("its issuer is no DID"))?;
    auth::member(app, &owner).await?;
    let key = app.directory.key(&owner, parsed.header.kid.as_deref()).await?;
    parsed.verify(&key).map_err(|_| refused("its signature does not verify"))?;
    let now = app.clock.now().seconds();
    check(&claims, app.identity.did.as_str(), object, wanted, now)?;
    let sha256 = claims
        .sha256
        .as_deref()
        .map(Digest::parse)
        .transpose()
        .map_err(|_| refused("its sha256 is none"))?;
    Ok(Right { owner, object: object.to_owned(), sha256 })
}

/// The claims of a token, unproven.
///
/// # Errors
/// [`Fault::Denied`] `token.refused`.
pub fn parse(payload: &[u8]) -> Result<ObjectClaims, Fault> {
    serde_json::from_slice(payload)
        .map_err(|_| refused("its claims are not those of a token for objects"))
}

fn check(
    claims: &ObjectClaims,
    me: &str,
    object: &str,
    wanted: &str,
    now: i64,
) -> Result<(), Fault> {
    let name_ok = !object.is_empty()
        && object.len() <= NAME_CHARS
        && object.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    for (holds, why) in [
        (name_ok, "an object's name has lower-case letters, digits and dashes"),
        (claims.aud == me, "it is for another node"),
        (claims.sub == object, "it is for another object"),
        (claims.right == wanted, "it gives another right"),
        (claims.exp > now, "it has expired"),
        (claims.exp <= now.saturating_add(LIFE_SECONDS), "it lives too long"),
    ] {
        if !holds {
            return Err(refused(why));
        }
    }
    Ok(())
}

fn refused(why: &str) -> Fault {
    Fault::denied("token.refused", "token", why)
}

fn failed(why: ObjectError) -> WorkError {
    match why {
        ObjectError::Missing(_) => Fault::NotFound { what: "object" }.into(),
        ObjectError::Key
        | ObjectError::Changed(_)
        | ObjectError::Kept(_)
        | ObjectError::Setup(_)
        | ObjectError::Denied
        | ObjectError::Failed(_)
        | ObjectError::Source(_)
        | ObjectError::TooLarge(_) => WorkError::Store(why.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims() -> ObjectClaims {
        ObjectClaims {
            iss: "did:web:a".to_owned(),
            aud: "did:web:me".to_owned(),
            sub: "obj-1".to_owned(),
            right: "get".to_owned(),
            exp: 1000,
            sha256: None,
        }
    }

    #[test]
    fn a_token_is_for_one_node_object_right_and_time() {
        let ok = |it: &ObjectClaims, object: &str, right: &str, now: i64| {
            check(it, "did:web:me", object, right, now).is_ok()
        };
        assert!(ok(&claims(), "obj-1", "get", 999));
        assert!(!ok(&claims(), "obj-1", "get", 1000));
        assert!(!ok(&claims(), "obj-2", "get", 0));
        assert!(!ok(&claims(), "obj-1", "put", 0));
        assert!(!ok(
            &ObjectClaims { aud: "did:web:other".to_owned(), ..claims() },
            "obj-1",
            "get",
            0
        ));
        assert!(!ok(&ObjectClaims { exp: i64::MAX, ..claims() }, "obj-1", "get", 0));
        for name in ["", "..", "a/b", "A", "a.note", &"a".repeat(65)] {
            assert!(
                !ok(&ObjectClaims { sub: name.to_owned(), ..claims() }, name, "get", 0),
                "{name}"
            );
        }
    }

    #[test]
    fn payloads_that_are_no_claims_are_refused() {
        for bad in [
            b"".as_slice(),
            b"{}",
            b"[]",
            b"\xff",
            br#"{"iss":"a","aud":"b","sub":"c","right":"get","exp":1,"x":1}"#,
        ] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }
}
