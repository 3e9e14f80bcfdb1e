//! Jobs whose answer is not rows alone: sizes, sums, bounds and labels, over parts, killed and refused.

use std::time::Duration;

use tidm_compute::job::failure::Blame;
use tidm_compute::job::order::{Learns, Order, Role, Security};
use tidm_compute::job::what::{Answer, What, Within};
use tidm_compute::keys::Equals;

use crate::parties::{Pair, Process, files, run};

/// Lists with a price each: 7 cents per row of its own list, less a hundred.
pub(crate) fn priced(count: u64) -> Pair {
    let pair = Pair::new(count);
    for name in ["receiver.csv", "sender.csv"] {
        let text = std::fs::read_to_string(pair.path(name)).unwrap();
        let mut out = String::new();
        for (row, line) in (0i64..).zip(text.lines()) {
            let key = line.split(',').next().unwrap();
            match row {
                0 => out += &format!("{key},price,note\n"),
                _ => {
                    let cents = row * 7 - 10_000;
                    let sign = if cents < 0 { "-" } else { "" };
                    let (whole, part) = (cents.abs() / 100, cents.abs() % 100);
                    out += &format!("{key},{sign}{whole}.{part:02},\"no, {row}\"\n");
                }
            }
        }
        std::fs::write(pair.path(name), out).unwrap();
    }
    pair
}

fn within(least: u64, most: u64) -> Within {
    Within { least, most }
}

fn asked(pair: &Pair, what: &What, parts: u32, learns: Learns) -> [Order; 2] {
    pair.orders(|order| {
        order.what = what.clone();
        order.parts = Some(parts);
        order.terms.learns = learns;
        order.results = Default::default();
    })
}

fn sum(of: Role, within: Within) -> What {
    What::Sum { of, column: "price".to_owned(), decimals: 2, within }
}

/// Of the rows `begin` to `end`, as [`priced`] made them.
pub(crate) fn total(begin: i64, end: i64) -> String {
    let cents: i64 = (begin..=end).map(|row| row * 7 - 10_000).sum();
    let sign = if cents < 0 { "-" } else { "" };
    format!("{sign}{}.{:02}", cents.abs() / 100, cents.abs() % 100)
}

fn answer(size: Option<u64>, sum: Option<String>, at_least: Option<bool>) -> Answer {
    Answer { within: true, size, sum, at_least }
}

#[test]
fn one_answer_is_opened_over_all_parts_to_whom_it_may_be() {
    let shut = Answer::default();
    let all = within(0, u64::MAX);
    let size = |within| What::Size { within };
    let cases = [
        (size(all), answer(Some(1000), None, None)),
        (size(within(1000, 1000)), answer(Some(1000), None, None)),
        (size(within(1001, u64::MAX)), shut.clone()),
        (size(within(1, 999)), shut.clone()),
        (What::AtLeast { least: 1000 }, answer(None, None, Some(true))),
        (What::AtLeast { least: 1001 }, answer(None, None, Some(false))),
        (sum(Role::Sender, within(1000, 1000)), answer(None, Some(total(1, 1000)), None)),
        (sum(Role::Receiver, all), answer(None, Some(total(1001, 2000)), None)),
        (sum(Role::Sender, within(1001, u64::MAX)), shut),
    ];
    let pair = priced(2000);
    for (index, (what, expected)) in (0u32..).zip(cases) {
        let parts = [1, 4][index as usize % 2];
        let learns = [Learns::Receiver, Learns::Both][index as usize / 2 % 2];
        let mut orders = asked(&pair, &what, parts, learns);
        for order in &mut orders {
            order.job = format!("{index:064x}");
            order.dir = order.dir.join(index.to_string());
        }
        let (received, sent) = run(&orders);
        let (received, sent) = (received.unwrap(), sent.unwrap());
        // Both have counted their runs, and the opening.
        for order in &orders {
            assert_eq!(files(&order.dir, "run-"), parts as usize + 1, "{what:?}");
        }
        assert_eq!(received.answer.as_ref(), Some(&expected), "{what:?}");
        let entitled = learns == Learns::Both;
        let nothing = Answer { within: expected.within, ..Answer::default() };
        assert_eq!(sent.answer, Some(if entitled { expected } else { nothing }), "{what:?}");
        for report in [received, sent] {
            assert_eq!((report.matched, report.parts, report.confirmed), (None, parts, true));
            let opened = report.traffic["opening"];
            assert!(report.traffic["gates"].sent > 0 && opened.sent + opened.received > 0);
        }
    }
}

#[test]
fn labels_come_with_the_rows_that_match() {
    for (security, parts) in [(Security::SemiHonest, 3), (Security::Malicious, 2)] {
        let pair = priced(200);
        let columns = vec!["note".to_owned(), "price".to_owned()];
        let what = What::Labels { columns, bytes: 40 };
        let mut orders = asked(&pair, &what, parts, Learns::Receiver);
        for order in &mut orders {
            order.terms.security = security;
            order.rule.equals = Equals::First;
        }
        orders[0].results.rows = Some(pair.path("out.csv"));
        orders[0].results.labels = Some(pair.path("labels.csv"));
        let (received, sent) = run(&orders);
        assert_eq!(received.unwrap().matched, Some(100));
        assert_eq!(sent.unwrap().matched, None);
        assert_eq!(std::fs::read_to_string(pair.path("out.csv")).unwrap(), pair.expected());
        let text = std::fs::read_to_string(pair.path("labels.csv")).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!((lines.len(), lines[0]), (101, "row,note,price"));
        assert_eq!(lines[1], "101,\"no, 1\",-99.93");
        assert_eq!(lines[100], "200,\"no, 100\",-93.00");
    }
}

