//! Deliveries under way: suspended, resumed, restarted, bounded in speed and connections, and readers that do not read.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tidm_crypto::hash::sha256;
use tidm_node::app::App;
use tidm_node::jobs::arriving;
use tidm_node::jobs::order::To;
use tidm_node::objects::Key;
use tidm_space::contract::Contract;
use tidm_space::engine::input::Wish;
use tidm_space::id::Id;
use tidm_space::policy::sentence::Sentences;
use tidm_space::policy::usage::Use;
use tidm_space::transfer::message::Body;
use tidm_space::transfer::state::{Name, Transfer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::delivery::{TOKEN, noise, started, tls};
use crate::world::{Node, World, eventually, limited};

/// A node's side of the transfers under a contract.
pub(crate) async fn side(node: &Node, contract: &Contract) -> Transfer {
    known(node, contract).await.unwrap()
}

async fn known(node: &Node, contract: &Contract) -> Option<Transfer> {
    let page = node.app.store.transfers(None, 100).await.unwrap();
    page.rows.into_iter().find(|it| it.contract == contract.id)
}

pub(crate) async fn both(world: &World, contract: &Contract, wanted: Name) {
    for node in [world.provider(), world.consumer()] {
        eventually(wanted.token(), || async {
            let it = known(node, contract).await?;
            assert!(it.state.name() != Name::Terminated, "{:?}", it.state);
            (it.state.name() == wanted && it.pending.is_none()).then_some(())
        })
        .await;
    }
}

/// Bytes that the consumer has of a delivery under way.
pub(crate) async fn here(app: &Arc<App>, transfer: &Id) -> u64 {
    let partial: PathBuf = arriving::partial(app, transfer).unwrap();
    arriving::length(&partial).await.unwrap()
}

pub(crate) async fn grown(app: &Arc<App>, transfer: &Id, beyond: u64) -> u64 {
    eventually("more bytes", || async {
        let bytes = here(app, transfer).await;
        (bytes > beyond).then_some(bytes)
    })
    .await
}

/// Nothing comes any more, a second after it was suspended at the latest.
pub(crate) async fn rests(app: &Arc<App>, transfer: &Id) -> u64 {
    tokio::time::sleep(Duration::from_millis(1000)).await;
    let before = here(app, transfer).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(here(app, transfer).await, before, "bytes came after the suspension");
    before
}

pub(crate) async fn suspend(node: &Node, contract: &Contract) {
    let transfer = side(node, contract).await.id;
    let body = Body::Suspend { code: None, reason: vec!["a pause".to_owned()] };
    node.wish(Wish::SayTransfer { transfer, body }).await;
}

pub(crate) async fn resume(node: &Node, contract: &Contract) {
    let transfer = side(node, contract).await.id;
    node.wish(Wish::ResumeTransfer { transfer }).await;
}

/// What was delivered, as the consumer keeps it.
pub(crate) async fn copy(node: &Node, contract: &Contract) -> Vec<u8> {
    let copy = node.app.store.copies(&contract.id).await.unwrap().remove(0);
    let key = Key::parse(&copy.object).unwrap();
    let bytes = node.app.objects.get_range(&key, 0..copy.bytes).await.unwrap();
    assert_eq!(sha256(&bytes), copy.digest);
    bytes.to_vec()
}

pub(crate) fn throttled(kib: u32) -> impl Fn(usize, &[tidm_space::identity::did::Did]) -> String {
    move |_, _| format!("[limits]\ndelivery_kib = {kib}\nstalled_seconds = 3\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn suspended_restarted_and_resumed_by_either_side_it_arrives_whole() {
    let mut world = World::of(2, throttled(1024)).await;
    let all = noise(5 << 20);
    let product = world.published("p.bin", &all, limited(5), &[Use::Plain]).await;
    let contract = world.agreed(&product).await;
    let transfer = world.ordered(&contract, Use::Plain, To::Pull).await;
    grown(&world.consumer().app, &transfer, 1 << 20).await;

    suspend(world.consumer(), &contract).await;
    both(&world, &contract, Name::Suspended).await;
    let first = rests(&world.consumer().app, &transfer).await;
    assert!(first > 1 << 20 && first < all.len() as u64, "{first} bytes are here");
    world.restart(1).await;
    assert_eq!(here(&world.consumer().app, &transfer).await, first, "they outlive the process");
    resume(world.consumer(), &contract).await;
    both(&world, &contract, Name::Started).await;
    let second = grown(&world.consumer().app, &transfer, first).await;
    assert!(second < first + (2 << 20), "it goes on, byte by byte");

    suspend(world.provider(), &contract).await;
    both(&world, &contract, Name::Suspended).await;
    let second = rests(&world.consumer().app, &transfer).await;
    world.restart(0).await;
    resume(world.provider(), &contract).await;
    let third = grown(&world.consumer().app, &transfer, second).await;
    assert!(third < second + (2 << 20), "it goes on, byte by byte");
    both(&world, &contract, Name::Completed).await;
    assert!(copy(world.consumer(), &contract).await == all);
    assert_eq!(here(&world.consumer().app, &transfer).await, 0, "nothing stays behind");
}

/// The consumer's process dies in the middle, and nobody suspended anything.
#[tokio::test(flavor = "multi_thread")]
async fn a_restart_alone_goes_on_where_it_was() {
    let mut world = World::of(2, throttled(1024)).await;
    let all = noise(3 << 20);
    let product = world.published("p.bin", &all, limited(5), &[Use::Plain]).await;
    let contract = world.agreed(&product).await;
    let transfer = world.ordered(&contract, Use::Plain, To::Pull).await;
    let before = grown(&world.consumer().app, &transfer, 1 << 20).await;
    world.restart(1).await;
    assert!(here(&world.consumer().app, &transfer).await >= before);
    both(&world, &contract, Name::Completed).await;
    assert!(copy(world.consumer(), &contract).await == all);
}

/// What broke off for good leaves nothing behind.
#[tokio::test(flavor = "multi_thread")]
async fn an_ended_delivery_is_cleared_away() {
    let world = World::of(2, throttled(512)).await;
    let product = world.published("p.bin", &noise(8 << 20), limited(5), &[Use::Plain]).await;
    let contract = world.agreed(&product).await;
    let transfer = world.ordered(&contract, Use::Plain, To::Pull).await;
    let app = &world.consumer().app;
    grown(app, &transfer, 1 << 18).await;
    world.revoke(&contract).await;
    eventually("an empty place", || async { (here(app, &transfer).await == 0).then_some(()) })
        .await;
    assert!(app.store.copies(&contract.id).await.unwrap().is_empty());
}

/// Asks for the bytes and reads the head of the answer only.
async fn reader(url: &str) -> TcpStream {
    let address = url.strip_prefix("http://").unwrap();
    let (host, path) = address.split_once('/').unwrap();
    let mut stream = TcpStream::connect(host).await.unwrap();
    let request =
        format!("GET /{path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {TOKEN}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = vec![0; 4096];
    let read = stream.read(&mut head).await.unwrap();
    assert!(
        head[..read].starts_with(b"HTTP/1.1 200"),
        "{:?}",
        String::from_utf8_lossy(&head[..read])
    );
    stream
}

/// What still comes, up to the connection's end; `None`: it stays open.
async fn rest(stream: &mut TcpStream) -> Option<usize> {
    let (mut got, mut buffer) = (0, vec![0; 1 << 16]);
    loop {
        match tokio::time::timeout(Duration::from_secs(2), stream.read(&mut buffer)).await {
            Err(_) => return None,
            Ok(Ok(read @ 1..)) => got += read,
            Ok(Ok(_) | Err(_)) => return Some(got),
        }
    }
}

/// Nobody asks for the next piece: the connection is closed from outside.
#[tokio::test(flavor = "multi_thread")]
async fn a_suspension_closes_the_connection_of_a_reader_that_does_not_read() {
    let world = World::two().await;
    let all = noise(64 << 20);
    let product = world.published("big.bin", &all, limited(5), &[Use::Plain]).await;
    let contract = world.agreed(&product).await;
    let (url, transfer) = started(&world, &contract).await;
    let mut stream = reader(&url).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let body = Body::Suspend { code: None, reason: vec!["a pause".to_owned()] };
    world.provider().wish(Wish::SayTransfer { transfer: transfer.clone(), body }).await;
    tokio::time::sleep(Duration::from_millis(1000)).await;
    let got = rest(&mut stream).await.expect("a closed connection");
    assert!(got < all.len(), "{got} bytes came");
    let http = reqwest::Client::builder().no_proxy().use_preconfigured_tls(tls()).build().unwrap();
    let status = async || http.get(&url).bearer_auth(TOKEN).send().await.unwrap().status().as_u16();
    assert_eq!(status().await, 401, "the token rests");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_stops_is_cut_off_after_the_declared_time_and_a_slow_one_is_not() {
    let world = World::of(2, |_, _| "[limits]\nstalled_seconds = 2\n".to_owned()).await;
    let all = noise(64 << 20);
    let product = world.published("big.bin", &all, limited(5), &[Use::Plain]).await;
    let contract = world.agreed(&product).await;
    let (url, _) = started(&world, &contract).await;
    let (mut stops, mut slow) = (reader(&url).await, reader(&url).await);
    let mut buffer = vec![0; 256 << 10];
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(4500) {
        slow.read_exact(&mut buffer).await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let got = rest(&mut stops).await.expect("a closed connection");
    // What lay in the kernel's buffers, and nothing like the whole: nobody read ahead of the reader.
    assert!(got < 16 << 20, "{got} bytes came to who stopped");
    let mut more = vec![0; 16 << 20];
    slow.read_exact(&mut more).await.expect("who reads is not cut off");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contracts_deliveries_keep_to_its_speed_and_slow_no_others() {
    let world = World::of(2, throttled(1024)).await;
    let all = noise(2 << 20);
    let mut contracts = Vec::new();
    for name in ["a.bin", "b.bin"] {
        let product = world.published(name, &all, limited(5), &[Use::Plain]).await;
        contracts.push(world.agreed(&product).await);
    }
    let begun = Instant::now();
    for contract in &contracts {
        world.ordered(contract, Use::Plain, To::Pull).await;
    }
    for contract in &contracts {
        both(&world, contract, Name::Completed).await;
    }
    let took = begun.elapsed();
    // Two MiB at one MiB per second each: less would be faster than allowed, four seconds would be one after another.
    assert!(took > Duration::from_millis(1700), "{took:?}");
    assert!(took < Duration::from_millis(3800), "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_its_connections_a_contract_is_told_to_wait_and_our_consumer_does() {
    let world = World::of(2, |at, _| match at {
        0 => "[limits]\ndelivery_connections = 1\n".to_owned(),
        _ => String::new(),
    })
    .await;
    let all = noise(64 << 20);
    let product = world.published("big.bin", &all, limited(5), &[Use::Plain]).await;
    let contract = world.agreed(&product).await;
    let (url, _) = started(&world, &contract).await;
    let held = reader(&url).await;
    let http = reqwest::Client::builder().no_proxy().use_preconfigured_tls(tls()).build().unwrap();
    let busy = http.get(&url).bearer_auth(TOKEN).header("accept-language", "en");
    let busy = busy.send().await.unwrap();
    assert_eq!(busy.status().as_u16(), 429);
    assert_eq!(busy.headers()["retry-after"], "1");
    assert_eq!(busy.headers()["content-type"], "application/problem+json");
    let body: serde_json::Value = serde_json::from_slice(&busy.bytes().await.unwrap()).unwrap();
    assert_eq!(body["code"], "delivery.busy");
    let transfer = world.ordered(&contract, Use::Plain, To::Pull).await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let app = &world.consumer().app;
    assert_eq!(here(app, &transfer).await, 0, "it waits");
    drop(held);
    eventually("a completed transfer", || async {
        let it = app.store.transfer(&transfer).await.unwrap().unwrap();
        assert!(it.is_open() || it.state.name() == Name::Completed, "{:?}", it.state);
        (it.state.name() == Name::Completed).then_some(())
    })
    .await;
    assert!(copy(world.consumer(), &contract).await == all);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_contract_says_less_than_the_operator_allows() {
    let world = World::two().await;
    let all = noise(2 << 20);
    let terms =
        Sentences { delivery_rate: Some(1 << 20), delivery_connections: Some(1), ..limited(5) };
    let product = world.published("p.bin", &all, terms, &[Use::Plain]).await;
    let contract = world.agreed(&product).await;
    let (url, _) = started(&world, &contract).await;
    let http = reqwest::Client::builder().no_proxy().use_preconfigured_tls(tls()).build().unwrap();
    let get = async || http.get(&url).bearer_auth(TOKEN).send().await.unwrap();
    let begun = Instant::now();
    let first = get().await;
    assert_eq!(get().await.status().as_u16(), 429);
    assert!(first.bytes().await.unwrap() == all);
    let took = begun.elapsed();
    assert!(took > Duration::from_millis(1700), "{took:?}");
    assert!(took < Duration::from_millis(4000), "{took:?}");
    // A push keeps to the same words.
    let begun = Instant::now();
    world.ordered(&contract, Use::Plain, To::Push).await;
    let app = &world.consumer().app;
    eventually("a pushed copy", || async { app.store.copies(&contract.id).await.unwrap().pop() })
        .await;
    let took = begun.elapsed();
    assert!(took > Duration::from_millis(1700), "{took:?}");
    assert!(copy(world.consumer(), &contract).await == all);
}
