//! One file per command; each names its arguments and makes its calls.
//!
//! Never logic: what a command means is decided by the node.

pub(crate) mod attest;
pub(crate) mod audit;
pub(crate) mod catalog;
pub(crate) mod completion;
pub(crate) mod contract;
pub(crate) mod dataplane;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod evidence;
pub(crate) mod init;
pub(crate) mod lineage;
pub(crate) mod operator;
pub(crate) mod people;
pub(crate) mod policy;
pub(crate) mod product;
pub(crate) mod psi;
pub(crate) mod publish;
mod rules;
pub(crate) mod serve;
pub(crate) mod setup;
pub(crate) mod space;
pub(crate) mod terms;
pub(crate) mod transfer;
pub(crate) mod r#use;
pub(crate) mod watermark;

use std::process::ExitCode;

use crate::cli::{Cli, Command};
use crate::client::{Api, Outcome};

pub(crate) async fn run(cli: &Cli) -> Outcome<ExitCode> {
    let global = &cli.global;
    let api = || Api::new(global);
    match &cli.command {
        Command::Init(it) => it.run(global)?,
        Command::Serve(it) => it.run(global).await?,
        // Handled before the runtime was made.
        Command::Worker | Command::Compute { .. } => {}
        Command::Setup(it) => it.run(global, api()?).await?,
        Command::Publish(it) => it.run(global, &api()?).await?,
        Command::Product(it) => it.run(global, &api()?).await?,
        Command::Catalog(it) => it.run(global, &api()?).await?,
        Command::Contract(it) => match it.offline() {
            Some(done) => done?,
            None => it.run(global, &api()?).await?,
        },
        Command::Transfer(it) => it.run(global, &api()?).await?,
        Command::DataPlane(it) => it.run(global, &api()?).await?,
        // Files in, words out: no node.
        Command::Policy(it) => return it.run(global),
        Command::Attest(it) => return it.run(global),
        Command::Psi(psi::Psi::Spu(it)) => it.run(global).await?,
        Command::Psi(it) => it.run(global, &api()?).await?,
        Command::Use(it) => return it.run(global, &api()?).await,
        Command::Evidence(it) => {
            // Verification needs keys and files, no node and no configuration.
            return match it.offline(global) {
                Some(done) => Ok(done?),
                None => it.run(global, &api()?).await,
            };
        }
        Command::Audit(it) => it.run(global, &api()?).await?,
        Command::Watermark(it) => it.run(global, &api()?).await?,
        Command::Operator(it) => it.run(global, &api()?).await?,
        Command::Lineage(it) => it.run(global, &api()?).await?,
        Command::Space(it) => it.run(global).await?,
        Command::People(it) => it.run(global, api()?).await?,
        Command::Doctor(it) => return it.run(global).await,
        Command::Completion(it) => it.run(),
        Command::Demo(it) => return Ok(it.run(global).await?),
    }
    Ok(ExitCode::SUCCESS)
}

// What key operations ask of whoever has a second factor. No docstring, as below.
#[derive(Debug, clap::Args)]
pub(crate) struct Code {
    /// The code that the authenticator app shows now, of whoever has a second factor.
    #[arg(long)]
    code: Option<String>,
}

impl Code {
    pub(crate) fn given(&self) -> Option<&str> {
        self.code.as_deref()
    }
}

// A page of a list. No docstring: clap would give it to every command that flattens it.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Paging {
    /// Where the page before ended.
    #[arg(long)]
    cursor: Option<String>,
    /// Rows, at most 200.
    #[arg(long, default_value_t = 50)]
    limit: u32,
}

impl Paging {
    pub(crate) fn query(&self) -> Vec<(&'static str, String)> {
        let mut all = vec![("limit", self.limit.to_string())];
        all.extend(self.cursor.clone().map(|it| ("cursor", it)));
        all
    }
}
