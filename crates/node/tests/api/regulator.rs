//! The regulator's role: evidence opens, data does not.

use axum::body::{Body, to_bytes};
use axum::http::{Method, Request};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::people::OTHER;
use super::{Node, node};

/// Stands in a cell of the table, and must stand in no answer.
const CELL: &str = "furnace-7-secret";

/// The product's id; its table is uploaded and published by the administrator, with a preview.
async fn published(node: &Node, admin: &str) -> String {
    let mut table = String::from("machine,temp\n");
    (0..20).for_each(|it| table += &format!("{CELL},{it}.5\n"));
    let request = Request::builder()
        .method(Method::PUT)
        .uri("/api/v1/uploads?name=readings.csv")
        .header("authorization", format!("Bearer {admin}"))
        .body(Body::from(table))
        .unwrap();
    let answer = node.router.clone().oneshot(request).await.unwrap();
    let body = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
    let upload: Value = serde_json::from_slice(&body).unwrap();
    let offer = json!({ "terms": { "uses": 3, "kinds": ["query"] } });
    let body =
        json!({ "upload": upload["id"], "title": "温度", "preview": true, "offers": [offer] });
    let made = node.post("/products", Some(admin), body).await;
    assert_eq!(made.status, 201, "{}", made.body);
    made.body["id"].as_str().unwrap().to_owned()
}

async fn regulator(node: &Node, admin: &str) -> String {
    let (status, made) =
        node.send(Method::POST, "/people", admin, json!({ "name": "jianguan" })).await;
    assert_eq!(status, 201, "{made}");
    assert_eq!(node.join(made["token"].as_str().unwrap(), OTHER).await.0, 201);
    assert_eq!(node.grant(admin, "jianguan", &["regulator"]).await.0, 204);
    node.sign_in_as("jianguan", OTHER).await.1
}

#[tokio::test(flavor = "multi_thread")]
async fn a_regulator_sees_evidence_and_no_data() {
    let node = node().await;
    let admin = node.admin().await;
    let product = published(&node, &admin).await;
    let who = regulator(&node, &admin).await;
    assert_eq!(node.get("/me", &who).await.body["scopes"], json!(["audit", "own"]));

    // Evidence: what happened to the product, from where it came, and whether a receipt holds.
    let facts = node.get("/facts", &who).await;
    assert_eq!(facts.status, 200, "{}", facts.body);
    let items = facts.body["items"].as_array().unwrap();
    assert!(items.iter().any(|it| it.to_string().contains(&product)), "{}", facts.body);
    let lineage = node.get(&format!("/lineage/{product}"), &who).await;
    assert_eq!(lineage.status, 200, "{}", lineage.body);
    for shown in [&facts.body, &lineage.body] {
        assert!(!shown.to_string().contains(CELL), "{shown}");
    }
    // The owner does see a row of it, so that the cell would show.
    let seen = node.get(&format!("/products/{product}"), &admin).await.body.to_string();
    assert!(seen.contains(CELL), "{seen}");

    // Every route of the API, with this product's id where one is wanted.
    let (mut opened, mut shut) = (0, 0);
    for (path, methods) in node.document().await["paths"].as_object().unwrap() {
        for (method, it) in methods.as_object().unwrap() {
            let Some(needed) = it["security"][0]["bearer"][0].as_str() else { continue };
            let filled = path.replace("{provider}", "did:web:a");
            let filled: Vec<&str> = filled
                .split('/')
                .map(|part| if part.starts_with('{') { product.as_str() } else { part })
                .collect();
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            if needed == "own" {
                continue;
            }
            let it = node.call(method.clone(), &filled.join("/"), Some(&who), &[], None).await;
            let said = (it.status.as_u16(), it.body["code"].as_str().unwrap_or_default());
            if needed == "audit" {
                assert!(![401, 403].contains(&said.0), "{method} {path}: {said:?}");
                opened += 1;
            } else {
                assert_eq!(said, (403, "auth.forbidden"), "{method} {path}");
                shut += 1;
            }
            assert!(!it.body.to_string().contains(CELL), "{method} {path}");
        }
    }
    assert!(opened >= 7 && shut >= 70, "{opened} {shut}");
}
