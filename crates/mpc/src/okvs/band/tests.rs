use proptest::prelude::*;

use super::*;
use crate::random::Stream;

/// Encodes `items` and looks every one up again.
fn encode(band: &Band, hasher: &Hasher, items: &[u128]) -> Result<Vec<Gf>, Dependent> {
    let binned = band.sort(hasher, items);
    let (mut rows, mut solver) = (Rows::default(), Solver::new(band));
    for batch in 0..band.batches() {
        band.rows(hasher, binned.bin(batch), &mut rows);
        solver.take(&rows)?;
    }
    let store: Vec<Gf> = solver.solve().into_iter().map(|value| Gf(value.into())).collect();
    assert_eq!(store.len(), band.places());
    let mut decoded = Vec::new();
    for batch in 0..band.batches() {
        band.rows(hasher, binned.bin(batch), &mut rows);
        decode(&store, &rows, &mut decoded);
        assert_eq!(decoded, rows.values());
    }
    Ok(store)
}

fn items(seed: u8, count: usize) -> Vec<u128> {
    Stream::new(&[seed; 32]).blocks(count)
}

#[test]
fn every_key_decodes_to_its_value_at_every_size() {
    for count in [0, 1, 2, 15, 191, 192, 193, 255, 256, 257, 1000, 65_537, 200_000] {
        let band = Band::of(count as u64, 1);
        encode(&band, &Hasher::new(&[7; 32]), &items(1, count)).unwrap();
    }
}

proptest! {
    #[test]
    fn random_keys_encode_into_a_store_for_as_many(seed: u8, binding: u8, count in 0usize..900) {
        let band = Band::of(count as u64, 1);
        prop_assert!(encode(&band, &Hasher::new(&[binding; 32]), &items(seed, count)).is_ok());
    }
}

#[test]
fn other_keys_decode_to_nothing_in_particular() {
    let (band, hasher) = (Band::of(1000, 1), Hasher::new(&[7; 32]));
    let store = encode(&band, &hasher, &items(1, 1000)).unwrap();
    let (mut rows, mut decoded) = (Rows::default(), Vec::new());
    band.rows(&hasher, &items(2, 10_000), &mut rows);
    decode(&store, &rows, &mut decoded);
    assert!(decoded.iter().zip(rows.values()).all(|(found, value)| *found != value));
}

#[test]
fn equal_keys_are_found_and_not_solved_to_something_wrong() {
    let band = Band::of(4, 1);
    assert_eq!(encode(&band, &Hasher::new(&[1; 32]), &[5, 6, 7, 5]).map(|_| ()), Err(Dependent));
}

#[test]
fn rows_have_the_width_of_the_band_and_stay_within_the_store() {
    let hasher = Hasher::new(&[3; 32]);
    for width in [1, 63, 64, 65, 128, 191, 192] {
        let band = Band::exactly(1000, width);
        let mut rows = Rows::default();
        band.rows(&hasher, &items(5, 5000), &mut rows);
        let all = rows
            .rows
            .iter()
            .fold([0; WORDS], |all, row| std::array::from_fn(|word| all[word] | row.bits[word]));
        let ones: u32 = all.iter().map(|word| word.count_ones()).sum();
        assert_eq!(ones as usize, width);
        assert!(rows.starts.iter().all(|start| *start < 1000));
        assert!(rows.starts.iter().any(|start| *start < 3) && rows.starts.contains(&999));
    }
}

/// How many of `runs` encodings of `keys` keys fail at an expansion and a reduced width.
fn failures(runs: u32, keys: usize, width: usize, thousandths: u64) -> u32 {
    let starts = keys as u64 * thousandths / 1000;
    let band = Band::exactly(u32::try_from(starts).unwrap(), width);
    let keys = items(3, keys);
    let mut failed = 0;
    for run in 0..runs {
        let mut binding = [0; 32];
        binding[..4].copy_from_slice(&run.to_le_bytes());
        let hasher = Hasher::new(&binding);
        let binned = band.sort(&hasher, &keys);
        let (mut rows, mut solver) = (Rows::default(), Solver::new(&band));
        let taken = (0..band.batches()).all(|batch| {
            band.rows(&hasher, binned.bin(batch), &mut rows);
            solver.take(&rows).is_ok()
        });
        failed += u32::from(!taken);
    }
    failed
}

