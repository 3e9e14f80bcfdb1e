//! False blame stays below its bound, and leaks are traced, after what people do to files.

use tidm_crypto::secret::Secret;

use super::*;
use crate::row::Cell;

const STEP: i8 = -1;
const COLUMN: &str = "temp";

/// SplitMix64: the same numbers every time.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

type Row = (i128, Decimal);

fn marker(contract: u64) -> Marker {
    Marker::new(&Secret::new([7; 32]), "urn:product", &format!("urn:contract:{contract}"))
}

fn key(id: i128) -> RowKey {
    [Cell::Number(Decimal::whole(id).unwrap())].into_iter().collect()
}

/// Readings to a tenth.
fn table(rows: i128, seed: u64) -> Vec<Row> {
    let mut dice = Dice(seed);
    let value = |dice: &mut Dice| Decimal::fixed(i128::from(dice.below(900)), 1).unwrap();
    (0..rows).map(|id| (id, value(&mut dice))).collect()
}

fn release(table: &[Row], contract: u64) -> Vec<Row> {
    let marker = marker(contract);
    let one =
        |&(id, value): &Row| (id, marker.marked(COLUMN, &key(id), STEP, value).unwrap_or(value));
    table.iter().map(one).collect()
}

fn trace(found: &[Row], contract: u64) -> Verdict {
    let mut tally = Tally::new(marker(contract));
    found.iter().for_each(|(id, value)| tally.see(COLUMN, &key(*id), STEP, *value));
    tally.verdict()
}

/// One row in `of` stays, in another order.
fn part(found: &[Row], of: u64, seed: u64) -> Vec<Row> {
    let mut dice = Dice(seed);
    let mut left: Vec<Row> = found.iter().filter(|_| dice.below(of) == 0).copied().collect();
    left.sort_by_cached_key(|_| dice.next());
    left
}

/// `percent` of the values are noise to the digit.
fn noisy(found: &[Row], percent: u64, seed: u64) -> Vec<Row> {
    let mut dice = Dice(seed);
    let mut one = |&(id, value): &Row| {
        let hit = dice.below(100) < percent && dice.below(2) == 0;
        (id, if hit { value.nudged(STEP, dice.below(2) == 0).unwrap() } else { value })
    };
    found.iter().map(&mut one).collect()
}

#[test]
fn one_value_of_eight_changes_by_one_step() {
    let table = table(20_000, 1);
    let marked = release(&table, 1);
    let changed = table.iter().zip(&marked).filter(|(a, b)| a != b).count();
    assert!((2_300..2_700).contains(&changed), "{changed}");
    for ((_, before), (_, after)) in table.iter().zip(&marked) {
        let moved = after.as_fixed(1).unwrap() - before.as_fixed(1).unwrap();
        assert!(moved.abs() <= 1 && after.as_fixed(1).unwrap() >= 0);
    }
    // Marking what is marked changes nothing: a second run of a job delivers the same.
    assert_eq!(release(&marked, 1), marked);
}

#[test]
fn files_of_others_are_blamed_no_more_often_than_said() {
    // Unmarked, marked for another contract, and with every row three times over.
    let plain = table(400, 2);
    let other = release(&plain, 999_999);
    let repeated: Vec<Row> = other.iter().flat_map(|row| std::iter::repeat_n(*row, 3)).collect();
    for found in [&plain, &other, &repeated] {
        let verdicts: Vec<Verdict> = (0..2_000).map(|it| trace(found, it)).collect();
        for level in [0.5, 0.2, 0.05, 0.01, 0.001] {
            let below = verdicts.iter().filter(|it| it.chance.value() <= level).count() as f64;
            let expected = 2_000.0 * level;
            // Valid (five standard deviations of room) …
            assert!(below <= expected + 5.0 * expected.sqrt() + 1.0, "{below} at {level}");
            // … and not idle: the tail of about 100 coins has steps, but none as wide as half.
            assert!(level < 0.05 || below >= expected * 0.5, "{below} at {level}");
        }
        assert!(verdicts.iter().all(|it| !it.names(2_000)));
        // Randomised between the steps of the tail, the chances are uniform: ten classes, chi-square.
        let mut dice = Dice(3);
        let mut classes = [0_u32; 10];
        for it in &verdicts {
            let (low, high) = (at_least(it.hits + 1, it.trials).value(), it.chance.value());
            let at = low + (high - low) * (dice.below(1_000_000) as f64 / 1e6);
            let class = (1..10).filter(|it| at * 10.0 >= f64::from(*it)).count();
            classes[class] += 1;
        }
        let chi: f64 = classes.iter().map(|it| (f64::from(*it) - 200.0).powi(2) / 200.0).sum();
        assert!(chi < 33.7, "{classes:?}"); // 0.0001 of the chi-square law with 9 degrees of freedom.
    }
}

#[test]
fn leaks_are_traced_at_several_sizes_and_after_what_people_do() {
    // rows of the product, one row in so many left, percent of noise, how many of 40 are named at least
    for (rows, of, noise, least) in [
        (200, 1, 0, 40),
        (1_000, 1, 0, 40),
        (1_000, 2, 20, 40),
        (2_000, 10, 0, 39),
        (10_000, 10, 0, 40),
        (10_000, 10, 30, 40),
        (10_000, 2, 60, 40),
        // Too little is left to say anything, and nothing is said.
        (200, 10, 0, 0),
    ] {
        let table = table(rows, 4);
        let mut named = 0;
        for contract in 0..40 {
            let found = noisy(&release(&table, contract), noise, contract);
            let found = part(&found, of, contract + 1_000);
            named += i32::from(trace(&found, contract).names(40));
            let innocent = trace(&found, contract + 1);
            assert!(!innocent.names(40), "{rows} {of} {noise}: {innocent:?}");
        }
        assert!(named >= least, "{named} of 40 with {rows} rows, 1/{of}, {noise} %");
    }
}

#[test]
fn what_breaks_the_marks() {
    let table = table(10_000, 5);
    let left = release(&table, 1);
    // Every value rounded to a coarser step.
    let rounded: Vec<Row> = left
        .iter()
        .map(|(id, value)| (*id, Decimal::whole(value.as_fixed(1).unwrap() / 10).unwrap()))
        .collect();
    assert!(!trace(&rounded, 1).names(2));
    // Other names of rows.
    let renamed: Vec<Row> = left.iter().map(|(id, value)| (id + 1, *value)).collect();
    assert!(!trace(&renamed, 1).names(2));
    // Two contracts' copies, cell by cell from either: weaker, and with that many rows both are still named.
    let (other, mut dice) = (release(&table, 2), Dice(6));
    let mixed: Vec<Row> =
        left.iter().zip(&other).map(|(a, b)| if dice.below(2) == 0 { *a } else { *b }).collect();
    assert!(trace(&mixed, 1).names(2) && trace(&mixed, 2).names(2) && !trace(&mixed, 3).names(3));
    // Where two copies differ, the value of neither: gone there; what is alike still speaks for nobody alone.
    let empty = trace(&[], 1);
    assert_eq!((empty.trials, empty.chance), (0, Chance::CERTAIN));
}
