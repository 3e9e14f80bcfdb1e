//! Into how many parts a job is cut, and how large one is.

use crate::fault::Fault;
use crate::limits::{MAX_ITEMS, MAX_PARTITIONS, RUN_BYTES_PER_ITEM, STATISTICAL_BITS};
use crate::okvs::fullest;
use crate::psi::Terms;

/// The terms of the whole, and the number of parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    pub whole: Terms,
    pub parts: u32,
}

impl Plan {
    /// As few parts, a power of two, as let either party's run stay within `bytes` of memory.
    pub fn within(whole: Terms, bytes: u64) -> Result<Self, Fault> {
        let most = (bytes / RUN_BYTES_PER_ITEM).min(MAX_ITEMS);
        let fits = |parts: u32| {
            let (receiver, sender) = Self { whole, parts }.part_items();
            receiver.max(sender) <= most
        };
        let found = (0..=MAX_PARTITIONS.ilog2()).map(|log| 1 << log).find(|parts| fits(*parts));
        let parts = found.ok_or_else(|| Fault::TooMany {
            what: "items for this much memory",
            count: whole.receiver_items.max(whole.sender_items),
            most: most.saturating_mul(MAX_PARTITIONS.into()),
        })?;
        Ok(Self { whole, parts })
    }

    /// Items of the receiver's and of the sender's part.
    pub fn part_items(&self) -> (u64, u64) {
        // Either party may be unlucky in any part: each gets its share of 2^-40.
        let bits = STATISTICAL_BITS + 1 + self.parts.max(1).next_power_of_two().ilog2();
        let fullest = |items| fullest(items, self.parts.into(), bits);
        (fullest(self.whole.receiver_items), fullest(self.whole.sender_items))
    }

    /// The terms of one part.
    pub fn part_terms(&self) -> Result<Terms, Fault> {
        if self.parts == 0 {
            return Err(Fault::ApiMisuse("a plan has at least one part"));
        }
        if self.parts > MAX_PARTITIONS {
            let (count, most) = (self.parts.into(), MAX_PARTITIONS.into());
            return Err(Fault::TooMany { what: "parts", count, most });
        }
        let (receiver_items, sender_items) = self.part_items();
        for count in [receiver_items, sender_items] {
            if count > MAX_ITEMS {
                return Err(Fault::TooMany { what: "items of one part", count, most: MAX_ITEMS });
            }
        }
        Ok(Terms { receiver_items, sender_items, ..self.whole })
    }
}
