//! Sizes, sums and labels over parts against what a trusted third party would say, and against crashes between runs.

use std::collections::BTreeMap;
use std::thread;

use crate::channel::memory::pair;
use crate::circuit::{Learns, Opened, Opens, Totals, ideal};
use crate::fault::Fault;
use crate::partition::cut::{Cut, key};
use crate::partition::labels::{self, Labels};
use crate::partition::memory::Memory;
use crate::partition::part::Equals;
use crate::partition::plan::Plan;
use crate::partition::run::{Done, Loaded, Parts};
use crate::partition::shares::{Share, Shares, Terms, closing, run};
use crate::psi::labelled::Found;
use crate::psi::{self, Item, Security};
use crate::random::Seed;
use crate::session::{Party, Session, SessionId, Setting, Unwatched};

/// One party with everything in memory.
struct One {
    parts: Memory,
    values: Vec<i64>,
    labels: Vec<u8>,
    shares: BTreeMap<u32, Share>,
    found: Vec<Found>,
    closing: Option<[u8; 32]>,
    opened: Option<Opened>,
}

impl Parts for One {
    fn claim(&mut self) -> Result<Option<(Loaded, Option<u32>)>, Fault> {
        self.parts.claim()
    }

    fn named(&mut self, part: u32, next: Option<u32>) -> Result<Loaded, Fault> {
        self.parts.named(part, next)
    }

    fn keep(&mut self, done: &Done) -> Result<(), Fault> {
        self.parts.keep(done)
    }

    fn finished(&mut self, part: u32) -> Result<(), Fault> {
        self.parts.finished(part)
    }
}

impl Shares for One {
    fn values(&self) -> &[i64] {
        &self.values
    }

    fn keep_share(&mut self, share: &Share) -> Result<(), Fault> {
        self.shares.insert(share.part, *share);
        Ok(())
    }

    fn shares(&mut self) -> Result<Vec<Share>, Fault> {
        Ok(self.shares.values().copied().collect())
    }

    fn begin_closing(&mut self, runs: &[u8; 32]) -> Result<(), Fault> {
        match *self.closing.get_or_insert(*runs) == *runs {
            true => Ok(()),
            false => Err(Fault::PeerIncompatible { what: "other runs" }),
        }
    }

    fn keep_opened(&mut self, opened: &Opened) -> Result<(), Fault> {
        self.opened = Some(*opened);
        Ok(())
    }
}

impl Labels for One {
    fn labels(&self) -> &[u8] {
        &self.labels
    }

    fn keep_labels(&mut self, _part: u32, found: &[Found]) -> Result<(), Fault> {
        self.found.extend_from_slice(found);
        Ok(())
    }
}

