//! Measures an intersection of 2^20 with 2^20 items, half of them common: time, bytes and memory, both parties in one
//! process on a TCP connection of this machine.
//!
//! `cargo bench -p tidm-mpc --bench psi_million -- [ITEMS, OR THEIR LOG2] [malicious|low] [ecdh] [parts=N] [steps]`

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program that prints what it measured"
)]

use std::net::{TcpListener, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use tidm_mpc::channel::stream::Framed;
use tidm_mpc::curve::Suite;
use tidm_mpc::partition::Job;
use tidm_mpc::partition::memory::once;
use tidm_mpc::partition::part::Equals;
use tidm_mpc::psi::{Item, Learns, Receiver, Security, Sender, Set, Terms, ecdh};
use tidm_mpc::random::Seed;
use tidm_mpc::session::{Meter, Party, Session, SessionId, Setting, Watch};
use tidm_mpc::step::Step;

/// Prints when each step begins and ends on the receiver's side.
struct Clock {
    begin: Instant,
    last: Mutex<Option<Step>>,
    loud: bool,
    sent: AtomicU64,
    received: AtomicU64,
}

impl Clock {
    fn new(begin: Instant, loud: bool) -> Self {
        let (sent, received) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { begin, last: Mutex::new(None), loud, sent, received }
    }
}

impl Watch for Clock {
    fn sent(&self, _step: Step, bytes: u64) {
        self.sent.fetch_add(bytes, Ordering::Relaxed);
    }

    fn received(&self, _step: Step, bytes: u64) {
        self.received.fetch_add(bytes, Ordering::Relaxed);
    }

    fn progress(&self, step: Step, done: u64, of: u64) {
        let mut last = self.last.lock().unwrap();
        if self.loud && (*last != Some(step) || done == of) {
            println!("  {:>8.1} ms  {step} {done}/{of}", self.begin.elapsed().as_secs_f64() * 1e3);
        }
        *last = Some(step);
    }
}

fn sets(count: u64) -> (Set, Set) {
    let context = Item::context(b"bench");
    let make = |begin: u64, end: u64| {
        let items: Vec<Item> = (begin..end).map(|i| Item::of(&context, &i.to_le_bytes())).collect();
        let clock = Instant::now();
        let set = Set::new(&items).unwrap();
        println!("set of {}: {:.0} ms", set.len(), clock.elapsed().as_secs_f64() * 1e3);
        set
    };
    (make(0, count), make(count / 2, count / 2 + count))
}

fn connection() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let left = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (right, _) = listener.accept().unwrap();
    left.set_nodelay(true).unwrap();
    right.set_nodelay(true).unwrap();
    (left, right)
}

fn other<'a>(channel: &'a mut Framed<TcpStream>, id: SessionId, watch: &'a Clock) -> Setting<'a> {
    Setting { channel, party: Party::Sender, id, seed: Seed::new([2; 32]), watch }
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let has = |word: &str| args.iter().any(|arg| arg == word);
    let count = args.iter().find_map(|arg| arg.parse().ok()).unwrap_or(20);
    let count: u64 = if count < 40 { 1 << count } else { count };
    let parts = args.iter().find_map(|arg| arg.strip_prefix("parts=")?.parse().ok());
    let security = match (has("malicious"), has("low")) {
        (true, _) => Security::Malicious,
        (false, true) => Security::SemiHonestLow,
        (false, false) => Security::SemiHonest,
    };
    let (receiver, sender) = sets(count);
    let (receiver_items, sender_items) = (receiver.len() as u64, sender.len() as u64);
    for round in 0..3u8 {
        let (left, right) = connection();
        let (mut left, mut right) = (Framed::new(left), Framed::new(right));
        let begin = Instant::now();
        let clock = Clock::new(begin, has("steps"));
        let quiet = Clock::new(begin, false);
        let id = SessionId([round; 32]);
        let (found, meter) = thread::scope(|scope| {
            let (sender, quiet, right) = (&sender, &quiet, &mut right);
            let seed = Seed::new([1; 32]);
            let one =
                Setting { channel: &mut left, party: Party::Receiver, id, seed, watch: &clock };
            if has("ecdh") {
                let terms = ecdh::Terms {
                    suite: Suite::Curve25519,
                    reveal: ecdh::Reveal::Items,
                    receiver_items,
                    sender_items,
                };
                let thread = scope
                    .spawn(move || ecdh::send(other(right, id, quiet), &terms, sender).unwrap());
                let learnt = ecdh::receive(one, &terms, &receiver).unwrap();
                thread.join().unwrap();
                let ecdh::Learnt::Items(found) = learnt else { return (0, Meter::default()) };
                return (found.len(), Meter::default());
            }
            let terms = Terms {
                security,
                learns: Learns::Receiver,
                receiver_items,
                sender_items,
                parts: 1,
            };
            if let Some(parts) = parts {
                let job = Job { id: id.0, whole: terms, equals: Equals::Refuse, rule: [0; 32] };
                let items = |set: &Set| set.items().iter().copied().map(Item).collect::<Vec<_>>();
                let (ours, theirs) = (items(&receiver), items(sender));
                let thread = scope
                    .spawn(move || once(other(right, id, quiet), &job, parts, theirs.into_iter()));
                let found = once(one, &job, parts, ours.into_iter());
                thread.join().unwrap().unwrap();
                return (found.unwrap().places.unwrap().len(), Meter::default());
            }
            let thread =
                scope.spawn(move || Sender::once(other(right, id, quiet), &terms, sender).unwrap());
            let mut session = Session::open(one, &terms.bytes()).unwrap();
            let found =
                Receiver::set_up(&mut session, &terms).unwrap().run(&mut session, &receiver);
            thread.join().unwrap();
            (found.unwrap().len(), session.meter().clone())
        });
        let seconds = begin.elapsed().as_secs_f64();
        let megabytes = |bytes: &AtomicU64| bytes.load(Ordering::Relaxed) as f64 / 1e6;
        let (sent, received) = (megabytes(&clock.sent), megabytes(&clock.received));
        println!(
            "{count} x {count}, {found} common: {seconds:.3} s, {:.2} MB ({sent:.2} out, {received:.2} in), peak of both {}",
            sent + received,
            peak()
        );
        if round == 0 {
            for (step, traffic) in meter.steps() {
                println!(
                    "  {:<16} {:>10} B out {:>10} B in",
                    step.name(),
                    traffic.bytes_sent,
                    traffic.bytes_received
                );
            }
        }
    }
}

/// Largest resident set of this process so far, as Linux tells it.
fn peak() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.map_or_else(|| "unknown".to_owned(), |line| line.trim().to_owned())
}
