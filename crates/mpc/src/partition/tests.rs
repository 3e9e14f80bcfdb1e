use std::thread;

use super::*;
use crate::channel::memory::pair;
use crate::psi::{Learns, Security, ideal};
use crate::session::tests::both;
use crate::session::{Party, SessionId, Unwatched};

fn run(
    plan: &Plan,
    one: &[Item],
    other: &[Item],
    equals: Equals,
    spaces: [&mut (dyn Space + Send); 2],
) -> (Result<Outcome, Fault>, Result<Outcome, Fault>) {
    let (mut left, mut right) = pair();
    let [space, other_space] = spaces;
    let id = SessionId([4; 32]);
    thread::scope(|scope| {
        let sender = scope.spawn(move || {
            let seed = Seed::new([2; 32]);
            let setting =
                Setting { channel: &mut right, party: Party::Sender, id, seed, watch: &Unwatched };
            send(setting, plan, other.iter().copied(), equals, other_space)
        });
        let seed = Seed::new([1; 32]);
        let setting =
            Setting { channel: &mut left, party: Party::Receiver, id, seed, watch: &Unwatched };
        let received = receive(setting, plan, one.iter().copied(), equals, space);
        drop(left);
        (received, sender.join().unwrap())
    })
}

fn plan(parts: u32, items: u64) -> Plan {
    let whole = Terms {
        security: Security::SemiHonest,
        learns: Learns::Both,
        receiver_items: items,
        sender_items: items,
    };
    Plan { whole, parts }
}

fn items(range: std::ops::Range<u128>) -> Vec<Item> {
    range.map(|x| Item(x * x + 3)).collect()
}

#[test]
fn parts_together_are_the_whole() {
    let (one, other) = (items(0..5000), items(3000..7000));
    for parts in [1, 2, 7, 16] {
        let (mut left, mut right) = (InMemory::default(), InMemory::default());
        let (received, sent) =
            run(&plan(parts, 6000), &one, &other, Equals::Refuse, [&mut left, &mut right]);
        let (set, others) = (Set::new(&one).unwrap(), Set::new(&other).unwrap());
        assert_eq!(received.unwrap().places.unwrap(), ideal::intersection(&set, &others));
        assert_eq!(sent.unwrap().places.unwrap(), ideal::intersection(&others, &set));
    }
}

#[test]
fn duplicates_are_refused_or_the_first_counts() {
    let mut one = items(0..500);
    one.extend(items(0..30));
    let other = items(20..60);
    let (mut left, mut right) = (InMemory::default(), InMemory::default());
    let (received, _) = run(&plan(4, 600), &one, &other, Equals::Refuse, [&mut left, &mut right]);
    assert_eq!(received.unwrap_err().code(), "mpc.duplicate-items");
    let (mut left, mut right) = (InMemory::default(), InMemory::default());
    let (received, _) = run(&plan(4, 600), &one, &other, Equals::First, [&mut left, &mut right]);
    let received = received.unwrap();
    assert_eq!(received.left_out, 30);
    assert_eq!(received.places.unwrap(), (20..60).collect::<Vec<u32>>());
}

/// A space that gives back something else.
struct Changing {
    inner: InMemory,
    change: fn(&mut Vec<u8>),
}

impl Space for Changing {
    fn append(&mut self, part: u32, bytes: &[u8]) -> Result<(), Fault> {
        self.inner.append(part, bytes)
    }

    fn take(&mut self, part: u32) -> Result<Vec<u8>, Fault> {
        let mut bytes = self.inner.take(part)?;
        (self.change)(&mut bytes);
        Ok(bytes)
    }
}

#[test]
fn a_part_that_comes_back_changed_is_refused() {
    let changes: [fn(&mut Vec<u8>); 6] = [
        |bytes| bytes[40] ^= 1,
        |bytes| bytes[0] ^= 1,
        |bytes| bytes.truncate(bytes.len() - 1),
        |bytes| bytes.truncate(bytes.len() - RECORD_BYTES),
        |bytes| bytes.push(0),
        Vec::clear,
    ];
    for change in changes {
        let mut left = Changing { inner: InMemory::default(), change };
        let mut right = InMemory::default();
        let all = items(0..200);
        let (received, _) = run(&plan(2, 200), &all, &all, Equals::Refuse, [&mut left, &mut right]);
        assert_eq!(received.unwrap_err().code(), "mpc.spill-failed");
    }
}

#[test]
fn what_lies_in_the_space_shows_no_item() {
    let written = |seed: &'static [u8]| {
        let (bytes, _) = both(
            seed,
            |session| {
                let mut space = InMemory::default();
                Parts::new(session, 1, &mut space).fill(items(0..100).into_iter(), 100)?;
                space.take(0)
            },
            |_| Ok(()),
        );
        bytes.unwrap()
    };
    let bytes = written(b"one");
    assert_eq!(bytes.len(), 4 + 100 * RECORD_BYTES);
    for item in items(0..100) {
        assert!(!bytes.windows(16).any(|window| window == item.0.to_le_bytes()));
    }
}

#[test]
fn plans_have_bounds_and_little_padding() {
    assert_eq!(plan(0, 10).part_terms().unwrap_err().code(), "mpc.misuse");
    assert_eq!(plan(MAX_PARTITIONS + 1, 10).part_terms().unwrap_err().code(), "mpc.too-many");
    assert_eq!(plan(2, MAX_ITEMS * 4).part_terms().unwrap_err().code(), "mpc.too-many");
    // Reference point: 10^9 items in 256 parts are padded by less than one in a hundred.
    let (part, _) = plan(256, 1_000_000_000).part_items();
    assert!(part as f64 <= 1.01 * 1e9 / 256.0, "{part}");
}

#[test]
fn as_many_parts_as_the_memory_asks_for() {
    let parts = |items, bytes| Plan::within(plan(1, items).whole, bytes).map(|plan| plan.parts);
    assert_eq!(parts(1000, 1 << 30), Ok(1));
    assert_eq!(parts(1 << 20, 100 << 20), Ok(2));
    // One run carries no more than its own bound, whatever the memory.
    assert_eq!(parts(2 * MAX_ITEMS, u64::MAX), Ok(4));
    assert_eq!(parts(1_000_000_000, 2 << 30), Ok(128));
    assert_eq!(parts(1_000_000_000, 1 << 20).unwrap_err().code(), "mpc.too-many");
}
