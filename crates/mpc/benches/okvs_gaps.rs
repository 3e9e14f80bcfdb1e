//! Counts how often an encoding of the key-value store leaves rows over: the failure rates behind its sizes.
//!
//! `cargo bench -p tidm-mpc --bench okvs_gaps -- [KEYS] [RUNS] [band]`: with the last word the band store at reduced widths.

#![allow(clippy::print_stdout, reason = "a program that prints what it measured")]

use tidm_mpc::field::Gf;
use tidm_mpc::limits::BAND_EXPANSION_THOUSANDTHS;
use tidm_mpc::okvs::band::{self, Band};
use tidm_mpc::okvs::{Hasher, Rows, Shape, Solver};
use tidm_mpc::random::Stream;

/// Expansions in thousandths, from the threshold of weight 3 upwards.
const EXPANSIONS: [usize; 8] = [1223, 1230, 1240, 1257, 1280, 1320, 1400, 1600];
const DENSE: usize = 4;

fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|arg| arg.parse::<usize>().ok());
    let keys = numbers.next().unwrap_or(256);
    let runs = numbers.next().unwrap_or(10_000);
    let items = Stream::new(&[1; 32]).blocks(keys);
    if std::env::args().any(|arg| arg == "band") {
        return bands(&items, runs);
    }
    println!(
        "{keys} keys, {runs} encodings; rows left over: at least 1, 2, 3, 4, more than {DENSE}"
    );
    for expansion in EXPANSIONS {
        let shape = Shape::exactly(keys * expansion / 1000, DENSE);
        let (mut rows, mut solver) = (Rows::default(), Solver::default());
        let mut store = vec![Gf::ZERO; shape.bin_places()];
        let mut left_over = [0u64; DENSE + 1];
        for run in 0..runs {
            let mut binding = [0; 32];
            binding[..8].copy_from_slice(&(run as u64).to_le_bytes());
            Hasher::new(&binding).rows(&shape, &items, &mut rows);
            let gap = solver.encode(&shape, &rows, &mut store).map_or(DENSE + 1, |()| solver.gap());
            for count in &mut left_over[..gap] {
                *count += 1;
            }
        }
        println!("  e = {:.3}: {left_over:?}", expansion as f64 / 1000.0);
    }
    let shape = Shape::of(keys as u64, 1);
    println!(
        "in use for {keys} keys: {} sparse and {} dense places",
        shape.sparse(),
        shape.dense()
    );
}

/// How often an encoding of the band store fails, at the expansion in use and a few widths.
fn bands(items: &[u128], runs: usize) {
    let starts = items.len() as u64 * BAND_EXPANSION_THOUSANDTHS / 1000;
    println!("{} keys, {starts} starts, {runs} encodings", items.len());
    for width in (24..=72).step_by(8) {
        let band = Band::exactly(u32::try_from(starts).unwrap_or(u32::MAX), width);
        let mut failed = 0;
        for run in 0..runs {
            let mut binding = [1; 32];
            binding[..8].copy_from_slice(&(run as u64).to_le_bytes());
            let hasher = Hasher::new(&binding);
            let binned = band.sort(&hasher, items);
            let (mut rows, mut solver) = (band::Rows::default(), band::Solver::new(&band));
            let taken = (0..band.batches()).all(|batch| {
                band.rows(&hasher, binned.bin(batch), &mut rows);
                solver.take(&rows).is_ok()
            });
            failed += u64::from(!taken);
        }
        println!("  width {width}: {failed} failed, 2^{:.2}", (failed as f64 / runs as f64).log2());
    }
}
