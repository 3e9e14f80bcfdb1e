//! Three parties over lines on which one message is changed, and programmed functions over such a line.

use std::thread;

use tidm_mpc::channel::memory::pair;
use tidm_mpc::fault::Fault;
use tidm_mpc::many::{Blamed, Member, MemberKey, Terms, ideal, join, lead};
use tidm_mpc::opprf;
use tidm_mpc::random::Seed;
use tidm_mpc::session::{Party, Session, SessionId, Setting, Unwatched};
use tidm_mpc::step::Step;

use crate::golden::noted;
use crate::meddled::{Change, Meddled};
use crate::parties::set;

const ID: SessionId = SessionId([5; 32]);

type Results = (Result<Vec<u32>, Blamed>, [Result<(), Fault>; 2]);

fn seed(number: usize) -> Seed {
    Seed::new([u8::try_from(number).unwrap(); 32])
}

/// A leader and two members. Of the second's line, or of the leader's to it, one message is changed.
fn meddle(leader_says: bool, step: Step, change: Option<Change>) -> Results {
    let keys = [3, 4].map(|seed| MemberKey::from_seed(&Seed::new([seed; 32])));
    let members = keys.each_ref().map(|key| Member { key: key.public(), items: 150 });
    let (terms, sets) =
        (&Terms { leader_items: 100, members: members.to_vec() }, [set(20..120), set(50..200)]);
    let (one, other) = (pair(), pair());
    let changes = if leader_says { (change, None) } else { (None, change) };
    let (at, quiet) = ((step, 0), |inner| Meddled::new(inner, (step, 0), None));
    let mut ours = [quiet(one.0), Meddled::new(other.0, at, changes.0)];
    let theirs = [quiet(one.1), Meddled::new(other.1, at, changes.1)];
    let parties = theirs.into_iter().zip(&keys).zip(&sets).enumerate();
    thread::scope(|scope| {
        let others: Vec<_> = parties
            .map(|(number, ((mut channel, key), set))| {
                scope.spawn(move || {
                    let (party, seed) = (Party::Sender, seed(7 + number));
                    let watch = &Unwatched;
                    let setting = Setting { channel: &mut channel, party, id: ID, seed, watch };
                    join(setting, terms, number, key, set)
                })
            })
            .collect();
        let settings = ours.iter_mut().enumerate().map(|(number, channel)| {
            let (party, seed) = (Party::Receiver, seed(10 + number));
            Setting { channel, party, id: ID, seed, watch: &Unwatched }
        });
        let found = lead(settings.collect(), terms, &set(0..100));
        drop(ours);
        let mut joined = others.into_iter().map(|other| other.join().unwrap());
        (found, [joined.next().unwrap(), joined.next().unwrap()])
    })
}

const SAID: [(bool, Step); 7] = [
    (true, Step::Hello),
    (true, Step::MemberNonces),
    (true, Step::Okvs),
    (false, Step::Hello),
    (false, Step::MemberNonce),
    (false, Step::Trees),
    (false, Step::Hint),
];

#[test]
fn without_a_change_it_is_the_dealers() {
    let (found, joined) = meddle(true, Step::Hello, None);
    assert_eq!(joined, [Ok(()), Ok(())]);
    assert_eq!(found.unwrap(), ideal::intersection(&set(0..100), &[set(20..120), set(50..200)]));
}

#[test]
fn changed_bytes_never_find_what_nobody_has_nor_panic() {
    let change: Change = |_, message| {
        for byte in message.iter_mut().step_by(5) {
            *byte = !*byte;
        }
    };
    for (leader_says, step) in SAID {
        let (found, _) = meddle(leader_says, step, Some(change));
        if let Ok(found) = found {
            assert!(found.iter().all(|place| (50..100).contains(place)), "{step}: {found:?}");
        }
    }
}

#[test]
fn shorter_longer_and_other_messages_are_faults_of_the_one_who_says_them() {
    let changes: [Change; 3] = [
        |_, message| message.truncate(message.len() - 1),
        |_, message| message.push(0),
        |step, _| *step = if *step == Step::Okvs { Step::Hint } else { Step::Okvs },
    ];
    for change in changes {
        for (leader_says, step) in SAID {
            let (found, [first, second]) = meddle(leader_says, step, Some(change));
            if leader_says {
                assert_eq!(second.unwrap_err().code(), "mpc.peer-misbehaved", "{step}");
            } else {
                let Blamed { member, fault } = found.unwrap_err();
                assert_eq!((member, fault.code()), (Some(1), "mpc.peer-misbehaved"), "{step}");
                assert!(second.is_err() || step == Step::Hint, "{step}: {first:?}");
            }
        }
    }
}

#[test]
fn what_a_programmed_function_says_is_what_it_was() {
    let terms = opprf::Terms { queries: 200, programmed: 300, value_bytes: 8, parts: 1 };
    let said = noted("opprf", |mut left, mut right| {
        thread::scope(|scope| {
            scope.spawn(move || {
                let (party, seed) = (Party::Sender, Seed::new([2; 32]));
                let setting =
                    Setting { channel: &mut right, party, id: ID, seed, watch: &Unwatched };
                let mut session = Session::open(setting, &terms.bytes()).unwrap();
                let table: Vec<(u128, u128)> = (100..400).map(|key| (key, key * key)).collect();
                let mut sender = opprf::Sender::set_up(&mut session, &terms).unwrap();
                sender.run(&mut session, &table).unwrap();
            });
            let (party, seed) = (Party::Receiver, Seed::new([1; 32]));
            let setting = Setting { channel: &mut left, party, id: ID, seed, watch: &Unwatched };
            let mut session = Session::open(setting, &terms.bytes()).unwrap();
            let queries: Vec<u128> = (0..200).collect();
            let mut receiver = opprf::Receiver::set_up(&mut session, &terms).unwrap();
            let found = receiver.run(&mut session, &queries).unwrap();
            for (query, value) in queries.into_iter().zip(found) {
                assert_eq!(value == query * query, query >= 100);
            }
        });
    });
    assert_eq!(
        said,
        "opprf receiver 1255571 fa1f86b10a56db1209885a5468271a81\n\
         opprf sender 140561 201fbb8127200f7271933a2d78d2de38\n"
    );
}

#[test]
fn what_a_leader_and_its_member_say_is_what_it_was() {
    let key = MemberKey::from_seed(&Seed::new([3; 32]));
    let members = vec![Member { key: key.public(), items: 150 }];
    let terms = &Terms { leader_items: 100, members };
    let said = noted("many", |mut left, mut right| {
        thread::scope(|scope| {
            let key = &key;
            scope.spawn(move || {
                let (party, seed) = (Party::Sender, Seed::new([2; 32]));
                let setting =
                    Setting { channel: &mut right, party, id: ID, seed, watch: &Unwatched };
                join(setting, terms, 0, key, &set(20..120)).unwrap();
            });
            let (party, seed) = (Party::Receiver, Seed::new([1; 32]));
            let setting = Setting { channel: &mut left, party, id: ID, seed, watch: &Unwatched };
            assert_eq!(lead(vec![setting], terms, &set(0..100)).unwrap().len(), 80);
        });
    });
    assert_eq!(
        said,
        "many receiver 1253100 c05ca21bcbd127bda622631f676297a7\n\
         many sender 138842 32fd592025d3b5a54d0cdfb882ca370e\n"
    );
}
