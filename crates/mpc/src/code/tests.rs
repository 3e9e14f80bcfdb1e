use super::*;
use crate::field::Gf;
use crate::kernel::Pair;
use crate::limits::NOISE_WEIGHT;

fn random(length: usize, seed: u8) -> Vec<Gf> {
    Stream::new(&[seed; 32]).blocks(length).into_iter().map(Gf).collect()
}

fn compressed<L: Lane>(mut noise: Vec<L>) -> Vec<L> {
    compress(&mut noise);
    noise
}

#[test]
fn compression_is_linear_over_the_field_and_the_same_for_both_lanes() {
    for length in [2, 14, 100, 5000] {
        let (a, c) = (random(length, 1), random(length, 2));
        let factor = Gf(0xdead_beef_1234);
        let sum: Vec<Gf> = a.iter().zip(&c).map(|(a, c)| a.times(factor) ^ *c).collect();
        let pairs: Vec<Pair> = a.iter().zip(&c).map(|(&a, &c)| Pair { a, c }).collect();
        let (a, c) = (compressed(a), compressed(c));
        assert_eq!(a.len(), length / 2);
        let expected: Vec<Gf> = a.iter().zip(&c).map(|(a, c)| a.times(factor) ^ *c).collect();
        assert_eq!(compressed(sum), expected);
        let expected: Vec<Pair> = a.iter().zip(&c).map(|(&a, &c)| Pair { a, c }).collect();
        assert_eq!(compressed(pairs), expected);
    }
}

#[test]
fn the_first_half_passes_through() {
    let mut noise = vec![Gf::ZERO; 2000];
    noise[17] = Gf(5);
    let mut expected = vec![Gf::ZERO; 1000];
    expected[17] = Gf(5);
    assert_eq!(compressed(noise), expected);
}

/// Relative weight of the code word that belongs to a sum of outputs: how much of the noise that sum looks at. Counted by
/// the transposed code: put unit vectors in and see which outputs they reach.
fn word_weights(length: usize) -> Vec<usize> {
    let half = length / 2;
    let mut seen = vec![0; half];
    for lanes in (0..half).collect::<Vec<_>>().chunks(128) {
        let mut noise = vec![Gf::ZERO; length];
        for (bit, position) in lanes.iter().enumerate() {
            noise[half + position] = Gf(1 << bit);
        }
        for (count, output) in seen.iter_mut().zip(compressed(noise)) {
            *count += output.0.count_ones() as usize;
        }
    }
    seen
}

#[test]
fn every_single_output_looks_at_a_good_part_of_the_noise() {
    // With the regular expander an output reaches over at least 6 of 7 sections, half of whose symbols count: at least
    // 0.2 of all noise, well above the 0.178 from which the noise weight is worked out.
    let length = 12_000;
    let lightest = word_weights(length).into_iter().min().unwrap();
    assert!(lightest as f64 > 0.19 * length as f64, "{lightest} of {length}");
}

#[test]
fn the_noise_weight_gives_128_bits_against_linear_tests() {
    let weight = (CODE_WEIGHT as f64 - 2.0) / CODE_WEIGHT as f64 / 4.0;
    let bits = -(NOISE_WEIGHT as f64) * (1.0 - weight).log2();
    assert!(bits >= 128.0, "{bits}");
}

#[test]
fn the_convolution_never_dies_out() {
    let mut symbols = vec![Gf::ZERO; 100_000];
    symbols[0] = Gf::ONE;
    convolve(&mut symbols, &mut Stream::new(&[6; 32]));
    for window in symbols.windows(CODE_MEMORY) {
        assert!(window.iter().any(|symbol| *symbol != Gf::ZERO));
    }
}
