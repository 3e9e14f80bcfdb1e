//! Signing in at an identity provider: a hostile one made here, and a real one (`oidc-provider`, a process of its own)
//! where `TIDM_TEST_OIDC` names the folder that it is installed in.

use std::collections::BTreeMap;
use std::fs::Permissions;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Method, Request, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Url;
use serde_json::{Value, json};
use tidm_crypto::hash::sha256;
use tidm_crypto::jws::sign;
use tidm_crypto::sign::{KeyKind, SigningKey};
use tokio::net::TcpListener;
use tower::ServiceExt as _;

use super::people::OTHER;
use super::{Node, PASSWORD, node_with};
use tidm_node::accounts;
use tidm_node::api::auth::From;

/// Bad answers from one address that are heard before the first lock-out.
const ANSWERS: usize = 30;
const REDIRECT: &str = "http://localhost:9000/api/oidc";

async fn relying(issuer: &str, more: &[(&str, &str)]) -> Node {
    let mut settings = vec![
        ("http.insecure_http", "true"),
        ("http.public_url", "http://localhost:9000"),
        ("peers.allow_private_addresses", "true"),
        ("people.oidc_issuer", issuer),
        ("people.oidc_client", "tidm"),
        ("people.oidc_roles", "groups:quality=analyst"),
    ];
    settings.extend(more);
    node_with(&settings).await
}

/// What a browser holds between going and coming back.
struct Went {
    handle: String,
    url: Url,
    query: BTreeMap<String, String>,
}

impl Node {
    async fn go(&self) -> (u16, Option<Went>) {
        let it = self.post("/oidc/begin", None, json!({})).await;
        let url = it.body["url"].as_str().and_then(|it| Url::parse(it).ok());
        let went = url.map(|url| Went {
            handle: it.body["handle"].as_str().unwrap().to_owned(),
            query: url.query_pairs().into_owned().collect(),
            url,
        });
        (it.status.as_u16(), went)
    }

    /// As [`Self::back`], from an address.
    async fn back_from(&self, from: &str, body: &Value) -> u16 {
        let request = Request::builder()
            .method(Method::POST)
            .uri("/api/v1/oidc/finish")
            .header("content-type", "application/json")
            .extension(From(from.parse::<SocketAddr>().unwrap()))
            .body(Body::from(body.to_string()))
            .unwrap();
        self.router.clone().oneshot(request).await.unwrap().status().as_u16()
    }

    /// (status, code, cause, token)
    async fn back(&self, body: Value) -> (u16, String, String, String) {
        let it = self.post("/oidc/finish", None, body).await;
        let text = |name: &str| it.body[name].as_str().unwrap_or_default().to_owned();
        (it.status.as_u16(), text("code"), text("cause"), text("token"))
    }
}

/// How the provider lies.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Trick {
    None,
    /// Discovery under another name.
    Renamed,
    Unsigned,
    /// HMAC, with the public key for a secret.
    Shared,
    OtherKey,
    UnknownKey,
    /// No token at all.
    Empty,
    Endless,
    Elsewhere,
    Refuses,
}

struct Issuer {
    base: String,
    key: SigningKey,
    trick: Trick,
    claims: Value,
    /// What the verifier must hash to.
    challenge: String,
}

type Shared = Arc<Mutex<Issuer>>;

async fn discovery(State(it): State<Shared>) -> String {
    let it = it.lock().unwrap();
    let issuer = if it.trick == Trick::Renamed {
        "https://evil.example".to_owned()
    } else {
        it.base.clone()
    };
    json!({
        "issuer": issuer, "authorization_endpoint": format!("{}/auth", it.base),
        "token_endpoint": format!("{}/token", it.base), "jwks_uri": format!("{}/keys", it.base),
        "authorization_response_iss_parameter_supported": true,
    })
    .to_string()
}

fn jwk(key: &SigningKey) -> Value {
    let mut it = key.verifying_key().to_jwk();
    it["kid"] = json!("one");
    it
}

async fn keys(State(it): State<Shared>) -> String {
    json!({ "keys": [jwk(&it.lock().unwrap().key)] }).to_string()
}

