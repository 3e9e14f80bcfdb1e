//! Parties and workers that are killed at any moment: the same result after they are started again.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tidm_compute::job::order::{Learns, Order, Results, Role, Security};
use tidm_compute::job::what::{Answer, What, Within};

use crate::kinds::{priced, total};
use crate::parties::{Pair, Process, children, eventually, files, run};

/// Kills `victims` after so many milliseconds and starts them again, several times, then lets them come to an end.
fn killed(pair: &Pair, orders: &[Order; 2], victims: &[usize], after: &[u64]) {
    let mut parties = [Process::start(&orders[0]), Process::start(&orders[1])];
    for after in after {
        std::thread::sleep(Duration::from_millis(*after));
        for victim in victims {
            if parties[*victim].ended() {
                continue;
            }
            parties[*victim].kill();
            parties[*victim] = Process::start(&orders[*victim]);
        }
    }
    let [receiver, sender] = parties;
    let other = std::thread::spawn(|| sender.told());
    let received = receiver.told();
    let sent = other.join().unwrap();
    pair.check(&received);
    let sent = sent.unwrap();
    let learns = orders[1].terms.learns == Learns::Both;
    assert_eq!(sent.matched, learns.then_some(received.unwrap().matched.unwrap()));
}

#[test]
fn killed_parties_that_start_again_come_to_the_same_result() {
    let victims: [&[usize]; 4] = [&[0], &[1], &[0, 1], &[1]];
    for (round, victims) in (0u32..).zip(victims.into_iter().cycle().take(18)) {
        let pair = Pair::new(100_000);
        let orders = pair.orders(|order| {
            order.parts = Some(16);
            // In memory, in workers, on the disk.
            order.workers = 1 + u32::from(round % 3 == 1);
            order.memory = if round % 3 == 2 { 26 << 20 } else { 512 << 20 };
            order.patience = 30.0;
            if round % 4 < 2 {
                order.terms.learns = Learns::Both;
            }
        });
        let base = 20 + 29 * u64::from(round);
        killed(&pair, &orders, victims, &[base, base * 3, base / 2]);
    }
}

/// Either party, killed as each of the parts has just begun; before the first one, and as an answer is opened, too. Of every
/// variant and every kind of job.
#[test]
fn a_party_killed_at_any_part_comes_to_the_same_result() {
    use Security::{Ecdh, Malicious, SemiHonest, SemiHonestLow};
    let long = std::env::var("TIDM_LONG").is_ok_and(|long| long == "1");
    let within = Within { least: 1, most: u64::MAX };
    let column = || "price".to_owned();
    let kinds = [
        (SemiHonest, What::Rows, 4),
        (SemiHonestLow, What::Rows, 2),
        (Malicious, What::Rows, 2),
        (Ecdh, What::Rows, 2),
        (SemiHonest, What::Size { within }, 2),
        (SemiHonest, What::AtLeast { least: 1000 }, 2),
        (SemiHonest, What::Sum { of: Role::Sender, column: column(), decimals: 2, within }, 2),
        (SemiHonest, What::Labels { columns: vec![column()], bytes: 16 }, 2),
        (Malicious, What::Labels { columns: vec![column()], bytes: 16 }, 2),
    ];
    for (security, what, parts) in kinds {
        let parts = if long { 16 } else { parts };
        // An answer is begun as a part is.
        let last = parts + u32::from(what.opens());
        for (victim, begun) in (0..2).flat_map(|victim| (0..=last).map(move |at| (victim, at))) {
            let pair = priced(4000);
            let labels = matches!(what, What::Labels { .. });
            let mut orders = pair.orders(|order| {
                (order.parts, order.terms.security) = (Some(parts), security);
                order.terms.learns = if labels { Learns::Receiver } else { Learns::Both };
                order.what = what.clone();
                if what.opens() {
                    order.results = Results::default();
                }
            });
            if labels {
                orders[0].results.labels = Some(pair.path("labels.csv"));
            }
            killed_at(&pair, &orders, victim, begun as usize, &what);
        }
    }
}

/// Kills one party when so many parts have begun, and holds the result against what it is without that.
fn killed_at(pair: &Pair, orders: &[Order; 2], victim: usize, begun: usize, what: &What) {
    let mut parties = [Process::start(&orders[0]), Process::start(&orders[1])];
    // A party of which the other learns marks every run on its disk before it begins; of labels that is the sender alone.
    let both = orders[0].terms.learns == Learns::Both;
    let dir = &orders[if both { victim } else { 1 }].dir;
    let own = &orders[victim].dir;
    assert!(eventually(|| files(own, "journal-") > 0 && files(dir, "run-") >= begun));
    parties[victim].kill();
    parties[victim] = Process::start(&orders[victim]);
    let [receiver, sender] = parties;
    let other = std::thread::spawn(|| sender.told());
    let received = receiver.told();
    let (received, sent) = (received.unwrap(), other.join().unwrap().unwrap());
    let case = format!("{what:?} {:?} {victim} {begun}", orders[0].terms.security);
    let answer = |size, sum, at_least| Some(Answer { within: true, size, sum, at_least });
    let expected = match what {
        What::Rows | What::Labels { .. } => None,
        What::Size { .. } => answer(Some(2000), None, None),
        What::AtLeast { .. } => answer(None, None, Some(true)),
        What::Sum { .. } => answer(None, Some(total(1, 2000)), None),
    };
    assert_eq!((&received.answer, &sent.answer), (&expected, &expected), "{case}");
    if what.opens() {
        return;
    }
    assert_eq!((received.matched, sent.matched), (Some(2000), both.then_some(2000)), "{case}");
    assert_eq!(std::fs::read_to_string(pair.path("out.csv")).unwrap(), pair.expected(), "{case}");
    if !both {
        let text = std::fs::read_to_string(pair.path("labels.csv")).unwrap();
        assert_eq!((text.lines().count(), text.lines().last()), (2001, Some("4000,40.00")));
    }
}

