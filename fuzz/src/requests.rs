//! Targets behind a node's HTTP door: whole requests to the router that the server mounts.
//!
//! One node for the life of the program, in a directory of its own, with its administrator signed in; peers say by a plain
//! claim who they are, since no fuzzer signs. Nothing listens and nothing is sent: the outbox fills up and that is all.

use std::cell::RefCell;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use http::{Method, Request, StatusCode, Uri};
use tempfile::TempDir;
use tidm_node::api::auth::From;
use tidm_node::config::Config;
use tidm_node::keys::Keys;
use tidm_node::keys::memory::Memory;
use tidm_node::telemetry::Metrics;
use tidm_node::{accounts, serve};
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;
use tower::ServiceExt as _;

const PASSWORD: &str = "correct horse battery";
const CLAIM: &str = r#"{"region":"any","audience":"x","clientId":"CONNECTOR"}"#;
/// An answer longer than this is not read to its end.
const ANSWER_BYTES: usize = 1 << 22;
/// Who asks to wait for an outcome, or for events, is given up.
const PATIENCE: Duration = Duration::from_millis(200);
/// Each costs the time that a password is meant to cost.
const SLOW: [&str; 2] = ["/api/v1/session", "/api/v1/setup"];

struct Door {
    runtime: Runtime,
    router: Router,
    session: String,
    _node: serve::Node,
    _dir: TempDir,
}

thread_local! {
    static DOOR: RefCell<Option<Door>> = const { RefCell::new(None) };
}

/// A request is answered, whatever it holds: never a panic, never "internal error".
///
/// The input is `METHOD PATH [RANGE]`, a line feed, and the body.
pub(crate) fn requests(data: &[u8]) {
    let (line, body) = match data.iter().position(|byte| *byte == b'\n') {
        Some(at) => (&data[..at], &data[at + 1..]),
        None => (data, &b""[..]),
    };
    let Ok(line) = std::str::from_utf8(line) else { return };
    let mut words = line.split(' ');
    let Some(Ok(method)) = words.next().map(|it| Method::from_bytes(it.as_bytes())) else { return };
    let Some(Ok(uri)) = words.next().map(str::parse::<Uri>) else { return };
    if !uri.path().starts_with('/') || SLOW.iter().any(|slow| uri.path().starts_with(slow)) {
        return;
    }
    DOOR.with_borrow_mut(|door| {
        let door = door.get_or_insert_with(Door::open);
        door.ask(method, uri, words.next(), body);
    });
}

impl Door {
    fn open() -> Self {
        drop(rustls::crypto::ring::default_provider().install_default());
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let (node, session) = runtime.block_on(start(dir.path()));
        Self { router: serve::router(&node.app), runtime, session, _node: node, _dir: dir }
    }

    fn ask(&self, method: Method, uri: Uri, range: Option<&str>, body: &[u8]) {
        let own = uri.path().starts_with("/api/");
        let grpc = uri.path().starts_with("/arrow.");
        let kind = if grpc { "application/grpc" } else { "application/json" };
        let who = if own { format!("Bearer {}", self.session) } else { CLAIM.to_owned() };
        let shown = format!("{method} {uri}");
        let mut request = Request::builder()
            .method(method)
            .uri(uri)
            .header("authorization", who)
            .header("content-type", kind)
            .extension(From(([127, 0, 0, 1], 9).into()));
        if let Some(range) = range {
            request = request.header("range", range);
        }
        let Ok(request) = request.body(Body::from(body.to_vec())) else { return };
        let router = self.router.clone();
        self.runtime.block_on(async move {
            let asked = timeout(PATIENCE, router.oneshot(request)).await;
            let Ok(answer) = asked else { return };
            let answer = answer.unwrap();
            let status = answer.status();
            assert_ne!(status, StatusCode::INTERNAL_SERVER_ERROR, "{shown}");
            drop(timeout(PATIENCE, to_bytes(answer.into_body(), ANSWER_BYTES)).await);
        });
    }
}

async fn start(dir: &Path) -> (serve::Node, String) {
    let text = "[node]\norg = \"F\"\ndid = \"did:web:localhost%3A9\"\n\
                roles = [\"provider\", \"consumer\", \"infrastructure\", \"custodian\", \"intermediary\"]\n\
                [http]\nlisten = \"127.0.0.1:9\"\npublic_url = \"http://localhost:9\"\ninsecure_http = true\n\
                [space]\nsignatures = false\n[identity]\nmode = \"development\"\nclaims = true\n[flight]\nenabled = true\n";
    let mut config = Config::parse(dir, text, &Default::default(), &[]).unwrap();
    config.test_profile.allow();
    let keys: Arc<dyn Keys> = Arc::new(Memory::new().unwrap());
    let node = serve::build(config, keys, Metrics::install().unwrap()).await.unwrap();
    let token = accounts::setup_token(&node.app).await.unwrap().unwrap();
    accounts::setup(&node.app, &token, "admin", PASSWORD).await.unwrap();
    let session = accounts::sign_in(&node.app, ("admin", PASSWORD), None, "-").await.unwrap();
    (node, session.expose().to_owned())
}
