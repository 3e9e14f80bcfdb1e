//! The consumer's side of token renewal: a pull whose token ran out asks for a fresh one, by its own name, where it was
//! told to, and goes on; whoever answers anything else gets nothing more.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{any, get, post};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use tidm_crypto::hash::sha256;
use tidm_crypto::jws;
use tidm_node::store::planes::{FlowToken, save_token};
use tidm_space::id::Id;
use tidm_space::identity::token;
use tidm_space::limits::TOKEN_BYTES;
use tidm_space::policy::usage::Use;

use crate::signaling::{Setting, property, terms};
use crate::world::{csv, eventually, limited};

const PULL: &str = "https://w3id.org/dspace-sig/profile/http-pull";

/// A provider of other make: it takes one token at a time, and answers renewals as it was told to.
#[derive(Clone, Default)]
struct Provider(Arc<Mutex<Played>>);

#[derive(Default)]
struct Played {
    /// The token that opens the bytes now.
    good: String,
    answers: Vec<Value>,
    /// What was asked: (authorization, form).
    renewals: Vec<(String, String)>,
    pulls: Vec<String>,
    strayed: u32,
}

fn authorization(headers: &HeaderMap) -> String {
    headers.get(header::AUTHORIZATION).map(|it| it.to_str().unwrap().to_owned()).unwrap_or_default()
}

async fn data(State(it): State<Provider>, headers: HeaderMap) -> Response {
    let mut it = it.0.lock().unwrap();
    let shown = authorization(&headers);
    it.pulls.push(shown.clone());
    if shown == format!("Bearer {}", it.good) {
        return csv().into_response();
    }
    StatusCode::UNAUTHORIZED.into_response()
}

async fn renew(State(it): State<Provider>, headers: HeaderMap, form: Bytes) -> Response {
    let mut it = it.0.lock().unwrap();
    it.renewals.push((authorization(&headers), String::from_utf8(form.to_vec()).unwrap()));
    let answer = if it.answers.is_empty() { Value::Null } else { it.answers.remove(0) };
    match answer["status"].as_u64() {
        Some(307) => Redirect::temporary("/stray").into_response(),
        Some(status) => {
            StatusCode::from_u16(u16::try_from(status).unwrap()).unwrap().into_response()
        }
        None => answer.to_string().into_response(),
    }
}

async fn stray(State(it): State<Provider>) {
    it.0.lock().unwrap().strayed += 1;
}

