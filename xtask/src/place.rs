//! Where things lie: the checkout, and the caches outside it that outlive a clone.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::shell::Call;

/// The root of the checkout that Cargo runs this program for. Asked at run time: with one target directory for several
/// checkouts the program may have been built in another one.
pub(crate) fn root() -> Result<PathBuf> {
    let told = env::var_os("CARGO_MANIFEST_DIR");
    let here = told.as_deref().map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")), Path::new);
    let root =
        here.parent().context("the xtask crate lies directly under the root of the checkout")?;
    Ok(root.to_owned())
}

/// Programs installed for tests: `$TIDM_TOOLS_DIR`, else `~/.cache/tidm-tools`.
pub(crate) fn tools() -> Result<PathBuf> {
    cache("TIDM_TOOLS_DIR", "tidm-tools")
}

/// Sample data: `$TIDM_DATA_DIR`, else `~/.cache/tidm-data`.
pub(crate) fn data() -> Result<PathBuf> {
    cache("TIDM_DATA_DIR", "tidm-data")
}

fn cache(variable: &str, folder: &str) -> Result<PathBuf> {
    if let Some(dir) = env::var_os(variable) {
        return Ok(PathBuf::from(dir));
    }
    let home = env::var_os("HOME")
        .with_context(|| format!("neither {variable} nor HOME is set: set one of them"))?;
    Ok(PathBuf::from(home).join(".cache").join(folder))
}

/// The target directory that Cargo uses for this checkout.
pub(crate) fn target() -> Result<PathBuf> {
    let text = Call::new("cargo")
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .dir(&root()?)
        .text()?;
    let metadata: serde_json::Value =
        serde_json::from_str(&text).context("reading `cargo metadata`")?;
    let dir = metadata.get("target_directory").and_then(|value| value.as_str());
    Ok(PathBuf::from(dir.context("`cargo metadata` names no target_directory")?))
}
