//! A file of entries that only grows, sealed below a key where its owner has one.
//!
//! ```text
//!   file  = "tidmjob2" ‖ digest (32) ‖ salt (32) ‖ check (16) ‖ entry …
//!   entry = length (4) ‖ mark (4) ‖ sum (16) ‖ payload        integers are little-endian
//! ```
//!
//! With a key, payloads are AES-256-GCM at their place in this file, sums and the check are its tags (`tidm_crypto::rest`); without
//! one salt and check are zero, sums are BLAKE3. What a crash tore, or somebody changed, is the end of what is read. Whoever can write to the disk
//! may thus shorten a journal, which ends the job or runs a part again within its bounds; they read lengths and marks. Never tells
//! a wrong key from a changed header, and never goes on with either.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};

use tidm_crypto::aead::TAG_BYTES;
use tidm_crypto::rest::{FileKey, SALT_BYTES};

use super::limits::MAX_ENTRY_BYTES;
use crate::keys::Key;

const MAGIC: &[u8; 8] = b"tidmjob2";
const DIGEST_BYTES: usize = 32;
const SUM_BYTES: usize = TAG_BYTES;
const HEADER_BYTES: usize = MAGIC.len() + DIGEST_BYTES + SALT_BYTES + SUM_BYTES;
/// Place of the check of a header, where no entry is.
const CHECK: u64 = u64::MAX;

/// What stands in clear beside an entry: the part that is kept with it, or nothing. Shown to who reads the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark(pub(super) Option<u32>);

impl Mark {
    fn bytes(self) -> [u8; 4] {
        self.0.map_or(0, |part| part.saturating_add(1)).to_le_bytes()
    }
}

/// How the entries of one file are written or read, and which is next.
#[derive(Debug)]
pub(super) struct Entries {
    key: Option<FileKey>,
    number: u64,
}

impl Entries {
    /// Begins a new file.
    pub(super) fn create(
        file: &mut impl Write,
        digest: &[u8; 32],
        key: Option<&Key>,
    ) -> io::Result<Self> {
        let mut salt = [0; SALT_BYTES];
        if key.is_some() {
            getrandom::fill(&mut salt).map_err(|_| io::Error::other("no randomness"))?;
        }
        let key = key.map(|key| key.file(&salt)).transpose()?;
        let before = [MAGIC.as_slice(), digest, &salt].concat();
        let check = match &key {
            Some(key) => key.seal_entry(CHECK, &before, &[]).map_err(|_| unfit())?,
            None => vec![0; SUM_BYTES],
        };
        file.write_all(&[before, check].concat())?;
        Ok(Self { key, number: 0 })
    }

    /// Goes on reading a file; none for one that was torn before its first entry.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidData`] for a file that was begun for something else, or below another key.
    pub(super) fn open(
        file: &mut impl Read,
        digest: &[u8; 32],
        key: Option<&Key>,
    ) -> io::Result<Option<Self>> {
        let mut header = [0; HEADER_BYTES];
        if !filled(file, &mut header)? {
            return Ok(None);
        }
        let (before, check) = header.split_at(HEADER_BYTES - SUM_BYTES);
        let (agreed, salt) = before.split_at(MAGIC.len() + DIGEST_BYTES);
        let salt: [u8; SALT_BYTES] = salt.try_into().map_err(|_| unfit())?;
        if agreed != [MAGIC.as_slice(), digest].concat() {
            return Err(unfit());
        }
        let Some(key) = key else {
            let clear = salt == [0; SALT_BYTES];
            return if clear { Ok(Some(Self { key: None, number: 0 })) } else { Err(unfit()) };
        };
        let key = key.file(&salt)?;
        key.open_entry(CHECK, before, check).map_err(|_| unfit())?;
        Ok(Some(Self { key: Some(key), number: 0 }))
    }

    /// The bytes of one more entry; none where it is too long.
    pub(super) fn next(&mut self, mark: Mark, payload: &[u8]) -> io::Result<Option<Vec<u8>>> {
        let length = u32::try_from(payload.len()).ok().filter(|it| *it <= MAX_ENTRY_BYTES);
        let Some(length) = length else { return Ok(None) };
        let clear = [length.to_le_bytes(), mark.bytes()].concat();
        let bytes = match &self.key {
            Some(key) => {
                let sealed = key.seal_entry(self.number, &clear, payload).map_err(|_| unfit())?;
                let (body, tag) = sealed.split_at(payload.len());
                [&clear, tag, body].concat()
            }
            None => [&clear, &sum(&clear, payload)[..], payload].concat(),
        };
        self.number += 1;
        Ok(Some(bytes))
    }

    /// The payload of the next entry of a file; none at its end or where it is torn.
    pub(super) fn read(&mut self, file: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
        let Some((head, length)) = head(file)? else { return Ok(None) };
        let (clear, expected) = head.split_at(HEAD_BYTES - SUM_BYTES);
        let mut payload = Vec::new();
        file.take(length.into()).read_to_end(&mut payload)?;
        if payload.len() as u64 != u64::from(length) {
            return Ok(None);
        }
        let payload = match &self.key {
            Some(key) => {
                payload.extend_from_slice(expected);
                let Ok(opened) = key.open_entry(self.number, clear, &payload) else {
                    return Ok(None);
                };
                opened.expose().clone()
            }
            None if sum(clear, &payload) == expected => payload,
            None => return Ok(None),
        };
        self.number += 1;
        Ok(Some(payload))
    }
}

/// The marks of a file, without its payloads: what a crash tore may be among them.
pub(super) fn marks(
    file: &mut (impl Read + io::Seek),
    parts: &mut BTreeSet<u32>,
) -> io::Result<()> {
    let mut header = [0; HEADER_BYTES];
    if !filled(file, &mut header)? {
        return Ok(());
    }
    while let Some((head, length)) = head(file)? {
        let mark = head.get(4..8).and_then(|it| it.try_into().ok()).map_or(0, u32::from_le_bytes);
        if let Some(part) = mark.checked_sub(1) {
            parts.insert(part);
        }
        file.seek_relative(length.into())?;
    }
    Ok(())
}

const HEAD_BYTES: usize = 4 + 4 + SUM_BYTES;

/// What stands before the next payload, and the payload's length.
fn head(file: &mut impl Read) -> io::Result<Option<([u8; HEAD_BYTES], u32)>> {
    let mut head = [0; HEAD_BYTES];
    if !filled(file, &mut head)? {
        return Ok(None);
    }
    let length = head.first_chunk().copied().map_or(0, u32::from_le_bytes);
    Ok((length <= MAX_ENTRY_BYTES).then_some((head, length)))
}

/// Whether there was that much left; less is what a crash tore.
fn filled(file: &mut impl Read, bytes: &mut [u8]) -> io::Result<bool> {
    match file.read_exact(bytes) {
        Ok(()) => Ok(true),
        Err(why) if why.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(why) => Err(why),
    }
}

fn sum(clear: &[u8], payload: &[u8]) -> [u8; SUM_BYTES] {
    let mut sum = [0; SUM_BYTES];
    tidm_mpc::hash::derive_into("tidm compute 2 journal", &[clear, payload], &mut sum);
    sum
}

fn unfit() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "not begun for this, or below another key")
}
