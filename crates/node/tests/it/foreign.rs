//! Connectors that are none of ours: what they write is echoed, what they may do they can do, and nothing more.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use serde_json::{Value, json};
use tidm_node::config::Config;
use tidm_node::keys::memory::Memory;
use tidm_space::engine::commit::About;
use tidm_space::id::Id;
use tidm_space::policy::sentence::Sentences;
use tidm_space::policy::usage::Use;
use tokio::net::TcpListener;

use super::world::{World, start};

const CLAIM: &str = r#"{"region":"any","audience":"x","clientId":"CONNECTOR"}"#;
const DEVELOPMENT: &str = "signatures = false\n[identity]\nmode = \"development\"\nclaims = true\n";

/// A connector that records what it hears; the first post to each path finds nobody there.
struct Foreign {
    address: String,
    heard: Heard,
}

type Heard = Arc<Mutex<Vec<(String, String, Value)>>>;

impl Foreign {
    async fn start() -> Self {
        let heard = Heard::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/callback", listener.local_addr().unwrap());
        let app = Router::new().fallback(hear).with_state(heard.clone());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { address, heard }
    }

    /// What was posted to a path that ends like this, once it was.
    async fn got(&self, end: &str) -> (String, Value) {
        for _ in 0..400 {
            let heard = self.heard.lock().unwrap().clone();
            let found: Vec<_> = heard.iter().filter(|(path, _, _)| path.ends_with(end)).collect();
            if let [_, .., (_, authorization, body)] = found.as_slice() {
                return (authorization.clone(), body.clone());
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("nothing was posted twice to {end}: {:?}", self.heard.lock().unwrap());
    }
}

async fn hear(State(heard): State<Heard>, request: Request) -> (StatusCode, String) {
    let path = request.uri().path().to_owned();
    let authorization = request.headers().get("authorization").cloned().unwrap();
    let bytes: Bytes = axum::body::to_bytes(request.into_body(), 1 << 20).await.unwrap();
    let body = serde_json::from_slice(&bytes).unwrap();
    let mut heard = heard.lock().unwrap();
    let again = heard.iter().any(|(known, _, _)| *known == path);
    heard.push((path, authorization.to_str().unwrap().to_owned(), body));
    if again { (StatusCode::OK, String::new()) } else { (StatusCode::NOT_FOUND, "?".to_owned()) }
}

struct Asker {
    base: String,
    http: reqwest::Client,
}

impl Asker {
    fn new(base: String) -> Self {
        drop(rustls::crypto::ring::default_provider().install_default());
        let tls = tidm_node::tls::client(tidm_node::tls::public_roots(), None).unwrap();
        let http = reqwest::Client::builder()
            .no_proxy()
            .use_preconfigured_tls((*tls).clone())
            .build()
            .unwrap();
        Self { base, http }
    }

    async fn post(&self, who: &str, path: &str, body: &Value) -> (u16, Value) {
        let request = self.http.post(format!("{}{path}", self.base)).header("authorization", who);
        let answer = request.body(body.to_string()).send().await.unwrap();
        let status = answer.status().as_u16();
        (status, serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or_default())
    }

    async fn get(&self, who: &str, path: &str) -> (u16, Value) {
        let request = self.http.get(format!("{}{path}", self.base)).header("authorization", who);
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        (status, serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or_default())
    }

    async fn state(&self, path: &str, wanted: &str) {
        for _ in 0..400 {
            let (status, it) = self.get(CLAIM, path).await;
            assert_eq!(status, 200, "{it}");
            if it["state"] == wanted {
                return;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("{path} never came to {wanted}: {:?}", self.get(CLAIM, path).await);
    }
}

fn message(kind: &str, more: Value) -> Value {
    let mut it = json!({
        "@context": ["https://w3id.org/dspace/2025/1/context.jsonld", "https://w3id.org/edc/dspace/v0.0.1", {"x": "urn:x"}],
        "@type": kind, "@id": format!("urn:uuid:{}", uuid::Uuid::now_v7()), "edc:extra": {"kept": "not"}
    });
    it.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    it
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_connector_gets_what_it_agreed_to() {
    let world = World::of(1, |_, _| DEVELOPMENT.to_owned()).await;
    let product =
        world.published("a.bin", b"\x00\x01bytes", Sentences::default(), &[Use::Plain]).await;
    let asker = Asker::new(world.provider().app.identity.dsp_base());
    let foreign = Foreign::start().await;
    let catalog = message("CatalogRequestMessage", json!({}));
    let (status, found) = asker.post(CLAIM, "/catalog/request", &catalog).await;
    assert_eq!((status, &found["dataset"][0]["@id"]), (200, &product.id.as_str().into()));

    let mut offer = found["dataset"][0]["hasPolicy"][0].clone();
    offer["target"] = json!(product.id.as_str());
    offer["edc:privateProperties"] = json!({"a": [1, null]});
    offer["permission"][0]["@type"] = json!("Permission");
    let open = message(
        "ContractRequestMessage",
        json!({"consumerPid": "their:1", "callbackAddress": format!("{}/", foreign.address), "offer": offer}),
    );
    for stranger in ["", "Bearer nothing", r#"{"clientId":5}"#] {
        let (status, error) = asker.post(stranger, "/negotiations/request", &open).await;
        assert_eq!((status, &error["@type"]), (404, &"ContractNegotiationError".into()));
    }
    let (status, begun) = asker.post(CLAIM, "/negotiations/request", &open).await;
    assert_eq!(status, 201, "{begun}");
    let pid = begun["providerPid"].as_str().unwrap().to_owned();
    // The same message once more: acknowledged, and nothing begins.
    let (status, again) = asker.post(CLAIM, "/negotiations/request", &open).await;
    assert_eq!((status, again["providerPid"].as_str()), (200, Some(pid.as_str())));

    let (authorization, agreed) = foreign.got("/negotiations/their:1/agreement").await;
    let claim: Value = serde_json::from_str(&authorization).unwrap();
    assert_eq!(claim["clientId"], world.provider().did.as_str());
    for key in ["edc:privateProperties", "permission", "profile"] {
        assert_eq!(agreed["agreement"].get(key), offer.get(key), "{key}");
    }
    assert_eq!(agreed["agreement"]["assignee"], "CONNECTOR");

    let path = format!("/negotiations/{pid}");
    let pids = json!({"providerPid": pid, "consumerPid": "their:1"});
    // Another participant sees nothing of it; what is out of turn is refused and changes nothing.
    assert_eq!(asker.get(r#"{"clientId":"OTHER"}"#, &path).await.0, 404);
    let mut accepted = pids.clone();
    accepted["eventType"] = json!("ACCEPTED");
    let accepted = message("ContractNegotiationEventMessage", accepted);
    let (status, error) = asker.post(CLAIM, &format!("{path}/events"), &accepted).await;
    assert_eq!((status, &error["@type"]), (400, &"ContractNegotiationError".into()));
    assert_eq!(
        (&error["providerPid"], &error["consumerPid"]),
        (&pid.as_str().into(), &"their:1".into())
    );
    asker.state(&path, "AGREED").await;

    let verified = message("ContractAgreementVerificationMessage", pids.clone());
    let bearer = format!("Bearer {CLAIM}");
    let verification = format!("{path}/agreement/verification");
    assert_eq!(asker.post(&bearer, &verification, &verified).await.0, 200);
    let (_, finalized) = foreign.got("/negotiations/their:1/events").await;
    assert_eq!(finalized["eventType"], "FINALIZED");
    asker.state(&path, "FINALIZED").await;

    let about = About::Negotiation(Id::parse(&pid).unwrap());
    let said = world.provider().app.store.messages(&about, 50).await.unwrap();
    let tries: Vec<_> = said
        .iter()
        .filter(|it| it.out && it.path == "agreement")
        .map(|it| (it.status, it.attempt, it.reason.is_empty()))
        .collect();
    assert_eq!(tries, [(Some(404), 1, false), (Some(200), 2, true)]);
    let refused: Vec<_> = said.iter().filter(|it| !it.out && it.status == Some(400)).collect();
    assert!(matches!(refused.as_slice(), [it] if it.reason.contains("negotiation.unexpected")));

    let transfer = message(
        "TransferRequestMessage",
        json!({"consumerPid": "their:2", "agreementId": agreed["agreement"]["@id"], "format": "HttpData-PULL",
            "callbackAddress": foreign.address}),
    );
    let (status, begun) = asker.post(CLAIM, "/transfers/request", &transfer).await;
    assert_eq!(status, 201, "{begun}");
    let (_, started) = foreign.got("/transfers/their:2/start").await;
    let property = |name: &str| {
        let all = started["dataAddress"]["endpointProperties"].as_array().unwrap();
        all.iter().find(|it| it["name"] == name).unwrap()["value"].as_str().unwrap().to_owned()
    };
    let data = asker
        .http
        .get(started["dataAddress"]["endpoint"].as_str().unwrap())
        .bearer_auth(property("authorization"))
        .send()
        .await
        .unwrap();
    assert_eq!(&data.bytes().await.unwrap()[..], b"\x00\x01bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_in_its_usual_mode_believes_no_claim() {
    let world = World::of(1, |_, _| String::new()).await;
    let asker = Asker::new(world.provider().app.identity.dsp_base());
    let catalog = message("CatalogRequestMessage", json!({}));
    let (status, error) = asker.post(CLAIM, "/catalog/request", &catalog).await;
    assert_eq!((status, &error["@type"]), (404, &"CatalogError".into()));
}

/// Refused unless the operator says so at the start; then its triggers make the node speak first, by its rules.
#[tokio::test(flavor = "multi_thread")]
async fn a_test_profile_has_to_be_allowed() {
    let dir = tempfile::tempdir().unwrap();
    let foreign = Foreign::start().await;
    let profile = "[[request]]\ndataset = \"D1\"\nrules = [{ when = \"requested\", then = \"terminate\", after_ms = 100 }]\n\
         [[dataset]]\nid = \"D2\"\noffer = \"O2\"\nrules = [{ when = \"requested\", then = \"hold\" }]\n";
    std::fs::write(dir.path().join("profile.toml"), profile).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let here = listener.local_addr().unwrap();
    let text = format!(
        "[node]\norg = \"T\"\n[http]\nlisten = \"{here}\"\npublic_url = \"http://{here}\"\ninsecure_http = true\n\
         [peers]\nallow_private_addresses = true\n[space]\n{DEVELOPMENT}[test_profile]\nfile = \"profile.toml\"\n"
    );
    let mut config = Config::parse(dir.path(), &text, &BTreeMap::new(), &[]).unwrap();
    let refused = config.test_profile.admit().unwrap_err().to_string();
    assert!(refused.contains("--allow-test-profile"), "{refused}");
    config.test_profile.allow();
    let node = start(config, Arc::new(Memory::new().unwrap()), listener).await;
    let asker = Asker::new(format!("http://{here}"));
    let trigger = json!({"providerId": "CONNECTOR", "offerId": "offer:D1", "datasetId": "D1", "connectorAddress": foreign.address});
    let (status, begun) = asker.post("", "/test-profile/negotiations/requests", &trigger).await;
    assert_eq!(status, 200, "{begun}");
    let (_, asked) = foreign.got("/negotiations/request").await;
    assert_eq!(
        (&asked["offer"]["@id"], &asked["offer"]["target"]),
        (&"offer:D1".into(), &"D1".into())
    );
    // The rule is a timer of the engine; the peer named no pid, so that it cannot be told.
    let id = Id::parse(begun["@id"].as_str().unwrap()).unwrap();
    let known = node.app.store.negotiation(&id).await.unwrap().unwrap();
    assert_eq!(known.rules.all().len(), 1);
    assert_eq!(asker.post("", "/test-profile/transfers/requests", &json!({})).await.0, 400);
    let (status, _) = asker.get(CLAIM, "/dsp/2025-1/catalog/datasets/D2").await;
    assert_eq!(status, 200);
}
