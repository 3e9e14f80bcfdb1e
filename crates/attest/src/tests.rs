//! What holds of all formats, and what their tests share: published evidence (the kit `attestation` lies beside the
//! project or where `TIDM_CONFORMANCE` points) and the one way evidence is tampered with.

use std::ops::Range;
use std::path::PathBuf;

use crate::appraisal::{Appraisal, Claim, Level, Outcome};
use crate::appraise;
use crate::evidence::{Evidence, Kind};
use crate::policy::{Chips, Policy, report_data};

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
    flip(bytes, signed, |_| &BITS, appraise)
}

/// The same with one flip per byte, of the bit whose number is the byte's: each of the eight in its turn. In the long run
/// (`TIDM_LONG`) every bit.
pub(crate) fn flip_every_byte(
    bytes: &[u8],
    signed: &[Range<usize>],
    appraise: impl Fn(&[u8]) -> Appraisal,
) -> (usize, usize) {
    flip(bytes, signed, masks, appraise)
}

const BITS: [u8; 8] = [1, 2, 4, 8, 16, 32, 64, 128];

/// What is flipped in the byte at this place.
pub(crate) fn masks(at: usize) -> &'static [u8] {
    if long() { &BITS } else { &BITS[at % 8..=at % 8] }
}

pub(crate) fn long() -> bool {
    std::env::var("TIDM_LONG").is_ok_and(|it| it == "1")
}

/// Flips of so many bytes, in this run.
pub(crate) fn flips_of(bytes: usize) -> usize {
    bytes * masks(0).len()
}

fn flip(
    bytes: &[u8],
    signed: &[Range<usize>],
    masks: impl Fn(usize) -> &'static [u8],
    appraise: impl Fn(&[u8]) -> Appraisal,
) -> (usize, usize) {
    let genuine = appraise(bytes);
    assert!(genuine.is_accepted(), "{genuine:?}");
    let (mut refused, mut unchanged) = (0, 0);
    let mut tampered = bytes.to_vec();
    for at in 0..bytes.len() {
        for mask in masks(at) {
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

/// Bytes that look random, the same in every run.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    };
    (0..length).map(|_| next()).collect()
}

#[test]
fn garbage_of_any_length_is_refused_with_one_reason() {
    let policy = Policy { chips: Chips::Any, ..Policy::default() };
    for length in [0, 1, 3, 4, 63, 180, 832, 1184, 2084, 2548, 4600, 30_000, 1_000_000] {
        for bytes in [vec![0; length], vec![0xFF; length], vec![b'['; length], noise(length)] {
            let it = &bytes[..];
            let kinds = [
                Kind::Snp { vcek: it, ask: it, ark: it },
                Kind::Intel { collateral: it },
                Kind::Csv { hrk: it, hsk: it, cek: it },
                Kind::Tpm { key: it, signature: it, pcrs: &[] },
                Kind::Simulated,
            ];
            for kind in kinds {
                let appraisal = appraise(&Evidence { bytes: it, kind }, &policy, 1_750_400_000);
                assert_eq!(appraisal.facts, None);
                assert_eq!(appraisal.level, Level::AtMostE2);
                assert_eq!(appraisal.refusals().count(), 1);
                let open =
                    appraisal.findings.iter().filter(|it| it.outcome == Outcome::NotAppraised);
                assert_eq!(open.count(), Claim::ALL.len() - 1);
                assert!(!appraisal.is_accepted());
            }
        }
    }
}

#[test]
fn bound_bytes_depend_on_where_the_nonce_ends() {
    let all = [
        report_data(b"ab", b"c", b""),
        report_data(b"a", b"bc", b""),
        report_data(b"", b"abc", b""),
        report_data(b"abc", b"", b""),
        report_data(b"ab", b"", b"c"),
    ];
    for (index, one) in all.iter().enumerate() {
        assert!(all.iter().skip(index + 1).all(|other| one != other));
    }
}
