//! Finds the two entries of a TDF in a ZIP (APPNOTE 6.3.10), and nothing else.
//!
//! Strict where general ZIP readers guess: the end record must be the file's last 22 bytes, the
//! directory holds exactly our two stored entries, local and central names agree, nothing
//! overlaps. So no other reader sees other bytes under these names, and a hostile directory
//! costs at most [`TDF_MAX_DIRECTORY_BYTES`]. CRCs are not checked: keyed checks follow.

use std::io::{Read, Seek, SeekFrom};

use super::{MANIFEST_NAME, PAYLOAD_NAME, TdfFault};
use crate::limits::TDF_MAX_DIRECTORY_BYTES;

/// Where an entry's bytes lie in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: u64,
    pub(super) bytes: u64,
}

/// The two entries.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entries {
    pub(super) manifest: Span,
    pub(super) payload: Span,
}

const END_BYTES: u64 = 22;
const LOCATOR_BYTES: u64 = 20;
const END64_BYTES: usize = 56;
const LOCAL_BYTES: usize = 30;

/// Reads directory and local headers.
pub(super) fn locate(file: &mut (impl Read + Seek)) -> Result<Entries, TdfFault> {
    let (directory, start) = directory(file)?;
    let mut rest = Fields(&directory);
    let (mut manifest, mut payload) = (None, None);
    while !rest.0.is_empty() {
        let (name, span) = entry(file, &mut rest, start)?;
        let slot = if name == MANIFEST_NAME.as_bytes() {
            &mut manifest
        } else if name == PAYLOAD_NAME.as_bytes() {
            &mut payload
        } else {
            return Err(TdfFault::NotContainer("it holds entries that are not ours"));
        };
        if slot.replace(span).is_some() {
            return Err(TdfFault::NotContainer("an entry occurs twice"));
        }
    }
    let missing = TdfFault::NotContainer("manifest or payload is missing");
    let (Some(manifest), Some(payload)) = (manifest, payload) else { return Err(missing) };
    let (first, second) =
        if manifest.start < payload.start { (manifest, payload) } else { (payload, manifest) };
    // A header lies between the data of two entries, so even empty ones do not touch.
    if first.start.saturating_add(first.bytes) >= second.start {
        return Err(TdfFault::NotContainer("its entries overlap"));
    }
    Ok(Entries { manifest, payload })
}

/// The central directory and where it starts.
fn directory(file: &mut (impl Read + Seek)) -> Result<(Vec<u8>, u64), TdfFault> {
    let length = file.seek(SeekFrom::End(0))?;
    let bad = TdfFault::NotContainer("it does not end like a ZIP without comment");
    let Some(end_at) = length.checked_sub(END_BYTES) else { return Err(bad) };
    let end = read_at(file, end_at, 22)?;
    let mut end = Fields(&end);
    if end.u32()? != 0x0605_4b50 {
        return Err(bad);
    }
    let (_disk, _directory_disk, _here) = (end.u16()?, end.u16()?, end.u16()?);
    let (entries, size, offset) = (end.u16()?, end.u32()?, end.u32()?);
    if end.u16()? != 0 {
        return Err(bad);
    }
    let (mut entries, mut size, mut start, mut limit) =
        (u64::from(entries), u64::from(size), u64::from(offset), end_at);
    if entries == 0xffff || size == 0xffff_ffff || start == 0xffff_ffff {
        let at = end_at.checked_sub(LOCATOR_BYTES).ok_or(bad)?;
        let locator = read_at(file, at, 20)?;
        let mut locator = Fields(&locator);
        if locator.u32()? != 0x0706_4b50 {
            return Err(TdfFault::NotContainer("its ZIP64 locator is missing"));
        }
        let _disk = locator.u32()?;
        limit = locator.u64()?;
        let end = read_at(file, limit, END64_BYTES)?;
        let mut end = Fields(&end);
        if end.u32()? != 0x0606_4b50 {
            return Err(TdfFault::NotContainer("its ZIP64 end record is missing"));
        }
        end.skip(28)?;
        (entries, size, start) = (end.u64()?, end.u64()?, end.u64()?);
    }
    if entries != 2 {
        return Err(TdfFault::NotContainer("it does not hold exactly two entries"));
    }
    if size > TDF_MAX_DIRECTORY_BYTES {
        return Err(TdfFault::TooLarge("ZIP directory"));
    }
    if start.checked_add(size).is_none_or(|end| end > limit) {
        return Err(TdfFault::NotContainer("its directory lies outside the file"));
    }
    let size = usize::try_from(size).map_err(|_| TdfFault::TooLarge("ZIP directory"))?;
    Ok((read_at(file, start, size)?, start))
}

