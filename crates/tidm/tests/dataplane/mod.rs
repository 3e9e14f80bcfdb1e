//! The commands of `tidm dataplane` against a running node, and what they change for the planes that they are about.

use reqwest::Method;
use serde_json::{Value, json};

use crate::two::Node;

const ACCEPT: &str = "what-the-control-plane-presents";
const PRESENT: &str = "what-the-node-presents-to-it";

/// A command's answer as JSON.
fn told(node: &Node, words: &[&str]) -> Value {
    let words: Vec<&str> = ["-o", "json", "dataplane"].iter().chain(words).copied().collect();
    serde_json::from_str(&node.tidm(&words)).unwrap()
}

fn ids(node: &Node) -> Vec<(String, String)> {
    let listed = told(node, &["list"]);
    let text = |it: &Value, name: &str| it[name].as_str().unwrap().to_owned();
    let items = listed["items"].as_array().unwrap();
    items.iter().map(|it| (text(it, "kind"), text(it, "id"))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn planes_are_added_listed_and_removed_and_their_flows_shown() {
    let dir = tempfile::tempdir().unwrap();
    let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = held.local_addr().unwrap().port();
    drop(held);
    let more = [("signaling.enabled", "true".to_owned())];
    let node = Node::new(dir.path(), "node", port, &more);
    node.begin().await;
    let path = dir.path().join("load.csv");
    std::fs::write(&path, "machine,load\nM1,0.5\nM2,0.7\n").unwrap();
    let asked = json!({"path": path, "title": "Load", "offers": [{"terms": {"kinds": ["plain"]}}]});
    let made = node.insist(Method::POST, "/products", asked).await;
    let product = made["id"].as_str().unwrap();

    let write = |name: &str, text: String| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let authorization = json!({"type": "tidm:bearer", "accept": ACCEPT, "present": PRESENT});
    let control = |accept: &str| {
        let mut it = json!({
            "controlplaneId": "erp", "endpoint": "http://localhost:9/callbacks", "tidm:datasets": [product],
            "authorization": authorization,
        });
        it["authorization"]["accept"] = json!(accept);
        write("control.json", it.to_string())
    };
    let data = write(
        "data.json",
        json!({
            "dataplaneId": "s3-plane", "endpoint": "http://localhost:9/plane", "profiles": ["s3-push"],
            "authorization": authorization,
        })
        .to_string(),
    );
    assert_eq!(ids(&node), []);
    let added = told(&node, &["add", "--file", &data]);
    assert_eq!(
        (&added["kind"], &added["profiles"]),
        (&json!("data"), &json!(["s3-push"])),
        "{added}"
    );
    told(&node, &["add", "--control", "--file", &control(ACCEPT)]);
    let own = |kind: &str, id: &str| (kind.to_owned(), id.to_owned());
    let mut all = ids(&node);
    all.sort();
    assert_eq!(all, [own("control", "erp"), own("data", "s3-plane")]);
    // Secrets go in and never come out.
    for words in [vec!["dataplane", "list"], vec!["-o", "json", "dataplane", "list"]] {
        let shown = node.tidm(&words);
        assert!(
            shown.contains("s3-plane") && !shown.contains(ACCEPT) && !shown.contains(PRESENT),
            "{shown}"
        );
    }
    // What cannot be registered is refused with a reason, and changes nothing.
    let rubbish = write("rubbish.json", "{".to_owned());
    let other = write("other.json", json!({"dataplaneId": "x"}).to_string());
    let open = write(
        "open.json",
        json!({"dataplaneId": "open", "endpoint": "http://localhost:9/x", "profiles": ["a-pull"],
            "authorization": {"type": "tidm:network"}})
        .to_string(),
    );
    for (file, kind) in
        [(&rubbish, None), (&other, None), (&open, None), (&data, Some("--control"))]
    {
        let mut words = vec!["dataplane", "add", "--file", file.as_str()];
        words.extend(kind);
        assert!(!node.refused(&words).is_empty(), "{file}");
    }
    assert!(
        node.refused(&["dataplane", "add", "--file", "/nowhere.json"]).contains("/nowhere.json")
    );
    assert_eq!(ids(&node).len(), 2);

    // The registered control plane has bytes moved, and the flow is shown.
    let http = reqwest::Client::builder()
        .use_preconfigured_tls(
            (*tidm_node::tls::client(tidm_node::tls::public_roots(), None).unwrap()).clone(),
        )
        .no_proxy()
        .build()
        .unwrap();
    let start = async |secret: &str, process: &str| {
        let terms = json!({
            "messageId": format!("m-{process}"), "participantId": node.did, "counterPartyId": "did:web:you",
            "dataspaceContext": "test", "processId": process, "agreementId": "agreement", "datasetId": product,
            "profile": "https://w3id.org/dspace-sig/profile/http-pull", "claims": {},
        });
        let url = format!("{}/dataplane/dataflows/start", node.url);
        let answer =
            http.post(url).bearer_auth(secret).body(terms.to_string()).send().await.unwrap();
        let status = answer.status().as_u16();
        let body: Value =
            serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or_default();
        (status, body)
    };
    assert_eq!(told(&node, &["flows"])["items"], json!([]));
    assert_eq!(start("somebody", "p0").await.0, 401);
    let (status, started) = start(ACCEPT, "p1").await;
    assert_eq!(status, 200, "{started}");
    let flow = started["dataFlowId"].as_str().unwrap();
    let flows = told(&node, &["flows", "--limit", "5"]);
    let [row] = flows["items"].as_array().unwrap().as_slice() else { panic!("{flows}") };
    assert_eq!((row["id"].as_str(), &row["partner"]), (Some(flow), &json!("erp")));
    let shown = told(&node, &["flow", flow]);
    let seen = (&shown["state"], &shown["role"], &shown["dataset"], &shown["data"]);
    assert_eq!(seen, (&json!("STARTED"), &json!("provider"), &json!(product), &json!([])));
    let token = started["dataAddress"]["endpointProperties"][0]["value"].as_str().unwrap();
    assert!(!shown.to_string().contains(token), "no token is shown");
    assert!(node.tidm(&["dataplane", "flow", flow]).contains("STARTED"));
    assert!(
        !node
            .refused(&["dataplane", "flow", "urn:uuid:0190b6a0-0000-7000-8000-000000000000"])
            .is_empty()
    );

    // The same id again replaces the registration: the old secret is worth nothing.
    told(&node, &["add", "--control", "--file", &control("another-secret-of-the-plane")]);
    assert_eq!(start(ACCEPT, "p2").await.0, 401);
    assert_eq!(start("another-secret-of-the-plane", "p2").await.0, 200);
    told(&node, &["remove", "--control", "erp"]);
    assert_eq!(ids(&node), [own("data", "s3-plane")]);
    assert_eq!(start("another-secret-of-the-plane", "p3").await.0, 401);
    assert!(!node.refused(&["dataplane", "remove", "--control", "erp"]).is_empty(), "it is gone");
    told(&node, &["remove", "s3-plane"]);
    assert_eq!(ids(&node), []);
    assert!(node.tidm(&["doctor"]).contains("none: plain HTTP"));
}
