//! `tidm space`: run a space, invite, join, revoke; and the signed member list.
//!
//! Never decides: the node's issuer and its wallet do.

mod create;
mod invite;
mod join;
mod members;
mod revoke;
mod sign;

use anyhow::Context as _;
use clap::Subcommand;
use serde_json::Value;

use crate::cli::Global;
use crate::client::{Api, Outcome, Trouble};

#[derive(Debug, Subcommand)]
pub(crate) enum Space {
    Create(create::Create),
    Invite(invite::Invite),
    Join(join::Join),
    Revoke(revoke::Revoke),
    List(members::List),
    /// The signed member list.
    #[command(subcommand)]
    Members(sign::Members),
}

impl Space {
    pub(crate) async fn run(&self, global: &Global) -> Outcome<()> {
        let api = || Api::new(global);
        match self {
            Self::Create(it) => it.run(global, &api()?).await,
            Self::Invite(it) => it.run(global, &api()?).await,
            Self::Join(it) => it.run(global, &api()?).await,
            Self::Revoke(it) => it.run(global, &api()?).await,
            Self::List(it) => it.run(global, &api()?).await,
            // Signing needs keys, no node.
            Self::Members(it) => Ok(it.run(global)?),
        }
    }
}

/// The space that was named, or the only one.
async fn space(api: &Api, named: Option<&str>) -> Outcome<String> {
    if let Some(id) = named {
        return Ok(id.to_owned());
    }
    let all = api.get("/spaces").await?;
    let ids: Vec<&str> = all.as_array().into_iter().flatten().filter_map(id_of).collect();
    match ids.as_slice() {
        [only] => Ok((*only).to_owned()),
        [] => {
            Err(Trouble::Here(anyhow::anyhow!("this node runs no space: tidm space create NAME")))
        }
        many => Err(Trouble::Here(anyhow::anyhow!("name one with --space: {}", many.join(", ")))),
    }
}

fn id_of(it: &Value) -> Option<&str> {
    it.get("id").and_then(Value::as_str)
}

/// A text of an answer.
fn text(it: &Value, name: &str) -> Outcome<String> {
    let found = it.get(name).and_then(Value::as_str).map(str::to_owned);
    Ok(found.with_context(|| format!("the node's answer has no {name}"))?)
}
