//! Two parties in two threads over any two channels.

use std::thread;

use tidm_mpc::channel::Channel;
use tidm_mpc::fault::Fault;
use tidm_mpc::partition::Job;
use tidm_mpc::partition::memory::once;
use tidm_mpc::partition::part::Equals;
use tidm_mpc::psi::{Item, Learns, Receiver, Security, Sender, Set, Terms};
use tidm_mpc::random::Seed;
use tidm_mpc::session::{Party, SessionId, Setting, Unwatched};

pub(crate) type Results = (Result<Vec<u32>, Fault>, Result<Option<Vec<u32>>, Fault>);

/// Every variant.
pub(crate) const ALL: [Security; 4] =
    [Security::SemiHonest, Security::SemiHonestLow, Security::Malicious, Security::Ecdh];

pub(crate) fn set(range: std::ops::Range<u128>) -> Set {
    Set::new(&range.map(Item).collect::<Vec<_>>()).unwrap()
}

pub(crate) fn terms(security: Security, learns: Learns, receiver: &Set, sender: &Set) -> Terms {
    let (receiver_items, sender_items) = (receiver.len() as u64, sender.len() as u64);
    Terms { security, learns, receiver_items, sender_items, parts: 1 }
}

/// Each channel is dropped as soon as its party is done, so that the other never waits for nothing.
pub(crate) fn run<A: Channel + Send, B: Channel + Send>(
    (mut left, mut right): (A, B),
    terms: &Terms,
    receiver: &Set,
    sender: &Set,
) -> Results {
    let id = SessionId([5; 32]);
    thread::scope(|scope| {
        let other = scope.spawn(move || {
            let (party, seed) = (Party::Sender, Seed::new([2; 32]));
            let setting = Setting { channel: &mut right, party, id, seed, watch: &Unwatched };
            Sender::once(setting, terms, sender)
        });
        let (party, seed) = (Party::Receiver, Seed::new([1; 32]));
        let setting = Setting { channel: &mut left, party, id, seed, watch: &Unwatched };
        let received = Receiver::once(setting, terms, receiver);
        drop(left);
        (received, other.join().unwrap())
    })
}

/// A job in so many parts, over the items of both sets in their order.
pub(crate) fn run_job<A: Channel + Send, B: Channel + Send>(
    (mut left, mut right): (A, B),
    terms: &Terms,
    parts: u32,
    receiver: &Set,
    sender: &Set,
) -> (Result<Vec<u32>, Fault>, Result<Vec<u32>, Fault>) {
    let job = Job { id: [6; 32], whole: *terms, equals: Equals::First, rule: [0; 32] };
    let one = |channel: &mut dyn Channel, party, set: &Set| {
        let seed = Seed::new([if party == Party::Sender { 2 } else { 1 }; 32]);
        let setting = Setting { channel, party, id: job.session(), seed, watch: &Unwatched };
        let items = set.items().iter().map(|item| Item(*item));
        once(setting, &job, parts, items).map(|outcome| outcome.places.unwrap_or_default())
    };
    thread::scope(|scope| {
        let other = scope.spawn(move || {
            let sent = one(&mut right, Party::Sender, sender);
            drop(right);
            sent
        });
        let received = one(&mut left, Party::Receiver, receiver);
        drop(left);
        (received, other.join().unwrap())
    })
}
