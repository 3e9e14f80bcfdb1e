//! Over a line on which one message is changed, cut, lengthened or swapped.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use tidm_mpc::channel::Channel;
use tidm_mpc::channel::memory::{Memory, pair};
use tidm_mpc::fault::Fault;
use tidm_mpc::psi::{Learns, Security, Set, ideal};
use tidm_mpc::step::{STEPS, Step};

use crate::labelled;
use crate::parties::{ALL, Results, run, run_job, set, terms};

pub(crate) type Change = fn(&mut Step, &mut Vec<u8>);

/// Changes one message of one step on its way out.
pub(crate) struct Meddled {
    inner: Memory,
    step: Step,
    /// Which message of the step: how many of it come before.
    number: usize,
    change: Option<Change>,
}

impl Meddled {
    pub(crate) fn new(
        inner: Memory,
        (step, number): (Step, usize),
        change: Option<Change>,
    ) -> Self {
        Self { inner, step, number, change }
    }
}

impl Channel for Meddled {
    fn send(&mut self, step: Step, message: &[u8]) -> Result<(), Fault> {
        if step != self.step {
            return self.inner.send(step, message);
        }
        let (mut step, mut message) = (step, message.to_vec());
        if self.number > 0 {
            self.number -= 1;
        } else if let Some(change) = self.change.take() {
            change(&mut step, &mut message);
        }
        self.inner.send(step, &message)
    }

    fn receive(&mut self, step: Step, length: usize) -> Result<Vec<u8>, Fault> {
        self.inner.receive(step, length)
    }
}

/// Counts what its party says.
pub(crate) struct Recorded {
    inner: Memory,
    said: Arc<Mutex<BTreeMap<Step, usize>>>,
}

impl Channel for Recorded {
    fn send(&mut self, step: Step, message: &[u8]) -> Result<(), Fault> {
        *self.said.lock().unwrap().entry(step).or_default() += 1;
        self.inner.send(step, message)
    }

    fn receive(&mut self, step: Step, length: usize) -> Result<Vec<u8>, Fault> {
        self.inner.receive(step, length)
    }
}

/// A message of a session: whether the receiver says it, its step, and its number among those of the step.
pub(crate) type Said = (bool, (Step, usize));

/// The first, the middle and the last message of every step of either party, of a session that nobody disturbs.
pub(crate) fn recorded(session: impl FnOnce(Recorded, Recorded)) -> Vec<Said> {
    let (left, right) = pair();
    let said: [Arc<Mutex<BTreeMap<Step, usize>>>; 2] = Default::default();
    let [ours, theirs] = said.clone();
    session(Recorded { inner: left, said: ours }, Recorded { inner: right, said: theirs });
    let mut all = Vec::new();
    for (receiver_says, said) in [true, false].into_iter().zip(&said) {
        for (step, count) in said.lock().unwrap().iter() {
            let mut numbers = vec![0, count / 2, count - 1];
            numbers.dedup();
            all.extend(numbers.into_iter().map(|number| (receiver_says, (*step, number))));
        }
    }
    all
}

/// The steps of some messages.
pub(crate) fn steps(said: &[Said]) -> BTreeSet<Step> {
    said.iter().map(|(_, (step, _))| *step).collect()
}

/// Steps of the table of all steps that an intersection of two sets says in the malicious variant: all up to the last but ECDH's.
pub(crate) fn of_sessions() -> BTreeSet<Step> {
    let others = [Step::Blinded, Step::Evaluated];
    let all = STEPS.iter().copied().filter(|step| *step <= Step::Confirmation);
    all.filter(|step| !others.contains(step)).collect()
}

/// The sets of a session, of one bin or of several.
struct Sets(Set, Set);

fn small() -> Sets {
    Sets(set(0..300), set(200..450))
}

fn several_bins() -> Sets {
    Sets(set(0..70_000), set(69_900..70_400))
}

impl Sets {
    fn said(&self, security: Security) -> Vec<Said> {
        let terms = terms(security, Learns::Both, &self.0, &self.1);
        recorded(|left, right| {
            let (received, sent) = run((left, right), &terms, &self.0, &self.1);
            assert_eq!(received.unwrap(), ideal::intersection(&self.0, &self.1));
            assert_eq!(sent.unwrap().unwrap(), ideal::intersection(&self.1, &self.0));
        })
    }

