//! A file that is there whole or not at all, readable by its owner alone: what came of a matching.
//!
//! Never touches what stood at its place before all is there.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tempfile::NamedTempFile;

/// A file in the making; goes away unless it is kept.
pub(crate) enum Whole {
    Beside(NamedTempFile, PathBuf),
    /// A pipe or a terminal: there is nothing to be replaced.
    Straight(std::fs::File),
}

impl Whole {
    pub(crate) fn new(target: &Path) -> anyhow::Result<Self> {
        let named = || target.display().to_string();
        // A link stays one: what it leads to is replaced.
        let target = target.canonicalize().unwrap_or_else(|_| target.to_owned());
        match std::fs::metadata(&target) {
            Ok(it) if it.is_dir() => anyhow::bail!("{}: a folder", named()),
            Ok(it) if !it.is_file() => {
                let file = OpenOptions::new().write(true).open(&target).with_context(named)?;
                return Ok(Self::Straight(file));
            }
            Ok(_) | Err(_) => {}
        }
        // Made with mode 0600.
        let file = tempfile::Builder::new().prefix(".tidm-out-").tempfile_in(folder(&target));
        Ok(Self::Beside(file.with_context(named)?, target))
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match self {
            Self::Beside(file, _) => file.write_all(bytes),
            Self::Straight(file) => file.write_all(bytes),
        }
    }

    /// All is there.
    pub(crate) fn keep(self) -> anyhow::Result<()> {
        let Self::Beside(file, target) = self else { return Ok(()) };
        let named = || target.display().to_string();
        file.as_file().sync_all().with_context(named)?;
        file.persist(&target).map_err(|why| why.error).with_context(named)?;
        std::fs::File::open(folder(&target)).and_then(|it| it.sync_all()).with_context(named)
    }
}

fn folder(target: &Path) -> &Path {
    target.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn a_file_is_there_whole_or_as_it_was_and_its_owners_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let text = |name: &str| std::fs::read_to_string(path(name)).ok();
        let files = || std::fs::read_dir(dir.path()).unwrap().count();
        std::fs::write(path("old"), "old").unwrap();
        std::fs::set_permissions(path("old"), Permissions::from_mode(0o644)).unwrap();
        symlink("old", path("link")).unwrap();
        for (name, stands) in [("new", None), ("old", Some("old")), ("link", Some("old"))] {
            std::fs::write(path("old"), "old").unwrap();
            let before = files();
            // An error comes in between.
            let mut torn = Whole::new(&path(name)).unwrap();
            torn.write(b"half").unwrap();
            drop(torn);
            assert_eq!((text(name).as_deref(), files()), (stands, before), "{name}");
            let mut whole = Whole::new(&path(name)).unwrap();
            whole.write(b"one,").unwrap();
            whole.write(b"two").unwrap();
            assert_eq!(text(name).as_deref(), stands, "{name}");
            whole.keep().unwrap();
            assert_eq!(text(name).as_deref(), Some("one,two"), "{name}");
            let mode = std::fs::metadata(path(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
        assert!(path("link").is_symlink());
        assert!(Whole::new(dir.path()).is_err());
        assert!(Whole::new(&path("nowhere/new")).is_err());
    }

    #[test]
    fn what_is_no_file_is_written_straight() {
        let mut whole = Whole::new(Path::new("/dev/null")).unwrap();
        whole.write(b"rows").unwrap();
        whole.keep().unwrap();
        assert!(!Path::new("/dev/null").is_file());
    }
}
