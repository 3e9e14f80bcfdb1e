//! The manifests under `data/`: where a data set comes from and how to know it.

use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

/// One data set.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    pub(crate) name: String,
    pub(crate) registry: Registry,
    pub(crate) package: String,
    pub(crate) version: String,
    /// Hex digest of the package as downloaded: it is checked before the package is opened.
    pub(crate) package_sha256: String,
    /// A path in the package; each further one in the archive named before it.
    pub(crate) inner: Vec<String>,
    /// Name of the file in the cache.
    pub(crate) file: String,
    pub(crate) bytes: u64,
    pub(crate) sha256: String,
    pub(crate) kind: Kind,
    pub(crate) licence: String,
    pub(crate) title: Title,
}

/// Which package client gets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Registry {
    Pypi,
    Npm,
}

/// What the data is good for in a walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// A table of readings of machines.
    Scada,
    /// A design file.
    Cad,
}

/// What people call it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Title {
    pub(crate) zh: String,
    pub(crate) en: String,
}

impl Manifest {
    /// All manifests of a folder, by name.
    pub(crate) fn read_all(folder: &Path) -> Result<Vec<Self>> {
        let entries =
            std::fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
        let mut manifests = Vec::new();
        for entry in entries {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "toml") {
                let text = std::fs::read_to_string(&path)?;
                manifests.push(
                    Self::parse(&text).with_context(|| format!("reading {}", path.display()))?,
                );
            }
        }
        manifests.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(manifests)
    }

    fn parse(text: &str) -> Result<Self> {
        let manifest: Self = toml::from_str(text)?;
        for digest in [&manifest.package_sha256, &manifest.sha256] {
            if digest.len() != 64
                || !digest.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
            {
                bail!("`{digest}` is no SHA-256 digest in lower-case hex");
            }
        }
        for name in [&manifest.name, &manifest.file] {
            if name.is_empty() || name.starts_with('.') || name.contains(['/', '\\']) {
                bail!("`{name}` is no plain file name");
            }
        }
        if manifest.inner.is_empty() {
            bail!("`inner` names no file of the package");
        }
        Ok(manifest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::place;

    #[test]
    fn the_manifests_of_the_repository_are_sound() {
        let manifests = Manifest::read_all(&place::root().unwrap().join("data")).unwrap();
        let kinds: Vec<Kind> = manifests.iter().map(|manifest| manifest.kind).collect();
        assert!(kinds.contains(&Kind::Scada) && kinds.contains(&Kind::Cad), "{kinds:?}");
    }

    #[test]
    fn manifests_that_could_mislead_are_refused() {
        let good =
            std::fs::read_to_string(place::root().unwrap().join("data/cad-assembly.toml")).unwrap();
        assert!(Manifest::parse(&good).is_ok());
        let bad = [
            good.replace("file = \"as1", "file = \"../as1"),
            good.replace("\nsha256 = \"0", "\nsha256 = \"Z"),
            good.replace("inner = [\"", "inner = []\nother = [\""),
            good.replace("registry = \"npm\"", "registry = \"elsewhere\""),
        ];
        for (index, text) in bad.iter().enumerate() {
            assert_ne!(text, &good, "case {index} plants nothing");
            assert!(Manifest::parse(text).is_err(), "case {index}");
        }
    }
}
