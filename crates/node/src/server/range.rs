//! One object as an HTTP answer: whole or one range, at the pace of its contract and under a rule that is asked again
//! while it streams.
//!
//! Never holds an object in memory, and never goes on sending once the rule says no: a revocation cuts a
//! download that is under way ([`super::watch`]).

use std::ops::Range;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use tidm_crypto::hash::Digest;

use super::budget::{Place, paced};
use super::watch::{Cut, Rule, Watch};
use crate::objects::{Key, ObjectError, Objects};

/// What a download is bound by.
pub(super) struct Guard {
    pub(super) rule: Rule,
    /// Its place among those of its contract.
    pub(super) place: Option<Place>,
    /// What is closed when it has to stop.
    pub(super) connection: Option<Cut>,
    /// A receiver that takes nothing for this long is gone or hostile.
    pub(super) stalled: Duration,
}

/// What is sent.
pub(super) struct Sent {
    pub(super) key: Key,
    pub(super) bytes: u64,
    /// The entity tag: bytes with another digest are another object.
    pub(super) sha256: Digest,
}

/// Which part is wanted (RFC 9110 §14).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    Whole,
    Part(Range<u64>),
    /// 416.
    Nothing,
}

/// Reads `Range`: one range of bytes. Several, or what is no range, mean the whole (RFC 9110 §14.2 allows it).
pub fn parse(text: &str, bytes: u64) -> Wanted {
    let Some(set) = text.trim().strip_prefix("bytes=") else { return Wanted::Whole };
    let Some((first, last)) = set.trim().split_once('-') else { return Wanted::Whole };
    let number = |it: &str| match it.trim() {
        "" => Some(None),
        digits if digits.bytes().all(|b| b.is_ascii_digit()) => {
            // Beyond 2^64 is beyond every object.
            Some(Some(digits.parse::<u64>().unwrap_or(u64::MAX)))
        }
        _ => None,
    };
    let part = match (number(first), number(last)) {
        (Some(Some(first)), Some(None)) => first..bytes,
        (Some(Some(first)), Some(Some(last))) if first <= last => {
            first..last.saturating_add(1).min(bytes)
        }
        (Some(None), Some(Some(length))) => bytes.saturating_sub(length)..bytes,
        _ => return Wanted::Whole,
    };
    if part.start < part.end { Wanted::Part(part) } else { Wanted::Nothing }
}

/// The answer to GET or HEAD.
pub(super) async fn answer(
    objects: &Objects,
    sent: &Sent,
    method: &Method,
    headers: &HeaderMap,
    guard: Guard,
) -> Result<Response, ObjectError> {
    let tag = format!("\"{}\"", sent.sha256);
    let text = |name| headers.get(name).and_then(|it: &HeaderValue| it.to_str().ok());
    // If-Range names another version: the range would not fit to what the caller has.
    let same = text(header::IF_RANGE).is_none_or(|it| it == tag);
    let wanted =
        text(header::RANGE).filter(|_| same).map_or(Wanted::Whole, |it| parse(it, sent.bytes));
    let (status, part) = match wanted {
        Wanted::Whole => (StatusCode::OK, 0..sent.bytes),
        Wanted::Part(part) => (StatusCode::PARTIAL_CONTENT, part),
        Wanted::Nothing => {
            let range = format!("bytes */{}", sent.bytes);
            return Ok((StatusCode::RANGE_NOT_SATISFIABLE, [(header::CONTENT_RANGE, range)])
                .into_response());
        }
    };
    let length = part.end - part.start;
    let body = if method == Method::HEAD || length == 0 {
        Body::empty()
    } else {
        let pieces = objects.stream(&sent.key, part.clone()).await?;
        let Guard { rule, place, connection, stalled } = guard;
        Body::from_stream(paced(pieces, place, Watch::begin(rule, connection, stalled)))
    };
    let mut answer = (status, body).into_response();
    let to = answer.headers_mut();
    to.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    to.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    to.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    to.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        to.insert(header::ETAG, tag);
    }
    if status == StatusCode::PARTIAL_CONTENT
        && let Ok(range) = HeaderValue::from_str(&format!(
            "bytes {}-{}/{}",
            part.start,
            part.end.saturating_sub(1),
            sent.bytes
        ))
    {
        to.insert(header::CONTENT_RANGE, range);
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        let part = |from, to| Wanted::Part(from..to);
        for (text, wanted) in [
            ("bytes=0-0", part(0, 1)),
            ("bytes=0-99", part(0, 10)),
            ("bytes=3-", part(3, 10)),
            ("bytes=-3", part(7, 10)),
            ("bytes=-99", part(0, 10)),
            (" bytes= 2 - 4 ", part(2, 5)),
            ("bytes=10-", Wanted::Nothing),
            ("bytes=-0", Wanted::Nothing),
            ("bytes=99999999999999999999999-", Wanted::Nothing),
            ("bytes=5-99999999999999999999999", part(5, 10)),
            ("bytes=4-2", Wanted::Whole),
            ("bytes=0-1,3-4", Wanted::Whole),
            ("bytes=-", Wanted::Whole),
            ("bytes=a-b", Wanted::Whole),
            ("bytes=+1-2", Wanted::Whole),
            ("lines=0-1", Wanted::Whole),
            ("", Wanted::Whole),
        ] {
            assert_eq!(parse(text, 10), wanted, "{text}");
        }
        assert_eq!(parse("bytes=0-0", 0), Wanted::Nothing);
    }
}
