//! `tidm init`: make a node's directory.
//!
//! Never credentials: the administrator is made by the link that the first start prints.

use clap::Args;
use serde_json::json;

use tidm_crypto::secret::Secret;
use tidm_node::init;

use crate::cli::{Global, Lang};
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
        for name in &done.unguarded {
            show::note(&format!("{name}: {}", said(name, global.lang)));
        }
        let made = json!({
            "did": done.did,
            "publicUrl": done.public_url,
            "logVerifierKey": done.log_vkey,
            "made": paths(&done.made),
            "kept": paths(&done.kept),
            "unguarded": done.unguarded,
        });
        show::value(&made, global);
        Ok(())
    }
}

/// What is off, and how to turn it on.
fn said(setting: &str, lang: Lang) -> &'static str {
    let (zh, en) = match setting {
        "people.separation" => (
            "关:一个管理员可兼任系统、安全、审计三个角色。投入运行前在 tidm.toml 的 [people] 下设 separation = \"on\"(三个账户归三个人)",
            "off: one administrator may be all three. Before work begins, set separation = \"on\" under [people] in tidm.toml (three accounts, three people)",
        ),
        _ => (
            "关:管理操作和密钥操作不要求第二因素。在 tidm.toml 的 [people] 下设 second_factor = \"administrators\" 或 \"everybody\",然后每人执行 tidm people factor",
            "off: nobody is asked for a second factor, for keys neither. Set second_factor = \"administrators\" or \"everybody\" under [people] in tidm.toml; then each runs tidm people factor",
        ),
    };
    match lang {
        Lang::Zh => zh,
        Lang::En => en,
    }
}

/// What seals the keys, from the file that `TIDM_PASSPHRASE_FILE` names.
pub(crate) fn passphrase() -> anyhow::Result<Option<Secret<String>>> {
    let Some(path) = std::env::var_os("TIDM_PASSPHRASE_FILE") else { return Ok(None) };
    let text = std::fs::read_to_string(path)?;
    Ok(Some(Secret::new(text.trim_end_matches(['\r', '\n']).to_owned())))
}
