use std::cell::Cell;
use std::thread;

use super::space::{InMemory, Space};
use super::*;
use crate::channel::Channel;
use crate::channel::memory::pair;
use crate::psi::tests::{Changed, set};
use crate::psi::{Set, ideal};
use crate::random::Stream;
use crate::session::{Party, SessionId, Setting, Watch};
use crate::step::Step;

struct Table {
    key: Key,
    index: Index,
    bytes: Vec<u8>,
}

fn build(version: u8, items: &Set, room: u64, client_items: u64) -> Result<Table, Fault> {
    let key = Key::new(&Seed::new([version; 32]))?;
    let header = Header {
        version: version.into(),
        entries: items.len() as u64 + room,
        client_items,
        public: key.public(),
    };
    let mut space = InMemory::default();
    let mut builder = Builder::new(header, &mut space)?;
    let items: Vec<Item> = items.items().iter().copied().map(Item).collect();
    for part in items.chunks(1000) {
        builder.push(&key.entries(&header, part)?)?;
    }
    let mut bytes = Vec::new();
    let index = builder.finish(&mut bytes, &Seed::new([99; 32]))?;
    assert_eq!(bytes.len() as u64, index.table_bytes());
    Ok(Table { key, index, bytes })
}

/// Adds up what was moved.
#[derive(Default)]
struct Scale(Cell<u64>);

impl Watch for Scale {
    fn sent(&self, _step: Step, bytes: u64) {
        self.0.set(self.0.get() + bytes);
    }

    fn received(&self, _step: Step, bytes: u64) {
        self.0.set(self.0.get() + bytes);
    }
}

fn setting<'a>(channel: &'a mut dyn Channel, party: Party, watch: &'a dyn Watch) -> Setting<'a> {
    let seed = Seed::new([if party == Party::Receiver { 1 } else { 2 }; 32]);
    Setting { channel, party, id: SessionId([4; 32]), seed, watch }
}

type Results = (Result<(Vec<u32>, u64), Fault>, Result<(), Fault>);

/// Client and server, each with a table, over any two channels.
fn run_over<A: Channel, B: Channel + Send>(
    (mut left, mut right): (A, B),
    (client, server): (&Table, &Table),
    count: u64,
    items: &Set,
) -> Results {
    let terms = |table: &Table| Terms { table: table.index.digest(), client_items: count };
    thread::scope(|scope| {
        let other = scope.spawn(move || {
            let setting = setting(&mut right, Party::Sender, &crate::session::Unwatched);
            answer(setting, &terms(server), &server.index, &server.key)
        });
        let scale = Scale::default();
        let found = query(
            setting(&mut left, Party::Receiver, &scale),
            &terms(client),
            &client.index,
            &mut client.bytes.as_slice(),
            items,
        );
        drop(left);
        (found.map(|found| (found, scale.0.get())), other.join().unwrap())
    })
}

fn run(table: &Table, count: u64, items: &Set) -> Results {
    run_over(pair(), (table, table), count, items)
}

#[test]
fn the_client_learns_what_the_dealer_says_at_every_size() {
    let cases = [
        (set([]), 0, set([]), 0),
        (set([]), 0, set([1, 2]), 0),
        (set([]), 5, set([1, 2]), 1),
        (set([7]), 0, set([7]), 0),
        (set([7]), 3, set([8]), 5),
        (set([1, 2, 3]), 0, set([]), 4),
        (set(0..1000), 24, set([999, 5, 1000, 12]), 0),
        (set(0..5), 0, set(0..600), 0),
        (set(0..140_000), 1000, set((100..400).chain(139_990..140_010)), 7),
    ];
    for (server, room, client, client_room) in cases {
        let count = client.len() as u64 + client_room;
        let table = build(3, &server, room, count).unwrap();
        table.index.check(&mut table.bytes.as_slice()).unwrap();
        let (found, answered) = run(&table, count, &client);
        answered.unwrap();
        assert_eq!(found.unwrap().0, ideal::intersection(&client, &server));
        let parsed = Index::parse(&table.index.bytes()).unwrap();
        assert_eq!(parsed, table.index);
        assert_eq!(parsed.digest(), table.index.digest());
    }
}

#[test]
fn a_table_takes_eight_bytes_an_entry_and_says_only_its_size() {
    let one = build(1, &set(0..130_000), 1000, 1 << 20).unwrap();
    let other = build(2, &set(5..6), 130_999, 1 << 20).unwrap();
    for table in [&one, &other] {
        assert_eq!(table.index.header().entries, 131_000);
        assert_eq!(table.index.bytes().len(), one.index.bytes().len());
        assert!(table.bytes.len() < 131_000 * 8, "{}", table.bytes.len());
        let uneven = table.bytes.len().abs_diff(one.bytes.len());
        assert!(uneven < 200, "segments round differently by a few bytes: {uneven}");
    }
    // What moves in a session depends on the agreed number only.
    let moved = |items: &Set| run(&one, 40, items).0.unwrap().1;
    assert_eq!(moved(&set([])), moved(&set(0..40)));
}

