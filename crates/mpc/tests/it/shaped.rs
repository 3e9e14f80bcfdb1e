//! Over a network with a given bandwidth and delay.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use tidm_mpc::channel::Channel;
use tidm_mpc::channel::memory::{Memory, pair};
use tidm_mpc::fault::Fault;
use tidm_mpc::psi::{Learns, Security, ideal};
use tidm_mpc::step::Step;

use crate::parties::{ALL, run, run_job, set, terms};

/// One end of a line: a message leaves when the one before it has left, takes its time for its length, and arrives after
/// the delay.
struct Shaped {
    inner: Memory,
    bytes_per_second: f64,
    delay: Duration,
    free: Instant,
    arrivals: (Sender<Instant>, Receiver<Instant>),
}

fn line(megabits: f64, delay: Duration) -> (Shaped, Shaped) {
    let (left, right) = pair();
    let ((to_right, from_left), (to_left, from_right)) = (channel(), channel());
    let end = |inner, arrivals| Shaped {
        inner,
        bytes_per_second: megabits * 1e6 / 8.0,
        delay,
        free: Instant::now(),
        arrivals,
    };
    (end(left, (to_right, from_right)), end(right, (to_left, from_left)))
}

impl Channel for Shaped {
    fn send(&mut self, step: Step, message: &[u8]) -> Result<(), Fault> {
        let begin = self.free.max(Instant::now());
        self.free = begin + Duration::from_secs_f64(message.len() as f64 / self.bytes_per_second);
        // The arrival is known before the message is there to be received.
        let gone = |_| Fault::Lost { step, reason: "the peer is gone".to_owned() };
        self.arrivals.0.send(self.free + self.delay).map_err(gone)?;
        self.inner.send(step, message)
    }

    fn receive(&mut self, step: Step, length: usize) -> Result<Vec<u8>, Fault> {
        let message = self.inner.receive(step, length)?;
        if let Ok(arrival) = self.arrivals.1.recv() {
            thread::sleep(arrival.saturating_duration_since(Instant::now()));
        }
        Ok(message)
    }
}

#[test]
fn a_slow_line_costs_its_bandwidth_and_few_round_trips() {
    let (one, other) = (set(0..20_000), set(10_000..30_000));
    let terms = terms(Security::SemiHonest, Learns::Both, &one, &other);
    let timed = |megabits, delay| {
        let begin = Instant::now();
        let (received, sent) = run(line(megabits, delay), &terms, &one, &other);
        assert_eq!(received.unwrap(), ideal::intersection(&one, &other));
        assert_eq!(sent.unwrap().unwrap(), ideal::intersection(&other, &one));
        begin.elapsed()
    };
    let fast = timed(100_000.0, Duration::ZERO);
    // About 1.7 MB: at 20 Mbit/s at least half a second.
    assert!(timed(20.0, Duration::ZERO) > Duration::from_millis(400));
    // Eight messages wait for one another: 1.6 s more than without, and what a busy machine makes of it.
    let slow = timed(100_000.0, Duration::from_millis(200));
    assert!(slow > Duration::from_millis(1000), "{slow:?}");
    assert!(slow < fast + Duration::from_millis(6000) + fast * 4, "{slow:?} {fast:?}");
}

/// 100 Mbit/s and 50 ms, each variant: a session, and a job in parts.
#[test]
fn every_variant_and_a_job_in_parts_go_over_a_line_between_cities() {
    const DELAY: Duration = Duration::from_millis(50);
    let (one, other) = (set(0..20_000), set(10_000..30_000));
    for security in ALL {
        let terms = terms(security, Learns::Both, &one, &other);
        let begin = Instant::now();
        let (received, sent) = run(line(100.0, DELAY), &terms, &one, &other);
        assert_eq!(received.unwrap(), ideal::intersection(&one, &other));
        assert_eq!(sent.unwrap().unwrap(), ideal::intersection(&other, &one));
        // Hellos, base transfers, trees, the store, masks, and matches wait for one another.
        assert!(begin.elapsed() > 5 * DELAY, "{:?}", begin.elapsed());
        let begin = Instant::now();
        let (received, sent) = run_job(line(100.0, DELAY), &terms, 4, &one, &other);
        assert_eq!(received.unwrap(), ideal::intersection(&one, &other));
        assert_eq!(sent.unwrap(), ideal::intersection(&other, &one));
        // A part names itself, travels, and is kept by both; the set-up is paid once.
        assert!(begin.elapsed() > 20 * DELAY, "{:?}", begin.elapsed());
        assert!(begin.elapsed() < Duration::from_secs(60), "{:?}", begin.elapsed());
    }
}
