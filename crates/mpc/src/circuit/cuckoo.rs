//! Where items lie: each names three different bins, and a cuckoo table holds one item per bin.
//!
//! Placing never gives up while there is a way: an item that finds its bins taken moves others along a shortest path. So it
//! fails only where some s items name fewer than s bins together (Hall), whose probability the tests bound for the sizes in
//! use. Bins are hashed under the session's key, so nobody can prepare items that fail. Touches memory by item: this is
//! local work and not constant time.

use std::collections::VecDeque;

use crate::fault::Fault;
use crate::hash::{Permutation, derive, domain, half};
use crate::limits::{CUCKOO_BINS_PER_TEN, CUCKOO_SPARE_BINS};
use crate::okvs::different;
use crate::step::Step;

/// Bins of a table for `items` items.
pub(super) fn bins(items: u64) -> usize {
    let bins = items.saturating_mul(CUCKOO_BINS_PER_TEN).div_ceil(10) + CUCKOO_SPARE_BINS;
    usize::try_from(bins).unwrap_or(usize::MAX)
}

/// The hash functions of one session.
pub(super) struct Hasher {
    places: Permutation,
    keys: Permutation,
}

impl Hasher {
    pub(super) fn new(binding: &[u8; 32]) -> Self {
        let named = |name: &[u8]| {
            Permutation::new(half(&derive(domain::CUCKOO, &[binding, name])).to_le_bytes())
        };
        Self { places: named(b"places"), keys: named(b"keys") }
    }

    /// The three bins of each item.
    pub(super) fn choices(&self, items: &[u128], bins: usize) -> Vec<[u32; 3]> {
        let bins = u32::try_from(bins).unwrap_or(u32::MAX);
        let mut draws = items.to_vec();
        self.places.fold(&mut draws);
        draws.into_iter().map(|draw| different(draw, bins)).collect()
    }

    /// What stands for items in bins: `items` in place, each with the bin that `bin` gives for its number.
    pub(super) fn keys(&self, items: &mut [u128], bin: impl Fn(usize) -> u32) {
        self.keys.tweaked(items, |index| bin(index).into());
    }
}

/// Which item lies in each bin.
pub(super) fn place(choices: &[[u32; 3]], bins: usize) -> Result<Vec<Option<u32>>, Fault> {
    let mut table = vec![None; bins];
    let mut search =
        Search { seen: vec![u32::MAX; bins], before: vec![0; bins], queue: VecDeque::new() };
    for (item, own) in (0u32..).zip(choices) {
        if !search.insert(choices, &mut table, item, own) {
            return Err(Fault::Unlucky { step: Step::Hint });
        }
    }
    Ok(table)
}

/// A search in breadth for a free bin.
struct Search {
    /// The item whose search came to a bin last.
    seen: Vec<u32>,
    /// The bin from which it came; a bin of the item itself comes from itself.
    before: Vec<u32>,
    queue: VecDeque<u32>,
}

impl Search {
    /// Whether there is a way to place `item` as well.
    fn insert(
        &mut self,
        choices: &[[u32; 3]],
        table: &mut [Option<u32>],
        item: u32,
        own: &[u32; 3],
    ) -> bool {
        self.queue.clear();
        let mut from = None;
        let mut named = own;
        loop {
            for bin in named {
                let index = *bin as usize;
                if self.seen[index] == item {
                    continue;
                }
                self.seen[index] = item;
                self.before[index] = from.unwrap_or(*bin);
                if table[index].is_none() {
                    self.shift(table, *bin, item);
                    return true;
                }
                self.queue.push_back(*bin);
            }
            let Some(next) = self.queue.pop_front() else { return false };
            from = Some(next);
            named = match table[next as usize] {
                Some(occupant) => &choices[occupant as usize],
                None => own,
            };
        }
    }

