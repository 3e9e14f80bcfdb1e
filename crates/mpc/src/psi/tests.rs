use std::collections::HashSet;
use std::thread;

use proptest::prelude::*;

use super::*;
use crate::channel::memory::pair;
use crate::curve::Suite;
use crate::limits::MAX_ECDH_ITEMS;
use crate::random::{Seed, Stream};
use crate::session::{Meter, Party, Session, SessionId, Setting, Unwatched};

fn setting<'a>(
    channel: &'a mut dyn crate::channel::Channel,
    party: Party,
    seed: u8,
) -> Setting<'a> {
    let seed = Seed::new([seed; 32]);
    Setting { channel, party, id: SessionId([1; 32]), seed, watch: &Unwatched }
}

/// What both learn, and what the receiver's meter says.
type Learnt = (Vec<u32>, Option<Vec<u32>>, Meter);

fn run(terms: &Terms, receiver: &Set, sender: &Set) -> Result<Learnt, Fault> {
    let (mut left, right) = pair();
    thread::scope(|scope| {
        let other = scope.spawn(move || {
            // The channel goes with this thread: a fault here must not leave the other party waiting.
            let mut right = right;
            Sender::once(setting(&mut right, Party::Sender, 2), terms, sender)
        });
        let mut session = Session::open(setting(&mut left, Party::Receiver, 1), &terms.bytes())?;
        let found = Receiver::set_up(&mut session, terms)?.run(&mut session, receiver)?;
        let meter = session.meter().clone();
        Ok((found, other.join().unwrap()?, meter))
    })
}

pub(crate) fn set(numbers: impl IntoIterator<Item = u128>) -> Set {
    Set::new(&numbers.into_iter().map(Item).collect::<Vec<_>>()).unwrap()
}

fn terms(security: Security, learns: Learns, receiver: &Set, sender: &Set) -> Terms {
    let (receiver_items, sender_items) = (receiver.len() as u64, sender.len() as u64);
    Terms { security, learns, receiver_items, sender_items, parts: 1 }
}

pub(crate) const ALL: [Security; 4] =
    [Security::SemiHonest, Security::SemiHonestLow, Security::Malicious, Security::Ecdh];

fn check(receiver: &Set, sender: &Set) {
    for security in ALL {
        for learns in [Learns::Receiver, Learns::Both] {
            let terms = terms(security, learns, receiver, sender);
            let (found, told, _) = run(&terms, receiver, sender).unwrap();
            assert_eq!(found, ideal::intersection(receiver, sender), "{terms:?}");
            let expected = (learns == Learns::Both).then(|| ideal::intersection(sender, receiver));
            assert_eq!(told, expected, "{terms:?}");
        }
    }
}

#[test]
fn the_result_is_the_dealers_at_every_size_and_overlap() {
    let range = |begin: u128, end: u128| set((begin..end).map(|x| x * x + 1));
    let cases = [
        (range(0, 0), range(0, 0)),
        (range(0, 0), range(0, 5)),
        (range(0, 5), range(0, 0)),
        (range(0, 1), range(0, 1)),
        (range(0, 1), range(1, 2)),
        (range(0, 255), range(100, 356)),
        (range(0, 256), range(0, 256)),
        (range(0, 257), range(257, 512)),
        (range(0, 4097), range(4000, 4010)),
        (range(0, 3), range(0, 5000)),
        (range(0, 45_000), range(44_000, 46_000)),
    ];
    for (receiver, sender) in cases {
        check(&receiver, &sender);
    }
}

#[test]
fn the_result_is_the_dealers_around_powers_of_two_and_for_skewed_sizes() {
    let spread = |begin: u128, count: u128| {
        set((begin..begin + count)
            .map(|x| x.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)))
    };
    let mut cases: Vec<(Set, Set)> = Vec::new();
    for count in [63, 64, 65, 191, 192, 193, 1023, 1024, 1025] {
        // All equal, none equal, half of them.
        cases.extend([0, count, count / 2].map(|begin| (spread(0, count), spread(begin, count))));
    }
    for (few, many) in [(0, 3000), (1, 3000), (2, 9000)] {
        cases.push((spread(5, few), spread(0, many)));
        cases.push((spread(0, many), spread(5, few)));
    }
    cases.push((spread(0, 33_000), spread(32_999, 33_000)));
    for (receiver, sender) in cases {
        check(&receiver, &sender);
    }
}

