//! `tidm space revoke`: end an organisation's membership.
//!
//! Never undone: who is to come back is invited again.

use clap::Args;
use serde_json::json;

use super::space;
use crate::cli::Global;
use crate::client::{Api, Outcome, segment};
use crate::commands::Code;
use crate::show;

/// Revoke an organisation's membership: at once here, elsewhere as soon as a status list is older than dcp.status_seconds.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tidm space revoke did:web:plant.example")]
pub(crate) struct Revoke {
    /// The organisation's DID.
    did: String,
    /// The space; the only one when absent.
    #[arg(long)]
    space: Option<String>,
    #[command(flatten)]
    code: Code,
}

impl Revoke {
    pub(crate) async fn run(&self, global: &Global, api: &Api) -> Outcome<()> {
        let id = space(api, self.space.as_deref()).await?;
        let path = format!("/spaces/{}/revocations", segment(&id));
        let done = api.coded(&path, &json!({ "did": self.did }), self.code.given()).await?;
        show::value(&done, global);
        Ok(())
    }
}
