//! `tidm init`: make a node's directory.
//!
//! Never credentials: the administrator is made by the link that the first start prints.

use clap::Args;
use serde_json::json;

use tidm_crypto::secret::Secret;
use tidm_node::init;

use crate::cli::Global;
use crate::show;

/// Make a node's directory: keys, configuration, DID document.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  tidm --dir /srv/tidm init --org 某某公司 --host node.example.com --port 443"
)]
pub(crate) struct Init {
    /// The organisation's name.
    #[arg(long)]
    org: String,
    /// 统一社会信用代码.
    #[arg(long)]
    credit_code: Option<String>,
    /// Name or address under which others reach the node.
    #[arg(long, default_value = "localhost")]
    host: String,
    #[arg(long, default_value_t = 8443)]
    port: u16,
}

impl Init {
    pub(crate) fn run(&self, global: &Global) -> anyhow::Result<()> {
        let passphrase = passphrase()?;
        let done = init::init(&init::Init {
            org: &self.org,
            credit_code: self.credit_code.as_deref(),
            dir: &global.dir,
            host: &self.host,
            port: self.port,
            passphrase: passphrase.as_ref(),
        })?;
        let paths = |all: &[std::path::PathBuf]| {
            all.iter().map(|it| it.display().to_string()).collect::<Vec<_>>()
        };
        if done.org_differs {
            show::note("the existing configuration names another organisation; it stays as it is");
        }
        let made = json!({
            "did": done.did,
            "publicUrl": done.public_url,
            "logVerifierKey": done.log_vkey,
            "made": paths(&done.made),
            "kept": paths(&done.kept),
        });
        show::value(&made, global);
        Ok(())
    }
}

/// What seals the keys, from the file that `TIDM_PASSPHRASE_FILE` names.
pub(crate) fn passphrase() -> anyhow::Result<Option<Secret<String>>> {
    let Some(path) = std::env::var_os("TIDM_PASSPHRASE_FILE") else { return Ok(None) };
    let text = std::fs::read_to_string(path)?;
    Ok(Some(Secret::new(text.trim_end_matches(['\r', '\n']).to_owned())))
}
