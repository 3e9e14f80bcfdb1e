//! `tidm contract`: ask, decide, see and end contracts.
//!
//! Never signs here: the node does, after a person said so.

use clap::Subcommand;
use reqwest::Method;
use serde_json::{Value, json};

use super::Paging;
use super::rules::Rules;
use super::terms::Terms;
use crate::cli::Global;
use crate::client::{Api, Outcome, segment};
use crate::show;

#[derive(Debug, Subcommand)]
pub(crate) enum Contract {
    /// Ask a provider for a contract.
    #[command(
        after_help = "Example:\n  tidm contract request did:web:plant.example urn:uuid:0190b6a0-0000-7000-8000-000000000000 --wait 30"
    )]
    Request {
        /// The provider's DID.
        peer: String,
        /// The product's id.
        product: String,
        /// Which offer, where there are several.
        #[arg(long)]
        offer: Option<String>,
        /// The provider's DSP base, where its name is no DID.
        #[arg(long)]
        address: Option<String>,
        /// Seconds to wait until nothing moves any more.
        #[arg(long, default_value_t = 30)]
        wait: u64,
        #[command(flatten)]
        terms: Box<Terms>,
        #[command(flatten)]
        rules: Rules,
    },
    /// Contracts, newest first; with --negotiations what is not concluded, too.
    #[command(after_help = "Example:\n  tidm contract list --negotiations")]
    List {
        #[arg(long)]
        negotiations: bool,
        #[command(flatten)]
        page: Paging,
    },
    /// Negotiations that wait for a person here to approve, newest first.
    #[command(after_help = "Example:\n  tidm contract inbox")]
    Inbox {
        #[command(flatten)]
        page: Paging,
    },
    /// One contract, or one negotiation with what the peer changed in the terms.
    #[command(
        after_help = "Example:\n  tidm contract show urn:uuid:0190b6a0-0000-7000-8000-000000000000"
    )]
    Show { id: String },
    /// Say yes in a negotiation.
    #[command(
        after_help = "Example:\n  tidm contract approve urn:uuid:0190b6a0-0000-7000-8000-000000000000"
    )]
    Approve {
        negotiation: String,
        #[arg(long, default_value_t = 30)]
        wait: u64,
    },
    /// Propose other terms in a negotiation.
    #[command(
        after_help = "Example:\n  tidm contract counter urn:uuid:0190b6a0-0000-7000-8000-000000000000 --uses 5 --as query"
    )]
    Counter {
        negotiation: String,
        #[arg(long, default_value_t = 30)]
        wait: u64,
        #[command(flatten)]
        terms: Box<Terms>,
    },
    /// Say no in a negotiation; the peer is told why.
    #[command(
        after_help = "Example:\n  tidm contract reject urn:uuid:0190b6a0-0000-7000-8000-000000000000 --reason 价格过低"
    )]
    Reject {
        negotiation: String,
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// End a negotiation.
    #[command(
        after_help = "Example:\n  tidm contract terminate urn:uuid:0190b6a0-0000-7000-8000-000000000000 --reason 价格过高"
    )]
    Terminate {
        negotiation: String,
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Try now what a negotiation still owes its peer.
    #[command(
        after_help = "Example:\n  tidm contract retry urn:uuid:0190b6a0-0000-7000-8000-000000000000"
    )]
    Retry { negotiation: String },
    /// Provider: revoke a contract; its key is destroyed.
    #[command(
        after_help = "Example:\n  tidm contract revoke urn:uuid:0190b6a0-0000-7000-8000-000000000000 --reason misuse"
    )]
    Revoke {
        id: String,
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Provider: suspend a contract; nothing is used under it until it is resumed.
    #[command(
        after_help = "Example:\n  tidm contract suspend urn:uuid:0190b6a0-0000-7000-8000-000000000000 --reason 安全核查"
    )]
    Suspend {
        id: String,
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Provider: resume a suspended contract.
    #[command(
        after_help = "Example:\n  tidm contract resume urn:uuid:0190b6a0-0000-7000-8000-000000000000"
    )]
    Resume { id: String },
    /// Provider: the copies delivered under a contract, and what is known of each.
    #[command(
        after_help = "Example:\n  tidm contract copies urn:uuid:0190b6a0-0000-7000-8000-000000000000"
    )]
    Copies { id: String },
    /// Provider: recall every copy; the contract is revoked, its key destroyed, and each copy is to be signed for.
    #[command(
        after_help = "Example:\n  tidm contract recall urn:uuid:0190b6a0-0000-7000-8000-000000000000 --reason 数据有误"
    )]
    Recall {
        id: String,
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// End a contract as agreed.
    #[command(
        after_help = "Example:\n  tidm contract end urn:uuid:0190b6a0-0000-7000-8000-000000000000"
    )]
    End {
        id: String,
        #[arg(long, default_value = "")]
        reason: String,
    },
}