/// Two million pairs of items in random sets of random sizes; in long tests in every variant.
#[test]
fn two_million_random_pairs_meet_where_a_hash_set_says() {
    let long = std::env::var("TIDM_LONG").is_ok_and(|long| long == "1");
    let variants = ALL;
    let mut left = 2_000_000u32;
    let mut stream = Stream::new(&[11; 32]);
    while left > 0 {
        let pairs = (1 + stream.below(60_000)).min(left);
        left -= pairs;
        // Numbers from a range about as large as the sets: common items, and many runs of neighbours.
        let range = pairs + stream.below(2 * pairs + 1) + 1;
        let mut one =
            || -> HashSet<u128> { (0..pairs).map(|_| stream.below(range).into()).collect() };
        let (ours, theirs) = (one(), one());
        let (receiver, sender) = (set(ours.iter().copied()), set(theirs.iter().copied()));
        // A tenth of them in every variant all the same.
        let some = if long || left < 200_000 { variants.len() } else { 1 };
        for security in variants.into_iter().take(some) {
            let terms = terms(security, Learns::Receiver, &receiver, &sender);
            let (found, _, _) = run(&terms, &receiver, &sender).unwrap();
            let found: HashSet<u128> =
                found.iter().map(|place| receiver.items()[*place as usize]).collect();
            assert_eq!(found, ours.intersection(&theirs).copied().collect(), "{terms:?}");
        }
    }
}

#[test]
fn low_communication_takes_less_than_twenty_one_megabytes_for_a_million() {
    // The parts that grow: places of the store, and masks. The rest is below a megabyte (docs/psi/low-communication.md).
    let terms = Terms {
        security: Security::SemiHonestLow,
        learns: Learns::Receiver,
        receiver_items: 1 << 20,
        sender_items: 1 << 20,
        parts: 1,
    };
    let store = crate::okvs::band::Band::of(terms.receiver_items, terms.parts).places() * 8;
    let masks = masks::Code::new(1 << 20, terms.mask_bits()).bytes();
    assert!(store + masks < 17_600_000, "{store} {masks}");
}

