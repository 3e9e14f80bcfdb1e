use std::thread;

use proptest::prelude::*;

use super::*;
use crate::channel::Channel;
use crate::channel::memory::{Memory, pair};
use crate::psi::Item;
use crate::random::{Seed, Stream};
use crate::session::{Meter, SessionId, Unwatched};
use crate::step::Step;

/// A set, and a value for each place.
type Input = (Set, Vec<i64>);

fn input(numbers: impl IntoIterator<Item = u128>, value: impl Fn(usize) -> i64) -> Input {
    let items: Vec<Item> = numbers.into_iter().map(Item).collect();
    (Set::new(&items).unwrap(), (0..items.len()).map(value).collect())
}

fn plain(numbers: impl IntoIterator<Item = u128>) -> Input {
    input(numbers, |index| i64::try_from(index).unwrap() * 3 - 7)
}

fn terms(reveal: Reveal, learns: Learns, least: u64, one: &Input, other: &Input) -> Terms {
    let (receiver_items, sender_items) = (one.0.len() as u64, other.0.len() as u64);
    Terms { receiver_items, sender_items, reveal, learns, least, parts: 1 }
}

const SUMS: Reveal = Reveal::Sums { of_sender: true, of_receiver: true, bound: 1 << 30 };

/// Both parties over any two ends; each end is dropped with its party. Seeds are the test's.
fn parties<T: Send>(
    (left, right): (impl Channel + Send, impl Channel + Send),
    seed: u8,
    run: impl Fn(Setting<'_>) -> Result<T, Fault> + Sync,
) -> [Result<T, Fault>; 2] {
    let run = &run;
    let start = move |mut channel: Box<dyn Channel + Send + '_>, party, seed| {
        let (id, seed) = (SessionId([1; 32]), Seed::new([seed; 32]));
        run(Setting { channel: &mut *channel, party, id, seed, watch: &Unwatched })
    };
    thread::scope(|scope| {
        let right: Box<dyn Channel + Send + '_> = Box::new(right);
        let other = scope.spawn(move || start(right, Party::Sender, seed.wrapping_add(1)));
        let one = start(Box::new(left), Party::Receiver, seed);
        [one, other.join().unwrap()]
    })
}

fn own<'a>(party: Party, terms: &Terms, one: &'a Input, other: &'a Input) -> (&'a Set, &'a [i64]) {
    let (set, values) = if party == Party::Receiver { one } else { other };
    (set, if terms.values_of(party).is_some() { values } else { &[] })
}

fn outcomes(terms: &Terms, one: &Input, other: &Input) -> [Result<Outcome, Fault>; 2] {
    parties(pair(), 1, |setting| {
        let (set, values) = own(setting.party, terms, one, other);
        Circuit::once(setting, terms, set, values)
    })
}

fn check(terms: &Terms, one: &Input, other: &Input) {
    let found = outcomes(terms, one, other);
    for (found, party) in found.into_iter().zip([Party::Receiver, Party::Sender]) {
        let (ours, theirs) = ((&one.0, one.1.as_slice()), (&other.0, other.1.as_slice()));
        let expected = ideal::outcome(terms, party, ours, theirs);
        assert_eq!(found.unwrap(), expected, "{party:?} {terms:?}");
    }
}

#[test]
fn results_are_the_dealers_at_every_size_and_overlap() {
    let cases = [
        (plain(0..0), plain(0..0)),
        (plain(0..0), plain(0..5)),
        (plain(0..5), plain(0..0)),
        (plain(0..1), plain(0..1)),
        (plain(0..1), plain(1..2)),
        (plain(0..255), plain(100..356)),
        (plain(0..256), plain(0..256)),
        (plain(0..257), plain(257..512)),
        (plain(0..3), plain(0..4097)),
        (plain(0..4095), plain(4000..4010)),
        (plain(0..20_000), plain(15_000..17_000)),
    ];
    for (one, other) in cases {
        check(&terms(SUMS, Learns::Both, 0, &one, &other), &one, &other);
    }
}

