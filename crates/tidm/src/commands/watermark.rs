//! `tidm watermark`: whose copy a found file comes from.
//!
//! Never decides: the node holds the file against the marks, and says what that proves.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Subcommand;
use reqwest::Method;

use crate::cli::Global;
use crate::client::{Api, Outcome, segment};
use crate::show;

#[derive(Debug, Subcommand)]
pub(crate) enum Watermark {
    /// Hold a found file (CSV, Parquet, JSON lines, Excel) against the marks of every contract over a product.
    #[command(
        after_help = "Example:\n  tidm watermark trace found.csv --product urn:uuid:0190b6a0-0000-7000-8000-000000000000"
    )]
    Trace {
        file: PathBuf,
        /// Id of the product version.
        #[arg(long)]
        product: String,
    },
}

impl Watermark {
    pub(crate) async fn run(&self, global: &Global, api: &Api) -> Outcome<()> {
        let Self::Trace { file: path, product } = self;
        let file = tokio::fs::File::open(path).await.with_context(|| path.display().to_string())?;
        let bytes = file.metadata().await.context("the file's size")?.len();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let to = format!("/products/{}/trace?name={}", segment(product), segment(&name));
        let request = api
            .request(Method::POST, &to)
            .header("content-length", bytes)
            .body(reqwest::Body::from(file));
        show::value(&api.json(request).await?, global);
        Ok(())
    }
}
