//! Reads fields of fixed length from the front of outside bytes. Must never index; what is too short is malformed.

use crate::appraisal::Reason;

pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn take(&mut self, length: usize) -> Result<&'a [u8], Reason> {
        let (head, rest) = self.0.split_at_checked(length).ok_or(Reason::Malformed)?;
        self.0 = rest;
        Ok(head)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Reason> {
        let (head, rest) = self.0.split_first_chunk().ok_or(Reason::Malformed)?;
        self.0 = rest;
        Ok(*head)
    }

    pub(crate) fn end(&self) -> Result<(), Reason> {
        if self.0.is_empty() { Ok(()) } else { Err(Reason::Malformed) }
    }
}

/// The `N` bytes at `offset` of a structure of known length.
pub(crate) fn at<const N: usize>(bytes: &[u8], offset: usize) -> Result<[u8; N], Reason> {
    let rest = bytes.get(offset..).ok_or(Reason::Malformed)?;
    rest.first_chunk().copied().ok_or(Reason::Malformed)
}
