//! Jobs that end with a reason: one that says whose fault it is, at both parties, and soon.

use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use tidm_compute::job::failure::Blame;
use tidm_compute::job::order::{Order, Security};

use crate::parties::{Pair, Process, eventually, run};

#[test]
fn what_was_agreed_otherwise_ends_both() {
    let changes: [fn(&mut Order); 4] = [
        |order| order.terms.security = Security::Malicious,
        |order| order.terms.sender_items += 1,
        |order| order.rule.parts[0].ignore_case = true,
        |order| order.job.replace_range(..2, "3d"),
    ];
    for change in changes {
        let pair = Pair::new(10);
        let mut orders = pair.orders(|_| {});
        change(&mut orders[0]);
        let (received, sent) = run(&orders);
        for told in [received, sent] {
            let error = told.unwrap_err();
            assert_eq!((error.code.as_str(), error.blame), ("mpc.peer-incompatible", Blame::Peer));
        }
    }
}

#[test]
fn a_party_that_cannot_go_on_tells_its_peer() {
    type Change = fn(&Pair, &mut Order);
    let changes: [(Change, &str); 3] = [
        (|_, order| order.source.path.push("missing"), "keys.io"),
        (
            |_, order| order.mapping = tidm_compute::keys::Mapping::of([("key", "nr")]),
            "keys.no-column",
        ),
        (
            |pair, order| {
                let text = std::fs::read_to_string(&order.source.path).unwrap();
                std::fs::write(pair.path("more.csv"), format!("{text}one more,row\n")).unwrap();
                order.rule.equals = tidm_compute::keys::Equals::Refuse;
                order.source.path = pair.path("more.csv");
            },
            "mpc.too-many",
        ),
    ];
    for (change, expected) in changes {
        let pair = Pair::new(10);
        let mut orders =
            pair.orders(|order| order.rule.equals = tidm_compute::keys::Equals::Refuse);
        change(&pair, &mut orders[0]);
        let begun = Instant::now();
        let (received, sent) = run(&orders);
        let error = received.unwrap_err();
        assert_eq!((error.code.as_str(), error.blame), (expected, Blame::Input), "{}", error.text);
        assert!(!error.next.is_empty());
        assert_eq!(sent.unwrap_err().code, "mpc.peer-stopped");
        assert!(begun.elapsed() < Duration::from_secs(10));
    }
}

/// One key more than agreed in one part; so few more that no part shows it; so many that one does before it runs.
#[test]
fn more_different_keys_than_agreed_end_the_job() {
    use tidm_compute::keys::Equals;
    let cases = [
        (10, 1, None, 1),
        (20_000, 300, Some(8), 1),
        (20_000, 300, Some(8), 2),
        (20_000, 9000, Some(8), 2),
    ];
    for (count, more, parts, workers) in cases {
        for (equals, long) in
            [(Equals::First, 0), (Equals::First, 1), (Equals::Multiply, 0), (Equals::Multiply, 1)]
        {
            let pair = Pair::new(count);
            let mut orders = pair.orders(|order| {
                order.rule.equals = equals;
                (order.parts, order.workers) = (parts, workers);
            });
            let path = &orders[long].source.path;
            let mut text = std::fs::read_to_string(path).unwrap();
            for key in 0..more {
                // As often as it likes: that is no other key.
                text.push_str(&format!("one more {key},row\n").repeat(2));
            }
            std::fs::write(pair.path("more.csv"), text).unwrap();
            orders[long].source.path = pair.path("more.csv");
            let (received, sent) = run(&orders);
            let told = if long == 0 { received } else { sent };
            let error = told.unwrap_err();
            let case = format!("{count} {more} {workers} {equals:?} {long}: {}", error.text);
            assert_eq!(
                (error.code.as_str(), error.blame),
                ("mpc.too-many", Blame::Input),
                "{case}"
            );
            assert!(error.text.starts_with("different keys of"), "{case}");
        }
    }
}

#[test]
fn a_directory_serves_one_process_and_one_job() {
    let pair = Pair::new(10);
    let [mut receiver, sender] = pair.orders(|_| {});
    let first = Process::start(&sender);
    assert!(eventually(|| pair.path("sender/journal-0001").exists()));
    let second = Process::start(&sender).told().unwrap_err();
    assert_eq!(second.code, "job.busy");
    receiver.dir = pair.path("receiver");
    let received = Process::start(&receiver).told();
    pair.check(&received);
    first.told().unwrap();
    // The same directory with other terms: nothing of the old job is taken for the new one.
    receiver.terms.sender_items += 1;
    assert_eq!(Process::start(&receiver).told().unwrap_err().code, "job.order");
}

#[test]
fn strangers_on_the_connection_end_the_job_with_a_fault() {
    let noise: Vec<Vec<u8>> = vec![
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        vec![1, 70, 0, 0, 0],
        [&[1, 70, 0, 0, 0][..], &[9; 70]].concat(),
        vec![0xff; 1000],
    ];
    for bytes in noise {
        let pair = Pair::new(10);
        let [_, mut sender] = pair.orders(|_| {});
        (sender.silence, sender.patience) = (0.5, 1.0);
        let process = Process::start(&sender);
        let path = pair.path("sender.sock");
        assert!(eventually(
            || UnixStream::connect(&path).is_ok_and(|mut it| { it.write_all(&bytes).is_ok() })
        ));
        let code = process.told().unwrap_err().code;
        let expected = ["mpc.peer-misbehaved", "mpc.peer-incompatible", "mpc.connection-lost"];
        assert!(expected.contains(&code.as_str()), "{code}");
    }
}

#[test]
fn a_peer_that_never_comes_is_waited_for_no_longer_than_ordered() {
    let pair = Pair::new(10);
    for mut order in pair.orders(|_| {}) {
        order.patience = 0.3;
        let error = Process::start(&order).told().unwrap_err();
        assert_eq!((error.code.as_str(), error.blame), ("mpc.connection-lost", Blame::Connection));
    }
}
