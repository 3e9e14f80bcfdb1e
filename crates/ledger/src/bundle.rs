//! Entry bundles: up to 256 entries, each behind its length as a big-endian `u16` (tlog-tiles).
//! Must never hold anything else: a bundle is the truth from which all tiles are rebuilt.

use crate::limits::{MAX_ENTRY_BYTES, TILE_WIDTH};

/// Why bytes are no bundle, or entries fit none.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// An entry is longer than the format can say.
    #[error(
        "entry {position} has {bytes} bytes, a log entry has at most {MAX_ENTRY_BYTES}: log its hash"
    )]
    EntryTooLong {
        /// Position among the entries given.
        position: usize,
        /// Its length.
        bytes: usize,
    },
    /// More entries than a bundle holds.
    #[error("a bundle holds at most {TILE_WIDTH} entries")]
    TooMany,
    /// The bytes end inside an entry or its length.
    #[error("the bundle ends inside entry {position}")]
    Truncated {
        /// Entries that were complete before.
        position: usize,
    },
    /// Another number of entries than the path says.
    #[error("the bundle holds {found} entries instead of {expected}")]
    Count {
        /// Entries expected.
        expected: usize,
        /// Entries found.
        found: usize,
    },
}

/// Bytes of a bundle of `entries`.
pub fn encode<E: AsRef<[u8]>>(entries: &[E]) -> Result<Vec<u8>, BundleError> {
    if entries.len() > usize::from(TILE_WIDTH) {
        return Err(BundleError::TooMany);
    }
    let mut bytes = Vec::with_capacity(entries.iter().map(|it| it.as_ref().len() + 2).sum());
    for (position, entry) in entries.iter().enumerate() {
        push(&mut bytes, entry.as_ref(), position)?;
    }
    Ok(bytes)
}

/// Appends one entry with its length; `position` is only for the error.
pub(crate) fn push(bytes: &mut Vec<u8>, entry: &[u8], position: usize) -> Result<(), BundleError> {
    let length = u16::try_from(entry.len())
        .map_err(|_| BundleError::EntryTooLong { position, bytes: entry.len() })?;
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(entry);
    Ok(())
}

/// The entries of a bundle, borrowed from its bytes. No bytes are no entries.
pub fn decode(bytes: &[u8]) -> Result<Vec<&[u8]>, BundleError> {
    let mut entries = Vec::new();
    for entry in Entries::new(bytes) {
        if entries.len() == usize::from(TILE_WIDTH) {
            return Err(BundleError::TooMany);
        }
        entries.push(entry?);
    }
    Ok(entries)
}

/// As [`decode`], for a bundle that must hold exactly `width` entries.
pub fn decode_exact(bytes: &[u8], width: u16) -> Result<Vec<&[u8]>, BundleError> {
    let entries = decode(bytes)?;
    let expected = usize::from(width);
    if entries.len() == expected {
        Ok(entries)
    } else {
        Err(BundleError::Count { expected, found: entries.len() })
    }
}

/// Entries one after the other; ends after the first error.
pub(crate) struct Entries<'a> {
    rest: &'a [u8],
    position: usize,
}

impl<'a> Entries<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, position: 0 }
    }

    fn take(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = self.rest.split_first_chunk::<2>()?;
        let (entry, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        self.rest = rest;
        Some(entry)
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<&'a [u8], BundleError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let position = self.position;
        self.position += 1;
        let entry = self.take();
        if entry.is_none() {
            self.rest = &[];
        }
        Some(entry.ok_or(BundleError::Truncated { position }))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nasty_bundles_are_refused() {
        let cases: &[(&[u8], BundleError)] = &[
            (&[0], BundleError::Truncated { position: 0 }),
            (&[0, 1], BundleError::Truncated { position: 0 }),
            (&[0, 1, 7, 0], BundleError::Truncated { position: 1 }),
            (&[0, 1, 7, 0xff, 0xff, 1], BundleError::Truncated { position: 1 }),
            (&[0; 514], BundleError::TooMany),
        ];
        for (bytes, expected) in cases {
            assert_eq!(decode(bytes).as_ref(), Err(expected));
        }
        assert_eq!(decode_exact(&[0, 0], 2), Err(BundleError::Count { expected: 2, found: 1 }));
    }

    #[test]
    fn an_entry_of_65_535_bytes_is_the_longest() {
        let longest = vec![7; MAX_ENTRY_BYTES];
        let bytes = encode(&[&longest]).unwrap();
        assert_eq!(decode(&bytes).unwrap(), [longest.as_slice()]);
        let longer = vec![7; MAX_ENTRY_BYTES + 1];
        assert_eq!(
            encode(&[&longer]),
            Err(BundleError::EntryTooLong { position: 0, bytes: 65_536 })
        );
        assert_eq!(encode(&[[0_u8; 0]; 257]), Err(BundleError::TooMany));
    }

    proptest! {
        #[test]
        fn encode_and_decode_are_inverse(entries: Vec<Vec<u8>>) {
            let bytes = encode(&entries).unwrap();
            prop_assert_eq!(decode(&bytes).unwrap(), entries);
        }

        #[test]
        fn whatever_decodes_encodes_to_the_same_bytes(bytes in proptest::collection::vec(0u8..4, 0..80)) {
            if let Ok(entries) = decode(&bytes) {
                let again = encode(&entries).unwrap();
                prop_assert_eq!(again, bytes);
            }
        }
    }
}
