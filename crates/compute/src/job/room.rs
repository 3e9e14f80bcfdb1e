//! How much of a part is held, whatever its list repeats: equal rows all fall into one part, however many they are.
//!
//! With `first` and `refuse` rows that repeat a key are left out while the list is still read, so a part holds about as many
//! rows as it has keys. With `multiply` each row counts: where a part has more rows than memory allows, the first of each key is held,
//! and its file is read once more when it is known which keys matched.

use tidm_mpc::fault::Fault;
use tidm_mpc::partition::part::{Equals, Part, TOO_FULL};
use tidm_mpc::partition::plan::Plan;
use tidm_mpc::session::Party;

use super::limits::{HELD_BYTES_PER_ROW, SPARE_ROWS};
use super::order::Order;

/// Of one part of a party's list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    pub equals: Equals,
    /// Different keys, as planned.
    pub most: u64,
    /// Rows at a time while one part is loaded.
    pub rows: u64,
}

impl Room {
    pub fn of(order: &Order, equals: Equals, plan: &Plan) -> Self {
        let (receiver, sender) = plan.part_items();
        let most = if order.party() == Party::Receiver { receiver } else { sender };
        let held = Self { equals, most, rows: 0 }.held();
        Self { equals, most, rows: held.max(order.share() / HELD_BYTES_PER_ROW) }
    }

    /// Rows of each part while all are in memory: a quarter over, so that many come between two times of sorting.
    pub fn held(&self) -> u64 {
        self.most + self.most / 4 + SPARE_ROWS
    }

    /// Leaves out what repeats a key. More keys than were agreed are a fault.
    pub(super) fn shrink(&self, part: &mut Part) -> Result<(), Fault> {
        part.compact();
        let (count, most) = (part.len() as u64, self.most);
        if count > most {
            return Err(Fault::TooMany { what: TOO_FULL, count, most });
        }
        Ok(())
    }
}
