//! A space of some nodes, each with its own directory and listener, and the walk up to a delivered contract.

use std::future::Future;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use tidm_node::app::App;
use tidm_node::config::Config;
use tidm_node::init;
use tidm_node::jobs::order::{To, order};
use tidm_node::jobs::publish::{OfferRequest, PublishRequest, Published, publish};
use tidm_node::keys::Keys;
use tidm_node::keys::memory::Memory;
use tidm_node::serve;
use tidm_node::store::writer::WorkError;
use tidm_node::telemetry::Metrics;
use tidm_sandbox::host::Worker;
use tidm_space::approval::Rules;
use tidm_space::catalog::product::{Approval, Product};
use tidm_space::contract::{Contract, End};
use tidm_space::engine::input::{ContractWish, Input, Wish};
use tidm_space::fault::Fault;
use tidm_space::id::Id;
use tidm_space::identity::did::Did;
use tidm_space::identity::member::{CreditCode, Member, MemberList, Role};
use tidm_space::policy::sentence::Sentences;
use tidm_space::policy::usage::Use;
use tidm_space::transfer::state::{Name, Transfer};
use tidm_space::wire::tidm::members;

/// Everything between two nodes happens within this, also on a busy machine.
const SOON: Duration = Duration::from_secs(60);

static METRICS: OnceLock<Metrics> = OnceLock::new();

pub(crate) struct Node {
    pub(crate) app: Arc<App>,
    pub(crate) did: Did,
    stop: watch::Sender<bool>,
    task: Option<JoinHandle<anyhow::Result<()>>>,
}

impl Node {
    pub(crate) fn base(&self) -> String {
        self.app.identity.dsp_base()
    }

    pub(crate) async fn wish(&self, wish: Wish) {
        self.app.writer.run(Input::Wish(Box::new(wish))).await.unwrap();
    }

    /// Stops listening and working.
    pub(crate) async fn halt(&mut self) {
        self.stop.send_replace(true);
        if let Some(task) = self.task.take() {
            task.await.unwrap().unwrap();
        }
    }
}

pub(crate) struct World {
    pub(crate) dir: TempDir,
    pub(crate) nodes: Vec<Node>,
    keys: Vec<Arc<dyn Keys>>,
}

impl World {
    /// Provider (the operator, too) and consumer.
    pub(crate) async fn two() -> Self {
        Self::of(2, |_, _| String::new()).await
    }

    /// `more` adds to the configuration of each node.
    pub(crate) async fn of(count: usize, more: impl Fn(usize, &[Did]) -> String) -> Self {
        Self::planned(count, |plan, at| {
            let reached =
                format!("public_url = \"http://{}\"\ninsecure_http = true", plan.places[at]);
            plan.text(at, &reached, &more(at, &plan.dids))
        })
        .await
    }

    /// As [`Self::of`]; all but the provider are accounts of one legal entity.
    pub(crate) async fn accounts(count: usize) -> Self {
        Self::planned(count, |plan, at| {
            let path = plan.dir.join("accounts.jws");
            let code = CreditCode::parse("91350100M000100Y43").unwrap();
            let code = |it: &Did| (*it != plan.dids[0]).then(|| code.clone());
            let list = members_with(&plan.dids, (&plan.dids[0], &plan.keys[0]), code);
            // Once for all nodes: another edition would be another list.
            if !path.exists() {
                std::fs::write(&path, list).unwrap();
            }
            let reached =
                format!("public_url = \"http://{}\"\ninsecure_http = true", plan.places[at]);
            let text = plan.text(at, &reached, "");
            text.replace(&plan.list.display().to_string(), &path.display().to_string())
        })
        .await
    }

