//! `tidm space members sign`: the operator's member list.
//!
//! Never signs what cannot be read back: the list is parsed as every member will parse it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Subcommand;
use serde_json::{Value, json};

use tidm_node::clock::Clock;
use tidm_node::identity::Identity;
use tidm_node::init;
use tidm_node::keys::directory::Directory;
use tidm_space::engine::node::Signer as _;
use tidm_space::time::Time;
use tidm_space::wire::tidm::members;

use crate::cli::Global;
use crate::commands::init::passphrase;
use crate::{client, show};

/// A list without an end of its own holds this long.
const LIFE: Duration = Duration::from_secs(30 * 24 * 3600);

#[derive(Debug, Subcommand)]
pub(crate) enum Members {
    /// Sign a member list with this node's identity key.
    #[command(
        after_help = "Example of members.toml:\n  space = \"urn:space:demo\"\n  version = 1\n  [[members]]\n  did = \"did:web:plant.example\"\n  name = \"某某工厂\"\n  roles = [\"provider\", \"consumer\"]\n\nExample:\n  tidm --dir /srv/operator space members sign members.toml > members.jws"
    )]
    Sign { file: PathBuf },
}

impl Members {
    pub(crate) fn run(&self, global: &Global) -> anyhow::Result<()> {
        let Self::Sign { file } = self;
        let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
        let config = client::config(global)?;
        let keys = Directory::open(&global.dir.join(init::KEYS), passphrase()?.as_ref())?;
        let identity =
            Identity::new(config.node.did.clone(), &config.http.public_url, Arc::new(keys));
        let now = Clock::starting_at(Time::ZERO).now();
        let list =
            members::parse(list(&text, config.node.did.as_str(), now)?.to_string().as_bytes())?;
        show::line(&identity.sign(members::TYP, &members::to_bytes(&list)?));
        Ok(())
    }
}

/// The file as JSON, with what need not be written filled in.
fn list(text: &str, operator: &str, now: Time) -> anyhow::Result<Value> {
    let table: toml::Table = text.parse().context("the member list is no TOML")?;
    let mut json = serde_json::to_value(table)?;
    let all = json.as_object_mut().context("the member list is no table")?;
    all.entry("operator").or_insert(json!(operator));
    all.entry("issued").or_insert(json!(now.to_string()));
    all.entry("expires").or_insert(json!(now.after(LIFE).to_string()));
    Ok(json)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_list_is_completed_and_reads_back() {
        let text = "space = \"urn:space:1\"\nversion = 3\n[[members]]\ndid = \"did:web:a.example\"\nname = \"甲\"\nroles = [\"provider\"]\n";
        let now = Time::parse("2026-06-30T00:00:00Z").unwrap();
        let json = list(text, "did:web:op.example", now).unwrap();
        let read = members::parse(json.to_string().as_bytes()).unwrap();
        assert_eq!(
            (read.version, read.members.len(), read.operator.as_str()),
            (3, 1, "did:web:op.example")
        );
        assert_eq!(read.expires.to_string(), "2026-07-30T00:00:00.000Z");
        assert!(list("space = ", "did:web:op", now).is_err());
    }
}