#[test]
fn only_what_is_agreed_is_opened_and_only_to_whom() {
    let (one, other) = (plain(0..90), plain(60..200));
    for learns in [Learns::Receiver, Learns::Sender, Learns::Both] {
        for least in [0, 29, 30, 31, 1000] {
            let one_sum =
                |of_sender| Reveal::Sums { of_sender, of_receiver: !of_sender, bound: 1000 };
            for reveal in [Reveal::Enough, Reveal::Size, one_sum(true), one_sum(false)] {
                // Every fourth combination with a bound, to save time; all without.
                if least == 0 || reveal == Reveal::Enough || learns == Learns::Receiver {
                    check(&terms(reveal, learns, least, &one, &other), &one, &other);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10))]
    #[test]
    fn random_sets_and_values_add_up(one in proptest::collection::hash_set(0u128..300, 0..200), other in proptest::collection::hash_set(0u128..300, 0..200), values in proptest::collection::vec(-1_000_000i64..1_000_000, 200), room in 0u64..50) {
        let (one, other) = (input(one, |i| values[i]), input(other, |i| -values[199 - i]));
        let mut terms = terms(SUMS, Learns::Both, room, &one, &other);
        terms.receiver_items += room;
        terms.sender_items += room / 2;
        check(&terms, &one, &other);
    }
}

#[test]
fn values_at_their_bound_add_up_and_beyond_it_are_named() {
    let most = i64::MAX / 3;
    let (one, other) = (input(0..3, |_| most), input(0..3, |_| -most));
    let reveal = Reveal::Sums { of_sender: true, of_receiver: true, bound: most.unsigned_abs() };
    let agreed = terms(reveal, Learns::Both, 0, &one, &other);
    check(&agreed, &one, &other);
    let what = |fault: Fault| {
        let Fault::TooMany { what, .. } = fault else { panic!("{fault}") };
        what
    };
    let refused = |terms: &Terms, input: &Input| {
        let (mut left, _right) = pair();
        let (party, id, seed) = (Party::Receiver, SessionId([1; 32]), Seed::new([1; 32]));
        let setting = Setting { channel: &mut left, party, id, seed, watch: &Unwatched };
        Circuit::once(setting, terms, &input.0, &input.1).unwrap_err()
    };
    let larger = input(0..3, |i| most + i64::from(i == 2));
    assert_eq!(what(refused(&agreed, &larger)), "the size of a value that is summed up");
    let sums = |bound| Terms {
        reveal: Reveal::Sums { of_sender: true, of_receiver: true, bound },
        ..agreed
    };
    for bound in [most.unsigned_abs() + 1, u64::MAX] {
        assert_eq!(what(refused(&sums(bound), &one)), "the largest possible sum");
    }
    let many = Terms { sender_items: MAX_SHARED_ITEMS + 1, ..agreed };
    assert_eq!(what(refused(&many, &one)), "items of one party of an intersection in shares");
    let least = Terms { least: 1 << 63, ..agreed };
    assert_eq!(what(refused(&least, &one)), "the smallest result");
    assert_eq!(what(refused(&Terms { receiver_items: 2, ..agreed }, &one)), "items of the set");
    let short = (one.0.clone(), vec![1, 2]);
    assert_eq!(refused(&agreed, &short), Fault::ApiMisuse("an item has no value"));
    let misuse = Fault::ApiMisuse("values are given where the terms take none");
    assert_eq!(refused(&Terms { reveal: Reveal::Size, ..agreed }, &one), misuse);
}

fn shares(terms: &Terms, one: &Input, other: &Input, seed: u8) -> [(Shared, Meter); 2] {
    let found = parties(pair(), seed, |setting| {
        let (set, values) = own(setting.party, terms, one, other);
        let mut session = Session::open(setting, &terms.bytes())?;
        let mut circuit = Circuit::set_up(&mut session, terms)?;
        let shared = circuit.join(&mut session, set, values)?;
        if matches!(terms.reveal, Reveal::Shares { .. }) {
            assert_eq!(circuit.release(&mut session, &shared).unwrap_err().code(), "mpc.misuse");
        } else {
            circuit.release(&mut session, &shared)?;
        }
        Ok((shared, session.meter().clone()))
    });
    found.map(Result::unwrap)
}

fn bit(words: &[u128], i: usize) -> bool {
    words[i / 128] >> (i % 128) & 1 == 1
}

#[test]
fn shares_join_to_rows_and_values_and_each_alone_is_random() {
    let (one, other) =
        (plain(0..3000), input(2000..4500, |i| 1_000_000 + i64::try_from(i).unwrap()));
    let agreed = terms(Reveal::Shares { payload: true }, Learns::Both, 0, &one, &other);
    let [(ours, _), (theirs, _)] = shares(&agreed, &one, &other, 1);
    assert_eq!((ours.bins, theirs.bins), (agreed.bins(), agreed.bins()));
    assert!(theirs.rows.is_empty() && ours.own.is_none());
    let (our_values, their_values) = (ours.payload.unwrap(), theirs.payload.unwrap());
    let mut rows = Vec::new();
    for bin in 0..ours.bins {
        let item = ours.rows[bin].map(|place| one.0.items()[place as usize]);
        rows.extend(ours.rows[bin]);
        let common = item.filter(|item| (2000..4500).contains(item));
        assert_eq!(bit(&ours.matches, bin) ^ bit(&theirs.matches, bin), common.is_some());
        if let Some(item) = common {
            let value = our_values[bin].wrapping_add(their_values[bin]);
            assert_eq!(value, 1_000_000 + u64::try_from(item).unwrap() - 2000);
        }
    }
    rows.sort_unstable();
    assert!(rows.into_iter().eq(0..3000));
    for (matches, values) in [(&ours.matches, &our_values), (&theirs.matches, &their_values)] {
        let far = 3.0 * (ours.bins as f64).sqrt();
        let fair = |ones: usize| (ones as f64 - ours.bins as f64 / 2.0).abs() < far;
        assert!(fair((0..ours.bins).filter(|bin| bit(matches, *bin)).count()));
        for place in 0..64 {
            assert!(fair(values.iter().filter(|value| *value >> place & 1 == 1).count()));
        }
    }
}

/// A party's share of one bin's bit, over many seeds, is one as often as zero, whatever the bit is.
#[test]
fn a_share_says_nothing_about_its_bit() {
    let (one, other) = (plain(0..40), plain(20..60));
    let agreed = terms(Reveal::Shares { payload: false }, Learns::Both, 0, &one, &other);
    // Per party: ones among shares of common items, and among those of others.
    let mut ones = [[0u32; 2]; 2];
    let runs = 40u8;
    for seed in 0..runs {
        let both = shares(&agreed, &one, &other, seed * 2);
        for bin in 0..both[0].0.bins {
            let Some(place) = both[0].0.rows[bin] else { continue };
            for (ones, (shared, _)) in ones.iter_mut().zip(&both) {
                ones[usize::from(place >= 20)] += u32::from(bit(&shared.matches, bin));
            }
        }
    }
    let half = u32::from(runs) * 10;
    // 800 shares each: five standard deviations are 71.
    assert!(ones.iter().flatten().all(|count| count.abs_diff(half) < 71), "{ones:?}");
}

#[test]
fn traffic_depends_on_the_agreed_terms_only() {
    let reveals = [Reveal::Shares { payload: true }, Reveal::Enough, Reveal::Size, SUMS];
    for reveal in reveals {
        let agreed = Terms {
            receiver_items: 700,
            sender_items: 900,
            reveal,
            learns: Learns::Both,
            least: 0,
            parts: 1,
        };
        let cases = [
            (plain(0..0), plain(0..0)),
            (plain(0..700), plain(0..900)),
            (plain(0..700), plain(1000..1900)),
            (plain(Stream::new(&[5; 32]).blocks(333)), plain(0..1)),
        ];
        let meters =
            cases.map(|(one, other)| shares(&agreed, &one, &other, 1).map(|(_, meter)| meter));
        assert!(meters.iter().all(|meter| *meter == meters[0]), "{reveal:?}");
    }
}

#[test]
fn several_intersections_follow_one_set_up() {
    let inputs: Vec<(Input, Input)> =
        (0..3u128).map(|i| (plain(i * 50..i * 50 + 100), plain(0..100 + i * 25))).collect();
    let agreed = Terms {
        receiver_items: 100,
        sender_items: 150,
        reveal: SUMS,
        learns: Learns::Both,
        least: 5,
        parts: 1,
    };
    let found = parties(pair(), 1, |setting| {
        let party = setting.party;
        let mut session = Session::open(setting, &agreed.bytes())?;
        let mut circuit = Circuit::set_up(&mut session, &agreed)?;
        for (one, other) in &inputs {
            let (set, values) = own(party, &agreed, one, other);
            let shared = circuit.join(&mut session, set, values)?;
            let (ours, theirs) = ((&one.0, one.1.as_slice()), (&other.0, other.1.as_slice()));
            let expected = ideal::outcome(&agreed, party, ours, theirs);
            assert_eq!(circuit.release(&mut session, &shared)?, expected);
        }
        Ok(())
    });
    assert_eq!(found, [Ok(()), Ok(())]);
}

type Change = fn(&mut Step, &mut Vec<u8>);

/// Changes one message of a step on its way out: that of the number, counted from zero.
struct Meddled {
    inner: Memory,
    step: Step,
    number: usize,
    change: Change,
}

impl Channel for Meddled {
    fn send(&mut self, step: Step, message: &[u8]) -> Result<(), Fault> {
        let (mut step, mut message) = (step, message.to_vec());
        if step == self.step {
            if self.number == 0 {
                (self.change)(&mut step, &mut message);
            }
            self.number = self.number.wrapping_sub(1);
        }
        self.inner.send(step, &message)
    }

    fn receive(&mut self, step: Step, length: usize) -> Result<Vec<u8>, Fault> {
        self.inner.receive(step, length)
    }
}

const SAID: [(Party, Step); 10] = [
    (Party::Sender, Step::BitTrees),
    (Party::Receiver, Step::BitTrees),
    (Party::Sender, Step::Gates),
    (Party::Receiver, Step::Gates),
    (Party::Sender, Step::Choices),
    (Party::Receiver, Step::Choices),
    (Party::Receiver, Step::Products),
    (Party::Sender, Step::Products),
    (Party::Sender, Step::Opening),
    (Party::Receiver, Step::Opening),
];

fn meddle(party: Party, step: Step, number: usize, change: Change) -> [Result<Outcome, Fault>; 2] {
    let (one, other) = (plain(0..60), plain(30..100));
    let agreed = terms(SUMS, Learns::Both, 10, &one, &other);
    let (left, right) = pair();
    let meddled = |inner| Meddled { inner, step, number, change };
    let run = |setting: Setting<'_>| {
        let (set, values) = own(setting.party, &agreed, &one, &other);
        Circuit::once(setting, &agreed, set, values)
    };
    match party {
        Party::Receiver => parties((meddled(left), right), 1, run),
        Party::Sender => parties((left, meddled(right)), 1, run),
    }
}

