//! `tidm evidence`: receipts, and their verification without any node.
//!
//! Never asks the node that made a receipt whether it is true.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Subcommand;
use reqwest::Method;

use tidm_ledger::note::VerifierKey;
use tidm_node::jobs::evidence::verify;
use tidm_node::log::parse_vkey;
use tidm_space::lang;

use crate::cli::{Global, Lang};
use crate::client::{Api, Outcome, segment};
use crate::show;

#[derive(Debug, Subcommand)]
pub(crate) enum Evidence {
    /// The receipt of a fact: a C2SP tlog-proof.
    #[command(
        after_help = "Example:\n  tidm evidence receipt urn:uuid:0190b6a0-0000-7000-8000-000000000000 > fact.tlog-proof"
    )]
    Receipt { fact: String },
    /// Verify a receipt, or a whole log's directory, offline.
    #[command(
        after_help = "Examples:\n  tidm evidence verify data/log --log \"$(cat log.vkey)\"\n  tidm evidence verify fact.tlog-proof --log \"$(cat log.vkey)\" --witness \"$(cat custodian.vkey)\""
    )]
    Verify {
        file: PathBuf,
        /// Verifier key of the log; may be repeated.
        #[arg(long, required = true)]
        log: Vec<String>,
        /// Verifier keys of custodians; may be repeated.
        #[arg(long)]
        witness: Vec<String>,
        /// How many custodians must have cosigned; all of them when absent.
        #[arg(long)]
        quorum: Option<usize>,
    },
    /// This node's verifier keys.
    #[command(after_help = "Example:\n  tidm evidence key -o json")]
    Key,
    /// Facts, newest first.
    #[command(
        after_help = "Example:\n  tidm evidence facts --contract urn:uuid:0190b6a0-0000-7000-8000-000000000000"
    )]
    Facts {
        #[arg(long)]
        contract: Option<String>,
        #[command(flatten)]
        page: super::Paging,
    },
}

impl Evidence {
    /// What needs no node, done; `None` for the rest.
    pub(crate) fn offline(&self, global: &Global) -> Option<anyhow::Result<ExitCode>> {
        match self {
            Self::Verify { file, log, witness, quorum } => {
                Some(offline(global, file, log, witness, *quorum))
            }
            Self::Receipt { .. } | Self::Key | Self::Facts { .. } => None,
        }
    }

    pub(crate) async fn run(&self, global: &Global, api: &Api) -> Outcome<ExitCode> {
        match self {
            Self::Receipt { fact } => {
                let text = api
                    .text(api.request(Method::GET, &format!("/facts/{}/receipt", segment(fact))))
                    .await?;
                show::line(text.trim_end_matches('\n'));
            }
            Self::Key => show::value(&api.get("/evidence/key").await?, global),
            Self::Facts { contract, page } => {
                let mut query = page.query();
                query.extend(contract.clone().map(|it| ("contract", it)));
                show::value(
                    &api.json(api.request(Method::GET, "/facts").query(&query)).await?,
                    global,
                );
            }
            Self::Verify { .. } => {}
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Verifier keys as a flag gives them.
fn keys(flag: &str, given: &[String]) -> anyhow::Result<Vec<VerifierKey>> {
    let one = |it: &String| {
        parse_vkey(it).with_context(|| {
            format!("{flag} {it:?}: give the key itself, as `tidm evidence key` prints it")
        })
    };
    given.iter().map(one).collect()
}

fn offline(
    global: &Global,
    file: &PathBuf,
    log: &[String],
    witness: &[String],
    quorum: Option<usize>,
) -> anyhow::Result<ExitCode> {
    let logs = keys("--log", log)?;
    let witnesses = keys("--witness", witness)?;
    let policy = verify::policy_of(&witnesses, quorum.unwrap_or(witnesses.len()))?;
    let lang = match global.lang {
        Lang::Zh => lang::Lang::Zh,
        Lang::En => lang::Lang::En,
    };
    let (text, accepted) = if file.is_dir() {
        let key = logs.first().context("--log names the log's key")?;
        let report = verify::verify_dir(file, key, &policy)?;
        (report.text(lang), report.accepted())
    } else {
        let bytes = std::fs::read(file).with_context(|| file.display().to_string())?;
        let report = verify::verify_file(&bytes, &logs, &policy)?;
        (report.text(lang), report.accepted())
    };
    show::line(text.trim_end());
    Ok(if accepted { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
