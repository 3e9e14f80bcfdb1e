//! What a trusted third party would answer. Tests compare the protocols with it; no protocol uses it.

use std::collections::HashSet;

use super::Set;

/// Places in `own` of the items that `other` has too, in rising order.
pub fn intersection(own: &Set, other: &Set) -> Vec<u32> {
    let other: HashSet<u128> = other.items().iter().copied().collect();
    let mut found: Vec<u32> = own
        .items()
        .iter()
        .enumerate()
        .filter(|(_, item)| other.contains(item))
        .map(|(index, _)| own.place(index))
        .collect();
    found.sort_unstable();
    found
}
