//! The doors of a node over raw sockets: clients that dawdle, bodies that grow when unpacked, tokens of strangers whose
//! documents lead elsewhere, hang, or are changed while they call.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::Path;
use axum::response::{IntoResponse as _, Redirect};
use axum::routing::get;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use tidm_crypto::jws;
use tidm_crypto::sign::{KeyKind, SigningKey};
use tidm_node::server::pace::GRACE;
use tidm_space::identity::did::Did;

use crate::dcp::ask;
use crate::mtls::{Authority, Wanted, secured};
use crate::world::{Node, World};

/// Sends the beginning, then a piece each second; says after what time the connection ended.
async fn dawdle(at: std::net::SocketAddr, beginning: String, piece: &'static str) -> Duration {
    let (begun, mut stream) = (Instant::now(), TcpStream::connect(at).await.unwrap());
    stream.write_all(beginning.as_bytes()).await.unwrap();
    let (mut reading, mut writing) = stream.into_split();
    let dripping = tokio::spawn(async move {
        while !piece.is_empty() {
            tokio::time::sleep(Duration::from_secs(1)).await;
            if writing.write_all(piece.as_bytes()).await.is_err() {
                break;
            }
        }
        writing
    });
    let mut got = Vec::new();
    let reading = reading.read_to_end(&mut got);
    // Longer than any of them may take.
    drop(tokio::time::timeout(Duration::from_secs(40), reading).await);
    let took = begun.elapsed();
    dripping.abort();
    took
}

/// Nobody holds a connection by sending little: neither before its headers are whole, nor between two requests, nor in
/// the middle of a body, whichever path that is for.
#[tokio::test(flavor = "multi_thread")]
async fn who_dawdles_is_cut_off() {
    let signaling = "[signaling]\nenabled = true\n";
    let world = World::of(1, |_, _| signaling.to_owned()).await;
    let at = world.provider().app.config.http.listen;
    let headers = |path: &str, length: u64| {
        format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nauthorization: Bearer x\r\ncontent-length: {length}\r\n\r\n{{"
        )
    };
    let second = |it: u64| Duration::from_secs(it);
    let mut all = tokio::task::JoinSet::new();
    for (what, beginning, piece, least, most) in [
        ("nothing", String::new(), "", 9, 25),
        ("half a header", "GET /healthz HTTP/1.1\r\nx-a: ".to_owned(), "", 9, 25),
        ("a header drop by drop", "GET /healthz HTTP/1.1\r\nx-a: ".to_owned(), "a", 9, 25),
        ("no second request", "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(), "", 9, 25),
        ("half a message", headers("/dsp/2025-1/negotiations/request", 5000), "", 14, 30),
        ("a message drop by drop", headers("/dsp/2025-1/catalog/request", 5000), " ", 19, 36),
        ("half a notice", headers("/dsp/2025-1/tidm/1/leases/returned", 5000), "", 14, 30),
        (
            "half a query for a wallet",
            headers("/dcp/1.0/wallet/presentations/query", 5000),
            "",
            14,
            20,
        ),
        ("half a call", headers("/api/v1/session", 300), "", 14, 30),
        ("half a call drop by drop", headers("/api/v1/session", 300), " ", 19, 36),
        ("half an order", headers("/dataplane/dataflows/start", 5000), " ", 19, 36),
    ] {
        all.spawn(async move {
            let took = dawdle(at, beginning, piece).await;
            assert!(took > second(least) && took < second(most), "{what}: {took:?}");
        });
    }
    // Whoever comes at a walking pace is served, also where that takes longer than the grace: twice the least rate.
    all.spawn(async move {
        let mut stream = TcpStream::connect(at).await.unwrap();
        let begun = Instant::now();
        let head = headers("/dsp/2025-1/catalog/request", 1 + 26 * 8192);
        let head = head.replace("content-type", "connection: close\r\ncontent-type");
        stream.write_all(head.as_bytes()).await.unwrap();
        for _ in 0..26 {
            tokio::time::sleep(second(1)).await;
            stream.write_all(&[b' '; 8192]).await.unwrap();
        }
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let answer = String::from_utf8_lossy(&answer);
        assert!(begun.elapsed() > GRACE && answer.starts_with("HTTP/1.1 404"), "{answer}");
    });
    while let Some(done) = all.join_next().await {
        done.unwrap();
    }
}

/// Neither does who begins a handshake and does not end it.
#[tokio::test(flavor = "multi_thread")]
async fn who_dawdles_over_tls_is_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::new(dir.path(), "ca");
    let world = World::planned(1, |plan, at| {
        let pair = authority.issue("node", &Wanted::of(&plan.dids[at]));
        secured(plan, at, &pair, &authority.file)
    })
    .await;
    let at = world.provider().app.config.http.listen;
    let mut all = tokio::task::JoinSet::new();
    // The head of a record, of 512 bytes that do not come, or come one by one.
    for (beginning, piece) in [("", ""), ("\x16\x03\x01\x02\0", ""), ("\x16\x03\x01\x02\0", "\x01")]
    {
        all.spawn(async move {
            let took = dawdle(at, beginning.to_owned(), piece).await;
            let allowed = Duration::from_secs(9)..Duration::from_secs(25);
            assert!(allowed.contains(&took), "{beginning:?} {piece:?}: {took:?}");
        });
    }
    while let Some(done) = all.join_next().await {
        done.unwrap();
    }
}

/// Where both versions of HTTP are spoken, their first bytes are waited for no longer.
#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_begin_is_cut_off_where_http_2_is_spoken() {
    let world = World::of(1, |_, _| "[flight]\nenabled = true\n".to_owned()).await;
    let at = world.provider().app.config.http.listen;
    let mut all = tokio::task::JoinSet::new();
    for (beginning, piece) in [("", ""), ("PRI * HTTP/2.0\r\n", ""), ("GET /h", "")] {
        all.spawn(async move {
            let took = dawdle(at, beginning.to_owned(), piece).await;
            let allowed = Duration::from_secs(9)..Duration::from_secs(25);
            assert!(allowed.contains(&took), "{beginning:?}: {took:?}");
        });
    }
    while let Some(done) = all.join_next().await {
        done.unwrap();
    }
}

