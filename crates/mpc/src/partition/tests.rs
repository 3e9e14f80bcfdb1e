mod more;

use std::thread;

use super::cut::{Cut, key};
use super::memory::{Memory, Outcome, once};
use super::part::{Distinct, Part, RECORD_BYTES, TOO_FULL};
use super::plan::Plan;
use super::run::{Done, Loaded, Parts, receive, send};
use super::sealed::{CHUNK_BYTES, Sealer, TAG_BYTES};
use super::talk::{Agreed, Greeting, compare, greet, ready};
use super::*;
use crate::channel::memory::pair;
use crate::fault::Fault;
use crate::limits::{MAX_ECDH_PART_ITEMS, MAX_ITEMS, MAX_PARTITIONS};
use crate::psi::tests::ALL;
use crate::psi::{Item, Learns, Security, Set, ideal};
use crate::random::{Seed, Stream};
use crate::session::tests::both;
use crate::session::{Party, Session, Setting, Unwatched};
use crate::step::Step;

fn job(items: u64, equals: Equals) -> Job {
    let whole = Terms {
        security: Security::SemiHonest,
        learns: Learns::Both,
        receiver_items: items,
        sender_items: items,
        parts: 1,
    };
    Job { id: [4; 32], whole, equals, rule: [9; 32] }
}

fn run(
    jobs: [&Job; 2],
    parts: [u32; 2],
    one: &[Item],
    other: &[Item],
) -> (Result<Outcome, Fault>, Result<Outcome, Fault>) {
    let (mut left, right) = pair();
    let id = jobs[0].session();
    thread::scope(|scope| {
        let sender = scope.spawn(move || {
            let mut right = right;
            let seed = Seed::new([2; 32]);
            let (channel, watch) = (&mut right, &Unwatched);
            let setting = Setting { channel, party: Party::Sender, id, seed, watch };
            once(setting, jobs[1], parts[1], other.iter().copied())
        });
        let seed = Seed::new([1; 32]);
        let (channel, watch) = (&mut left, &Unwatched);
        let setting = Setting { channel, party: Party::Receiver, id, seed, watch };
        let received = once(setting, jobs[0], parts[0], one.iter().copied());
        drop(left);
        (received, sender.join().unwrap())
    })
}

fn items(range: std::ops::Range<u128>) -> Vec<Item> {
    range
        .map(|x| Item((x * x + 3).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)))
        .collect()
}

#[test]
fn parts_together_are_the_whole() {
    let (one, other) = (items(0..5000), items(3000..7000));
    let (set, others) = (Set::new(&one).unwrap(), Set::new(&other).unwrap());
    for parts in [[1, 1], [1, 2], [7, 3], [16, 16]] {
        for security in ALL {
            let mut job = job(6000, Equals::Refuse);
            job.whole.security = security;
            let (received, sent) = run([&job, &job], parts, &one, &other);
            assert_eq!(received.unwrap().places.unwrap(), ideal::intersection(&set, &others));
            assert_eq!(sent.unwrap().places.unwrap(), ideal::intersection(&others, &set));
        }
    }
}

#[test]
fn duplicates_are_refused_or_the_first_counts() {
    let mut one = items(0..500);
    one.extend(items(0..30));
    let other = items(20..60);
    let refuse = job(600, Equals::Refuse);
    let (received, _) = run([&refuse, &refuse], [4, 4], &one, &other);
    assert_eq!(received.unwrap_err().code(), "mpc.duplicate-items");
    let first = job(600, Equals::First);
    let (received, _) = run([&first, &first], [4, 4], &one, &other);
    let received = received.unwrap();
    assert_eq!(received.left_out, 30);
    assert_eq!(received.places.unwrap(), (20..60).collect::<Vec<u32>>());
    let multiply = job(600, Equals::Multiply);
    let (received, sent) = run([&multiply, &multiply], [4, 4], &one, &other);
    let received = received.unwrap();
    assert_eq!(received.left_out, 0);
    assert_eq!(received.places.unwrap(), (20..60).chain(520..530).collect::<Vec<u32>>());
    assert_eq!(sent.unwrap().places.unwrap(), (0..40).collect::<Vec<u32>>());
}

