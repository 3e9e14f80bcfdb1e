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
use crate::meddled::{CHANGES, Change, Meddled, Said, recorded};
use crate::parties::set;

type Results = (Result<Vec<Found>, Fault>, Result<(), Fault>);

/// The agreed sizes of receiver and sender: the one has so many items, the other 250.
pub(crate) type Sizes = (u64, u64);

const SIZES: Sizes = (300, 260);

fn terms(security: Security, (receiver_items, sender_items): Sizes) -> Terms {
    Terms { security, receiver_items, sender_items, label_bytes: 20, parts: 1 }
}

fn labels() -> Vec<u8> {
    (0..250u8).flat_map(|item| [item; 20]).collect()
}

/// The sender has the items 200 to 450, the receiver all below its agreed size.
fn run<A: Channel + Send, B: Channel + Send>(
    (mut left, mut right): (A, B),
    security: Security,
    sizes: Sizes,
) -> Results {
    let id = SessionId([5; 32]);
    let terms = &terms(security, sizes);
    thread::scope(|scope| {
        let other = scope.spawn(move || {
            let (party, seed) = (Party::Sender, Seed::new([2; 32]));
            let setting = Setting { channel: &mut right, party, id, seed, watch: &Unwatched };
            send(setting, terms, &set(200..450), &labels())
        });
        let (party, seed) = (Party::Receiver, Seed::new([1; 32]));
        let setting = Setting { channel: &mut left, party, id, seed, watch: &Unwatched };
        let found = receive(setting, terms, &set(0..sizes.0.into()));
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
            assert_eq!(run((left, right), security, SIZES), (Ok(expected), Ok(())));
        });
    }
    let table = "\
labelled receiver 1257571 c968d7c65cffbe6a42971af613c17847
labelled sender 143332 fefb96243223072154149c62dcaf8187
labelled-malicious receiver 1259824 ecb970eddfaf7dee0c4716684fc4efda
labelled-malicious sender 145803 16476f84215fa426aae3d9c1012c4a23
";
    assert_eq!(said, table, "what was said:\n{said}");
}

/// The first, middle and last message of every step.
pub(crate) fn said(security: Security, sizes: Sizes) -> Vec<Said> {
    recorded(|left, right| {
        let (found, sent) = run((left, right), security, sizes);
        let expected = ideal::labelled(&set(0..sizes.0.into()), &set(200..450), &labels(), 20);
        assert_eq!((found, sent), (Ok(expected), Ok(())));
    })
}

pub(crate) fn meddle(
    security: Security,
    sizes: Sizes,
    (receiver_says, at): Said,
    change: Change,
) -> Results {
    let (left, right) = pair();
    let change = |own: bool| if own { Some(change) } else { None };
    let left = Meddled::new(left, at, change(receiver_says));
    run((left, Meddled::new(right, at, change(!receiver_says))), security, sizes)
}

#[test]
fn changed_bytes_are_never_a_panic_in_the_curious_variant() {
    for said in said(Security::SemiHonest, SIZES) {
        for change in CHANGES {
            if let (Ok(found), _) = meddle(Security::SemiHonest, SIZES, said, change) {
                assert!(found.len() <= 250, "{said:?}");
            }
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
        for said in said(security, SIZES) {
            for change in changes {
                let (found, sent) = meddle(security, SIZES, said, change);
                let fault = if said.0 { sent.unwrap_err() } else { found.unwrap_err() };
                assert_eq!(fault.code(), "mpc.peer-misbehaved", "{said:?}: {fault}");
            }
        }
    }
}