/// Killed at many moments, either or both: started again, the same answer.
#[test]
fn killed_parties_come_to_the_same_answer() {
    let victims: [&[usize]; 4] = [&[0], &[1], &[0, 1], &[1]];
    for (round, victims) in (0u32..).zip(victims.into_iter().cycle().take(8)) {
        let pair = priced(20_000);
        let what = match round % 2 {
            0 => sum(Role::Sender, within(10_000, 10_000)),
            _ => What::Labels { columns: vec!["price".to_owned()], bytes: 16 },
        };
        let mut orders = asked(&pair, &what, 8, Learns::Receiver);
        if round % 2 == 1 {
            orders[0].results.rows = Some(pair.path("out.csv"));
            orders[0].results.labels = Some(pair.path("labels.csv"));
        }
        for order in &mut orders {
            order.patience = 60.0;
        }
        let mut parties = [Process::start(&orders[0]), Process::start(&orders[1])];
        let base = 40 + 130 * u64::from(round);
        for after in [base, base * 3] {
            std::thread::sleep(Duration::from_millis(after));
            for victim in victims {
                if !parties[*victim].ended() {
                    parties[*victim].kill();
                    parties[*victim] = Process::start(&orders[*victim]);
                }
            }
        }
        let [receiver, sender] = parties;
        let other = std::thread::spawn(|| sender.told());
        let received = receiver.told().unwrap();
        other.join().unwrap().unwrap();
        if round % 2 == 0 {
            let expected = answer(None, Some(total(1, 10_000)), None);
            assert_eq!(received.answer, Some(expected), "{round}");
        } else {
            assert_eq!(received.matched, Some(10_000), "{round}");
            let text = std::fs::read_to_string(pair.path("labels.csv")).unwrap();
            assert_eq!((text.lines().count(), text.lines().last()), (10_001, Some("20000,600.00")));
        }
        assert_eq!(files(&pair.path("receiver"), "part-"), 0);
    }
}

#[test]
fn parties_that_ask_otherwise_end_at_the_hello() {
    let pair = priced(10);
    let size = |least| What::Size { within: within(least, u64::MAX) };
    let others = [size(1), What::Rows, What::AtLeast { least: 2 }, sum(Role::Sender, within(2, 9))];
    for other in others {
        let mut orders = asked(&pair, &size(2), 1, Learns::Receiver);
        orders[1].what = other;
        let (received, sent) = run(&orders);
        for told in [received, sent] {
            assert_eq!(told.unwrap_err().code, "mpc.peer-incompatible");
        }
        for name in ["receiver", "sender"] {
            std::fs::remove_dir_all(pair.path(name)).unwrap();
        }
    }
}

/// What cannot be summed up or given ends both, before anything that depends on a list has left.
#[test]
fn values_that_do_not_fit_are_refused_before_anything_is_sent() {
    let labels = |bytes| What::Labels { columns: vec!["note".to_owned()], bytes };
    let cut = |decimals| What::Sum {
        of: Role::Sender,
        column: "price".to_owned(),
        decimals,
        within: Within::default(),
    };
    type Change = fn(&str) -> String;
    let cases: [(What, Change, &str); 5] = [
        (cut(1), |text| text.to_owned(), "keys.value"),
        (cut(2), |text| text.replace("-99.93", "92233720368547758"), "keys.value"),
        (cut(2), |text| text.replace("-99.93", "much"), "keys.value"),
        (cut(2), |text| text.replace("price", "prices"), "keys.no-column"),
        (labels(7), |text| text.to_owned(), "keys.label-too-long"),
    ];
    for (what, change, code) in cases {
        let pair = priced(10);
        let text = std::fs::read_to_string(pair.path("sender.csv")).unwrap();
        std::fs::write(pair.path("sender.csv"), change(&text)).unwrap();
        let (received, sent) = run(&asked(&pair, &what, 1, Learns::Receiver));
        let error = sent.unwrap_err();
        assert_eq!((error.code.as_str(), error.blame), (code, Blame::Input), "{}", error.text);
        assert!(!error.text.contains("much") && !error.text.contains("99.93"), "{}", error.text);
        assert_eq!(received.unwrap_err().code, "mpc.peer-stopped");
    }
}

#[test]
fn orders_that_cannot_be_are_refused() {
    let pair = priced(10);
    let size = What::Size { within: Within::default() };
    let labels = |columns: usize, bytes| What::Labels { columns: vec!["a".into(); columns], bytes };
    type Change = fn(&mut Order);
    let cases: [(What, Change); 9] = [
        (size.clone(), |order| order.workers = 2),
        (size.clone(), |order| order.terms.security = Security::Malicious),
        (size, |order| order.results.bitmap = Some("bits".into())),
        (labels(0, 8), |_| {}),
        (labels(65, 8), |_| {}),
        (labels(1, 5000), |_| {}),
        (labels(1, 8), |order| order.terms.learns = Learns::Both),
        (labels(1, 8), |order| order.rule.equals = Equals::Multiply),
        (labels(1, 4096), |order| order.terms.receiver_items = 1 << 20),
    ];
    for (what, change) in cases {
        let mut order = asked(&pair, &what, 1, Learns::Receiver)[0].clone();
        order.terms.sender_items = 1 << 20;
        change(&mut order);
        assert_eq!(order.check().unwrap_err().code(), "job.order", "{what:?}");
    }
}