/// We unpack no request: what is packed is no JSON, and costs what it weighs.
#[tokio::test(flavor = "multi_thread")]
async fn packed_requests_are_not_unpacked() {
    use std::io::Write as _;
    let world = World::two().await;
    let [node, member] = &world.nodes[..] else { panic!("two nodes") };
    let bomb = {
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        let filler = vec![b' '; 1 << 20];
        out.write_all(b"{").unwrap();
        for _ in 0..256 {
            out.write_all(&filler).unwrap();
        }
        out.write_all(b"}").unwrap();
        out.finish().unwrap()
    };
    assert!(bomb.len() < 1 << 20, "within the bound of a message");
    for path in
        ["/dsp/2025-1/catalog/request", "/dsp/2025-1/negotiations/request", "/api/v1/session"]
    {
        let bearer =
            tidm_node::net::auth::bearer(&member.app.identity, &node.did, &member.app.clock);
        let begun = Instant::now();
        let answer = member
            .app
            .client
            .request(reqwest::Method::POST, &format!("{}{path}", node.app.identity.public_url))
            .await
            .unwrap()
            .header("authorization", bearer)
            .header("content-type", "application/json")
            .header("content-encoding", "gzip")
            .body(bomb.clone())
            .send()
            .await
            .unwrap();
        let status = answer.status().as_u16();
        assert!((400..500).contains(&status), "{path}: {status}");
        assert!(begun.elapsed() < Duration::from_secs(5), "{path}");
    }
}

/// A member whose document this test serves, and may change.
struct Served {
    did: Did,
    turn: Arc<AtomicU8>,
    asked: Arc<AtomicU32>,
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_secret_bytes(KeyKind::Es256, &[seed; 32]).unwrap()
}

/// A host for several documents: one that is right, one that redirects to it, one that hangs, one that is none.
async fn host() -> (u16, Served) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let did = Did::parse(&format!("did:web:127.0.0.1%3A{port}:good")).unwrap();
    let it = Served { did, turn: Arc::new(AtomicU8::new(1)), asked: Arc::default() };
    let (turn, asked) = (it.turn.clone(), it.asked.clone());
    let document = move |Path(name): Path<String>| {
        asked.fetch_add(1, Relaxed);
        let seed = turn.load(Relaxed);
        let me = format!("did:web:127.0.0.1%3A{port}:{name}");
        let document = json!({
            "id": me,
            "verificationMethod": [{"id": format!("{me}#{seed}"), "publicKeyJwk": key(seed).verifying_key().to_jwk()}],
        });
        async move {
            match name.as_str() {
                "redirect" => Redirect::temporary("/good/did.json").into_response(),
                "hang" => std::future::pending().await,
                "rubbish" => "no document".into_response(),
                "big" => "x".repeat(tidm_space::limits::MESSAGE_BYTES + 1).into_response(),
                _ => document.to_string().into_response(),
            }
        }
    };
    let router = Router::new().route("/{name}/did.json", get(document));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (port, it)
}

/// A token of that DID for this node, signed with the key of that seed.
fn token(of: &Did, to: &Node, seed: u8) -> String {
    let now = to.app.clock.now().seconds();
    let claims = json!({
        "iss": of.as_str(), "sub": of.as_str(), "aud": to.did.as_str(), "iat": now, "exp": now + 50,
        "jti": uuid::Uuid::now_v7().to_string(),
    });
    let kid = format!("{of}#{seed}");
    format!("Bearer {}", jws::sign(&kid, "JWT", claims.to_string().as_bytes(), &key(seed)))
}

