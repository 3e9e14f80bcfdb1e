//! Catalogue answers under gzip for callers that accept it (DSP §6.2: "MAY compress").
//!
//! Never compresses anything that holds a secret: catalogues are the only answers that pass here, so that lengths
//! tell a watcher nothing that the catalogue does not (BREACH).

use std::io::Write as _;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::answer;

/// Shorter answers fit into one packet anyway.
const WORTH: usize = 1400;

/// A JSON document with 200, compressed where the caller accepts that.
pub(super) fn json(headers: &HeaderMap, body: String) -> Response {
    let packed = (body.len() >= WORTH && accepts(headers)).then(|| pack(body.as_bytes())).flatten();
    let ok = StatusCode::OK;
    let mut out = match packed {
        Some(bytes) => {
            let mut out = answer::json(ok, bytes);
            out.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            out
        }
        None => answer::json(ok, body),
    };
    out.headers_mut().insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    out
}

/// RFC 9110 §12.5.3: gzip is named, or everything is, and not with weight 0.
fn accepts(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT_ENCODING);
    let listed = values.iter().filter_map(|it| it.to_str().ok()).flat_map(|it| it.split(','));
    let mut any = false;
    for coding in listed {
        let mut parts = coding.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        let weight = parts.find_map(|it| it.strip_prefix("q=")).unwrap_or("1");
        let wanted = weight.parse::<f32>().is_ok_and(|it| it > 0.0);
        match name.as_str() {
            "gzip" | "x-gzip" => return wanted,
            "*" => any = wanted,
            _ => {}
        }
    }
    any
}

/// Writing into memory does not fail; if it ever did, the answer goes as it is.
fn pack(body: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).ok()?;
    encoder.finish().ok()
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn asked(value: &str) -> HeaderMap {
        [(header::ACCEPT_ENCODING, HeaderValue::from_str(value).unwrap())].into_iter().collect()
    }

    #[test]
    fn who_gets_gzip() {
        for (value, yes) in [
            ("gzip", true),
            ("br, GZIP;q=0.5", true),
            ("*", true),
            ("*;q=0", false),
            ("gzip;q=0, *", false),
            ("deflate", false),
            ("gzip;q=x", false),
            ("", false),
        ] {
            assert_eq!(accepts(&asked(value)), yes, "{value:?}");
        }
        assert!(!accepts(&HeaderMap::new()));
    }

    #[tokio::test]
    async fn what_is_packed_is_what_was_said() {
        let body = "{\"dataset\":[]}".repeat(200);
        let answer = json(&asked("gzip"), body.clone());
        assert_eq!(answer.headers()[header::CONTENT_ENCODING], "gzip");
        let bytes = axum::body::to_bytes(answer.into_body(), 1 << 20).await.unwrap();
        assert!(bytes.len() < body.len());
        let mut text = String::new();
        flate2::read::GzDecoder::new(&bytes[..]).read_to_string(&mut text).unwrap();
        assert_eq!(text, body);
        for (headers, body) in [(asked("gzip"), "{}".to_owned()), (HeaderMap::new(), body)] {
            assert!(json(&headers, body).headers().get(header::CONTENT_ENCODING).is_none());
        }
    }
}
