use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use super::leader::Leader;
use super::*;
use crate::channel::memory::{Memory, pair};
use crate::psi::{Item, Set};
use crate::random::{Seed, Stream};
use crate::session::{Party, Session, SessionId, Setting, Unwatched, Watch};
use crate::step::Step;

fn set(numbers: impl IntoIterator<Item = u128>) -> Set {
    Set::new(&numbers.into_iter().map(Item).collect::<Vec<_>>()).unwrap()
}

fn seed(number: usize) -> Seed {
    Seed::new([u8::try_from(number).unwrap(); 32])
}

fn keys(count: usize) -> Vec<MemberKey> {
    (0..count).map(|number| MemberKey::from_seed(&seed(40 + number))).collect()
}

fn terms(keys: &[MemberKey], leader: &Set, members: &[Set]) -> Terms {
    let member =
        |(key, set): (&MemberKey, &Set)| Member { key: key.public(), items: set.len() as u64 };
    Terms {
        leader_items: leader.len() as u64,
        members: keys.iter().zip(members).map(member).collect(),
    }
}

/// Sums up bytes, and stops from the first progress on if it is told to.
#[derive(Default)]
struct Watched {
    bytes: AtomicU64,
    stops: bool,
    stopped: AtomicBool,
}

impl Watch for Watched {
    fn cancelled(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    fn sent(&self, step: Step, bytes: u64) {
        self.bytes.fetch_add(bytes * (1 + u64::from(step.code())), Ordering::Relaxed);
    }

    fn received(&self, step: Step, bytes: u64) {
        self.bytes.fetch_add(bytes * (1 + u64::from(step.code())), Ordering::Relaxed);
    }

    fn progress(&self, step: Step, _: u64, _: u64) {
        self.stopped.store(self.stops && step == Step::Hint, Ordering::Relaxed);
    }
}

/// Runs `lead` over one channel per member, and each member in a thread, all bound to seeds of `salt`.
fn run<T>(
    terms: &Terms,
    keys: &[MemberKey],
    members: &[Set],
    (salt, watch): (usize, &Watched),
    lead: impl FnOnce(Vec<Setting<'_>>) -> T,
) -> (T, Vec<Result<(), Fault>>) {
    let (mut ours, theirs): (Vec<Memory>, Vec<Memory>) = members.iter().map(|_| pair()).unzip();
    let id = SessionId([1; 32]);
    thread::scope(|scope| {
        let start = |(number, mut channel): (usize, Memory)| {
            scope.spawn(move || {
                let (party, seed) = (Party::Sender, seed(salt + number));
                let setting = Setting { channel: &mut channel, party, id, seed, watch: &Unwatched };
                join(setting, terms, number, &keys[number], &members[number])
            })
        };
        let others: Vec<_> = theirs.into_iter().enumerate().map(start).collect();
        let settings = ours.iter_mut().enumerate().map(|(number, channel)| {
            let (party, seed) = (Party::Receiver, seed(salt + 100 + number));
            Setting { channel, party, id, seed, watch }
        });
        let led = lead(settings.collect());
        drop(ours);
        (led, others.into_iter().map(|other| other.join().unwrap()).collect())
    })
}

fn check(leader: &Set, members: &[Set]) {
    let keys = keys(members.len());
    let terms = terms(&keys, leader, members);
    let watch = Watched::default();
    let (led, joined) =
        run(&terms, &keys, members, (1, &watch), |settings| lead(settings, &terms, leader));
    assert!(joined.iter().all(Result::is_ok), "{joined:?}");
    assert_eq!(led.unwrap(), ideal::intersection(leader, members));
}

#[test]
fn the_result_is_the_dealers_for_two_three_four_and_six_parties() {
    for members in [1, 2, 3, 5] {
        // Item x is in set k where the k-th bit of x is one, so every combination of sets is there; x ≥ 2^5 is in all.
        let of = |k: usize| set((0..300u128).filter(move |x| x >> k & 1 == 1 || *x >= 250));
        let sets: Vec<Set> = (0..members).map(of).collect();
        check(&set((0..280).rev()), &sets);
    }
    // Nobody has anything, one has nothing, all have the same, nothing in common, one item.
    let range = |range: std::ops::Range<u128>| set(range);
    check(&range(0..0), &[range(0..0), range(0..0)]);
    check(&range(0..9), &[range(0..9), range(0..0)]);
    check(&range(0..257), &[range(0..257), range(0..257)]);
    check(&range(0..255), &[range(0..256), range(256..400)]);
    check(&range(3..4), &[range(3..4), range(0..40)]);
}

/// What each member gives the leader for each of its items.
fn given(leader: &Set, members: &[Set], salt: usize) -> Vec<Vec<u128>> {
    let keys = keys(members.len());
    let terms = terms(&keys, leader, members);
    let watch = Watched::default();
    let (led, _) = run(&terms, &keys, members, (salt, &watch), |settings| {
        let mut open = Leader::open(settings, &terms, leader)?;
        (0..members.len()).map(|number| open.ask(&terms, number, leader)).collect()
    });
    let led: Result<Vec<Vec<u128>>, Blamed> = led;
    led.unwrap()
}

/// Items for which some of the members' shares add up to zero, by which members (a bit each).
fn zeros(given: &[Vec<u128>]) -> BTreeSet<(u32, usize)> {
    let items = given.first().map_or(0, Vec::len);
    let sum = |some: u32, item: usize| {
        let chosen = given.iter().enumerate().filter(|(member, _)| some >> member & 1 == 1);
        chosen.fold(0, |sum, (_, shares)| sum ^ shares[item])
    };
    let all = (1..1u32 << given.len()).flat_map(|some| (0..items).map(move |item| (some, item)));
    all.filter(|(some, item)| sum(*some, *item) == 0).collect()
}

#[test]
fn what_some_have_in_common_is_noise_to_the_leader() {
    // Items 0..100 are the leader's. All three have 0..10, each two have another ten, each one another ten.
    let in_sets = |k: u128| {
        set((0..100).filter(move |x| {
            [7, 3, 5, 6, 1, 2, 4].get((x / 10) as usize).is_some_and(|bits| bits >> k & 1 == 1)
        }))
    };
    let members: Vec<Set> = (0..3).map(in_sets).collect();
    let (one, other) = (given(&set(0..100), &members, 1), given(&set(0..100), &members, 50));
    let full: BTreeSet<(u32, usize)> = (0..10).map(|item| (7, item)).collect();
    assert_eq!(zeros(&one), full);
    assert_eq!(zeros(&other), full);
    // No two values are the same, within a session or across two of the same identifier and keys.
    let values: BTreeSet<u128> = one.iter().chain(&other).flatten().copied().collect();
    assert_eq!(values.len(), 600);
    // Bits of what is programmed and of what is not are even: 64 bits of 60 or more values each.
    for shares in &one {
        let bits: u32 = shares.iter().map(|share| share.count_ones()).sum();
        assert!(bits.abs_diff(3200) < 240, "{bits}");
    }
}

#[test]
fn with_one_member_the_share_is_zero_so_the_test_above_can_fail() {
    let given = given(&set(0..10), &[set(5..20)], 1);
    assert_eq!(zeros(&given), (5..10).map(|item| (1, item)).collect());
}

#[test]
fn shares_add_up_to_zero_over_all_members_only_and_need_every_key() {
    let keys = keys(4);
    let sets: Vec<Set> = (0..4).map(|_| set(0..50)).collect();
    let terms = terms(&keys, &sets[0], &sets);
    let items = Stream::new(&[3; 32]).blocks(130);
    let shares_of = |terms: &Terms, nonces: &[u8]| -> Vec<Vec<u128>> {
        let of = |(number, key): (usize, &MemberKey)| {
            let agreed = key.agree(terms, number, nonces).unwrap();
            shares::shares(&agreed, &items).iter().map(|(_, share)| *share).collect()
        };
        keys.iter().enumerate().map(of).collect()
    };
    let one = shares_of(&terms, &[1; 128]);
    assert_eq!(zeros(&one), (0..130).map(|item| (15, item)).collect());
    // Another nonce or other terms give other shares.
    let mut nonces = [1; 128];
    nonces[100] = 2;
    let mut larger = terms.clone();
    larger.leader_items += 1;
    for other in [shares_of(&terms, &nonces), shares_of(&larger, &[1; 128])] {
        assert!(one.iter().flatten().zip(other.iter().flatten()).all(|(a, b)| a != b));
    }
}

#[test]
fn traffic_depends_on_the_agreed_sizes_only() {
    let keys = keys(3);
    let full: Vec<Set> = (0..3).map(|_| set(0..200)).collect();
    let terms = terms(&keys, &set(0..300), &full);
    let bytes = |leader: Set, members: Vec<Set>| {
        let watch = Watched::default();
        let (led, _) =
            run(&terms, &keys, &members, (1, &watch), |settings| lead(settings, &terms, &leader));
        led.unwrap();
        watch.bytes.into_inner()
    };
    let expected = bytes(set(0..300), full);
    assert_eq!(bytes(set([]), vec![set([]), set([]), set([])]), expected);
    assert_eq!(bytes(set(0..7), vec![set(0..7), set(100..300), set([])]), expected);
}

#[test]
fn a_stop_a_stranger_and_a_liar_end_the_session_for_all_and_are_named() {
    let keys = keys(3);
    let sets: Vec<Set> = (0..3).map(|_| set(0..20)).collect();
    let good = terms(&keys, &sets[0], &sets);
    let watch = Watched { stops: true, ..Watched::default() };
    let (led, joined) =
        run(&good, &keys, &sets, (1, &watch), |settings| lead(settings, &good, &sets[0]));
    assert_eq!(led.unwrap_err(), Blamed { member: Some(0), fault: Fault::Cancelled });
    // The first member had said all it had to say by then.
    assert!(joined[1..].iter().all(|joined| joined.is_err()), "{joined:?}");
    // The leader has other terms than the members.
    let mut other = good.clone();
    other.members[2].items += 1;
    let watch = Watched::default();
    let (led, joined) =
        run(&good, &keys, &sets, (1, &watch), |settings| lead(settings, &other, &sets[0]));
    let blamed = led.unwrap_err();
    assert_eq!((blamed.member, blamed.fault.code()), (Some(0), "mpc.peer-incompatible"));
    assert!(joined.iter().all(Result::is_err));
    // The second member does not come: its key is another's, which it notices before it says anything.
    let strangers: Vec<MemberKey> =
        [40, 99, 42].map(|number| MemberKey::from_seed(&seed(number))).into();
    let (led, joined) =
        run(&good, &strangers, &sets, (1, &watch), |settings| lead(settings, &good, &sets[0]));
    let blamed = led.unwrap_err();
    assert_eq!((blamed.member, blamed.fault.code()), (Some(1), "mpc.connection-lost"));
    let codes: Vec<_> = joined.into_iter().map(|joined| joined.unwrap_err().code()).collect();
    assert_eq!(codes, ["mpc.connection-lost", "mpc.misuse", "mpc.connection-lost"]);
    // The leader says other nonces than it heard.
    let (_, joined) = run(&good, &keys, &sets, (1, &watch), |settings| {
        for (number, setting) in settings.into_iter().enumerate() {
            let mut session = Session::open(setting, &good.bytes(number)).unwrap();
            session.receive(Step::MemberNonce, NONCE_BYTES).unwrap();
            session.send(Step::MemberNonces, &[5; 3 * NONCE_BYTES]).unwrap();
        }
    });
    for joined in joined {
        assert_eq!(joined.unwrap_err().code(), "mpc.peer-misbehaved");
    }
}

#[test]
fn terms_keys_and_sizes_that_cannot_be_are_refused_before_a_byte_leaves() {
    let keys = keys(2);
    let sets: Vec<Set> = (0..2).map(|_| set(0..20)).collect();
    let good = terms(&keys, &sets[0], &sets);
    let refused = |change: fn(&mut Terms), number: usize, key: &MemberKey, set: &Set| {
        let mut terms = good.clone();
        change(&mut terms);
        let (mut channel, mut peer) = pair();
        let (party, id, seed) = (Party::Sender, SessionId([1; 32]), Seed::new([2; 32]));
        let setting = Setting { channel: &mut channel, party, id, seed, watch: &Unwatched };
        let code = join(setting, &terms, number, key, set).unwrap_err().code();
        drop(channel);
        assert!(crate::channel::Channel::receive(&mut peer, Step::Hello, 70).is_err());
        code
    };
    let [one, other] = [&keys[0], &keys[1]];
    assert_eq!(refused(|_| (), 1, one, &sets[0]), "mpc.misuse");
    assert_eq!(refused(|_| (), 2, other, &sets[0]), "mpc.misuse");
    assert_eq!(refused(|_| (), 0, one, &set(0..21)), "mpc.too-many");
    let twice: fn(&mut Terms) = |terms| terms.members[1] = terms.members[0];
    assert_eq!(refused(twice, 0, one, &sets[0]), "mpc.peer-incompatible");
    let crowd: fn(&mut Terms) = |terms| terms.members.resize(MAX_PARTIES, terms.members[0]);
    assert_eq!(refused(crowd, 0, one, &sets[0]), "mpc.too-many");
    let large: fn(&mut Terms) = |terms| terms.leader_items = MAX_ITEMS + 1;
    assert_eq!(refused(large, 0, one, &sets[0]), "mpc.too-many");
    assert_eq!(refused(|terms| terms.members.clear(), 0, one, &sets[0]), "mpc.misuse");
    // What is no point, or the neutral one, is refused when keys are agreed.
    for bytes in [[0; 32], [0xff; 32]] {
        let mut terms = good.clone();
        terms.members[1].key = PublicKey(bytes);
        let agreed = one.agree(&terms, 0, &[0; 64]);
        assert_eq!(agreed.unwrap_err().code(), "mpc.peer-incompatible");
    }
    assert!(!format!("{one:?}").contains("secret"));
}
