//! A redo journal: one write and one fdatasync make a whole batch of small files durable.
//!
//! Record: `u64` length (big-endian), SHA-256 of the payload, payload. Payload: for each file `u16` path length,
//! path, `u32` length, bytes. A record that is cut or does not hash right ends the journal: it was
//! never acknowledged. Never trusts a length before it fits in what is there.

use std::fs::{self, File as Handle, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use tidm_crypto::hash::sha256;

use super::File;
use crate::evidence::limits::RECORD_BYTES;

const HEADER: usize = 8 + 32;

/// The journal that is being written.
pub(super) struct Journal {
    file: Handle,
    number: u64,
    bytes: u64,
}

impl Journal {
    /// Makes journal `number` in `dir`; its name is durable on return.
    pub(super) fn create(dir: &Path, number: u64) -> io::Result<Self> {
        let path = dir.join(format!("{number:016}"));
        let file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(&path)?;
        Handle::open(dir)?.sync_all()?;
        Ok(Self { file, number, bytes: 0 })
    }

    /// Appends one record and syncs it.
    pub(super) fn append(&mut self, files: &[File]) -> io::Result<()> {
        let record = encode(files)?;
        self.bytes = self.bytes.saturating_add(record.len() as u64);
        self.file.write_all(&record)?;
        self.file.sync_data()
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }
}

fn encode(files: &[File]) -> io::Result<Vec<u8>> {
    let too_long =
        || io::Error::new(io::ErrorKind::InvalidInput, "a journal record would be too long");
    let length: usize = files.iter().map(|(path, bytes)| 6 + path.len() + bytes.len()).sum();
    if length as u64 > RECORD_BYTES {
        return Err(too_long());
    }
    let mut record = vec![0; HEADER];
    record.reserve_exact(length);
    for (path, bytes) in files {
        record.extend_from_slice(&u16::try_from(path.len()).map_err(|_| too_long())?.to_be_bytes());
        record.extend_from_slice(path.as_bytes());
        record
            .extend_from_slice(&u32::try_from(bytes.len()).map_err(|_| too_long())?.to_be_bytes());
        record.extend_from_slice(bytes);
    }
    let (header, payload) = record.split_at_mut(HEADER);
    let (size, hash) = header.split_at_mut(8);
    size.copy_from_slice(&(length as u64).to_be_bytes());
    hash.copy_from_slice(sha256(payload).as_bytes());
    Ok(record)
}

/// Journals of `dir`, oldest first.
pub(super) fn list(dir: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let number = path.file_name().and_then(|it| it.to_str()).and_then(|it| it.parse().ok());
        if let Some(number) = number {
            found.push((number, path));
        }
    }
    found.sort();
    Ok(found)
}

/// The records of a journal's bytes, up to the first that is not whole.
pub fn parse(mut rest: &[u8]) -> Vec<Vec<File>> {
    let mut records = Vec::new();
    while let Some((record, after)) = one(rest) {
        records.push(record);
        rest = after;
    }
    records
}

fn one(bytes: &[u8]) -> Option<(Vec<File>, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<8>()?;
    let (hash, rest) = rest.split_first_chunk::<32>()?;
    let (mut payload, after) =
        rest.split_at_checked(usize::try_from(u64::from_be_bytes(*length)).ok()?)?;
    if sha256(payload).as_bytes() != hash {
        return None;
    }
    let mut files = Vec::new();
    while !payload.is_empty() {
        let (length, rest) = payload.split_first_chunk::<2>()?;
        let (path, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let (bytes, rest) =
            rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
        files.push((std::str::from_utf8(path).ok()?.to_owned(), bytes.to_vec()));
        payload = rest;
    }
    Some((files, after))
}
