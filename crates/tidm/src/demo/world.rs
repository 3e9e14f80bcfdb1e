//! The five nodes: their directories, certificates, configurations and processes.
//!
//! Never leaves a process behind: a node ends with the demo (the kernel's parent-death signal covers a demo
//! that was killed), unless `--keep` asked for the opposite.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::process::{Child, Command};

use tidm_node::config::template::{self, quoted};
use tidm_node::init::{self, Init};
use tidm_node::lang::Lang;
use tidm_node::tls::{self, DemoFiles};

use super::client::Api;
use super::teller::Teller;
use super::trouble::Trouble;
use super::{Options, members};

/// A node that is not ready by then will not be.
const START: Duration = Duration::from_secs(30);
/// What a node that was asked to stop may still finish.
const STOP: Duration = Duration::from_secs(12);
const LOOK: Duration = Duration::from_millis(30);
/// Checkpoints come often here, so that the walk need not wait for proofs.
const CHECKPOINT_MS: u64 = 200;

/// The white paper's five roles, one node each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Provider,
    Consumer,
    Custodian,
    Intermediary,
    Infrastructure,
}

impl Part {
    pub(crate) const ALL: [Self; 5] =
        [Self::Provider, Self::Consumer, Self::Custodian, Self::Intermediary, Self::Infrastructure];

    /// The role in configurations, and the name of its directory and certificate.
    pub(crate) fn role(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::Consumer => "consumer",
            Self::Custodian => "custodian",
            Self::Intermediary => "intermediary",
            Self::Infrastructure => "infrastructure",
        }
    }

    pub(crate) fn org(self, lang: Lang) -> &'static str {
        match self {
            Self::Provider => lang.pick("北岭风电场运营公司", "North Ridge Wind Farm"),
            Self::Consumer => lang.pick("恒远设备维保公司", "Longhaul Maintenance"),
            Self::Custodian => lang.pick("正信存证中心", "Plumbline Evidence"),
            Self::Intermediary => lang.pick("数据空间运营中心", "Data Space Operator"),
            Self::Infrastructure => lang.pick("云仓存储公司", "Granary Storage"),
        }
    }

    fn index(self) -> usize {
        match self {
            Self::Provider => 0,
            Self::Consumer => 1,
            Self::Custodian => 2,
            Self::Intermediary => 3,
            Self::Infrastructure => 4,
        }
    }
}

/// One node.
pub(crate) struct Node {
    pub(crate) part: Part,
    pub(crate) dir: PathBuf,
    pub(crate) did: String,
    pub(crate) log_vkey: String,
    pub(crate) witness_vkey: String,
    pub(crate) api: Api,
    port: u16,
    password: String,
    child: Option<Child>,
}

impl Node {
    pub(crate) fn url(&self) -> &str {
        &self.api.url
    }

    pub(crate) fn token_file(&self) -> PathBuf {
        self.dir.join(super::SETUP_TOKEN)
    }

    fn log_file(&self) -> PathBuf {
        self.dir.with_extension("log")
    }
}

/// Everything the walk acts on.
pub(crate) struct World {
    pub(crate) dir: PathBuf,
    pub(crate) lang: Lang,
    nodes: Vec<Node>,
    keep: bool,
    /// The directory is ours to delete.
    temporary: bool,
}

impl World {
    /// Finds a directory; nothing is written before [`World::make`].
    pub(crate) fn new(options: &Options) -> Result<Self, Trouble> {
        let (dir, temporary) = match &options.dir {
            Some(dir) => {
                (std::path::absolute(dir).map_err(|why| Trouble::here("--dir", why))?, false)
            }
            None => (
                std::env::temp_dir().join(format!("tidm-demo-{}", uuid::Uuid::now_v7().simple())),
                true,
            ),
        };
        let occupied = std::fs::read_dir(&dir).is_ok_and(|mut it| it.next().is_some());
        if occupied {
            return Err(Trouble::here(dir.display().to_string(), "--dir: not empty"));
        }
        Ok(Self { dir, lang: options.lang, nodes: Vec::new(), keep: options.keep, temporary })
    }

    pub(crate) fn node(&self, part: Part) -> Result<&Node, Trouble> {
        self.nodes.get(part.index()).ok_or_else(|| Trouble::unexpected("the nodes were not made"))
    }

    pub(crate) fn api(&self, part: Part) -> Result<&Api, Trouble> {
        self.node(part).map(|it| &it.api)
    }

    pub(crate) fn did(&self, part: Part) -> Result<&str, Trouble> {
        self.node(part).map(|it| it.did.as_str())
    }

