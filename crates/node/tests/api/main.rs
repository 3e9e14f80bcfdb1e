//! The API in process: set-up, sign-in, scopes, problems, paging, repeated calls, and its own description.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its steps included")]

mod facets;
mod inbox;
mod people;
mod provider;
mod regulator;
mod watched;

use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use tidm_node::accounts;
use tidm_node::app::App;
use tidm_node::config::Config;
use tidm_node::init;
use tidm_node::keys::directory::Directory;
use tidm_node::serve;
use tidm_node::telemetry::Metrics;
use tidm_space::policy::sentence::template::templates;

const PASSWORD: &str = "correct horse battery";

struct Node {
    router: Router,
    app: Arc<App>,
    _node: serve::Node,
    _dir: tempfile::TempDir,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
}

/// The process has one recorder of metrics, shared by its tests.
fn metrics() -> Metrics {
    static ONCE: std::sync::OnceLock<Metrics> = std::sync::OnceLock::new();
    ONCE.get_or_init(|| Metrics::install().unwrap()).clone()
}

async fn node() -> Node {
    node_with(&[]).await
}

/// A node with these settings laid over its file's.
async fn node_with(settings: &[(&str, &str)]) -> Node {
    drop(rustls::crypto::ring::default_provider().install_default());
    let dir = tempfile::tempdir().unwrap();
    let root: &Path = dir.path();
    let asked = init::Init {
        org: "某某公司",
        credit_code: None,
        dir: root,
        host: "localhost",
        port: 9000,
        passphrase: None,
    };
    init::init(&asked).unwrap();
    let own = |it: &(&str, &str)| (it.0.to_owned(), it.1.to_owned());
    let settings: Vec<_> = settings.iter().map(own).collect();
    let config = Config::load(root, [], &settings).unwrap();
    let keys = Directory::open(&root.join(init::KEYS), None).unwrap();
    let node = serve::build(config, Arc::new(keys), metrics()).await.unwrap();
    Node { router: serve::router(&node.app), app: node.app.clone(), _node: node, _dir: dir }
}

impl Node {
    async fn call(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        extra: &[(&str, &str)],
        body: Option<Value>,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(format!("/api/v1{path}"));
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        for (name, value) in extra {
            request = request.header(*name, *value);
        }
        let body = match body {
            Some(json) => {
                request = request.header("content-type", "application/json");
                Body::from(json.to_string())
            }
            None => Body::empty(),
        };
        let answer = self.router.clone().oneshot(request.body(body).unwrap()).await.unwrap();
        let (parts, body) = answer.into_parts();
        let bytes = to_bytes(body, 1 << 24).await.unwrap();
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Answer { status: parts.status, headers: parts.headers, body }
    }

    async fn get(&self, path: &str, token: &str) -> Answer {
        self.call(Method::GET, path, Some(token), &[], None).await
    }

    async fn post(&self, path: &str, token: Option<&str>, body: Value) -> Answer {
        self.call(Method::POST, path, token, &[], Some(body)).await
    }

    /// The administrator, and a session of theirs.
    async fn admin(&self) -> String {
        let token = accounts::setup_token(&self.app).await.unwrap().unwrap();
        let made = self
            .post("/setup", None, json!({ "token": token, "name": "admin", "password": PASSWORD }))
            .await;
        assert_eq!(made.status, 201, "{}", made.body);
        self.sign_in().await
    }

    async fn sign_in(&self) -> String {
        let answer =
            self.post("/session", None, json!({ "name": "admin", "password": PASSWORD })).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        answer.body["token"].as_str().unwrap().to_owned()
    }

    async fn key(&self, admin: &str, scopes: &[&str]) -> String {
        let made =
            self.post("/keys", Some(admin), json!({ "title": "test", "scopes": scopes })).await;
        assert_eq!(made.status, 201, "{}", made.body);
        made.body["token"].as_str().unwrap().to_owned()
    }

