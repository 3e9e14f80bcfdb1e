//! Many members in one process: DSP catalogues over real sockets, page by page, as foreign connectors serve them.
//!
//! Never what tidm could shortcut: no profile of ours, only DSP with `Link`, `ETag` and gzip.

use std::io::Write as _;
use std::sync::Arc;

use anyhow::Result;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Deserialize;
use serde_json::json;
use tokio::net::TcpListener;

use tidm_space::wire::dsp::catalog::{CONTEXT, CatalogRequest};

use crate::offers;

/// The word under which this program is all members; then the port and how many offers each has.
pub(crate) const MEMBERS: &str = "run-members";
/// Offers of a page: some 550 kB.
const PAGE: u64 = 400;

struct All {
    root: String,
    offers: u64,
}

/// The identity and the DSP base of a member.
pub(crate) fn member(port: &str, number: u64) -> (String, String) {
    (
        format!("did:web:localhost%3A{port}:m:{number}"),
        format!("http://localhost:{port}/m/{number}/dsp"),
    )
}

/// Ends when it is killed.
pub(crate) fn serve(port: &str, offers: &str) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let all = All { root: port.to_owned(), offers: offers.parse()? };
        let router = Router::new()
            .route("/m/{member}/dsp/catalog/request", post(page))
            .with_state(Arc::new(all));
        let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await?;
        Ok(axum::serve(listener, router).await?)
    })
}

#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    page: u64,
}

async fn page(
    State(all): State<Arc<All>>,
    Path(number): Path<u64>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if CatalogRequest::parse(&body).is_err() || !headers.contains_key(header::AUTHORIZATION) {
        return StatusCode::BAD_REQUEST.into_response();
    }
    let tag = format!("\"{number}-{}\"", all.offers);
    if headers.get(header::IF_NONE_MATCH).is_some_and(|it| it.as_bytes() == tag.as_bytes()) {
        return StatusCode::PRECONDITION_FAILED.into_response();
    }
    let (did, base) = member(&all.root, number);
    let first = asked.page * PAGE;
    let last = (first + PAGE).min(all.offers);
    let document = json!({
        "@context": [CONTEXT], "@id": format!("{did}#catalog"), "@type": "Catalog", "participantId": did,
        "service": [{ "@id": "urn:service:dsp", "@type": "DataService", "endpointURL": base }],
        "dataset": (first..last).map(|it| offers::dataset(number, it)).collect::<Vec<_>>(),
    });
    let text = document.to_string();
    let mut packed = GzEncoder::new(Vec::with_capacity(text.len() / 4), Compression::fast());
    let packed = packed.write_all(text.as_bytes()).and_then(|()| packed.finish());
    let Ok(packed) = packed else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    let mut out = (
        [(header::CONTENT_TYPE, "application/json"), (header::CONTENT_ENCODING, "gzip")],
        [(header::ETAG, tag)],
        packed,
    )
        .into_response();
    if last < all.offers {
        let next = format!("<{base}/catalog/request?page={}>; rel=\"next\"", asked.page + 1);
        if let Ok(link) = next.parse() {
            out.headers_mut().insert(header::LINK, link);
        }
    }
    out
}
