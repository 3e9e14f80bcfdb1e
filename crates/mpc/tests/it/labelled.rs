//! Intersections with labels: what is said byte by byte, and what happens where somebody changes it.

use std::thread;

use tidm_mpc::channel::Channel;
use tidm_mpc::channel::memory::pair;
use tidm_mpc::fault::Fault;
use tidm_mpc::psi::labelled::{Found, Terms, receive, send};
use tidm_mpc::psi::{Security, ideal};
use tidm_mpc::random::Seed;
use tidm_mpc::session::{Party, SessionId, Setting, Unwatched};
use tidm_mpc::step::Step;

use crate::golden::noted;
use crate::meddled::{Change, Meddled};
use crate::parties::set;

type Results = (Result<Vec<Found>, Fault>, Result<(), Fault>);

fn terms(security: Security) -> Terms {
    Terms { security, receiver_items: 300, sender_items: 260, label_bytes: 20, parts: 1 }
}

fn labels() -> Vec<u8> {
    (0..250u8).flat_map(|item| [item; 20]).collect()
}

/// 300 items of the one, 250 of the other, 100 in common.
fn run<A: Channel + Send, B: Channel + Send>(
    (mut left, mut right): (A, B),
    security: Security,
) -> Results {
    let id = SessionId([5; 32]);
    thread::scope(|scope| {
        let other = scope.spawn(move || {
            let (party, seed) = (Party::Sender, Seed::new([2; 32]));
            let setting = Setting { channel: &mut right, party, id, seed, watch: &Unwatched };
            send(setting, &terms(security), &set(200..450), &labels())
        });
        let (party, seed) = (Party::Receiver, Seed::new([1; 32]));
        let setting = Setting { channel: &mut left, party, id, seed, watch: &Unwatched };
        let found = receive(setting, &terms(security), &set(0..300));
        drop(left);
        (found, other.join().unwrap())
    })
}

#[test]
fn what_is_said_is_what_it_was() {
    let mut said = String::new();
    for (name, security) in
        [("labelled", Security::SemiHonest), ("labelled-malicious", Security::Malicious)]
    {
        said += &noted(name, |left, right| {
            let expected = ideal::labelled(&set(0..300), &set(200..450), &labels(), 20);
            assert_eq!(run((left, right), security), (Ok(expected), Ok(())));
        });
    }
    let table = "\
labelled receiver 1257571 fc114313ed026850638f93a369e2d82a
labelled sender 143332 f051f4153dcbc7a961a26b3f5ab121b7
labelled-malicious receiver 1259824 9b82f0aa4d7e5c4b6ade579b276463ac
labelled-malicious sender 145787 e28da910f345e555a61cfbbe76de0b13
";
    assert_eq!(said, table, "what was said:\n{said}");
}

fn meddle(security: Security, receiver_says: bool, step: Step, change: Change) -> Results {
    let (left, right) = pair();
    let (ours, theirs) = if receiver_says { (Some(change), None) } else { (None, Some(change)) };
    let left = Meddled { inner: left, step, change: ours };
    run((left, Meddled { inner: right, step, change: theirs }), security)
}

const SAID: [(bool, Step); 7] = [
    (true, Step::Hello),
    (true, Step::NoiseValues),
    (true, Step::Okvs),
    (false, Step::BaseOtReplies),
    (false, Step::Trees),
    (false, Step::Masks),
    (false, Step::Labels),
];

#[test]
fn every_changed_byte_is_caught_in_the_malicious_variant_and_never_a_panic_in_the_other() {
    let change: Change = |_, message| {
        let middle = message.len() / 2;
        message[middle] ^= 0x10;
    };
    for (receiver_says, step) in SAID {
        let (found, sent) = meddle(Security::Malicious, receiver_says, step, change);
        let codes = [found.unwrap_err().code(), sent.unwrap_err().code()];
        assert!(codes.iter().any(|code| code.starts_with("mpc.peer-")), "{step}: {codes:?}");
        if let (Ok(found), _) = meddle(Security::SemiHonest, receiver_says, step, change) {
            assert!(found.len() <= 250, "{step}");
        }
    }
}

#[test]
fn shorter_longer_and_other_messages_are_faults() {
    let changes: [Change; 4] = [
        |_, message| message.truncate(message.len() - 1),
        |_, message| message.push(0),
        |_, message| message.clear(),
        |step, _| *step = if *step == Step::Okvs { Step::Labels } else { Step::Okvs },
    ];
    for security in [Security::SemiHonest, Security::Malicious] {
        for change in changes {
            for (receiver_says, step) in SAID {
                let (found, sent) = meddle(security, receiver_says, step, change);
                let fault = if receiver_says { sent.unwrap_err() } else { found.unwrap_err() };
                assert_eq!(fault.code(), "mpc.peer-misbehaved", "{step}: {fault}");
            }
        }
    }
}
