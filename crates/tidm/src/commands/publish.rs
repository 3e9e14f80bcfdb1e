//! `tidm publish`: files become products with one offer each.
//!
//! Never sends a path to a node elsewhere: then the bytes are uploaded.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::rules::Rules;
use super::terms::Terms;
use crate::cli::Global;
use crate::client::{Api, Outcome, segment};
use crate::show;

/// Publish files as products.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  tidm publish bearings.csv --title 轴承检测 --aggregates-only --min-group 10 --as query\n  tidm publish part.step --to did:web:plant.example --uses 3 --until 2027-01-01T00:00:00Z --purpose 质检 --no-export --delete-after-use --as sealed-file\n  tidm publish readings.csv --template burn --set uses=3 --as sealed-table\n  tidm publish drawings.zip --split-with did:web:operator.example --as sealed-file\n  tidm publish readings.csv --derive --next-policy --until 2027-06-30T00:00:00Z --as query\n  tidm publish means.csv --derived-from urn:uuid:0190b6a0-0000-7000-8000-000000000000 --next-policy --until 2027-06-30T00:00:00Z --as query"
)]
pub(crate) struct Publish {
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// The file's name when absent.
    #[arg(long)]
    title: Option<String>,
    #[arg(long, default_value = "")]
    description: String,
    /// auto, ask (a person here approves each contract) or counter.
    #[arg(long, default_value = "auto")]
    approval: String,
    /// Skip and report so many broken rows.
    #[arg(long, num_args = 0..=1, default_missing_value = "1000", value_name = "ROWS")]
    lenient: Option<u64>,
    /// Sheet of a workbook.
    #[arg(long)]
    sheet: Option<String>,
    /// Show sample rows in the catalogue.
    #[arg(long)]
    preview: bool,
    /// The line of an earlier product: this is its next version.
    #[arg(long)]
    line: Option<String>,
    /// A contract under which what it is made of was used, with this node as the consumer; may be repeated.
    #[arg(long, value_name = "CONTRACT")]
    derived_from: Vec<String>,
    #[command(flatten)]
    terms: Terms,
    #[command(flatten)]
    rules: Rules,
}

impl Publish {
    pub(crate) async fn run(&self, global: &Global, api: &Api) -> Outcome<()> {
        for path in &self.paths {
            let upload = upload(api, "/uploads", path).await?;
            let done = api.post("/products", &self.body(path, &upload)).await?;
            show::value(&done, global);
        }
        Ok(())
    }

    fn body(&self, path: &Path, upload: &str) -> Value {
        let name = || path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let mut body = json!({
            "upload": upload,
            "title": self.title.clone().unwrap_or_else(name),
            "description": self.description,
            "preview": self.preview,
            "derivedFrom": self.derived_from,
            "offers": [{ "terms": self.terms.json(), "approval": self.approval, "deliveries": self.terms.kinds, "rules": self.rules.json() }],
            "reading": { "sheet": self.sheet, "lenient": self.lenient.unwrap_or(0) },
        });
        if let (Some(line), Some(body)) = (&self.line, body.as_object_mut()) {
            body.insert("line".to_owned(), json!(line));
        }
        body
    }
}

/// Sends a file's bytes ahead.
pub(super) async fn upload(api: &Api, to: &str, path: &Path) -> Outcome<String> {
    let file = tokio::fs::File::open(path).await.with_context(|| path.display().to_string())?;
    let bytes = file.metadata().await.context("the file's size")?.len();
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    sent(api, to, &name, |request| {
        request.header("content-length", bytes).body(reqwest::Body::from(file))
    })
    .await
}

/// Sends bytes of that name ahead.
pub(super) async fn sent(
    api: &Api,
    to: &str,
    name: &str,
    with: impl FnOnce(RequestBuilder) -> RequestBuilder,
) -> Outcome<String> {
    let request = api.request(Method::PUT, &format!("{to}?name={}", segment(name)));
    let done = api.json(with(request)).await?;
    let id = done.get("id").and_then(Value::as_str).context("an upload without an id")?;
    Ok(id.to_owned())
}
