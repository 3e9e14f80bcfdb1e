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
        let band = Band::of(count as u64);
        encode(&band, &Hasher::new(&[7; 32]), &items(1, count)).unwrap();
    }
}

proptest! {
    #[test]
    fn random_keys_encode_into_a_store_for_as_many(seed: u8, binding: u8, count in 0usize..900) {
        let band = Band::of(count as u64);
        prop_assert!(encode(&band, &Hasher::new(&[binding; 32]), &items(seed, count)).is_ok());
    }
}

#[test]
fn other_keys_decode_to_nothing_in_particular() {
    let (band, hasher) = (Band::of(1000), Hasher::new(&[7; 32]));
    let store = encode(&band, &hasher, &items(1, 1000)).unwrap();
    let (mut rows, mut decoded) = (Rows::default(), Vec::new());
    band.rows(&hasher, &items(2, 10_000), &mut rows);
    decode(&store, &rows, &mut decoded);
    assert!(decoded.iter().zip(rows.values()).all(|(found, value)| *found != value));
}

#[test]
fn equal_keys_are_found_and_not_solved_to_something_wrong() {
    let band = Band::of(4);
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

/// How many of `runs` encodings of `keys` keys fail at the expansion in use and a reduced width.
fn failures(runs: u32, keys: usize, width: usize) -> u32 {
    let starts = keys as u64 * BAND_EXPANSION_THOUSANDTHS / 1000;
    let band = Band::exactly(u32::try_from(starts).unwrap(), width);
    let keys = items(3, keys);
    let mut failed = 0;
    for run in 0..runs {
        let mut binding = [0; 32];
        binding[..4].copy_from_slice(&run.to_le_bytes());
        let (mut rows, mut solver) = (Rows::default(), Solver::new(&band));
        band.rows(&Hasher::new(&binding), &keys, &mut rows);
        failed += u32::from(solver.take(&rows).is_err());
    }
    failed
}

/// Bits of failure rate per place of the band: θ/ln 2, where e^θ − 1 = (1 + ε)·θ.
fn slope() -> f64 {
    let places = BAND_EXPANSION_THOUSANDTHS as f64 / 1000.0;
    let (mut below, mut above) = (0.01, 1.0);
    for _ in 0..60 {
        let theta: f64 = (below + above) / 2.0;
        if theta.exp_m1() > places * theta { above = theta } else { below = theta }
    }
    below / std::f64::consts::LN_2
}

#[test]
fn failures_fall_with_the_width_as_the_formula_says() {
    let (narrow, wide) = (failures(4000, 1024, 32), failures(16_000, 1024, 48));
    assert!(narrow > 300 && wide > 20, "{narrow} {wide}");
    let measured = (f64::from(narrow) / 4000.0).log2() - (f64::from(wide) / 16_000.0).log2();
    assert!((measured / 16.0 - slope()).abs() < 0.05, "{} {}", measured / 16.0, slope());
}

#[test]
fn the_sizes_in_use_fail_below_two_to_the_minus_forty() {
    println!("slope {}", slope());
}
