//! `tidm psi table`: make a table of a product for matching, look at tables, delete one.
//!
//! Never computes here: the node's own process does.

use clap::Subcommand;
use reqwest::Method;
use serde_json::{Value, json};

use super::super::Paging;
use super::watched;
use crate::cli::Global;
use crate::client::{Api, Outcome, segment};
use crate::show;

#[derive(Debug, Subcommand)]
pub(crate) enum Table {
    /// Make and sign a table of a product version, unless it is there already; shows progress.
    #[command(
        after_help = "Examples:\n  tidm psi table prepare urn:uuid:0190b6a2-0000-7000-8000-000000000000\n  tidm psi table prepare urn:uuid:0190b6a2-0000-7000-8000-000000000000 --key 'part_no:text-any-case;first'"
    )]
    Prepare {
        product: String,
        /// The key with its normal form, as in publish --match-key; absent: the one that the product is offered by.
        #[arg(long, value_name = "KEY")]
        key: Option<String>,
        /// Begin it and come back at once.
        #[arg(long)]
        detach: bool,
    },
    /// Tables that are here, newest first: made of products of ours, or kept of a peer's.
    #[command(after_help = "Example:\n  tidm psi table list")]
    List(Paging),
    /// One table: how far it is, its size, what was signed.
    #[command(after_help = "Example:\n  tidm psi table show 5f0c…")]
    Show {
        id: String,
        /// Seconds to wait for its end.
        #[arg(long, default_value_t = 0)]
        wait: u64,
    },
    /// Delete one; one that is being made is stopped. Copies that consumers keep answer nothing any more.
    #[command(after_help = "Example:\n  tidm psi table drop 5f0c…")]
    Drop { id: String },
}

impl Table {
    pub(super) async fn run(&self, global: &Global, api: &Api) -> Outcome<()> {
        let answer = match self {
            Self::Prepare { product, key, detach } => {
                return prepared(global, api, json!({ "product": product, "key": key }), *detach)
                    .await;
            }
            Self::List(page) => {
                api.json(api.request(Method::GET, "/psi-tables").query(&page.query())).await?
            }
            Self::Show { id, wait } => look(api, id, *wait).await?,
            Self::Drop { id } => {
                api.send(api.request(Method::DELETE, &format!("/psi-tables/{}", segment(id))))
                    .await?;
                return Ok(());
            }
        };
        show::value(&answer, global);
        Ok(())
    }
}

async fn look(api: &Api, id: &str, wait: u64) -> Outcome<Value> {
    api.get(&format!("/psi-tables/{}?wait={wait}", segment(id))).await
}

async fn prepared(global: &Global, api: &Api, body: Value, detach: bool) -> Outcome<()> {
    let begun = api.post("/psi-tables", &body).await?;
    watched(global, api, "/psi-tables", begun, detach).await.map(drop)
}