#[test]
fn masks_are_long_enough_for_all_parts_of_a_job_together() {
    use crate::partition::plan::Plan;
    let whole = |security, items| Terms {
        security,
        learns: Learns::Receiver,
        receiver_items: items,
        sender_items: items / 3,
        parts: 1,
    };
    for security in [Security::SemiHonest, Security::SemiHonestLow, Security::Ecdh] {
        for items in [1000, 1 << 20, 1 << 24] {
            for parts in [1, 2, 3, 64, 4096] {
                if security == Security::Ecdh && items / u64::from(parts) > 1 << 21 {
                    continue;
                }
                let part = Plan { whole: whole(security, items), parts }.part_terms().unwrap();
                assert_eq!((part.parts, part.check()), (parts, Ok(())));
                // Every pair of one part, in every part.
                let pairs = part.receiver_items as f64 * part.sender_items as f64;
                let log = (pairs * f64::from(parts)).log2() - f64::from(part.mask_bits());
                assert!((-43.0..=-40.0).contains(&log), "{items} in {parts}: 2^{log}");
                let alone = Terms { parts: 1, ..part };
                assert_eq!(part.mask_bits() - alone.mask_bits(), log2_up(parts.into()));
                // Both parties have it in what they compare; of a whole nothing stands there.
                assert_eq!(part.bytes() == alone.bytes(), parts == 1);
            }
        }
    }
    let malicious = Plan { whole: whole(Security::Malicious, 1 << 20), parts: 64 };
    assert_eq!(malicious.part_terms().unwrap().mask_bits(), MALICIOUS_MASK_BITS);
    for (parts, code) in [(0, "mpc.misuse"), (MAX_PARTITIONS + 1, "mpc.too-many")] {
        let terms = Terms { parts, ..whole(Security::SemiHonest, 9) };
        assert_eq!(terms.check().unwrap_err().code(), code);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn random_sets_meet_where_a_hash_set_says(variant in 0usize..3, one in proptest::collection::hash_set(0u128..300, 0..200), other in proptest::collection::hash_set(0u128..300, 0..200), room in 0u64..50) {
        let (receiver, sender) = (set(one.iter().copied()), set(other.iter().copied()));
        let security = [Security::SemiHonestLow, Security::Malicious, Security::Ecdh][variant];
        let mut terms = terms(security, Learns::Both, &receiver, &sender);
        terms.receiver_items += room;
        terms.sender_items += room / 2;
        let (found, told, _) = run(&terms, &receiver, &sender).unwrap();
        let items = |set: &Set, places: &[u32]| places.iter().map(|p| set.items()[*p as usize]).collect::<HashSet<_>>();
        let expected: HashSet<u128> = one.intersection(&other).copied().collect();
        prop_assert_eq!(&items(&receiver, &found), &expected);
        prop_assert_eq!(&items(&sender, &told.unwrap()), &expected);
    }
}

#[test]
fn places_are_the_callers_when_duplicates_were_left_out() {
    let items: Vec<Item> = [9, 9, 4, 9, 7, 4].map(Item).to_vec();
    let (receiver, left_out) = Set::first_of_equals(&items).unwrap();
    let sender = set([7, 4, 1]);
    assert_eq!(left_out, 3);
    let terms = terms(Security::SemiHonest, Learns::Both, &receiver, &sender);
    let (found, told, _) = run(&terms, &receiver, &sender).unwrap();
    assert_eq!(found, [2, 4]);
    assert_eq!(told.unwrap(), [0, 1]);
}

#[test]
fn traffic_depends_on_the_agreed_sizes_only() {
    let agreed = |receiver: Set, sender: Set, (security, learns)| {
        let terms = Terms { security, learns, receiver_items: 3000, sender_items: 2000, parts: 1 };
        run(&terms, &receiver, &sender).unwrap().2
    };
    let variants = ALL;
    for variant in variants.iter().flat_map(|it| [(*it, Learns::Receiver), (*it, Learns::Both)]) {
        let expected = agreed(set([]), set([]), variant);
        let pairs = [
            (set(0..3000), set(0..2000)),
            (set(0..1), set(5..9)),
            (set(0..2000), set(10_000..10_001)),
            (set(Stream::new(&[5; 32]).blocks(3000)), set([])),
        ];
        for (receiver, sender) in pairs {
            assert_eq!(agreed(receiver, sender, variant), expected);
        }
    }
}

fn follow_one_set_up(security: Security) {
    let sets: Vec<(Set, Set)> =
        (0..4u128).map(|i| (set(i * 50..i * 50 + 100), set(0..100 + i * 25))).collect();
    let terms = Terms {
        security,
        learns: Learns::Receiver,
        receiver_items: 100,
        sender_items: 200,
        parts: 1,
    };
    let (mut left, mut right) = pair();
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut session =
                Session::open(setting(&mut right, Party::Sender, 2), &terms.bytes()).unwrap();
            let mut sender = Sender::set_up(&mut session, &terms).unwrap();
            for (_, set) in &sets {
                assert_eq!(sender.run(&mut session, set).unwrap(), None);
            }
        });
        let mut session =
            Session::open(setting(&mut left, Party::Receiver, 1), &terms.bytes()).unwrap();
        let mut receiver = Receiver::set_up(&mut session, &terms).unwrap();
        for (set, other) in &sets {
            assert_eq!(receiver.run(&mut session, set).unwrap(), ideal::intersection(set, other));
        }
    });
}

#[test]
fn several_runs_follow_one_set_up() {
    for security in ALL {
        follow_one_set_up(security);
    }
}

#[test]
fn larger_sets_than_agreed_are_a_fault_of_ours_before_a_byte_leaves() {
    let (mut left, _right) = pair();
    let terms = Terms {
        security: Security::SemiHonest,
        learns: Learns::Receiver,
        receiver_items: 2,
        sender_items: 2,
        parts: 1,
    };
    let fault =
        Receiver::once(setting(&mut left, Party::Receiver, 1), &terms, &set(0..3)).unwrap_err();
    assert_eq!(fault.code(), "mpc.too-many");
    let huge = Terms { sender_items: MAX_ITEMS + 1, ..terms };
    assert_eq!(huge.check().unwrap_err().code(), "mpc.too-many");
}

const SUITES: [Suite; 3] = [Suite::Ristretto255, Suite::Curve25519, Suite::Sm2];

