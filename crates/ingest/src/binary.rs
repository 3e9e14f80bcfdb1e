//! Files that are not tables (drawings, images, archives) are kept byte for byte.

use std::fs::File;
use std::io::{Read, Write};
use std::ops::ControlFlow;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::fault::Fault;
use crate::limits::READ_BYTES;
use crate::origin::{self, Origin};
use crate::output::Output;
use crate::table::{Progress, Stage};

/// Copies `path` to `out` unchanged and says where it came from; the digest in the origin is the
/// digest of exactly the bytes copied.
///
/// # Errors
/// [`Fault::File`] on IO, [`Fault::Cancelled`], [`Fault::Changed`] when the file grew meanwhile.
pub fn ingest(
    path: &Path,
    out: &Path,
    by: &str,
    now_ms: u64,
    progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<Origin, Fault> {
    let total = std::fs::metadata(path).map_err(Fault::file("read", path))?.len();
    let mut file = File::open(path).map_err(Fault::file("open", path))?;
    let output = Output::create(out)?;
    let mut writer = output.writer()?;
    let mut origin = Origin {
        path: path.to_string_lossy().into_owned(),
        file_name: path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned()),
        bytes: 0,
        sha256: String::new(),
        modified_ms: origin::modified_ms(path)?,
        read_at_ms: now_ms,
        by: by.to_owned(),
    };
    let mut hash = Sha256::new();
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let n = file.read(&mut buffer).map_err(Fault::file("read", path))?;
        let Some(chunk) = buffer.get(..n).filter(|c| !c.is_empty()) else { break };
        hash.update(chunk);
        writer.write_all(chunk).map_err(Fault::file("write", out))?;
        origin.bytes = origin.bytes.saturating_add(n as u64);
        if progress(Progress { stage: Stage::Converting, done: origin.bytes, total, rows: 0 })
            .is_break()
        {
            return Err(Fault::Cancelled);
        }
    }
    origin.sha256 = origin::hex(&hash.finalize());
    origin.still(path)?;
    let (_, written) = output.publish()?;
    debug_assert_eq!(written, origin.sha256, "what was hashed is what was written");
    Ok(origin)
}