#[test]
fn messages_of_other_lengths_or_steps_end_both_sides_in_faults() {
    let changes: [Change; 4] = [
        |_, message| message.truncate(message.len() - 1),
        |_, message| message.push(0),
        |_, message| message.clear(),
        |step, _| *step = Step::Hello,
    ];
    for (party, step) in SAID {
        for change in changes {
            let [one, other] = meddle(party, step, 0, change);
            let (victim, liar) = if party == Party::Sender { (one, other) } else { (other, one) };
            assert_eq!(victim.unwrap_err().code(), "mpc.peer-misbehaved", "{party:?} {step}");
            // The last to speak may be done before its message is refused.
            assert!(
                liar.is_ok()
                    || step == Step::Opening
                    || liar.is_err_and(|fault| fault.code() == "mpc.connection-lost")
            );
        }
    }
}

#[test]
fn changed_bytes_of_the_right_length_end_in_some_result_or_fault() {
    let changes: [Change; 3] = [
        |_, message| message.iter_mut().for_each(|byte| *byte = !*byte),
        |_, message| message.fill(0xff),
        |_, message| message.first_mut().into_iter().for_each(|byte| *byte ^= 1),
    ];
    for (party, step) in SAID {
        for (change, number) in changes.into_iter().zip([0, 0, 1]) {
            for found in meddle(party, step, number, change) {
                if let Err(fault) = found {
                    let codes = ["mpc.peer-misbehaved", "mpc.connection-lost"];
                    assert!(codes.contains(&fault.code()), "{party:?} {step}: {fault}");
                }
            }
        }
    }
}

