//! What a trusted third party would answer. Tests compare the protocols with it; no protocol uses it.

use std::collections::{HashMap, HashSet};

use super::Set;
use super::labelled::Found;

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

/// Each common item by its place in `own`, with its label: so many bytes at the place of the item in `other`.
pub fn labelled(own: &Set, other: &Set, labels: &[u8], label_bytes: usize) -> Vec<Found> {
    let label = |index: usize| {
        let begin = other.place(index) as usize * label_bytes;
        labels.get(begin..begin + label_bytes).unwrap_or_default().to_vec()
    };
    let table: HashMap<u128, Vec<u8>> =
        other.items().iter().enumerate().map(|(index, item)| (*item, label(index))).collect();
    let found = own.items().iter().enumerate().filter_map(|(index, item)| {
        Some(Found { place: own.place(index), label: table.get(item)?.clone() })
    });
    let mut found: Vec<Found> = found.collect();
    found.sort_unstable_by_key(|found| found.place);
    found
}
