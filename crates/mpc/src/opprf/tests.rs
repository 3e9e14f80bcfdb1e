use proptest::prelude::*;

use super::*;
use crate::session::Meter;
use crate::session::tests::both;

/// Queries of the one and points with values of the other.
type Inputs = (Vec<u128>, Vec<(u128, u128)>);

/// What the receiver gets in one run after another, and its meter.
fn run(terms: &Terms, runs: &[Inputs]) -> Result<(Vec<Vec<u128>>, Meter), Fault> {
    let (received, sent) = both(
        &terms.bytes(),
        |session| {
            let mut receiver = Receiver::set_up(session, terms)?;
            let found: Result<Vec<_>, Fault> =
                runs.iter().map(|(queries, _)| receiver.run(session, queries)).collect();
            Ok((found?, session.meter().clone()))
        },
        |session| {
            let mut sender = Sender::set_up(session, terms)?;
            runs.iter().try_for_each(|(_, programmed)| sender.run(session, programmed))
        },
    );
    // The own fault comes first: the other party may only have seen the line go down.
    match (received, sent) {
        (Err(Fault::Lost { .. }), Err(fault)) => Err(fault),
        (received, Ok(())) => received,
        (received, Err(fault)) => received.and(Err(fault)),
    }
}

/// Different points with values of so many bytes.
fn programmed(range: std::ops::Range<u128>, value_bytes: u32) -> Vec<(u128, u128)> {
    let mut values = Stream::new(&[4; 32]);
    range.map(|key| (key, values.block() >> (128 - 8 * value_bytes))).collect()
}

fn check(queries: Vec<u128>, programmed: Vec<(u128, u128)>, value_bytes: u32) {
    let terms = Terms {
        queries: queries.len() as u64,
        programmed: programmed.len() as u64,
        value_bytes,
        parts: 1,
    };
    let expected = ideal::answers(&queries, &programmed);
    let (found, _) = run(&terms, &[(queries, programmed)]).unwrap();
    assert_eq!(found[0].len(), expected.len());
    let mut unprogrammed = Vec::new();
    for (found, expected) in found[0].iter().zip(expected) {
        match expected {
            Some(value) => assert_eq!(*found, value),
            None => unprogrammed.push(*found),
        }
        assert_eq!(found & !terms.keep(), 0);
    }
    if value_bytes >= 8 {
        let count = unprogrammed.len();
        unprogrammed.sort_unstable();
        unprogrammed.dedup();
        assert_eq!(unprogrammed.len(), count, "random values repeat");
        assert!(!unprogrammed.contains(&0));
    }
}

#[test]
fn programmed_points_give_their_values_at_every_size_and_width() {
    for (queries, keys) in [
        (0..0, 0..0),
        (0..0, 0..9),
        (0..9, 0..0),
        (0..1, 0..1),
        (0..1, 1..2),
        (0..255, 100..356),
        (0..256, 0..256),
        (0..257, 257..512),
        (0..1500, 0..4600),
    ] {
        for value_bytes in [1, 8, 16] {
            check(queries.clone().collect(), programmed(keys.clone(), value_bytes), value_bytes);
        }
    }
    // Several bins on either side.
    check((0..45_000).collect(), programmed(44_000..90_000, 8), 8);
}

#[test]
fn what_is_not_programmed_is_even_also_where_all_values_are_the_same() {
    let queries: Vec<u128> = (0..4000).collect();
    let table: Vec<(u128, u128)> = (4000..8000).map(|key| (key, 0)).collect();
    let terms = Terms { queries: 4000, programmed: 4000, value_bytes: 1, parts: 1 };
    let (found, _) = run(&terms, &[(queries, table)]).unwrap();
    let mut seen = [0u32; 256];
    for value in &found[0] {
        seen[usize::try_from(*value).unwrap()] += 1;
    }
    // About 15.6 each: χ² has 255 degrees of freedom, 400 is beyond six standard deviations.
    let square: f64 = seen.iter().map(|count| (f64::from(*count) - 15.625).powi(2) / 15.625).sum();
    assert!(square < 400.0, "{square}");
}

#[test]
fn runs_follow_each_other_and_none_repeats_what_was_random() {
    let terms = Terms { queries: 100, programmed: 60, value_bytes: 16, parts: 1 };
    let one = ((0..100).collect::<Vec<u128>>(), programmed(50..110, 16));
    let (found, _) = run(&terms, &[one.clone(), one.clone(), one]).unwrap();
    for (index, [a, b]) in found[0].iter().zip(&found[1]).map(|(a, b)| [a, b]).enumerate() {
        assert_eq!(a == b, index >= 50, "{index}");
    }
    assert_eq!(found[0][50..], found[2][50..]);
}

#[test]
fn traffic_depends_on_the_agreed_numbers_only() {
    let terms = Terms { queries: 300, programmed: 500, value_bytes: 8, parts: 1 };
    let meter = |queries: u128, keys: u128| {
        run(&terms, &[((0..queries).collect(), programmed(0..keys, 8))]).unwrap().1
    };
    let expected = meter(0, 0);
    for (queries, keys) in [(300, 500), (1, 500), (300, 1), (17, 0)] {
        assert_eq!(meter(queries, keys), expected);
    }
}

#[test]
fn what_was_not_agreed_is_refused_by_name() {
    let terms = Terms { queries: 4, programmed: 4, value_bytes: 2, parts: 1 };
    let good = || ((0..4).collect::<Vec<u128>>(), programmed(0..4, 2));
    let code = |change: fn(&mut Vec<u128>, &mut Vec<(u128, u128)>)| {
        let (mut queries, mut table) = good();
        change(&mut queries, &mut table);
        run(&terms, &[(queries, table)]).unwrap_err()
    };
    assert_eq!(code(|queries, _| queries.push(9)).code(), "mpc.too-many");
    assert_eq!(code(|_, table| table.push((9, 9))).code(), "mpc.too-many");
    assert_eq!(code(|_, table| table[1].1 = 1 << 16).code(), "mpc.misuse");
    assert_eq!(code(|queries, _| queries[3] = 0), Fault::Duplicates { count: 1 });
    assert_eq!(code(|_, table| table[3].0 = 0), Fault::Duplicates { count: 1 });
    for terms in [
        Terms { value_bytes: 0, ..terms },
        Terms { value_bytes: 17, ..terms },
        Terms { programmed: MAX_ITEMS + 1, ..terms },
        Terms { queries: MAX_ITEMS + 1, ..terms },
    ] {
        assert!(run(&terms, &[good()]).is_err(), "{terms:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn any_hint_of_the_right_length_gives_values_and_any_other_is_refused(noise: u8, cut in 0usize..3) {
        let terms = Terms { queries: 20, programmed: 30, value_bytes: 8, parts: 1 };
        let (received, _) = both(
            &terms.bytes(),
            |session| Receiver::set_up(session, &terms)?.run(session, &[1, 2, 3]),
            |session| {
                let mut function = psi::Sender::set_up(session, &terms.function())?;
                let run = function.prf(session, &[])?.run;
                let length = Hint::new(&run, (30, 1), 8).bin_bytes();
                session.send(Step::Hint, &vec![noise; length - cut])
            },
        );
        match cut {
            0 => prop_assert_eq!(received.unwrap().len(), 3),
            _ => prop_assert_eq!(received.unwrap_err().code(), "mpc.peer-misbehaved"),
        }
    }
}
