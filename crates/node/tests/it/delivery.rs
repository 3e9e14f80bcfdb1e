//! The data plane: ranges, tokens, and a revocation that cuts a download under way.

use std::time::Duration;

use tidm_crypto::hash::sha256;
use tidm_node::net::auth;
use tidm_node::objects::Key;
use tidm_node::store::notes::{self, Grant};
use tidm_node::store::writer::WorkError;
use tidm_space::contract::Contract;
use tidm_space::engine::commit::Reply;
use tidm_space::engine::input::{Heard, Input, Received, TransferSpoken};
use tidm_space::fault::Fault;
use tidm_space::id::Id;
use tidm_space::identity::did::Did;
use tidm_space::policy::sentence::Sentences;
use tidm_space::policy::span::Span;
use tidm_space::policy::usage::Use;
use tidm_space::time::Time;
use tidm_space::transfer::message::{Body, DataAddress};
use tidm_space::transfer::state::Name;
use tokio::net::TcpListener;

use crate::world::{World, csv, eventually, fault, limited};

pub(crate) const TOKEN: &str = "a-token-of-this-test";

pub(crate) fn noise(bytes: u32) -> Vec<u8> {
    (0..bytes).map(|it| (it.wrapping_mul(2_654_435_761) >> 11).to_le_bytes()[0]).collect()
}

/// A connector that takes every message.
async fn polite() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let router = axum::Router::new().fallback(|| async { "{}" });
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// A transfer that a connector of ours in name only asked for; its id at the provider.
pub(crate) async fn asked(
    world: &World,
    contract: &Contract,
    format: &str,
    address: Option<DataAddress>,
) -> Id {
    asked_by(world, &world.consumer().did, contract, (format, address)).await.unwrap()
}

/// The same, said by whichever member.
async fn asked_by(
    world: &World,
    from: &Did,
    contract: &Contract,
    (format, address): (&str, Option<DataAddress>),
) -> Result<Id, WorkError> {
    let theirs = Id::parse(&format!("urn:uuid:{}", uuid::Uuid::now_v7())).unwrap();
    let body = Body::Request { contract: contract.id.clone(), format: format.to_owned(), address };
    let callback = Some(polite().await);
    let spoken = TransferSpoken { mine: None, theirs: Some(theirs.clone()), callback, body };
    let received = Received {
        from: from.clone(),
        key: None,
        id: Some(theirs),
        seen: Default::default(),
        digest: sha256(b"a request of this test"),
        what: Heard::Transfer(Box::new(spoken)),
    };
    let app = &world.provider().app;
    match app.writer.run(Input::Heard(Box::new(received))).await? {
        Reply::Transfer { it, .. } => Ok(it.id),
        other => panic!("no transfer: {other:?}"),
    }
}

/// A started transfer, with a token of our own; the address to fetch from.
async fn granted(world: &World, contract: &Contract) -> String {
    started(world, contract).await.0
}

pub(crate) async fn started(world: &World, contract: &Contract) -> (String, Id) {
    started_by(world, &world.consumer().did, contract, TOKEN).await
}

