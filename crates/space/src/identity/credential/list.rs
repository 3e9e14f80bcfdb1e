//! Status lists: one bit per credential, packed (Bitstring Status List 1.0 §3, Status List 2021).
//!
//! Never grows beyond [`STATUS_BYTES`], whatever the packed form promises: a bomb is cut off while it is
//! unpacked. An index beyond the list's end is a fault, not a zero.

use std::io::{Read as _, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

use crate::fault::Fault;
use crate::identity::credential::Purpose;
use crate::identity::did::Did;
use crate::limits::{MESSAGE_BYTES, STATUS_BYTES, STATUS_LEAST_BYTES};
use crate::time::Time;

/// A status list whose issuer's signature was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List {
    pub issuer: Did,
    pub purpose: Purpose,
    pub until: Option<Time>,
    pub bits: Bits,
}

/// Bits counted from the left (Bitstring Status List §3.1: "the first index … is located at the left-most bit").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bits(Vec<u8>);

impl Bits {
    /// Zeros, at least as many as the specification wants.
    pub fn zeros(count: u64) -> Self {
        let bytes = usize::try_from(count.div_ceil(8)).unwrap_or(STATUS_BYTES);
        Self(vec![0; bytes.clamp(STATUS_LEAST_BYTES, STATUS_BYTES)])
    }

    /// `false`: there is no such place.
    #[must_use]
    pub fn set(&mut self, index: u64) -> bool {
        let byte = usize::try_from(index / 8).ok().and_then(|it| self.0.get_mut(it));
        byte.map(|it| *it |= 0x80 >> (index % 8)).is_some()
    }

    pub fn get(&self, index: u64) -> Result<bool, Fault> {
        let byte = usize::try_from(index / 8).ok().and_then(|it| self.0.get(it));
        byte.map(|it| it & (0x80 >> (index % 8)) != 0).ok_or_else(|| {
            Fault::misbehaved(
                "status.index",
                format!("the index {index} lies beyond the status list's end"),
            )
        })
    }

    /// Multibase base64url of the gzipped bits.
    pub fn pack(&self) -> String {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        // Writing to memory cannot fail.
        let packed = gzip.write_all(&self.0).and_then(|()| gzip.finish()).unwrap_or_default();
        format!("u{}", URL_SAFE_NO_PAD.encode(packed))
    }

    /// Reads [`Bits::pack`], and Status List 2021, which writes Base64 without a multibase prefix.
    pub fn unpack(text: &str) -> Result<Self, Fault> {
        let bad = |why: &str| Fault::misbehaved("status.list", format!("a status list: {why}"));
        if text.len() > MESSAGE_BYTES {
            return Err(bad("too long"));
        }
        // Gzip begins with 1f 8b, in Base64 `H4`, so a leading `u` is the prefix and nothing else.
        let packed = match text.strip_prefix('u') {
            Some(rest) => URL_SAFE_NO_PAD.decode(rest).or_else(|_| URL_SAFE.decode(rest)),
            None => STANDARD
                .decode(text)
                .or_else(|_| STANDARD_NO_PAD.decode(text))
                .or_else(|_| URL_SAFE_NO_PAD.decode(text)),
        };
        let packed = packed.map_err(|_| bad("not base64url"))?;
        let most = u64::try_from(STATUS_BYTES).unwrap_or(u64::MAX);
        let mut bits = Vec::new();
        GzDecoder::new(packed.as_slice())
            .take(most.saturating_add(1))
            .read_to_end(&mut bits)
            .map_err(|_| bad("not gzip"))?;
        if bits.len() > STATUS_BYTES {
            return Err(bad("it unpacks into more than a list may hold"));
        }
        Ok(Self(bits))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_set_is_read_back(indices in prop::collection::btree_set(0_u64..131_072, 0..50)) {
            let mut bits = Bits::zeros(0);
            for index in &indices {
                prop_assert!(bits.set(*index));
            }
            let bits = Bits::unpack(&bits.pack()).unwrap();
            for index in indices.iter().flat_map(|it| [it.saturating_sub(1), *it, it + 1]) {
                if index < 131_072 {
                    prop_assert_eq!(bits.get(index).unwrap(), indices.contains(&index));
                }
            }
            prop_assert!(bits.get(131_072).is_err());
        }

        #[test]
        fn any_text_is_refused_or_read(text in ".{0,200}") {
            drop(Bits::unpack(&text));
        }
    }

    #[test]
    fn the_first_index_is_the_leftmost_bit() {
        let mut bits = Bits::zeros(0);
        assert!(bits.set(0) && bits.set(15));
        assert_eq!(bits.0[..2], [0x80, 0x01]);
        assert!(!bits.set(u64::MAX));
    }

    #[test]
    fn bombs_are_cut_off() {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
        for _ in 0..256 {
            gzip.write_all(&[0; 1 << 20]).unwrap();
        }
        let packed = gzip.finish().unwrap();
        assert!(packed.len() < 300_000, "256 MiB in {} bytes", packed.len());
        let text = format!("u{}", URL_SAFE_NO_PAD.encode(packed));
        assert_eq!(Bits::unpack(&text).unwrap_err().code(), "status.list");
    }

    #[test]
    fn both_alphabets_are_read_and_rubbish_is_not() {
        let packed = Bits::zeros(0).pack();
        let bytes = URL_SAFE_NO_PAD.decode(&packed[1..]).unwrap();
        assert_eq!(Bits::unpack(&STANDARD.encode(&bytes)).unwrap(), Bits::zeros(0));
        let cut = format!("u{}", URL_SAFE_NO_PAD.encode(&bytes[..bytes.len() - 9]));
        for bad in ["", "u", "uAAAA", "z123", &cut, "u!!!!"] {
            // Nothing at all unpacks into no bits, in which every index lies beyond the end.
            assert!(Bits::unpack(bad).and_then(|it| it.get(0)).is_err(), "{bad}");
        }
    }
}
