//! `tidm product`: what this node publishes.
//!
//! Never another node's: those are in `tidm catalog`.

use clap::Subcommand;
use reqwest::Method;

use super::Paging;
use crate::cli::Global;
use crate::client::{Api, Outcome, segment};
use crate::show;

#[derive(Debug, Subcommand)]
pub(crate) enum Product {
    /// Products, newest first.
    #[command(after_help = "Example:\n  tidm product list --limit 10")]
    List(Paging),
    /// One product: columns, profile, offers in sentences.
    #[command(
        after_help = "Example:\n  tidm product show urn:uuid:0190b6a0-0000-7000-8000-000000000000 --lang en"
    )]
    Show { id: String },
}

impl Product {
    pub(crate) async fn run(&self, global: &Global, api: &Api) -> Outcome<()> {
        let answer = match self {
            Self::List(page) => {
                api.json(api.request(Method::GET, "/products").query(&page.query())).await?
            }
            Self::Show { id } => api.get(&format!("/products/{}", segment(id))).await?,
        };
        show::value(&answer, global);
        Ok(())
    }
}
