//! Delivery between two whole nodes over loopback HTTP: it arrives, also when the peer was away.

#![expect(clippy::wildcard_enum_match_arm, reason = "any other outcome fails the test")]

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use tidm_space::engine::commit::Reply;
use tidm_space::engine::input::{ContractWish, Input, Wish};
use tidm_space::id::Id;
use tidm_space::identity::did::Did;
use tidm_space::identity::member::{Member, MemberList, Role};
use tidm_space::negotiation::state::Name;
use tidm_space::time::Time;

use super::{Lanes, PER_PEER};
use crate::app::App;
use crate::config::Config;
use crate::keys::memory::Memory;
use crate::serve;
use crate::store::tests::world::{counted, id, product};
use crate::telemetry::Metrics;

/// Longer than every retry that a test waits for.
const PATIENCE: Duration = Duration::from_secs(30);

fn metrics() -> Metrics {
    static ONE: OnceLock<Metrics> = OnceLock::new();
    ONE.get_or_init(|| Metrics::install().unwrap()).clone()
}

struct Running {
    app: Arc<App>,
    keys: Arc<Memory>,
    address: SocketAddr,
    stop: watch::Sender<bool>,
    node: JoinHandle<anyhow::Result<()>>,
}

async fn start(dir: &Path, address: &str, keys: Arc<Memory>) -> Running {
    let listener = TcpListener::bind(address).await.unwrap();
    let address = listener.local_addr().unwrap();
    let port = address.port();
    let text = format!(
        "[node]\norg = \"Test\"\n[http]\ninsecure_http = true\nlisten = \"127.0.0.1:{port}\"\n\
         public_url = \"http://localhost:{port}\"\n[peers]\nallow_private_addresses = true\n[identity]\nmode = \"did\"\n"
    );
    let config = Config::parse(dir, &text, &Default::default(), &[]).unwrap();
    let node = serve::build(config, keys.clone(), metrics()).await.unwrap();
    let app = node.app.clone();
    let (stop, stopped) = watch::channel(false);
    let node = tokio::spawn(node.run(listener, stopped));
    Running { app, keys, address, stop, node }
}

impl Running {
    /// Stops as a node does, and says under what it can be started again.
    async fn stop(self) -> (String, Arc<Memory>) {
        let Self { app, keys, address, stop, node } = self;
        drop(app);
        stop.send_replace(true);
        node.await.unwrap().unwrap();
        (address.to_string(), keys)
    }
}

fn introduce(apps: &[&App]) {
    let members: Vec<Member> = apps
        .iter()
        .map(|app| Member {
            did: app.identity.did.clone(),
            name: "Test".to_owned(),
            roles: vec![Role::Provider, Role::Consumer],
            credit_code: None,
            endpoint: Some(app.identity.dsp_base()),
            cut: false,
        })
        .collect();
    for app in apps {
        app.directory.set_members(MemberList {
            space: id("urn:space:test"),
            operator: app.identity.did.clone(),
            version: 1,
            issued: app.clock.now(),
            expires: Time::from_ms(i64::MAX),
            members: members.clone(),
        });
    }
}

async fn publish(app: &App) {
    let product = product("urn:product:1", 3);
    app.writer.run(Input::Wish(Box::new(Wish::Publish(Box::new(product))))).await.unwrap();
}

async fn request(consumer: &App, peer: Did, address: String) -> Id {
    let mut offer = counted(3);
    offer.target = Some(id("urn:product:1"));
    let wish = ContractWish {
        peer,
        address,
        product: id("urn:product:1"),
        offer,
        rules: tidm_space::approval::Rules::default(),
    };
    let wish = Input::Wish(Box::new(Wish::Request(Box::new(wish))));
    match consumer.writer.run(wish).await.unwrap() {
        Reply::Negotiation { it, .. } => it.id,
        other => panic!("{other:?}"),
    }
}

