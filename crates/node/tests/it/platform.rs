//! The platform in whose name contracts get their codes: it hears what was done under a contract, as the provider does.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use tidm_crypto::hash::sha256;
use tidm_crypto::jws;
use tidm_node::jobs::use_data::query_at_provider;
use tidm_space::policy::usage::Use;
use tidm_space::tc609::message::{Envelope, Interface};
use tidm_space::time::Time;
use tidm_space::wire::tc609::message::covered;

use crate::tc609::node_code;
use crate::world::{World, csv, eventually, limited};

/// What arrived, call by call; the first call fails.
#[derive(Clone, Default)]
struct Platform(Arc<Mutex<Vec<(HeaderMap, Bytes)>>>);

async fn proof(State(it): State<Platform>, headers: HeaderMap, body: Bytes) -> Response {
    let mut heard = it.0.lock().unwrap();
    heard.push((headers, body));
    match heard.len() {
        1 => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        _ => json!({ "status": "0" }).to_string().into_response(),
    }
}

/// Repeated byte by byte until it answers, signed for its code, and the same proof that the provider holds.
#[tokio::test(flavor = "multi_thread")]
async fn the_platform_gets_the_proof_that_the_provider_gets() {
    let platform = Platform::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = format!("http://{}/platform/", listener.local_addr().unwrap());
    let router =
        Router::new().route("/platform/fulfillmentProof", post(proof)).with_state(platform.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let code = node_code('4', 0);
    let world = World::of(2, |this, dids| {
        let other = 1 - this;
        format!(
            "[tc609]\nenabled = true\nconnector = \"{}\"\nplatform = \"{}\"\nplatform_url = \"{at}\"\npartners = [\"{}={}\"]\n",
            node_code('5', this).as_str(),
            code.as_str(),
            node_code('5', other).as_str(),
            dids[other],
        )
    })
    .await;
    let product = world.published("t.csv", &csv(), limited(1), &[Use::Query]).await;
    let contract = world.agreed(&product).await;
    let app = &world.consumer().app;
    query_at_provider(app, &contract.id, "SELECT count(*) AS n FROM data", None).await.unwrap();
    // The consumer keeps both answers, the provider the message.
    let said = async |node: usize| {
        let app = &world.nodes[node].app;
        let code = tidm_node::jobs::tc609::find(app, &contract.id).await.unwrap().deal.code;
        let all = app.store.tc609_messages(&code.to_string(), 10).await.unwrap();
        all.into_iter().filter(|it| it.path == Interface::Proof.path()).collect::<Vec<_>>()
    };
    let both = || async { Some(said(1).await).filter(|it| it.len() == 2) };
    let answered = eventually("the answers of provider and platform", both).await;
    assert!(answered.iter().all(|it| it.answer.contains("\"status\":\"0\"")), "{answered:?}");
    assert_eq!(answered.iter().filter(|it| it.id.ends_with(" platform")).count(), 1);
    let kept = said(0).await.pop().unwrap();
    let heard = platform.0.lock().unwrap().clone();
    assert_eq!(heard.len(), 2, "repeated once, and no more once it is answered");
    for (headers, body) in &heard {
        assert_eq!(body, kept.body.as_bytes(), "one proof for all");
        let text = |name: &str| headers[name].to_str().unwrap();
        let at = Time::from_ms(text("timestamp").parse().unwrap());
        let sequence = text("sequenceNum").to_owned();
        let envelope = Envelope { interface: Interface::Proof, at, sequence };
        let call = jws::Unverified::parse_within(text("signValue"), 10_000).unwrap();
        let signed = envelope.signed_bytes(&code, sha256(body));
        let key = app.identity.verifying_key();
        assert!(call.verify(&key).is_ok_and(|it| it == signed), "signed for the platform's code");
        let whole: Value = serde_json::from_slice(body).unwrap();
        let payload = covered(body, "signature").unwrap();
        let own = jws::Unverified::parse_within(whole["signature"].as_str().unwrap(), 10_000);
        assert!(own.unwrap().verify(&key).is_ok_and(|it| it == payload));
    }
    let later = app.clock.now().after(Duration::from_secs(365 * 24 * 3600));
    assert!(app.store.owed_proofs(later, 10).await.unwrap().is_empty());
    // The archive that is made afterwards holds both answers, and still checks.
    let file = tidm_node::jobs::archive::make(app, &contract).await.unwrap();
    let report = tidm_node::jobs::archive::check::check(&file);
    assert!(report.is_ok(), "{:?}", report.err());
}
