//! After a deletion somebody looks: what is still there is not signed for, and the work is done again.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use tidm_space::evidence::fact::What;
use tidm_space::policy::usage::Use;

use crate::world::{World, csv, eventually, limited};

/// A bucket in memory that may say yes to a deletion and keep the object, as one with a lock or with versions does.
#[derive(Clone, Default)]
struct Bucket(Arc<Mutex<Inside>>);

#[derive(Default)]
struct Inside {
    objects: BTreeMap<String, Bytes>,
    keeps: bool,
    deletions: Vec<String>,
}

impl Bucket {
    /// Serves it; the section that makes a node keep its objects there.
    async fn start(&self, secret: &Path) -> String {
        std::fs::write(secret, "secret").unwrap();
        std::fs::set_permissions(secret, std::fs::Permissions::from_mode(0o600)).unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let place = listener.local_addr().unwrap();
        let router = Router::new().fallback(answer).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        format!(
            "[objects]\nbucket = \"b\"\nendpoint = \"http://{place}\"\nkey_id = \"k\"\nsecret_file = \"{}\"\n",
            secret.display()
        )
    }

    fn inside<T>(&self, look: impl FnOnce(&mut Inside) -> T) -> T {
        look(&mut self.0.lock().unwrap())
    }

    fn has(&self, object: &str) -> bool {
        self.inside(|it| it.objects.contains_key(object))
    }

    fn deletions(&self, object: &str) -> usize {
        self.inside(|it| it.deletions.iter().filter(|it| *it == object).count())
    }
}

async fn answer(
    State(bucket): State<Bucket>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let key = uri.path().trim_start_matches("/b").trim_start_matches('/').to_owned();
    let tag = [(header::ETAG, "\"1\""), (header::LAST_MODIFIED, "Mon, 01 Jan 2024 00:00:00 GMT")];
    bucket.inside(|it| match method {
        Method::PUT => {
            it.objects.insert(key, body);
            (StatusCode::OK, tag).into_response()
        }
        Method::POST => {
            let text = String::from_utf8(body.to_vec()).unwrap();
            let mut said = String::new();
            for part in text.split("<Key>").skip(1) {
                let key = part.split("</Key>").next().unwrap().to_owned();
                if !it.keeps {
                    it.objects.remove(&key);
                }
                said.push_str(&format!("<Deleted><Key>{key}</Key></Deleted>"));
                it.deletions.push(key);
            }
            format!("<DeleteResult>{said}</DeleteResult>").into_response()
        }
        _ => match it.objects.get(&key) {
            Some(bytes) => read(bytes, &method, &headers, tag),
            None => StatusCode::NOT_FOUND.into_response(),
        },
    })
}

fn read(
    bytes: &Bytes,
    method: &Method,
    headers: &HeaderMap,
    tag: [(header::HeaderName, &'static str); 2],
) -> Response {
    let asked = headers.get(header::RANGE).map(|it| it.to_str().unwrap());
    let Some((from, to)) = asked.and_then(|it| it.strip_prefix("bytes=")?.split_once('-')) else {
        let length = [(header::CONTENT_LENGTH, bytes.len().to_string())];
        let body = if *method == Method::HEAD { Body::empty() } else { bytes.clone().into() };
        return (StatusCode::OK, tag, length, body).into_response();
    };
    let (from, to): (usize, usize) = (from.parse().unwrap(), to.parse().unwrap());
    let to = to.min(bytes.len() - 1);
    let range = [(header::CONTENT_RANGE, format!("bytes {from}-{to}/{}", bytes.len()))];
    (StatusCode::PARTIAL_CONTENT, tag, range, bytes.slice(from..=to)).into_response()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_stays_is_not_signed_for() {
    let (bucket, dir) = (Bucket::default(), tempfile::tempdir().unwrap());
    let section = bucket.start(&dir.path().join("secret")).await;
    let world = World::of(2, |at, _| if at == 1 { section.clone() } else { String::new() }).await;
    let contract = world.ready("e.csv", &csv(), limited(5), Use::SealedTable).await;
    let app = &world.consumer().app;
    let copy = app.store.copies(&contract.id).await.unwrap().remove(0);
    assert!(bucket.has(&copy.object));

    bucket.inside(|it| it.keeps = true);
    world.revoke(&contract).await;
    let again = || async { (bucket.deletions(&copy.object) > 1).then_some(()) };
    eventually("the deletion is tried again", again).await;
    let signed = async || {
        let it = app.store.contract(&contract.id).await.unwrap().unwrap();
        assert!(it.is_over());
        let facts = app.store.contract_facts_of(&contract.id, &["copies-deleted"]).await.unwrap();
        assert_eq!(it.deletion.is_some(), !facts.is_empty());
        facts.into_iter().next()
    };
    assert!(bucket.has(&copy.object));
    assert_eq!(signed().await, None, "signed for what is there");

    bucket.inside(|it| it.keeps = false);
    let fact = eventually("the receipt", signed).await;
    assert!(!bucket.has(&copy.object));
    assert!(
        matches!(fact.what, What::CopiesDeleted { checked: true, ref files, .. } if files.len() == 1)
    );
    // The provider knows the receipt; what was looked at there, it does not.
    let heard = || async {
        let store = &world.provider().app.store;
        let facts = store.contract_facts_of(&contract.id, &["copies-deleted"]).await.unwrap();
        facts.into_iter().next()
    };
    let heard = eventually("the receipt at the provider", heard).await;
    assert!(matches!(heard.what, What::CopiesDeleted { checked: false, .. }));
}
