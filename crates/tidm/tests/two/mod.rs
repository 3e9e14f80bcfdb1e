//! Two real nodes on loopback, and a program that uses them while they may be killed at any moment.
//!
//! A node is one process, or several replicas on one PostgreSQL behind a forwarder that knows who listens.

mod forward;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use tidm_node::clock::Clock;
use tidm_node::config::template::{self, quoted};
use tidm_node::init::{self, Init};
use tidm_node::keys::Keys as _;
use tidm_node::keys::directory::Directory;
use tidm_space::id::Id;
use tidm_space::identity::did::Did;
use tidm_space::identity::member::{Member, MemberList, Role};
use tidm_space::wire::tidm::members;

/// A node that was killed is back by then, and whatever hung on it has gone on.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
pub(crate) const LOOK: Duration = Duration::from_millis(40);

/// One node: processes that may be replaced.
pub(crate) struct Node {
    pub(crate) name: &'static str,
    pub(crate) did: String,
    pub(crate) url: String,
    pub(crate) dir: PathBuf,
    token: Mutex<String>,
    processes: Vec<Process>,
    http: reqwest::Client,
}

/// One process of a node, with what its command line sets.
#[derive(Default)]
struct Process {
    settings: Vec<String>,
    child: Mutex<Option<Child>>,
}

/// Why a call did not succeed.
#[derive(Debug)]
pub(crate) enum Miss {
    /// No answer, or one that says to try again.
    Again(String),
    /// The node said no: status, code, document.
    No(u16, String),
}

