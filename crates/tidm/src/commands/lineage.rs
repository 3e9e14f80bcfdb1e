//! `tidm lineage`: where a product came from and what became of it, as W3C PROV-JSON.
//!
//! Never more than this node's own facts.

use clap::Args;

use crate::cli::Global;
use crate::client::{Api, Outcome, segment};
use crate::show;

/// Lineage of a product, contract or transfer as PROV-JSON.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  tidm lineage urn:uuid:0190b6a0-0000-7000-8000-000000000000 > lineage.json"
)]
pub(crate) struct Lineage {
    id: String,
}

impl Lineage {
    pub(crate) async fn run(&self, _: &Global, api: &Api) -> Outcome<()> {
        let answer = api.get(&format!("/lineage/{}", segment(&self.id))).await?;
        // A graph has no table.
        show::json(&answer);
        Ok(())
    }
}
