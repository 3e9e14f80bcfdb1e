//! Neighbours: tables that differ in one unit give the same answers with almost the same chances.

use std::collections::BTreeMap;

use super::*;
use crate::dice::Dice;

impl rand_core::TryCryptoRng for Dice {}

const RUNS: u32 = 150_000;
const MOST: u64 = 2;
const RANGE: (i64, i64) = (-1, 3);

/// Units of which the last one is what may be missing: it has many rows of large values.
fn table(with: bool) -> Vec<Rows> {
    let unit = |cells: &[i64]| {
        let mut out = Rows::new(1);
        cells.iter().for_each(|it| out.add([Some(*it)]));
        out
    };
    let mut out = vec![unit(&[1]), unit(&[2, 2]), unit(&[-7])];
    out.extend(with.then(|| unit(&[40; 30])));
    out
}

/// The largest ε that the answers of two tables show, lowered by five standard deviations of its estimate.
fn loss(answers: impl Fn(bool, &mut Dice) -> i128) -> f64 {
    let counted = |with: bool, seed: u64| {
        let mut dice = Dice(seed);
        let mut out = BTreeMap::<i128, f64>::new();
        for _ in 0..RUNS {
            *out.entry(answers(with, &mut dice)).or_default() += 1.0;
        }
        out
    };
    let (one, other) = (counted(true, 1), counted(false, 2));
    let mut worst = 0.0_f64;
    // All answers up to each, and from each on: events with many runs on both sides.
    for up in [true, false] {
        for at in one.keys().chain(other.keys()) {
            let sum = |all: &BTreeMap<i128, f64>| -> f64 {
                let within = all.iter().filter(|(it, _)| if up { *it <= at } else { *it >= at });
                within.map(|(_, n)| n).sum()
            };
            let (a, b) = (sum(&one), sum(&other));
            for (a, b) in [(a, b), (b, a)] {
                if a >= 500.0 {
                    let deviation = (1.0 / a + 1.0 / b.max(1.0)).sqrt();
                    worst = worst.max((a / b.max(1.0)).ln() - 5.0 * deviation);
                }
            }
        }
    }
    worst
}

fn parts() -> [Part; 2] {
    [Part::Count { most: MOST }, Part::Sum { column: 0, low: RANGE.0, high: RANGE.1 }]
}

/// Each part alone at its ε, and the estimate is close to it: the noise is as large as it must be and no larger.
#[test]
fn neighbours_are_told_apart_within_epsilon() {
    let epsilon = 800_000;
    for part in parts() {
        let it = loss(|with, dice| noisy(&[part], &table(with), epsilon, dice).unwrap()[0]);
        assert!((0.6..=0.8).contains(&it), "{part:?}: {it}");
    }
    // Two parts share: each shows half, the pair packed into one number no more than the whole.
    let both = |with: bool, dice: &mut Dice| noisy(&parts(), &table(with), epsilon, dice).unwrap();
    for i in 0..2 {
        let it = loss(|with, dice| both(with, dice)[i]);
        assert!((0.3..=0.4).contains(&it), "{i}: {it}");
    }
    // The likeliest tell-tale: both grow together, weighed by their bounds.
    let it = loss(|with, dice| {
        let all = both(with, dice);
        all[0] * 3 + all[1] * 2
    });
    assert!(it <= 0.8, "{it}");
}

/// Planted bugs, each of which the same measure finds.
#[test]
fn what_is_wrong_is_found() {
    let epsilon = 800_000_u64;
    let [count, sum] = parts();
    let honest = |part: Part| scale(part.sensitivity(), 1, epsilon).unwrap();
    let exact = |part: Part, with: bool| table(with).iter().map(|it| part.of(it)).sum::<i128>();
    let half = |part: Part| Scale::new(u128::from(part.sensitivity()) * 1_000_000, 1_600_000);
    // No bound on what a unit adds, with the noise for the bound.
    let (many, wide) =
        (Part::Count { most: u64::MAX }, Part::Sum { column: 0, low: -1000, high: 1000 });
    for (name, real, noise) in [
        ("rows without bound", many, honest(count)),
        ("sums without bound", wide, honest(sum)),
        ("half the noise of a count", count, half(count).unwrap()),
        ("half the noise of a sum", sum, half(sum).unwrap()),
    ] {
        let it = loss(|with, dice| exact(real, with) + draw(noise, dice));
        assert!(it > 0.8, "{name}: {it}");
    }
    // Each part with the whole of ε.
    let it = loss(|with, dice| {
        let one = |part, dice: &mut Dice| exact(part, with) + draw(honest(part), dice);
        one(count, dice) * 3 + one(sum, dice) * 2
    });
    assert!(it > 0.8, "ε twice: {it}");
}

#[test]
fn refusals_depend_on_the_question_alone() {
    let mut dice = Dice(1);
    let mut ask = |parts: &[Part], epsilon| noisy(parts, &table(true), epsilon, &mut dice).err();
    assert_eq!(ask(&[], 1), Some(Refused::Parts));
    assert_eq!(ask(&[Part::Count { most: 1 }; PARTS + 1], 1), Some(Refused::Parts));
    assert_eq!(ask(&parts(), 0), Some(Refused::Zero));
    assert_eq!(ask(&[Part::Sum { column: 0, low: 0, high: 0 }], 1), Some(Refused::Zero));
    assert_eq!(ask(&[Part::Count { most: 0 }], 1), Some(Refused::Zero));
    // The largest scale that there is, and the smallest: answers, not overflows.
    let vast = Part::Sum { column: 0, low: i64::MIN, high: i64::MAX };
    assert_eq!(ask(&[vast; PARTS], 1), None);
    let sure = noisy(&[Part::Count { most: MOST }], &table(true), 100 * MICRO, &mut Dice(3));
    assert_eq!(sure, Ok(vec![6]), "at ε = 100 there is hardly any noise");
}
