//! Jobs over a slow line, and what a line shows: lengths by agreed sizes.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use tidm_compute::job::connect::{Address, Way};
use tidm_compute::job::order::{Learns, Order, Results, Role, Security};
use tidm_compute::job::what::{What, Within};
use tidm_compute::keys::Equals;
use tidm_mpc::channel::HEARTBEAT;
use tidm_mpc::step::Step;

use crate::kinds::priced;
use crate::parties::{ALL, Pair, run};

/// 100 Mbit/s and 50 ms each way.
const BYTES_PER_SECOND: f64 = 100e6 / 8.0;
const DELAY: Duration = Duration::from_millis(50);

/// Passes on what is said, at the line's rate and after its delay.
fn pass(mut from: UnixStream, mut to: UnixStream) {
    let (send, arrivals) = channel::<(Instant, Vec<u8>)>();
    thread::spawn(move || {
        for (at, bytes) in arrivals {
            thread::sleep(at.saturating_duration_since(Instant::now()));
            if to.write_all(&bytes).is_err() {
                return;
            }
        }
        drop(to.shutdown(std::net::Shutdown::Write));
    });
    thread::spawn(move || {
        let mut free = Instant::now();
        let mut piece = vec![0; 16 << 10];
        while let Ok(count @ 1..) = from.read(&mut piece) {
            free = free.max(Instant::now());
            free += Duration::from_secs_f64(count as f64 / BYTES_PER_SECOND);
            if send.send((free + DELAY, piece[..count].to_vec())).is_err() {
                return;
            }
        }
    });
}

/// Whoever listens there, in a moment.
fn reach(path: &Path) -> UnixStream {
    loop {
        match UnixStream::connect(path) {
            Ok(far) => return far,
            Err(_) => thread::sleep(Duration::from_millis(5)),
        }
    }
}

pub(crate) fn line(dialled: &Path, behind: &Path) {
    let (listener, behind) = (UnixListener::bind(dialled).unwrap(), behind.to_owned());
    thread::spawn(move || {
        for near in listener.incoming() {
            let (near, far) = (near.unwrap(), reach(&behind));
            pass(near.try_clone().unwrap(), far.try_clone().unwrap());
            pass(far, near);
        }
    });
}

#[test]
fn every_variant_goes_over_a_line_between_cities() {
    for security in ALL {
        let pair = Pair::new(20_000);
        line(&pair.path("line.sock"), &pair.path("sender.sock"));
        let mut orders = pair.orders(|order| {
            (order.terms.security, order.terms.learns) = (security, Learns::Both);
            order.parts = Some(4);
        });
        orders[0].connect = Way::Dial(Address::Unix(pair.path("line.sock")));
        let begun = Instant::now();
        let (received, sent) = run(&orders);
        pair.check(&received);
        assert_eq!(sent.unwrap().matched, Some(10_000));
        let (least, received) = (20 * DELAY, received.unwrap());
        assert!(begun.elapsed() > least && begun.elapsed() < Duration::from_secs(90));
        assert_eq!(received.connections, 1);
    }
}

/// Step and length of every message of one direction, in order, without heartbeats.
#[derive(Debug, Default, PartialEq)]
struct Messages {
    seen: Vec<(Option<Step>, u32)>,
    head: Vec<u8>,
    left: usize,
}

impl Messages {
    fn take(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let wanted = if self.left > 0 { self.left } else { HEARTBEAT.len() - self.head.len() };
            let (now, later) = bytes.split_at(wanted.min(bytes.len()));
            bytes = later;
            if self.left > 0 {
                self.left -= now.len();
                continue;
            }
            self.head.extend_from_slice(now);
            let Some((head, _)) = self.head.split_first_chunk::<5>() else { continue };
            if *head != HEARTBEAT {
                let [step, length @ ..] = *head;
                self.left = u32::from_le_bytes(length) as usize;
                self.seen.push((Step::from_code(step), u32::from_le_bytes(length)));
            }
            self.head.clear();
        }
    }
}

type Heard = Arc<Mutex<Messages>>;

