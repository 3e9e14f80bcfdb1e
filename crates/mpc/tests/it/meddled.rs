//! Over a line on which one message is changed, cut, lengthened or swapped.

use tidm_mpc::channel::Channel;
use tidm_mpc::channel::memory::{Memory, pair};
use tidm_mpc::fault::Fault;
use tidm_mpc::psi::{Learns, Security, ideal};
use tidm_mpc::step::Step;

use crate::parties::{Results, run, run_job, set, terms};

pub(crate) type Change = fn(&mut Step, &mut Vec<u8>);

/// Changes the first message of one step on its way out.
pub(crate) struct Meddled {
    pub(crate) inner: Memory,
    pub(crate) step: Step,
    pub(crate) change: Option<Change>,
}

impl Channel for Meddled {
    fn send(&mut self, step: Step, message: &[u8]) -> Result<(), Fault> {
        if step != self.step {
            return self.inner.send(step, message);
        }
        let (mut step, mut message) = (step, message.to_vec());
        if let Some(change) = self.change.take() {
            change(&mut step, &mut message);
        }
        self.inner.send(step, &message)
    }

    fn receive(&mut self, step: Step, length: usize) -> Result<Vec<u8>, Fault> {
        self.inner.receive(step, length)
    }
}

/// Steps that the receiver of the intersection says, and those of the sender, in the malicious variant.
const RECEIVER: [Step; 12] = [
    Step::Hello,
    Step::BaseOtPoints,
    Step::Extension,
    Step::ExtensionCheck,
    Step::NoiseValues,
    Step::CheckClaim,
    Step::CheckOpening,
    Step::Okvs,
    Step::CoinShare,
    Step::Matches,
    Step::MatchProofs,
    Step::Confirmation,
];
const SENDER: [Step; 8] = [
    Step::Hello,
    Step::BaseOtReplies,
    Step::Trees,
    Step::CheckAnswer,
    Step::CoinCommitment,
    Step::CoinOpening,
    Step::Masks,
    Step::Confirmation,
];

/// Whether the step is there in the malicious variant only.
fn checks(step: Step) -> bool {
    [
        Step::ExtensionCheck,
        Step::CheckClaim,
        Step::CheckAnswer,
        Step::CheckOpening,
        Step::CoinCommitment,
        Step::CoinShare,
        Step::CoinOpening,
        Step::MatchProofs,
        Step::Confirmation,
    ]
    .contains(&step)
}

fn meddle(security: Security, receiver_says: bool, step: Step, change: Change) -> Results {
    let (left, right) = pair();
    let (ours, theirs) = if receiver_says { (Some(change), None) } else { (None, Some(change)) };
    let left = Meddled { inner: left, step, change: ours };
    let right = Meddled { inner: right, step, change: theirs };
    let (one, other) = (set(0..300), set(200..450));
    let terms = terms(security, Learns::Both, &one, &other);
    run((left, right), &terms, &one, &other)
}

/// Runs `check` for every step of either party that is there in the variant.
fn every_step(change: Change, security: Security, check: impl Fn(bool, Step, Results)) {
    for (receiver_says, steps) in [(true, &RECEIVER[..]), (false, &SENDER[..])] {
        for step in steps.iter().filter(|step| security == Security::Malicious || !checks(**step)) {
            check(receiver_says, *step, meddle(security, receiver_says, *step, change));
        }
    }
}

#[test]
fn in_the_malicious_variant_every_changed_byte_is_caught() {
    let changes: [Change; 3] = [
        |_, message| message[0] ^= 1,
        |_, message| {
            let middle = message.len() / 2;
            message[middle] ^= 0x80;
        },
        |_, message| {
            if let Some(last) = message.last_mut() {
                *last ^= 4;
            }
        },
    ];
    for change in changes {
        every_step(change, Security::Malicious, |receiver_says, step, (received, sent)| {
            // The last confirmation is heard by a receiver only, whose peer has ended well by then.
            let last = step == Step::Confirmation && !receiver_says;
            assert!(received.is_err(), "{step} of receiver {receiver_says}");
            assert!(sent.is_err() || last, "{step} of receiver {receiver_says}");
            // One of them says why; the other may see the line go down.
            let codes = [received.as_ref().err(), sent.as_ref().err()].map(|f| f.map(Fault::code));
            let told = codes.iter().flatten().any(|code| code.starts_with("mpc.peer-"));
            assert!(told, "{step}: {codes:?}");
        });
    }
}

#[test]
fn what_goes_wrong_in_the_set_up_is_caught_before_an_item_leaves() {
    let change: Change = |_, message| {
        let place = message.len() / 3;
        message[place] ^= 2;
    };
    for (receiver_says, steps) in [(true, &RECEIVER[..7]), (false, &SENDER[..4])] {
        for step in steps {
            let (received, sent) = meddle(Security::Malicious, receiver_says, *step, change);
            let late = |fault: Fault| matches!(fault, Fault::PeerMisbehaved { step, .. } if step > Step::CheckOpening);
            assert!(!late(received.unwrap_err()), "{step}");
            assert!(!late(sent.unwrap_err()), "{step}");
        }
    }
}

