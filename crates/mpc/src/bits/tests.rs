use proptest::prelude::*;

use super::*;
use crate::fault::Fault;
use crate::field::Gf;
use crate::limits::{BIT_EXPANSION, BIT_NOISE_WEIGHT, CODE_WEIGHT, MAX_PRODUCTS, MIN_EXPANSION};
use crate::random::Stream;
use crate::session::tests::both;
use crate::session::{Party, Session};

/// The receiver's places, and the sender's behind its Δ, per length.
type Produced = (Vec<Vec<Gf>>, (u128, Vec<Vec<Gf>>));

fn produce(lengths: &'static [usize]) -> Produced {
    let (received, sent) = both(
        b"t",
        move |session| {
            let mut receiver = Receiver::set_up(session, b"test")?;
            let mut all = Vec::new();
            for length in lengths {
                let mut places = Vec::new();
                receiver.produce(session, *length, |more| places.extend_from_slice(more))?;
                all.push(places);
            }
            Ok(all)
        },
        move |session| {
            let mut sender = Sender::set_up(session, b"test")?;
            let mut all = Vec::new();
            for length in lengths {
                let mut places = Vec::new();
                sender.produce(session, *length, |more| places.extend_from_slice(more))?;
                all.push(places);
            }
            Ok((sender.delta(), all))
        },
    );
    (received.unwrap(), sent.unwrap())
}

#[test]
fn places_are_what_a_dealer_could_deal_and_never_come_twice() {
    const LENGTHS: &[usize] = &[0, 1, MIN_EXPANSION + 1, BIT_EXPANSION + 5];
    let (c, (delta, b)) = produce(LENGTHS);
    for ((c, b), length) in c.iter().zip(&b).zip(LENGTHS) {
        assert_eq!(c.len(), *length);
        assert!(ideal::fits(delta, b, c));
        // A dealer's own do, and no others.
        let dealt = ideal::deal(&mut Stream::new(&[4; 32]), *length);
        assert!(ideal::fits(dealt.delta, &dealt.b, &dealt.c));
        assert!(*length < 200 || !ideal::fits(dealt.delta, b, c));
    }
    let (c, mut b) = (c.concat(), b.concat());
    for bit in 0..128 {
        let ones = c.iter().filter(|c| c.0 >> bit & 1 == 1).count();
        // Six standard deviations of a fair coin.
        let far = 3.0 * (c.len() as f64).sqrt();
        assert!((ones as f64 - c.len() as f64 / 2.0).abs() < far, "bit {bit}: {ones}");
    }
    b.sort_unstable_by_key(|b| b.0);
    assert!(b.windows(2).all(|pair| pair[0] != pair[1]));
}

#[test]
fn the_noise_of_bits_gives_128_bits_against_linear_tests() {
    // The same relative weight as for the large field (`code`), where a test is off by (1 - 2δ)^t.
    let weight = (CODE_WEIGHT as f64 - 3.0) / CODE_WEIGHT as f64 / 4.0;
    let bits = -(BIT_NOISE_WEIGHT as f64) * (1.0 - 2.0 * weight).log2();
    assert!(bits >= 128.0, "{bits}");
    assert_eq!(BIT_EXPANSION % (2 * WORD_BITS), 0);
}

/// Both parties of a computation on the same words, and the sum of their shares.
fn shared(
    run: impl Fn(&mut Session<'_>, &mut Gates) -> Result<Vec<u128>, Fault> + Sync,
) -> [Vec<u128>; 2] {
    let party = |session: &mut Session<'_>| {
        let mut gates = Gates::set_up(session)?;
        run(session, &mut gates)
    };
    let (one, other) = both(b"t", party, party);
    [one.unwrap(), other.unwrap()]
}

fn opened([one, other]: &[Vec<u128>; 2]) -> Vec<u128> {
    one.iter().zip(other).map(|(one, other)| one ^ other).collect()
}

/// A word's shares, the same in both parties' threads.
fn share(session: &Session<'_>, secret: &[u128], seed: u8) -> Vec<u128> {
    let mask = Stream::new(&[seed; 32]).blocks(secret.len());
    match session.party() {
        Party::Sender => mask,
        Party::Receiver => secret.iter().zip(mask).map(|(secret, mask)| secret ^ mask).collect(),
    }
}

#[test]
fn gates_multiply_and_their_shares_look_random() {
    for length in [0, 1, 2, 65, 700] {
        let x = Stream::new(&[1; 32]).blocks(length);
        let y = Stream::new(&[2; 32]).blocks(length);
        let shares = shared(|session, gates| {
            let (x, y) = (share(session, &x, 3), share(session, &y, 4));
            gates.and(session, &x, &y)
        });
        assert_eq!(opened(&shares), ideal::and(&x, &y));
        for share in shares {
            let ones: u32 = share.iter().map(|word| word.count_ones()).sum();
            let all = 128.0 * length as f64;
            assert!((f64::from(ones) - all / 2.0).abs() <= 3.0 * all.sqrt(), "{ones} of {all}");
        }
    }
}

#[test]
fn triples_are_products_of_random_bits() {
    let (one, other) = both(
        b"t",
        |session| Transfers::set_up(session, Party::Sender, b"x")?.triples(session, 500),
        |session| Transfers::set_up(session, Party::Sender, b"x")?.triples(session, 500),
    );
    let (one, mut other) = (one.unwrap(), other.unwrap());
    assert!(ideal::are_triples([&one, &other], 500));
    let mut counts = [0u32; 2];
    for i in 0..500 {
        let (a, b) = (one.a[i] ^ other.a[i], one.b[i] ^ other.b[i]);
        counts[0] += a.count_ones();
        counts[1] += b.count_ones();
    }
    assert!(counts.iter().all(|count| count.abs_diff(32_000) < 800), "{counts:?}");
    other.c[499] ^= 1;
    assert!(!ideal::are_triples([&one, &other], 500));
}