fn run_ecdh(terms: &ecdh::Terms, receiver: &Set, sender: &Set) -> ecdh::Learnt {
    let (mut left, mut right) = pair();
    thread::scope(|scope| {
        scope.spawn(|| ecdh::send(setting(&mut right, Party::Sender, 2), terms, sender).unwrap());
        ecdh::receive(setting(&mut left, Party::Receiver, 1), terms, receiver).unwrap()
    })
}

#[test]
fn ecdh_gives_the_dealers_items_or_only_their_number() {
    let cases = [
        (set([]), set([]), 0),
        (set([1]), set([1]), 0),
        (set([1, 2]), set([]), 3),
        (set([]), set([1]), 1),
        (set(0..300), set(200..600), 0),
        (set(0..257), set(0..257), 5),
        (set(0..3), set(0..1000), 0),
    ];
    for (receiver, sender, room) in cases {
        let expected = ideal::intersection(&receiver, &sender);
        for (suite, reveal) in SUITES.into_iter().flat_map(|suite| {
            [ecdh::Reveal::Items, ecdh::Reveal::Size].map(|reveal| (suite, reveal))
        }) {
            let terms = ecdh::Terms {
                suite,
                reveal,
                receiver_items: receiver.len() as u64 + room,
                sender_items: sender.len() as u64 + room,
            };
            let learnt = run_ecdh(&terms, &receiver, &sender);
            let wanted = match reveal {
                ecdh::Reveal::Items => ecdh::Learnt::Items(expected.clone()),
                ecdh::Reveal::Size => ecdh::Learnt::Size(expected.len() as u64),
            };
            assert_eq!(learnt, wanted, "{terms:?}");
        }
    }
}

#[test]
fn suites_have_terms_and_bounds_of_their_own() {
    let terms = |suite, reveal, receiver_items| ecdh::Terms {
        suite,
        reveal,
        receiver_items,
        sender_items: 0,
    };
    let all: Vec<Vec<u8>> = SUITES
        .into_iter()
        .flat_map(|suite| {
            [ecdh::Reveal::Items, ecdh::Reveal::Size].map(|reveal| terms(suite, reveal, 5).bytes())
        })
        .collect();
    assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len());
    assert_eq!(all[1][..9], *b"psi-ecdh\x01");
    for suite in SUITES {
        let most = if suite == Suite::Curve25519 { MAX_ITEMS } else { MAX_ECDH_ITEMS };
        let (mut left, _right) = pair();
        let terms = terms(suite, ecdh::Reveal::Items, most + 1);
        let setting = setting(&mut left, Party::Receiver, 1);
        let fault = ecdh::receive(setting, &terms, &set([])).unwrap_err();
        assert_eq!(fault.code(), "mpc.too-many");
    }
}

/// Puts other points into the first message of one step.
pub(crate) struct Changed<C> {
    pub(crate) inner: C,
    pub(crate) step: crate::step::Step,
    pub(crate) point: Vec<u8>,
}

impl<C: crate::channel::Channel> crate::channel::Channel for Changed<C> {
    fn send(&mut self, step: crate::step::Step, message: &[u8]) -> Result<(), Fault> {
        let mut message = message.to_vec();
        if step == self.step {
            let end = message.len();
            message[end - self.point.len()..].copy_from_slice(&self.point);
        }
        self.inner.send(step, &message)
    }

    fn receive(&mut self, step: crate::step::Step, length: usize) -> Result<Vec<u8>, Fault> {
        self.inner.receive(step, length)
    }
}

