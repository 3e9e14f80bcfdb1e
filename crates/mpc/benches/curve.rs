//! Measures curves: nanoseconds of processor time per multiplication, and ECDH intersections with both parties in one process.
//!
//! `cargo bench -p tidm-mpc --bench curve [-- ENTRIES]`; with a number of entries only the table of that size.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program that prints what it measured"
)]

use std::thread;
use std::time::Instant;

use curve25519_dalek::montgomery::MontgomeryPoint;
use tidm_mpc::channel::memory::pair;
use tidm_mpc::curve::{self, Suite};
use tidm_mpc::kernel::{self, one_by_one};
use tidm_mpc::psi::{Item, Set, ecdh};
use tidm_mpc::random::{Seed, Stream};
use tidm_mpc::session::{Party, SessionId, Setting, Unwatched};
use tidm_mpc::unbalanced::space::InMemory;
use tidm_mpc::unbalanced::{self, Builder, Header, Key};

/// Processor time of this process so far, all threads, in seconds; Linux tells it in hundredths.
fn processor() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let ticks =
        |field: usize| fields.split_whitespace().nth(field).unwrap().parse::<f64>().unwrap();
    (ticks(11) + ticks(12)) / 100.0
}

fn per_point(name: &str, count: usize, work: impl FnOnce(&mut [[u8; 32]])) {
    let mut stream = Stream::new(&[1; 32]);
    let mut points: Vec<[u8; 32]> = (0..count).map(|_| stream.bytes32()).collect();
    let begin = processor();
    work(&mut points);
    println!("{name:<40} {:>9.0} ns", (processor() - begin) / count as f64 * 1e9);
}

/// Runs both parties and tells wall and processor time of both together.
fn both<A: Send>(
    name: &str,
    receiver: impl FnOnce(Setting<'_>) -> A,
    sender: impl FnOnce(Setting<'_>) + Send,
) -> A {
    let (mut left, mut right) = pair();
    let (wall, begin) = (Instant::now(), processor());
    let id = SessionId([3; 32]);
    let result = thread::scope(|scope| {
        scope.spawn(move || {
            let (party, seed) = (Party::Sender, Seed::new([2; 32]));
            sender(Setting { channel: &mut right, party, id, seed, watch: &Unwatched });
        });
        let (party, seed) = (Party::Receiver, Seed::new([1; 32]));
        receiver(Setting { channel: &mut left, party, id, seed, watch: &Unwatched })
    });
    let (wall, processor) = (wall.elapsed().as_secs_f64(), processor() - begin);
    println!("{name:<40} {wall:>9.2} s, {processor:.2} s of processors");
    result
}

fn items(begin: u64, count: u64) -> Set {
    let context = Item::context(b"bench");
    let items = (begin..begin + count).map(|i| Item::of(&context, &i.to_le_bytes()));
    Set::new(&items.collect::<Vec<_>>()).unwrap()
}

fn intersection(suite: Suite, count: u64) {
    let (ours, theirs) = (items(0, count), items(count / 2, count));
    let reveal = ecdh::Reveal::Items;
    let terms = ecdh::Terms { suite, reveal, receiver_items: count, sender_items: count };
    let learnt = both(
        &format!("ECDH on {suite:?}, {count} each"),
        |setting| ecdh::receive(setting, &terms, &ours).unwrap(),
        |setting| ecdh::send(setting, &terms, &theirs).unwrap(),
    );
    let ecdh::Learnt::Items(found) = learnt else { panic!("asked for items") };
    assert_eq!(found.len() as u64, count / 2);
}

/// A small list against a table, most of which is filling: that costs the same to read.
fn table(listed: u64, entries: u64, client_items: u64) {
    let key = Key::new(&Seed::new([5; 32])).unwrap();
    let header = Header { version: 1, entries, client_items, public: key.public() };
    let list: Vec<Item> = items(0, listed).items().iter().copied().map(Item).collect();
    let mut space = InMemory::default();
    let mut builder = Builder::new(header, &mut space).unwrap();
    let begin = processor();
    builder.push(&key.entries(&header, &list).unwrap()).unwrap();
    println!("entries of {listed} items: {:.2} s of processors", processor() - begin);
    let (begin, mut bytes) = (processor(), Vec::new());
    let index = builder.finish(&mut bytes, &Seed::new([6; 32])).unwrap();
    println!(
        "table of {entries}: {:.2} s of processors, {:.2} bytes per entry, index {} bytes",
        processor() - begin,
        bytes.len() as f64 / entries as f64,
        index.bytes().len()
    );
    let ours = items(listed - client_items / 2, client_items);
    let terms = unbalanced::Terms { table: index.digest(), client_items };
    let found = both(
        &format!("{client_items} items against {entries}"),
        |setting| unbalanced::query(setting, &terms, &index, &mut bytes.as_slice(), &ours).unwrap(),
        |setting| unbalanced::answer(setting, &terms, &index, &key).unwrap(),
    );
    assert_eq!(found.len() as u64, client_items / 2);
}

fn main() {
    if let Some(entries) = std::env::args().find_map(|it| it.parse().ok()) {
        return table(200_000, entries, 100_000);
    }
    let scalar = curve::clamped([0x5a; 32]);
    per_point("x25519, as this processor can", 400_000, |us| curve::x25519_many(&scalar, us));
    per_point("x25519, portable", 30_000, |us| one_by_one::ladders(&scalar, us));
    per_point("x25519, curve25519-dalek", 30_000, |us| {
        for u in us {
            *u = MontgomeryPoint(*u).mul_clamped(scalar).to_bytes();
        }
    });
    per_point("elligator 2, as this processor can", 400_000, kernel::maps);
    per_point("elligator 2, portable", 100_000, one_by_one::maps);
    for (suite, log) in [
        (Suite::Ristretto255, 12),
        (Suite::Sm2, 12),
        (Suite::Curve25519, 16),
        (Suite::Curve25519, 20),
    ] {
        intersection(suite, 1 << log);
    }
    table(200_000, 10_000_000, 100_000);
}
