//! Databases of their own for tests, nodes without a network, and example values.

use std::sync::Arc;
use std::time::Duration;

use sqlx::Connection as _;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use tidm_crypto::hash::sha256;
use tidm_crypto::jws;
use tidm_crypto::sign::{KeyKind, SigningKey, VerifyingKey};
use tidm_space::catalog::product::{Approval, Draft, Kind as ProductKind, Offer, Product};
use tidm_space::contract::{Contract, State as ContractState};
use tidm_space::engine::commit::{Commit, Reply};
use tidm_space::engine::input::{Heard, Input, Received};
use tidm_space::engine::node::{Groups, Signer};
use tidm_space::id::Id;
use tidm_space::identity::did::Did;
use tidm_space::identity::member::{CreditCode, Group};
use tidm_space::lease::charge::Refunds;
use tidm_space::lease::message::Request;
use tidm_space::negotiation::message::{Role, Signature};
use tidm_space::policy::model::{
    Action, Atomic, Constraint, Kind, Operand, Operator, Policy, Rule, Value,
};
use tidm_space::policy::usage::Use;
use tidm_space::time::Time;
use tidm_space::wire::dsp::catalog::DataService;

use crate::clock::Clock;
use crate::store::writer::{After, Self_, WorkError, Writer};
use crate::store::{Store, save};

/// PostgreSQL's usual hundred connections are shared by tests that open some twenty each.
static POSTGRES: Semaphore = Semaphore::const_new(2);

/// An empty database.
pub(crate) struct Place {
    pub(crate) url: String,
    dir: Option<tempfile::TempDir>,
}

impl Place {
    pub(crate) fn sqlite() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { url: Store::sqlite_url(dir.path()), dir: Some(dir) }
    }

    pub(crate) fn is_sqlite(&self) -> bool {
        self.dir.is_some()
    }

    pub(crate) async fn store(&self) -> Store {
        Store::open(&self.url).await.unwrap()
    }
}

/// Runs the test on each kind of database that there is.
pub(crate) async fn each(test: impl AsyncFn(Arc<Place>)) {
    test(Arc::new(Place::sqlite())).await;
    let Ok(server) = std::env::var("TIDM_TEST_POSTGRES") else {
        println!("SKIPPED: the half on PostgreSQL: TIDM_TEST_POSTGRES names no server");
        return;
    };
    let _turn = POSTGRES.acquire().await.unwrap();
    let schema = format!("tidm_test_{}", uuid::Uuid::now_v7().simple());
    run_on(&server, format!("CREATE SCHEMA {schema}")).await;
    let mark = if server.contains('?') { '&' } else { '?' };
    let url = format!("{server}{mark}options=-c%20search_path%3D{schema}");
    test(Arc::new(Place { url, dir: None })).await;
    run_on(&server, format!("DROP SCHEMA {schema} CASCADE")).await;
}

/// One statement on a connection of its own.
pub(crate) async fn run_on(url: &str, sql: String) {
    sqlx::any::install_default_drivers();
    let mut conn = sqlx::AnyConnection::connect(url).await.unwrap();
    sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut conn).await.unwrap();
    conn.close().await.unwrap();
}

pub(crate) fn id(text: &str) -> Id {
    Id::parse(text).unwrap()
}

pub(crate) fn did(text: &str) -> Did {
    Did::parse(text).unwrap()
}

pub(crate) fn at(seconds: i64) -> Time {
    Time::from_ms(1_780_000_000_000 + seconds * 1000)
}

/// Use, at most `uses` times.
pub(crate) fn counted(uses: u64) -> Policy {
    let count = Atomic::new(Operand::Count, Operator::Lteq, Value::text(uses.to_string()));
    let mut it = Policy::new(id("urn:offer:1"), Kind::Offer);
    it.permissions = vec![Rule::new(Action::Use, vec![Constraint::Atomic(count)])];
    it
}

pub(crate) fn product(name: &str, uses: u64) -> Product {
    let offer = Offer::new(counted(uses), Approval::Auto, vec![Use::SealedTable]).unwrap();
    let mut draft = Draft::new(id(name), id("urn:line:1"), "Öl", ProductKind::Table, at(0));
    draft.offers = vec![offer];
    draft.content = Some(sha256(b"content"));
    draft.origin = Some(sha256(b"origin"));
    draft.bytes = Some(17);
    Product::new(draft).unwrap()
}

