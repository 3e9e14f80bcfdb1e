//! `tidm space invite`: let an organisation become a member.
//!
//! Never a secret: the printed invitation works for the invited DID alone.

use clap::Args;
use serde_json::json;

use super::{space, text};
use crate::cli::{Global, Output};
use crate::client::{Api, Outcome, segment};
use crate::show;

/// Invite an organisation; prints what its node gives to `tidm space join`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  tidm space invite did:web:plant.example --role provider --role consumer --country CN-32"
)]
pub(crate) struct Invite {
    /// The organisation's DID.
    did: String,
    /// provider, consumer, custodian, intermediary or infrastructure; provider and consumer when absent.
    #[arg(long = "role")]
    roles: Vec<String>,
    /// Where it is: a code of ISO 3166 such as CN or CN-32. Its membership says so, and terms may ask for it.
    #[arg(long)]
    country: Option<String>,
    /// The unified social credit code of its legal entity. Its membership says so, and accounts of one entity share budgets.
    #[arg(long)]
    credit_code: Option<String>,
    /// The space; the only one when absent.
    #[arg(long)]
    space: Option<String>,
}

impl Invite {
    pub(crate) async fn run(&self, global: &Global, api: &Api) -> Outcome<()> {
        let id = space(api, self.space.as_deref()).await?;
        let body = json!({
            "did": self.did, "roles": self.roles, "country": self.country, "creditCode": self.credit_code,
        });
        let made = api.post(&format!("/spaces/{}/invitations", segment(&id)), &body).await?;
        match global.output {
            Output::Json => show::value(&made, global),
            // Alone on its line: it is copied.
            Output::Table => show::line(&text(&made, "invitation")?),
        }
        Ok(())
    }
}