/// A node on whose list these stand, too.
async fn node_with(members: &[Did], more: &str) -> World {
    World::planned(1, |plan, at| {
        let of: Vec<&Did> = plan.dids.iter().chain(members).collect();
        let list = plan.list("listed.jws", &of, 0);
        // It reads nobody's catalogue meanwhile.
        let node = plan.node(at).replace("\"consumer\", ", "");
        format!(
            "{node}public_url = \"http://{}\"\ninsecure_http = true\n[space]\nmembers = \"{}\"\noperator = \"{}\"\n{more}",
            plan.places[at],
            list.display(),
            plan.dids[0],
        )
    })
    .await
}

const PRIVATE: &str = "[peers]\nallow_private_addresses = true\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_member_may_rotate_its_key_while_it_calls() {
    let (_, served) = host().await;
    let world = node_with(std::slice::from_ref(&served.did), PRIVATE).await;
    let node = world.provider();
    let knock = async |seed| ask(&node.app, node, Some(&token(&served.did, node, seed))).await;
    assert_eq!(knock(1).await, 200);
    assert_eq!(knock(2).await, 404, "a key that its document does not have");
    assert_eq!(served.asked.load(Relaxed), 2, "looked for once more");
    tokio::time::sleep(Duration::from_millis(5100)).await;
    served.turn.store(2, Relaxed);
    assert_eq!(knock(2).await, 200, "at once");
    assert_eq!(knock(1).await, 404, "the old one is gone");
    assert_eq!(knock(3).await, 404);
    assert_eq!(served.asked.load(Relaxed), 3, "made-up keys cost nobody a call");
}

/// A document that is elsewhere, does not come, is none or too long proves nothing, and costs a bounded time.
#[tokio::test(flavor = "multi_thread")]
async fn documents_that_lead_elsewhere_prove_nothing() {
    let (port, served) = host().await;
    let names = ["redirect", "hang", "rubbish", "big"];
    let all = names.map(|it| Did::parse(&format!("did:web:127.0.0.1%3A{port}:{it}")).unwrap());
    let world = node_with(&all, PRIVATE).await;
    let node = world.provider();
    for did in &all {
        let begun = Instant::now();
        let http = crate::mtls::Knocker::new_plain();
        let (status, code) = http.knock(node, Some(&token(did, node, 1))).await;
        assert_eq!((status, code.as_str()), (503, "unavailable"), "{did}");
        assert!(begun.elapsed() < Duration::from_secs(15), "{did}");
    }
    assert_eq!(served.asked.load(Relaxed), 4, "nothing was followed");
}

/// A member of that name may stand on the list: where it leads is ours to refuse.
#[tokio::test(flavor = "multi_thread")]
async fn documents_inside_our_network_are_not_got() {
    let (port, served) = host().await;
    let names = [
        format!("did:web:127.0.0.1%3A{port}:good"),
        format!("did:web:localhost%3A{port}:good"),
        "did:web:10.0.0.1".to_owned(),
        "did:web:169.254.169.254".to_owned(),
    ];
    let all = names.map(|it| Did::parse(&it).unwrap());
    let world = node_with(&all, "").await;
    let node = world.provider();
    let http = crate::mtls::Knocker::new_plain();
    for did in &all {
        let begun = Instant::now();
        let (status, _) = http.knock(node, Some(&token(did, node, 1))).await;
        assert_eq!(status, 503, "{did}");
        assert!(begun.elapsed() < Duration::from_secs(5), "nobody was called: {did}");
    }
    assert_eq!(served.asked.load(Relaxed), 0);
}

/// What a value of `Authorization` weighs is bounded before anything is done with it.
#[tokio::test(flavor = "multi_thread")]
async fn tokens_that_are_too_long_are_refused_unread() {
    let (_, served) = host().await;
    let world = node_with(std::slice::from_ref(&served.did), PRIVATE).await;
    let node = world.provider();
    let good = token(&served.did, node, 1);
    let padded = |bytes: usize| {
        let now = node.app.clock.now().seconds();
        let claims: Value = json!({
            "iss": served.did.as_str(), "sub": served.did.as_str(), "aud": node.did.as_str(), "iat": now,
            "exp": now + 50, "jti": uuid::Uuid::now_v7().to_string(), "padding": "x".repeat(bytes),
        });
        let kid = format!("{}#1", served.did);
        format!("Bearer {}", jws::sign(&kid, "JWT", claims.to_string().as_bytes(), &key(1)))
    };
    assert_eq!(ask(&node.app, node, Some(&padded(100))).await, 200);
    assert_eq!(ask(&node.app, node, Some(&padded(tidm_space::limits::TOKEN_BYTES))).await, 404);
    // Larger than any header: the connection is cut, whether its sender reads why or not.
    let url = format!("{}/catalog/request", node.base());
    let cut = node.app.client.call(reqwest::Method::POST, &url, Some(&padded(1 << 20)), None).await;
    assert!(cut.as_ref().map_or(true, |it| it.status == 431), "{cut:?}");
    assert_eq!(ask(&node.app, node, Some(&good)).await, 200);
    assert_eq!(ask(&node.app, node, Some(&good)).await, 400, "used up");
}