#[test]
fn points_that_are_none_are_faults_on_either_side() {
    use crate::step::Step;
    let bytes = |first: u8, rest: u8, last: u8| {
        let mut bytes = vec![rest; 32];
        (bytes[0], bytes[31]) = (first, last);
        bytes
    };
    let mut cases: Vec<(Suite, Vec<u8>)> = [
        // 0, 1, p − 1 (the twist's), p, p + 1, p + 9, 2^255 − 1, the highest bit, and 2 (the twist's).
        bytes(0, 0, 0),
        bytes(1, 0, 0),
        bytes(236, 255, 127),
        bytes(237, 255, 127),
        bytes(238, 255, 127),
        bytes(246, 255, 127),
        bytes(255, 255, 127),
        bytes(9, 0, 128),
        bytes(2, 0, 0),
    ]
    .map(|point| (Suite::Curve25519, point))
    .to_vec();
    cases.extend(
        [bytes(0, 0, 0), bytes(1, 0, 0), bytes(255, 255, 255)].map(|p| (Suite::Ristretto255, p)),
    );
    let sm2 = |sign: u8, x: u8| [vec![sign], vec![x; 32]].concat();
    // The neutral element, an unknown sign, x above the modulus, and an x without a y (found by trying).
    cases
        .extend([sm2(0, 0), sm2(5, 1), sm2(2, 255), sm2(4, 1), sm2(2, 5)].map(|p| (Suite::Sm2, p)));
    for (suite, point) in cases {
        for step in [Step::Blinded, Step::Evaluated] {
            let terms = ecdh::Terms {
                suite,
                reveal: ecdh::Reveal::Items,
                receiver_items: 3,
                sender_items: 3,
            };
            let (left, right) = pair();
            let (one, other) = thread::scope(|scope| {
                let (terms, point) = (&terms, &point);
                let sender = scope.spawn(move || {
                    let mut right = Changed { inner: right, step, point: point.clone() };
                    ecdh::send(setting(&mut right, Party::Sender, 2), terms, &set(0..3))
                });
                let mut left = Changed { inner: left, step, point: point.clone() };
                let one = ecdh::receive(setting(&mut left, Party::Receiver, 1), terms, &set(0..3));
                drop(left);
                (one.map(|_| ()), sender.join().unwrap())
            });
            let told = if step == Step::Blinded { other } else { one };
            let fault = told.expect_err(&format!("{suite:?} {step} {point:x?}"));
            assert_eq!(fault.code(), "mpc.peer-misbehaved", "{suite:?} {point:x?}");
        }
    }
}

/// The same in a run of a job's part, by name.
#[test]
fn a_run_by_points_says_what_is_wrong_with_one() {
    use crate::step::Step;
    let point = |first: u8, rest: u8, last: u8| [&[first][..], &[rest; 30], &[last]].concat();
    let sets = (set(0..3), set(2..5));
    let terms = terms(Security::Ecdh, Learns::Both, &sets.0, &sets.1);
    for (point, name) in [
        (point(0, 0, 0), "low order"),
        (point(1, 0, 0), "low order"),
        (point(237, 255, 127), "no canonical"),
        (point(9, 0, 128), "no canonical"),
        (point(2, 0, 0), "twist"),
    ] {
        for step in [Step::Blinded, Step::Evaluated] {
            let (left, right) = pair();
            let (one, other) = thread::scope(|scope| {
                let (terms, sets, point) = (&terms, &sets, &point);
                let sender = scope.spawn(move || {
                    let mut right = Changed { inner: right, step, point: point.clone() };
                    Sender::once(setting(&mut right, Party::Sender, 2), terms, &sets.1).err()
                });
                let mut left = Changed { inner: left, step, point: point.clone() };
                let setting = setting(&mut left, Party::Receiver, 1);
                let one = Receiver::once(setting, terms, &sets.0).err();
                drop(left);
                (one, sender.join().unwrap())
            });
            let fault = if step == Step::Blinded { other } else { one }.unwrap();
            assert_eq!(fault.code(), "mpc.peer-misbehaved", "{step} {point:x?}");
            assert!(fault.to_string().contains(name), "{step} {point:x?}: {fault}");
        }
    }
}

/// Half of a batch, a batch, and somewhat more than two, with other sizes on the other side.
#[test]
fn batches_of_points_come_to_their_ends_whatever_their_numbers() {
    use crate::limits::ECDH_PART_BATCH;
    let batch = ECDH_PART_BATCH as u128;
    for (ours, theirs) in [(batch, 3), (3, batch), (2 * batch + 1, batch - 1), (1, 0), (0, 2)] {
        let (receiver, sender) = (set(0..ours), set(ours / 2..ours / 2 + theirs));
        let mut terms = terms(Security::Ecdh, Learns::Both, &receiver, &sender);
        for room in [0, 7] {
            terms.receiver_items += room;
            terms.sender_items += 2 * room;
            let (found, told, _) = run(&terms, &receiver, &sender).unwrap();
            assert_eq!(found, ideal::intersection(&receiver, &sender), "{terms:?}");
            assert_eq!(told.unwrap(), ideal::intersection(&sender, &receiver), "{terms:?}");
        }
    }
}
