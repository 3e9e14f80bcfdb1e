//! `tidm contract`: ask, decide, see and end contracts.
//!
//! Never signs here: the node does, after a person said so.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Subcommand;
use reqwest::Method;
use serde_json::{Value, json};

use tidm_node::jobs::archive::check;

use super::rules::Rules;
use super::terms::Terms;
use super::{Code, Paging};
use crate::cli::{Global, Output};
use crate::client::{Api, Outcome, segment};
use crate::show;

#[derive(Debug, Subcommand)]
pub(crate) enum Contract {
    /// Ask a provider for a contract.
    #[command(
        after_help = "Example:\n  tidm contract request did:web:plant.example urn:uuid:0190b6a0-0000-7000-8000-000000000000 --wait 30"
    )]
    Request {
        /// The provider's DID.
        peer: String,
        /// The product's id.
        product: String,
        /// Which offer, where there are several.
        #[arg(long)]
        offer: Option<String>,
        /// The provider's DSP base, where its name is no DID.
        #[arg(long)]
        address: Option<String>,
        /// Seconds to wait until nothing moves any more.
        #[arg(long, default_value_t = 30)]
        wait: u64,
        #[command(flatten)]
        terms: Box<Terms>,
        #[command(flatten)]
        rules: Rules,
    },
    /// Contracts, newest first; with --negotiations what is not concluded, too.
    #[command(after_help = "Example:\n  tidm contract list --negotiations")]
    List {
        #[arg(long)]
        negotiations: bool,
        #[command(flatten)]
        page: Paging,
    },
    /// Negotiations that wait for a person here to approve, newest first.
    #[command(after_help = "Example:\n  tidm contract inbox")]
    Inbox {
        #[command(flatten)]
        page: Paging,
    },
    /// One contract, or one negotiation with what the peer changed in the terms.
    #[command(
        after_help = "Example:\n  tidm contract show urn:uuid:0190b6a0-0000-7000-8000-000000000000"
    )]
    Show { id: String },
    /// Say yes in a negotiation.
    #[command(
        after_help = "Example:\n  tidm contract approve urn:uuid:0190b6a0-0000-7000-8000-000000000000"
    )]
    Approve {
        negotiation: String,
        #[arg(long, default_value_t = 30)]
        wait: u64,
    },
    /// Propose other terms in a negotiation.
    #[command(
        after_help = "Example:\n  tidm contract counter urn:uuid:0190b6a0-0000-7000-8000-000000000000 --uses 5 --as query"
    )]
    Counter {
        negotiation: String,
        #[arg(long, default_value_t = 30)]
        wait: u64,
        #[command(flatten)]
        terms: Box<Terms>,
    },
    /// Say no in a negotiation; the peer is told why.
    #[command(
        after_help = "Example:\n  tidm contract reject urn:uuid:0190b6a0-0000-7000-8000-000000000000 --reason 价格过低"
    )]
    Reject {
        negotiation: String,
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// End a negotiation.
    #[command(
        after_help = "Example:\n  tidm contract terminate urn:uuid:0190b6a0-0000-7000-8000-000000000000 --reason 价格过高"
    )]
    Terminate {
        negotiation: String,
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Try now what a negotiation still owes its peer.
    #[command(
        after_help = "Example:\n  tidm contract retry urn:uuid:0190b6a0-0000-7000-8000-000000000000"
    )]
    Retry { negotiation: String },
    /// Provider: revoke a contract; its key is destroyed.
    #[command(
        after_help = "Example:\n  tidm contract revoke urn:uuid:0190b6a0-0000-7000-8000-000000000000 --reason misuse"
    )]
    Revoke {
        id: String,
        #[arg(long, default_value = "")]
        reason: String,
        #[command(flatten)]
        code: Code,
    },
    /// Provider: suspend a contract; nothing is used under it until it is resumed.
    #[command(
        after_help = "Example:\n  tidm contract suspend urn:uuid:0190b6a0-0000-7000-8000-000000000000 --reason 安全核查"
    )]
    Suspend {
        id: String,
        #[arg(long, default_value = "")]
        reason: String,
        #[command(flatten)]
        code: Code,
    },
    /// Provider: consent to uses under a contract whose terms ask for that first (obtainConsent).
    #[command(
        after_help = "Example:\n  tidm contract consent urn:uuid:0190b6a0-0000-7000-8000-000000000000"
    )]
    Consent {
        id: String,
        #[command(flatten)]
        code: Code,
    },
    /// Provider: resume a suspended contract.
    #[command(
        after_help = "Example:\n  tidm contract resume urn:uuid:0190b6a0-0000-7000-8000-000000000000"
    )]
    Resume {
        id: String,
        #[command(flatten)]
        code: Code,
    },
    /// Provider: the copies delivered under a contract, and what is known of each.
    #[command(
        after_help = "Example:\n  tidm contract copies urn:uuid:0190b6a0-0000-7000-8000-000000000000"
    )]
    Copies { id: String },
    /// Provider: recall every copy; the contract is revoked, its key destroyed, and each copy is to be signed for.
    #[command(
        after_help = "Example:\n  tidm contract recall urn:uuid:0190b6a0-0000-7000-8000-000000000000 --reason 数据有误"
    )]
    Recall {
        id: String,
        #[arg(long, default_value = "")]
        reason: String,
        #[command(flatten)]
        code: Code,
    },
    /// A signed contract as a TC609 document, and what that cannot say.
    #[command(
        name = "tc609",
        after_help = "Example:\n  tidm contract tc609 urn:uuid:0190b6a0-0000-7000-8000-000000000000"
    )]
    Tc609 {
        /// The contract's id, or its 47-character code.
        id: String,
    },
    /// The whole negotiation of a contract in one signed file; or check such a file, without any node.
    #[command(
        after_help = "Examples:\n  tidm contract archive urn:uuid:0190b6a0-0000-7000-8000-000000000000 --out contract.json\n  tidm contract archive --check contract.json"
    )]
    Archive {
        #[arg(required_unless_present = "check")]
        id: Option<String>,
        /// Where the file goes; it must not exist.
        #[arg(long, required_unless_present = "check")]
        out: Option<PathBuf>,
        /// Check this file.
        #[arg(long, conflicts_with_all = ["id", "out"])]
        check: Option<PathBuf>,
    },
    /// End a contract as agreed.
    #[command(
        after_help = "Example:\n  tidm contract end urn:uuid:0190b6a0-0000-7000-8000-000000000000"
    )]
    End {
        id: String,
        #[arg(long, default_value = "")]
        reason: String,
        #[command(flatten)]
        code: Code,
    },
}