fn items(numbers: impl IntoIterator<Item = u64>) -> Vec<Item> {
    let spread =
        |it: u64| u128::from(it + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    numbers.into_iter().map(|it| Item(spread(it))).collect()
}

fn plan(one: &[Item], other: &[Item], parts: u32, security: Security) -> Plan {
    let (receiver_items, sender_items) = (one.len() as u64, other.len() as u64);
    let learns = psi::Learns::Receiver;
    Plan { whole: psi::Terms { security, learns, receiver_items, sender_items, parts: 1 }, parts }
}

fn party(plan: &Plan, party: Party, all: &[Item], equals: Equals) -> One {
    let part = plan.part_terms().unwrap();
    let (whole, most) = match party {
        Party::Receiver => (plan.whole.receiver_items, part.receiver_items),
        Party::Sender => (plan.whole.sender_items, part.sender_items),
    };
    let cut = Cut::new(&key(&[4; 32], &[1; 32], &[2; 32]), plan.parts);
    let parts = Memory::cut(&cut, all.iter().copied(), whole, equals, most).unwrap();
    let (values, labels, found) = (Vec::new(), Vec::new(), Vec::new());
    One { parts, values, labels, shares: BTreeMap::new(), found, closing: None, opened: None }
}

/// Both over one connection.
fn both<T: Send>(
    ones: &mut [One; 2],
    work: impl Fn(&mut Session<'_>, &mut One) -> Result<T, Fault> + Sync,
) -> [Result<T, Fault>; 2] {
    let (left, right) = pair();
    let [one, other] = ones;
    let start = |mut channel: crate::channel::memory::Memory, party, seed, one: &mut One| {
        let (id, seed) = (SessionId([4; 32]), Seed::new([seed; 32]));
        let channel = &mut channel;
        let setting = Setting { channel, party, id, seed, watch: &Unwatched };
        work(&mut Session::open(setting, b"more")?, one)
    };
    thread::scope(|scope| {
        let peer = scope.spawn(|| start(right, Party::Sender, 2, other));
        let received = start(left, Party::Receiver, 1, one);
        [received, peer.join().unwrap()]
    })
}

fn value(index: usize) -> i64 {
    i64::try_from(index).unwrap() * 7 - 900
}

#[test]
fn answers_over_parts_are_the_dealers() {
    let (one, other) = (items(0..900), items(600..1500));
    let sum: i64 = (0..300).map(value).sum();
    let mine: i64 = (600..900).map(value).sum();
    let bound = Terms::bound(900);
    let cases = [
        (Opens::Size, None, 0, u64::MAX, 300),
        (Opens::Size, None, 300, 300, 300),
        (Opens::Size, None, 301, u64::MAX, 300),
        (Opens::Size, None, 1, 299, 300),
        (Opens::AtLeast(300), None, 0, u64::MAX, 300),
        (Opens::AtLeast(301), None, 0, u64::MAX, 300),
        (Opens::Sum { bound }, Some(Party::Sender), 300, u64::MAX, sum),
        (Opens::Sum { bound }, Some(Party::Receiver), 0, 300, mine),
        (Opens::Sum { bound }, Some(Party::Sender), 301, u64::MAX, sum),
    ];
    for (index, (opens, of, least, most, sum)) in (0u32..).zip(cases) {
        for learns in [Learns::Receiver, Learns::Both] {
            let plan = plan(&one, &other, [1, 3, 8][index as usize % 3], Security::SemiHonest);
            let terms = Terms { of, closing: closing(&plan, opens, learns, least, most) };
            let mut ones = [
                party(&plan, Party::Receiver, &one, Equals::Refuse),
                party(&plan, Party::Sender, &other, Equals::Refuse),
            ];
            for it in &mut ones {
                it.values = (0..900).map(value).collect();
            }
            let found = both(&mut ones, |session, it| run(session, &plan, &terms, it));
            for (found, party) in found.into_iter().zip([Party::Receiver, Party::Sender]) {
                let expected = ideal::opened(&terms.closing, party, 300, sum);
                assert_eq!(found.unwrap(), expected, "{terms:?} {party:?}");
            }
            // What each of them keeps of a part is a share: together they are the part's size, alone they are not small.
            let [one, other] = &ones;
            let mut size = 0;
            for (one, other) in one.shares.values().zip(other.shares.values()) {
                assert_eq!(one.run, other.run);
                let part = one.totals.plus(other.totals);
                assert!(
                    part.size <= 300 && one.totals.size > 1 << 40 && other.totals.size > 1 << 40
                );
                size += part.size;
            }
            assert_eq!(size, 300);
        }
    }
}

#[test]
fn rows_with_equal_keys_are_summed_up_and_count_once() {
    let mut other = items(0..40);
    other.extend(items(0..40));
    let one = items(30..60);
    let plan = plan(&one, &other, 2, Security::SemiHonest);
    let opens = Opens::Sum { bound: Terms::bound(30) };
    let of = Some(Party::Sender);
    let terms = Terms { of, closing: closing(&plan, opens, Learns::Receiver, 10, 10) };
    for (equals, expected) in [
        (Equals::First, (30..40).map(value).sum::<i64>()),
        (Equals::Multiply, (30..40).chain(70..80).map(value).sum()),
    ] {
        let mut ones = [
            party(&plan, Party::Receiver, &one, equals),
            party(&plan, Party::Sender, &other, equals),
        ];
        ones[1].values = (0..80).map(value).collect();
        let [received, sent] = both(&mut ones, |session, it| run(session, &plan, &terms, it));
        assert_eq!(received.unwrap().sum, Some(expected), "{equals:?}");
        assert_eq!(sent.unwrap(), Opened { within: true, ..Opened::default() });
    }
}

#[test]
fn values_beyond_the_bound_end_it_before_their_part_runs() {
    let all = items(0..10);
    let plan = plan(&all, &all, 1, Security::SemiHonest);
    let bound = Terms::bound(10);
    let of = Some(Party::Sender);
    let terms =
        Terms { of, closing: closing(&plan, Opens::Sum { bound }, Learns::Receiver, 0, u64::MAX) };
    let mut ones =
        [Party::Receiver, Party::Sender].map(|it| party(&plan, it, &all, Equals::Refuse));
    ones[1].values = vec![i64::try_from(bound).unwrap(); 10];
    ones[1].values[9] += 1;
    let [received, sent] = both(&mut ones, |session, it| run(session, &plan, &terms, it));
    assert_eq!(sent.unwrap_err().code(), "mpc.too-many");
    assert_eq!(received.unwrap_err().code(), "mpc.connection-lost");
    let over = Terms {
        of,
        closing: closing(&plan, Opens::Sum { bound: bound + 1 }, Learns::Receiver, 0, 9),
    };
    assert_eq!(over.closing.check().unwrap_err().code(), "mpc.too-many");
}

/// Shares of two different runs of a part do not fit; that is seen before anything is opened.
#[test]
fn shares_of_another_run_are_not_opened() {
    let all = items(0..100);
    let plan = plan(&all, &all, 2, Security::SemiHonest);
    let closing = closing(&plan, Opens::Size, Learns::Both, 0, u64::MAX);
    let terms = Terms { of: None, closing };
    let mut ones =
        [Party::Receiver, Party::Sender].map(|it| party(&plan, it, &all, Equals::Refuse));
    let found = both(&mut ones, |session, it| run(session, &plan, &terms, it));
    assert!(found.into_iter().all(|it| it.unwrap().size == Some(100)));
    // Nothing is left to run: a connection that only opens gives the same again.
    let found = both(&mut ones, |session, it| run(session, &plan, &terms, it));
    assert!(found.into_iter().all(|it| it.unwrap().size == Some(100)));
    let share = Share { part: 1, run: [0; 16], totals: Totals::default() };
    ones[0].shares.insert(1, share);
    for fault in both(&mut ones, |session, it| run(session, &plan, &terms, it)) {
        assert_eq!(fault.unwrap_err().code(), "mpc.peer-incompatible");
    }
    // Nor those of a run that both have, once others were opened.
    ones[1].shares.insert(1, share);
    for fault in both(&mut ones, |session, it| run(session, &plan, &terms, it)) {
        assert!(matches!(fault, Err(Fault::PeerIncompatible { what: "other runs" })));
    }
}

#[test]
fn labels_come_with_their_rows_in_every_part() {
    let mut one = items(50..150);
    one.extend(items(60..70));
    let other = items(0..100);
    for security in [Security::SemiHonest, Security::SemiHonestLow, Security::Malicious] {
        for (parts, bytes) in [(1, 5u32), (4, 3), (4, 0)] {
            let plan = plan(&one, &other, parts, security);
            let mut ones = [
                party(&plan, Party::Receiver, &one, Equals::Multiply),
                party(&plan, Party::Sender, &other, Equals::Multiply),
            ];
            let label = |row: u8| vec![row; bytes as usize];
            ones[1].labels = (0..100).flat_map(label).collect();
            for done in both(&mut ones, |session, it| labels::run(session, &plan, bytes, it)) {
                done.unwrap();
            }
            let mut found = std::mem::take(&mut ones[0].found);
            found.sort_by_key(|it| it.place);
            let expected = (50..100u8).map(|row| (u32::from(row - 50), row));
            let equal = (60..70u8).map(|row| (u32::from(row) + 40, row));
            let expected: Vec<Found> = expected
                .chain(equal)
                .map(|(place, row)| Found { place, label: label(row) })
                .collect();
            assert_eq!(found, expected, "{security:?} {parts}");
            let places: usize =
                ones[0].parts.kept.values().map(|it| it.places.as_ref().unwrap().len()).sum();
            assert_eq!(places, 60);
        }
    }
}
