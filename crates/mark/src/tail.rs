//! How improbable so many agreements are by chance: the binomial tail with one half, summed, not approximated.
//!
//! Never as a plain fraction alone: 10 000 agreements have a chance that no double holds, so it is kept as a logarithm.

use std::fmt;

/// A chance, as its natural logarithm.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Chance(f64);

impl Chance {
    pub const CERTAIN: Self = Self(0.0);

    pub fn ln(self) -> f64 {
        self.0
    }

    /// Zero where a double holds no such small number.
    pub fn value(self) -> f64 {
        self.0.exp()
    }

    /// Any of `n` events of this chance (Bonferroni): what counts where `n` contracts were asked.
    #[must_use]
    pub fn any_of(self, n: u64) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "a number of contracts")]
        let n = n.max(1) as f64;
        Self((self.0 + n.ln()).min(0.0))
    }
}

impl fmt::Display for Chance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let log = self.0 / std::f64::consts::LN_10;
        if log > -3.0 {
            return write!(f, "{:.3}", self.value());
        }
        write!(f, "{:.1}e{:.0}", 10_f64.powf(log - log.floor()), log.floor())
    }
}

/// `P[X ≥ hits]` for `trials` fair coins.
#[expect(clippy::cast_precision_loss, reason = "counts below 2^53")]
pub fn at_least(hits: u64, trials: u64) -> Chance {
    if hits == 0 {
        return Chance::CERTAIN;
    }
    if hits > trials {
        return Chance(f64::NEG_INFINITY);
    }
    if hits <= trials / 2 {
        // More than half the mass: by the rest, which is the small side.
        let rest = at_least(trials - hits + 1, trials).0.exp();
        return Chance((-rest).ln_1p());
    }
    let (n, few) = (trials as f64, trials - hits);
    let choose: f64 = (1..=few).map(|i| ((n - few as f64 + i as f64) / i as f64).ln()).sum();
    // Terms fall from here on, each by (n - k) / (k + 1) < 1.
    let (mut term, mut sum, mut k) = (1.0, 1.0, hits as f64);
    while k < n && term > sum * f64::EPSILON {
        term *= (n - k) / (k + 1.0);
        sum += term;
        k += 1.0;
    }
    Chance((choose - n * std::f64::consts::LN_2 + sum.ln()).min(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_is_the_sum_of_its_terms() {
        for trials in 1..=60_u64 {
            let mut row = vec![1_u128];
            for _ in 0..trials {
                let mut next = vec![1];
                next.extend(row.windows(2).map(|it| it[0] + it[1]));
                next.push(1);
                row = next;
            }
            for hits in 0..=trials {
                let sum: u128 = row[usize::try_from(hits).unwrap()..].iter().sum();
                #[expect(clippy::cast_precision_loss, reason = "compared with a tolerance")]
                let exact = sum as f64 / 2_f64.powi(i32::try_from(trials).unwrap());
                let got = at_least(hits, trials).value();
                assert!((got / exact - 1.0).abs() < 1e-11, "{hits} of {trials}: {got} {exact}");
            }
            assert_eq!(at_least(trials + 1, trials).value(), 0.0);
        }
    }

    #[test]
    fn long_tails_keep_their_logarithm() {
        let all = at_least(1_000_000, 1_000_000);
        assert!((all.ln() / (-1e6 * std::f64::consts::LN_2) - 1.0).abs() < 1e-12);
        // 4 standard deviations of a million coins: 3.1 · 10^-5 by the normal law.
        let four = at_least(502_000, 1_000_000).value();
        assert!((3.1e-5..3.3e-5).contains(&four), "{four}");
        assert_eq!(at_least(25, 25).to_string(), "3.0e-8");
        assert_eq!(at_least(1, 2).to_string(), "0.750");
        assert_eq!(at_least(20_000, 20_000).any_of(100).to_string(), "2.5e-6019");
        assert_eq!(Chance::CERTAIN.any_of(7), Chance::CERTAIN);
    }
}
