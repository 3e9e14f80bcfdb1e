//! A node as the data plane of a control plane that this test plays: real bytes both ways, and their end.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

use tidm_crypto::hash::sha256;
use tidm_node::accounts::{self, Scope};
use tidm_node::app::App;
use tidm_node::objects::Key;
use tidm_node::store::people::insert;
use tidm_space::id::Id;
use tidm_space::people::decide::{Person, State as Standing};
use tidm_space::people::role::Role;
use tidm_space::people::rule::Known;
use tidm_space::policy::usage::Use;
use tidm_space::time::Time;

use crate::mtls::{Authority, Knocker, Wanted, secured};
use crate::world::{World, csv, eventually, limited};

const ACCEPT: &str = "the-control-plane-presents-this";
const PRESENT: &str = "the-node-presents-this-to-it";

fn noise(bytes: u32) -> Vec<u8> {
    (0..bytes).map(|it| (it.wrapping_mul(2_654_435_761) >> 11).to_le_bytes()[0]).collect()
}

/// One request: path, authorization, body.
type Heard = (String, String, Vec<u8>);

/// What the control plane's server, and the place of pushed bytes, were told.
#[derive(Clone, Default)]
pub(crate) struct Told(Arc<Mutex<Vec<Heard>>>);

impl Told {
    pub(crate) fn of(&self, ending: &str) -> Option<(String, Vec<u8>)> {
        let all = self.0.lock().unwrap();
        let found = all.iter().find(|(path, _, _)| path.ends_with(ending));
        found.map(|(_, authorization, body)| (authorization.clone(), body.clone()))
    }
}

async fn outside(State(told): State<Told>, request: Request) -> StatusCode {
    let (parts, body) = request.into_parts();
    let authorization = parts.headers.get("authorization");
    let authorization = authorization.map(|it| it.to_str().unwrap().to_owned()).unwrap_or_default();
    let body = axum::body::to_bytes(body, 1 << 26).await.unwrap().to_vec();
    told.0.lock().unwrap().push((parts.uri.path().to_owned(), authorization, body));
    StatusCode::OK
}

pub(crate) struct Setting {
    pub(crate) world: World,
    http: reqwest::Client,
    pub(crate) told: Told,
    /// Where the control plane hears, and where pushed bytes go.
    outside: String,
}

impl Setting {
    pub(crate) async fn new() -> Self {
        let signaling = "[signaling]\nenabled = true\nprofiles = [\"http-pull\", \"http-push\", \"later-pull\"]\n\
                         background = [\"later-pull\"]\n";
        let world = World::of(1, |_, _| signaling.to_owned()).await;
        let http =
            reqwest::Client::builder().no_proxy().use_preconfigured_tls(tls()).build().unwrap();
        let (listener, told) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), Told::default());
        let outside_at = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(outside).with_state(told.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { world, http, told, outside: outside_at }
    }

    /// A node that speaks TLS, whose reports reach nobody.
    pub(crate) async fn secured(dir: &std::path::Path) -> Self {
        let authority = Authority::new(dir, "ca");
        let world = World::planned(1, |plan, at| {
            let pair = authority.issue("node", &Wanted::of(&plan.dids[at]));
            let base = secured(plan, at, &pair, &authority.file);
            format!("{base}[signaling]\nenabled = true\n")
        })
        .await;
        let http = Knocker::new(&authority.file, None).0;
        Self { world, http, told: Told::default(), outside: "https://127.0.0.1:9".to_owned() }
    }

    pub(crate) fn app(&self) -> &Arc<App> {
        &self.world.provider().app
    }

    fn url(&self, path: &str) -> String {
        format!("{}/dataplane{path}", self.app().identity.public_url)
    }

    /// Registers this test as a control plane, as an administrator does.
    pub(crate) async fn register(&self, datasets: &[&str]) {
        let owner = Person {
            name: "admin".to_owned(),
            state: Standing::Active,
            roles: Role::everything(),
            known: Known::default(),
            second_factor: false,
        };
        let made = self.app().writer.note(move |conn| {
            let owner = owner.clone();
            Box::pin(async move { insert(conn, &owner, "", Time::ZERO).await.map(drop) })
        });
        made.await.unwrap();
        let made = accounts::make_key(self.app(), "admin", "test", &[Scope::Admin], None).await;
        let (_, key) = made.unwrap();
        let message = json!({
            "controlplaneId": "test",
            "endpoint": format!("{}/callbacks", self.outside),
            "tidm:datasets": datasets,
            "authorization": {"type": "tidm:bearer", "accept": ACCEPT, "present": PRESENT},
        });
        let put = |token: &str| {
            self.http.put(self.url("/controlplanes")).bearer_auth(token).body(message.to_string())
        };
        assert_eq!(put("tidm.nobody.nothing").send().await.unwrap().status(), 401);
        assert_eq!(put(ACCEPT).send().await.unwrap().status(), 401);
        assert_eq!(put(key.expose()).send().await.unwrap().status(), 200);
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        let request = self.http.post(self.url(path)).bearer_auth(ACCEPT).body(body.to_string());
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        (status, serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or_default())
    }

    async fn order(&self, flow: &str, kind: &str) -> u16 {
        self.post(&format!("/dataflows/{flow}/{kind}"), json!({"messageId": "m"})).await.0
    }

    pub(crate) async fn state(&self, flow: &str) -> String {
        let url = self.url(&format!("/dataflows/{flow}/status"));
        let answer = self.http.get(url).bearer_auth(ACCEPT).send().await.unwrap();
        let body: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        body["state"].as_str().unwrap().to_owned()
    }
}