async fn token(State(it): State<Shared>, form: String) -> Response {
    let it = it.lock().unwrap();
    let form: BTreeMap<String, String> =
        Url::parse(&format!("http://x/?{form}")).unwrap().query_pairs().into_owned().collect();
    let proof = URL_SAFE_NO_PAD.encode(sha256(form["code_verifier"].as_bytes()).as_bytes());
    assert_eq!(proof, it.challenge, "PKCE: the verifier is the one of this beginning");
    assert_eq!((form["client_id"].as_str(), form["redirect_uri"].as_str()), ("tidm", REDIRECT));
    let payload = it.claims.to_string();
    let other = SigningKey::from_secret_bytes(KeyKind::Es256, &[9; 32]).unwrap();
    let headed = |alg: &str| {
        let header = json!({ "alg": alg, "kid": "one" }).to_string();
        format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(&payload))
    };
    let token = match it.trick {
        Trick::None | Trick::Renamed => sign("one", "JWT", payload.as_bytes(), &it.key),
        Trick::Unsigned => format!("{}.", headed("none")),
        Trick::Shared => {
            let signed = headed("HS256");
            let secret = jwk(&it.key).to_string();
            let mac = sha256(format!("{secret}{signed}").as_bytes());
            format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac.as_bytes()))
        }
        Trick::OtherKey => sign("one", "JWT", payload.as_bytes(), &other),
        Trick::UnknownKey => sign("two", "JWT", payload.as_bytes(), &other),
        Trick::Empty => return "{}".into_response(),
        Trick::Endless => return "x".repeat(3 << 20).into_response(),
        Trick::Elsewhere => {
            return (StatusCode::FOUND, [("location", format!("{}/keys", it.base))])
                .into_response();
        }
        Trick::Refuses => {
            return (StatusCode::BAD_REQUEST, "{\"error\":\"invalid_grant\"}").into_response();
        }
    };
    json!({ "access_token": "x", "token_type": "Bearer", "id_token": token })
        .to_string()
        .into_response()
}

async fn hostile() -> Shared {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let key = SigningKey::from_secret_bytes(KeyKind::Es256, &[7; 32]).unwrap();
    let it = Issuer { base, key, trick: Trick::None, claims: json!({}), challenge: String::new() };
    let shared = Arc::new(Mutex::new(it));
    let routes = Router::new()
        .route("/.well-known/openid-configuration", get(discovery))
        .route("/keys", get(keys))
        .route("/token", post(token))
        .with_state(shared.clone());
    tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
    shared
}

/// One sign-in in which the provider lies so, and says so of the person; `change` is put over the claims.
async fn try_in(
    node: &Node,
    issuer: &Shared,
    trick: Trick,
    change: Value,
) -> (u16, String, String, String) {
    let body = ready(node, issuer, trick, change).await;
    node.back(body).await
}

/// What the browser brings back of it.
async fn ready(node: &Node, issuer: &Shared, trick: Trick, change: Value) -> Value {
    let (status, went) = node.go().await;
    let went = went.unwrap_or_else(|| panic!("{status}"));
    let base = issuer.lock().unwrap().base.clone();
    let seconds = node.app.clock.now().seconds();
    let mut claims = json!({
        "iss": base, "sub": "7", "aud": "tidm", "nonce": went.query["nonce"], "iat": seconds, "exp": seconds + 300,
        "preferred_username": "li.na", "groups": ["quality"],
    });
    for (name, value) in change.as_object().unwrap() {
        claims[name] = value.clone();
    }
    {
        let mut it = issuer.lock().unwrap();
        (it.trick, it.claims) = (trick, claims);
        it.challenge = went.query["code_challenge"].clone();
    }
    assert_eq!(went.query["code_challenge_method"], "S256");
    json!({ "handle": went.handle, "code": "c", "state": went.query["state"], "iss": base })
}