#[test]
fn opened_results_that_cannot_be_are_refused() {
    // The first opening is of the bit, the second of size and sums.
    let no_bit: Change = |_, message| message.fill(2);
    let huge: Change = |_, message| message.iter_mut().for_each(|byte| *byte ^= 0x55);
    let sum: Change =
        |_, message| message.iter_mut().skip(14).take(2).for_each(|byte| *byte ^= 0x55);
    for (number, change) in [(0, no_bit), (1, huge), (1, sum)] {
        let [one, _] = meddle(Party::Sender, Step::Opening, number, change);
        assert_eq!(one.unwrap_err().code(), "mpc.peer-misbehaved");
    }
}

#[test]
fn other_terms_are_noticed_before_anything_else_is_said() {
    let (one, other) = (plain(0..10), plain(5..15));
    let agreed = terms(Reveal::Size, Learns::Both, 0, &one, &other);
    let others = [
        Terms { least: 1, ..agreed },
        Terms { learns: Learns::Sender, ..agreed },
        Terms { reveal: Reveal::Enough, ..agreed },
        Terms { sender_items: 11, ..agreed },
    ];
    for other_terms in others {
        let found = parties(pair(), 1, |setting| {
            let terms = if setting.party == Party::Sender { other_terms } else { agreed };
            let (set, values) = own(setting.party, &terms, &one, &other);
            Circuit::once(setting, &terms, set, values)
        });
        let incompatible = |found: &Result<Outcome, Fault>| {
            found.as_ref().is_err_and(|fault| {
                ["mpc.peer-incompatible", "mpc.connection-lost"].contains(&fault.code())
            })
        };
        assert!(found.iter().all(incompatible), "{found:?}");
    }
}