pub(crate) fn terms(process: &str, dataset: &str, profile: &str) -> Value {
    json!({
        "messageId": format!("m-{process}"), "participantId": "did:web:me", "counterPartyId": "did:web:you",
        "dataspaceContext": "test", "processId": process, "agreementId": "agreement", "datasetId": dataset,
        "profile": profile, "claims": {},
    })
}

pub(crate) fn property(status: &Value, name: &str) -> String {
    let all = status["dataAddress"]["endpointProperties"].as_array().unwrap();
    let found = all.iter().find(|it| it["name"] == name).unwrap();
    found["value"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_serves_the_bytes_until_it_is_suspended() {
    let it = Setting::new().await;
    let all = noise(64 << 20);
    let product = it.world.published("big.bin", &all, limited(5), &[Use::Plain]).await;
    it.register(&[product.id.as_str()]).await;
    let opening = terms("p1", product.id.as_str(), "http-pull");
    let (status, started) = it.post("/dataflows/start", opening.clone()).await;
    assert_eq!((status, &started["state"]), (200, &json!("STARTED")), "{started}");
    let flow = started["dataFlowId"].as_str().unwrap().to_owned();
    let (url, token) =
        (started["dataAddress"]["endpoint"].as_str().unwrap(), property(&started, "authorization"));
    let get = async |token: &str| it.http.get(url).bearer_auth(token).send().await.unwrap();
    assert_eq!(get("another-token").await.status(), 401);
    assert!(get(&token).await.bytes().await.unwrap() == all);

    let mut download = get(&token).await;
    let mut got = download.chunk().await.unwrap().unwrap().len();
    assert_eq!(it.order(&flow, "suspend").await, 200);
    assert_eq!(get(&token).await.status(), 401, "the token rests at once");
    tokio::time::sleep(Duration::from_millis(1000)).await;
    let cut = loop {
        match download.chunk().await {
            Ok(Some(piece)) => got += piece.len(),
            Ok(None) => break false,
            Err(_) => break true,
        }
    };
    assert!(cut && got < all.len(), "{got} bytes came");
    assert_eq!(it.order(&flow, "resume").await, 200);
    assert_eq!(get(&token).await.status(), 200, "and works again");

    // The same order again gets a fresh token, which ends the old one; another for that process is refused.
    let (status, again) = it.post("/dataflows/start", opening.clone()).await;
    assert_eq!((status, again["dataFlowId"].as_str()), (200, Some(flow.as_str())));
    assert_eq!(get(&token).await.status(), 401);
    let token = property(&again, "authorization");
    assert_eq!(get(&token).await.status(), 200);
    let mut other = opening;
    other["messageId"] = json!("another");
    assert_eq!(it.post("/dataflows/start", other).await.0, 409);

    assert_eq!(it.order(&flow, "completed").await, 200);
    assert_eq!(get(&token).await.status(), 401);
    assert_eq!(it.order(&flow, "resume").await, 400, "terminal states are final");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_moves_for_strangers_or_beyond_what_was_allowed() {
    let it = Setting::new().await;
    let plain = it.world.published("a.csv", &csv(), limited(5), &[Use::Plain]).await;
    let sealed = it.world.published("b.csv", &csv(), limited(5), &[Use::SealedTable]).await;
    let other = it.world.published("c.csv", &csv(), limited(5), &[Use::Plain]).await;
    let start = terms("p1", plain.id.as_str(), "http-pull");
    assert_eq!(it.post("/dataflows/start", start.clone()).await.0, 401, "nobody is registered");
    it.register(&[plain.id.as_str(), sealed.id.as_str()]).await;
    for (message, status) in [
        (terms("p2", other.id.as_str(), "http-pull"), 404),
        (terms("p3", "urn:nothing", "http-pull"), 404),
        (terms("p4", sealed.id.as_str(), "http-pull"), 403),
        (terms("p5", plain.id.as_str(), "ftp-pull"), 400),
        (terms("p6", plain.id.as_str(), "http-push"), 400),
        (json!({"messageId": "m"}), 400),
    ] {
        assert_eq!(it.post("/dataflows/start", message.clone()).await.0, status, "{message}");
    }
    let mut push = terms("p7", plain.id.as_str(), "http-push");
    push["dataAddress"] = json!({"endpointType": "HTTP", "endpoint": "http://10.0.0.1/in"});
    assert_eq!(it.post("/dataflows/start", push).await.0, 400, "plain http beyond loopback");
    let (status, started) = it.post("/dataflows/start", start).await;
    assert_eq!(status, 200);
    let flow = started["dataFlowId"].as_str().unwrap();
    let url = it.url(&format!("/dataflows/{flow}/status"));
    assert_eq!(it.http.get(&url).send().await.unwrap().status(), 401);
    assert_eq!(it.http.get(&url).bearer_auth(PRESENT).send().await.unwrap().status(), 401);
    assert_eq!(it.state(flow).await, "STARTED");
    // A registration that lost its data set ends what runs on it.
    it.register(&[]).await;
    let data = started["dataAddress"]["endpoint"].as_str().unwrap();
    let token = property(&started, "authorization");
    assert_eq!(it.http.get(data).bearer_auth(token).send().await.unwrap().status(), 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_arrives_and_is_reported() {
    let it = Setting::new().await;
    let all = noise(3_000_000);
    let product = it.world.published("p.bin", &all, limited(5), &[Use::Plain]).await;
    it.register(&["*"]).await;
    let mut start = terms("p1", product.id.as_str(), "http-push");
    start["dataAddress"] = json!({
        "endpointType": "HTTP", "endpoint": format!("{}/in", it.outside),
        "endpointProperties": [
            {"name": "authorization", "value": "for-the-consumer"}, {"name": "authType", "value": "bearer"},
        ],
    });
    let (status, started) = it.post("/dataflows/start", start).await;
    assert_eq!((status, started.get("dataAddress")), (200, None), "{started}");
    let flow = started["dataFlowId"].as_str().unwrap();
    let (authorization, body) = eventually("the bytes", || async { it.told.of("/in") }).await;
    assert_eq!(authorization, "Bearer for-the-consumer");
    assert!(body == all);
    let report = || async { it.told.of("/callbacks/transfers/p1/dataflow/completed") };
    let (authorization, body) = eventually("the report", report).await;
    assert_eq!(authorization, format!("Bearer {PRESENT}"));
    let report: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(
        (&report["state"], report["dataFlowId"].as_str()),
        (&json!("COMPLETED"), Some(flow))
    );
    assert_eq!(it.state(flow).await, "COMPLETED");
}

/// A place that takes bytes so slowly that the push is still under way when it is suspended.
#[tokio::test(flavor = "multi_thread")]
async fn a_suspension_closes_the_connection_of_a_push() {
    let it = Setting::new().await;
    let product = it.world.published("p.bin", &noise(64 << 20), limited(5), &[Use::Plain]).await;
    it.register(&["*"]).await;
    let place = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut start = terms("p1", product.id.as_str(), "http-push");
    let endpoint = format!("http://{}/in", place.local_addr().unwrap());
    start["dataAddress"] = json!({"endpointType": "HTTP", "endpoint": endpoint});
    let (_, started) = it.post("/dataflows/start", start).await;
    let flow = started["dataFlowId"].as_str().unwrap();
    let (mut stream, _) = place.accept().await.unwrap();
    let mut buffer = vec![0; 1 << 16];
    assert!(stream.read(&mut buffer).await.unwrap() > 0);
    assert_eq!(it.order(flow, "suspend").await, 200);
    let suspended = Instant::now();
    tokio::time::sleep(Duration::from_millis(900)).await;
    // Nothing more is sent; what lies in the kernel's buffers still comes, and then the end.
    let mut got = 0_usize;
    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
        got += read;
    }
    assert!(suspended.elapsed() < Duration::from_secs(5), "the connection stayed open");
    assert!(got < 64 << 20, "{got} bytes came");
    assert_eq!(it.state(flow).await, "SUSPENDED");
    assert_eq!(it.order(flow, "resume").await, 200);
    let (_again, _) = place.accept().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_takes_pushes_and_pulls_what_it_is_told() {
    let it = Setting::new().await;
    it.register(&[]).await;
    let (status, prepared) =
        it.post("/dataflows/prepare", terms("p1", "urn:theirs", "http-push")).await;
    assert_eq!((status, &prepared["state"]), (200, &json!("PREPARED")), "{prepared}");
    let (flow, token) =
        (prepared["dataFlowId"].as_str().unwrap(), property(&prepared, "authorization"));
    let url = prepared["dataAddress"]["endpoint"].as_str().unwrap();
    let push = async |token: &str| {
        it.http.post(url).bearer_auth(token).body("pushed bytes").send().await.unwrap().status()
    };
    assert_eq!(push("another").await, 401);
    assert_eq!(push(&token).await, 204, "ready as soon as it is prepared");
    assert_eq!(it.order(flow, "started").await, 200);
    let kept = it.app().store.flow_data(&Id::parse(flow).unwrap()).await.unwrap().remove(0);
    assert_eq!((kept.bytes, kept.digest), (12, sha256(b"pushed bytes")));
    let object = Key::parse(&kept.object).unwrap();
    assert_eq!(it.app().objects.get_range(&object, 0..12).await.unwrap(), "pushed bytes");
    assert_eq!(it.order(flow, "suspend").await, 200);
    assert_eq!(push(&token).await, 401);

    // The provider's side of a pull is another flow of this same node: what is served here is pulled here.
    let all = noise(3_000_000);
    let product = it.world.published("p.bin", &all, limited(5), &[Use::Plain]).await;
    it.register(&[product.id.as_str()]).await;
    let (_, serving) =
        it.post("/dataflows/start", terms("p2", product.id.as_str(), "http-pull")).await;
    let (status, preparing) =
        it.post("/dataflows/prepare", terms("p3", product.id.as_str(), "later-pull")).await;
    assert_eq!((status, &preparing["state"]), (202, &json!("PREPARING")), "{preparing}");
    let flow = preparing["dataFlowId"].as_str().unwrap();
    let report = || async { it.told.of("/callbacks/transfers/p3/dataflow/prepared") };
    eventually("the report that it is prepared", report).await;
    let notification = json!({"messageId": "m", "dataAddress": serving["dataAddress"]});
    assert_eq!(it.post(&format!("/dataflows/{flow}/started"), notification).await.0, 200);
    let report = || async { it.told.of("/callbacks/transfers/p3/dataflow/completed") };
    eventually("the report that it is complete", report).await;
    let kept = it.app().store.flow_data(&Id::parse(flow).unwrap()).await.unwrap().remove(0);
    assert_eq!((kept.bytes, kept.digest), (3_000_000, sha256(&all)));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_switch_there_is_nothing() {
    let world = World::of(1, |_, _| String::new()).await;
    let http = reqwest::Client::builder().no_proxy().use_preconfigured_tls(tls()).build().unwrap();
    let node = &world.provider().app.identity.public_url;
    for path in ["/dataplane/dataflows/x/status", "/signaling/transfers/x/agreement"] {
        let answer = http.get(format!("{node}{path}")).bearer_auth(ACCEPT).send().await.unwrap();
        assert_eq!(answer.status(), 404);
    }
}

fn tls() -> rustls::ClientConfig {
    let config = tidm_node::tls::client(tidm_node::tls::public_roots(), None).unwrap();
    (*config).clone()
}