/// Passes on one connection as it is, and writes down what each says: the one that dials, and the other.
fn tapped(dialled: &Path, behind: &Path) -> [Heard; 2] {
    let (listener, behind) = (UnixListener::bind(dialled).unwrap(), behind.to_owned());
    let heard: [Heard; 2] = Default::default();
    let taps = heard.clone();
    thread::spawn(move || {
        let (near, _) = listener.accept().unwrap();
        let far = reach(&behind);
        let ends = [(near.try_clone().unwrap(), far.try_clone().unwrap()), (far, near)];
        for ((mut from, mut to), heard) in ends.into_iter().zip(taps) {
            thread::spawn(move || {
                let mut piece = vec![0; 16 << 10];
                while let Ok(count @ 1..) = from.read(&mut piece) {
                    heard.lock().unwrap().take(&piece[..count]);
                    if to.write_all(&piece[..count]).is_err() {
                        return;
                    }
                }
                drop(to.shutdown(std::net::Shutdown::Write));
            });
        }
    });
    heard
}

/// A list's rows: the key, and what stands behind it.
type Rows = Vec<(String, String)>;

const CHANGES: [fn(&mut Rows); 5] = [
    |_| {},
    // Nothing in common.
    |rows| rows.iter_mut().for_each(|(key, _)| key.insert(0, 'x')),
    // A tenth of the rows.
    |rows| rows.truncate(100),
    // Every key ten times.
    |rows| {
        let keys: Vec<String> = rows.iter().map(|(key, _)| key.clone()).collect();
        rows.iter_mut().enumerate().for_each(|(row, (key, _))| key.clone_from(&keys[row / 10]));
    },
    // One key in all rows but a few.
    |rows| rows.iter_mut().take(900).for_each(|(key, _)| "same".clone_into(key)),
];

fn changed(path: &Path, change: fn(&mut Rows)) {
    let text = std::fs::read_to_string(path).unwrap();
    let (header, rest) = text.split_once('\n').unwrap();
    let row = |line: &str| line.split_once(',').map(|(key, rest)| (key.into(), rest.into()));
    let mut rows: Rows = rest.lines().filter_map(row).collect();
    change(&mut rows);
    let lines: String = rows.iter().map(|(key, rest)| format!("{key},{rest}\n")).collect();
    std::fs::write(path, format!("{header}\n{lines}")).unwrap();
}

/// What both say in a job over lists of 1,000 priced rows, of which one was changed.
fn said(change: impl Fn(&mut Order), list: &str, rows: fn(&mut Rows)) -> [Messages; 2] {
    let pair = priced(1000);
    changed(&pair.path(list), rows);
    let heard = tapped(&pair.path("tap.sock"), &pair.path("sender.sock"));
    let mut orders = pair.orders(|order| {
        order.results = Results::default();
        change(order);
    });
    orders[0].connect = Way::Dial(Address::Unix(pair.path("tap.sock")));
    let (received, sent) = run(&orders);
    let (received, sent) = (received.unwrap(), sent.unwrap());
    let said = heard.map(|heard| std::mem::take(&mut *heard.lock().unwrap()));
    for (messages, report) in said.iter().zip([received, sent]) {
        // Nothing went past the tap.
        let all = messages.seen.iter().map(|(_, length)| 5 + u64::from(*length)).sum::<u64>();
        assert_eq!((all, messages.left, report.connections), (report.sent, 0, 1));
    }
    said
}

/// Two lists of the same agreed sizes, whatever is in either of them: every message has its step and its length in its place.
#[test]
fn what_a_job_says_is_as_long_whatever_its_lists_hold() {
    use Equals::{First, Multiply};
    use Learns::{Both, Receiver};
    use Security::{Ecdh, Malicious, SemiHonest, SemiHonestLow};
    let column = || "price".to_owned();
    let within = Within::default();
    let labels = What::Labels { columns: vec![column()], bytes: 16 };
    let sum = What::Sum { of: Role::Sender, column: column(), decimals: 2, within };
    for (security, learns, equals, what) in [
        (SemiHonest, Receiver, First, What::Rows),
        (SemiHonestLow, Both, First, What::Rows),
        (Malicious, Both, First, What::Rows),
        (SemiHonest, Both, Multiply, What::Rows),
        (Ecdh, Receiver, First, What::Rows),
        (Ecdh, Both, Multiply, What::Rows),
        (SemiHonest, Both, First, What::Size { within }),
        (SemiHonest, Receiver, Multiply, sum),
        (SemiHonest, Receiver, First, What::AtLeast { least: 500 }),
        (Malicious, Receiver, First, labels),
    ] {
        let order = |order: &mut Order| {
            (order.terms.security, order.terms.learns) = (security, learns);
            (order.parts, order.rule.equals, order.what) = (Some(2), equals, what.clone());
        };
        let [unchanged, rest @ ..] = CHANGES;
        let expected = said(order, "receiver.csv", unchanged);
        for list in ["receiver.csv", "sender.csv"] {
            for change in rest {
                assert_eq!(said(order, list, change), expected, "{what:?} {security:?} {list}");
            }
        }
    }
}

