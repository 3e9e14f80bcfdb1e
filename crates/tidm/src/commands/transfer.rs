//! `tidm transfer`: have a contract's data delivered.
//!
//! Never moves bytes itself: the nodes do.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Subcommand;
use reqwest::Method;
use serde_json::{Value, json};

use super::Paging;
use crate::cli::Global;
use crate::client::{Api, Outcome, segment};
use crate::show;

#[derive(Debug, Subcommand)]
pub(crate) enum Transfer {
    /// Start a delivery.
    #[command(
        after_help = "Examples:\n  tidm transfer start urn:uuid:0190b6a0-0000-7000-8000-000000000000 --as sealed-table --wait 60\n  tidm transfer start urn:uuid:0190b6a0-0000-7000-8000-000000000000 --as plain --push\n  tidm transfer start urn:uuid:0190b6a0-0000-7000-8000-000000000000 --as plain --bucket landing.json"
    )]
    Start {
        contract: String,
        /// sealed-table, sealed-file or plain.
        #[arg(long = "as")]
        format: String,
        /// The provider sends the data here, instead of this node fetching it.
        #[arg(long, conflicts_with = "bucket")]
        push: bool,
        /// The provider puts the data into the bucket that this file names: JSON with endpoint, bucket, accessKeyId,
        /// secretAccessKey, and if need be region, prefix, sessionToken.
        #[arg(long, value_name = "FILE")]
        bucket: Option<PathBuf>,
        #[arg(long, default_value_t = 60)]
        wait: u64,
    },
    /// One transfer.
    #[command(
        after_help = "Example:\n  tidm transfer show urn:uuid:0190b6a0-0000-7000-8000-000000000000"
    )]
    Show { id: String },
    /// Transfers, newest first.
    #[command(after_help = "Example:\n  tidm transfer list")]
    List(Paging),
    /// Suspend a transfer.
    #[command(
        after_help = "Example:\n  tidm transfer suspend urn:uuid:0190b6a0-0000-7000-8000-000000000000"
    )]
    Suspend {
        id: String,
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Go on with a suspended transfer.
    #[command(
        after_help = "Example:\n  tidm transfer resume urn:uuid:0190b6a0-0000-7000-8000-000000000000"
    )]
    Resume { id: String },
    /// Try now what a transfer still owes its peer.
    #[command(
        after_help = "Example:\n  tidm transfer retry urn:uuid:0190b6a0-0000-7000-8000-000000000000"
    )]
    Retry { id: String },
    /// End a transfer.
    #[command(
        after_help = "Example:\n  tidm transfer terminate urn:uuid:0190b6a0-0000-7000-8000-000000000000"
    )]
    Terminate {
        id: String,
        #[arg(long, default_value = "")]
        reason: String,
    },
}

fn bucket_of(file: &Path) -> anyhow::Result<Value> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("the bucket's file {}", file.display()))?;
    // Without the parser's words: they could quote a secret.
    serde_json::from_str(&text)
        .map_err(|_| anyhow::anyhow!("the bucket's file {} is not JSON", file.display()))
}

impl Transfer {
    pub(crate) async fn run(&self, global: &Global, api: &Api) -> Outcome<()> {
        let answer = match self {
            Self::Start { contract, format, push, bucket, wait } => {
                let mut body = json!({ "contract": contract, "format": format, "push": push });
                if let Some(file) = bucket {
                    body["bucket"] = bucket_of(file)?;
                }
                api.post(&format!("/transfers?wait={wait}"), &body).await?
            }
            Self::Show { id } => api.get(&format!("/transfers/{}", segment(id))).await?,
            Self::List(page) => {
                api.json(api.request(Method::GET, "/transfers").query(&page.query())).await?
            }
            Self::Suspend { id, reason } => {
                api.post(
                    &format!("/transfers/{}/suspend", segment(id)),
                    &json!({ "reason": reason }),
                )
                .await?
            }
            Self::Resume { id } => {
                api.post(&format!("/transfers/{}/resume", segment(id)), &json!({})).await?
            }
            Self::Retry { id } => {
                api.post(&format!("/transfers/{}/retry", segment(id)), &json!({})).await?
            }
            Self::Terminate { id, reason } => {
                api.post(
                    &format!("/transfers/{}/terminate", segment(id)),
                    &json!({ "reason": reason }),
                )
                .await?
            }
        };
        show::value(&answer, global);
        Ok(())
    }
}
