//! What a trusted dealer would hand out. For tests of this and of what is built on it; never used by a protocol.

use crate::random::Stream;

/// Random keys, two per choice, and of each two the one that is chosen (each choice 0 or 1).
pub fn deal(stream: &mut Stream, choices: &[u8]) -> (Vec<[u128; 2]>, Vec<u128>) {
    let keys: Vec<[u128; 2]> = choices.iter().map(|_| [stream.block(), stream.block()]).collect();
    let chosen = chosen(&keys, choices);
    (keys, chosen)
}

/// The keys that the receiver gets.
pub fn chosen(keys: &[[u128; 2]], choices: &[u8]) -> Vec<u128> {
    keys.iter()
        .zip(choices)
        .map(|([zero, one], choice)| if *choice == 0 { *zero } else { *one })
        .collect()
}

/// Whether the two sides hold what a dealer could have dealt: the keys of the choices, and no key twice.
pub fn fits(keys: &[[u128; 2]], choices: &[u8], received: &[u128]) -> bool {
    let mut all = keys.concat();
    all.sort_unstable();
    let twice = all.windows(2).any(|pair| pair.first() == pair.last());
    keys.len() == choices.len() && chosen(keys, choices) == received && !twice
}
