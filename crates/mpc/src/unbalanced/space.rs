//! Where the segments of a table wait while it is built. Never held whole in memory: a part is taken once.

use crate::fault::Fault;

/// Two implementations: files of the caller, [`InMemory`] in tests.
pub trait Space {
    fn append(&mut self, part: u32, bytes: &[u8]) -> Result<(), Fault>;

    /// All that was appended to the part, in order. Called once per part; the space may forget it then.
    fn take(&mut self, part: u32) -> Result<Vec<u8>, Fault>;
}

/// Parts in memory.
#[derive(Debug, Default)]
pub struct InMemory {
    parts: std::collections::BTreeMap<u32, Vec<u8>>,
}

impl Space for InMemory {
    fn append(&mut self, part: u32, bytes: &[u8]) -> Result<(), Fault> {
        self.parts.entry(part).or_default().extend_from_slice(bytes);
        Ok(())
    }

    fn take(&mut self, part: u32) -> Result<Vec<u8>, Fault> {
        Ok(self.parts.remove(&part).unwrap_or_default())
    }
}
