//! What a trusted third party would answer. Tests compare the protocol with it; no protocol uses it.

use std::collections::HashSet;

use crate::psi::Set;

/// Places in the leader's list of the items that every member has too, rising.
pub fn intersection(leader: &Set, members: &[Set]) -> Vec<u32> {
    let members: Vec<HashSet<u128>> =
        members.iter().map(|set| set.items().iter().copied().collect()).collect();
    let common = |item: &u128| members.iter().all(|set| set.contains(item));
    let items = leader.items().iter().enumerate().filter(|(_, item)| common(item));
    let mut places: Vec<u32> = items.map(|(index, _)| leader.place(index)).collect();
    places.sort_unstable();
    places
}