#[tokio::test(flavor = "multi_thread")]
async fn who_begins_without_end_keeps_nobody_out_and_a_sign_in_ends_once() {
    let issuer = hostile().await;
    let base = issuer.lock().unwrap().base.clone();
    let node = relying(&base, &[]).await;
    let admin = node.admin().await;
    let early = node.go().await.1.unwrap();
    for _ in 0..1100 {
        assert_eq!(node.go().await.0, 201);
    }
    let body = ready(&node, &issuer, Trick::None, json!({})).await;
    assert_eq!(node.back(body.clone()).await.0, 201);
    let again = node.back(body).await;
    assert_eq!((again.0, again.2.as_str()), (403, "oidc.state"), "{again:?}");
    // Another node's handle, and one that began long before the others: the first is none, the second still stands.
    let other = relying(&base, &[]).await;
    let theirs = other.go().await.1.unwrap();
    let answer = |went: &Went| json!({ "handle": went.handle, "code": "c", "state": went.query["state"], "iss": "https://evil.example" });
    assert_eq!(node.back(answer(&theirs)).await.2, "oidc.state");
    assert_eq!(node.back(answer(&early)).await.2, "oidc.issuer", "past its state");
    let log = node.get("/people-log?account=%20anonymous", &admin).await.body;
    assert_eq!(log["items"][0]["reason"], "oidc.refused oidc.state", "{log}");
    assert_eq!(log["items"][0]["act"], "sign-in.oidc");
}

