//! The known key nearest to a mistyped one.
//!
//! Never guesses a value: it only says what was probably meant.

use super::key::{KEYS, Key};

/// The known key closest to `path`, if it is close enough to be a slip of the hand.
pub(super) fn nearest(path: &str) -> Option<&'static Key> {
    let name = path.rsplit('.').next().unwrap_or(path);
    let score =
        |it: &Key| distance(path, &it.path()).min(distance(name, it.name).saturating_add(1));
    KEYS.iter()
        .map(|it| (score(it), it))
        .min_by_key(|(score, _)| *score)
        .filter(|(score, _)| *score <= MAX_SLIPS)
        .map(|(_, it)| it)
}

/// More edits than this and the suggestion would be noise.
const MAX_SLIPS: usize = 4;
/// A longer name is not a slip of any of ours; keeps the quadratic search small.
const NAME_BYTES: usize = 64;

/// Levenshtein over bytes.
fn distance(a: &str, b: &str) -> usize {
    if a.len() > NAME_BYTES {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (cell, y) in row.iter_mut().skip(1).zip(b.bytes()) {
            let cost = diagonal + usize::from(x != y);
            diagonal = *cell;
            left = cost.min(left + 1).min(diagonal + 1);
            *cell = left;
        }
    }
    row.last().copied().unwrap_or(usize::MAX)
}