async fn until(what: &str, mut done: impl AsyncFnMut() -> bool) {
    let waited = tokio::time::timeout(PATIENCE, async {
        while !done().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    assert!(waited.await.is_ok(), "waited in vain: {what}");
}

async fn is_finalized(app: &App, negotiation: &Id) -> bool {
    let it = app.store.negotiation(negotiation).await.unwrap().unwrap();
    assert_ne!(it.state.name(), Name::Terminated, "{:?}", it.state);
    it.state.name() == Name::Finalized
}

/// Contracts on both sides, and every fact of it in both logs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_agree_and_log_it() {
    let dir = tempfile::tempdir().unwrap();
    let keys = || Arc::new(Memory::new().unwrap());
    let consumer = start(&dir.path().join("consumer"), "127.0.0.1:0", keys()).await;
    let provider = start(&dir.path().join("provider"), "127.0.0.1:0", keys()).await;
    introduce(&[&consumer.app, &provider.app]);
    publish(&provider.app).await;
    let (peer, address) = (&provider.app.identity.did, provider.app.identity.dsp_base());
    let it = request(&consumer.app, peer.clone(), address).await;
    until("the contract", async || is_finalized(&consumer.app, &it).await).await;
    // The provider concludes when our acknowledgement of its last word reaches it.
    let theirs = async || provider.app.store.contracts(None, 10).await.unwrap().rows;
    until("the provider's contract", async || !theirs().await.is_empty()).await;
    let ours = consumer.app.store.contracts(None, 10).await.unwrap().rows;
    let theirs = provider.app.store.contracts(None, 10).await.unwrap().rows;
    assert_eq!((ours.len(), theirs.len()), (1, 1));
    assert_eq!((&ours[0].id, ours[0].digest), (&theirs[0].id, theirs[0].digest));
    for app in [&consumer.app, &provider.app] {
        until("the log", async || app.store.unlogged(10).await.unwrap().is_empty()).await;
    }
    consumer.stop().await;
    provider.stop().await;
}

/// The request waits while the provider is away, and is delivered when it is back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_waits_for_a_peer_that_is_away() {
    let dir = tempfile::tempdir().unwrap();
    let keys = || Arc::new(Memory::new().unwrap());
    let consumer = start(&dir.path().join("consumer"), "127.0.0.1:0", keys()).await;
    let provider = start(&dir.path().join("provider"), "127.0.0.1:0", keys()).await;
    publish(&provider.app).await;
    introduce(&[&consumer.app, &provider.app]);
    let (peer, address) = (provider.app.identity.did.clone(), provider.app.identity.dsp_base());
    let (place, keys) = provider.stop().await;
    let it = request(&consumer.app, peer, address).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let waiting = consumer.app.store.negotiation(&it).await.unwrap().unwrap();
    assert_eq!(waiting.state.name(), Name::Initial, "nobody was there to hear it");
    let provider = start(&dir.path().join("provider"), &place, keys).await;
    introduce(&[&consumer.app, &provider.app]);
    until("the contract", async || is_finalized(&consumer.app, &it).await).await;
    // The provider concludes when our acknowledgement of its last word reaches it.
    let concluded = async || provider.app.store.contracts(None, 10).await.unwrap().rows.len() == 1;
    until("the provider's contract", concluded).await;
    consumer.stop().await;
    provider.stop().await;
}

#[tokio::test]
async fn one_peer_that_hangs_holds_up_no_other() {
    let lanes = Lanes::default();
    let [hung, other] = ["did:web:hung.example", "did:web:other.example"].map(|it| lanes.of(it));
    let _all = hung.acquire_many(u32::try_from(PER_PEER).unwrap()).await.unwrap();
    assert!(lanes.of("did:web:hung.example").try_acquire().is_err());
    assert!(other.try_acquire().is_ok());
}

#[test]
fn a_message_is_under_way_once() {
    let lanes = Lanes::default();
    let id = Id::parse("urn:uuid:one").unwrap();
    let first = lanes.begin(&id).unwrap();
    assert!(lanes.begin(&id).is_none());
    drop(first);
    assert!(lanes.begin(&id).is_some());
}
