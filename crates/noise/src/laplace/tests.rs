//! Drawn numbers against the exact distribution, with fixed seeds.

use super::*;
use crate::dice::Dice;

const DRAWS: u32 = 200_000;

/// χ² of draws against `P(y) = (1-q)/(1+q) · q^|y|`, `q = exp(-1/scale)`, with its degrees of freedom. Cells of fewer than
/// twenty expected draws are one.
fn chi_square(scale: f64, draws: &[i128]) -> (f64, f64) {
    let q = (-1.0 / scale).exp();
    let chance = |y: i128| (1.0 - q) / (1.0 + q) * q.powf(y.unsigned_abs() as f64);
    let all = draws.len() as f64;
    let most = (0..).take_while(|y| chance(*y) * all >= 20.0).last().unwrap_or(0);
    let mut counts = std::collections::BTreeMap::<i128, f64>::new();
    for it in draws {
        *counts.entry((*it).clamp(-most - 1, most + 1)).or_default() += 1.0;
    }
    let seen = |y: i128| counts.get(&y).copied().unwrap_or(0.0);
    // Both tails beyond, each `q^(most+1) / (1+q)`.
    let tail = q.powf((most + 1) as f64) / (1.0 + q);
    let cells = (-most..=most).map(|y| (seen(y), chance(y) * all));
    let cells = cells.chain([-most - 1, most + 1].map(|y| (seen(y), tail * all)));
    let sum = cells.map(|(seen, expected)| (seen - expected).powi(2) / expected).sum();
    (sum, (2 * most + 2) as f64)
}

/// What χ² exceeds with a chance of one in a million (Wilson and Hilferty).
fn critical(freedom: f64) -> f64 {
    let a = 2.0 / (9.0 * freedom);
    freedom * (1.0 - a + 4.753 * a.sqrt()).powi(3)
}

fn drawn(num: u128, den: u128, seed: u64) -> Vec<i128> {
    let mut dice = Dice(seed);
    (0..DRAWS).map(|_| draw(Scale::new(num, den).unwrap(), &mut dice)).collect()
}

#[test]
fn draws_follow_the_exact_distribution() {
    for (seed, (num, den)) in (1..).zip([
        (1, 3),
        (1, 1),
        (2, 1),
        (7, 2),
        (10_000_000, 100_000),
        (1000, 7),
        // The same scale as 7/2, with numbers that need both halves of a draw.
        (7_u128 << 80, 2_u128 << 80),
    ]) {
        let scale = num as f64 / den as f64;
        let all = drawn(num, den, seed);
        let (found, freedom) = chi_square(scale, &all);
        assert!(found < critical(freedom), "{num}/{den}: χ² {found} of {freedom}");
        // The test can fail: it tells a scale that is five percent off.
        let (found, freedom) = chi_square(scale * 1.05, &all);
        assert!(found > critical(freedom), "{num}/{den}: χ² {found} of {freedom} tells nothing");
    }
}

#[test]
fn exponentials_and_uniforms_have_their_chances() {
    let mut dice = Dice(42);
    for (num, den) in [(0, 1), (1, 1), (1, 2), (3, 7), (1, 1000)] {
        let hits = (0..DRAWS).filter(|_| exp(num, den, &mut dice)).count() as f64;
        let (p, all) = ((-(num as f64) / den as f64).exp(), f64::from(DRAWS));
        let off = (hits - p * all).abs();
        assert!(off <= 5.0 * (all * p * (1.0 - p)).sqrt(), "{num}/{den}: {hits}");
    }
    for end in [1, 2, 3, 7, 8, 1000] {
        let mut seen = vec![0_u32; usize::try_from(end).unwrap()];
        for _ in 0..DRAWS {
            seen[usize::try_from(below(end, &mut dice)).unwrap()] += 1;
        }
        let each = f64::from(DRAWS) / end as f64;
        let sum: f64 = seen.iter().map(|it| (f64::from(*it) - each).powi(2) / each).sum();
        assert!(end == 1 || sum < critical((end - 1) as f64), "{end}: {sum}");
    }
    assert!((0..100).any(|_| below(u128::MAX, &mut dice) > u128::from(u64::MAX)));
}

#[test]
fn no_scale_is_zero() {
    assert!(Scale::new(0, 1).is_none() && Scale::new(1, 0).is_none());
}
