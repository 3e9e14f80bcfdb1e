//! Measures what stands on the programmable function and on labels: all parties in one process, over channels in memory.
//!
//! `cargo bench -p tidm-mpc --bench labelled_and_many -- [LOG2 OF ITEMS] [opprf | labelled | many] [malicious] [members=N]`

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program that prints what it measured"
)]

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use tidm_mpc::channel::memory::{Memory, pair};
use tidm_mpc::many::{Member, MemberKey, join, lead};
use tidm_mpc::psi::{Item, Security, Set, labelled};
use tidm_mpc::random::Seed;
use tidm_mpc::session::{Party, Session, SessionId, Setting, Unwatched, Watch};
use tidm_mpc::step::Step;
use tidm_mpc::{many, opprf};

/// Bytes out and in of the party that learns.
#[derive(Default)]
struct Bytes(AtomicU64, AtomicU64);

impl Watch for Bytes {
    fn sent(&self, _: Step, bytes: u64) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }

    fn received(&self, _: Step, bytes: u64) {
        self.1.fetch_add(bytes, Ordering::Relaxed);
    }
}

fn set(range: std::ops::Range<u64>) -> Set {
    let context = Item::context(b"bench");
    let items: Vec<Item> = range.map(|i| Item::of(&context, &i.to_le_bytes())).collect();
    Set::new(&items).unwrap()
}

fn seed(number: usize) -> Seed {
    Seed::new([u8::try_from(number).unwrap(); 32])
}

fn other(channel: &mut Memory, number: usize) -> Setting<'_> {
    let (party, id, seed) = (Party::Sender, SessionId([1; 32]), seed(number));
    Setting { channel, party, id, seed, watch: &Unwatched }
}

fn one<'a>(channel: &'a mut Memory, watch: &'a Bytes, number: usize) -> Setting<'a> {
    let (party, id, seed) = (Party::Receiver, SessionId([1; 32]), seed(number));
    Setting { channel, party, id, seed, watch }
}

/// Queries of half of the programmed points and as many others, 64-bit values.
fn programmed(count: u64, watch: &Bytes) -> usize {
    let terms = opprf::Terms { queries: count, programmed: count, value_bytes: 8, parts: 1 };
    let (queries, points) = (set(0..count), set(count / 2..count / 2 + count));
    let (mut left, mut right) = pair();
    thread::scope(|scope| {
        scope.spawn(|| {
            let table: Vec<(u128, u128)> = points.items().iter().map(|key| (*key, 7)).collect();
            let mut session = Session::open(other(&mut right, 2), &terms.bytes()).unwrap();
            let mut sender = opprf::Sender::set_up(&mut session, &terms).unwrap();
            sender.run(&mut session, &table).unwrap();
        });
        let mut session = Session::open(one(&mut left, watch, 1), &terms.bytes()).unwrap();
        let mut receiver = opprf::Receiver::set_up(&mut session, &terms).unwrap();
        let values = receiver.run(&mut session, queries.items()).unwrap();
        values.into_iter().filter(|value| *value == 7).count()
    })
}

/// Labels of 16 bytes.
fn with_labels(count: u64, security: Security, watch: &Bytes) -> usize {
    let (receiver_items, sender_items, label_bytes) = (count, count, 16);
    let terms = labelled::Terms { security, receiver_items, sender_items, label_bytes, parts: 1 };
    let (ours, theirs) = (set(0..count), set(count / 2..count / 2 + count));
    let (mut left, mut right) = pair();
    thread::scope(|scope| {
        scope.spawn(|| {
            let labels = vec![9; theirs.len() * 16];
            labelled::send(other(&mut right, 2), &terms, &theirs, &labels).unwrap();
        });
        labelled::receive(one(&mut left, watch, 1), &terms, &ours).unwrap().len()
    })
}

/// Each member lacks other items: half of the leader's are common.
fn of_many(count: u64, members: usize, watch: &Bytes) -> usize {
    let keys: Vec<MemberKey> =
        (0..members).map(|number| MemberKey::from_seed(&seed(100 + number))).collect();
    let list = keys.iter().map(|key| Member { key: key.public(), items: count }).collect();
    let terms = many::Terms { leader_items: count, members: list };
    let begin = |number: u64| count / 2 * number / members as u64;
    let sets: Vec<Set> =
        (1..=members as u64).map(|number| set(begin(number)..begin(number) + count)).collect();
    let ours = set(0..count);
    let (mut left, mut right): (Vec<Memory>, Vec<Memory>) = (0..members).map(|_| pair()).unzip();
    thread::scope(|scope| {
        for (number, (channel, (key, set))) in
            right.iter_mut().zip(keys.iter().zip(&sets)).enumerate()
        {
            let terms = &terms;
            scope.spawn(move || {
                join(other(channel, 50 + number), terms, number, key, set).unwrap();
            });
        }
        let settings = left
            .iter_mut()
            .enumerate()
            .map(|(number, channel)| one(channel, watch, number))
            .collect();
        lead(settings, &terms, &ours).unwrap().len()
    })
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let has = |word: &str| args.iter().any(|arg| arg == word);
    let log: u32 = args.iter().find_map(|arg| arg.parse().ok()).unwrap_or(20);
    let members = args.iter().find_map(|arg| arg.strip_prefix("members=")?.parse().ok());
    let security = if has("malicious") { Security::Malicious } else { Security::SemiHonest };
    let watch = Bytes::default();
    let (begin, processor) = (Instant::now(), processor_seconds());
    let found = match () {
        () if has("labelled") => with_labels(1 << log, security, &watch),
        () if has("many") => of_many(1 << log, members.unwrap_or(2), &watch),
        () => programmed(1 << log, &watch),
    };
    println!(
        "2^{log} each, {found} found: {:.2} s, {:.2} s of processor time, {:.2} MB out, {:.2} MB in",
        begin.elapsed().as_secs_f64(),
        processor_seconds() - processor,
        watch.0.into_inner() as f64 / 1e6,
        watch.1.into_inner() as f64 / 1e6,
    );
}

/// User and system time of all threads so far, as Linux tells it in hundredths of a second.
fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum::<f64>() / 100.0
}
