//! Changes of others' offers reach those who listen and those who are called.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::{Value, json};
use tidm_crypto::jws;
use tidm_node::accounts::{self, Scope};
use tidm_node::app::App;
use tidm_node::jobs::{crawl, notify};
use tidm_node::store::people::insert;
use tidm_node::store::remote::forget_changes;
use tidm_space::people::decide::{Person, State as Standing};
use tidm_space::people::role::Role;
use tidm_space::people::rule::Known;
use tidm_space::time::Time;
use tokio::net::TcpListener;

use super::federation::know;
use super::member::{Foreign, Manner, dataset};
use super::{Place, start};

struct Caller {
    http: reqwest::Client,
    base: String,
    token: String,
}

impl Caller {
    async fn of(app: &App) -> Self {
        let owner = Person {
            name: "test".to_owned(),
            state: Standing::Active,
            roles: [Role::Steward].into(),
            known: Known::default(),
            second_factor: false,
        };
        let made = app.writer.note(move |conn| {
            let owner = owner.clone();
            Box::pin(async move { insert(conn, &owner, "", Time::ZERO).await.map(drop) })
        });
        made.await.unwrap();
        let key = accounts::make_key(app, "test", "test", &[Scope::Read, Scope::Contract], None);
        let (_, token) = key.await.unwrap();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let base = format!("{}/api/v1", app.identity.public_url);
        Self { http, base, token: token.expose().to_owned() }
    }

    async fn call(&self, method: reqwest::Method, path: &str, body: Option<Value>) -> (u16, Value) {
        let mut request =
            self.http.request(method, format!("{}{path}", self.base)).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap_or(Value::Null))
    }

    /// Events until there are so many: name, number and title.
    async fn events(
        &self,
        query: &str,
        last: Option<&str>,
        many: usize,
    ) -> Vec<(String, i64, String)> {
        let mut request =
            self.http.get(format!("{}/catalog/events{query}", self.base)).bearer_auth(&self.token);
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let mut answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        let mut text = String::new();
        while text.matches("\n\n").count() < many {
            let chunk = tokio::time::timeout(Duration::from_secs(20), answer.chunk()).await;
            text.push_str(std::str::from_utf8(&chunk.unwrap().unwrap().unwrap()).unwrap());
        }
        let field = |event: &str, name: &str| {
            let found = event.lines().find_map(|it| it.strip_prefix(name));
            found.unwrap_or_default().trim().to_owned()
        };
        let one = |it: &str| {
            let data: Value = serde_json::from_str(&field(it, "data:")).unwrap();
            let title = data["title"].as_str().unwrap_or_default().to_owned();
            (field(it, "event:"), field(it, "id:").parse().unwrap(), title)
        };
        text.split("\n\n").filter(|it| !it.is_empty()).take(many).map(one).collect()
    }
}

fn offers(all: &[(&str, &str)]) -> Manner {
    let datasets = all.iter().map(|(id, title)| dataset(id, title)).collect();
    Manner::Pages { datasets, page: 10 }
}

