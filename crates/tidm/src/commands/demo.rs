//! `tidm demo`: the arguments of the walk in [`crate::demo`].
//!
//! Never a step of its own.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, bail};
use clap::Args;

use tidm_node::lang::Lang;

use crate::cli::{self, Global};
use crate::demo::{self, Options};

/// Walk through a data space: five nodes on this machine, every step told with what it proved.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  tidm --lang en demo --scada readings.csv --cad part.stp\n\nThe nodes live in a temporary directory unless --dir names an empty one."
)]
pub(crate) struct Demo {
    /// Turbine measurements as CSV (`cargo xtask data` gets them).
    #[arg(long, required_unless_present = "become_node")]
    scada: Option<PathBuf>,
    /// A STEP file.
    #[arg(long, required_unless_present = "become_node")]
    cad: Option<PathBuf>,
    /// Leave the nodes running and print their addresses.
    #[arg(long)]
    keep: bool,
    /// How the demo starts its nodes.
    #[arg(long, hide = true)]
    become_node: bool,
}

impl Demo {
    /// Walks; the exit code says whether every step succeeded.
    pub(crate) async fn run(&self, global: &Global) -> anyhow::Result<ExitCode> {
        if self.become_node {
            return become_node(&global.dir);
        }
        let lang = match global.lang {
            cli::Lang::Zh => Lang::Zh,
            cli::Lang::En => Lang::En,
        };
        let scada = self.scada.clone().context("--scada is missing")?;
        let cad = self.cad.clone().context("--cad is missing")?;
        for path in [&scada, &cad] {
            if !path.is_file() {
                bail!("{} is no file; `cargo xtask data` gets the samples", path.display());
            }
        }
        let dir = (global.dir != Path::new(".")).then(|| global.dir.clone());
        Ok(demo::run(Options { scada, cad, keep: self.keep, dir, lang }).await)
    }
}

/// This process turns into a node that ends when the demo does.
fn become_node(dir: &Path) -> anyhow::Result<ExitCode> {
    use rustix::process::{Signal, set_parent_process_death_signal};
    set_parent_process_death_signal(Some(Signal::TERM))?;
    let program = std::env::current_exe()?;
    let mut serve = Command::new(program);
    serve
        .arg("--dir")
        .arg(dir)
        .arg("serve")
        .arg("--setup-token-file")
        .arg(dir.join(demo::SETUP_TOKEN));
    Err(serve.exec()).context("tidm serve")
}
