//! `tidm space create`: run a space on this node.
//!
//! Never makes anybody a member: `tidm space invite` does.

use clap::Args;
use serde_json::json;

use crate::cli::Global;
use crate::client::{Api, Outcome};
use crate::show;

/// Run a space on this node; it issues the memberships.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tidm space create 长三角轴承数据空间")]
pub(crate) struct Create {
    name: String,
}

impl Create {
    pub(crate) async fn run(&self, global: &Global, api: &Api) -> Outcome<()> {
        let made = api.post("/spaces", &json!({ "name": self.name })).await?;
        show::value(&made, global);
        Ok(())
    }
}
