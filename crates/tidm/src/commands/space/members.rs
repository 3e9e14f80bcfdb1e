//! `tidm space list`: who was made a member of a space of this node.
//!
//! Never the credentials themselves.

use clap::Args;

use super::space;
use crate::cli::Global;
use crate::client::{Api, Outcome, segment};
use crate::show;

/// Members of a space of this node, with what was revoked.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tidm space list")]
pub(crate) struct List {
    /// The space; the only one when absent.
    #[arg(long)]
    space: Option<String>,
}

impl List {
    pub(crate) async fn run(&self, global: &Global, api: &Api) -> Outcome<()> {
        let id = space(api, self.space.as_deref()).await?;
        let all = api.get(&format!("/spaces/{}/members", segment(&id))).await?;
        show::value(&all, global);
        Ok(())
    }
}