impl Contract {
    /// What needs no node, done; `None` for the rest.
    pub(crate) fn offline(&self) -> Option<anyhow::Result<()>> {
        let Self::Archive { check: Some(file), .. } = self else { return None };
        Some(checked(file))
    }

    pub(crate) async fn run(&self, global: &Global, api: &Api) -> Outcome<()> {
        let answer = match self {
            Self::Request { peer, product, offer, address, wait, terms, rules } => {
                let terms = terms.said().then(|| terms.json());
                let body = json!({
                    "peer": peer, "product": product, "offer": offer, "terms": terms,
                    "address": address, "rules": rules.json(),
                });
                api.post(&format!("/negotiations?wait={wait}"), &body).await?
            }
            Self::List { negotiations, page } => {
                let path = if *negotiations { "/negotiations" } else { "/contracts" };
                api.json(api.request(Method::GET, path).query(&page.query())).await?
            }
            Self::Inbox { page } => {
                let mut query = page.query();
                query.push(("inbox", "true".to_owned()));
                api.json(api.request(Method::GET, "/negotiations").query(&query)).await?
            }
            Self::Show { id } => show_either(api, id).await?,
            Self::Approve { negotiation, wait } => {
                api.post(
                    &format!("/negotiations/{}/approve?wait={wait}", segment(negotiation)),
                    &json!({}),
                )
                .await?
            }
            Self::Counter { negotiation, wait, terms } => {
                let path = format!("/negotiations/{}/counter?wait={wait}", segment(negotiation));
                api.post(&path, &json!({ "terms": terms.json() })).await?
            }
            Self::Reject { negotiation, reason } => {
                api.post(
                    &format!("/negotiations/{}/reject", segment(negotiation)),
                    &json!({ "reason": reason }),
                )
                .await?
            }
            Self::Terminate { negotiation, reason } => {
                api.post(
                    &format!("/negotiations/{}/terminate", segment(negotiation)),
                    &json!({ "reason": reason }),
                )
                .await?
            }
            Self::Retry { negotiation } => {
                api.post(&format!("/negotiations/{}/retry", segment(negotiation)), &json!({}))
                    .await?
            }
            Self::Tc609 { id } => return written(global, api, id).await,
            Self::Archive { id: Some(id), out: Some(out), .. } => {
                return archive(api, id, out).await;
            }
            // Done before, or refused by the command line.
            Self::Archive { .. } => return Ok(()),
            Self::Revoke { id, reason, code } => decide(api, id, "revoke", reason, code).await?,
            Self::Suspend { id, reason, code } => decide(api, id, "suspend", reason, code).await?,
            Self::Consent { id, code } => bare(api, id, "consent", code).await?,
            Self::Resume { id, code } => bare(api, id, "resume", code).await?,
            Self::Copies { id } => api.get(&format!("/contracts/{}/copies", segment(id))).await?,
            Self::Recall { id, reason, code } => decide(api, id, "recall", reason, code).await?,
            Self::End { id, reason, code } => decide(api, id, "end", reason, code).await?,
        };
        show::value(&answer, global);
        Ok(())
    }
}