#[test]
fn what_was_not_agreed_alike_ends_at_the_hello() {
    let (good, all) = (job(10, Equals::First), items(0..10));
    let changes: [fn(&mut Job); 3] = [
        |job| job.equals = Equals::Refuse,
        |job| job.rule[31] ^= 1,
        |job| job.whole.sender_items += 1,
    ];
    for change in changes {
        let mut bad = good;
        change(&mut bad);
        let (received, sent) = run([&good, &bad], [1, 1], &all, &all);
        let faults = [received.unwrap_err().code(), sent.unwrap_err().code()];
        assert_eq!(faults, ["mpc.peer-incompatible"; 2]);
    }
}

#[test]
fn distinct_items_are_those_of_a_sorted_list() {
    let mut stream = Stream::new(&[3; 32]);
    for count in [0u32, 1, 2, 9, 100, 3000] {
        let mut part = Part::default();
        for place in 0..count {
            // Every third item twice, and some that share their top bits.
            let item = if place % 3 == 2 { part.items[place as usize / 2] } else { stream.block() };
            part.push(if place % 5 == 4 { item >> 100 } else { item }, place);
        }
        let mut all: Vec<(u128, u32)> =
            part.items.iter().copied().zip(part.places.iter().copied()).collect();
        all.sort_unstable();
        all.dedup_by_key(|(item, _)| *item);
        let Distinct { set, left_out, .. } = part.clone().distinct(Equals::First, 10_000).unwrap();
        assert_eq!(left_out, u64::from(count) - all.len() as u64);
        let found: Vec<(u128, u32)> =
            set.items().iter().copied().zip((0..).map(|index| set.place(index))).collect();
        assert_eq!(found, all);
        let multiplied = part.clone().distinct(Equals::Multiply, 10_000).unwrap();
        assert_eq!((&multiplied.set, multiplied.left_out), (&set, 0));
        let firsts = (0..set.len()).map(|index| set.place(index)).collect();
        assert_eq!(multiplied.all(firsts), (0..count).collect::<Vec<u32>>());
        // Left out while items still come: the same in the end.
        let mut early = Part::default();
        for (item, place) in part.items.iter().zip(&part.places) {
            early.push(*item, *place);
            if early.len() % 7 == 0 {
                early.compact();
            }
        }
        assert_eq!(
            early.distinct(Equals::First, 10_000).unwrap(),
            part.clone().distinct(Equals::First, 10_000).unwrap()
        );
        // Where rows were left out already, none of the others is given: whoever left them out has them.
        let mut early = part.clone();
        early.compact();
        let multiplied = early.distinct(Equals::Multiply, 10_000).unwrap();
        assert_eq!((&multiplied.set, multiplied.left_out), (&set, 0));
        assert_eq!((multiplied.elsewhere, multiplied.also.len()), (left_out > 0, 0));
        if all.len() > 1 {
            for equals in [Equals::First, Equals::Multiply] {
                let fault = part.clone().distinct(equals, all.len() as u64 - 1).unwrap_err();
                let (count, most) = (all.len() as u64, all.len() as u64 - 1);
                assert_eq!(fault, Fault::TooMany { what: TOO_FULL, count, most });
            }
        }
    }
}

fn sealed(seed: u8, part: u32, chunks: &[&[u8]]) -> Vec<u8> {
    let mut sealer = Sealer::new(&Seed::new([seed; 32]), part);
    let mut bytes = Vec::new();
    for chunk in chunks {
        let mut chunk = chunk.to_vec();
        sealer.seal(&mut chunk);
        bytes.extend_from_slice(&chunk);
    }
    bytes.extend_from_slice(&sealer.tag());
    bytes
}

