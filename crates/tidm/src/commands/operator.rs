//! `tidm operator`: what this node releases no share of a split key for.
//!
//! Never logic: the node keeps the holds and refuses.

use clap::Subcommand;
use reqwest::Method;
use serde_json::json;

use super::Code;
use crate::cli::Global;
use crate::client::{Api, Outcome, segment, with_code};
use crate::show;

#[derive(Debug, Subcommand)]
pub(crate) enum Operator {
    /// Release no share for a contract or participant any more.
    #[command(
        after_help = "Examples:\n  tidm operator hold urn:uuid:0190b6a0-0000-7000-8000-000000000000 --reason 核查中\n  tidm operator hold did:web:plant.example --reason \"under review\""
    )]
    Hold {
        /// A contract's id or a participant's DID.
        subject: String,
        /// Told to whoever is refused.
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        code: Code,
    },
    /// Take a hold away.
    #[command(after_help = "Example:\n  tidm operator release did:web:plant.example")]
    Release {
        /// As it was held.
        subject: String,
        #[command(flatten)]
        code: Code,
    },
    /// What is held.
    #[command(after_help = "Example:\n  tidm operator holds")]
    Holds,
}

impl Operator {
    pub(crate) async fn run(&self, global: &Global, api: &Api) -> Outcome<()> {
        match self {
            Self::Hold { subject, reason, code } => {
                let body = json!({ "subject": subject, "reason": reason });
                let request = api.request(Method::POST, "/operator/holds").json(&body);
                api.send(with_code(request, code.given())).await?;
            }
            Self::Release { subject, code } => {
                let path = format!("/operator/holds/{}", segment(subject));
                api.send(with_code(api.request(Method::DELETE, &path), code.given())).await?;
            }
            Self::Holds => show::value(&api.get("/operator/holds").await?, global),
        }
        Ok(())
    }
}