    /// Directories, keys, certificates, the signed member list and configurations.
    pub(crate) fn make(&mut self) -> Result<(), Trouble> {
        let failed = |what: &str, why: &dyn std::fmt::Display| Trouble::here(what, why);
        let names = Part::ALL.map(Part::role);
        let files =
            tls::demo_ca(&self.dir.join("tls"), &names).map_err(|why| failed("TLS", &why))?;
        let ports = ports().map_err(|why| failed("ports", &why))?;
        for (part, port) in Part::ALL.into_iter().zip(ports) {
            let node = self.fresh(part, port, &files)?;
            self.nodes.push(node);
        }
        for node in &self.nodes {
            let text = self.configuration(node, &files)?;
            std::fs::write(node.dir.join("tidm.toml"), text)
                .map_err(|why| failed("tidm.toml", &why))?;
            // The address changed from http to https: `init` writes the identity document that is missing again.
            std::fs::remove_file(node.dir.join(init::DID_DOCUMENT))
                .map_err(|why| failed(init::DID_DOCUMENT, &why))?;
            init_at(&node.dir, node.part, node.port, self.lang)?;
        }
        members::sign(self)
    }

    pub(crate) fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    pub(crate) fn member_list(&self) -> PathBuf {
        self.dir.join("members.jws")
    }

    fn fresh(&self, part: Part, port: u16, files: &DemoFiles) -> Result<Node, Trouble> {
        let failed = |why: &dyn std::fmt::Display| Trouble::here(part.role(), why);
        let dir = self.dir.join(part.role());
        init_at(&dir, part, port, self.lang)?;
        let vkey =
            |name: &str| std::fs::read_to_string(dir.join(name)).map(|it| it.trim().to_owned());
        let url = format!("https://localhost:{port}");
        Ok(Node {
            part,
            did: format!("did:web:localhost%3A{port}"),
            log_vkey: vkey(init::LOG_VKEY).map_err(|why| failed(&why))?,
            witness_vkey: vkey(init::WITNESS_VKEY).map_err(|why| failed(&why))?,
            api: Api::new(part.org(self.lang), &url, Some(&files.ca), self.lang)?,
            port,
            password: password(),
            child: None,
            dir,
        })
    }

    fn configuration(&self, node: &Node, files: &DemoFiles) -> Result<String, Trouble> {
        let path = |it: &Path| quoted(&it.display().to_string());
        let (cert, key) = files
            .leaves
            .get(node.part.index())
            .ok_or_else(|| Trouble::unexpected("a certificate is missing"))?;
        let mut set = vec![
            ("node.org", quoted(node.part.org(self.lang))),
            ("node.roles", format!("[{}]", quoted(node.part.role()))),
            ("node.lang", quoted(self.lang.pick("zh", "en"))),
            ("http.listen", quoted(&format!("127.0.0.1:{}", node.port))),
            ("http.public_url", quoted(node.url())),
            ("http.tls_cert", path(cert)),
            ("http.tls_key", path(key)),
            ("http.tls_ca", path(&files.ca)),
            ("space.members", path(&self.member_list())),
            ("space.operator", quoted(self.did(Part::Intermediary)?)),
            ("evidence.checkpoint_ms", CHECKPOINT_MS.to_string()),
            ("peers.allow_private_addresses", "true".to_owned()),
        ];
        let custodian = self.node(Part::Custodian)?;
        let witness = format!(
            "[{{ url = {}, vkey = {} }}]",
            quoted(&format!("{}/witness", custodian.url())),
            quoted(&custodian.witness_vkey)
        );
        match node.part {
            Part::Provider => {
                set.push(("evidence.custodians", witness));
                set.push(("space.infrastructure", quoted(self.did(Part::Infrastructure)?)));
            }
            Part::Consumer => set.push(("evidence.custodians", witness)),
            Part::Custodian => {
                let watched = [Part::Provider, Part::Consumer]
                    .map(|it| self.node(it).map(|it| quoted(&it.log_vkey)));
                let [provider, consumer] = watched;
                set.push(("evidence.watched", format!("[{}, {}]", provider?, consumer?)));
            }
            Part::Intermediary | Part::Infrastructure => {}
        }
        Ok(template::render(&set))
    }

    /// Starts the processes and waits until each says that it is ready. The operator comes first, since the others
    /// verify the member list with its key; the custodian second, since a node without one starts read-only.
    pub(crate) async fn start(&mut self) -> Result<(), Trouble> {
        let waves: [&[Part]; 3] = [
            &[Part::Intermediary],
            &[Part::Custodian],
            &[Part::Provider, Part::Consumer, Part::Infrastructure],
        ];
        for wave in waves {
            for part in wave {
                self.spawn(*part)?;
            }
            for part in wave {
                self.ready(*part).await?;
            }
        }
        Ok(())
    }

    fn spawn(&mut self, part: Part) -> Result<(), Trouble> {
        let keep = self.keep;
        let node = self
            .nodes
            .get_mut(part.index())
            .ok_or_else(|| Trouble::unexpected("the nodes were not made"))?;
        let failed = |why: std::io::Error| Trouble::here(part.role(), why);
        let program = std::env::current_exe().map_err(failed)?;
        let log = std::fs::File::create(node.log_file()).map_err(failed)?;
        let mut command = Command::new(program);
        // The hidden form asks the kernel to end the node with the demo, then becomes `tidm serve`.
        command.arg("--dir").arg(&node.dir);
        if keep {
            command.arg("serve").arg("--setup-token-file").arg(node.token_file());
        } else {
            command.args(["demo", "--become-node"]);
        }
        // What the reader has set for a node of their own is not for these.
        for (name, _) in
            std::env::vars().filter(|(name, _)| name.starts_with("TIDM_") && name != "TIDM_LOG")
        {
            command.env_remove(name);
        }
        command.stdin(Stdio::null()).stdout(log.try_clone().map_err(failed)?).stderr(log);
        // A group of its own: the terminal's ctrl-c is for the demo, which then stops the nodes in order.
        command.process_group(0).kill_on_drop(!keep);
        node.child = Some(command.spawn().map_err(failed)?);
        Ok(())
    }