#[test]
fn a_sealed_part_comes_back_or_is_refused() {
    let records: Vec<u8> = (0..13u32).flat_map(|i| Part::record(u128::from(i) << 90, i)).collect();
    let (first, second) = records.split_at(2 * CHUNK_BYTES);
    let bytes = sealed(1, 3, &[first, second]);
    assert_eq!(bytes.len(), 13 * RECORD_BYTES + TAG_BYTES);
    assert!(!bytes.windows(16).any(|window| records.chunks(20).any(|it| &it[..16] == window)));
    let open = |bytes: Vec<u8>, part| Sealer::new(&Seed::new([1; 32]), part).open(bytes);
    assert_eq!(open(bytes.clone(), 3).unwrap(), records);
    assert_eq!(Part::of_records(&records).places, (0..13).collect::<Vec<u32>>());
    assert_eq!(sealed(1, 3, &[&records]), bytes);
    let mut pieces = Sealer::new(&Seed::new([1; 32]), 3);
    let (content, tag) = bytes.split_at(records.len());
    let mut shown = content.to_vec();
    shown.chunks_mut(CHUNK_BYTES).for_each(|chunk| pieces.unseal(chunk));
    assert!(shown == records && pieces.closes(tag) && !pieces.closes(&tag[1..]));
    assert_eq!(open(sealed(1, 3, &[]), 3).unwrap(), Vec::<u8>::new());
    // Another part's, a cut one, a longer one, any bit.
    assert_eq!(open(bytes.clone(), 4).unwrap_err().code(), "mpc.spill-failed");
    for end in 0..bytes.len() {
        assert_eq!(open(bytes[..end].to_vec(), 3).unwrap_err().code(), "mpc.spill-failed");
        let mut changed = bytes.clone();
        changed[end] ^= 1 << (end % 8);
        assert_eq!(open(changed, 3).unwrap_err().code(), "mpc.spill-failed");
    }
    assert!(open([bytes.as_slice(), &[0]].concat(), 3).is_err());
}

#[test]
fn greetings_agree_on_the_larger_number_and_both_nonces() {
    let talk = |parts: u32, nonce: u8, kept: Vec<bool>, works: bool| {
        move |session: &mut Session<'_>| {
            let agreed = greet(session, &Greeting { nonce: [nonce; 32], parts })?;
            Ok((agreed, compare(session, &kept)?, ready(session, works)?))
        }
    };
    let kept = |text: &str| text.chars().map(|c| c == '1').collect::<Vec<bool>>();
    let one = talk(8, 1, kept("110000000"), true);
    let other = talk(9, 2, kept("011000001"), true);
    let (one, other) = both(b"t", one, other);
    let agreed = Agreed { receiver_nonce: [1; 32], sender_nonce: [2; 32], parts: 9 };
    let expected = (agreed, kept("010000000"), true);
    assert_eq!((one.unwrap(), other.unwrap()), (expected.clone(), expected));
    let (one, other) = both(b"t", talk(1, 1, kept("1"), true), talk(1, 2, kept("1"), false));
    assert_eq!((one.unwrap().2, other.unwrap().2), (false, false));
    for parts in [0, MAX_PARTITIONS + 1] {
        let (one, _) = both(b"t", talk(8, 1, kept("0"), true), talk(parts, 2, kept("0"), true));
        assert_eq!(one.unwrap_err().code(), "mpc.peer-misbehaved");
    }
    for change in [
        Agreed { sender_nonce: [3; 32], ..agreed },
        Agreed { receiver_nonce: [3; 32], ..agreed },
        Agreed { parts: 10, ..agreed },
    ] {
        assert_eq!(change.same_as(&agreed).unwrap_err().code(), "mpc.peer-incompatible");
    }
    assert_eq!(agreed.same_as(&agreed), Ok(()));
}

#[test]
fn strange_answers_before_and_between_parts_are_faults() {
    let plan = Plan { whole: job(100, Equals::First).whole, parts: 4 };
    let cases: [(Step, &[u8], &str); 4] = [
        (Step::Part, &[4, 0, 0, 0, 0, 0, 0, 0], "mpc.peer-misbehaved"),
        (Step::Part, &[0, 0, 0, 0, 9, 0, 0, 0], "mpc.peer-misbehaved"),
        (Step::Part, &[0; 7], "mpc.peer-misbehaved"),
        (Step::Kept, &[], "mpc.peer-misbehaved"),
    ];
    for (step, message, expected) in cases {
        let mut memory = memory(&plan, &items(0..100), 1);
        let (_, sent) = both(
            b"t",
            |session| session.send(step, message),
            |session| send(session, &plan, &mut memory),
        );
        assert_eq!(sent.unwrap_err().code(), expected);
    }
    let strange = |session: &mut Session<'_>| {
        session.send(Step::Ready, &[2])?;
        session.receive(Step::Ready, 1)
    };
    let (one, _) = both(b"t", |session| ready(session, true), strange);
    assert_eq!(one.unwrap_err().code(), "mpc.peer-misbehaved");
}

fn memory(plan: &Plan, items: &[Item], nonce: u8) -> Memory {
    let cut = Cut::new(&key(&[1; 32], &[nonce; 32], &[2; 32]), plan.parts);
    let most = plan.part_terms().unwrap().receiver_items;
    Memory::cut(&cut, items.iter().copied(), 1000, Equals::First, most).unwrap()
}