impl Node {
    /// A fresh directory of a node on loopback, in plain HTTP; `more` adds to its settings.
    pub(crate) fn new(
        root: &Path,
        name: &'static str,
        port: u16,
        more: &[(&'static str, String)],
    ) -> Self {
        let dir = root.join(name);
        init::init(&Init {
            org: name,
            credit_code: None,
            dir: &dir,
            host: "localhost",
            port,
            passphrase: None,
        })
        .unwrap();
        let mut set = vec![
            ("node.org", quoted(name)),
            ("http.listen", quoted(&format!("127.0.0.1:{port}"))),
            ("http.public_url", quoted(&format!("http://localhost:{port}"))),
            ("http.insecure_http", "true".to_owned()),
            ("evidence.checkpoint_ms", "100".to_owned()),
            ("peers.allow_private_addresses", "true".to_owned()),
        ];
        set.extend(more.iter().cloned());
        std::fs::write(dir.join("tidm.toml"), template::render(&set)).unwrap();
        let http = reqwest::Client::builder()
            .use_preconfigured_tls(
                (*tidm_node::tls::client(tidm_node::tls::public_roots(), None).unwrap()).clone(),
            )
            .timeout(Duration::from_secs(30))
            .no_proxy()
            .build()
            .unwrap();
        Self {
            name,
            did: did(port),
            url: format!("http://localhost:{port}"),
            dir,
            token: Mutex::default(),
            processes: vec![Process::default()],
            http,
        }
    }

    /// The first start, with its administrator.
    pub(crate) async fn begin(&self) {
        self.start();
        self.ready().await;
        self.set_up().await;
        for which in 1..self.processes.len() {
            self.start_process(which);
        }
    }

    /// What `tidm` prints when it is called with these words; it must succeed.
    pub(crate) fn tidm(&self, words: &[&str]) -> String {
        let (code, told, trouble) = self.called(words);
        assert!(code == Some(0), "tidm {words:?}: {told}{trouble}\n{}", self.log());
        told
    }

    /// What `tidm` says against these words; it must fail, and print no result.
    pub(crate) fn refused(&self, words: &[&str]) -> String {
        let (code, told, trouble) = self.called(words);
        assert!(
            code != Some(0) && told.is_empty(),
            "tidm {words:?}: {told}{trouble}\n{}",
            self.log()
        );
        trouble
    }

    /// `tidm` with these words, under way.
    pub(crate) fn begun(&self, words: &[&str]) -> Child {
        let mut command = self.command(words);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().unwrap()
    }

    /// Its exit code, its results, and what else it said.
    pub(crate) fn called(&self, words: &[&str]) -> (Option<i32>, String, String) {
        let done = self.command(words).output().unwrap();
        let text = |it: &[u8]| String::from_utf8_lossy(it).into_owned();
        (done.status.code(), text(&done.stdout), text(&done.stderr))
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidm"));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("TIDM_")) {
            command.env_remove(name);
        }
        command.env("TIDM_API_KEY", self.token.lock().unwrap().clone());
        command.arg("--dir").arg(&self.dir).args(words);
        command
    }

    pub(crate) fn start(&self) {
        self.start_process(0);
    }

    pub(crate) fn start_process(&self, which: usize) {
        let process = &self.processes[which];
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.dir.with_extension("log"))
            .unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidm"));
        // The node is configured by its file alone: variables of ours are for the test.
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("TIDM_")) {
            command.env_remove(name);
        }
        command
            .arg("--dir")
            .arg(&self.dir)
            .arg("serve")
            .arg("--setup-token-file")
            .arg(self.dir.join("setup-token"));
        for it in &process.settings {
            command.arg("--set").arg(it);
        }
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let child = command.spawn().unwrap();
        *process.child.lock().unwrap_or_else(PoisonError::into_inner) = Some(child);
    }

    /// SIGKILL: nothing is flushed, nobody is told.
    pub(crate) fn kill(&self) {
        self.kill_process(0);
    }

    pub(crate) fn kill_process(&self, which: usize) {
        let process = &self.processes[which];
        if let Some(mut child) = process.child.lock().unwrap_or_else(PoisonError::into_inner).take()
        {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    pub(crate) async fn ready(&self) {
        let begun = Instant::now();
        loop {
            let asked = self.http.get(format!("{}/readyz", self.url)).send().await;
            if asked.is_ok_and(|it| it.status().is_success()) {
                return;
            }
            let ended = self.processes.iter().find_map(|it| {
                let mut child = it.child.lock().unwrap_or_else(PoisonError::into_inner);
                child.as_mut().and_then(|it| it.try_wait().unwrap())
            });
            assert!(ended.is_none(), "{} ended by itself: {ended:?}\n{}", self.name, self.log());
            assert!(begun.elapsed() < PATIENCE, "{} is not ready\n{}", self.name, self.log());
            tokio::time::sleep(LOOK).await;
        }
    }

    /// The exit code of a process that ends by itself, and the end of what it wrote.
    pub(crate) async fn ended(&self) -> (Option<i32>, String) {
        let begun = Instant::now();
        loop {
            let ended = {
                let mut child =
                    self.processes[0].child.lock().unwrap_or_else(PoisonError::into_inner);
                child.as_mut().and_then(|it| it.try_wait().unwrap())
            };
            if let Some(status) = ended {
                return (status.code(), self.log());
            }
            assert!(begun.elapsed() < PATIENCE, "{} goes on\n{}", self.name, self.log());
            tokio::time::sleep(LOOK).await;
        }
    }

    /// The end of what the process wrote.
    pub(crate) fn log(&self) -> String {
        let text = std::fs::read_to_string(self.dir.with_extension("log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }

    async fn set_up(&self) {
        let token = std::fs::read_to_string(self.dir.join("setup-token")).unwrap();
        let password = "gear-Box-77-teeth";
        self.insist(
            Method::POST,
            "/setup",
            json!({"token": token.trim(), "name": "admin", "password": password}),
        )
        .await;
        let session = self
            .insist(Method::POST, "/session", json!({"name": "admin", "password": password}))
            .await;
        *self.token.lock().unwrap() = session["token"].as_str().unwrap().to_owned();
        let key =
            self.insist(Method::POST, "/keys", json!({"title": "walk", "scopes": ["admin"]})).await;
        *self.token.lock().unwrap() = key["token"].as_str().unwrap().to_owned();
    }

    /// One call.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        body: Value,
    ) -> Result<Value, Miss> {
        let token = self.token.lock().unwrap().clone();
        self.call_with(&token, method, path, body).await
    }

    /// One call with somebody's token.
    pub(crate) async fn call_with(
        &self,
        token: &str,
        method: Method,
        path: &str,
        body: Value,
    ) -> Result<Value, Miss> {
        let mut request = self
            .http
            .request(method.clone(), format!("{}/api/v1{path}", self.url))
            .bearer_auth(token);
        if method != Method::GET {
            request = request.json(&body);
        }
        let answer = request.send().await.map_err(|why| Miss::Again(why.to_string()))?;
        let status = answer.status().as_u16();
        let bytes = answer.bytes().await.map_err(|why| Miss::Again(why.to_string()))?;
        let value: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        match status {
            200..=299 => Ok(value),
            429 | 500..=599 => Err(Miss::Again(format!("HTTP {status} {value}"))),
            _ => Err(Miss::No(status, value["code"].as_str().unwrap_or_default().to_owned())),
        }
    }

    /// Until it succeeds; a refusal fails the test.
    pub(crate) async fn insist(&self, method: Method, path: &str, body: Value) -> Value {
        let begun = Instant::now();
        loop {
            match self.call(method.clone(), path, body.clone()).await {
                Ok(it) => return it,
                Err(Miss::Again(why)) => {
                    assert!(
                        begun.elapsed() < PATIENCE,
                        "{} {method} {path}: {why}\n{}",
                        self.name,
                        self.log()
                    );
                }
                Err(no @ Miss::No(..)) => {
                    panic!("{} {method} {path}: {no:?}\n{}", self.name, self.log())
                }
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        self.insist(Method::GET, path, Value::Null).await
    }

    /// All rows of a list.
    pub(crate) async fn all(&self, path: &str) -> Vec<Value> {
        let (mut rows, mut next) = (Vec::new(), None::<String>);
        loop {
            let join = if path.contains('?') { '&' } else { '?' };
            let cursor = next.as_ref().map(|it| format!("&cursor={it}")).unwrap_or_default();
            let page = self.get(&format!("{path}{join}limit=200{cursor}")).await;
            rows.extend(page["items"].as_array().cloned().unwrap_or_default());
            match page["next"].as_str() {
                Some(it) => next = Some(it.to_owned()),
                None => return rows,
            }
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        for which in 0..self.processes.len() {
            self.kill_process(which);
        }
    }
}

/// Provider, which is the space's operator too, and consumer; plain HTTP.
pub(crate) struct Two {
    pub(crate) provider: Node,
    pub(crate) consumer: Node,
    pub(crate) dir: tempfile::TempDir,
}

impl Two {
    pub(crate) async fn start() -> Self {
        Self::start_with(None).await
    }

    /// With the provider as two replicas on the PostgreSQL database at this address.
    pub(crate) async fn start_with(postgres: Option<&str>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let held = [(); 2].map(|()| lasting_port());
        let ports = held.each_ref().map(|it| it.local_addr().unwrap().port());
        let [front, other] = held;
        drop(other);
        let mut front = Some(front);
        let operator = did(ports[0]);
        let members = dir.path().join("members.jws").display().to_string();
        let [provider, consumer] =
            [("provider", ports[0]), ("consumer", ports[1])].map(|(name, port)| {
                let mut more = vec![
                    ("space.members", quoted(&members)),
                    ("space.operator", quoted(&operator)),
                    ("flight.enabled", "true".to_owned()),
                ];
                let replicated = postgres.filter(|_| name == "provider");
                if let Some(url) = replicated {
                    let objects = dir.path().join("objects").display().to_string();
                    more.extend([("store.url", quoted(url)), ("objects.dir", quoted(&objects))]);
                }
                let mut node = Node::new(dir.path(), name, port, &more);
                if let (Some(_), Some(front)) = (replicated, front.take()) {
                    node.processes = replicas(dir.path(), &forward::start(front, 2));
                }
                node
            });
        let two = Self { provider, consumer, dir };
        two.sign_members();
        // The operator first: the other verifies the member list with its key.
        for node in [&two.provider, &two.consumer] {
            node.begin().await;
        }
        two
    }

    fn sign_members(&self) {
        let now = Clock::default().now();
        let operator = Did::parse(&self.provider.did).unwrap();
        let member = |node: &Node| Member {
            did: Did::parse(&node.did).unwrap(),
            name: node.name.to_owned(),
            roles: vec![Role::Provider, Role::Consumer],
            credit_code: None,
            endpoint: Some(format!("{}{}", node.url, init::DSP_PATH)),
            cut: false,
        };
        let list = MemberList {
            space: Id::parse("urn:tidm:space:walk").unwrap(),
            operator: operator.clone(),
            version: 1,
            issued: now,
            expires: now.after(Duration::from_secs(24 * 3600)),
            members: vec![member(&self.provider), member(&self.consumer)],
        };
        let keys =
            Directory::open(&self.dir.path().join("provider").join(init::KEYS), None).unwrap();
        let kid = init::key_id(&operator, &keys.identity().verifying_key());
        let jws = members::seal(&list, &kid, keys.identity()).unwrap();
        std::fs::write(self.dir.path().join("members.jws"), jws).unwrap();
    }

    pub(crate) fn nodes(&self) -> [&Node; 2] {
        [&self.provider, &self.consumer]
    }
}

/// Processes of one node that listen at these ports, with a directory each.
fn replicas(root: &Path, ports: &[u16]) -> Vec<Process> {
    let one = |(n, port): (usize, &u16)| {
        let data = root.join(format!("replica-{n}")).display().to_string();
        let settings = vec![format!("http.listen=127.0.0.1:{port}"), format!("node.data={data}")];
        Process { settings, ..Process::default() }
    };
    ports.iter().enumerate().map(one).collect()
}

/// A free port that the system gives to no outgoing connection while the node that listens there is down.
pub(crate) fn lasting_port() -> std::net::TcpListener {
    let first = u16::from_be_bytes(*uuid::Uuid::new_v4().as_bytes().last_chunk().unwrap());
    let all = (0..12_000_u16).map(|n| 20_000 + first.wrapping_add(n) % 12_000);
    all.flat_map(|port| std::net::TcpListener::bind(("127.0.0.1", port))).next().unwrap()
}

fn did(port: u16) -> String {
    format!("did:web:localhost%3A{port}")
}
