//! A table's files: written once, read at any place, and compared with the index that was signed.
//!
//! Threats: what lies here came from a peer, or from a disk that lost something. Nothing of it is believed that the digest of the
//! index does not cover.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use tidm_mpc::fault::Fault;
use tidm_mpc::unbalanced::space::Space;
use tidm_mpc::unbalanced::{Index, Sink, Source};

use super::limits::INDEX_BYTES;

/// Names in a folder.
pub const INDEX: &str = "index";
pub const TABLE: &str = "table";

/// What an index says of its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// [`Index::digest`].
    pub digest: [u8; 32],
    pub version: u64,
    pub entries: u64,
    /// Most items of a client in one session.
    pub items: u64,
    /// Of the table, without the index.
    pub bytes: u64,
}

/// Reads what an index says; anything that is none is refused.
pub fn facts(index: &[u8]) -> Result<Facts, Fault> {
    let index = Index::parse(index)?;
    let header = index.header();
    Ok(Facts {
        digest: index.digest(),
        version: header.version,
        entries: header.entries,
        items: header.client_items,
        bytes: index.table_bytes(),
    })
}

/// Whether the table in this file is the one that the index names, to the last byte.
pub fn check(index: &Path, table: &Path) -> Result<Facts, Fault> {
    let bytes = read_index(index)?;
    let found = facts(&bytes)?;
    let mut stored = Stored::open(table)?;
    if stored.0.metadata().map_err(spill)?.len() != found.bytes {
        return Err(spill("the table is not as long as its index says"));
    }
    Index::parse(&bytes)?.check(&mut stored)?;
    Ok(found)
}

pub(super) fn read_index(path: &Path) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(spill)?;
    file.take(INDEX_BYTES + 1).read_to_end(&mut bytes).map_err(spill)?;
    if bytes.len() as u64 > INDEX_BYTES {
        return Err(Fault::PeerIncompatible { what: "the index is longer than any is" });
    }
    Ok(bytes)
}

fn spill(why: impl std::fmt::Display) -> Fault {
    Fault::Spill { reason: why.to_string() }
}

/// A table that lies in a file.
pub(super) struct Stored(File);

impl Stored {
    pub(super) fn open(path: &Path) -> Result<Self, Fault> {
        File::open(path).map(Self).map_err(spill)
    }
}

impl Source for Stored {
    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> Result<(), Fault> {
        self.0.read_exact_at(buffer, offset).map_err(spill)
    }
}

/// A table that is being written.
pub(super) struct Written(std::io::BufWriter<File>);

impl Written {
    pub(super) fn create(path: &Path) -> Result<Self, Fault> {
        Ok(Self(std::io::BufWriter::with_capacity(1 << 20, File::create(path).map_err(spill)?)))
    }

    /// On the disk after this.
    pub(super) fn finish(mut self) -> Result<(), Fault> {
        self.0.flush().map_err(spill)?;
        self.0.get_ref().sync_all().map_err(spill)
    }
}

impl Sink for Written {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.0.write_all(bytes).map_err(spill)
    }
}

/// Entries on their way into the table, a file for each part.
pub(super) struct Waiting(pub(super) PathBuf);

impl Waiting {
    fn path(&self, part: u32) -> PathBuf {
        self.0.join(format!("entries-{part}"))
    }
}

impl Space for Waiting {
    fn append(&mut self, part: u32, bytes: &[u8]) -> Result<(), Fault> {
        let file = File::options().create(true).append(true).open(self.path(part));
        file.map_err(spill)?.write_all(bytes).map_err(spill)
    }

    fn take(&mut self, part: u32) -> Result<Vec<u8>, Fault> {
        let path = self.path(part);
        match std::fs::read(&path) {
            Ok(bytes) => std::fs::remove_file(&path).map(|()| bytes).map_err(spill),
            Err(why) if why.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(why) => Err(spill(why)),
        }
    }
}