/// What is decided about a contract, and why.
async fn decide(api: &Api, id: &str, what: &str, reason: &str, code: &Code) -> Outcome<Value> {
    let path = format!("/contracts/{}/{what}", segment(id));
    api.coded(&path, &json!({ "reason": reason }), code.given()).await
}

/// What is decided about a contract without a reason.
async fn bare(api: &Api, id: &str, what: &str, code: &Code) -> Outcome<Value> {
    let path = format!("/contracts/{}/{what}", segment(id));
    api.coded(&path, &json!({}), code.given()).await
}

async fn written(global: &Global, api: &Api, id: &str) -> Outcome<()> {
    let answer = api.get(&format!("/contracts/{}/tc609", segment(id))).await?;
    match global.output {
        Output::Json => show::value(&answer, global),
        Output::Table => document(&answer),
    }
    Ok(())
}

async fn archive(api: &Api, id: &str, out: &Path) -> Outcome<()> {
    let path = format!("/contracts/{}/archive", segment(id));
    let text = api.text(api.request(Method::GET, &path)).await?;
    write(out, text.as_bytes())?;
    Ok(())
}

/// The document itself on standard output, what is lost on standard error.
fn document(answer: &Value) {
    show::line(&format!("{:#}", answer["document"]));
    for it in answer["losses"].as_array().into_iter().flatten() {
        let said = |name: &str| it[name].as_str().unwrap_or_default().to_owned();
        let place = Some(said("place")).filter(|it| !it.is_empty());
        let place = place.unwrap_or_else(|| "contract".to_owned());
        show::note(&format!("{}: {place}: {}: {}", said("kind"), said("term"), said("why")));
    }
}

/// A file that was there before is not touched.
fn write(out: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let mut file = std::fs::File::create_new(out).with_context(|| out.display().to_string())?;
    file.write_all(bytes).and_then(|()| file.sync_all()).with_context(|| out.display().to_string())
}

fn checked(file: &Path) -> anyhow::Result<()> {
    let found = std::fs::metadata(file).with_context(|| file.display().to_string())?;
    anyhow::ensure!(found.len() <= check::FILE_BYTES as u64, "{}: too large", file.display());
    let bytes = std::fs::read(file).with_context(|| file.display().to_string())?;
    let it = check::check(&bytes)?;
    let word = if it.unsigned.len() < 2 { "OK" } else { "SIGNED BY NO PARTY" };
    show::line(&format!("{word} {}", it.contract));
    show::line(&format!("by {}", it.by));
    for (did, thumbprint) in &it.keys {
        show::line(&format!("key {did} {thumbprint}"));
    }
    show::line(&format!("log {}", it.log));
    match it.quorum {
        0 => show::line("unwitnessed"),
        quorum => show::line(&format!("witnessed by {quorum} of {}", it.custodians.len())),
    }
    for vkey in &it.custodians {
        show::line(&format!("custodian {vkey}"));
    }
    for did in &it.unsigned {
        show::line(&format!("unsigned by {did}"));
    }
    if let Some(code) = &it.tc609 {
        show::line(&format!("tc609 {code}"));
    }
    for code in &it.nodes {
        show::line(&format!("node {code} (as the archiver says)"));
    }
    if it.missing > 0 {
        show::line(&format!("terms not kept {}", it.missing));
    }
    show::line(&format!("terms {} facts {} messages {}", it.terms, it.facts, it.messages));
    anyhow::ensure!(it.unsigned.len() < 2, "{}: signed by no party", file.display());
    Ok(())
}

/// A contract, or else the negotiation of that id.
async fn show_either(api: &Api, id: &str) -> Outcome<Value> {
    match api.get(&format!("/contracts/{}", segment(id))).await {
        Err(crate::client::Trouble::Problem(problem)) if show::code(&problem) == 4 => {
            api.get(&format!("/negotiations/{}", segment(id))).await
        }
        done => done,
    }
}