/// With workers, what both have kept counts once, however many processes came since.
#[test]
fn progress_of_workers_is_what_is_kept() {
    let pair = Pair::new(60_000);
    let orders = pair.orders(|order| (order.parts, order.workers) = (Some(64), 2));
    let sender = Process::start(&orders[1]);
    let mut receiver = Process::start(&orders[0]);
    assert!(receiver.until_done(8));
    receiver.kill();
    // Each event is held against the number of parts.
    let received = Process::start(&orders[0]).told();
    pair.check(&received);
    sender.told().unwrap();
}

#[test]
fn finished_parts_are_not_run_again() {
    let pair = Pair::new(40_000);
    let orders = pair.orders(|order| order.parts = Some(128));
    let mut sender = Process::start(&orders[1]);
    let mut receiver = Process::start(&orders[0]);
    assert!(receiver.until_done(1));
    receiver.kill();
    let received = Process::start(&orders[0]).told();
    pair.check(&received);
    assert!(sender.until_done(2));
    let sent = sender.told().unwrap();
    let okvs = |traffic: &tidm_compute::job::progress::Traffic| traffic["okvs"].sent;
    let all = sent.traffic["okvs"].received;
    assert!(okvs(&received.unwrap().traffic) < all);
    assert_eq!(sent.connections, 2);
    // An order that is done says the same again, without a peer.
    let again = Process::start(&orders[0]).told();
    pair.check(&again);
}

#[test]
fn a_list_that_changed_since_ends_the_job() {
    type Change = fn(&Pair);
    let changes: [(Change, &str); 2] =
        [(|pair| append(pair, "one more,row\n"), "size"), (swap, "key")];
    for (change, what) in changes {
        let pair = Pair::new(40_000);
        let orders = pair.orders(|order| order.parts = Some(128));
        let sender = Process::start(&orders[1]);
        let mut receiver = Process::start(&orders[0]);
        assert!(receiver.until_done(1));
        receiver.kill();
        change(&pair);
        let error = Process::start(&orders[0]).told().unwrap_err();
        assert_eq!(error.code, "job.source-changed");
        assert!(error.text.contains(what), "{}", error.text);
        assert_eq!(sender.told().unwrap_err().code, "mpc.peer-stopped");
    }
}

fn append(pair: &Pair, line: &str) {
    let text = std::fs::read_to_string(pair.path("receiver.csv")).unwrap();
    std::fs::write(pair.path("receiver.csv"), text + line).unwrap();
}

/// Two rows change places: as long as before, other rows.
fn swap(pair: &Pair) {
    let text = std::fs::read_to_string(pair.path("receiver.csv")).unwrap();
    let mut lines: Vec<&str> = text.lines().collect();
    lines.swap(100, 200);
    std::fs::write(pair.path("receiver.csv"), lines.join("\n") + "\n").unwrap();
}

#[test]
fn a_killed_worker_is_replaced_and_its_part_is_run_by_another() {
    for victim in [0, 1] {
        let pair = Pair::new(60_000);
        let orders = pair.orders(|order| (order.parts, order.workers) = (Some(64), 3));
        let sender = Process::start(&orders[1]);
        let receiver = Process::start(&orders[0]);
        let parent = [receiver.id(), sender.id()][victim];
        assert!(eventually(|| children(parent).len() == 3));
        let left = || files(&pair.path("receiver"), "part-");
        assert!(eventually(|| (1..60).contains(&left())));
        let one = children(parent)[1];
        kill_process(Pid::from_raw(one).unwrap(), Signal::KILL).unwrap();
        let other = std::thread::spawn(|| sender.told());
        let received = receiver.told();
        pair.check(&received);
        let sent = other.join().unwrap().unwrap();
        assert!(sent.connections > 3, "{}", sent.connections);
        assert_eq!(children(parent), Vec::<i32>::new());
    }
}

#[test]
fn workers_die_with_their_coordinator() {
    let pair = Pair::new(60_000);
    let orders = pair.orders(|order| (order.parts, order.workers) = (Some(64), 3));
    let _sender = Process::start(&orders[1]);
    let mut receiver = Process::start(&orders[0]);
    assert!(eventually(|| children(receiver.id()).len() == 3));
    let workers = children(receiver.id());
    receiver.kill();
    let gone = |id: &i32| {
        let status = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        status.is_empty() || status.contains(") Z")
    };
    assert!(eventually(|| workers.iter().all(gone)));
}

#[test]
fn parties_need_not_have_as_many_workers_as_each_other() {
    for workers in [[1, 3], [3, 1], [2, 3]] {
        let pair = Pair::new(20_000);
        let mut orders = pair.orders(|order| order.parts = Some(16));
        (orders[0].workers, orders[1].workers) = (workers[0], workers[1]);
        let (received, sent) = run(&orders);
        pair.check(&received);
        sent.unwrap();
    }
}
