//! Nodes in this process that speak over loopback HTTP, with stores on the disk.
//!
//! Never a shortcut between them: what one knows of the other it fetched.

use std::sync::Arc;

use anyhow::{Context as _, Result, bail, ensure};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use tidm_node::app::App;
use tidm_node::config::Config;
use tidm_node::jobs::membership::{self, Particulars};
use tidm_node::keys::memory::Memory;
use tidm_node::serve;
use tidm_node::telemetry::Metrics;
use tidm_sandbox::host::Worker;
use tidm_space::id::Id;
use tidm_space::identity::member::{Member, MemberList, Role};
use tidm_space::time::Time;

use crate::machine::scratch_dir;
use crate::table::WORKER;

/// Members are known by a list, which is handed to the nodes.
pub(crate) const LISTED: &str = "[identity]\nmode = \"did\"\n";

/// The members of one space, the last of them its operator.
pub(crate) struct Nodes {
    pub apps: Vec<Arc<App>>,
    _dir: TempDir,
    stop: watch::Sender<bool>,
    nodes: Vec<JoinHandle<Result<()>>>,
}

/// Two of them.
pub(crate) struct Pair {
    pub consumer: Arc<App>,
    pub provider: Arc<App>,
    nodes: Nodes,
}

impl Pair {
    pub(crate) async fn start() -> Result<Self> {
        Self::of(Nodes::start(&["consumer", "provider"], LISTED).await?)
    }

    /// Statements may take an hour, so that no limit of a node's own stops what something else is to stop.
    pub(crate) async fn patient() -> Result<Self> {
        let more = format!("{LISTED}[limits]\nquery_seconds = 3600\n");
        Self::of(Nodes::start(&["consumer", "provider"], &more).await?)
    }

    /// The provider serves Arrow Flight SQL.
    pub(crate) async fn with_flight() -> Result<Self> {
        Self::of(Nodes::start(&["consumer", "provider"], "[flight]\nenabled = true\n").await?)
    }

    /// Peers know each other by membership credentials, which the provider issues.
    pub(crate) async fn with_credentials() -> Result<Self> {
        let more = "[identity]\nmode = \"dcp\"\n";
        let it = Self::of(Nodes::start(&["consumer", "provider"], more).await?)?;
        let space = membership::create(&it.provider, "bench").await?;
        for app in [&it.provider, &it.consumer] {
            let (invitation, _) = membership::invite(
                &it.provider,
                &space,
                &app.identity.did,
                &[],
                Particulars::default(),
            )
            .await?;
            let joined = membership::join(app, &invitation).await?;
            ensure!(joined.state == "issued", "the credential is {}", joined.state);
        }
        Ok(it)
    }

    fn of(nodes: Nodes) -> Result<Self> {
        let [consumer, provider] = nodes.apps.as_slice() else { bail!("two nodes were to start") };
        Ok(Self { consumer: consumer.clone(), provider: provider.clone(), nodes })
    }

    pub(crate) async fn stop(self) -> Result<()> {
        let Self { consumer, provider, nodes } = self;
        drop((consumer, provider));
        nodes.stop().await
    }
}

impl Nodes {
    /// `more` adds to the configuration of each.
    pub(crate) async fn start(names: &[&str], more: &str) -> Result<Self> {
        let dir = tempfile::tempdir_in(scratch_dir()?)?;
        let metrics = metrics()?;
        let (stop, stopped) = watch::channel(false);
        let mut apps = Vec::new();
        let mut nodes = Vec::new();
        for name in names {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let port = listener.local_addr()?.port();
            let text = format!(
                "[node]\norg = \"{name}\"\n[http]\ninsecure_http = true\nlisten = \"127.0.0.1:{port}\"\n\
                 public_url = \"http://localhost:{port}\"\n[peers]\nallow_private_addresses = true\n{more}"
            );
            let config = Config::parse(&dir.path().join(name), &text, &Default::default(), &[])?;
            let worker = Worker::new(std::env::current_exe()?, vec![WORKER.into()]);
            let keys = Arc::new(Memory::new()?);
            let node = serve::build_with(config, keys, metrics.clone(), worker).await?;
            apps.push(node.app.clone());
            nodes.push(tokio::spawn(node.run(listener, stopped.clone())));
        }
        let members = apps.iter().map(|app| Member {
            did: app.identity.did.clone(),
            name: app.config.node.org.clone(),
            roles: vec![Role::Provider, Role::Consumer],
            credit_code: None,
            endpoint: Some(app.identity.dsp_base()),
            cut: false,
        });
        let members: Vec<Member> = members.collect();
        let operator = members.last().map(|it| it.did.clone()).context("no node was to start")?;
        for app in &apps {
            app.directory.set_members(MemberList {
                space: Id::parse("urn:space:bench")?,
                operator: operator.clone(),
                version: 1,
                issued: app.clock.now(),
                expires: Time::from_ms(i64::MAX),
                members: members.clone(),
            });
        }
        Ok(Self { apps, _dir: dir, stop, nodes })
    }

    pub(crate) async fn stop(self) -> Result<()> {
        let Self { apps, _dir, stop, nodes } = self;
        drop(apps);
        stop.send_replace(true);
        for node in nodes {
            node.await??;
        }
        Ok(())
    }
}

/// The process's recorder; installed by the first pair.
fn metrics() -> Result<Metrics> {
    static ONE: std::sync::OnceLock<Metrics> = std::sync::OnceLock::new();
    if let Some(it) = ONE.get() {
        return Ok(it.clone());
    }
    let it = Metrics::install()?;
    Ok(ONE.get_or_init(|| it).clone())
}
