//! Rows whose keys are equal: found by sorting records, then refused, or the first of them taken, or all.

use tidm_mpc::psi::Item;

use super::bitmap::Bitmap;
use super::fault::Fault;
use super::rule::Equals;

/// Different items with all rows of each; of a whole list or of one part of it (equal items lie in the same part).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Groups {
    items: Vec<Item>,
    /// Where the rows of each item begin in `rows`, and the end of the last.
    starts: Vec<usize>,
    rows: Vec<u64>,
    left_out: u64,
}

impl Groups {
    /// Sorts records of (item, row). With `Refuse`, equal items are a fault with their number.
    pub fn of(mut records: Vec<(Item, u64)>, equals: Equals) -> Result<Self, Fault> {
        records.sort_unstable_by_key(|(item, row)| (item.0, *row));
        let equal = records.windows(2).filter(|pair| pair[0].0 == pair[1].0).map(|pair| pair[1].1);
        match equals {
            Equals::Refuse => {
                let count = equal.clone().count() as u64;
                if let Some(row) = equal.min() {
                    return Err(Fault::EqualKeys { count, row: row + 1 });
                }
            }
            Equals::First | Equals::Multiply => {}
        }
        let mut groups = Self::default();
        for (item, row) in records {
            let repeats = groups.items.last() == Some(&item);
            if repeats && equals == Equals::First {
                groups.left_out += 1;
                continue;
            }
            if !repeats {
                groups.items.push(item);
                groups.starts.push(groups.rows.len());
            }
            groups.rows.push(row);
        }
        groups.starts.push(groups.rows.len());
        Ok(groups)
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

    /// Rows that count no more because an earlier one has their key.
    pub fn left_out(&self) -> u64 {
        self.left_out
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