impl Contract {
    pub(crate) async fn run(&self, global: &Global, api: &Api) -> Outcome<()> {
        let answer = match self {
            Self::Request { peer, product, offer, address, wait, terms, rules } => {
                let terms = terms.said().then(|| terms.json());
                let body = json!({
                    "peer": peer, "product": product, "offer": offer, "terms": terms,
                    "address": address, "rules": rules.json(),
                });
                api.post(&format!("/negotiations?wait={wait}"), &body).await?
            }
            Self::List { negotiations, page } => {
                let path = if *negotiations { "/negotiations" } else { "/contracts" };
                api.json(api.request(Method::GET, path).query(&page.query())).await?
            }
            Self::Inbox { page } => {
                let mut query = page.query();
                query.push(("inbox", "true".to_owned()));
                api.json(api.request(Method::GET, "/negotiations").query(&query)).await?
            }
            Self::Show { id } => show_either(api, id).await?,
            Self::Approve { negotiation, wait } => {
                api.post(
                    &format!("/negotiations/{}/approve?wait={wait}", segment(negotiation)),
                    &json!({}),
                )
                .await?
            }
            Self::Counter { negotiation, wait, terms } => {
                let path = format!("/negotiations/{}/counter?wait={wait}", segment(negotiation));
                api.post(&path, &json!({ "terms": terms.json() })).await?
            }
            Self::Reject { negotiation, reason } => {
                api.post(
                    &format!("/negotiations/{}/reject", segment(negotiation)),
                    &json!({ "reason": reason }),
                )
                .await?
            }
            Self::Terminate { negotiation, reason } => {
                api.post(
                    &format!("/negotiations/{}/terminate", segment(negotiation)),
                    &json!({ "reason": reason }),
                )
                .await?
            }
            Self::Retry { negotiation } => {
                api.post(&format!("/negotiations/{}/retry", segment(negotiation)), &json!({}))
                    .await?
            }
            Self::Revoke { id, reason } => decide(api, id, "revoke", reason).await?,
            Self::Suspend { id, reason } => decide(api, id, "suspend", reason).await?,
            Self::Resume { id } => {
                api.post(&format!("/contracts/{}/resume", segment(id)), &json!({})).await?
            }
            Self::Copies { id } => api.get(&format!("/contracts/{}/copies", segment(id))).await?,
            Self::Recall { id, reason } => decide(api, id, "recall", reason).await?,
            Self::End { id, reason } => decide(api, id, "end", reason).await?,
        };
        show::value(&answer, global);
        Ok(())
    }
}

/// What is decided about a contract, and why.
async fn decide(api: &Api, id: &str, what: &str, reason: &str) -> Outcome<Value> {
    api.post(&format!("/contracts/{}/{what}", segment(id)), &json!({ "reason": reason })).await
}

/// A contract, or else the negotiation of that id.
async fn show_either(api: &Api, id: &str) -> Outcome<Value> {
    match api.get(&format!("/contracts/{}", segment(id))).await {
        Err(crate::client::Trouble::Problem(problem)) if show::code(&problem) == 4 => {
            api.get(&format!("/negotiations/{}", segment(id))).await
        }
        done => done,
    }
}