    /// As [`Self::of`], over TLS with certificates of an authority of this world's own, in `ca.crt`.
    pub(crate) async fn secure(count: usize, more: impl Fn(usize, &[Did]) -> String) -> Self {
        let files = OnceLock::new();
        Self::planned(count, |plan, at| {
            let it = files.get_or_init(|| tidm_node::tls::demo_ca(&plan.dir, &["node"]).unwrap());
            let reached = format!(
                "public_url = \"https://{}\"\ntls_cert = \"{}\"\ntls_key = \"{}\"\ntls_ca = \"{}\"",
                plan.places[at],
                it.leaves[0].0.display(),
                it.leaves[0].1.display(),
                it.ca.display()
            );
            plan.text(at, &reached, &more(at, &plan.dids))
        })
        .await
    }

    /// Nodes with these configurations.
    pub(crate) async fn planned(count: usize, text: impl Fn(&Plan, usize) -> String) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (mut listeners, mut keys) = (Vec::new(), Vec::<Arc<dyn Keys>>::new());
        for _ in 0..count {
            listeners.push(TcpListener::bind("127.0.0.1:0").await.unwrap());
            keys.push(Arc::new(Memory::new().unwrap()));
        }
        let places: Vec<SocketAddr> = listeners.iter().map(|it| it.local_addr().unwrap()).collect();
        let did = |it: &SocketAddr| Did::web("127.0.0.1", Some(it.port())).unwrap();
        let dids: Vec<Did> = places.iter().map(did).collect();
        let list = dir.path().join("members.jws");
        std::fs::write(&list, members_of(&dids, (&dids[0], &keys[0]))).unwrap();
        let plan = Plan { dir: dir.path().to_owned(), dids, places, list, keys };
        let mut nodes = Vec::new();
        for (at, listener) in listeners.into_iter().enumerate() {
            let home = dir.path().join(format!("n{at}"));
            let text = text(&plan, at);
            let config = Config::parse(&home, &text, &Default::default(), &[]).unwrap();
            nodes.push(start(config, plan.keys[at].clone(), listener).await);
        }
        Self { dir, nodes, keys: plan.keys }
    }

    /// The process of a node ends, and another one takes its place.
    pub(crate) async fn restart(&mut self, at: usize) {
        self.restart_with(at, |_| ()).await;
    }

    /// The same, with a setting changed.
    pub(crate) async fn restart_with(&mut self, at: usize, change: impl FnOnce(&mut Config)) {
        let mut node = self.nodes.remove(at);
        let mut config = node.app.config.clone();
        change(&mut config);
        node.halt().await;
        drop(node);
        let listener = TcpListener::bind(config.http.listen).await.unwrap();
        self.nodes.insert(at, start(config, self.keys[at].clone(), listener).await);
    }

    pub(crate) fn provider(&self) -> &Node {
        &self.nodes[0]
    }

    pub(crate) fn consumer(&self) -> &Node {
        &self.nodes[1]
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The provider publishes `bytes` under one offer for these kinds of use.
    pub(crate) async fn published(
        &self,
        name: &str,
        bytes: &[u8],
        sentences: Sentences,
        kinds: &[Use],
    ) -> Product {
        let file = self.path().join(name);
        std::fs::write(&file, bytes).unwrap();
        let mut request = PublishRequest::new(file, name);
        let offer = OfferRequest {
            policy: None,
            sentences,
            approval: Approval::Auto,
            deliveries: kinds.to_vec(),
            rules: Rules::default(),
        };
        request.offers = vec![offer];
        publishing(self.provider(), request).await.unwrap().product
    }

    /// A contract of the consumer over the product's only offer, active on both sides.
    pub(crate) async fn agreed(&self, product: &Product) -> Contract {
        self.agreed_by(product, 1).await
    }

    /// The same with another node as the consumer.
    pub(crate) async fn agreed_by(&self, product: &Product, at: usize) -> Contract {
        let (provider, consumer) = (self.provider(), &self.nodes[at]);
        let wish = ContractWish {
            peer: provider.did.clone(),
            address: provider.base(),
            product: product.id.clone(),
            offer: product.offers[0].policy().clone(),
            rules: Rules::default(),
        };
        consumer.wish(Wish::Request(Box::new(wish))).await;
        let found = |app: Arc<App>, peer: Did| async move {
            let page = app.store.contracts(None, 100).await.unwrap();
            page.rows.into_iter().find(|it| it.product == product.id && it.peer == peer)
        };
        let at_provider = || found(provider.app.clone(), consumer.did.clone());
        eventually("a contract at the provider", at_provider).await;
        eventually("a contract at the consumer", || {
            found(consumer.app.clone(), provider.did.clone())
        })
        .await
    }

    /// Has the contract's data delivered to the consumer.
    pub(crate) async fn delivered(&self, contract: &Contract, kind: Use) -> Transfer {
        self.delivered_to(contract, kind, 1).await
    }

    /// The same with another node as the consumer.
    pub(crate) async fn delivered_to(&self, contract: &Contract, kind: Use, at: usize) -> Transfer {
        let consumer = &self.nodes[at];
        order_by(consumer, contract, kind, To::Pull).await;
        let ended = || async {
            let page = consumer.app.store.transfers(None, 100).await.unwrap();
            let mut of = page.rows.into_iter().filter(|it| it.contract == contract.id);
            of.find(|it| matches!(it.state.name(), Name::Completed | Name::Terminated))
        };
        let it = eventually("an ended transfer", ended).await;
        assert_eq!(it.state.name(), Name::Completed, "{:?}", it.state);
        it
    }

    /// The consumer asks for a delivery; its id there.
    pub(crate) async fn ordered(&self, contract: &Contract, kind: Use, to: To) -> Id {
        order_by(self.consumer(), contract, kind, to).await
    }

    /// Published, agreed and delivered.
    pub(crate) async fn ready(
        &self,
        name: &str,
        bytes: &[u8],
        sentences: Sentences,
        kind: Use,
    ) -> Contract {
        let product = self.published(name, bytes, sentences, &[kind]).await;
        let contract = self.agreed(&product).await;
        self.delivered(&contract, kind).await;
        contract
    }

    pub(crate) async fn revoke(&self, contract: &Contract) {
        let reason = "revoked by a test".to_owned();
        self.provider()
            .wish(Wish::EndContract { contract: contract.id.clone(), why: End::Revoked, reason })
            .await;
    }
}