/// An active contract of which we are the provider.
pub(crate) fn contract(name: &str, peer: &Did, uses: u64) -> Contract {
    let mut policy = counted(uses);
    policy.kind = Kind::Agreement;
    policy.id = id(name);
    policy.target = Some(id("urn:product:1"));
    Contract {
        id: id(name),
        role: Role::Provider,
        peer: peer.clone(),
        address: "https://consumer.example/dsp".to_owned(),
        negotiation: id("urn:negotiation:1"),
        product: id("urn:product:1"),
        policy,
        digest: sha256(b"signed"),
        provider_signature: Some(Signature("a.b.c".to_owned())),
        consumer_signature: None,
        signed_at: at(5),
        first_use: None,
        group: None,
        state: ContractState::Active,
        changes: 0,
        deletion: None,
        consented: None,
        missed: None,
        rules: tidm_space::approval::Rules::default(),
    }
}

pub(crate) fn request(contract: &Id, nonce: u64) -> Request {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&nonce.to_be_bytes());
    Request {
        contract: contract.clone(),
        kind: Use::SealedTable,
        nonce: bytes,
        key: [7; 32],
        purpose: None,
        query: None,
        items: None,
        epsilon: None,
        span: Duration::from_secs(60),
    }
}

pub(crate) fn service() -> DataService {
    DataService {
        id: id("urn:service:1"),
        endpoint: "https://node.example/dsp".to_owned(),
        flight: false,
    }
}

pub(crate) struct Key {
    did: Did,
    key: SigningKey,
}

impl Signer for Key {
    fn sign(&self, typ: &str, payload: &[u8]) -> String {
        jws::sign(&format!("{}#key", self.did), typ, payload, &self.key)
    }
}

/// Accounts are of one legal entity; of nobody else any list says of which.
struct Accounts;

impl Groups for Accounts {
    fn of(&self, it: &Did) -> Option<Group> {
        let entity = CreditCode::parse("91350100M000100Y43").unwrap();
        it.as_str().starts_with("did:web:account").then(|| Group::of_entity(&entity))
    }

    fn accounts(&self, _: &Group) -> Vec<Did> {
        Vec::new()
    }
}

/// A node without a network: a store, its writers, and what they announce.
pub(crate) struct Node {
    pub(crate) did: Did,
    pub(crate) address: String,
    pub(crate) key: VerifyingKey,
    pub(crate) store: Store,
    pub(crate) writer: Writer,
    pub(crate) after: mpsc::UnboundedReceiver<After>,
    pub(crate) tasks: JoinSet<()>,
}

impl Node {
    pub(crate) async fn start(place: &Place, name: &str) -> Self {
        let did = did(&format!("did:web:{name}.example"));
        let address = format!("https://{name}.example/dsp");
        let seed = sha256(name.as_bytes());
        let signing = SigningKey::from_secret_bytes(KeyKind::Ed25519, seed.as_bytes()).unwrap();
        let key = signing.verifying_key();
        let store = place.store().await;
        let myself = Self_ {
            me: did.clone(),
            address: address.clone(),
            groups: Arc::new(Accounts),
            signer: Arc::new(Key { did: did.clone(), key: signing }),
            demands_signatures: true,
            attests: false,
            refunds: Refunds::default(),
            service: service(),
        };
        let (tell, after) = mpsc::unbounded_channel();
        let mut tasks = JoinSet::new();
        let writer =
            Writer::start(&store, Arc::new(myself), Clock::default(), tell, &mut tasks).await;
        Self { did, address, key, store, writer: writer.unwrap(), after, tasks }
    }

    /// Saves rows without a decision.
    pub(crate) async fn put(&self, commit: Commit) {
        put(&self.store, &commit).await;
    }

    pub(crate) async fn ask(&self, from: &Did, request: Request) -> Result<Reply, WorkError> {
        self.writer.run(ask(from, request)).await
    }
}

pub(crate) async fn put(store: &Store, commit: &Commit) {
    let mut conn = store.connect().await.unwrap();
    let mut tx = conn.begin().await.unwrap();
    save::save(&mut tx, commit, at(0), &service()).await.unwrap();
    tx.commit().await.unwrap();
}

pub(crate) fn ask(from: &Did, request: Request) -> Input {
    let digest = sha256(&request.nonce);
    let what = Heard::Ask(Box::new(request));
    Input::Heard(Box::new(Received {
        from: from.clone(),
        key: None,
        id: None,
        digest,
        seen: Default::default(),
        what,
    }))
}

/// A number from a query without parameters.
pub(crate) async fn number(store: &Store, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(store.pool()).await.unwrap()
}
