//! How often the key-value stores fail to encode: counted where it is frequent, carried on by the formulas to the sizes in use,
//! and printed as a report. What is counted is counted; 2^-40 is an extrapolation and cannot be measured.

#![allow(clippy::print_stdout, reason = "the report is what the test is for")]

use tidm_mpc::field::Gf;
use tidm_mpc::limits::{
    BAND_EXPANSION_THOUSANDTHS, BAND_WIDTH, MAX_ITEMS, OKVS_BIN_ITEMS, STATISTICAL_BITS,
};
use tidm_mpc::okvs::band::{self, Band};
use tidm_mpc::okvs::{Hasher, Rows, Shape, Solver};
use tidm_mpc::random::Stream;

/// Dense places where it is counted: fewer than in use for small stores.
const DENSE: usize = 4;

fn hasher(run: u32) -> Hasher {
    let mut binding = [9; 32];
    binding[..4].copy_from_slice(&run.to_le_bytes());
    Hasher::new(&binding)
}

/// Of `runs` encodings of the clustered store how many leave at least one row over, and how many more than [`DENSE`].
fn clustered(keys: usize, thousandths: usize, runs: u32) -> (u32, u32) {
    let shape = Shape::exactly(keys * thousandths / 1000, DENSE);
    let items = Stream::new(&[3; 32]).blocks(keys);
    let (mut rows, mut solver) = (Rows::default(), Solver::default());
    let mut store = vec![Gf::ZERO; shape.bin_places()];
    let (mut some, mut failed) = (0, 0);
    for run in 0..runs {
        hasher(run).rows(&shape, &items, &mut rows);
        let solved = solver.encode(&shape, &rows, &mut store);
        failed += u32::from(solved.is_err());
        some += u32::from(solved.is_err() || solver.gap() > 0);
    }
    (some, failed)
}

fn bits(failed: u32, runs: u32) -> f64 {
    (f64::from(runs) / f64::from(failed.max(1))).log2()
}

/// RR22 §4.2 for weight 3: bits of failure rate per unit of expansion.
fn slope_of_clusters(keys: usize) -> f64 {
    let (three, log2_keys) = (3f64.log2(), (keys as f64).log2());
    let exponent = 0.555 * log2_keys + 0.093 * three.powi(3) - 1.01 * three.powi(2) + 2.925 * three;
    (exponent - 0.133).exp2()
}

#[test]
fn clustered_stores_in_use_lie_below_two_to_the_minus_forty() {
    println!(
        "clustered store, weight 3: keys, expansion and encodings counted, failures, bits; in use, bits by RR22's slope"
    );
    for (keys, thousandths, runs) in [(256, 1320, 3000), (4096, 1240, 300), (32_768, 1230, 120)] {
        let (_, failed) = clustered(keys, thousandths, runs);
        assert!(failed > 0, "nothing was counted");
        let (counted, shape) = (bits(failed, runs), Shape::of(keys as u64, 1));
        let in_use = shape.sparse() as f64 / keys as f64;
        let reached = counted + slope_of_clusters(keys) * (in_use - thousandths as f64 / 1000.0);
        println!(
            "  {keys:>6} {:.3} {runs:>5} {failed:>4} {counted:>5.1};  {in_use:.3} {reached:.1}",
            thousandths as f64 / 1000.0
        );
        assert!(reached >= f64::from(STATISTICAL_BITS), "{keys}: {reached}");
    }
    // What is left over at any expansion: a few keys that share their places, solved by the dense ones.
    println!(
        "rows left over: keys, sparse places, encodings counted, with one at least, bits; in use, bits by sparse^-(dense + 1)"
    );
    for (keys, thousandths, runs) in [(16, 3500, 20_000), (64, 2250, 8000)] {
        let (some, _) = clustered(keys, thousandths, runs);
        let (sparse, shape) = (keys * thousandths / 1000, Shape::of(keys as u64, 1));
        let counted = bits(some, runs);
        // One row left over is no more frequent than four times the formula's rate.
        assert!(counted > (sparse as f64).log2() - 2.0, "{keys}: {some} of {runs}");
        let reached = (shape.dense() + 1) as f64 * (shape.sparse() as f64).log2();
        println!(
            "  {keys:>6} {sparse:>4} {runs:>6} {some:>4} {counted:>5.1};  {} + {} {reached:.1}",
            shape.sparse(),
            shape.dense()
        );
        assert!(reached >= f64::from(STATISTICAL_BITS), "{keys}: {reached}");
    }
    let bins = Shape::of(MAX_ITEMS, 1).bins();
    println!(
        "  bins of {OKVS_BIN_ITEMS} keys take their share of 2^-{STATISTICAL_BITS}: {bins} of them at {MAX_ITEMS} keys"
    );
}

/// Bits per place of the band: θ/ln 2, where e^θ − 1 = (1 + ε)·θ.
fn slope_of_bands() -> f64 {
    let places = BAND_EXPANSION_THOUSANDTHS as f64 / 1000.0;
    let (mut below, mut above) = (0.01f64, 1.0f64);
    for _ in 0..60 {
        let theta = (below + above) / 2.0;
        if theta.exp_m1() > places * theta { above = theta } else { below = theta }
    }
    below / std::f64::consts::LN_2
}

#[test]
fn band_stores_in_use_lie_below_two_to_the_minus_forty() {
    const LOG_KEYS: f64 = 14.0;
    const WIDTH: usize = 48;
    const RUNS: u32 = 400;
    let items = Stream::new(&[3; 32]).blocks(1 << 14);
    let starts = items.len() as u64 * BAND_EXPANSION_THOUSANDTHS / 1000;
    let band = Band::exactly(u32::try_from(starts).unwrap(), WIDTH);
    let mut failed = 0;
    for run in 0..RUNS {
        let hasher = hasher(run);
        let binned = band.sort(&hasher, &items);
        let (mut rows, mut solver) = (band::Rows::default(), band::Solver::new(&band));
        let taken = (0..band.batches()).all(|batch| {
            band.rows(&hasher, binned.bin(batch), &mut rows);
            solver.take(&rows).is_ok()
        });
        failed += u32::from(!taken);
    }
    assert!(failed > 0, "nothing was counted");
    let counted = bits(failed, RUNS);
    println!(
        "band store: 2^14 keys at width {WIDTH}, {failed} of {RUNS} failed: {counted:.1} bits"
    );
    for log_keys in [10.0, 20.0, f64::from(MAX_ITEMS.ilog2())] {
        let wider = (BAND_WIDTH - WIDTH) as f64 * slope_of_bands();
        let reached = counted + wider - (log_keys - LOG_KEYS);
        println!("  2^{log_keys} keys at width {BAND_WIDTH} by the formula: {reached:.1} bits");
        assert!(reached >= f64::from(STATISTICAL_BITS), "{log_keys}: {reached}");
    }
}
