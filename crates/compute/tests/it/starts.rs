//! Many small jobs from both ends in any order: none may hang. `TIDM_STARTS` says how many (100).

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use tidm_compute::job::Host;
use tidm_compute::job::connect::{Address, Way};
use tidm_compute::job::order::{Order, Report};
use tidm_compute::job::party;

use crate::parties::Pair;

/// A job of 20 items takes a tenth of a second; a busy machine may take a hundred times that.
const DEADLINE: Duration = Duration::from_secs(30);

fn start(order: Order, after: u64) -> Receiver<Report> {
    let (tell, told) = channel();
    thread::spawn(move || {
        thread::sleep(Duration::from_micros(after));
        let cancelled = Arc::new(AtomicBool::new(false));
        let report = party::run(&order, &Host::default(), Arc::new(|_| {}), cancelled);
        drop(tell.send(report.unwrap()));
    });
    told
}

/// What a party says in the end, or a failure instead of a run that hangs.
fn end(told: &Receiver<Report>, who: &str, round: u32, way: &Way) -> Report {
    told.recv_timeout(DEADLINE).unwrap_or_else(|why| {
        panic!("start {round}: the {who} ({way:?}) has not ended within {DEADLINE:?}: {why}")
    })
}

#[test]
fn many_starts_in_any_order_all_end() {
    let count: u32 = std::env::var("TIDM_STARTS").map_or(100, |count| count.parse().unwrap());
    let pair = Pair::new(20);
    let mut random = 88_172_645_463_325_252u64;
    let mut next = |bound: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % bound
    };
    for round in 0..count {
        let mut orders = pair.orders(|order| {
            order.job = format!("{round:064x}");
            order.dir = order.dir.join(round.to_string());
        });
        // Either may be the one that listens, over either kind of socket.
        let listens = usize::from(next(2) == 1);
        let address = match next(2) {
            0 => Address::Unix(pair.path("starts.sock")),
            _ => {
                let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
                Address::Tcp(free.local_addr().unwrap().to_string())
            }
        };
        orders[listens].connect = Way::Listen(address.clone());
        orders[1 - listens].connect = Way::Dial(address);
        let ways = orders.each_ref().map(|order| order.connect.clone());
        let [receiver, sender] = orders;
        let (one, other) = (start(receiver, next(5000)), start(sender, next(5000)));
        let received = end(&one, "receiver", round, &ways[0]);
        let sent = end(&other, "sender", round, &ways[1]);
        assert_eq!(received.matched, Some(10));
        assert_eq!((received.sent, received.received), (sent.received, sent.sent));
    }
}
