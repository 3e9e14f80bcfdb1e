//! `tidm serve`: run the node of a directory.
//!
//! Never prints a lasting secret: the link of the first start works once, for 30 minutes.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use tidm_node::config::Config;
use tidm_node::keys::directory::Directory;
use tidm_node::telemetry::{self, Format, Metrics};
use tidm_node::{accounts, init, serve};

use super::init::passphrase;
use crate::cli::Global;
use crate::{client, show};

/// Run the node until SIGTERM or Ctrl-C.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tidm --dir /srv/tidm serve --set http.listen=127.0.0.1:8443")]
pub(crate) struct Serve {
    /// Writes the one-time set-up token of a first start into this file (0600) as well.
    #[arg(long)]
    setup_token_file: Option<PathBuf>,
    /// Logs as JSON, one object a line.
    #[arg(long)]
    log_json: bool,
    /// Lets the configuration's test profile in: seeded datasets and contracts, and triggers for test kits.
    #[arg(long)]
    allow_test_profile: bool,
    /// A setting for this run: `section.key=value`.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<String>,
}

impl Serve {
    pub(crate) async fn run(&self, global: &Global) -> anyhow::Result<()> {
        let format = if self.log_json { Format::Json } else { Format::Human };
        telemetry::logs(format, std::env::var("TIDM_LOG").ok().as_deref())?;
        let flags: anyhow::Result<Vec<(String, String)>> = self
            .settings
            .iter()
            .map(|it| {
                let (key, value) =
                    it.split_once('=').with_context(|| format!("--set {it}: write KEY=VALUE"))?;
                Ok((key.to_owned(), value.to_owned()))
            })
            .collect();
        let mut config = Config::load(&global.dir, client::environment(), &flags?)?;
        if self.allow_test_profile {
            config.test_profile.allow();
        }
        let keys = Directory::open(&global.dir.join(init::KEYS), passphrase()?.as_ref())?;
        let node = serve::build(config, Arc::new(keys), Metrics::install()?).await?;
        let app = node.app.clone();
        app.config.http.admit(!accounts::setup_needed(&app).await?)?;
        if let Some(token) = accounts::setup_token(&app).await? {
            show::line(&format!("Setup: {}/api/setup?token={token}", app.identity.public_url));
            if let Some(path) = &self.setup_token_file {
                client::private(path, &token)?;
            }
        }
        let listener = TcpListener::bind(app.config.http.listen)
            .await
            .with_context(|| format!("cannot listen at {}", app.config.http.listen))?;
        show::line(&format!("Listening: {} ({})", app.identity.public_url, listener.local_addr()?));
        show::line(&format!("DID: {}", app.identity.did));
        if let Some(banner) = app.gate.banner() {
            show::line(banner);
        }
        drop(app);
        let (tell, stop) = watch::channel(false);
        let mut term = signal(SignalKind::terminate())?;
        tokio::spawn(async move {
            tokio::select! {
                _ = term.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
            tell.send_replace(true);
        });
        node.run(listener, stop).await
    }
}