async fn order_by(consumer: &Node, contract: &Contract, kind: Use, to: To) -> Id {
    let wish = order(&consumer.app, contract.id.clone(), kind, to).await.unwrap();
    let id = wish.id.clone().unwrap();
    consumer.wish(Wish::Fetch(Box::new(wish))).await;
    id
}

/// Where the nodes of a world will be, and who.
pub(crate) struct Plan {
    pub(crate) dir: PathBuf,
    pub(crate) dids: Vec<Did>,
    pub(crate) places: Vec<SocketAddr>,
    /// Everybody, signed by the first.
    pub(crate) list: PathBuf,
    keys: Vec<Arc<dyn Keys>>,
}

impl Plan {
    /// The sections `node` and, without its end, `http`.
    pub(crate) fn node(&self, at: usize) -> String {
        format!(
            "[node]\norg = \"N{at}\"\ndid = \"{}\"\nroles = [\"provider\", \"consumer\", \"infrastructure\"]\n\
             [http]\nlisten = \"{}\"\n",
            self.dids[at], self.places[at],
        )
    }

    /// A whole configuration; `reached` ends the section `http`.
    fn text(&self, at: usize, reached: &str, more: &str) -> String {
        format!(
            "{}{reached}\n[peers]\nallow_private_addresses = true\n[evidence]\ncheckpoint_ms = 200\n\
             [space]\nmembers = \"{}\"\noperator = \"{}\"\n{more}",
            self.node(at),
            self.list.display(),
            self.dids[0],
        )
    }

