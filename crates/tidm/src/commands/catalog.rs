//! `tidm catalog`: what other nodes offer.
//!
//! Never decides what to trust: members and their keys come from the space's signed list.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::Value;

use crate::cli::Global;
use crate::client::{Api, Outcome, segment};
use crate::show;

#[derive(Debug, Subcommand)]
pub(crate) enum Catalog {
    /// Search what was crawled; shows the hits, and how many each value of a facet would leave.
    #[command(
        after_help = "Example:\n  tidm catalog search 轴承 温度 --format query --max-price \"100 CNY\""
    )]
    Search(Search),
    /// Read the catalogues of all members now.
    #[command(after_help = "Example:\n  tidm catalog crawl")]
    Crawl,
    /// One product as its provider offers it now.
    #[command(
        after_help = "Example:\n  tidm catalog show did:web:plant.example urn:uuid:0190b6a0-0000-7000-8000-000000000000"
    )]
    Show { provider: String, id: String },
}

#[derive(Debug, Args)]
pub(crate) struct Search {
    /// Words that title, description or keywords hold, all of them.
    words: Vec<String>,
    /// A DSP format or a kind of use: query, sealed-table, sealed-file, plain.
    #[arg(long)]
    format: Option<String>,
    /// general, important, core or unknown.
    #[arg(long)]
    grade: Option<String>,
    /// The provider's DID.
    #[arg(long, value_name = "DID")]
    provider: Option<String>,
    /// Most that an offer may cost, for example "100 CNY".
    #[arg(long, value_name = "PRICE")]
    max_price: Option<String>,
    /// Only what some offer gives for nothing.
    #[arg(long)]
    free: bool,
    /// Where the page before ended.
    #[arg(long)]
    cursor: Option<String>,
}

impl Search {
    fn query(&self) -> Vec<(&'static str, String)> {
        let mut all = vec![("search", self.words.join(" "))];
        let said = [
            ("format", &self.format),
            ("grade", &self.grade),
            ("provider", &self.provider),
            ("max_price", &self.max_price),
            ("cursor", &self.cursor),
        ];
        all.extend(said.into_iter().filter_map(|(name, it)| Some((name, it.clone()?))));
        all.extend(self.free.then(|| ("free", "true".to_owned())));
        all
    }
}

impl Catalog {
    pub(crate) async fn run(&self, global: &Global, api: &Api) -> Outcome<()> {
        let answer = match self {
            Self::Search(it) => {
                api.json(api.request(Method::GET, "/catalog").query(&it.query())).await?
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
