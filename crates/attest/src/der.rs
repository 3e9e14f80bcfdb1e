//! Reads DER strictly: one encoding of each length, one-byte tags, nothing left over.
//!
//! Threat model: every byte is from the prover. Recursion is the caller's, and fixed. Must never index, never take a
//! length on trust, never accept a longer form of a shorter length (two encodings of one certificate).

use crate::appraisal::Reason;
use crate::reader::Reader;

pub(crate) const BOOLEAN: u8 = 0x01;
pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const OID: u8 = 0x06;
pub(crate) const UTC_TIME: u8 = 0x17;
pub(crate) const GENERALIZED_TIME: u8 = 0x18;
pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const SET: u8 = 0x31;

/// The elements that stand one behind the other.
#[derive(Clone, Copy)]
pub(crate) struct Der<'a>(&'a [u8]);

/// One element.
#[derive(Clone, Copy)]
pub(crate) struct Element<'a> {
    pub(crate) tag: u8,
    pub(crate) content: &'a [u8],
    /// With tag and length.
    pub(crate) whole: &'a [u8],
}

impl<'a> Der<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The elements inside the only element of `bytes`.
    pub(crate) fn only(bytes: &'a [u8], tag: u8) -> Result<Self, Reason> {
        let mut outer = Self(bytes);
        let content = outer.expect(tag)?;
        outer.end()?;
        Ok(Self(content))
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn end(&self) -> Result<(), Reason> {
        if self.0.is_empty() { Ok(()) } else { Err(Reason::BadCertificate) }
    }

    pub(crate) fn element(&mut self) -> Result<Element<'a>, Reason> {
        let start = self.0;
        let mut reader = Reader(start);
        let read = |reader: &mut Reader<'a>| {
            let [tag, first] = reader.array()?;
            let length = match first {
                0..=0x7F => usize::from(first),
                0x81 => long(reader.array::<1>()?, 0x80)?,
                0x82 => long(reader.array::<2>()?, 0x100)?,
                0x83 => long(reader.array::<3>()?, 0x1_0000)?,
                0x80 | 0x84..=0xFF => return Err(Reason::BadCertificate),
            };
            Ok((tag, reader.take(length)?))
        };
        let (tag, content) = read(&mut reader).map_err(|_| Reason::BadCertificate)?;
        let length = start.len().saturating_sub(reader.0.len());
        let whole = start.get(..length).ok_or(Reason::BadCertificate)?;
        // A tag of several bytes is in no certificate.
        if tag & 0x1F == 0x1F {
            return Err(Reason::BadCertificate);
        }
        self.0 = reader.0;
        Ok(Element { tag, content, whole })
    }

    /// The next element's content; it has this tag.
    pub(crate) fn expect(&mut self, tag: u8) -> Result<&'a [u8], Reason> {
        let it = self.element()?;
        if it.tag == tag { Ok(it.content) } else { Err(Reason::BadCertificate) }
    }

    /// The next element's content, if it has this tag.
    pub(crate) fn optional(&mut self, tag: u8) -> Result<Option<&'a [u8]>, Reason> {
        if self.0.first() == Some(&tag) { self.expect(tag).map(Some) } else { Ok(None) }
    }

    /// What is inside the next element, a sequence.
    pub(crate) fn sequence(&mut self) -> Result<Self, Reason> {
        self.expect(SEQUENCE).map(Self)
    }
}

/// A length in several bytes, which it needs.
fn long<const N: usize>(bytes: [u8; N], least: usize) -> Result<usize, Reason> {
    let length = bytes.iter().fold(0, |sum, byte| (sum << 8) | usize::from(*byte));
    if length >= least { Ok(length) } else { Err(Reason::BadCertificate) }
}

/// A bit string without unused bits.
pub(crate) const fn bits(content: &[u8]) -> Result<&[u8], Reason> {
    match content {
        [0, bits @ ..] => Ok(bits),
        _ => Err(Reason::BadCertificate),
    }
}

#[cfg(test)]
mod tests {
    use super::{Der, SEQUENCE};

    #[test]
    fn one_encoding_of_each_length() {
        let cases: [(&[u8], bool); 12] = [
            (&[0x30, 0], true),
            (&[0x30, 1, 5], true),
            (&[0x30], false),
            (&[], false),
            (&[0x30, 1], false),
            (&[0x30, 0, 0], false),
            (&[0x30, 0x81, 1, 5], false),
            (&[0x30, 0x82, 0, 1, 5], false),
            (&[0x30, 0x80, 0, 0], false),
            (&[0x30, 0x84, 0, 0, 0, 1, 5], false),
            (&[0x31, 0], false),
            (&[0x3F, 0], false),
        ];
        for (bytes, good) in cases {
            assert_eq!(Der::only(bytes, SEQUENCE).is_ok(), good, "{bytes:?}");
        }
        let long = [&[0x30, 0x81, 0x80][..], &[7; 0x80]].concat();
        assert!(Der::only(&long, SEQUENCE).is_ok());
    }
}
