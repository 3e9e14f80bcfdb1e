//! Into how many parts a job is cut, and how large one is.

use crate::fault::Fault;
use crate::limits::{MAX_ITEMS, MAX_PARTITIONS, RUN_BYTES_PER_ITEM, part_bits};
use crate::okvs::fullest;
use crate::psi::{Security, Terms, check_parts};

/// The terms of the whole, and the number of parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    pub whole: Terms,
    pub parts: u32,
}

impl Plan {
    /// As few parts, a power of two, as let either party's run stay within `bytes` of memory.
    pub fn within(whole: Terms, bytes: u64) -> Result<Self, Fault> {
        let most = (bytes / RUN_BYTES_PER_ITEM).min(whole.most_items());
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
        let bits = part_bits(self.parts) + 1;
        let fullest = |items| fullest(items, self.parts.into(), bits);
        (fullest(self.whole.receiver_items), fullest(self.whole.sender_items))
    }

    /// The terms of one part.
    pub fn part_terms(&self) -> Result<Terms, Fault> {
        check_parts(self.parts)?;
        let (low, count) = (Security::SemiHonestLow, self.whole.sender_items);
        if self.whole.security == low && count > MAX_ITEMS {
            // One of them decodes to its own hash by chance: 64 bits hold 2^-40 for so many, in all parts together.
            let what = "items of the sender in the low-communication variant";
            return Err(Fault::TooMany { what, count, most: MAX_ITEMS });
        }
        let (receiver_items, sender_items) = self.part_items();
        let most = self.whole.most_items();
        for count in [receiver_items, sender_items] {
            if count > most {
                return Err(Fault::TooMany { what: "items of one part", count, most });
            }
        }
        Ok(Terms { receiver_items, sender_items, parts: self.parts, ..self.whole })
    }
}
