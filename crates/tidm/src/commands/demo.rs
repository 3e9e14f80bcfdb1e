//! `tidm demo`: the arguments of the walk in [`crate::demo`].
//!
//! Never a step of its own.

use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, bail};

use tidm_node::lang::Lang;

use crate::demo::{self, Options};

/// Walk through a data space of five nodes on this machine.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Turbine measurements as CSV (`cargo xtask data` gets them).
    #[arg(long, required_unless_present = "become_node")]
    scada: Option<PathBuf>,
    /// A STEP file.
    #[arg(long, required_unless_present = "become_node")]
    cad: Option<PathBuf>,
    /// Leave the nodes running and print their addresses.
    #[arg(long)]
    keep: bool,
    /// An empty or new directory for the nodes; a temporary one when absent.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// zh or en; from the environment when absent.
    #[arg(long)]
    lang: Option<String>,
    /// How the demo starts its nodes.
    #[arg(long, hide = true)]
    become_node: bool,
}

/// Walks; the exit code says whether every step succeeded.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    if args.become_node {
        return become_node(&args.dir.context("--dir is missing")?);
    }
    let lang = match &args.lang {
        Some(tag) => Lang::parse(tag).with_context(|| format!("--lang {tag}: zh or en"))?,
        None => of_environment(),
    };
    let scada = args.scada.context("--scada is missing")?;
    let cad = args.cad.context("--cad is missing")?;
    for path in [&scada, &cad] {
        if !path.is_file() {
            bail!("{} is no file; `cargo xtask data` gets the samples", path.display());
        }
    }
    Ok(demo::run(Options { scada, cad, keep: args.keep, dir: args.dir, lang }).await)
}

/// This process turns into a node that ends when the demo does.
fn become_node(dir: &std::path::Path) -> anyhow::Result<ExitCode> {
    use rustix::process::{Signal, set_parent_process_death_signal};
    set_parent_process_death_signal(Some(Signal::TERM))?;
    let program = std::env::current_exe()?;
    let token = dir.join("setup-token");
    let failed = Command::new(program).arg("serve").arg("--dir").arg(dir).arg("--setup-token-file").arg(token).exec();
    Err(failed).context("tidm serve")
}

fn of_environment() -> Lang {
    let tag = ["LC_ALL", "LC_MESSAGES", "LANG"].iter().find_map(|it| std::env::var(it).ok().filter(|it| !it.is_empty()));
    tag.and_then(|it| Lang::parse(&it)).unwrap_or(Lang::En)
}
