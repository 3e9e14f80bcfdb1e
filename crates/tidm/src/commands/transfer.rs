//! `tidm transfer`: have a contract's data delivered.
//!
//! Never moves bytes itself: the nodes do.

use clap::Subcommand;
use reqwest::Method;
use serde_json::json;

use super::Paging;
use crate::cli::Global;
use crate::client::{Api, Outcome, segment};
use crate::show;

#[derive(Debug, Subcommand)]
pub(crate) enum Transfer {
    /// Start a delivery.
    #[command(
        after_help = "Example:\n  tidm transfer start urn:uuid:0190b6a0-0000-7000-8000-000000000000 --as sealed-table --wait 60"
    )]
    Start {
        contract: String,
        /// sealed-table, sealed-file or plain.
        #[arg(long = "as")]
        format: String,
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

impl Transfer {
    pub(crate) async fn run(&self, global: &Global, api: &Api) -> Outcome<()> {
        let answer = match self {
            Self::Start { contract, format, wait } => {
                api.post(
                    &format!("/transfers?wait={wait}"),
                    &json!({ "contract": contract, "format": format }),
                )
                .await?
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
