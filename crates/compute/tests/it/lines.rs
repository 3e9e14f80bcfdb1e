//! Jobs over a slow line, and what a line shows: lengths by agreed sizes.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use tidm_compute::job::connect::{Address, Way};
use tidm_compute::job::order::{Learns, Security};
use tidm_compute::keys::Equals;

use crate::parties::{Pair, run};

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

fn line(dialled: &Path, behind: &Path) {
    let (listener, behind) = (UnixListener::bind(dialled).unwrap(), behind.to_owned());
    thread::spawn(move || {
        for near in listener.incoming() {
            let near = near.unwrap();
            let far = loop {
                match UnixStream::connect(&behind) {
                    Ok(far) => break far,
                    Err(_) => thread::sleep(Duration::from_millis(5)),
                }
            };
            pass(near.try_clone().unwrap(), far.try_clone().unwrap());
            pass(far, near);
        }
    });
}

#[test]
fn every_variant_goes_over_a_line_between_cities() {
    for security in [Security::SemiHonest, Security::SemiHonestLow, Security::Malicious] {
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

/// Two lists of the same agreed sizes, whatever is in them: every step has as many bytes, of either party.
#[test]
fn what_a_job_says_is_as_long_whatever_its_lists_hold() {
    type Change = fn(&str) -> String;
    let changes: [Change; 5] = [
        |text| text.to_owned(),
        // Nothing in common.
        |text| text.replace('0', "x"),
        // A tenth of the rows.
        |text| text.lines().take(100).map(|line| format!("{line}\n")).collect(),
        // Every key ten times.
        |text| {
            let lines: Vec<&str> = text.lines().collect();
            let times = (1..lines.len()).map(|row| format!("{}\n", lines[1 + row / 10]));
            format!("{}\n", lines[0]) + &times.collect::<String>()
        },
        // One key in all rows but a few.
        |text| {
            let (head, rest) = text.split_at(text.len() / 2);
            let end = head.rfind('\n').unwrap() + 1;
            head[..end].to_owned() + &"same,\n".repeat(rest.len() / 23)
        },
    ];
    for (security, learns) in [
        (Security::SemiHonest, Learns::Receiver),
        (Security::SemiHonestLow, Learns::Both),
        (Security::Malicious, Learns::Both),
    ] {
        let mut expected = None;
        for change in changes {
            let pair = Pair::new(1000);
            let text = std::fs::read_to_string(pair.path("receiver.csv")).unwrap();
            std::fs::write(pair.path("receiver.csv"), change(&text)).unwrap();
            let orders = pair.orders(|order| {
                (order.terms.security, order.terms.learns) = (security, learns);
                (order.parts, order.rule.equals) = (Some(4), Equals::First);
            });
            let (received, sent) = run(&orders);
            let said = [received.unwrap().traffic, sent.unwrap().traffic];
            assert_eq!(*expected.get_or_insert_with(|| said.clone()), said, "{security:?}");
        }
    }
}