#[test]
fn strings_of_any_length_and_number_are_compared() {
    for (bits, count) in [(0, 3), (1, 1), (2, 127), (3, 128), (61, 129), (64, 1000), (128, 300)] {
        let mut stream = Stream::new(&[7; 32]);
        let keep = u128::MAX.checked_shr(128 - u32::try_from(bits).unwrap()).unwrap_or(0);
        let ours: Vec<u128> = stream.blocks(count).iter().map(|value| value & keep).collect();
        // A third equal, a third with one bit other, a third with all others.
        let theirs: Vec<u128> = (0..count)
            .map(|i| match i % 3 {
                _ if bits == 0 => 0,
                0 => ours[i],
                1 => ours[i] ^ 1 << (i % bits),
                _ => !ours[i] & keep,
            })
            .collect();
        let shares = shared(|session, gates| {
            let own = if session.party() == Party::Sender { &ours } else { &theirs };
            gates.equal(session, slices(own, bits), count)
        });
        assert_eq!(opened(&shares), ideal::equal(&ours, &theirs), "{bits} bits, {count}");
    }
}

#[test]
fn a_shared_sum_is_held_against_a_bound() {
    let top = u64::MAX >> 1;
    let cases = [
        (0, 0),
        (0, 1),
        (5, 5),
        (5, 6),
        (6, 5),
        (top, top),
        (0, top),
        (top, 0),
        (1 << 40, (1 << 40) - 1),
    ];
    let shares = shared(|session, gates| {
        let mut found = Vec::new();
        for (i, (sum, least)) in cases.iter().enumerate() {
            let mask = 0x9e37_79b9_7f4a_7c15u64.wrapping_mul(i as u64);
            let share =
                if session.party() == Party::Sender { mask } else { sum.wrapping_sub(mask) };
            found.push(gates.at_least(session, share, *least)?);
        }
        Ok(found)
    });
    let expected: Vec<u128> = cases.iter().map(|(sum, least)| u128::from(sum >= least)).collect();
    assert_eq!(opened(&shares), expected);
    let (refused, _) =
        both(b"t", |session| Gates::set_up(session)?.at_least(session, 0, 1 << 63), Gates::set_up);
    assert_eq!(refused.unwrap_err().code(), "mpc.too-many");
}

/// Sums of both parties' shares of products with the values of the transfers' sender.
fn products(sender: Party, bits: &[u128], values: &[u64]) -> (Vec<u64>, Vec<u64>) {
    let party = |session: &mut Session<'_>| {
        let mut transfers = Transfers::set_up(session, sender, b"products")?;
        let nothing = vec![0; values.len()];
        let own = if session.party() == sender { values } else { &nothing };
        transfers.products(session, &share(session, bits, 5), own)
    };
    let (one, other) = both(b"t", party, party);
    let (one, other) = (one.unwrap(), other.unwrap());
    let sums = one.iter().zip(&other).map(|(one, other)| one.wrapping_add(*other)).collect();
    (sums, one)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn bits_times_numbers_in_either_direction(values in proptest::collection::vec(any::<u64>(), 0..300), seed: u8, turned: bool) {
        let mut bits = Stream::new(&[seed; 32]).blocks(words(values.len()));
        mask_tail(&mut bits, values.len());
        let sender = if turned { Party::Receiver } else { Party::Sender };
        let (found, _) = products(sender, &bits, &values);
        prop_assert_eq!(found, ideal::products(&bits, &values));
    }

    #[test]
    fn triples_of_any_number_are_what_a_dealer_could_deal(count in 0usize..70, turned: bool) {
        let sender = if turned { Party::Receiver } else { Party::Sender };
        let party = |session: &mut Session<'_>| Transfers::set_up(session, sender, b"x")?.triples(session, count);
        let (one, other) = both(b"t", party, party);
        prop_assert!(ideal::are_triples([&one.unwrap(), &other.unwrap()], count));
    }
}

#[test]
fn shares_of_products_look_random_whatever_they_add_up_to() {
    for bits in [0, u128::MAX] {
        let (_, shares) = products(Party::Sender, &[bits; 20], &[1; 2560]);
        for bit in 0..64 {
            let ones = shares.iter().filter(|share| *share >> bit & 1 == 1).count();
            assert!(ones.abs_diff(1280) < 160, "bit {bit}: {ones}");
        }
    }
}

#[test]
fn wrong_calls_and_too_many_are_faults() {
    let (fault, _) = both(
        b"t",
        |session| {
            let mut gates = Gates::set_up(session)?;
            assert_eq!(gates.and(session, &[0], &[]).unwrap_err().code(), "mpc.misuse");
            let slices = vec![vec![0; 1], vec![0; 2]];
            assert_eq!(gates.equal(session, slices, 3).unwrap_err().code(), "mpc.misuse");
            let transfers = gates.transfers();
            assert_eq!(transfers.products(session, &[], &[1]).unwrap_err().code(), "mpc.misuse");
            transfers.products(session, &[], &vec![0; MAX_PRODUCTS + 1])
        },
        Gates::set_up,
    );
    assert_eq!(fault.unwrap_err().code(), "mpc.too-many");
}

#[test]
fn slices_are_bits_turned() {
    let values = Stream::new(&[3; 32]).blocks(300);
    for (i, slice) in slices(&values, 70).iter().enumerate() {
        assert_eq!(slice.len(), 3);
        for (j, value) in values.iter().enumerate() {
            assert_eq!(slice[j / 128] >> (j % 128) & 1, value >> i & 1);
        }
    }
}
