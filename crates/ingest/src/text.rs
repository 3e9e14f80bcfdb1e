//! Encodings of text sources: found over the whole file, decoded as a stream.
//!
//! A byte order mark decides. Otherwise the whole file is looked at: UTF-8 when it is valid, or
//! when broken sequences are rare among valid ones (a damaged UTF-8 file would also decode as
//! GB 18030, into nonsense); else GB 18030, the usual encoding of Chinese spreadsheets' CSV.

use std::io::{self, Read};

use encoding_rs::DecoderResult;

use crate::limits::READ_BYTES;
use crate::options::Encoding;

/// One broken sequence in this many valid ones is damage, more is another encoding.
const DAMAGE: u64 = 20;

impl Encoding {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Utf8 => "UTF-8",
            Self::Gb18030 => "GB 18030",
            Self::Utf16Le | Self::Utf16Be => "UTF-16",
            Self::Windows1252 => "Windows-1252",
        }
    }

    fn of_mark(head: &[u8]) -> Option<(Self, usize)> {
        match head {
            [0xEF, 0xBB, 0xBF, ..] => Some((Self::Utf8, 3)),
            [0xFF, 0xFE, ..] => Some((Self::Utf16Le, 2)),
            [0xFE, 0xFF, ..] => Some((Self::Utf16Be, 2)),
            _ => None,
        }
    }
}

/// Looks at a whole file, chunk by chunk, and says its encoding.
#[derive(Default)]
pub(crate) struct Scan {
    head: Vec<u8>,
    rest: Vec<u8>,
    valid: u64,
    broken: u64,
}

impl Scan {
    pub(crate) fn see(&mut self, chunk: &[u8]) {
        if self.head.len() < 3 {
            self.head.extend(chunk.iter().take(3));
        }
        if self.rest.is_empty() && chunk.is_ascii() {
            return;
        }
        let joined = [self.rest.as_slice(), chunk].concat();
        let mut bytes = joined.as_slice();
        self.rest.clear();
        loop {
            let (valid, error) = match std::str::from_utf8(bytes) {
                Ok(_) => (bytes.len(), None),
                Err(e) => (e.valid_up_to(), Some(e.error_len())),
            };
            let (good, bad) = bytes.split_at(valid);
            self.valid += good.iter().filter(|b| **b >= 0xC0).count() as u64;
            match error {
                None => return,
                Some(None) => return self.rest.extend_from_slice(bad),
                Some(Some(n)) => {
                    self.broken += 1;
                    bytes = bad.get(n..).unwrap_or_default();
                }
            }
        }
    }

    pub(crate) fn encoding(&self) -> Encoding {
        if let Some((encoding, _)) = Encoding::of_mark(&self.head) {
            return encoding;
        }
        let broken = self.broken + u64::from(!self.rest.is_empty());
        if broken == 0 || self.valid > broken * DAMAGE { Encoding::Utf8 } else { Encoding::Gb18030 }
    }
}

/// Decodes a stream to UTF-8 without its byte order mark. UTF-8 itself is passed through unchecked
/// (rows check their own bytes, so that a broken one can be named or skipped); other encodings
/// are checked here, and the first malformed sequence is an error.
pub(crate) struct Decode<R> {
    inner: R,
    decoder: Option<encoding_rs::Decoder>,
    raw: Vec<u8>,
    raw_at: usize,
    text: Vec<u8>,
    text_at: usize,
    read: u64,
    end: bool,
}

impl<R: Read> Decode<R> {
    pub(crate) fn new(mut inner: R, encoding: Encoding) -> io::Result<Self> {
        let mut head = Vec::new();
        let _n = inner.by_ref().take(3).read_to_end(&mut head)?;
        let skip = Encoding::of_mark(&head)
            .filter(|(marked, _)| *marked == encoding)
            .map_or(0, |(_, n)| n);
        let text = head.get(skip..).unwrap_or_default().to_vec();
        let by = match encoding {
            Encoding::Utf8 => None,
            Encoding::Gb18030 => Some(encoding_rs::GB18030),
            Encoding::Utf16Le => Some(encoding_rs::UTF_16LE),
            Encoding::Utf16Be => Some(encoding_rs::UTF_16BE),
            Encoding::Windows1252 => Some(encoding_rs::WINDOWS_1252),
        };
        let decoder = by.map(encoding_rs::Encoding::new_decoder_without_bom_handling);
        let (raw, text) = if decoder.is_some() { (text, Vec::new()) } else { (Vec::new(), text) };
        Ok(Self {
            inner,
            decoder,
            raw,
            raw_at: 0,
            text,
            text_at: 0,
            read: head.len() as u64,
            end: false,
        })
    }

    /// Bytes of the source consumed so far.
    pub(crate) fn position(&self) -> u64 {
        self.read
    }

    fn refill(&mut self) -> io::Result<()> {
        let Some(decoder) = &mut self.decoder else { return Ok(()) };
        self.text.resize(READ_BYTES, 0);
        self.text_at = 0;
        let mut written = 0;
        while written == 0 && !self.end {
            if self.raw_at >= self.raw.len() {
                self.raw.resize(READ_BYTES / 4, 0);
                let n = self.inner.read(&mut self.raw)?;
                self.raw.truncate(n);
                self.raw_at = 0;
                self.read = self.read.saturating_add(n as u64);
                self.end = n == 0;
            }
            let from = self.raw.get(self.raw_at..).unwrap_or_default();
            let (result, used, wrote) =
                decoder.decode_to_utf8_without_replacement(from, &mut self.text, self.end);
            self.raw_at += used;
            written = wrote;
            if let DecoderResult::Malformed(..) = result {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "malformed text"));
            }
        }
        self.text.truncate(written);
        Ok(())
    }
}

impl<R: Read> Read for Decode<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.text_at >= self.text.len() {
            if self.decoder.is_none() {
                let n = self.inner.read(out)?;
                self.read = self.read.saturating_add(n as u64);
                return Ok(n);
            }
            self.refill()?;
        }
        let from = self.text.get(self.text_at..).unwrap_or_default();
        let n = from.len().min(out.len());
        for (to, byte) in out.iter_mut().zip(from) {
            *to = *byte;
        }
        self.text_at += n;
        Ok(n)
    }
}
