//! `tidm space join`: become a member of a space that invited this node.
//!
//! Never trusts more than the invitation names: one issuer, for one space.

use clap::Args;
use serde_json::json;

use crate::cli::Global;
use crate::client::{Api, Outcome};
use crate::show;

/// Join a space with the invitation of its operator.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tidm space join tidm-invitation:eyJzcGFjZSI6…")]
pub(crate) struct Join {
    invitation: String,
}

impl Join {
    pub(crate) async fn run(&self, global: &Global, api: &Api) -> Outcome<()> {
        let done = api.post("/spaces/join", &json!({ "invitation": self.invitation })).await?;
        show::value(&done, global);
        Ok(())
    }
}