/// Forgets what it was to keep, as a party does that dies in between.
struct Dying(Memory, u32);

impl Parts for Dying {
    fn claim(&mut self) -> Result<Option<(Loaded, Option<u32>)>, Fault> {
        self.0.claim()
    }

    fn named(&mut self, part: u32, next: Option<u32>) -> Result<Loaded, Fault> {
        self.0.named(part, next)
    }

    fn keep(&mut self, done: &Done) -> Result<(), Fault> {
        if done.part == self.1 {
            return Err(Fault::Cancelled);
        }
        self.0.keep(done)
    }

    fn finished(&mut self, part: u32) -> Result<(), Fault> {
        self.0.finished(part)
    }
}

#[test]
fn the_sender_keeps_a_part_before_the_receiver_does() {
    let plan = Plan { whole: job(1000, Equals::First).whole, parts: 4 };
    let all = items(0..1000);
    for (receiver_dies, part) in [(true, 2), (false, 2)] {
        let dies = |here: bool| if here { part } else { u32::MAX };
        let mut one = Dying(memory(&plan, &all, 1), dies(receiver_dies));
        let mut other = Dying(memory(&plan, &all, 1), dies(!receiver_dies));
        let (received, sent) = both(
            b"t",
            |session| receive(session, &plan, &mut one),
            |session| send(session, &plan, &mut other),
        );
        assert!(received.is_err() && sent.is_err());
        let kept = |it: &Dying| it.0.kept.keys().copied().collect::<Vec<u32>>();
        assert_eq!(kept(&one), [0, 1]);
        assert_eq!(kept(&other), if receiver_dies { vec![0, 1, 2] } else { vec![0, 1] });
    }
}

#[test]
fn plans_have_bounds_and_little_padding() {
    let plan = |parts, items| Plan { whole: job(items, Equals::First).whole, parts };
    assert_eq!(plan(0, 10).part_terms().unwrap_err().code(), "mpc.misuse");
    assert_eq!(plan(MAX_PARTITIONS + 1, 10).part_terms().unwrap_err().code(), "mpc.too-many");
    assert_eq!(plan(2, MAX_ITEMS * 4).part_terms().unwrap_err().code(), "mpc.too-many");
    // Values of 64 bits are for 2^24 items of a sender in all parts together.
    let mut low = plan(8, MAX_ITEMS + 1);
    assert!(low.part_terms().is_ok());
    low.whole.security = Security::SemiHonestLow;
    assert_eq!(low.part_terms().unwrap_err().code(), "mpc.too-many");
    low.whole.sender_items -= 1;
    assert!(low.part_terms().is_ok());
    // A part by Diffie and Hellman has a bound of its own.
    for (parts, items, fits) in
        [(1, MAX_ECDH_PART_ITEMS, true), (1, MAX_ECDH_PART_ITEMS + 1, false), (8, MAX_ITEMS, true)]
    {
        let mut ecdh = plan(parts, items);
        ecdh.whole.security = Security::Ecdh;
        assert_eq!(ecdh.part_terms().is_ok(), fits, "{items} in {parts}");
        let planned = Plan::within(ecdh.whole, u64::MAX).unwrap();
        assert!(planned.part_terms().is_ok());
    }
    // Reference point: 10^9 items in 256 parts are padded by less than one in a hundred.
    let (part, _) = plan(256, 1_000_000_000).part_items();
    assert!(part as f64 <= 1.01 * 1e9 / 256.0, "{part}");
}

#[test]
fn as_many_parts_as_the_memory_asks_for() {
    let whole = |items| job(items, Equals::First).whole;
    let parts = |items, bytes| Plan::within(whole(items), bytes).map(|plan| plan.parts);
    assert_eq!(parts(1000, 1 << 30), Ok(1));
    assert_eq!(parts(1 << 20, 100 << 20), Ok(2));
    // One run carries no more than its own bound, whatever the memory.
    assert_eq!(parts(2 * MAX_ITEMS, u64::MAX), Ok(4));
    assert_eq!(parts(1_000_000_000, 2 << 30), Ok(128));
    assert_eq!(parts(1_000_000_000, 1 << 20).unwrap_err().code(), "mpc.too-many");
}
