//! `tidm dataplane`: data planes and control planes of other programs, and the flows between them and this node.
//!
//! Never takes a secret as an argument: a registration is a file.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Subcommand;
use reqwest::Method;
use serde_json::{Value, json};

use super::Paging;
use crate::cli::Global;
use crate::client::{Api, Outcome, segment};
use crate::show;

#[derive(Debug, Subcommand)]
pub(crate) enum DataPlane {
    /// Registered planes.
    #[command(after_help = "Example:\n  tidm dataplane list")]
    List,
    /// Register a plane; the same id again replaces it.
    #[command(after_help = "Example:\n  tidm dataplane add --file s3-plane.json")]
    Add {
        /// Its registration message, JSON; it holds secrets, so keep it at mode 0600.
        #[arg(long)]
        file: PathBuf,
        /// It is a control plane that this node is to be a data plane for.
        #[arg(long)]
        control: bool,
    },
    /// Forget a plane.
    #[command(after_help = "Example:\n  tidm dataplane remove s3-plane")]
    Remove {
        id: String,
        /// It is a control plane.
        #[arg(long)]
        control: bool,
    },
    /// Data flows, the one that moved last first.
    #[command(after_help = "Example:\n  tidm dataplane flows")]
    Flows(Paging),
    /// One data flow, and what it brought here.
    #[command(
        after_help = "Example:\n  tidm dataplane flow urn:uuid:0190b6a0-0000-7000-8000-000000000000"
    )]
    Flow { id: String },
}

fn kind(control: bool) -> &'static str {
    if control { "control" } else { "data" }
}

impl DataPlane {
    pub(crate) async fn run(&self, global: &Global, api: &Api) -> Outcome<()> {
        let answer = match self {
            Self::List => api.get("/planes").await?,
            Self::Add { file, control } => {
                let text = std::fs::read_to_string(file)
                    .with_context(|| format!("the registration {}", file.display()))?;
                let registration: Value = serde_json::from_str(&text)
                    .with_context(|| format!("the registration {}", file.display()))?;
                let body = json!({ "kind": kind(*control), "registration": registration });
                api.json(api.request(Method::PUT, "/planes").json(&body)).await?
            }
            Self::Remove { id, control } => {
                let path = format!("/planes/{}/{}", kind(*control), segment(id));
                api.json(api.request(Method::DELETE, &path)).await?
            }
            Self::Flows(page) => {
                api.json(api.request(Method::GET, "/dataflows").query(&page.query())).await?
            }
            Self::Flow { id } => api.get(&format!("/dataflows/{}", segment(id))).await?,
        };
        show::value(&answer, global);
        Ok(())
    }
}
