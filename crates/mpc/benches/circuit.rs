//! Measures an intersection in shares: processor time of both parties, and bytes by step.
//!
//! `cargo bench -p tidm-mpc --bench circuit -- [LOG2 OF THE ITEMS] [sums] [least]`

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program that prints what it measured"
)]

use std::thread;
use std::time::Instant;

use tidm_mpc::channel::memory::pair;
use tidm_mpc::circuit::{Circuit, Learns, Outcome, Reveal, Terms};
use tidm_mpc::psi::{Item, Set};
use tidm_mpc::random::Seed;
use tidm_mpc::session::{Meter, Party, Session, SessionId, Setting, Unwatched};

/// What this process spent so far, in seconds, as Linux tells it in hundredths.
fn spent() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(") ").next().unwrap_or_default();
    let ticks = after_name.split(' ').skip(11).take(2);
    ticks.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// Largest resident set of this process so far.
fn peak() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.map_or_else(|| "unknown".to_owned(), |line| line.trim().to_owned())
}

fn party(setting: Setting<'_>, terms: &Terms, set: &Set, values: &[i64]) -> (Outcome, Meter) {
    let loud = setting.party == Party::Receiver;
    let begin = Instant::now();
    let said = |what: &str| {
        if loud {
            println!(
                "  {:>8.2} s, spent {:>7.2} s: {what}",
                begin.elapsed().as_secs_f64(),
                spent()
            );
        }
    };
    let mut session = Session::open(setting, &terms.bytes()).unwrap();
    let mut circuit = Circuit::set_up(&mut session, terms).unwrap();
    said("set up");
    let shared = circuit.join(&mut session, set, values).unwrap();
    said("joined");
    let outcome = circuit.release(&mut session, &shared).unwrap();
    said("released");
    (outcome, session.meter().clone())
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let has = |word: &str| args.iter().any(|arg| arg == word);
    let log: u32 = args.iter().find_map(|arg| arg.parse().ok()).unwrap_or(16);
    let count = 1u64 << log;
    let context = Item::context(b"bench");
    let set = |begin: u64| {
        let items = (begin..begin + count).map(|i| Item::of(&context, &i.to_le_bytes()));
        Set::new(&items.collect::<Vec<_>>()).unwrap()
    };
    let (receiver, sender) = (set(0), set(count / 2));
    let values: Vec<i64> = (0..count).map(|i| i64::try_from(i).unwrap()).collect();
    let sums = Reveal::Sums { of_sender: true, of_receiver: true, bound: count };
    let reveal = if has("sums") { sums } else { Reveal::Size };
    let values = if has("sums") { values.as_slice() } else { &[] };
    let least = u64::from(has("least")) * 10;
    let terms = Terms {
        receiver_items: count,
        sender_items: count,
        reveal,
        learns: Learns::Receiver,
        least,
        parts: 1,
    };
    let (mut left, mut right) = pair();
    let (begin, before) = (Instant::now(), spent());
    let (outcome, meter) = thread::scope(|scope| {
        let (id, terms, sender) = (SessionId([1; 32]), &terms, &sender);
        scope.spawn(move || {
            let (party_of, seed) = (Party::Sender, Seed::new([2; 32]));
            let channel = &mut right;
            party(
                Setting { channel, party: party_of, id, seed, watch: &Unwatched },
                terms,
                sender,
                values,
            )
        });
        let (party_of, seed, channel) = (Party::Receiver, Seed::new([1; 32]), &mut left);
        party(
            Setting { channel, party: party_of, id, seed, watch: &Unwatched },
            terms,
            &receiver,
            values,
        )
    });
    let traffic = meter.total();
    println!("{count} x {count}: {outcome:?}");
    println!(
        "{:.2} s, processor time of both {:.2} s, {:.2} MB out, {:.2} MB in, {} messages, peak of both {}",
        begin.elapsed().as_secs_f64(),
        spent() - before,
        traffic.bytes_sent as f64 / 1e6,
        traffic.bytes_received as f64 / 1e6,
        traffic.messages_sent + traffic.messages_received,
        peak()
    );
    for (step, traffic) in meter.steps() {
        let name = step.name();
        println!(
            "  {name:<16} {:>10} B out {:>10} B in",
            traffic.bytes_sent, traffic.bytes_received
        );
    }
}