    /// A list of some of them, and of others, signed by one of them.
    pub(crate) fn list(&self, name: &str, of: &[&Did], by: usize) -> PathBuf {
        let path = self.dir.join(name);
        let of: Vec<Did> = of.iter().map(|it| (*it).clone()).collect();
        std::fs::write(&path, members_of(&of, (&self.dids[by], &self.keys[by]))).unwrap();
        path
    }
}

pub(crate) async fn start(config: Config, keys: Arc<dyn Keys>, listener: TcpListener) -> Node {
    let metrics = METRICS.get_or_init(|| Metrics::install().unwrap()).clone();
    let worker = Worker::new(env!("CARGO_BIN_EXE_tidm-node-worker"), vec![]);
    let did = config.node.did.clone();
    let node = serve::build_with(config, keys, metrics, worker).await.unwrap();
    let (stop, stopped) = watch::channel(false);
    let app = node.app.clone();
    let task = tokio::spawn(node.run(listener, stopped));
    Node { app, did, stop, task: Some(task) }
}

fn members_of(dids: &[Did], by: (&Did, &Arc<dyn Keys>)) -> String {
    members_with(dids, by, |_| None)
}

fn members_with(
    dids: &[Did],
    (operator, keys): (&Did, &Arc<dyn Keys>),
    code: impl Fn(&Did) -> Option<CreditCode>,
) -> String {
    let member = |did: &Did| Member {
        did: did.clone(),
        name: did.to_string(),
        roles: Role::ALL.to_vec(),
        credit_code: code(did),
        endpoint: None,
        cut: false,
    };
    let now = tidm_node::clock::Clock::default().now();
    let list = MemberList {
        space: Id::parse("urn:space:test").unwrap(),
        operator: operator.clone(),
        version: 1,
        issued: now,
        expires: now.after(Duration::from_secs(3600)),
        members: dids.iter().map(member).collect(),
    };
    let key = keys.identity();
    members::seal(&list, &init::key_id(operator, &key.verifying_key()), key).unwrap()
}

pub(crate) async fn publishing(
    node: &Node,
    request: PublishRequest,
) -> Result<Published, WorkError> {
    publish(&node.app, request, |_| ControlFlow::Continue(())).await
}

/// Asks until there is an answer.
pub(crate) async fn eventually<T, F: Future<Output = Option<T>>>(
    what: &str,
    ask: impl Fn() -> F,
) -> T {
    let started = Instant::now();
    loop {
        if let Some(it) = ask().await {
            return it;
        }
        assert!(started.elapsed() < SOON, "never came: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub(crate) fn fault<T: std::fmt::Debug>(done: Result<T, WorkError>) -> Fault {
    match done.unwrap_err() {
        WorkError::Fault(fault) => fault,
        other => panic!("no fault: {other:?}"),
    }
}

/// 200 readings of lines A and B, and one of line C.
pub(crate) fn csv() -> Vec<u8> {
    let mut text = "sensor,line,temp\n".to_owned();
    for i in 0..200 {
        let line = if i % 2 == 0 { "A" } else { "B" };
        text.push_str(&format!("s{i},{line},{}\n", 20.0 + f64::from(i % 10) / 2.0));
    }
    text.push_str("s999,C,99.5\n");
    text.into_bytes()
}

pub(crate) fn limited(uses: u64) -> Sentences {
    Sentences { uses: Some(uses), ..Sentences::default() }
}

/// A result as rows of text.
pub(crate) fn table(ipc: &[u8]) -> Vec<Vec<String>> {
    let options = arrow::util::display::FormatOptions::default();
    let reader = arrow::ipc::reader::StreamReader::try_new(ipc, None).unwrap();
    let mut rows = Vec::new();
    for batch in reader {
        let batch = batch.unwrap();
        for row in 0..batch.num_rows() {
            let cell = |column: &arrow::array::ArrayRef| {
                let shown =
                    arrow::util::display::ArrayFormatter::try_new(column, &options).unwrap();
                shown.value(row).to_string()
            };
            rows.push(batch.columns().iter().map(cell).collect());
        }
    }
    rows
}