    async fn document(&self) -> Value {
        let request = Request::builder().uri("/api/docs/openapi.json").body(Body::empty()).unwrap();
        let answer = self.router.clone().oneshot(request).await.unwrap();
        serde_json::from_slice(&to_bytes(answer.into_body(), 1 << 24).await.unwrap()).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_administrator_is_made_once_and_by_the_token_alone() {
    let node = node().await;
    let before = node.call(Method::GET, "/products", None, &[], None).await;
    assert_eq!((before.status.as_u16(), before.body["code"].as_str()), (401, Some("setup.needed")));
    let token = accounts::setup_token(&node.app).await.unwrap().unwrap();
    for (token, password, status, code) in [
        ("wrong", PASSWORD, 403, "setup.token"),
        (token.as_str(), "short", 422, "setup.password"),
        (token.as_str(), "password123", 422, "setup.password"),
    ] {
        let answer = node
            .post("/setup", None, json!({ "token": token, "name": "admin", "password": password }))
            .await;
        assert_eq!(
            (answer.status.as_u16(), answer.body["code"].as_str()),
            (status, Some(code)),
            "{}",
            answer.body
        );
    }
    // A fresh link makes the earlier one worthless.
    let fresh = accounts::setup_token(&node.app).await.unwrap().unwrap();
    let body = |token: &str| json!({ "token": token, "name": "admin", "password": PASSWORD });
    assert_eq!(node.post("/setup", None, body(&token)).await.status, 403);
    assert_eq!(node.post("/setup", None, body(&fresh)).await.status, 201);
    assert_eq!(node.post("/setup", None, body(&fresh)).await.status, 409);
    assert_eq!(accounts::setup_token(&node.app).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn five_wrong_passwords_lock_the_name_known_or_not() {
    let node = node().await;
    drop(node.admin().await);
    for name in ["admin", "nobody"] {
        for _ in 0..accounts::FREE_FAILURES {
            let answer =
                node.post("/session", None, json!({ "name": name, "password": "wrong" })).await;
            assert_eq!(
                (answer.status.as_u16(), answer.body["code"].as_str()),
                (401, Some("auth.wrong")),
                "{name}"
            );
        }
        let answer =
            node.post("/session", None, json!({ "name": name, "password": PASSWORD })).await;
        assert_eq!(answer.status, 429, "{name}");
        assert!(answer.headers.contains_key("retry-after"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_when_its_owner_says_so_and_keys_are_shown_once() {
    let node = node().await;
    let admin = node.admin().await;
    let other = node.sign_in().await;
    assert_eq!(node.get("/info", &other).await.status, 200);
    assert_eq!(node.call(Method::DELETE, "/session", Some(&other), &[], None).await.status, 204);
    assert_eq!(node.get("/info", &other).await.status, 401);
    let key = node.key(&admin, &["read"]).await;
    let list = node.get("/keys", &admin).await;
    assert!(!list.body.to_string().contains(&key), "a key is shown once");
    let id = list.body["items"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(node.get("/info", &key).await.status, 200);
    assert_eq!(node.get("/info", &format!("{key}x")).await.status, 401);
    assert_eq!(
        node.call(Method::DELETE, &format!("/keys/{id}"), Some(&admin), &[], None).await.status,
        204
    );
    assert_eq!(node.get("/info", &key).await.status, 401);
    assert_eq!(
        node.call(Method::DELETE, &format!("/keys/{id}"), Some(&admin), &[], None).await.status,
        404
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_is_described_and_asks_for_the_scope_it_names() {
    let node = node().await;
    let admin = node.admin().await;
    let document = node.document().await;
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let all = ["read", "publish", "contract", "use", "audit", "admin"];
    let mut keys = Vec::new();
    for scope in all {
        keys.push((scope, node.key(&admin, &[scope]).await));
    }
    let mut operations = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, it) in methods.as_object().unwrap() {
            operations += 1;
            assert!(
                it["summary"].is_string() && it["tags"].is_array(),
                "{method} {path} says too little"
            );
            let open = it["security"][0].as_object().is_none_or(|it| it.is_empty());
            let filled = path
                .replace("{id}", "x")
                .replace("{provider}", "did:web:a")
                .replace("{lease}", "x")
                .replace("{contract}", "x");
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let stranger = node.call(method.clone(), &filled, None, &[], None).await;
            assert_eq!(
                stranger.status == 401,
                !open,
                "{method} {path} to a stranger: {}",
                stranger.status
            );
            if open {
                continue;
            }
            let needed = it["security"][0]["bearer"][0].as_str().unwrap();
            for (scope, key) in
                keys.iter().filter(|(scope, _)| *scope != needed && *scope != "admin")
            {
                let answer = node.call(method.clone(), &filled, Some(key), &[], None).await;
                assert_eq!(
                    (answer.status.as_u16(), answer.body["code"].as_str()),
                    (403, Some("auth.forbidden")),
                    "{method} {path} with {scope}"
                );
            }
        }
    }
    assert!(operations >= 40, "{operations}");
}

#[tokio::test(flavor = "multi_thread")]
async fn problems_speak_the_readers_language() {
    let node = node().await;
    let admin = node.admin().await;
    for (path, lang, status, title) in [
        ("/contracts/urn:x", "zh-CN", 404, "未找到"),
        ("/contracts/urn:x", "en", 404, "Not found"),
        ("/nothing", "en", 404, "Not found"),
        ("/products?limit=0", "en", 400, "The request cannot be read"),
        ("/products?limit=201", "zh", 400, "请求格式错误"),
        ("/products?cursor=!", "en", 400, "The request cannot be read"),
    ] {
        let answer =
            node.call(Method::GET, path, Some(&admin), &[("accept-language", lang)], None).await;
        assert_eq!(
            (answer.status.as_u16(), answer.body["title"].as_str()),
            (status, Some(title)),
            "{path}"
        );
        assert_eq!(answer.headers["content-type"], "application/problem+json");
        for member in ["code", "party", "nextStep"] {
            assert!(answer.body[member].is_string(), "{path} lacks {member}");
        }
    }
    let answer = node.call(Method::PATCH, "/products", Some(&admin), &[], None).await;
    assert_eq!(
        (answer.status.as_u16(), answer.body["code"].as_str()),
        (405, Some("request.method"))
    );
    let answer = node
        .post("/negotiations", Some(&admin), json!({ "peer": "x", "product": "y", "surprise": 1 }))
        .await;
    assert_eq!(answer.status, 400, "unknown fields are errors");
}

async fn upload(node: &Node, key: &str) -> String {
    let request = Request::builder()
        .method(Method::PUT)
        .uri("/api/v1/uploads?name=readings.csv")
        .header("authorization", format!("Bearer {key}"))
        .body(Body::from("machine,temp\na,1.5\nb,2.5\n"))
        .unwrap();
    let answer = node.router.clone().oneshot(request).await.unwrap();
    assert_eq!(answer.status(), 201);
    let body: Value =
        serde_json::from_slice(&to_bytes(answer.into_body(), 1 << 20).await.unwrap()).unwrap();
    body["id"].as_str().unwrap().to_owned()
}

/// Every template can be offered, filled in with what its form begins with; a policy that no choice says can be offered whole.
#[tokio::test(flavor = "multi_thread")]
async fn terms_come_as_choices_as_a_template_or_whole() {
    let node = node().await;
    let admin = node.admin().await;
    let key = node.key(&admin, &["read", "publish"]).await;
    let publish = async |terms: Value| {
        let upload = upload(&node, &key).await;
        let body = json!({ "upload": upload, "title": "温度", "offers": [{ "terms": terms }] });
        node.post("/products", Some(&key), body).await
    };
    for template in templates() {
        let mut values = template.example();
        for (name, value) in [("columns", "machine, temp"), ("match_key", "machine:text")] {
            if let Some(said) = values.get_mut(name) {
                value.clone_into(said);
            }
        }
        let answer = publish(json!({ "template": template.name, "values": values })).await;
        assert_eq!(answer.status, 201, "{}: {}", template.name, answer.body);
    }
    let before =
        |at: &str| json!({ "leftOperand": "dateTime", "operator": "lt", "rightOperand": at });
    let either = json!({ "or": [before("2030-01-01T00:00:00Z"), before("2031-01-01T00:00:00Z")] });
    let whole = json!({
        "@type": "Offer", "@id": "urn:policy:theirs",
        "permission": [{ "action": "use", "constraint": [either] }],
    });
    let answer = publish(json!({ "policy": whole })).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    let policy = &answer.body["offers"][0]["policy"];
    assert!(policy.to_string().contains("\"or\""), "{policy}");
    assert_ne!(policy["@id"], "urn:policy:theirs");
    for (terms, field) in [
        (json!({ "template": "nothing" }), "template"),
        (json!({ "template": "duration", "values": { "within": "long" } }), "values"),
        (json!({ "template": "duration", "uses": 3 }), "template"),
        (json!({ "values": { "uses": "3" } }), "values"),
        (json!({ "policy": whole, "uses": 3 }), "policy"),
        (json!({ "policy": { "permission": 7 } }), "policy"),
    ] {
        let answer = publish(terms.clone()).await;
        assert!(answer.status.is_client_error(), "{terms}: {}", answer.status);
        assert!(answer.body.to_string().contains(field), "{terms}: {}", answer.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_creation_is_done_once_and_lists_are_paged() {
    let node = node().await;
    let admin = node.admin().await;
    let key = node.key(&admin, &["read", "publish"]).await;
    let mut ids = Vec::new();
    for number in 0..3 {
        let upload = upload(&node, &key).await;
        let offers = json!([{ "terms": { "uses": 3, "aggregatesOnly": true, "minGroup": 2 }, "deliveries": ["query"] }]);
        let body = json!({ "upload": upload, "title": format!("温度 {number}"), "offers": offers });
        let once = format!("key-{number}");
        let sent = [("idempotency-key", once.as_str())];
        let first =
            node.call(Method::POST, "/products", Some(&key), &sent, Some(body.clone())).await;
        assert_eq!(first.status, 201, "{}", first.body);
        let again = node.call(Method::POST, "/products", Some(&key), &sent, Some(body)).await;
        assert_eq!((again.status, &again.body), (first.status, &first.body));
        assert_eq!(again.headers["idempotent-replayed"], "true");
        let other = node
            .call(
                Method::POST,
                "/products",
                Some(&key),
                &sent,
                Some(json!({ "title": "x", "offers": [] })),
            )
            .await;
        assert_eq!(other.body["code"], "idempotency.mismatch");
        ids.push(first.body["id"].as_str().unwrap().to_owned());
    }
    let mut seen = Vec::new();
    let mut path = "/products?limit=2".to_owned();
    loop {
        let page = node.get(&path, &key).await;
        seen.extend(
            page.body["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|it| it["id"].as_str().unwrap().to_owned()),
        );
        let Some(next) = page.body["next"].as_str() else { break };
        path = format!("/products?limit=2&cursor={next}");
    }
    seen.reverse();
    assert_eq!(seen, ids);
    let shown = node
        .call(
            Method::GET,
            &format!("/products/{}", ids[0]),
            Some(&key),
            &[("accept-language", "en")],
            None,
        )
        .await;
    let sentences = shown.body["offers"][0]["meanings"][0]["sentences"].as_array().unwrap().clone();
    assert!(
        sentences.len() >= 3 && sentences.iter().all(|it| it["level"].is_string()),
        "{sentences:?}"
    );
    // A path is for callers at this machine alone.
    let body = json!({ "path": "/etc/passwd", "title": "x", "offers": [] });
    assert_eq!(node.post("/products", Some(&key), body).await.status, 403);
}
