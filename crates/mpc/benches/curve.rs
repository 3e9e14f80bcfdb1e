//! Measures curves: nanoseconds of processor time per multiplication, and ECDH intersections with both parties in one process.
//!
//! `cargo bench -p tidm-mpc --bench curve`

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program that prints what it measured"
)]

use curve25519_dalek::montgomery::MontgomeryPoint;
use tidm_mpc::curve;
use tidm_mpc::kernel::{self, one_by_one};
use tidm_mpc::random::Stream;

/// Processor time of this process so far, all threads, in seconds; Linux tells it in hundredths.
fn processor() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let ticks =
        |field: usize| fields.split_whitespace().nth(field).unwrap().parse::<f64>().unwrap();
    (ticks(11) + ticks(12)) / 100.0
}

fn per_point(name: &str, count: usize, work: impl FnOnce(&mut [[u8; 32]])) {
    let mut stream = Stream::new(&[1; 32]);
    let mut points: Vec<[u8; 32]> = (0..count).map(|_| stream.bytes32()).collect();
    let begin = processor();
    work(&mut points);
    println!("{name:<40} {:>9.0} ns", (processor() - begin) / count as f64 * 1e9);
}

fn main() {
    let scalar = curve::clamped([0x5a; 32]);
    per_point("x25519, as this processor can", 400_000, |us| curve::x25519_many(&scalar, us));
    per_point("x25519, portable", 30_000, |us| one_by_one::ladders(&scalar, us));
    per_point("x25519, curve25519-dalek", 30_000, |us| {
        for u in us {
            *u = MontgomeryPoint(*u).mul_clamped(scalar).to_bytes();
        }
    });
    per_point("elligator 2, as this processor can", 400_000, kernel::maps);
    per_point("elligator 2, portable", 100_000, one_by_one::maps);
}
