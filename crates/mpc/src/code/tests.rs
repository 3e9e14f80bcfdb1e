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

/// How many of the convolved symbols each of these sums of outputs looks at: the weight of its code word, but for the few
/// symbols that pass through. Found by putting unit vectors in and seeing which sums they reach.
fn word_weights(length: usize, sums: &[Vec<usize>]) -> Vec<usize> {
    let half = length / 2;
    let mut seen = vec![0; sums.len()];
    for lanes in (0..half).collect::<Vec<_>>().chunks(128) {
        let mut noise = vec![Gf::ZERO; length];
        for (bit, position) in lanes.iter().enumerate() {
            noise[half + position] = Gf(1 << bit);
        }
        let outputs = compressed(noise);
        for (count, sum) in seen.iter_mut().zip(sums) {
            let sum = sum.iter().fold(0, |sum, output| sum ^ outputs[*output].0);
            *count += sum.count_ones() as usize;
        }
    }
    seen
}

const SHORT: usize = 12_000;

#[test]
fn every_single_output_looks_at_a_good_part_of_the_noise() {
    // With the regular expander an output reaches over at least 6 of 7 sections, half of whose symbols count: at least
    // 0.2 of all noise, well above the 0.143 from which the noise weight is worked out.
    let sums: Vec<Vec<usize>> = (0..SHORT / 2).map(|output| vec![output]).collect();
    let lightest = word_weights(SHORT, &sums).into_iter().min().unwrap();
    assert!(lightest as f64 > 0.19 * SHORT as f64, "{lightest} of {SHORT}");
}

#[test]
fn pairs_that_cancel_in_the_last_two_sections_still_do() {
    let half = SHORT / 2;
    let mut places = Vec::new();
    draw_places(u32::try_from(half).unwrap(), half, &mut index_stream(half), &mut places);
    let last_two = |output: usize| [places[output][5], places[output][6]];
    let mut order: Vec<usize> = (0..half).collect();
    order.sort_unstable_by_key(|output| last_two(*output));
    let pairs: Vec<Vec<usize>> = order
        .windows(2)
        .filter(|pair| last_two(pair[0]) == last_two(pair[1]))
        .map(<[usize]>::to_vec)
        .collect();
    // About half² / 2 pairs, each of which shares two places with probability (7 / half)²: 24.5.
    assert!((8..50).contains(&pairs.len()), "{}", pairs.len());
    let lightest = word_weights(SHORT, &pairs).into_iter().min().unwrap();
    assert!(lightest as f64 > SHORT as f64 / 7.0, "{lightest} of {SHORT}");
    // And they really are lighter than single outputs: the estimate is not far from what there is.
    assert!((lightest as f64) < 0.18 * SHORT as f64, "{lightest} of {SHORT}");
}

#[test]
fn the_noise_weight_gives_128_bits_against_linear_tests() {
    let weight = (CODE_WEIGHT as f64 - 3.0) / CODE_WEIGHT as f64 / 4.0;
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
