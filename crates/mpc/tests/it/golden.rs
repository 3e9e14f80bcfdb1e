//! The wire format is what it was: with the same seeds both parties say the same bytes, on every machine and in every
//! later version that calls itself version 2. A change here is a new version of the protocol.

use std::sync::{Arc, Mutex};
use std::thread;

use tidm_mpc::channel::Channel;
use tidm_mpc::channel::memory::{Memory, pair};
use tidm_mpc::curve::Suite;
use tidm_mpc::fault::Fault;
use tidm_mpc::hash::derive;
use tidm_mpc::psi::{Item, Learns, Security, ecdh};
use tidm_mpc::random::Seed;
use tidm_mpc::session::{Party, SessionId, Setting, Unwatched};
use tidm_mpc::step::Step;
use tidm_mpc::unbalanced::space::InMemory;
use tidm_mpc::unbalanced::{self, Builder, Header, Key};

use crate::parties::{run, set, terms};

const TABLE: &str = include_str!("golden.txt");

/// Writes down what its party says.
pub(crate) struct Noted {
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
pub(crate) fn noted(name: &str, session: impl FnOnce(Noted, Noted)) -> String {
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
        ("ecdh-part", Security::Ecdh),
    ];
    for (name, security) in variants {
        let terms = terms(security, Learns::Both, &one, &other);
        found += &noted(name, |left, right| {
            let (received, sent) = run((left, right), &terms, &one, &other);
            assert_eq!(received.unwrap().len(), sent.unwrap().unwrap().len());
        });
    }
    for (name, suite) in [
        ("ecdh-size", Suite::Ristretto255),
        ("ecdh-size-curve25519", Suite::Curve25519),
        ("ecdh-size-sm2", Suite::Sm2),
    ] {
        found += &ecdh_size(name, suite);
    }
    found += &table();
    assert_eq!(found, TABLE, "what was said:\n{found}");
}

fn ecdh_size(name: &str, suite: Suite) -> String {
    let (one, other) = (&set(0..300), &set(290..500));
    let reveal = ecdh::Reveal::Size;
    let terms = &ecdh::Terms { suite, reveal, receiver_items: 300, sender_items: 210 };
    noted(name, |mut left, mut right| {
        let id = SessionId([6; 32]);
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
    })
}

/// A table as it is stored, its index, and a session over it.
fn table() -> String {
    let key = Key::new(&Seed::new([3; 32])).unwrap();
    let header = Header { version: 7, entries: 70_000, client_items: 20, public: key.public() };
    let (mut space, mut bytes) = (InMemory::default(), Vec::new());
    let mut builder = Builder::new(header, &mut space).unwrap();
    let list: Vec<Item> = (0..100).map(Item).collect();
    builder.push(&key.entries(&header, &list).unwrap()).unwrap();
    let index = builder.finish(&mut bytes, &Seed::new([4; 32])).unwrap();
    let terms = unbalanced::Terms { table: index.digest(), client_items: 20 };
    let said = noted("table-session", |mut left, mut right| {
        let id = SessionId([8; 32]);
        let (index, key, terms, bytes) = (&index, &key, &terms, &bytes);
        thread::scope(|scope| {
            scope.spawn(move || {
                let (party, seed) = (Party::Sender, Seed::new([2; 32]));
                let setting = Setting { channel: &mut right, party, id, seed, watch: &Unwatched };
                unbalanced::answer(setting, terms, index, key).unwrap();
            });
            let (party, seed) = (Party::Receiver, Seed::new([1; 32]));
            let setting = Setting { channel: &mut left, party, id, seed, watch: &Unwatched };
            let mut table = bytes.as_slice();
            let found = unbalanced::query(setting, terms, index, &mut table, &set(90..110));
            assert_eq!(found.unwrap(), (0..10).collect::<Vec<u32>>());
        });
    });
    let hex: String = index.digest()[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("table {} {hex}\n{said}", bytes.len())
}
