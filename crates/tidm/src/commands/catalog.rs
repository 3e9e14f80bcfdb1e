//! `tidm catalog`: what other nodes offer.
//!
//! Never decides what to trust: members and their keys come from the space's signed list.

use clap::Subcommand;
use reqwest::Method;
use serde_json::Value;

use crate::cli::Global;
use crate::client::{Api, Outcome, segment};
use crate::show;

#[derive(Debug, Subcommand)]
pub(crate) enum Catalog {
    /// Search what was crawled.
    #[command(after_help = "Example:\n  tidm catalog search 轴承 温度")]
    Search {
        words: Vec<String>,
        #[arg(long)]
        cursor: Option<String>,
    },
    /// Read the catalogues of all members now.
    #[command(after_help = "Example:\n  tidm catalog crawl")]
    Crawl,
    /// One product as its provider offers it now.
    #[command(
        after_help = "Example:\n  tidm catalog show did:web:plant.example urn:uuid:0190b6a0-0000-7000-8000-000000000000"
    )]
    Show { provider: String, id: String },
}

impl Catalog {
    pub(crate) async fn run(&self, global: &Global, api: &Api) -> Outcome<()> {
        let answer = match self {
            Self::Search { words, cursor } => {
                let mut query = vec![("search", words.join(" "))];
                query.extend(cursor.clone().map(|it| ("cursor", it)));
                api.json(api.request(Method::GET, "/catalog").query(&query)).await?
            }
            Self::Crawl => api.post("/catalog/crawl", &Value::Null).await?,
            Self::Show { provider, id } => {
                api.get(&format!("/catalog/{}/{}", segment(provider), segment(id))).await?
            }
        };
        show::value(&answer, global);
        Ok(())
    }
}
