//! A party on more than one machine: whoever sees the job's directory, and was told the key of its parts, finishes some of them.

use std::io::BufRead as _;

use tidm_compute::job::connect::{Address, Way};
use tidm_compute::job::order::Order;
use tidm_compute::job::progress::{Event, Traffic};
use tidm_compute::job::workers::Start;

use crate::lines::line;
use crate::parties::{Pair, Process};

/// Reads on until others may join.
fn opened(it: &mut Process) -> String {
    let mut line = String::new();
    while it.out.read_line(&mut line).unwrap() > 0 {
        if let Ok(Event::Open(open)) = serde_json::from_str(&line) {
            return open.key;
        }
        line.clear();
    }
    panic!("it ended before anybody could join");
}

/// What a helper moved, once it says that both have everything.
fn helped(it: &mut Process) -> Traffic {
    let mut all = Traffic::new();
    for line in (&mut it.out).lines() {
        match serde_json::from_str(&line.unwrap()).unwrap() {
            Event::Moved { traffic, .. } => all = traffic,
            Event::Ended => return all,
            Event::Error(why) => panic!("{why:?}"),
            Event::Progress(_) | Event::Cut(_) | Event::Open(_) | Event::Report(_) => {}
        }
    }
    panic!("it ended without a word");
}

/// Two workers of each party go over a slow line; the helpers have one of their own, and nothing else in common with them than the
/// directory.
#[test]
fn processes_elsewhere_finish_parts_of_a_job() {
    let pair = Pair::new(20_000);
    line(&pair.path("line.sock"), &pair.path("sender.sock"));
    let mut orders = pair.orders(|order| {
        (order.workers, order.open, order.parts) = (2, true, Some(24));
    });
    orders[0].connect = Way::Dial(Address::Unix(pair.path("line.sock")));
    let mut parties = orders.each_ref().map(Process::start);
    let keys = parties.each_mut().map(opened);
    let near = Address::Unix(pair.path("near.sock"));
    let ways = [Way::Dial(near.clone()), Way::Listen(near)];
    let mut helpers: Vec<_> = (orders.into_iter().zip(keys).zip(ways))
        .map(|((order, key), connect)| {
            let order = Order { connect, ..order };
            Process::called("join", &Start { order, key: Some(key), number: 1 })
        })
        .collect();
    for (helper, _input) in &mut helpers {
        let moved = helped(helper);
        assert!(moved.contains_key("okvs"), "it finished no part: {moved:?}");
    }
    let [receiver, sender] = parties;
    let other = std::thread::spawn(|| sender.told());
    let (received, sent) = (receiver.told(), other.join().unwrap());
    pair.check(&received);
    let parts = [&received, &sent].map(|it| it.as_ref().unwrap().parts);
    assert_eq!(parts, [24; 2]);
}

/// What is no key, or no job of several workers, is refused before anything is opened.
#[test]
fn nobody_joins_without_a_key() {
    let pair = Pair::new(2_000);
    let mut orders = pair.orders(|order| {
        (order.workers, order.open, order.parts) = (2, true, Some(4));
    });
    // The sender never comes, so the job stands.
    orders[0].patience = 5.0;
    let wrong = Start {
        order: Order { open: false, ..orders[0].clone() },
        key: Some("no".to_owned()),
        number: 0,
    };
    let (mut helper, _input) = Process::called("join", &wrong);
    let mut line = String::new();
    helper.out.read_line(&mut line).unwrap();
    assert!(line.contains("job.order"), "{line}");
    let alone = Order { workers: 1, ..orders[0].clone() };
    assert_eq!(alone.check().unwrap_err().code(), "job.order");
}
