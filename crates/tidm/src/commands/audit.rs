//! `tidm audit`: both sides' facts of a contract, reconciled.
//!
//! Never edits the report: it is the node's, signed.

use clap::Args;
use reqwest::Method;

use crate::cli::{Global, Output};
use crate::client::{Api, Outcome, segment};
use crate::show;

/// Audit a contract; with -o json the signed report.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  tidm audit urn:uuid:0190b6a0-0000-7000-8000-000000000000 > audit.md"
)]
pub(crate) struct Audit {
    contract: String,
}

impl Audit {
    pub(crate) async fn run(&self, global: &Global, api: &Api) -> Outcome<()> {
        let path = format!("/audit/{}", segment(&self.contract));
        match global.output {
            Output::Json => show::value(&api.get(&path).await?, global),
            Output::Table => {
                let text = api
                    .text(api.request(Method::GET, &path).header("accept", "text/markdown"))
                    .await?;
                show::line(text.trim_end());
            }
        }
        Ok(())
    }
}