#[test]
fn another_version_or_key_or_number_ends_before_an_item_leaves() {
    let (one, other) = (build(1, &set(0..9), 0, 5).unwrap(), build(2, &set(0..9), 0, 5).unwrap());
    let (found, answered) = run_over(pair(), (&one, &other), 5, &set(0..3));
    assert_eq!(found.unwrap_err().code(), "mpc.peer-incompatible");
    assert_eq!(answered.unwrap_err().code(), "mpc.peer-incompatible");

    let (mut left, _right) = pair();
    let table = &mut one.bytes.as_slice();
    let mut fault = |terms: &Terms, items: &Set| {
        let setting = setting(&mut left, Party::Receiver, &crate::session::Unwatched);
        query(setting, terms, &one.index, table, items).unwrap_err().code()
    };
    let terms = Terms { table: one.index.digest(), client_items: 5 };
    assert_eq!(fault(&Terms { client_items: 6, ..terms }, &set(0..3)), "mpc.too-many");
    assert_eq!(fault(&terms, &set(0..6)), "mpc.too-many");
    assert_eq!(fault(&Terms { table: [0; 32], ..terms }, &set(0..3)), "mpc.misuse");
    let setting = setting(&mut left, Party::Sender, &crate::session::Unwatched);
    let fault = answer(setting, &terms, &one.index, &other.key).unwrap_err();
    assert_eq!(fault.code(), "mpc.misuse");
    assert_eq!(one.key.entries(other.index.header(), &[Item(1)]).unwrap_err().code(), "mpc.misuse");
}

#[test]
fn a_table_that_was_cut_or_changed_is_refused_where_it_is_read() {
    let mut table = build(1, &set(0..100_000), 0, 300).unwrap();
    let items = set(0..300);
    let whole = table.bytes.clone();
    let fault = |table: &Table| {
        assert!(table.index.check(&mut table.bytes.as_slice()).is_err());
        run(table, 300, &items).0.unwrap_err().code()
    };
    for length in [0, 1, whole.len() / 2, whole.len() - 1] {
        table.bytes.truncate(length);
        assert_eq!(fault(&table), "mpc.spill-failed", "{length}");
        table.bytes = whole.clone();
    }
    for place in [0, whole.len() / 3, whole.len() / 2, whole.len() - 1] {
        table.bytes[place] ^= 16;
        assert_eq!(fault(&table), "mpc.spill-failed", "{place}");
        table.bytes = whole.clone();
    }
    run(&table, 300, &items).0.unwrap();
}

#[test]
fn an_index_that_was_changed_is_another_one_or_none() {
    let table = build(1, &set(0..100_000), 0, 300).unwrap();
    let bytes = table.index.bytes();
    for length in 0..bytes.len() {
        assert!(Index::parse(&bytes[..length]).is_err(), "{length}");
    }
    assert!(Index::parse(&[bytes.clone(), vec![0]].concat()).is_err());
    for place in 0..bytes.len() {
        for bit in 0..8 {
            let mut changed = bytes.clone();
            changed[place] ^= 1 << bit;
            if let Ok(index) = Index::parse(&changed) {
                assert_ne!(index.digest(), table.index.digest());
                assert!(index.check(&mut table.bytes.as_slice()).is_err(), "{place}");
            }
        }
    }
    let mut stream = Stream::new(&[1; 32]);
    for length in 0..300 {
        let noise: Vec<u8> = (0..length).map(|_| stream.block().to_le_bytes()[0]).collect();
        assert!(Index::parse(&noise).is_err());
    }
}

/// Loses the last bytes of each part, or changes them.
struct Forgetful(InMemory, u8);

impl Space for Forgetful {
    fn append(&mut self, part: u32, bytes: &[u8]) -> Result<(), Fault> {
        self.0.append(part, bytes)
    }

    fn take(&mut self, part: u32) -> Result<Vec<u8>, Fault> {
        let mut bytes = self.0.take(part)?;
        match bytes.last_mut() {
            Some(last) if self.1 > 0 => *last ^= self.1,
            _ => bytes.truncate(bytes.len().saturating_sub(16)),
        }
        Ok(bytes)
    }
}

