//! What a trusted third party would answer. Tests compare the protocol with it; no protocol uses it.

use std::collections::HashMap;

/// Per query its value, or none where the protocol gives something random.
pub fn answers(queries: &[u128], programmed: &[(u128, u128)]) -> Vec<Option<u128>> {
    let table: HashMap<u128, u128> = programmed.iter().copied().collect();
    queries.iter().map(|query| table.get(query).copied()).collect()
}