/// Bad answers are held against where they come from, and against nobody else; a provider that is broken is nobody's fault.
#[tokio::test(flavor = "multi_thread")]
async fn who_ends_badly_without_end_is_not_heard_for_a_while() {
    let issuer = hostile().await;
    let base = issuer.lock().unwrap().base.clone();
    let node = relying(&base, &[]).await;
    let admin = node.admin().await;
    let (far, home) = ("198.51.100.7:1", "192.0.2.1:1");
    for _ in 0..ANSWERS {
        let body = ready(&node, &issuer, Trick::Endless, json!({})).await;
        assert_eq!(node.back_from(home, &body).await, 503);
    }
    let mut heard = 0;
    for number in 0..ANSWERS + 10 {
        let (trick, claims) = if number.is_multiple_of(2) {
            (Trick::Refuses, json!({}))
        } else {
            (Trick::None, json!({ "nonce": "of another sign-in" }))
        };
        let mut body = ready(&node, &issuer, trick, claims).await;
        if number.is_multiple_of(3) {
            body["state"] = json!("of another sign-in");
        }
        heard += usize::from(node.back_from(far, &body).await == 403);
    }
    assert_eq!(heard, ANSWERS);
    let good = ready(&node, &issuer, Trick::None, json!({})).await;
    assert_eq!(node.back_from(far, &good).await, 429);
    assert_eq!(node.back_from(home, &good).await, 201, "it was not even looked at there");
    let good = ready(&node, &issuer, Trick::None, json!({})).await;
    assert_eq!(node.back_from("198.51.100.8:1", &good).await, 201);
    // Nobody knows who it was: the first refusal of a minute stands by itself, and those after it together.
    let log = node.get("/people-log?account=%20anonymous", &admin).await.body;
    assert!((1..=3).contains(&log["items"].as_array().unwrap().len()), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_provider_lets_nobody_in() {
    let issuer = hostile().await;
    let base = issuer.lock().unwrap().base.clone();
    let node = relying(&base, &[]).await;
    drop(node.admin().await);
    issuer.lock().unwrap().trick = Trick::Renamed;
    assert_eq!(node.go().await.0, 403, "discovery under another name");
    issuer.lock().unwrap().trick = Trick::None;
    let now = node.app.clock.now().seconds();
    for (trick, change, status, cause) in [
        (Trick::Unsigned, json!({}), 403, "oidc.algorithm"),
        (Trick::Shared, json!({}), 403, "oidc.algorithm"),
        (Trick::OtherKey, json!({}), 403, "oidc.signature"),
        (Trick::UnknownKey, json!({}), 403, "oidc.key"),
        (Trick::Empty, json!({}), 403, "oidc.malformed"),
        (Trick::Refuses, json!({}), 403, "oidc.code"),
        (Trick::Endless, json!({}), 503, ""),
        (Trick::Elsewhere, json!({}), 503, ""),
        (Trick::None, json!({ "iss": "https://evil.example" }), 403, "oidc.issuer"),
        (Trick::None, json!({ "aud": "somebody else" }), 403, "oidc.audience"),
        (Trick::None, json!({ "aud": ["tidm", "x"], "azp": "x" }), 403, "oidc.audience"),
        (Trick::None, json!({ "exp": now - 60 }), 403, "oidc.time"),
        (Trick::None, json!({ "iat": now + 600 }), 403, "oidc.time"),
        (Trick::None, json!({ "nonce": "of another sign-in" }), 403, "oidc.nonce"),
        (Trick::None, json!({ "sub": "" }), 403, "oidc.malformed"),
        (Trick::None, json!({ "groups": ["visitors"] }), 403, ""),
    ] {
        let found = try_in(&node, &issuer, trick, change.clone()).await;
        assert_eq!((found.0, found.2.as_str()), (status, cause), "{trick:?} {change}: {found:?}");
        assert!(found.3.is_empty());
    }
    // The browser's side: another state, another provider's answer, a handle of nobody, one that was used.
    for (name, value, cause) in [
        ("state", "x", "oidc.state"),
        ("handle", "x", "oidc.state"),
        ("iss", "https://evil.example", "oidc.issuer"),
    ] {
        let went = node.go().await.1.unwrap();
        let mut body = json!({ "handle": went.handle, "code": "c", "state": went.query["state"], "iss": base });
        body[name] = json!(value);
        assert_eq!(node.back(body).await.2, cause, "{name}");
    }
    let went = node.go().await.1.unwrap();
    let silent = json!({ "handle": went.handle, "code": "c", "state": went.query["state"] });
    assert_eq!(node.back(silent).await.2, "oidc.issuer", "it said that it names itself");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_of_issuer_and_subject_and_its_roles_of_the_last_sign_in() {
    let issuer = hostile().await;
    let base = issuer.lock().unwrap().base.clone();
    let node = relying(&base, &[]).await;
    let early = try_in(&node, &issuer, Trick::None, json!({})).await;
    assert_eq!((early.0, early.1.as_str()), (503, "setup.needed"), "nobody is here yet");
    let admin = node.admin().await;
    let (status, _, _, li) = try_in(&node, &issuer, Trick::None, json!({})).await;
    assert_eq!(status, 201);
    let me = node.get("/me", &li).await.body;
    assert_eq!((me["name"].as_str(), &me["roles"]), (Some("li.na"), &json!(["analyst"])));
    assert_eq!(node.get("/products", &li).await.status, 200);
    // Another subject that calls itself as somebody here does is somebody else.
    for taken in ["admin", "li.na"] {
        let other = json!({ "sub": format!("not {taken}"), "preferred_username": taken });
        let token = try_in(&node, &issuer, Trick::None, other).await.3;
        let name = node.get("/me", &token).await.body["name"].as_str().unwrap().to_owned();
        assert!(name.starts_with(&format!("{taken} ")) && name.len() == taken.len() + 9, "{name}");
        assert_eq!(node.get("/people", &token).await.status, 403);
    }
    // The same subject under another name is the same account; its groups are those of now.
    let changed = json!({ "preferred_username": "li", "groups": [] });
    let again = try_in(&node, &issuer, Trick::None, changed).await.3;
    assert_eq!(node.get("/me", &again).await.body["name"], "li.na");
    assert_eq!(node.get("/products", &again).await.status, 403);
    assert_eq!(node.get("/products", &li).await.status, 403, "the session of before, too");
    let body = json!({ "name": "li.na", "password": "" });
    assert_eq!(node.post("/session", None, body).await.status, 401, "no password opens it");
    let link = node.post("/people/li.na/link", Some(&admin), json!({})).await;
    assert_eq!((link.status.as_u16(), link.body["code"].as_str()), (409, Some("people.provider")));
    let off = node.post("/people/li.na/disable", Some(&admin), json!({})).await;
    assert_eq!(off.status, 204);
    assert_eq!(try_in(&node, &issuer, Trick::None, json!({})).await.0, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_changes_nothing_of_a_separated_administrator() {
    let issuer = hostile().await;
    let base = issuer.lock().unwrap().base.clone();
    let node = relying(&base, &[("people.separation", "on")]).await;
    let token = accounts::setup_token(&node.app).await.unwrap().unwrap();
    let body = json!({ "token": token, "name": "admin", "password": PASSWORD });
    let made = node.post("/setup", None, body).await.body;
    let link = made["invitations"][0]["token"].as_str().unwrap();
    assert_eq!(node.join(link, OTHER).await.0, 201);
    let security = node.sign_in_as("security", OTHER).await.1;
    assert_eq!(try_in(&node, &issuer, Trick::None, json!({})).await.0, 201);
    assert_eq!(node.grant(&security, "li.na", &["audit-administrator"]).await.0, 204);
    let li = try_in(&node, &issuer, Trick::None, json!({})).await.3;
    assert_eq!(node.get("/me", &li).await.body["roles"], json!(["audit-administrator"]));
    assert_eq!(node.get("/people-log", &li).await.status, 200);
}

struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// What a person's browser does at the provider's own pages, to the address that it is sent back to.
async fn browse(start: Url, user: &str) -> Url {
    let http = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
        .unwrap();
    let (mut url, mut cookies) = (start, BTreeMap::<String, String>::new());
    let mut form: Option<String> = None;
    for _ in 0..12 {
        if url.as_str().starts_with(REDIRECT) {
            return url;
        }
        let sent = cookies.iter().map(|(name, value)| format!("{name}={value}"));
        let request = match form.take() {
            Some(form) => http
                .post(url.clone())
                .header("content-type", "application/x-www-form-urlencoded")
                .body(form),
            None => http.get(url.clone()),
        };
        let answer =
            request.header("cookie", sent.collect::<Vec<_>>().join("; ")).send().await.unwrap();
        for it in answer.headers().get_all("set-cookie") {
            let pair = it.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            cookies.insert(name.to_owned(), value.to_owned());
        }
        cookies.retain(|_, value| !value.is_empty());
        if let Some(next) = answer.headers().get("location") {
            url = url.join(next.to_str().unwrap()).unwrap();
            continue;
        }
        let page = answer.text().await.unwrap();
        let asked = if page.contains("value=\"login\"") { "login" } else { "consent" };
        assert!(page.contains(&format!("value=\"{asked}\"")), "{page}");
        form = Some(format!("prompt={asked}&login={user}&password=any"));
    }
    panic!("the provider never sent the browser back");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_provider_lets_its_people_in() {
    let Ok(home) = std::env::var("TIDM_TEST_OIDC") else {
        println!(
            "SKIPPED: a real identity provider: TIDM_TEST_OIDC names no folder of oidc-provider"
        );
        return;
    };
    let free = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/api/provider.mjs");
    let child = Command::new("node")
        .args([script, &home, &port.to_string(), REDIRECT])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _provider = Process(child);
    for _ in 0..300 {
        if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let dir = tempfile::tempdir().unwrap();
    let secret = dir.path().join("secret");
    std::fs::write(&secret, "good for tests: only\n").unwrap();
    let mode = Permissions::from_mode(0o600);
    std::fs::set_permissions(&secret, mode).unwrap();
    let issuer = format!("http://127.0.0.1:{port}");
    let node = relying(&issuer, &[("people.oidc_secret_file", secret.to_str().unwrap())]).await;
    drop(node.admin().await);
    let went = node.go().await.1.unwrap();
    let back = browse(went.url.clone(), "wang").await;
    let said: BTreeMap<String, String> = back.query_pairs().into_owned().collect();
    assert_eq!(said["iss"], issuer);
    let body = json!({ "handle": went.handle, "code": said["code"], "state": said["state"], "iss": said["iss"] });
    let (status, code, cause, token) = node.back(body).await;
    assert_eq!(status, 201, "{code} {cause}");
    let me = node.get("/me", &token).await.body;
    assert_eq!(
        (me["name"].as_str(), &me["roles"]),
        (Some("wang@example.com"), &json!(["analyst"]))
    );
    // The code of this sign-in, brought under another one's handle, is not taken.
    let other = node.go().await.1.unwrap();
    let stolen = json!({ "handle": other.handle, "code": said["code"], "state": other.query["state"], "iss": issuer });
    let (status, _, cause, _) = node.back(stolen.clone()).await;
    assert_eq!((status, cause.as_str()), (403, "oidc.code"));
    // Brought again and again, it is not asked about any more from there.
    let mut seen = Vec::new();
    for _ in 0..=ANSWERS {
        seen.push(node.back_from("198.51.100.7:1", &stolen).await);
    }
    assert_eq!((seen.pop(), seen), (Some(429), vec![403; ANSWERS]));
    let went = node.go().await.1.unwrap();
    let back = browse(went.url.clone(), "zhao").await;
    let said: BTreeMap<String, String> = back.query_pairs().into_owned().collect();
    let body = json!({ "handle": went.handle, "code": said["code"], "state": said["state"], "iss": said["iss"] });
    assert_eq!(node.back_from("192.0.2.1:1", &body).await, 201);
}
