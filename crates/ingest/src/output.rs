//! Results appear whole or not at all: temporary file beside the target, sync, rename, sync.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use crate::fault::Fault;
use crate::limits::READ_BYTES;
use crate::origin::hex;

/// A file in the making. Dropping it removes it.
pub(crate) struct Output {
    file: NamedTempFile,
    target: PathBuf,
}

impl Output {
    pub(crate) fn create(target: &Path) -> Result<Self, Fault> {
        let folder = folder(target);
        let file = tempfile::Builder::new()
            .prefix(".tidm-ingest-")
            .suffix(".partial")
            .tempfile_in(folder)
            .map_err(Fault::file("write beside", target))?;
        Ok(Self { file, target: target.to_path_buf() })
    }

    /// A second handle to write through.
    pub(crate) fn writer(&self) -> Result<File, Fault> {
        self.file.as_file().try_clone().map_err(Fault::file("write", &self.target))
    }

    pub(crate) fn path(&self) -> &Path {
        self.file.path()
    }

    /// Syncs, renames into place; returns length and SHA-256 of what was written.
    pub(crate) fn publish(mut self) -> Result<(u64, String), Fault> {
        let target = self.target.clone();
        self.file.flush().map_err(Fault::file("write", &target))?;
        self.file.as_file().sync_all().map_err(Fault::file("sync", &target))?;
        let written = digest(self.file.path())?;
        let _renamed =
            self.file.persist(&target).map_err(|e| Fault::file("rename to", &target)(e.error))?;
        let parent =
            File::open(folder(&target)).map_err(Fault::file("sync the folder of", &target))?;
        parent.sync_all().map_err(Fault::file("sync the folder of", &target))?;
        Ok(written)
    }
}

fn folder(target: &Path) -> &Path {
    target.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

/// Length and SHA-256 of a file.
pub(crate) fn digest(path: &Path) -> Result<(u64, String), Fault> {
    let mut file = File::open(path).map_err(Fault::file("open", path))?;
    let mut hash = Sha256::new();
    let mut bytes = 0u64;
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let n = file.read(&mut buffer).map_err(Fault::file("read", path))?;
        let Some(chunk) = buffer.get(..n).filter(|c| !c.is_empty()) else { break };
        hash.update(chunk);
        bytes = bytes.saturating_add(n as u64);
    }
    Ok((bytes, hex(&hash.finalize())))
}