async fn started_by(world: &World, from: &Did, contract: &Contract, token: &str) -> (String, Id) {
    let app = &world.provider().app;
    let source = app.store.source(&contract.product).await.unwrap().unwrap();
    let transfer = asked_by(world, from, contract, ("HttpData-PULL", None)).await.unwrap();
    eventually("a started transfer", || async {
        let it = app.store.transfer(&transfer).await.unwrap().unwrap();
        (it.state.name() == Name::Started).then_some(())
    })
    .await;
    let grant = Grant {
        contract: contract.id.clone(),
        transfer: transfer.clone(),
        token: sha256(token.as_bytes()),
        object: source.object,
        until: app.clock.now().after(Duration::from_secs(600)),
    };
    app.writer
        .note(move |conn| {
            let grant = grant.clone();
            Box::pin(async move { notes::save_grant(conn, &grant).await })
        })
        .await
        .unwrap();
    (format!("{}/data/{transfer}", app.identity.public_url), transfer)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_table_arrives_whole() {
    let world = World::two().await;
    let contract = world.ready("p.csv", &csv(), limited(5), Use::Plain).await;
    let consumer = &world.consumer().app;
    let copy = consumer.store.copies(&contract.id).await.unwrap().remove(0);
    let product = world.provider().app.store.product(&contract.product).await.unwrap().unwrap();
    assert_eq!(
        (Some(copy.digest), Some(copy.bytes), copy.sealed.as_str()),
        (product.content, product.bytes, "none")
    );
    let kept = consumer
        .objects
        .get_range(&Key::parse(&copy.object).unwrap(), 0..copy.bytes)
        .await
        .unwrap();
    assert_eq!(sha256(&kept), copy.digest);
}

#[tokio::test(flavor = "multi_thread")]
async fn ranges_tokens_and_their_end() {
    let world = World::two().await;
    let all = noise(1_000_000);
    let product = world.published("p.bin", &all, limited(5), &[Use::Plain]).await;
    let contract = world.agreed(&product).await;
    let url = granted(&world, &contract).await;
    let http = reqwest::Client::builder().no_proxy().use_preconfigured_tls(tls()).build().unwrap();
    let get = async |token: &str, range: Option<&str>| {
        let mut request = http.get(&url).bearer_auth(token);
        if let Some(range) = range {
            request = request.header("range", range);
        }
        let answer = request.send().await.unwrap();
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        (status, headers, answer.bytes().await.unwrap().to_vec())
    };
    let (status, headers, body) = get(TOKEN, None).await;
    assert_eq!(status, 200);
    assert!(body == all);
    assert_eq!(headers["etag"], format!("\"{}\"", sha256(&all)).as_str());
    assert_eq!(headers["accept-ranges"], "bytes");
    let (status, headers, body) = get(TOKEN, Some("bytes=999990-")).await;
    assert_eq!((status, body.as_slice()), (206, &all[999_990..]));
    assert_eq!(headers["content-range"], "bytes 999990-999999/1000000");
    let (status, headers, _) = get(TOKEN, Some("bytes=1000000-")).await;
    assert_eq!((status, headers["content-range"].to_str().unwrap()), (416, "bytes */1000000"));
    let stale = http
        .get(&url)
        .bearer_auth(TOKEN)
        .header("range", "bytes=5-")
        .header("if-range", "\"other\"");
    assert_eq!(stale.send().await.unwrap().status().as_u16(), 200);
    let head = http.head(&url).bearer_auth(TOKEN).send().await.unwrap();
    assert_eq!(
        (head.status().as_u16(), &head.headers()["content-length"]),
        (200, &"1000000".parse().unwrap())
    );
    assert_eq!(get("another-token", None).await.0, 401);
    assert_eq!(http.get(&url).send().await.unwrap().status().as_u16(), 401);
    let unknown = format!("{}/data/urn:uuid:none", world.provider().app.identity.public_url);
    assert_eq!(http.get(unknown).bearer_auth(TOKEN).send().await.unwrap().status().as_u16(), 401);
    world.revoke(&contract).await;
    assert_eq!(get(TOKEN, None).await.0, 401);
}

/// Another member, with all that it has: its membership, and the token of a delivery of its own of the very same product.
#[tokio::test(flavor = "multi_thread")]
async fn a_member_gets_nothing_of_anothers_delivery() {
    const OTHER: &str = "the-token-of-the-third";
    let world = World::of(3, |_, _| String::new()).await;
    let product = world.published("p.bin", &noise(1000), limited(5), &[Use::Plain]).await;
    let (mine, theirs) = (world.agreed(&product).await, world.agreed_by(&product, 2).await);
    let third = &world.nodes[2];
    let (url, _) = started(&world, &mine).await;
    let (own, _) = started_by(&world, &third.did, &theirs, OTHER).await;
    let http = reqwest::Client::builder().no_proxy().use_preconfigured_tls(tls()).build().unwrap();
    let get = async |url: &str, token: &str| {
        http.get(url).bearer_auth(token).send().await.unwrap().status().as_u16()
    };
    let member = auth::mint(&third.app.identity, &world.provider().did, &third.app.clock);
    let member = member.trim_start_matches("Bearer ");
    for (at, token, status) in [
        (&url, TOKEN, 200),
        (&own, OTHER, 200),
        (&url, OTHER, 401),
        (&url, member, 401),
        (&own, TOKEN, 401),
    ] {
        assert_eq!(get(at, token).await, status, "{at} {token}");
    }
    // Nor has it one begun, by the contract's name or that of the transfer.
    let no = asked_by(&world, &third.did, &mine, ("HttpData-PULL", None)).await;
    assert!(matches!(fault(no), Fault::NotFound { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_cuts_a_download_and_places_are_bounded() {
    let world = World::two().await;
    let all = noise(64 << 20);
    let product = world.published("big.bin", &all, limited(5), &[Use::Plain]).await;
    let contract = world.agreed(&product).await;
    let url = granted(&world, &contract).await;
    let http = reqwest::Client::builder().no_proxy().use_preconfigured_tls(tls()).build().unwrap();
    let mut held = Vec::new();
    for _ in 0..8 {
        let answer = http.get(&url).bearer_auth(TOKEN).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 200);
        held.push(answer);
    }
    assert_eq!(http.get(&url).bearer_auth(TOKEN).send().await.unwrap().status().as_u16(), 429);
    let mut download = held.pop().unwrap();
    drop(held);
    let mut got = download.chunk().await.unwrap().unwrap().to_vec();
    world.revoke(&contract).await;
    tokio::time::sleep(Duration::from_millis(1000)).await;
    assert!(cut(&mut download, &mut got).await && got.len() < all.len(), "{} bytes", got.len());
    assert!(all.starts_with(&got), "what came before is what was asked for");
}

/// Whether what is left of a download breaks off.
async fn cut(download: &mut reqwest::Response, got: &mut Vec<u8>) -> bool {
    loop {
        match download.chunk().await {
            Ok(Some(piece)) => got.extend_from_slice(&piece),
            Ok(None) => return false,
            Err(_) => return true,
        }
    }
}

/// A contract by which plain bytes may leave for so many seconds from the start of their delivery on.
pub(crate) async fn leaving_for(world: &World, bytes: &[u8], seconds: u64) -> Contract {
    let within = Span::parse(&format!("PT{seconds}S")).ok();
    let terms = Sentences { within, ..Sentences::default() };
    let product = world.published("s.bin", bytes, terms, &[Use::Plain]).await;
    world.agreed(&product).await
}

/// When that began, by the provider's record.
pub(crate) async fn begun(world: &World, contract: &Contract) -> Time {
    eventually("a delivery", || async {
        world.provider().app.store.contract(&contract.id).await.unwrap().unwrap().first_use
    })
    .await
}

/// A token that lives on opens nothing that the terms let leave no more, and a download under way ends.
#[tokio::test(flavor = "multi_thread")]
async fn plain_bytes_leave_no_later_than_their_terms_say() {
    const SECONDS: u64 = 4;
    let world = World::two().await;
    let (app, all) = (&world.provider().app, noise(64 << 20));
    let contract = leaving_for(&world, &all, SECONDS).await;
    let transfer = asked(&world, &contract, "HttpData-PULL", None).await;
    let end = begun(&world, &contract).await.after(Duration::from_secs(SECONDS));
    let own = eventually("a token", || async { app.store.grant(&transfer).await.unwrap() }).await;
    assert!(own.until <= end.after(Duration::from_millis(1)), "{} after {end}", own.until);
    // One that lives longer, as they did.
    let grant = Grant {
        token: sha256(TOKEN.as_bytes()),
        until: end.after(Duration::from_secs(600)),
        ..own
    };
    app.writer
        .note(move |conn| {
            let grant = grant.clone();
            Box::pin(async move { notes::save_grant(conn, &grant).await })
        })
        .await
        .unwrap();
    let url = format!("{}/data/{transfer}", app.identity.public_url);
    let http = reqwest::Client::builder().no_proxy().use_preconfigured_tls(tls()).build().unwrap();
    let get = async || http.get(&url).bearer_auth(TOKEN).send().await.unwrap();
    let mut download = get().await;
    assert!(download.status().is_success() || app.clock.now() > end, "{}", download.status());
    let left = end.since(app.clock.now());
    let mut got = download.chunk().await.ok().flatten().unwrap_or_default().to_vec();
    tokio::time::sleep(left + Duration::from_millis(1000)).await;
    assert_eq!(get().await.status().as_u16(), 401);
    cut(&mut download, &mut got).await;
    assert!(got.len() < all.len(), "{} bytes", got.len());
    let contract = app.store.contract(&contract.id).await.unwrap().unwrap();
    assert!(contract.is_active(), "nothing else ended");
}

pub(crate) fn tls() -> rustls::ClientConfig {
    let config = tidm_node::tls::client(tidm_node::tls::public_roots(), None).unwrap();
    (*config).clone()
}
