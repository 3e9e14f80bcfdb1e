//! The wire format is what it was: with the same seeds both parties say the same bytes, on every machine and in every
//! later version that calls itself version 1. A change here is a new version of the protocol.

use std::sync::{Arc, Mutex};
use std::thread;

use tidm_mpc::channel::Channel;
use tidm_mpc::channel::memory::{Memory, pair};
use tidm_mpc::fault::Fault;
use tidm_mpc::hash::derive;
use tidm_mpc::psi::{Learns, Security, ecdh};
use tidm_mpc::random::Seed;
use tidm_mpc::session::{Party, SessionId, Setting, Unwatched};
use tidm_mpc::step::Step;

use crate::parties::{run, set, terms};

const TABLE: &str = include_str!("golden.txt");

/// Writes down what its party says.
struct Noted {
    inner: Memory,
    said: Arc<Mutex<Vec<u8>>>,
}

impl Channel for Noted {
    fn send(&mut self, step: Step, message: &[u8]) -> Result<(), Fault> {
        let mut said = self.said.lock().unwrap();
        said.push(step.code());
        said.extend_from_slice(&(message.len() as u64).to_le_bytes());
        said.extend_from_slice(message);
        self.inner.send(step, message)
    }

    fn receive(&mut self, step: Step, length: usize) -> Result<Vec<u8>, Fault> {
        self.inner.receive(step, length)
    }
}

/// One line per party: what it said, as a digest.
fn noted(name: &str, session: impl FnOnce(Noted, Noted)) -> String {
    let (left, right) = pair();
    let said = [Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(Vec::new()))];
    let [receiver, sender] = said.clone();
    session(Noted { inner: left, said: receiver }, Noted { inner: right, said: sender });
    let line = |party: &str, said: &Mutex<Vec<u8>>| {
        let said = said.lock().unwrap();
        let digest = derive("tidm mpc golden test", &[&said]);
        let hex: String = digest[..16].iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{name} {party} {} {hex}\n", said.len())
    };
    line("receiver", &said[0]) + &line("sender", &said[1])
}

#[test]
fn what_is_said_stands_in_the_table() {
    let (one, other) = (set(0..45_000), set(40_000..41_000));
    let mut found = String::new();
    let variants = [
        ("rr22", Security::SemiHonest),
        ("rr22-malicious", Security::Malicious),
        ("rr22-low", Security::SemiHonestLow),
    ];
    for (name, security) in variants {
        let terms = terms(security, Learns::Both, &one, &other);
        found += &noted(name, |left, right| {
            let (received, sent) = run((left, right), &terms, &one, &other);
            assert_eq!(received.unwrap().len(), sent.unwrap().unwrap().len());
        });
    }
    let (one, other) = (set(0..300), set(290..500));
    let terms = ecdh::Terms { reveal: ecdh::Reveal::Size, receiver_items: 300, sender_items: 210 };
    found += &noted("ecdh-size", |mut left, mut right| {
        let id = SessionId([6; 32]);
        let (one, other, terms) = (&one, &other, &terms);
        thread::scope(|scope| {
            scope.spawn(move || {
                let (party, seed) = (Party::Sender, Seed::new([2; 32]));
                let setting = Setting { channel: &mut right, party, id, seed, watch: &Unwatched };
                ecdh::send(setting, terms, other).unwrap();
            });
            let (party, seed) = (Party::Receiver, Seed::new([1; 32]));
            let setting = Setting { channel: &mut left, party, id, seed, watch: &Unwatched };
            assert_eq!(ecdh::receive(setting, terms, one).unwrap(), ecdh::Learnt::Size(10));
        });
    });
    assert_eq!(found, TABLE, "what was said:\n{found}");
}