fn event(kind: &str, seq: i64, title: &str) -> (String, i64, String) {
    (kind.to_owned(), seq, title.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn listeners_hear_changes_and_go_on_where_they_were() {
    let (app, stop, _dir) = start(Place::new().await, "\"intermediary\"", "").await;
    let foreign = Foreign::start("foreign", offers(&[("urn:1", "bearing")])).await;
    know(&app, vec![foreign.member()]);
    let caller = Arc::new(Caller::of(&app).await);
    crawl::crawl_once(&app).await.unwrap();

    // From now on: what was there before is not told.
    let live = tokio::spawn({
        let caller = caller.clone();
        async move { caller.events("?search=bearing", None, 2).await }
    });
    while app.listeners.available_permits() == tidm_node::api::LISTENERS {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    foreign.set(offers(&[("urn:1", "bearing changed"), ("urn:2", "gear")]));
    crawl::crawl_once(&app).await.unwrap();
    foreign.set(offers(&[("urn:2", "gear")]));
    crawl::crawl_once(&app).await.unwrap();
    let all = [event("changed", 2, "bearing changed"), event("gone", 4, "bearing changed")];
    assert_eq!(live.await.unwrap(), all);

    // With the last number they go on behind it; with none of ours they are told so.
    let again = caller.events("", Some("2"), 2).await;
    assert_eq!(again, [event("new", 3, "gear"), event("gone", 4, "bearing changed")]);
    assert_eq!(caller.events("?after=3", None, 1).await, [event("gone", 4, "bearing changed")]);
    assert_eq!(caller.events("", Some("99"), 1).await, [event("lost", 4, "")]);
    app.writer.note(|conn| Box::pin(async move { forget_changes(conn, 2).await })).await.unwrap();
    let late = caller.events("", Some("1"), 2).await;
    assert_eq!(late, [event("lost", 2, ""), event("new", 3, "gear")]);
    for bad in ["?max_price=5", "?after=x", "?free=perhaps"] {
        let (status, _) =
            caller.call(reqwest::Method::GET, &format!("/catalog/events{bad}"), None).await;
        assert_eq!(status, 400, "{bad}");
    }

    // Too many: said, not queued. Those who went freed their places.
    let free =
        app.listeners.clone().acquire_many_owned(u32::try_from(tidm_node::api::LISTENERS).unwrap());
    let taken = tokio::time::timeout(Duration::from_secs(20), free).await.unwrap().unwrap();
    let (status, body) = caller.call(reqwest::Method::GET, "/catalog/events", None).await;
    assert_eq!((status, body["code"].as_str()), (503, Some("catalog.listeners")));
    drop(taken);
    // A node that stops does not wait for them.
    let waits = tokio::spawn(async move {
        caller
            .http
            .get(format!("{}/catalog/events", caller.base))
            .bearer_auth(&caller.token)
            .send()
            .await
            .unwrap()
            .text()
            .await
    });
    tokio::time::sleep(Duration::from_millis(200)).await;
    stop.send(true).unwrap();
    drop(tokio::time::timeout(Duration::from_secs(8), waits).await.expect("the stream ends"));
}

/// Somebody who is called: the answers it will give, and what it was told with which signature.
#[derive(Default)]
struct Called {
    answers: Mutex<Vec<u16>>,
    told: Mutex<Vec<(String, String)>>,
}

async fn take(State(it): State<Arc<Called>>, headers: HeaderMap, body: String) -> StatusCode {
    let signature = headers[notify::SIGNATURE].to_str().unwrap().to_owned();
    it.told.lock().unwrap().push((body, signature));
    let mut answers = it.answers.lock().unwrap();
    StatusCode::from_u16(if answers.is_empty() { 200 } else { answers.remove(0) }).unwrap()
}

impl Called {
    async fn start() -> (Arc<Self>, String) {
        let it = Arc::new(Self::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://localhost:{}/told", listener.local_addr().unwrap().port());
        let router = Router::new().route("/told", post(take)).with_state(it.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        (it, url)
    }

    /// The next call, once it came.
    async fn next(&self) -> (String, String) {
        let began = Instant::now();
        loop {
            if let Some(first) = self.told.lock().unwrap().pop() {
                return first;
            }
            assert!(began.elapsed() < Duration::from_secs(60), "nobody called");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn subscribers_are_called_again_until_they_take_it() {
    let (app, _stop, _dir) = start(Place::new().await, "\"intermediary\"", "").await;
    let foreign = Foreign::start("foreign", offers(&[("urn:1", "bearing")])).await;
    know(&app, vec![foreign.member()]);
    let caller = Caller::of(&app).await;
    let path = "/catalog/subscriptions";
    let (subscriber, url) = Called::start().await;
    for bad in [
        json!({ "url": "ftp://a.example/" }),
        json!({ "url": "http://plant.example/" }),
        json!({ "url": "https://user:pw@plant.example/" }),
        json!({ "url": "no url" }),
        json!({ "url": url, "wanted": { "max_price": "5" } }),
        json!({ "url": url, "secret": "x" }),
    ] {
        let (status, _) = caller.call(reqwest::Method::POST, path, Some(bad.clone())).await;
        assert_eq!(status, 400, "{bad}");
    }
    let body = json!({ "url": url, "wanted": { "search": "bearing" } });
    let (status, made) = caller.call(reqwest::Method::POST, path, Some(body)).await;
    assert_eq!((status, made["wanted"]["search"].as_str()), (201, Some("bearing")), "{made}");

    subscriber.answers.lock().unwrap().push(500);
    crawl::crawl_once(&app).await.unwrap();
    let (body, signature) = subscriber.next().await;
    let said: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (said["subscription"].clone(), said["lost"].as_bool()),
        (made["id"].clone(), Some(false))
    );
    assert_eq!(
        (said["events"][0]["kind"].as_str(), said["events"][0]["id"].as_str()),
        (Some("new"), Some("urn:1"))
    );
    // The signature is over this very body, by the node's key.
    let whole = |body: &str| {
        use base64::Engine as _;
        let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(body);
        signature.replacen("..", &format!(".{payload}."), 1)
    };
    let key = app.identity.verifying_key();
    assert!(jws::Unverified::parse(&whole(&body)).unwrap().verify(&key).is_ok());
    assert!(jws::Unverified::parse(&whole("{}")).unwrap().verify(&key).is_err());

    // It said 500: marked, and called again later with the same.
    let shown = async || caller.call(reqwest::Method::GET, path, None).await.1["items"][0].clone();
    let began = Instant::now();
    while shown().await["failures"] != 1 {
        assert!(began.elapsed() < Duration::from_secs(10), "{}", shown().await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let failing = shown().await;
    assert!(failing["error"].as_str().is_some_and(|it| it.contains("500")), "{failing}");
    assert!(
        failing["next"].is_string() && failing["failingSince"].is_string() && failing["sent"] == 0
    );
    let (again, _) = subscriber.next().await;
    let again: Value = serde_json::from_str(&again).unwrap();
    assert_eq!(again["events"], said["events"]);
    assert_ne!(again["delivery"], said["delivery"]);

    // What it does not want is passed over; 410 ends it.
    foreign.set(offers(&[("urn:1", "bearing"), ("urn:2", "gear")]));
    crawl::crawl_once(&app).await.unwrap();
    let began = Instant::now();
    while shown().await["sent"] != 2 {
        assert!(began.elapsed() < Duration::from_secs(10), "{}", shown().await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(subscriber.told.lock().unwrap().is_empty());
    subscriber.answers.lock().unwrap().push(410);
    foreign.set(offers(&[("urn:2", "gear")]));
    crawl::crawl_once(&app).await.unwrap();
    drop(subscriber.next().await);
    let began = Instant::now();
    while !shown().await.is_null() {
        assert!(began.elapsed() < Duration::from_secs(10), "{}", shown().await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (_, made) = caller.call(reqwest::Method::POST, path, Some(json!({ "url": url }))).await;
    let one = format!("{path}/{}", made["id"].as_str().unwrap());
    assert_eq!(caller.call(reqwest::Method::DELETE, &one, None).await.0, 204);
    assert_eq!(caller.call(reqwest::Method::DELETE, &one, None).await.0, 404);
}