impl Provider {
    async fn start(good: &str, answers: &[Value]) -> (Self, String) {
        let it = Self::default();
        {
            let mut played = it.0.lock().unwrap();
            played.good = good.to_owned();
            played.answers = answers.to_vec();
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new()
            .route("/data", get(data))
            .route("/token", post(renew))
            .route("/stray", any(stray))
            .with_state(it.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (it, at)
    }

    fn count(&self) -> (usize, usize) {
        let it = self.0.lock().unwrap();
        (it.renewals.len(), it.pulls.len())
    }
}

/// What the start notification of a pull says.
fn address(at: &str, access: &str, refresh: &str) -> Value {
    let properties = [
        ("authorization", access.to_owned()),
        ("authType", "bearer".to_owned()),
        ("refreshToken", refresh.to_owned()),
        ("expiresIn", "300".to_owned()),
        ("refreshEndpoint", format!("{at}/token")),
    ];
    let properties: Vec<Value> =
        properties.into_iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
    json!({"endpointType": "HTTP", "endpoint": format!("{at}/data"), "endpointProperties": properties})
}

/// Prepares a pull of ours and tells where from; its id.
async fn pull(setting: &Setting, process: &str, from: Value) -> String {
    // Not under the published profile, which wants https of every address.
    let mut opening = terms(process, "urn:theirs", "http-pull");
    opening["participantId"] = json!(setting.app().identity.did.as_str());
    let (status, prepared) = setting.post("/dataflows/prepare", opening).await;
    assert_eq!(status, 200, "{prepared}");
    let flow = prepared["dataFlowId"].as_str().unwrap().to_owned();
    let notification = json!({"messageId": format!("s-{process}"), "dataAddress": from});
    let (status, told) = setting.post(&format!("/dataflows/{flow}/started"), notification).await;
    assert_eq!(status, 200, "{told}");
    flow
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_renews_its_token_and_goes_on() {
    let setting = Setting::new().await;
    setting.register(&[]).await;
    let fresh = |access: &str, refresh: &str| json!({"access_token": access, "token_type": "Bearer", "expires_in": 300, "refresh_token": refresh});
    // The first token that it gets is stale again when it is used: the second refresh token counts then.
    let answers = [fresh("second", "r2"), fresh("third", "r3")];
    let (provider, at) = Provider::start("third", &answers).await;
    let flow = pull(&setting, "p1", address(&at, "first", "r1")).await;
    let report = || async { setting.told.of("/callbacks/transfers/p1/dataflow/completed") };
    eventually("the report that it is complete", report).await;
    let kept = setting.app().store.flow_data(&Id::parse(&flow).unwrap()).await.unwrap().remove(0);
    assert_eq!(kept.digest, sha256(&csv()));
    let it = provider.0.lock().unwrap();
    assert_eq!(it.pulls, ["Bearer first", "Bearer second", "Bearer third"]);
    let app = setting.app();
    for ((shown, form), (access, refresh)) in
        it.renewals.iter().zip([("first", "r1"), ("second", "r2")])
    {
        assert_eq!(form, &format!("grant_type=refresh_token&refresh_token={refresh}"));
        let parsed = jws::Unverified::parse(shown.strip_prefix("Bearer ").unwrap()).unwrap();
        let claims = token::parse(parsed.verify(&app.identity.verifying_key()).unwrap()).unwrap();
        let me = app.identity.did.as_str();
        assert_eq!((claims.iss.as_str(), claims.sub.as_str()), (me, me));
        assert_eq!(claims.aud, ["did:web:you"], "for the provider alone");
        assert_eq!(claims.token.as_deref(), Some(access), "it names the token that it replaces");
        assert!(claims.exp.since(claims.iat) <= Duration::from_secs(60));
    }
    let ids: Vec<String> = it.renewals.iter().map(|(shown, _)| shown.clone()).collect();
    assert_ne!(ids[0], ids[1], "each is signed anew");
}

/// An answer that is none gets no bytes moved, leads nowhere else, and ends nothing: the next try may find a better one.
#[tokio::test(flavor = "multi_thread")]
async fn answers_that_are_none_are_not_taken() {
    let setting = Setting::new().await;
    setting.register(&[]).await;
    let long = "x".repeat(TOKEN_BYTES + 1);
    for (process, wrong) in [
        ("refused", json!({"status": 400})),
        ("elsewhere", json!({"status": 307})),
        ("empty", json!({"token_type": "Bearer"})),
        ("number", json!({"access_token": 7})),
        ("long", json!({"access_token": long})),
    ] {
        let good = json!({"access_token": "good", "token_type": "Bearer", "expires_in": 300, "refresh_token": "r2"});
        let (provider, at) = Provider::start("good", &[wrong, good]).await;
        let flow = pull(&setting, process, address(&at, "stale", "r1")).await;
        let path = format!("/callbacks/transfers/{process}/dataflow/completed");
        eventually(&path, || async { setting.told.of(&path) }).await;
        assert_eq!(setting.state(&flow).await, "COMPLETED", "{process}");
        let it = provider.0.lock().unwrap();
        assert!(
            it.renewals.iter().all(|(_, form)| form.ends_with("refresh_token=r1")),
            "{process}"
        );
        assert_eq!((it.renewals.len(), it.strayed), (2, 0), "{process}");
        assert_eq!(it.pulls, ["Bearer stale", "Bearer stale", "Bearer good"], "{process}");
    }
}

/// A token that cannot be renewed ends the flow with its reason, and nobody is asked again.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_refresh_token_a_stale_one_is_the_end() {
    let setting = Setting::new().await;
    setting.register(&[]).await;
    let (provider, at) = Provider::start("good", &[]).await;
    let opening = terms("p1", "urn:theirs", "http-pull");
    let (_, prepared) = setting.post("/dataflows/prepare", opening).await;
    let flow = prepared["dataFlowId"].as_str().unwrap().to_owned();
    let plain = json!({"endpointType": "HTTP", "endpoint": format!("{at}/data"), "endpointProperties": [
        {"name": "authorization", "value": "stale"}, {"name": "authType", "value": "bearer"}]});
    let notification = json!({"messageId": "s", "dataAddress": plain});
    assert_eq!(setting.post(&format!("/dataflows/{flow}/started"), notification).await.0, 200);
    let report = || async { setting.told.of("/callbacks/transfers/p1/dataflow/errored") };
    let (_, body) = eventually("the report that it failed", report).await;
    assert!(String::from_utf8(body).unwrap().contains("refuses the token"));
    assert_eq!(provider.count(), (0, 1));
}

/// Both sides are ours: a token that ran out at the provider is renewed there, and the bytes arrive.
#[tokio::test(flavor = "multi_thread")]
async fn a_pull_between_two_of_our_data_planes_outlives_its_token() {
    let dir = tempfile::tempdir().unwrap();
    let setting = Setting::secured(dir.path()).await;
    let app = setting.app();
    let me = app.identity.did.as_str();
    let product = setting.world.published("a.csv", &csv(), limited(5), &[Use::Plain]).await;
    setting.register(&[product.id.as_str()]).await;
    let mut opening = terms("serving", product.id.as_str(), PULL);
    (opening["participantId"], opening["counterPartyId"]) = (json!(me), json!(me));
    let (status, serving) = setting.post("/dataflows/start", opening).await;
    assert_eq!(status, 200, "{serving}");
    let serving_flow = Id::parse(serving["dataFlowId"].as_str().unwrap()).unwrap();
    let stale = property(&serving, "authorization");
    // Its time is over before anybody pulls.
    let row = app.store.flow_token(&serving_flow).await.unwrap().unwrap();
    let ended = FlowToken { until: app.clock.now(), ..row.clone() };
    app.writer
        .note(move |conn| {
            let ended = ended.clone();
            Box::pin(async move { save_token(conn, &ended).await })
        })
        .await
        .unwrap();
    let mut opening = terms("pulling", product.id.as_str(), PULL);
    (opening["participantId"], opening["counterPartyId"]) = (json!(me), json!(me));
    let (status, prepared) = setting.post("/dataflows/prepare", opening).await;
    assert_eq!(status, 200, "{prepared}");
    let flow = prepared["dataFlowId"].as_str().unwrap().to_owned();
    let notification = json!({"messageId": "s", "dataAddress": serving["dataAddress"]});
    assert_eq!(setting.post(&format!("/dataflows/{flow}/started"), notification).await.0, 200);
    let over = || async { (setting.state(&flow).await == "COMPLETED").then_some(()) };
    eventually("a pull that is complete", over).await;
    let kept = app.store.flow_data(&Id::parse(&flow).unwrap()).await.unwrap().remove(0);
    assert_eq!(Some(kept.digest), product.content);
    let renewed = app.store.flow_token(&serving_flow).await.unwrap().unwrap();
    assert_ne!((renewed.token, renewed.refresh), (row.token, row.refresh), "both were replaced");
    assert_eq!(row.token, sha256(stale.as_bytes()));
}
