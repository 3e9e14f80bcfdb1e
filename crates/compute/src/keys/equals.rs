//! Rows whose keys are equal: found by sorting records, then refused, or the first of them taken, or all.
//! Sees items only, never a key.

use tidm_mpc::psi::Item;

use super::bitmap::Bitmap;
use super::rule::Equals;
use super::source::Tally;

/// Different items with the rows of each; of a whole list or of one part of it (equal items lie in the same part).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Groups {
    items: Vec<Item>,
    /// Where the rows of each item begin in `rows`, and the end of the last.
    starts: Vec<usize>,
    rows: Vec<u64>,
    repeats: Tally,
}

impl Groups {
    /// Sorts records of (item, row). Equals are not refused here but by [`Equals::admit`], once all parts have been counted.
    pub fn of(mut records: Vec<(Item, u64)>, equals: Equals) -> Self {
        records.sort_unstable_by_key(|(item, row)| (item.0, *row));
        let mut groups = Self::default();
        for (item, row) in records {
            if groups.items.last() == Some(&item) {
                groups.repeats = groups.repeats.plus(Tally { count: 1, first_row: row + 1 });
                if equals != Equals::Multiply {
                    continue;
                }
            } else {
                groups.items.push(item);
                groups.starts.push(groups.rows.len());
            }
            groups.rows.push(row);
        }
        groups.starts.push(groups.rows.len());
        groups
    }

    /// Rows that have the item of an earlier row.
    pub fn repeats(&self) -> Tally {
        self.repeats
    }

    /// In ascending order, each once: what goes into a set for the protocol.
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// Rows that the result has if the item of this place matches; ascending.
    pub fn rows(&self, place: usize) -> &[u64] {
        match (self.starts.get(place), self.starts.get(place + 1)) {
            (Some(&start), Some(&end)) => self.rows.get(start..end).unwrap_or_default(),
            _ => &[],
        }
    }

    /// Marks the rows of all matched places. `places` are those of [`Self::items`].
    pub fn mark(&self, places: impl IntoIterator<Item = u32>, rows: &mut Bitmap) {
        for place in places {
            for row in self.rows(place as usize) {
                rows.set(*row);
            }
        }
    }
}