    async fn ready(&mut self, part: Part) -> Result<(), Trouble> {
        let begun = Instant::now();
        let node = self
            .nodes
            .get_mut(part.index())
            .ok_or_else(|| Trouble::unexpected("the nodes were not made"))?;
        while !node.api.answers("/readyz").await {
            let ended = node.child.as_mut().and_then(|it| it.try_wait().ok().flatten());
            if ended.is_some() {
                return Err(Trouble::Died { node: node.api.name.clone(), log: node.log_file() });
            }
            if begun.elapsed() > START {
                let why = format!(
                    "not ready after {} s; see {}",
                    START.as_secs(),
                    node.log_file().display()
                );
                return Err(Trouble::Silent { node: node.api.name.clone(), why });
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    /// Makes the administrators, all nodes at once.
    pub(crate) async fn set_up(&mut self) -> Result<(), Trouble> {
        let all = self.nodes.iter_mut().map(async |node| {
            let token = std::fs::read_to_string(node.token_file());
            let token =
                token.map_err(|why| Trouble::here(node.token_file().display().to_string(), why))?;
            node.api.set_up(token.trim(), &node.password).await
        });
        futures::future::try_join_all(all).await.map(drop)
    }

    /// Asks all nodes to stop, and makes those that do not.
    pub(crate) async fn stop(&mut self) {
        for node in &self.nodes {
            let id = node.child.as_ref().and_then(Child::id).and_then(|it| i32::try_from(it).ok());
            if let Some(pid) = id.and_then(rustix::process::Pid::from_raw) {
                // It may be gone already.
                let _gone = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            }
        }
        let until = tokio::time::Instant::now() + STOP;
        for node in &mut self.nodes {
            let Some(child) = &mut node.child else { continue };
            if tokio::time::timeout_at(until, child.wait()).await.is_err() {
                drop(child.kill().await);
            }
            node.child = None;
        }
    }

    /// Tells where the nodes are, and how to end them.
    pub(crate) fn keep(&self, tell: &Teller) {
        let lang = self.lang;
        tell.say(&format!("\n{}", lang.pick("节点仍在运行：", "The nodes keep running:")));
        for node in &self.nodes {
            tell.say(&format!(
                "  {:<15} {}  {} admin / {}",
                node.part.role(),
                node.url(),
                lang.pick("账号", "account"),
                node.password
            ));
        }
        let pids: Vec<String> = self
            .nodes
            .iter()
            .filter_map(|it| it.child.as_ref()?.id())
            .map(|it| it.to_string())
            .collect();
        tell.say(&format!(
            "  {}: {}",
            lang.pick("根证书", "CA certificate"),
            self.dir.join("tls/ca.crt").display()
        ));
        tell.say(&format!(
            "  {}: kill {}; rm -r {}",
            lang.pick("停止并删除", "stop and delete"),
            pids.join(" "),
            self.dir.display()
        ));
    }

    /// Deletes a temporary directory.
    pub(crate) fn clean(&self, tell: &Teller) {
        if self.temporary
            && let Err(why) = std::fs::remove_dir_all(&self.dir)
        {
            tell.say(&format!("{}: {why}", self.dir.display()));
        }
    }

    /// Where the report goes: beside the nodes, or where the demo was started if those are deleted.
    pub(crate) fn report_file(&self) -> PathBuf {
        let name = "demo-report.md";
        if self.temporary { PathBuf::from(name) } else { self.dir.join(name) }
    }
}

fn init_at(dir: &Path, part: Part, port: u16, lang: Lang) -> Result<(), Trouble> {
    let it = Init {
        org: part.org(lang),
        credit_code: None,
        dir,
        host: "localhost",
        port,
        passphrase: None,
    };
    init::init(&it).map(drop).map_err(|why| Trouble::here(part.role(), why))
}

/// 128 bits in hex: the nodes may be kept.
fn password() -> String {
    let drawn = tidm_node::random::key();
    drawn.expose().iter().take(16).map(|it| format!("{it:02x}")).collect()
}

/// Free ports of loopback, held until all are known.
fn ports() -> std::io::Result<Vec<u16>> {
    let held: std::io::Result<Vec<_>> =
        Part::ALL.iter().map(|_| std::net::TcpListener::bind("127.0.0.1:0")).collect();
    held?.iter().map(|it| it.local_addr().map(|it| it.port())).collect()
}