#[test]
fn a_space_that_forgets_or_changes_entries_is_noticed() {
    let key = Key::new(&Seed::new([1; 32])).unwrap();
    let header = Header { version: 1, entries: 100, client_items: 1, public: key.public() };
    for change in [0, 1, 128] {
        let mut space = Forgetful(InMemory::default(), change);
        let builder = Builder::new(header, &mut space).unwrap();
        let fault = builder.finish(&mut Vec::new(), &Seed::new([2; 32])).unwrap_err();
        assert_eq!(fault.code(), "mpc.spill-failed");
    }
}

#[test]
fn too_many_entries_and_equal_ones_are_faults() {
    let key = Key::new(&Seed::new([1; 32])).unwrap();
    let header = Header { version: 1, entries: 3, client_items: 1, public: key.public() };
    let mut space = InMemory::default();
    let mut builder = Builder::new(header, &mut space).unwrap();
    builder.push(&[1, 2]).unwrap();
    assert_eq!(builder.push(&[3, 4]).unwrap_err().code(), "mpc.too-many");
    let mut builder = Builder::new(header, &mut space).unwrap();
    builder.push(&key.entries(&header, &[Item(1), Item(2), Item(1)]).unwrap()).unwrap();
    let fault = builder.finish(&mut Vec::new(), &Seed::new([2; 32])).unwrap_err();
    assert_eq!(fault, Fault::Duplicates { count: 1 });
    // With the first of equal ones it is the table of different ones.
    let table = |items: &[Item], twice: u64| {
        let header = Header { entries: 200_000, ..header };
        let mut space = InMemory::default();
        let mut builder = Builder::new(header, &mut space).unwrap();
        let entries = key.entries(&header, items).unwrap();
        for _ in 0..if twice > 0 { 2 } else { 1 } {
            builder.push(&entries).unwrap();
        }
        assert_eq!(builder.keep_first().unwrap(), twice);
        let mut bytes = Vec::new();
        let index = builder.finish(&mut bytes, &Seed::new([2; 32])).unwrap();
        (index.digest(), bytes)
    };
    let items: Vec<Item> = (0..50).map(Item).collect();
    assert_eq!(table(&items, 50), table(&items, 0));
    for header in [
        Header { entries: crate::limits::MAX_TABLE_ENTRIES + 1, ..header },
        Header { client_items: crate::limits::MAX_ITEMS + 1, ..header },
    ] {
        let fault = Builder::new(header, &mut InMemory::default()).map(|_| ()).unwrap_err();
        assert_eq!(fault.code(), "mpc.too-many");
    }
}

#[test]
fn points_that_are_none_are_faults_on_either_side() {
    let table = build(1, &set(0..9), 0, 5).unwrap();
    let point = |first: u8, rest: u8, last: u8| {
        let mut point = vec![rest; 32];
        (point[0], point[31]) = (first, last);
        point
    };
    // 0, 1, p − 1 and 2 (of the twist), p, p + 9, 2^255 − 1, and a base point with its highest bit set.
    let points = [
        point(0, 0, 0),
        point(1, 0, 0),
        point(236, 255, 127),
        point(2, 0, 0),
        point(237, 255, 127),
        point(246, 255, 127),
        point(255, 255, 127),
        point(9, 0, 128),
    ];
    for point in points {
        for step in [Step::TableBlinded, Step::TableEvaluated] {
            let (left, right) = pair();
            let left = Changed { inner: left, step, point: point.clone() };
            let right = Changed { inner: right, step, point: point.clone() };
            let (found, answered) = run_over((left, right), (&table, &table), 5, &set(0..5));
            let fault = if step == Step::TableBlinded { answered.err() } else { found.err() };
            assert_eq!(fault.unwrap().code(), "mpc.peer-misbehaved", "{step} {point:x?}");
        }
    }
}

/// Who does not let the points leave gives none away, whatever the client said.
#[test]
fn nothing_evaluated_leaves_where_the_caller_says_no() {
    let table = build(1, &set(0..9), 0, 3).unwrap();
    let terms = Terms { table: table.index.digest(), client_items: 3 };
    let (mut left, mut right) = pair();
    let scale = Scale::default();
    let (found, answered) = thread::scope(|scope| {
        let other = scope.spawn(|| {
            let setting = setting(&mut right, Party::Sender, &crate::session::Unwatched);
            let no = || Err(Fault::Cancelled);
            let answered = answer_if(setting, &terms, &table.index, &table.key, no);
            drop(right);
            answered
        });
        let setting = setting(&mut left, Party::Receiver, &scale);
        let found = query(setting, &terms, &table.index, &mut table.bytes.as_slice(), &set(0..3));
        (found, other.join().unwrap())
    });
    assert_eq!(answered.unwrap_err(), Fault::Cancelled);
    assert_eq!(found.unwrap_err().code(), "mpc.connection-lost");
}
