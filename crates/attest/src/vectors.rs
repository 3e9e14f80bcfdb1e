//! Published evidence for tests: the kit `attestation` lies beside the project or where `TIDM_CONFORMANCE` points. And
//! the one way all formats are tampered with.

use std::ops::Range;
use std::path::PathBuf;

use crate::appraisal::Appraisal;

/// The folder of one format; says so when there is none, and the test counts as skipped.
pub(crate) fn folder(format: &str) -> Option<PathBuf> {
    let root = std::env::var_os("TIDM_CONFORMANCE").map(PathBuf::from).or_else(|| {
        let start = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        start.ancestors().map(|up| up.join("shared/conformance")).find(|it| it.is_dir())
    });
    let found = root.map(|it| it.join("attestation").join(format)).filter(|it| it.is_dir());
    if found.is_none() {
        println!("SKIPPED: published evidence: no shared/conformance/attestation/{format}");
    }
    found
}

/// Flips every bit of `bytes`, byte by byte. Inside the ranges that count each is refused, elsewhere each is refused
/// or changes nothing. Returns how many flips were refused and how many changed nothing.
pub(crate) fn flip_every_bit(
    bytes: &[u8],
    signed: &[Range<usize>],
    appraise: impl Fn(&[u8]) -> Appraisal,
) -> (usize, usize) {
    flip(bytes, signed, &[1, 2, 4, 8, 16, 32, 64, 128], appraise)
}

/// The same with one flip per byte.
pub(crate) fn flip_every_byte(
    bytes: &[u8],
    signed: &[Range<usize>],
    appraise: impl Fn(&[u8]) -> Appraisal,
) -> (usize, usize) {
    flip(bytes, signed, &[0x01], appraise)
}

fn flip(
    bytes: &[u8],
    signed: &[Range<usize>],
    masks: &[u8],
    appraise: impl Fn(&[u8]) -> Appraisal,
) -> (usize, usize) {
    let genuine = appraise(bytes);
    assert!(genuine.is_accepted(), "{genuine:?}");
    let (mut refused, mut unchanged) = (0, 0);
    let mut tampered = bytes.to_vec();
    for at in 0..bytes.len() {
        for mask in masks {
            tampered[at] ^= mask;
            let appraisal = appraise(&tampered);
            tampered[at] ^= mask;
            if appraisal.is_accepted() {
                assert!(!signed.iter().any(|it| it.contains(&at)), "byte {at} is signed");
                assert_eq!(appraisal, genuine, "byte {at}");
                unchanged += 1;
            } else {
                refused += 1;
            }
        }
    }
    (refused, unchanged)
}

/// How long one appraisal takes, the best of some.
pub(crate) fn time(appraise: impl Fn() -> Appraisal) -> std::time::Duration {
    let once = || {
        let start = std::time::Instant::now();
        assert!(appraise().is_accepted());
        start.elapsed()
    };
    (0..10).map(|_| once()).min().unwrap_or_default()
}
