//! Pushes: from our provider to our consumer, to foreign places, and from hostile hands.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tidm_crypto::hash::sha256;
use tidm_node::jobs::order::To;
use tidm_node::server::arrivals;
use tidm_node::store::timeline::About;
use tidm_space::catalog::delivery::HTTP_ADDRESS;
use tidm_space::engine::input::{TransferWish, Wish};
use tidm_space::evidence::fact::What;
use tidm_space::id::Id;
use tidm_space::policy::usage::Use;
use tidm_space::transfer::message::{Body, DataAddress};
use tidm_space::transfer::state::{Name, State as Stage};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

use crate::delivery::{asked, begun, leaving_for, noise, tls};
use crate::transfers::{both, copy, grown, here, rests, resume, side, suspend, throttled};
use crate::world::{World, csv, eventually, limited};

#[tokio::test(flavor = "multi_thread")]
async fn plain_and_sealed_bytes_are_pushed_whole() {
    let world = World::two().await;
    for (kind, word) in
        [(Use::Plain, "none"), (Use::SealedTable, "table"), (Use::SealedFile, "file")]
    {
        let name = format!("{word}.csv");
        let product = world.published(&name, &csv(), limited(5), &[kind]).await;
        let contract = world.agreed(&product).await;
        let transfer = world.ordered(&contract, kind, To::Push).await;
        both(&world, &contract, Name::Completed).await;
        let copies = world.consumer().app.store.copies(&contract.id).await.unwrap();
        assert_eq!((copies[0].sealed.as_str(), &copies[0].transfer), (word, &transfer));
        let bytes = copy(world.consumer(), &contract).await;
        if kind == Use::Plain {
            assert_eq!(Some(sha256(&bytes)), product.content);
        } else {
            let seal = world.provider().app.store.seal(&contract.id).await.unwrap().unwrap();
            assert_eq!(sha256(&bytes), seal.digest);
        }
        // The provider completes, and neither side's store keeps what opened the endpoint.
        let it = side(world.consumer(), &contract).await;
        assert!(matches!(
            it.state,
            Stage::Completed { by: tidm_space::negotiation::message::Role::Provider }
        ));
        assert_eq!(it.push_to.unwrap().property("authorization"), None);
        for (node, id) in [
            (world.consumer(), transfer),
            (world.provider(), side(world.provider(), &contract).await.id),
        ] {
            let facts = node.app.store.facts(&About::Transfer(id), None, 100).await.unwrap().rows;
            let delivered =
                facts.iter().filter(|it| matches!(it.fact.what, What::Delivered { .. }));
            assert_eq!(delivered.count(), 1, "{facts:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_is_suspended_restarted_and_resumed_by_either_side() {
    let mut world = World::of(2, throttled(1024)).await;
    let all = noise(5 << 20);
    let product = world.published("p.bin", &all, limited(5), &[Use::Plain]).await;
    let contract = world.agreed(&product).await;
    let transfer = world.ordered(&contract, Use::Plain, To::Push).await;
    grown(&world.consumer().app, &transfer, 1 << 20).await;
    suspend(world.consumer(), &contract).await;
    both(&world, &contract, Name::Suspended).await;
    let first = rests(&world.consumer().app, &transfer).await;
    world.restart(0).await;
    resume(world.consumer(), &contract).await;
    let second = grown(&world.consumer().app, &transfer, first).await;
    assert!(second < first + (2 << 20), "it goes on, byte by byte");
    suspend(world.provider(), &contract).await;
    both(&world, &contract, Name::Suspended).await;
    let second = rests(&world.consumer().app, &transfer).await;
    assert!(second >= first);
    world.restart(1).await;
    assert_eq!(here(&world.consumer().app, &transfer).await, second);
    resume(world.provider(), &contract).await;
    both(&world, &contract, Name::Completed).await;
    assert!(copy(world.consumer(), &contract).await == all);
}

/// The provider's process dies under a push: what had arrived need not come again.
#[tokio::test(flavor = "multi_thread")]
async fn a_broken_push_goes_on_where_it_was() {
    let mut world = World::of(2, throttled(1024)).await;
    let all = noise(3 << 20);
    let product = world.published("p.bin", &all, limited(5), &[Use::Plain]).await;
    let contract = world.agreed(&product).await;
    let transfer = world.ordered(&contract, Use::Plain, To::Push).await;
    let before = grown(&world.consumer().app, &transfer, 1 << 20).await;
    world.restart(0).await;
    assert!(here(&world.consumer().app, &transfer).await >= before);
    both(&world, &contract, Name::Completed).await;
    assert!(copy(world.consumer(), &contract).await == all);
}

/// What a foreign place heard: method, path, authorization, digest, body.
type Told = Arc<Mutex<Vec<(String, String, String, String, Vec<u8>)>>>;

async fn outside(State(told): State<Told>, request: Request) {
    let (parts, body) = request.into_parts();
    let header = |name: &str| {
        parts.headers.get(name).map(|it| it.to_str().unwrap().to_owned()).unwrap_or_default()
    };
    let (authorization, digest) = (header("authorization"), header("repr-digest"));
    let body = axum::body::to_bytes(body, 1 << 26).await.unwrap().to_vec();
    let path = parts.uri.path().to_owned();
    told.lock().unwrap().push((parts.method.to_string(), path, authorization, digest, body));
}

/// A receiver that has no place at first: what its terms let leave no more by then is not sent again.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_pushed_after_its_terms_say() {
    const SECONDS: u64 = 4;
    let world = World::two().await;
    let app = &world.provider().app;
    let contract = leaving_for(&world, &noise(1 << 20), SECONDS).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = format!("http://{}/in", listener.local_addr().unwrap());
    let (first_use, of) = (app.clone(), contract.id.clone());
    // Takes nothing before the terms are over, and everything from a little later on.
    let takes = move || {
        let (app, of) = (first_use.clone(), of.clone());
        async move {
            let begun = app.store.contract(&of).await.unwrap().unwrap().first_use;
            let over =
                begun.unwrap_or_else(|| app.clock.now()).after(Duration::from_secs(SECONDS + 2));
            if app.clock.now() > over { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
        }
    };
    let router = Router::new().fallback(takes);
    tokio::spawn(async move { axum::serve(listener, router).await });
    let transfer = asked(&world, &contract, "HttpData-PUSH", Some(http_address(place))).await;
    let ended = eventually("an end", || async {
        let it = app.store.transfer(&transfer).await.unwrap().unwrap();
        [Name::Completed, Name::Terminated].contains(&it.state.name()).then_some(it)
    });
    let ended = ended.await;
    let Stage::Terminated { code, .. } = &ended.state else { panic!("{:?}", ended.state) };
    assert_eq!(code.as_deref(), Some("transfer.kind"), "{:?}", ended.state);
    let end = begun(&world, &contract).await.after(Duration::from_secs(SECONDS));
    assert!(app.clock.now() > end);
    let contract = app.store.contract(&contract.id).await.unwrap().unwrap();
    assert!(contract.is_active(), "nothing else ended");
}

fn http_address(endpoint: String) -> DataAddress {
    let properties = vec![
        ("authorization".to_owned(), "for-the-consumer".to_owned()),
        ("authType".to_owned(), "bearer".to_owned()),
    ];
    DataAddress { endpoint_type: HTTP_ADDRESS.to_owned(), endpoint: Some(endpoint), properties }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_place_gets_one_post_with_everything() {
    let world = World::two().await;
    let all = noise(1 << 20);
    let product = world.published("p.bin", &all, limited(5), &[Use::Plain]).await;
    let contract = world.agreed(&product).await;
    let (listener, told) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), Told::default());
    let place = format!("http://{}/in", listener.local_addr().unwrap());
    let router = Router::new().fallback(outside).with_state(told.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let transfer = asked(&world, &contract, "HttpData-PUSH", Some(http_address(place))).await;
    let app = &world.provider().app;
    eventually("a completed transfer", || async {
        let it = app.store.transfer(&transfer).await.unwrap().unwrap();
        assert!(it.state.name() != Name::Terminated, "{:?}", it.state);
        (it.state.name() == Name::Completed).then_some(())
    })
    .await;
    let heard = told.lock().unwrap().clone();
    let digest = format!("sha-256=:{}:", STANDARD.encode(sha256(&all).as_bytes()));
    let [(method, path, authorization, said, body)] = heard.as_slice() else {
        panic!("{} calls", heard.len())
    };
    assert_eq!((method.as_str(), path.as_str()), ("POST", "/in"));
    assert_eq!((authorization.as_str(), said), ("Bearer for-the-consumer", &digest));
    assert!(*body == all);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_pushed_where_it_may_not_go() {
    let guarded = |at: usize, _: &[_]| match at {
        0 => "[signaling]\nenabled = false\n".to_owned(),
        _ => String::new(),
    };
    let world = World::of(2, guarded).await;
    let product = world.published("p.bin", b"bytes", limited(5), &[Use::Plain]).await;
    let contract = world.agreed(&product).await;
    let bucket = |properties: &[(&str, &str)]| DataAddress {
        endpoint_type: "AmazonS3".to_owned(),
        endpoint: Some("https://s3.example.com".to_owned()),
        properties: properties.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect(),
    };
    let whole = [
        ("bucketName", "b"),
        ("accessKeyId", "k"),
        ("secretAccessKey", "very-secret"),
        ("keyPrefix", "a/../"),
    ];
    for (format, address, word) in [
        ("HttpData-PUSH", None, "needs a dataAddress"),
        ("HttpData-PUSH", Some(http_address("http://10.0.0.1/in".to_owned())), "plain http"),
        ("HttpData-PUSH", Some(http_address("file:///etc/passwd".to_owned())), "no host"),
        ("HttpData-PUSH", Some(http_address("https://u:p@host.example/".to_owned())), "password"),
        ("AmazonS3-PUSH", Some(bucket(&[])), "bucketName"),
        ("AmazonS3-PUSH", Some(bucket(&whole[..2])), "secretAccessKey"),
        ("AmazonS3-PUSH", Some(bucket(&whole)), "name"),
        ("tidm:query", Some(http_address("https://host.example/".to_owned())), "not offered"),
    ] {
        let transfer = asked(&world, &contract, format, address).await;
        let app = &world.provider().app;
        let ended = eventually(&format!("an ended transfer: {word}"), || async {
            let it = app.store.transfer(&transfer).await.unwrap().unwrap();
            (!it.is_open()).then_some(it)
        })
        .await;
        let Stage::Terminated { reason, .. } = &ended.state else { panic!("{:?}", ended.state) };
        let reason = reason.join("; ");
        assert!(reason.contains(word) && !reason.contains("very-secret"), "{word}: {reason}");
    }
}

/// Inside the operator's own networks only where its setting says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_push_goes_to_no_private_address_unless_the_operator_allows_them() {
    let mut world = World::two().await;
    let product = world.published("p.bin", b"bytes", limited(5), &[Use::Plain]).await;
    let contract = world.agreed(&product).await;
    world.restart_with(0, |it| it.peers.allow_private_addresses = false).await;
    for endpoint in ["https://10.0.0.1/in", "https://[fd00::1]/in", "https://localhost/in"] {
        let address = http_address(endpoint.to_owned());
        let transfer = asked(&world, &contract, "HttpData-PUSH", Some(address)).await;
        let app = &world.provider().app;
        // That it is over cannot be told either: whoever asked is at such an address here, too.
        let reason = eventually(endpoint, || async {
            let it = app.store.transfer(&transfer).await.unwrap().unwrap();
            assert!(it.starts == 0, "{it:?}");
            if let Some(Body::Terminate { reason, .. }) = it.pending.map(|it| it.body) {
                return Some(reason.join("; "));
            }
            let Stage::Terminated { reason, .. } = it.state else { return None };
            Some(reason.join("; "))
        })
        .await;
        assert!(reason.contains("private address"), "{endpoint}: {reason}");
    }
}

/// Somebody with a token, and everybody without.
#[tokio::test(flavor = "multi_thread")]
async fn the_endpoint_of_a_push_takes_one_delivery_and_nothing_else() {
    let world =
        World::of(2, |_, _| "[limits]\nupload_mib = 1\nstalled_seconds = 1\n".to_owned()).await;
    let product = world.published("p.bin", b"bytes", limited(5), &[Use::Plain]).await;
    let contract = world.agreed(&product).await;
    let consumer = world.consumer();
    let id = Id::parse(&format!("urn:uuid:{}", uuid::Uuid::now_v7())).unwrap();
    let address = arrivals::address(&consumer.app, &contract.id, &id).await.unwrap();
    let (url, token) =
        (address.endpoint.clone().unwrap(), address.property("authorization").unwrap().to_owned());
    let http = reqwest::Client::builder().no_proxy().use_preconfigured_tls(tls()).build().unwrap();
    let send = async |method: &str, token: &str, headers: &[(&str, &str)], body: Vec<u8>| {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = http.request(method, &url).bearer_auth(token);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.body(body).send().await.unwrap();
        let offset =
            answer.headers().get("upload-offset").map(|it| it.to_str().unwrap().to_owned());
        (answer.status().as_u16(), offset.unwrap_or_default())
    };
    assert_eq!(
        send("POST", &token, &[], b"early".to_vec()).await.0,
        401,
        "there is no transfer yet"
    );
    let wish = TransferWish {
        id: Some(id.clone()),
        contract: contract.id.clone(),
        // Nobody listens there: the request stays under way, and bytes may come before its answer.
        address: Some("http://127.0.0.1:9".to_owned()),
        format: "HttpData-PUSH".to_owned(),
        push_to: Some(address),
    };
    consumer.wish(Wish::Fetch(Box::new(wish))).await;
    for (method, token, headers, body, wanted) in [
        ("POST", "another", &[][..], vec![1], (401, "")),
        ("HEAD", "another", &[], vec![], (401, "")),
        ("HEAD", &token, &[], vec![], (204, "0")),
        ("PATCH", &token, &[], vec![1], (400, "")),
        ("PATCH", &token, &[("upload-offset", "x")], vec![1], (400, "")),
        ("PATCH", &token, &[("upload-offset", "7")], vec![1], (409, "0")),
        ("POST", &token, &[], vec![7; (1 << 20) + 1], (413, "")),
        ("HEAD", &token, &[], vec![], (204, "0")),
        (
            "POST",
            &token,
            &[("repr-digest", "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:")],
            vec![1],
            (422, ""),
        ),
        ("PUT", &token, &[("upload-complete", "?0")], b"by".to_vec(), (204, "2")),
        ("HEAD", &token, &[], vec![], (204, "2")),
        ("PATCH", &token, &[("upload-offset", "3")], b"xx".to_vec(), (409, "2")),
        ("PATCH", &token, &[("upload-offset", "2")], b"tes".to_vec(), (204, "5")),
        // The answer was lost: the same again changes nothing.
        ("POST", &token, &[], b"other bytes".to_vec(), (204, "5")),
    ] {
        let (status, offset) = send(method, token, headers, body).await;
        assert_eq!((status, offset.as_str()), wanted, "{method} {headers:?}");
    }
    assert_eq!(copy(consumer, &contract).await, b"bytes");
    world.revoke(&contract).await;
    eventually("a dead token", || async {
        (send("POST", &token, &[], b"late".to_vec()).await.0 == 401).then_some(())
    })
    .await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let copies = consumer.app.store.copies(&contract.id).await.unwrap();
    assert!(copies.is_empty(), "the copy ended with the contract");
}

/// A place that accepts and then takes nothing: the provider leaves it, and comes back.
#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_stops_is_left_after_the_declared_time() {
    let world = World::of(2, |_, _| "[limits]\nstalled_seconds = 1\n".to_owned()).await;
    let product = world.published("p.bin", &noise(64 << 20), limited(5), &[Use::Plain]).await;
    let contract = world.agreed(&product).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = format!("http://{}/in", listener.local_addr().unwrap());
    let transfer = asked(&world, &contract, "HttpData-PUSH", Some(http_address(place))).await;
    let (mut stream, _) = listener.accept().await.unwrap();
    tokio::time::sleep(Duration::from_millis(2500)).await;
    let (mut got, mut buffer) = (0, vec![0; 1 << 16]);
    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
        got += read;
    }
    assert!(got < 16 << 20, "{got} bytes were sent to who took nothing");
    let (_again, _) = listener.accept().await.unwrap();
    let it = world.provider().app.store.transfer(&transfer).await.unwrap().unwrap();
    assert_eq!(it.state.name(), Name::Started, "it is tried again");
}
