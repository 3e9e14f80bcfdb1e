//! A mergeable quantile sketch (Agarwal et al. 2012): buffers of 512 keys by level; a full buffer is
//! sorted and every second key moves up a level with double weight. Which half moves alternates by
//! a fixed pseudo-random sequence, so the result is deterministic. Up to 512 values it is exact.

const BUFFER: usize = 512;

/// Sketch of the order of `i64` keys.
#[derive(Default)]
pub(crate) struct Sketch {
    levels: Vec<Vec<i64>>,
    count: u64,
    coin: u64,
    range: Option<(i64, i64)>,
}

impl Sketch {
    pub(crate) fn add(&mut self, key: i64) {
        self.count += 1;
        let (min, max) = self.range.unwrap_or((key, key));
        self.range = Some((min.min(key), max.max(key)));
        if self.levels.is_empty() {
            self.levels.push(Vec::new());
        }
        if let Some(first) = self.levels.first_mut() {
            first.push(key);
            if first.len() >= BUFFER {
                self.compact();
            }
        }
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    pub(crate) fn min(&self) -> Option<i64> {
        self.range.map(|(min, _)| min)
    }

    pub(crate) fn max(&self) -> Option<i64> {
        self.range.map(|(_, max)| max)
    }

    /// Keys at these shares of the order; empty when nothing was added.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "ranks are approximate"
    )]
    pub(crate) fn at(&self, shares: &[f64]) -> Vec<i64> {
        let weighted = self
            .levels
            .iter()
            .enumerate()
            .flat_map(|(level, keys)| keys.iter().map(move |key| (*key, 1u64 << level)));
        let mut weighted = weighted.collect::<Vec<_>>();
        weighted.sort_unstable();
        let total: u64 = weighted.iter().map(|(_, weight)| weight).sum();
        let rank = |share: f64| ((share * total as f64).ceil() as u64).max(1);
        let find = |share: &f64| {
            let mut below = 0;
            let hit = weighted.iter().find(|(_, weight)| {
                below += weight;
                below >= rank(*share)
            });
            hit.or_else(|| weighted.last()).map(|(key, _)| *key)
        };
        shares.iter().filter_map(find).collect()
    }

    fn compact(&mut self) {
        let mut level = 0;
        while let Some(full) = self.levels.get_mut(level).filter(|keys| keys.len() >= BUFFER) {
            let mut keys = std::mem::take(full);
            keys.sort_unstable();
            self.coin = self.coin.wrapping_add(1);
            let skip = usize::from(super::mix(self.coin) & 1 == 1);
            let half = keys.iter().skip(skip).step_by(2).copied().collect::<Vec<_>>();
            keys.clear();
            if let Some(emptied) = self.levels.get_mut(level) {
                *emptied = keys;
            }
            level += 1;
            match self.levels.get_mut(level) {
                Some(above) => above.extend(half),
                None => self.levels.push(half),
            }
        }
    }
}

/// A key with the order of the doubles.
pub(crate) fn key(value: f64) -> i64 {
    let bits = value.to_bits().cast_signed();
    bits ^ (bits >> 63 & i64::MAX)
}

/// The double of a [`key`].
pub(crate) fn value(key: i64) -> f64 {
    f64::from_bits((key ^ (key >> 63 & i64::MAX)).cast_unsigned())
}
