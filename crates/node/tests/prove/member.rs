//! A foreign connector: DSP catalogues over a real socket, as good or as bad as a test wants it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use serde_json::{Value, json};
use tidm_space::identity::did::Did;
use tidm_space::identity::member::{Member, Role};
use tokio::net::TcpListener;

/// What it does when it is asked.
#[derive(Clone, Debug)]
pub(super) enum Manner {
    /// Pages of so many datasets each, with a tag.
    Pages {
        datasets: Vec<Value>,
        page: usize,
    },
    /// Takes the connection and says nothing.
    Silent,
    /// Each page leads to itself.
    Circle,
    /// The next page is at somebody else's.
    Elsewhere,
    Text(&'static str),
    /// Says that it is gzip and is none.
    NotPacked,
    Down,
}

pub(super) struct Foreign {
    pub(super) did: Did,
    manner: Mutex<Manner>,
    /// Pages that were asked for, and those answered with "the same".
    pub(super) asked: Mutex<(usize, usize)>,
    port: u16,
}

pub(super) fn dataset(id: &str, title: &str) -> Value {
    json!({
        "@id": id, "@type": "Dataset", "dct:title": title,
        "hasPolicy": [{ "@id": format!("{id}:offer"), "@type": "Offer", "permission": [{ "action": "use" }] }],
        "distribution": [{ "@type": "Distribution", "format": "HttpData-PULL", "accessService": "urn:s" }],
    })
}

impl Foreign {
    pub(super) async fn start(name: &str, manner: Manner) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        // Nothing answers at the place that the DID names: only the listed address leads to it.
        let did = Did::parse(&format!("did:web:{name}.invalid")).unwrap();
        let it = Arc::new(Self { did, manner: Mutex::new(manner), asked: Mutex::default(), port });
        let router =
            Router::new().route("/protocol/catalog/request", post(answer)).with_state(it.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        it
    }

    pub(super) fn member(&self) -> Member {
        Member {
            did: self.did.clone(),
            name: "外部".to_owned(),
            roles: vec![Role::Provider],
            credit_code: None,
            endpoint: Some(format!("http://localhost:{}/protocol/", self.port)),
            cut: false,
        }
    }

    pub(super) fn set(&self, manner: Manner) {
        *self.manner.lock().unwrap() = manner;
    }

    pub(super) fn asked(&self) -> (usize, usize) {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

#[derive(serde::Deserialize)]
struct Asked {
    #[serde(default)]
    page: usize,
}

async fn answer(
    State(it): State<Arc<Foreign>>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Response {
    it.asked.lock().unwrap().0 += 1;
    let manner = it.manner.lock().unwrap().clone();
    let frame = |datasets: &[Value]| {
        json!({
            "@context": ["https://w3id.org/dspace/2025/1/context.jsonld"], "@id": "urn:catalog", "@type": "Catalog",
            "participantId": it.did.as_str(), "dataset": datasets,
            "service": [{ "@id": "urn:s", "@type": "DataService", "endpointURL": "https://x.example/dsp" }],
        })
        .to_string()
    };
    let link = |to: &str| [(header::LINK, format!("<{to}>; rel=\"next\""))];
    match manner {
        Manner::Pages { datasets, page } => {
            let whole = frame(&datasets);
            let tag = format!("\"{}\"", tidm_crypto::hash::sha256(whole.as_bytes()));
            if headers
                .get(header::IF_NONE_MATCH)
                .is_some_and(|it| it.to_str().ok() == Some(tag.as_str()))
            {
                it.asked.lock().unwrap().1 += 1;
                return StatusCode::NOT_MODIFIED.into_response();
            }
            let pages: Vec<&[Value]> = datasets.chunks(page).collect();
            let body = frame(pages.get(asked.page).copied().unwrap_or_default());
            let mut out = ([(header::ETAG, tag)], body).into_response();
            if asked.page + 1 < pages.len() {
                let next = format!("<?page={}>; rel=\"next\"", asked.page + 1);
                out.headers_mut().insert(header::LINK, next.parse().unwrap());
            }
            out
        }
        Manner::Silent => {
            tokio::time::sleep(Duration::from_secs(3600)).await;
            StatusCode::OK.into_response()
        }
        Manner::Circle => {
            (link(&format!("?page={}", 1 - asked.page.min(1))), frame(&[])).into_response()
        }
        Manner::Elsewhere => (link("http://localhost:9/steal"), frame(&[])).into_response(),
        Manner::Text(text) => text.into_response(),
        Manner::NotPacked => ([(header::CONTENT_ENCODING, "gzip")], frame(&[])).into_response(),
        Manner::Down => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}