/// However many parts run over a connection, base transfers and noise values travel once.
#[test]
fn one_set_up_serves_all_parts_of_a_connection() {
    for security in [Security::SemiHonest, Security::SemiHonestLow, Security::Malicious] {
        let moved = [1, 4].map(|parts| {
            let pair = Pair::new(1000);
            let orders = pair.orders(|order| {
                (order.terms.security, order.parts) = (security, Some(parts));
            });
            let (received, sent) = run(&orders);
            pair.check(&received);
            sent.unwrap();
            let report = received.unwrap();
            assert_eq!((report.connections, report.parts), (1, parts));
            report.traffic
        });
        let [one, four] = &moved;
        for step in ["base-ot-points", "base-ot-replies", "noise-values"] {
            assert!(one[step].sent + one[step].received > 0);
            assert_eq!(one[step], four[step], "{step}");
        }
        // Trees are of each run.
        assert!(four["trees"].received > 2 * one["trees"].received);
    }
}

/// Passes on connections; on the first, one bit of what one of them says is another one: of the one that dials, or of the other.
fn flipped(dialled: &Path, behind: &Path, (dials, at): (bool, usize)) {
    let (listener, behind) = (UnixListener::bind(dialled).unwrap(), behind.to_owned());
    thread::spawn(move || {
        let mut at = Some(at);
        for near in listener.incoming() {
            let (near, at) = (near.unwrap(), at.take());
            let Ok(far) = UnixStream::connect(&behind) else { continue };
            let ends = [(near.try_clone().unwrap(), far.try_clone().unwrap()), (far, near)];
            for ((mut from, mut to), dialler) in ends.into_iter().zip([true, false]) {
                let at = at.filter(|_| dialler == dials);
                thread::spawn(move || {
                    let (mut piece, mut passed) = (vec![0; 16 << 10], 0);
                    while let Ok(count @ 1..) = from.read(&mut piece) {
                        let place = at.and_then(|at| at.checked_sub(passed));
                        if let Some(byte) = place.and_then(|at| piece[..count].get_mut(at)) {
                            *byte ^= 1 << (passed % 8);
                        }
                        passed += count;
                        if to.write_all(&piece[..count]).is_err() {
                            return;
                        }
                    }
                    drop(to.shutdown(std::net::Shutdown::Write));
                });
            }
        }
    });
}

/// By points, nobody proves anything: a changed bit ends in an error that is told, or in a result of one's own rows.
#[test]
fn a_changed_bit_of_a_job_by_points_ends_in_an_error_or_in_rows_of_ones_own() {
    let order = |order: &mut Order| {
        (order.terms.security, order.terms.learns) = (Security::Ecdh, Learns::Both);
        (order.silence, order.patience, order.parts) = (2.0, 2.0, Some(1));
    };
    let whole = run(&Pair::new(300).orders(order)).0.unwrap();
    let (mut failed, mut ended) = (0, 0);
    for (dials, length) in [(true, whole.sent), (false, whole.received)] {
        let length = usize::try_from(length).unwrap();
        // Hello, greeting, points and what is behind them.
        for at in [6, 90, 300, 2000, length / 2, length - 200, length - 20] {
            let pair = Pair::new(300);
            flipped(&pair.path("line.sock"), &pair.path("sender.sock"), (dials, at));
            let mut orders = pair.orders(order);
            orders[0].connect = Way::Dial(Address::Unix(pair.path("line.sock")));
            for told in <[_; 2]>::from(run(&orders)) {
                match told {
                    Ok(report) => assert!(report.matched.is_some_and(|count| count <= 300)),
                    Err(error) => assert!(error.code.starts_with("mpc."), "{}", error.text),
                }
            }
            let out = std::fs::read_to_string(pair.path("out.csv")).ok();
            let own = std::fs::read_to_string(pair.path("receiver.csv")).unwrap();
            ended += u32::from(out.is_some());
            failed += u32::from(out.is_none());
            assert!(out.is_none_or(|out| out.lines().all(|row| own.lines().any(|it| it == row))));
        }
    }
    assert!(failed > 4, "{failed} failed, {ended} ended");
}
