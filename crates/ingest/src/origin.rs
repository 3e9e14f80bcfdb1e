//! Where a file came from: the record that stands at the start of its lineage.

use std::fs::File;
use std::io::Read;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::fault::Fault;
use crate::limits::READ_BYTES;

/// Origin of a published file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Path as given by the publisher.
    pub path: String,
    pub file_name: String,
    pub bytes: u64,
    /// SHA-256 of the file's bytes, lower-case hex.
    pub sha256: String,
    /// Last modification, Unix milliseconds, as the file system says; 0 when it does not.
    pub modified_ms: u64,
    /// When it was read, Unix milliseconds.
    pub read_at_ms: u64,
    /// Who had it read.
    pub by: String,
}

/// Reads a file once and says where it came from.
///
/// # Errors
/// [`Fault::File`] when it cannot be read.
pub fn read(path: &Path, now_ms: u64, by: &str) -> Result<Origin, Fault> {
    read_with(path, now_ms, by, &mut |_| ControlFlow::Continue(()))
}

/// Like [`read`], showing every chunk to `see`, which may stop the reading.
pub(crate) fn read_with(
    path: &Path,
    now_ms: u64,
    by: &str,
    see: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
) -> Result<Origin, Fault> {
    let mut file = File::open(path).map_err(Fault::file("open", path))?;
    let (_, modified_ms) = stat(path)?;
    let mut digest = Sha256::new();
    let mut bytes = 0u64;
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let n = file.read(&mut buffer).map_err(Fault::file("read", path))?;
        let Some(chunk) = buffer.get(..n).filter(|chunk| !chunk.is_empty()) else { break };
        digest.update(chunk);
        bytes = bytes.saturating_add(n as u64);
        if see(chunk).is_break() {
            return Err(Fault::Cancelled);
        }
    }
    Ok(Origin {
        path: path.to_string_lossy().into_owned(),
        file_name: path
            .file_name()
            .map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
        bytes,
        sha256: hex(&digest.finalize()),
        modified_ms,
        read_at_ms: now_ms,
        by: by.to_owned(),
    })
}

impl Origin {
    /// Refuses when the file is no longer the one that was hashed.
    pub(crate) fn still(&self, path: &Path) -> Result<(), Fault> {
        if stat(path)? == (self.bytes, self.modified_ms) { Ok(()) } else { Err(Fault::Changed) }
    }
}

pub(crate) fn modified_ms(path: &Path) -> Result<u64, Fault> {
    stat(path).map(|(_, modified)| modified)
}

fn stat(path: &Path) -> Result<(u64, u64), Fault> {
    let meta = std::fs::metadata(path).map_err(Fault::file("read", path))?;
    let modified = meta.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    let ms = modified.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX));
    Ok((meta.len(), ms))
}

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        // Writing to a String cannot fail.
        let _infallible = write!(out, "{byte:02x}");
        out
    })
}
