//! Jobs that nothing happens to.

use tidm_compute::job::order::{Learns, Role, Security};
use tidm_compute::keys::{Bitmap, Equals};
use tidm_jail::Layer;

use crate::parties::{ALL, Pair, Process, children, eventually, files, run};

#[test]
fn every_kind_of_job_gives_the_rows_of_both_lists() {
    for security in ALL {
        for learns in [Learns::Receiver, Learns::Both] {
            for (parts, workers) in [(1, 1), (4, 1), (5, 2)] {
                let pair = Pair::new(3000);
                let mut orders = pair.orders(|order| {
                    (order.terms.security, order.terms.learns) = (security, learns);
                    (order.parts, order.workers) = (Some(parts), workers);
                });
                orders[0].results.bitmap = Some(pair.path("bits"));
                let (received, sent) = run(&orders);
                pair.check(&received);
                let (received, sent) = (received.unwrap(), sent.unwrap());
                assert_eq!((received.parts, sent.parts), (parts, parts));
                assert!(received.confirmed && sent.confirmed);
                assert_eq!(sent.matched, (learns == Learns::Both).then_some(1500));
                assert_eq!((received.rows, received.items), (3000, 3000));
                let bits = Bitmap::of_bytes(&std::fs::read(pair.path("bits")).unwrap()).unwrap();
                assert!(bits.iter().eq(1500..3000));
                // What one says left is what the other says came, where no worker was stopped in between.
                if workers == 1 {
                    assert_eq!((received.sent, sent.sent), (sent.received, received.received));
                }
                let items = if security == Security::Ecdh { "blinded" } else { "okvs" };
                assert!(received.traffic[items].sent > 0);
                for name in ["receiver", "sender"] {
                    assert_eq!(files(&pair.path(name), "part-"), 0);
                }
            }
        }
    }
}

#[test]
fn what_equal_keys_mean_is_as_agreed() {
    for (equals, expected) in
        [(Equals::First, Some((2, 1))), (Equals::Multiply, Some((3, 0))), (Equals::Refuse, None)]
    {
        let pair = Pair::new(4);
        std::fs::write(pair.path("receiver.csv"), "id,x\na,1\nb,1\na,1\n,1\nc,1\n").unwrap();
        std::fs::write(pair.path("sender.csv"), "number\nb\na\nd\nb\n").unwrap();
        let orders = pair.orders(|order| order.rule.equals = equals);
        let (received, sent) = run(&orders);
        match expected {
            Some((matched, duplicates)) => {
                let report = received.unwrap();
                assert_eq!((report.matched, report.duplicates), (Some(matched), duplicates));
                assert_eq!((report.rows, report.items, report.malformed), (5, 4, 1));
            }
            // Both lists have some, so each may be the first to say so.
            None => {
                for told in [received, sent] {
                    let code = told.unwrap_err().code;
                    assert!(
                        ["mpc.duplicate-items", "mpc.peer-stopped"].contains(&&*code),
                        "{code}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_list_that_does_not_fit_its_memory_goes_over_the_disk() {
    let pair = Pair::new(200_000);
    let orders = pair.orders(|order| order.memory = 28 << 20);
    let sender = Process::start(&orders[1]);
    let receiver = Process::start(&orders[0]);
    for name in ["receiver", "sender"] {
        assert!(eventually(|| files(&pair.path(name), "part-") > 0));
    }
    let other = std::thread::spawn(|| sender.told());
    let received = receiver.told();
    pair.check(&received);
    assert_eq!(received.unwrap().parts, 16);
    assert!(other.join().unwrap().unwrap().peak_bytes < 40 << 20);
}

/// What each process of a party takes, all together: as much as ordered for all, and what programs and their libraries take.
#[test]
fn workers_share_the_ordered_memory() {
    const SLACK: u64 = 16 << 20;
    for (workers, mib) in [(1, 40), (2, 96), (4, 160)] {
        let pair = Pair::new(200_000);
        let orders = pair.orders(|order| (order.memory, order.workers) = (mib << 20, workers));
        let (received, sent) = run(&orders);
        pair.check(&received);
        for report in [received.unwrap(), sent.unwrap()] {
            let (peak, most) = (report.peak_bytes, (mib << 20) + SLACK);
            assert!(peak <= most, "{workers} workers: {peak} of {most}");
            // Not of one process alone.
            assert!(peak > u64::from(workers) * (4 << 20), "{workers} workers: {peak}");
        }
    }
}

#[test]
fn whoever_hears_the_peer_is_shut_in_before_it_does() {
    let shut_in = |id: u32| {
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
        status.contains("NoNewPrivs:\t1") && status.contains("Seccomp:\t2")
    };
    for (role, workers) in [(Role::Receiver, 1), (Role::Sender, 1), (Role::Sender, 2)] {
        let pair = Pair::new(10);
        let mut order = pair.order(role);
        (order.workers, order.jail) = (workers, vec![Layer::Seccomp]);
        // Nobody ever calls or answers.
        let process = Process::start(&order);
        let first = process.id();
        match workers {
            1 => assert!(eventually(|| shut_in(first)), "{role:?}"),
            _ => {
                let worker = || children(first).first().and_then(|id| u32::try_from(*id).ok());
                assert!(eventually(|| worker().is_some_and(shut_in)));
                assert!(!shut_in(first));
            }
        }
    }
}
