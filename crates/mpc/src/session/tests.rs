use std::cell::{Cell, RefCell};
use std::thread;

use super::*;
use crate::channel::memory::pair;

/// Runs both parties of a protocol, the receiver's first, each in a thread of its own.
pub(crate) fn both<A: Send, B: Send>(
    terms: &[u8],
    receiver: impl FnOnce(&mut Session<'_>) -> Result<A, Fault> + Send,
    sender: impl FnOnce(&mut Session<'_>) -> Result<B, Fault> + Send,
) -> (Result<A, Fault>, Result<B, Fault>) {
    let (mut left, mut right) = pair();
    thread::scope(|scope| {
        let other = scope.spawn(move || {
            sender(&mut Session::open(setting(&mut right, Party::Sender, 9), terms)?)
        });
        let one = Session::open(setting(&mut left, Party::Receiver, 9), terms)
            .and_then(|mut session| receiver(&mut session));
        drop(left);
        (one, other.join().unwrap())
    })
}

fn setting(channel: &mut dyn Channel, party: Party, id: u8) -> Setting<'_> {
    Setting {
        channel,
        party,
        id: SessionId([id; 32]),
        seed: Seed::new([party.code(); 32]),
        watch: &Unwatched,
    }
}

/// Opens both sides and gives each side's first challenge, or fault.
fn challenges(
    (first, first_terms): (Party, &[u8]),
    (second, second_terms): (Party, &[u8]),
    ids: [u8; 2],
) -> [Result<u128, Fault>; 2] {
    let (mut left, mut right) = pair();
    thread::scope(|scope| {
        let other = scope.spawn(move || {
            let mut session = Session::open(setting(&mut right, second, ids[1]), second_terms)?;
            session.send(Step::Trees, b"something")?;
            Ok(session.challenge(b"x").block())
        });
        let mut one = || {
            let mut session = Session::open(setting(&mut left, first, ids[0]), first_terms)?;
            session.receive(Step::Trees, 9)?;
            Ok(session.challenge(b"x").block())
        };
        let one = one();
        [one, other.join().unwrap()]
    })
}

#[test]
fn challenges_agree_and_depend_on_the_identifier() {
    let sides = ((Party::Receiver, &b"terms"[..]), (Party::Sender, &b"terms"[..]));
    let [one, other] = challenges(sides.0, sides.1, [1, 1]);
    assert_eq!(one.clone().unwrap(), other.unwrap());
    let [third, _] = challenges(sides.0, sides.1, [2, 2]);
    assert_ne!(one.unwrap(), third.unwrap());
    let [one, other] = challenges(sides.0, sides.1, [1, 2]);
    assert_eq!(one.unwrap_err().code(), "mpc.peer-incompatible");
    assert_eq!(other.unwrap_err().code(), "mpc.peer-incompatible");
}

#[test]
fn terms_and_roles_must_fit() {
    let [one, other] =
        challenges((Party::Receiver, b"terms"), (Party::Sender, b"other terms"), [1, 1]);
    assert_eq!(one.unwrap_err().code(), "mpc.peer-incompatible");
    assert_eq!(other.unwrap_err().code(), "mpc.peer-incompatible");
    let [one, other] = challenges((Party::Sender, b"terms"), (Party::Sender, b"terms"), [1, 1]);
    assert!(one.unwrap_err().to_string().contains("same role"));
    assert!(other.unwrap_err().to_string().contains("same role"));
}

#[test]
fn hellos_of_strangers_are_refused() {
    let good = hello(Party::Sender, &[7; 32], &[8; 32]);
    assert_eq!(admit(&good, Party::Sender, &[7; 32]), Ok(()));
    for place in 0..38 {
        let mut bad = good.clone();
        bad[place] ^= 1;
        assert!(admit(&bad, Party::Sender, &[7; 32]).is_err(), "byte {place}");
    }
    for length in 0..38 {
        assert!(admit(&good[..length], Party::Sender, &[7; 32]).is_err());
    }
}

struct StopAfter {
    asked: Cell<u32>,
    most: u32,
    seen: RefCell<Vec<(Step, u64, u64)>>,
    moved: Cell<(u64, u64)>,
}

impl Watch for StopAfter {
    fn cancelled(&self) -> bool {
        self.asked.set(self.asked.get() + 1);
        self.asked.get() > self.most
    }

    fn sent(&self, _step: Step, bytes: u64) {
        let (out, back) = self.moved.get();
        self.moved.set((out + bytes, back));
    }

    fn received(&self, _step: Step, bytes: u64) {
        let (out, back) = self.moved.get();
        self.moved.set((out, back + bytes));
    }

    fn progress(&self, step: Step, done: u64, of: u64) {
        self.seen.borrow_mut().push((step, done, of));
    }
}

#[test]
fn a_session_stops_when_told_reports_progress_and_counts_bytes() {
    let (mut left, mut right) = pair();
    right
        .send(
            Step::Hello,
            &hello(Party::Sender, &derive(domain::SESSION, &[b"terms", &[1; 32], b"t"]), &[0; 32]),
        )
        .unwrap();
    let watch = StopAfter {
        asked: Cell::new(0),
        most: 4,
        seen: RefCell::new(Vec::new()),
        moved: Cell::default(),
    };
    let mut setting = setting(&mut left, Party::Receiver, 1);
    setting.watch = &watch;
    let mut session = Session::open(setting, b"t").unwrap();
    session.send(Step::Okvs, &[0; 10]).unwrap();
    session.progress(Step::Okvs, 1, 2).unwrap();
    assert_eq!(session.send(Step::Okvs, &[0; 10]), Err(Fault::Cancelled));
    assert_eq!(*watch.seen.borrow(), [(Step::Okvs, 1, 2)]);
    let steps: Vec<(Step, Traffic)> = session.meter().steps().collect();
    assert_eq!(steps[1].0, Step::Okvs);
    assert_eq!(steps[1].1.bytes_sent, 15);
    let total = session.meter().total();
    assert_eq!((total.bytes_sent, total.bytes_received), (15 + 75, 75));
    assert_eq!(watch.moved.get(), (15 + 75, 75));
    assert_eq!((total.messages_sent, total.messages_received), (2, 1));
}