/// Bits of failure rate per place of the band: θ/ln 2, where e^θ − 1 = (1 + ε)·θ.
fn slope(thousandths: u64) -> f64 {
    let places = thousandths as f64 / 1000.0;
    let (mut below, mut above) = (0.01, 1.0);
    for _ in 0..60 {
        let theta: f64 = (below + above) / 2.0;
        if theta.exp_m1() > places * theta { above = theta } else { below = theta }
    }
    below / std::f64::consts::LN_2
}

/// log2 of the failure rate by the formula, with the constants that were counted at reduced widths.
fn rate(log2_keys: f64, width: f64, thousandths: u64) -> f64 {
    let constant = if thousandths == BAND_EXPANSION_THOUSANDTHS { 3.5 } else { 2.5 };
    log2_keys - constant - width * slope(thousandths)
}

#[test]
fn the_slope_is_the_one_of_the_paper() {
    // RB-OKVS gives 0.2691 bits per place for an expansion of 1.1.
    assert!((slope(1100) - 0.2691).abs() < 0.002, "{}", slope(1100));
}

#[test]
fn failures_at_reduced_widths_fall_as_the_formula_says() {
    // 2^14 keys: about every 6th, every 36th encoding fails; at the expansion of very large jobs every 28th and every 150th.
    for (thousandths, wide_runs) in
        [(BAND_EXPANSION_THOUSANDTHS, 600), (BAND_LARGE_EXPANSION_THOUSANDTHS, 1500)]
    {
        let narrow = failures(wide_runs / 2, 1 << 14, 40, thousandths);
        let wide = failures(wide_runs, 1 << 14, 48, thousandths);
        let bits = |failed: u32, runs: u32| (f64::from(failed) / f64::from(runs)).log2();
        let measured = (bits(narrow, wide_runs / 2) - bits(wide, wide_runs)) / 8.0;
        assert!((measured - slope(thousandths)).abs() < 0.15, "{narrow} {wide}");
        // Twice the formula's rate or half of it: so few encodings do not say more.
        let expected = rate(14.0, 48.0, thousandths);
        assert!((bits(wide, wide_runs) - expected).abs() < 1.0, "{narrow} {wide}, {expected}");
    }
}

#[test]
fn the_sizes_in_use_fail_below_two_to_the_minus_forty() {
    let (width, usual, large) =
        (BAND_WIDTH as f64, BAND_EXPANSION_THOUSANDTHS, BAND_LARGE_EXPANSION_THOUSANDTHS);
    assert!(rate(20.0, width, usual) < -44.0, "{}", rate(20.0, width, usual));
    // All keys of a job, whichever part they are in.
    assert!(rate((BAND_KEYS as f64).log2(), width, usual) < -40.0);
    let (items, parts) = (crate::limits::MAX_ITEMS, crate::limits::MAX_PARTITIONS);
    assert!(rate((items as f64 * f64::from(parts)).log2(), width, large) < -40.0);
    for (keys, parts, thousandths) in [
        (1 << 20, 1, usual),
        (1 << 20, 32, usual),
        (1 << 20, 33, large),
        (items, 2, usual),
        (items, 3, large),
    ] {
        let band = Band::of(keys, parts);
        assert_eq!(u64::from(band.starts), (keys * thousandths).div_ceil(1000));
        assert!(band.places() <= crate::limits::MAX_EXPANSION);
    }
    // What 2^20 keys cost.
    assert!((Band::of(1 << 20, 1).places() as f64 / f64::from(1 << 20)) < 1.121);
}