    fn meddle(&self, security: Security, (receiver_says, at): Said, change: Change) -> Results {
        let (left, right) = pair();
        let change = |own: bool| if own { Some(change) } else { None };
        let left = Meddled::new(left, at, change(receiver_says));
        let right = Meddled::new(right, at, change(!receiver_says));
        let terms = terms(security, Learns::Both, &self.0, &self.1);
        run((left, right), &terms, &self.0, &self.1)
    }
}

fn meddle(security: Security, receiver_says: bool, step: Step, change: Change) -> Results {
    small().meddle(security, (receiver_says, (step, 0)), change)
}

/// Runs `check` for messages of every step of either party that is there in the variant.
fn every_step(change: Change, security: Security, check: impl Fn(bool, Step, Results)) {
    let sets = small();
    for said in sets.said(security) {
        let (receiver_says, (step, _)) = said;
        check(receiver_says, step, sets.meddle(security, said, change));
    }
}

#[test]
fn a_session_says_every_step_of_the_table() {
    let expected = of_sessions();
    for sets in [small(), several_bins()] {
        assert_eq!(steps(&sets.said(Security::Malicious)), expected);
        let curious = steps(&sets.said(Security::SemiHonest));
        assert_eq!(curious, steps(&sets.said(Security::SemiHonestLow)));
        assert!(curious.len() == 9 && curious.is_subset(&expected), "{curious:?}");
        let points = [Step::Hello, Step::Masks, Step::Matches, Step::Blinded, Step::Evaluated];
        assert_eq!(steps(&sets.said(Security::Ecdh)), points.into());
    }
    // Several messages of a step: there are a first, a middle and a last one of trees, and of bins.
    let several = several_bins().said(Security::Malicious);
    for of_step in [(true, Step::Okvs), (false, Step::Trees)] {
        let count = several.iter().filter(|(own, (step, _))| (*own, *step) == of_step).count();
        assert_eq!(count, 3, "{of_step:?}");
    }
}

/// One of them says why; the other may see the line go down.
fn caught(said: Said, received: Option<Fault>, sent: Option<Fault>) {
    let (receiver_says, (step, number)) = said;
    // The last confirmation is heard by a receiver only, whose peer has ended well by then.
    let last = step == Step::Confirmation && !receiver_says;
    assert!(received.is_some(), "{step} {number} of receiver {receiver_says}");
    assert!(sent.is_some() || last, "{step} {number} of receiver {receiver_says}");
    let codes = [received, sent].map(|fault| fault.map(|fault| fault.code()));
    let told = codes.iter().flatten().any(|code| code.starts_with("mpc.peer-"));
    assert!(told, "{step} {number}: {codes:?}");
}

pub(crate) const CHANGES: [Change; 3] = [
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

#[test]
fn in_the_malicious_variant_every_changed_byte_is_caught() {
    for (sets, changes) in [(small(), &CHANGES[..]), (several_bins(), &CHANGES[1..2])] {
        for said in sets.said(Security::Malicious) {
            for change in changes {
                let (received, sent) = sets.meddle(Security::Malicious, said, *change);
                caught(said, received.err(), sent.err());
            }
        }
    }
}

/// The same with labels, which have a step of their own and no matches that are told.
#[test]
fn with_labels_every_changed_byte_is_caught_in_the_malicious_variant() {
    for (sizes, changes) in [((300, 260), &CHANGES[..]), ((70_000, 300_000), &CHANGES[1..2])] {
        let said = labelled::said(Security::Malicious, sizes);
        let mut expected = of_sessions();
        expected.retain(|step| ![Step::Matches, Step::MatchProofs].contains(step));
        expected.insert(Step::Labels);
        assert_eq!(steps(&said), expected);
        for said in said {
            for change in changes {
                let (found, sent) = labelled::meddle(Security::Malicious, sizes, said, *change);
                caught(said, found.err(), sent.err());
            }
        }
    }
}

#[test]
fn what_goes_wrong_in_the_set_up_is_caught_before_an_item_leaves() {
    let change: Change = |_, message| {
        let place = message.len() / 3;
        message[place] ^= 2;
    };
    let sets = small();
    let set_up = |(_, (step, _)): &Said| *step <= Step::CheckOpening;
    for said in sets.said(Security::Malicious).into_iter().filter(set_up) {
        let (received, sent) = sets.meddle(Security::Malicious, said, change);
        let late = |fault: Fault| matches!(fault, Fault::PeerMisbehaved { step, .. } if step > Step::CheckOpening);
        assert!(!late(received.unwrap_err()), "{said:?}");
        assert!(!late(sent.unwrap_err()), "{said:?}");
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
    for security in ALL {
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
    for security in [Security::SemiHonest, Security::SemiHonestLow, Security::Ecdh] {
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
