//! One bit per row of a list: which rows are in the result. As bytes: a magic, the number of rows, the bits.

use std::io::{self, BufWriter, Write};

use super::fault::Fault;
use super::limits::MAX_ROWS;
use super::place::Place;
use super::rows::Output;

const MAGIC: &[u8; 8] = b"tidmrow1";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bitmap {
    rows: u64,
    words: Vec<u64>,
}

impl Bitmap {
    /// No row of `rows`.
    pub fn new(rows: u64) -> Result<Self, Fault> {
        let words = words(rows)?;
        Ok(Self { rows, words: vec![0; words] })
    }

    /// Number of rows of the list, in the result or not.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Takes a row in; says whether there is such a row.
    pub fn set(&mut self, row: u64) -> bool {
        let inside = row < self.rows;
        if let (true, Some(word)) = (inside, word_of(row).and_then(|word| self.words.get_mut(word)))
        {
            *word |= 1 << (row % 64);
        }
        inside
    }

    #[inline]
    pub fn contains(&self, row: u64) -> bool {
        word_of(row)
            .and_then(|word| self.words.get(word))
            .is_some_and(|word| word >> (row % 64) & 1 == 1)
    }

    pub fn count(&self) -> u64 {
        self.words.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    /// Rows of the result, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u64> + '_ {
        (0u64..).step_by(64).zip(&self.words).flat_map(|(base, &word)| {
            std::iter::successors((word != 0).then_some(word), |left| {
                let left = left & (left - 1);
                (left != 0).then_some(left)
            })
            .map(move |left| base + u64::from(left.trailing_zeros()))
        })
    }

    /// Whether any row of the range is in.
    pub(super) fn any(&self, rows: std::ops::Range<u64>) -> bool {
        let mut row = rows.start;
        while row < rows.end.min(self.rows) {
            let word = word_of(row).and_then(|word| self.words.get(word)).copied().unwrap_or(0);
            let bits = (rows.end - row).min(64 - row % 64);
            if word >> (row % 64) & (u64::MAX >> (64 - bits)) != 0 {
                return true;
            }
            row += bits;
        }
        false
    }

    /// Its bytes, one after the other: whoever writes a long one to a disk has no memory for it twice.
    fn encode(&self, out: &mut impl Write) -> io::Result<()> {
        out.write_all(MAGIC)?;
        out.write_all(&self.rows.to_le_bytes())?;
        self.words.iter().try_for_each(|word| out.write_all(&word.to_le_bytes()))
    }

    /// Writes its bytes to a file, which is there whole or not at all.
    pub fn write<'p>(&self, target: impl Into<Place<'p>>) -> Result<(), Fault> {
        let target = target.into();
        let output = Output::beside(target)?;
        let mut out = BufWriter::new(output.writer()?);
        let written = self.encode(&mut out).and_then(|()| out.flush());
        written.map_err(Fault::io("write", target.path))?;
        drop(out);
        output.publish().map(drop)
    }

    pub fn of_bytes(bytes: &[u8]) -> Result<Self, Fault> {
        let fault = |what| Fault::Bitmap { what };
        let bytes = bytes.strip_prefix(MAGIC).ok_or_else(|| fault("another beginning"))?;
        let (rows, bits) = bytes.split_first_chunk().ok_or_else(|| fault("cut off"))?;
        let rows = u64::from_le_bytes(*rows);
        let (chunks, rest) = bits.as_chunks();
        if words(rows)? != chunks.len() || !rest.is_empty() {
            return Err(fault("its length does not fit its number of rows"));
        }
        let words: Vec<u64> = chunks.iter().map(|chunk| u64::from_le_bytes(*chunk)).collect();
        if !rows.is_multiple_of(64) && words.last().is_some_and(|word| word >> (rows % 64) != 0) {
            return Err(fault("bits behind its last row"));
        }
        Ok(Self { rows, words })
    }
}

fn words(rows: u64) -> Result<usize, Fault> {
    if rows > MAX_ROWS {
        return Err(Fault::Bitmap { what: "more rows than a list may have" });
    }
    usize::try_from(rows.div_ceil(64)).map_err(|_| Fault::Bitmap { what: "more rows than memory" })
}

fn word_of(row: u64) -> Option<usize> {
    usize::try_from(row / 64).ok()
}
