//! Intersections by curves, hashed items in memory, both parties as threads of this program: ECDH of 2^20 items each, and 10^5 items
//! against a table of 10^7 (10^8 with `--long`) that was worked out before.
//!
//! Never a time of making the lists or the table: what is measured is the session.

use std::thread;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use tidm_mpc::channel::memory::pair;
use tidm_mpc::curve::Suite;
use tidm_mpc::fault::Fault;
use tidm_mpc::psi::{Item, Set, ecdh};
use tidm_mpc::random::Seed;
use tidm_mpc::session::{Party, SessionId, Setting, Unwatched};
use tidm_mpc::unbalanced::space::InMemory;
use tidm_mpc::unbalanced::{self, Builder, Header, Key};

use crate::figure::{Goal, Report};
use crate::size;

/// Items of each party, and of the client of a table.
const ITEMS: u64 = 1 << 20;
const CLIENT_ITEMS: u64 = 100_000;
/// Items of the table that are real; filling costs the same to read.
const LISTED: u64 = 200_000;

pub(crate) async fn run(report: &mut Report) -> Result<()> {
    tokio::task::block_in_place(|| {
        balanced(report, ITEMS / size::divisor())?;
        let entries = if size::is_long() { 100_000_000 } else { 10_000_000 };
        table(report, entries / size::divisor())
    })
}

fn goal(most: f64) -> Goal {
    if size::is_full() { Goal::AtMost(most) } else { Goal::None }
}

fn items(begin: u64, count: u64) -> Result<Set> {
    let context = Item::context(b"bench");
    let items = (begin..begin + count).map(|number| Item::of(&context, &number.to_le_bytes()));
    Ok(Set::new(&items.collect::<Vec<_>>())?)
}

/// Seconds of a session, and what its receiver got.
fn both<T>(
    receiver: impl FnOnce(Setting<'_>) -> Result<T, Fault>,
    sender: impl FnOnce(Setting<'_>) -> Result<(), Fault> + Send,
) -> Result<(f64, T)> {
    let (mut left, mut right) = pair();
    let (id, begin) = (SessionId([3; 32]), Instant::now());
    let got = thread::scope(|scope| {
        let other = scope.spawn(move || {
            let (party, seed) = (Party::Sender, Seed::new([2; 32]));
            sender(Setting { channel: &mut right, party, id, seed, watch: &Unwatched })
        });
        let (party, seed) = (Party::Receiver, Seed::new([1; 32]));
        let got = receiver(Setting { channel: &mut left, party, id, seed, watch: &Unwatched })?;
        let said = other.join().ok().context("the sender's thread panicked")?;
        said?;
        anyhow::Ok(got)
    })?;
    Ok((begin.elapsed().as_secs_f64(), got))
}

fn balanced(report: &mut Report, count: u64) -> Result<()> {
    let (ours, theirs) = (items(0, count)?, items(count / 2, count)?);
    let (suite, reveal) = (Suite::Curve25519, ecdh::Reveal::Items);
    let terms = ecdh::Terms { suite, reveal, receiver_items: count, sender_items: count };
    let (seconds, learnt) = both(
        |setting| ecdh::receive(setting, &terms, &ours),
        |setting| ecdh::send(setting, &terms, &theirs),
    )?;
    let found = matches!(&learnt, ecdh::Learnt::Items(all) if all.len() as u64 == count / 2);
    ensure!(found, "ECDH found another number than {}", count / 2);
    report.add(&format!("{count} × {count}, ECDH on Curve25519"), seconds, "s", goal(11.0));
    Ok(())
}

fn table(report: &mut Report, entries: u64) -> Result<()> {
    let key = Key::new(&Seed::new([5; 32]))?;
    let header = Header { version: 1, entries, client_items: CLIENT_ITEMS, public: key.public() };
    let list: Vec<Item> = items(0, LISTED)?.items().iter().copied().map(Item).collect();
    let mut space = InMemory::default();
    let mut builder = Builder::new(header, &mut space)?;
    builder.push(&key.entries(&header, &list)?)?;
    let mut bytes = Vec::new();
    let index = builder.finish(&mut bytes, &Seed::new([6; 32]))?;
    let ours = items(LISTED - CLIENT_ITEMS / 2, CLIENT_ITEMS)?;
    let terms = unbalanced::Terms { table: index.digest(), client_items: CLIENT_ITEMS };
    let (seconds, found) = both(
        |setting| unbalanced::query(setting, &terms, &index, &mut bytes.as_slice(), &ours),
        |setting| unbalanced::answer(setting, &terms, &index, &key),
    )?;
    ensure!(found.len() as u64 == CLIENT_ITEMS / 2, "the table gave {} items", found.len());
    report.add(&format!("{CLIENT_ITEMS} against a table of {entries}"), seconds, "s", goal(2.0));
    Ok(())
}
