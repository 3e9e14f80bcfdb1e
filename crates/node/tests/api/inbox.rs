//! The inbox: requests that wait for a person, what they change, and saying no.

use axum::http::Method;
use serde_json::{Value, json};

use tidm_crypto::hash::sha256;
use tidm_space::engine::input::{Heard, Input, NegotiationSpoken, Received};
use tidm_space::id::Id;
use tidm_space::identity::did::Did;
use tidm_space::negotiation::message::{Body, Role};
use tidm_space::policy::sentence::{Sentences, build};
use tidm_space::policy::usage::Use;

use super::{Node, node, upload};

fn id(text: &str) -> Id {
    Id::parse(text).unwrap()
}

/// A consumer asks for these terms.
async fn asks(node: &Node, number: u32, product: &str, offer: &str, terms: &Sentences) {
    let mut offer = build(id(offer), None, terms).unwrap();
    offer.target = Some(id(product));
    let spoken = NegotiationSpoken {
        mine: None,
        theirs: Some(id(&format!("urn:theirs:{number}"))),
        callback: Some("http://127.0.0.1:1/dsp".to_owned()),
        role: Role::Provider,
        body: Body::Request { offer },
    };
    let received = Received {
        from: Did::parse("did:web:consumer.example").unwrap(),
        key: None,
        id: Some(id(&format!("urn:message:{number}"))),
        seen: Default::default(),
        digest: sha256(&number.to_be_bytes()),
        what: Heard::Negotiation(Box::new(spoken)),
    };
    node.app.writer.run(Input::Heard(Box::new(received))).await.unwrap();
}

fn texts(all: &Value) -> Vec<&str> {
    all.as_array().unwrap().iter().map(|it| it["text"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_wait_in_the_inbox_with_what_they_change_until_somebody_says_no() {
    let node = node().await;
    let admin = node.admin().await;
    let terms = json!({ "uses": 3, "aggregatesOnly": true, "minGroup": 2 });
    let upload = upload(&node, &admin).await;
    let offers = json!([{ "terms": terms, "deliveries": ["query"], "approval": "ask" }]);
    let body = json!({ "upload": upload, "title": "T", "offers": offers });
    let made = node.post("/products", Some(&admin), body).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let product = made.body["id"].as_str().unwrap();
    let listed = &node.get(&format!("/products/{product}"), &admin).await.body["offers"][0];
    assert_eq!(listed["approval"], "manual");
    let offer = listed["id"].as_str().unwrap();
    let said = Sentences {
        uses: Some(3),
        aggregates_only: true,
        min_group: Some(2),
        // As the offer says them.
        kinds: vec![Use::Query],
        ..Sentences::default()
    };
    asks(&node, 1, product, offer, &said).await;
    asks(&node, 2, product, offer, &Sentences { uses: Some(9), ..said }).await;
    let first = node.get("/negotiations?inbox=true&limit=1", &admin).await.body;
    let next = first["next"].as_str().unwrap();
    let second = node.get(&format!("/negotiations?inbox=true&limit=1&cursor={next}"), &admin).await;
    assert_eq!(second.body["next"], Value::Null);
    let (mut same, mut other) = (None, None);
    for page in [&first, &second.body] {
        let id = page["items"][0]["id"].as_str().unwrap().to_owned();
        let path = format!("/negotiations/{id}");
        let english = [("accept-language", "en")];
        let shown = node.call(Method::GET, &path, Some(&admin), &english, None).await.body;
        let diff = &shown["diff"];
        assert_eq!(diff["against"], "listed", "{shown}");
        assert!(diff["kept"].as_array().unwrap().iter().all(|it| it["level"].is_string()));
        if diff["added"].as_array().unwrap().is_empty() {
            assert_eq!(diff["removed"], json!([]));
            same = Some(id);
        } else {
            assert_eq!(texts(&diff["added"]), ["At most 9 uses."]);
            assert_eq!(texts(&diff["removed"]), ["At most 3 uses."]);
            assert!(!texts(&diff["kept"]).is_empty());
            other = Some(id);
        }
    }
    let path = format!("/negotiations/{}/reject", other.unwrap());
    let ended = node.post(&path, Some(&admin), json!({ "reason": "too many uses" })).await;
    assert_eq!(ended.status, 200, "{}", ended.body);
    assert_eq!(ended.body["awaitsApproval"], false);
    let left = node.get("/negotiations?inbox=true", &admin).await.body;
    let left: Vec<&Value> = left["items"].as_array().unwrap().iter().map(|it| &it["id"]).collect();
    assert_eq!(left, [&json!(same.unwrap())]);
    assert_eq!(node.get("/negotiations", &admin).await.body["items"].as_array().unwrap().len(), 2);
    assert_eq!(node.get("/negotiations?inbox=perhaps", &admin).await.status, 400);
}