/// One central entry and, through its local header, its data.
fn entry<'a>(
    file: &mut (impl Read + Seek),
    rest: &mut Fields<'a>,
    directory: u64,
) -> Result<(&'a [u8], Span), TdfFault> {
    if rest.u32()? != 0x0201_4b50 {
        return Err(TdfFault::NotContainer("its directory is damaged"));
    }
    let (_made_by, _needed, flags, method) = (rest.u16()?, rest.u16()?, rest.u16()?, rest.u16()?);
    let (_time, _date, _crc) = (rest.u16()?, rest.u16()?, rest.u32()?);
    let (mut packed, mut plain) = (u64::from(rest.u32()?), u64::from(rest.u32()?));
    let (name, extra, comment) = (rest.u16()?, rest.u16()?, rest.u16()?);
    let (_disk, _internal, _external) = (rest.u16()?, rest.u16()?, rest.u32()?);
    let mut offset = u64::from(rest.u32()?);
    let name = rest.take(name.into())?;
    let mut extra = Fields(rest.take(extra.into())?);
    rest.skip(comment.into())?;
    while !extra.0.is_empty() {
        let (id, length) = (extra.u16()?, extra.u16()?);
        let mut field = Fields(extra.take(length.into())?);
        if id == 1 {
            // APPNOTE 4.5.3: only the fields that do not fit, in this order.
            for value in [&mut plain, &mut packed, &mut offset] {
                if *value == 0xffff_ffff {
                    *value = field.u64()?;
                }
            }
        }
    }
    if flags & 1 != 0 || method != 0 || packed != plain {
        return Err(TdfFault::Unsupported("ZIP entries that are compressed or encrypted"));
    }
    let header = read_at(file, offset, LOCAL_BYTES)?;
    let mut header = Fields(&header);
    if header.u32()? != 0x0403_4b50 {
        return Err(TdfFault::NotContainer("a local header is missing"));
    }
    header.skip(22)?;
    let (local_name, local_extra) = (header.u16()?, header.u16()?);
    let name_at = offset.saturating_add(LOCAL_BYTES as u64);
    if usize::from(local_name) != name.len() || read_at(file, name_at, name.len())? != name {
        return Err(TdfFault::NotContainer("local and central names differ"));
    }
    let start = name_at.saturating_add(local_name.into()).saturating_add(local_extra.into());
    if start.checked_add(plain).is_none_or(|end| end > directory) {
        return Err(TdfFault::NotContainer("an entry reaches beyond the directory"));
    }
    Ok((name, Span { start, bytes: plain }))
}

fn read_at(file: &mut (impl Read + Seek), start: u64, bytes: usize) -> Result<Vec<u8>, TdfFault> {
    file.seek(SeekFrom::Start(start))?;
    let mut out = vec![0; bytes];
    file.read_exact(&mut out).map_err(|error| {
        if error.kind() == std::io::ErrorKind::UnexpectedEof {
            TdfFault::NotContainer("it ends too early")
        } else {
            TdfFault::Io(error)
        }
    })?;
    Ok(out)
}

/// Little-endian fields, in order.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], TdfFault> {
        let (taken, rest) = self
            .0
            .split_at_checked(count)
            .ok_or(TdfFault::NotContainer("a ZIP record is too short"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn skip(&mut self, count: usize) -> Result<(), TdfFault> {
        self.take(count).map(|_| ())
    }

    fn number(&mut self, width: usize) -> Result<u64, TdfFault> {
        Ok(self.take(width)?.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn u16(&mut self) -> Result<u16, TdfFault> {
        let bytes = self.take(2)?;
        Ok(u16::from_le_bytes(bytes.try_into().map_err(|_| TdfFault::Opaque)?))
    }

    fn u32(&mut self) -> Result<u32, TdfFault> {
        let bytes = self.take(4)?;
        Ok(u32::from_le_bytes(bytes.try_into().map_err(|_| TdfFault::Opaque)?))
    }

    fn u64(&mut self) -> Result<u64, TdfFault> {
        self.number(8)
    }
}