    /// Moves items along the way that led to the free bin, and `item` into the first.
    fn shift(&self, table: &mut [Option<u32>], free: u32, item: u32) {
        let mut hole = free;
        loop {
            let before = self.before[hole as usize];
            if before == hole {
                table[hole as usize] = Some(item);
                return;
            }
            table[hole as usize] = table[before as usize];
            hole = before;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Stream;

    fn draw(stream: &mut Stream, items: usize, bins: usize) -> Vec<[u32; 3]> {
        let bins = u32::try_from(bins).unwrap();
        stream.blocks(items).into_iter().map(|draw| different(draw, bins)).collect()
    }

    #[test]
    fn every_item_lies_in_one_of_its_bins() {
        let mut stream = Stream::new(&[1; 32]);
        for items in [0, 1, 2, 63, 64, 65, 1023, 4096, 50_000] {
            let bins = bins(items as u64);
            let choices = draw(&mut stream, items, bins);
            let table = place(&choices, bins).unwrap();
            let mut found: Vec<u32> = table.iter().flatten().copied().collect();
            found.sort_unstable();
            assert!(found.iter().copied().eq(0..u32::try_from(items).unwrap()));
            for (bin, item) in (0u32..).zip(&table) {
                assert!(item.is_none_or(|item| choices[item as usize].contains(&bin)));
            }
        }
    }

    #[test]
    fn it_fails_exactly_where_there_is_no_way() {
        let same = [[0, 1, 2]; 4];
        assert!(place(&same[..3], 3).is_ok());
        assert_eq!(place(&same, 9).unwrap_err().code(), "mpc.unlucky");
        // Full to the last bin: the third item must move the first, which must move the second.
        let chain = [[0, 1, 2], [1, 2, 3], [0, 1, 2], [0, 1, 2]];
        assert!(place(&chain, 4).is_ok());
    }

    fn ln_factorial(n: f64) -> f64 {
        if n < 20.0 {
            return (1..=20).take_while(|k| f64::from(*k) <= n).map(|k| f64::from(k).ln()).sum();
        }
        n * n.ln() - n + 0.5 * (2.0 * std::f64::consts::PI * n).ln() + 1.0 / (12.0 * n)
    }

    fn ln_choose(n: f64, k: f64) -> f64 {
        ln_factorial(n) - ln_factorial(k) - ln_factorial(n - k)
    }

    /// ln of a bound on the ways in which s items, three bins each in order, hit all of s − 1 bins at least twice: the
    /// coefficient of x^(3s) in (e^x − 1 − x)^(s − 1), times (3s)!, is at most its value over x^(3s) for any x.
    fn ln_twice(s: f64) -> f64 {
        let at = |x: f64| (s - 1.0) * (x.exp_m1() - x).ln() - 3.0 * s * x.ln();
        let (mut low, mut high) = (0.01, 30.0);
        for _ in 0..100 {
            let (a, b) = (low + (high - low) / 3.0, high - (high - low) / 3.0);
            if at(a) < at(b) { high = b } else { low = a }
        }
        at(f64::midpoint(low, high)) + ln_factorial(3.0 * s)
    }

    /// log2 of a bound on the probability that there is no way. Of the sets of s items that name fewer than s bins a smallest one
    /// names exactly s − 1, each at least twice; summed over all such sets.
    fn log2_failure(items: usize, bins: usize) -> f64 {
        let (n, m) = (items as f64, bins as f64);
        let (mut sum, mut s, mut step) = (0.0, 4.0, 1.0);
        while s <= n && s - 1.0 <= m {
            let sets = ln_choose(n, s) + ln_choose(m, s - 1.0);
            let within = s * (ln_choose(s - 1.0, 3.0) - ln_choose(m, 3.0));
            let twice = ln_twice(s) - s * (m.ln() + (m - 1.0).ln() + (m - 2.0).ln());
            sum += step * (sets + within.min(twice)).exp();
            // Neighbours hardly differ: every hundredth stands for those around it.
            step = (s / 100.0).floor().max(1.0);
            s += step;
        }
        f64::log2(sum)
    }

    #[test]
    fn the_sizes_in_use_fail_below_2_to_the_minus_52() {
        for items in [
            1,
            4,
            5,
            16,
            64,
            200,
            512,
            1000,
            2048,
            4096,
            8192,
            1 << 14,
            30_000,
            1 << 17,
            1 << 20,
            1 << 22,
        ] {
            let bound = log2_failure(items, bins(items as u64));
            assert!(bound < -52.0, "{items}: {bound}");
        }
    }

    #[test]
    fn failures_at_small_sizes_stay_below_the_bound() {
        let mut stream = Stream::new(&[2; 32]);
        // Items, bins, runs: sizes at which something fails, yet the bound says something.
        for (items, bins, runs) in
            [(16, 24, 100_000), (16, 28, 100_000), (64, 80, 20_000), (8, 10, 50_000)]
        {
            let failed =
                (0..runs).filter(|_| place(&draw(&mut stream, items, bins), bins).is_err()).count();
            let bound = f64::from(runs) * log2_failure(items, bins).exp2();
            let most = bound + 6.0 * bound.sqrt();
            assert!(
                failed > 0 && (failed as f64) < most,
                "{items} in {bins}: {failed} of {runs}, bound {bound}"
            );
        }
    }
}