#[test]
fn shorter_longer_and_other_messages_are_faults_in_every_variant() {
    let changes: [(Change, &str); 4] = [
        (|_, message| message.truncate(message.len() - 1), "not as long"),
        (|_, message| message.push(0), "not as long"),
        (|_, message| message.clear(), "not as long"),
        (
            |step, _| *step = if *step == Step::Okvs { Step::Masks } else { Step::Okvs },
            "another step",
        ),
    ];
    for security in [Security::SemiHonest, Security::SemiHonestLow, Security::Malicious] {
        for (change, words) in changes {
            every_step(change, security, |receiver_says, step, (received, sent)| {
                let fault = if receiver_says { sent.unwrap_err() } else { received.unwrap_err() };
                assert_eq!(fault.code(), "mpc.peer-misbehaved", "{step}: {fault}");
                assert!(fault.to_string().contains(words), "{step}: {fault}");
            });
        }
    }
}

#[test]
fn a_curious_peers_variant_survives_changed_bytes_without_a_panic() {
    let change: Change = |_, message| {
        for byte in message.iter_mut().step_by(7) {
            *byte = !*byte;
        }
    };
    for security in [Security::SemiHonest, Security::SemiHonestLow] {
        every_step(change, security, |_, step, (received, _)| {
            if let Ok(found) = received {
                assert!(found.len() <= 300, "{step}");
            }
        });
    }
}

#[test]
fn claimed_matches_need_their_proof() {
    // The receiver claims one mask more, or one less, than it has proven.
    let more: Change = |_, message| message[0] |= message[0].wrapping_add(1);
    let less: Change = |_, message| {
        let some = message.iter_mut().find(|byte| **byte != 0).unwrap();
        *some &= *some - 1;
    };
    for change in [more, less] {
        let (_, sent) = meddle(Security::Malicious, true, Step::Matches, change);
        assert!(sent.unwrap_err().to_string().contains("not proven"));
    }
    let (_, sent) =
        meddle(Security::Malicious, true, Step::MatchProofs, |_, message| message.fill(0));
    assert!(sent.unwrap_err().to_string().contains("not proven"));
}

/// Changes one bit of one message of a job, counted among those of its step.
struct Flipped {
    inner: Memory,
    step: Step,
    number: usize,
    byte: usize,
}

impl Channel for Flipped {
    fn send(&mut self, step: Step, message: &[u8]) -> Result<(), Fault> {
        let mut message = message.to_vec();
        if step == self.step {
            if self.number == 0
                && let Some(byte) = message.get_mut(self.byte)
            {
                *byte ^= 1;
            }
            self.number = self.number.wrapping_sub(1);
        }
        self.inner.send(step, &message)
    }

    fn receive(&mut self, step: Step, length: usize) -> Result<Vec<u8>, Fault> {
        self.inner.receive(step, length)
    }
}

/// What a job says besides its runs, in the malicious variant: whatever is changed is caught, or changes nothing.
#[test]
fn no_changed_word_of_a_job_takes_a_match_away() {
    let (one, other) = (set(0..60), set(40..90));
    let terms = terms(Security::Malicious, Learns::Both, &one, &other);
    let expected = [ideal::intersection(&one, &other), ideal::intersection(&other, &one)];
    // Every byte of what has a few; of nonces some. Two parts, so the third name says that none is left.
    let few = (0..8).flat_map(|byte| (0..3).map(move |number| (Step::Part, number, byte)));
    let early = [0, 13, 31, 32, 33, 35].map(|byte| (Step::Greeting, 0, byte));
    let rest = [(Step::Finished, 0, 0), (Step::Ready, 0, 0)];
    let mut caught = 0;
    for (step, number, byte) in few.chain(early).chain(rest) {
        for of_receiver in [true, false] {
            if step == Step::Part && !of_receiver {
                continue;
            }
            let (left, right) = pair();
            let number_of = |own: bool| if own { number } else { usize::MAX / 2 };
            let left = Flipped { inner: left, step, number: number_of(of_receiver), byte };
            let right = Flipped { inner: right, step, number: number_of(!of_receiver), byte };
            let (received, sent) = run_job((left, right), &terms, 2, &one, &other);
            let failed = received.is_err() || sent.is_err();
            caught += u32::from(failed);
            // What decides how lists are cut and which parts are left is always caught.
            assert!(failed || step == Step::Part, "{step} {byte}");
            for (told, expected) in [received, sent].iter().zip(&expected) {
                if let Ok(told) = told {
                    assert_eq!(told, expected, "{step} {number} {byte}");
                }
            }
        }
    }
    assert!(caught >= 26, "{caught}");
}