#[test]
fn strings_are_long_enough_for_all_parts_of_a_job_together() {
    use crate::limits::MAX_PARTITIONS;
    let terms = |receiver_items, parts, reveal| Terms {
        receiver_items,
        sender_items: 10,
        reveal,
        learns: Learns::Receiver,
        least: 0,
        parts,
    };
    for items in [1, 5000, MAX_SHARED_ITEMS] {
        for parts in [1, 3, 64, MAX_PARTITIONS] {
            let size = terms(items, parts, Reveal::Size);
            assert_eq!(size.check(), Ok(()));
            let log = (size.bins() as f64 * f64::from(parts)).log2() - size.string_bits() as f64;
            assert!((-41.0..=-40.0).contains(&log), "{items} in {parts}: 2^{log}");
            assert!(size.string_bits() <= 8 * size.programmed().value_bytes as usize);
            // A share of a value takes 64 bits of the same block.
            let sums = terms(items, parts, SUMS);
            let fits = size.string_bits() <= 64;
            assert_eq!(
                sums.check().map_err(|fault| fault.code()),
                if fits { Ok(()) } else { Err("mpc.too-many") }
            );
        }
    }
    assert_eq!(terms(MAX_SHARED_ITEMS, 3, SUMS).check(), Ok(()));
    assert_eq!(terms(MAX_SHARED_ITEMS, 4, SUMS).check().unwrap_err().code(), "mpc.too-many");
}

#[test]
fn strings_of_more_than_64_bits_say_the_same() {
    // Sizes of one part of many: what changes is the length of everything that is compared.
    let (one, other) = (plain(0..300), plain(200..450));
    let mut agreed = terms(Reveal::Size, Learns::Both, 0, &one, &other);
    agreed.parts = crate::limits::MAX_PARTITIONS;
    agreed.receiver_items = 1 << 13;
    assert!(agreed.string_bits() > 64);
    for found in parties(pair(), 3, |setting| {
        let (set, values) = own(setting.party, &agreed, &one, &other);
        Circuit::once(setting, &agreed, set, values)
    }) {
        assert_eq!(found.unwrap().size, Some(100));
    }
}
