//! Targets in `tidm-mpc`: everything that the peer of a computation may say.

use std::io::{Read, Write};
use std::sync::OnceLock;
use std::thread;

use tidm_mpc::channel::Channel;
use tidm_mpc::channel::memory::{Memory, pair};
use tidm_mpc::channel::stream::Framed;
use tidm_mpc::circuit::{self, Circuit};
use tidm_mpc::curve::Suite;
use tidm_mpc::fault::Fault;
use tidm_mpc::many::{self, Member, MemberKey};
use tidm_mpc::partition::part::Equals;
use tidm_mpc::partition::{Job, memory};
use tidm_mpc::psi::{Item, Learns, Receiver, Security, Sender, Set, Terms, ecdh, labelled};
use tidm_mpc::random::Seed;
use tidm_mpc::session::{Party, SessionId, Setting, Unwatched};
use tidm_mpc::step::Step;
use tidm_mpc::unbalanced::space::InMemory;
use tidm_mpc::unbalanced::{self, Builder, Header, Index, Key};

use crate::{Parser, choose};

/// A party whose peer says any bytes comes to a result within its own set, or to a fault; never to a panic, and never
/// takes memory for what a header claims.
pub(crate) fn peers(data: &[u8]) {
    const PARSERS: [Parser; 23] = [
        ecdh_receiver,
        ecdh_sender,
        |data| receiver(data, &RR22),
        |data| sender(data, &RR22),
        table_index,
        table_client,
        table_server,
        first::<0>,
        second::<0>,
        first::<1>,
        second::<1>,
        first::<2>,
        second::<2>,
        first::<3>,
        second::<3>,
        first::<4>,
        second::<4>,
        first::<5>,
        second::<5>,
        first::<6>,
        second::<6>,
        |data| receiver(data, &POINTS),
        |data| sender(data, &POINTS),
    ];
    choose(&PARSERS, data);
}

/// One party's whole session. Its own asserts are what holds of every result.
type Side = fn(Setting<'_>) -> Result<(), Fault>;

/// Both sides of protocols whose set-up says much before what is of interest comes. An input is a change of an honest peer's words.
const SESSIONS: [[Side; 2]; 7] = [
    [curious_receiver, curious_sender],
    [low_receiver, low_sender],
    [labelled_receiver, labelled_sender],
    [in_shares, in_shares],
    [leader, member],
    [in_parts, in_parts],
    [checked_receiver, checked_sender],
];

fn first<const SESSION: usize>(data: &[u8]) {
    changed(SESSION, Party::Receiver, data);
}

fn second<const SESSION: usize>(data: &[u8]) {
    changed(SESSION, Party::Sender, data);
}

/// The peer is honest but for what stands in the input: one byte says which message is changed, the last one first, two from where
/// on, and the rest is said instead of what it would have said there. Without a change the session comes to its end.
fn changed(session: usize, party: Party, data: &[u8]) {
    let Some((&[back, low, high], instead)) = data.split_first_chunk::<3>() else { return };
    let (messages, side) = (honest(session, party), SESSIONS[session][party as usize]);
    let number = messages.len() - 1 - usize::from(back) % messages.len();
    let begin = usize::from(u16::from_le_bytes([low, high])) % messages[number].len();
    let (before, after) = (messages[..number].concat(), messages[number..].concat());
    let rest = after.get(begin + instead.len()..).unwrap_or_default();
    let said = [&before, &after[..begin], instead, rest].concat();
    let result = with_setting(party, &said, side);
    assert!(result.is_ok() || said != messages.concat(), "{result:?}");
}

/// What a side hears of an honest peer, message by message; worked out once.
fn honest(session: usize, party: Party) -> &'static [Vec<u8>] {
    static HEARD: [[OnceLock<Vec<Vec<u8>>>; 2]; SESSIONS.len()] =
        [const { [const { OnceLock::new() }; 2] }; SESSIONS.len()];
    HEARD[session][party as usize].get_or_init(|| {
        let (ours, mut theirs) = pair();
        let mut kept = Kept { inner: ours, heard: Vec::new() };
        thread::scope(|scope| {
            scope.spawn(move || {
                let (party, seed) = (party.peer(), Seed::new([2; 32]));
                let (channel, id) = (&mut theirs, SessionId([0; 32]));
                let setting = Setting { channel, party, id, seed, watch: &Unwatched };
                SESSIONS[session][party as usize](setting).expect("two honest parties");
            });
            let (id, seed, channel) = (SessionId([0; 32]), Seed::new([1; 32]), &mut kept);
            let setting = Setting { channel, party, id, seed, watch: &Unwatched };
            SESSIONS[session][party as usize](setting).expect("two honest parties");
        });
        kept.heard
    })
}

/// Keeps what comes, as it would stand on a connection.
struct Kept {
    inner: Memory,
    heard: Vec<Vec<u8>>,
}

impl Channel for Kept {
    fn send(&mut self, step: Step, message: &[u8]) -> Result<(), Fault> {
        self.inner.send(step, message)
    }

    fn receive(&mut self, step: Step, length: usize) -> Result<Vec<u8>, Fault> {
        let message = self.inner.receive(step, length)?;
        let [a, b, c, d] = u32::try_from(length).expect("a frame's length").to_le_bytes();
        self.heard.push([&[step.code(), a, b, c, d], message.as_slice()].concat());
        Ok(message)
    }
}

/// A connection on which the peer's words are known in advance, and on which nobody listens.
struct Script<'a>(&'a [u8]);

impl Read for Script<'_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(out)
    }
}

impl Write for Script<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn with_setting<T>(party: Party, data: &[u8], run: impl FnOnce(Setting<'_>) -> T) -> T {
    let mut channel = Framed::new(Script(data));
    let (id, seed) = (SessionId([0; 32]), Seed::new([1; 32]));
    run(Setting { channel: &mut channel, party, id, seed, watch: &Unwatched })
}

fn set() -> Set {
    Set::new(&[Item(1), Item(2)]).expect("two different items")
}

const ECDH: ecdh::Terms = ecdh::Terms {
    suite: Suite::Ristretto255,
    reveal: ecdh::Reveal::Items,
    receiver_items: 2,
    sender_items: 2,
};
const RR22: Terms = Terms {
    security: Security::Malicious,
    learns: Learns::Both,
    receiver_items: 2,
    sender_items: 2,
    parts: 1,
};

const POINTS: Terms = Terms { security: Security::Ecdh, ..RR22 };

fn ecdh_receiver(data: &[u8]) {
    let learnt = with_setting(Party::Receiver, data, |one| ecdh::receive(one, &ECDH, &set()));
    if let Ok(learnt) = learnt {
        let ecdh::Learnt::Items(places) = learnt else { panic!("asked for items") };
        assert!(places.iter().all(|place| *place < 2));
    }
}

/// An index that is read is written again as it was.
fn table_index(data: &[u8]) {
    if let Ok(index) = Index::parse(data) {
        assert_eq!(index.bytes(), data);
    }
}

fn ecdh_sender(data: &[u8]) {
    let _result = with_setting(Party::Sender, data, |one| ecdh::send(one, &ECDH, &set()));
}

fn receiver(data: &[u8], terms: &Terms) {
    if let Ok(places) =
        with_setting(Party::Receiver, data, |one| Receiver::once(one, terms, &set()))
    {
        assert!(places.iter().all(|place| *place < 2));
    }
}

fn sender(data: &[u8], terms: &Terms) {
    let result = with_setting(Party::Sender, data, |one| Sender::once(one, terms, &set()));
    if let Ok(Some(places)) = result {
        assert!(places.iter().all(|place| *place < 2));
    }
}

fn in_set(places: impl IntoIterator<Item = u32>) {
    assert!(places.into_iter().all(|place| place < 2));
}

const CURIOUS: Terms = Terms { security: Security::SemiHonest, ..RR22 };
const LOW: Terms = Terms { security: Security::SemiHonestLow, ..RR22 };
const LABELLED: labelled::Terms = labelled::Terms {
    security: Security::SemiHonest,
    receiver_items: 2,
    sender_items: 2,
    label_bytes: 8,
    parts: 1,
};

fn curious_receiver(one: Setting<'_>) -> Result<(), Fault> {
    Receiver::once(one, &CURIOUS, &set()).map(in_set)
}

fn curious_sender(one: Setting<'_>) -> Result<(), Fault> {
    Sender::once(one, &CURIOUS, &set()).map(|places| in_set(places.unwrap_or_default()))
}

fn checked_receiver(one: Setting<'_>) -> Result<(), Fault> {
    Receiver::once(one, &RR22, &set()).map(in_set)
}

fn checked_sender(one: Setting<'_>) -> Result<(), Fault> {
    Sender::once(one, &RR22, &set()).map(|places| in_set(places.unwrap_or_default()))
}

fn low_receiver(one: Setting<'_>) -> Result<(), Fault> {
    Receiver::once(one, &LOW, &set()).map(in_set)
}

fn low_sender(one: Setting<'_>) -> Result<(), Fault> {
    Sender::once(one, &LOW, &set()).map(|places| in_set(places.unwrap_or_default()))
}

fn labelled_receiver(one: Setting<'_>) -> Result<(), Fault> {
    let found = labelled::receive(one, &LABELLED, &set())?;
    assert!(found.iter().all(|it| it.label.len() == 8));
    in_set(found.iter().map(|it| it.place));
    Ok(())
}

fn labelled_sender(one: Setting<'_>) -> Result<(), Fault> {
    labelled::send(one, &LABELLED, &set(), b"label onlabel 2.")
}

/// Sums of both, opened to both, where one item is common at least.
fn in_shares(one: Setting<'_>) -> Result<(), Fault> {
    let reveal = circuit::Reveal::Sums { of_sender: true, of_receiver: true, bound: 1000 };
    let (receiver_items, sender_items, learns) = (2, 2, circuit::Learns::Both);
    let terms = circuit::Terms { receiver_items, sender_items, reveal, learns, least: 1, parts: 1 };
    let outcome = Circuit::once(one, &terms, &set(), &[5, -7])?;
    assert!(outcome.enough || (outcome.size, outcome.sender_sum) == (None, None));
    assert!(outcome.size.is_none_or(|size| size <= 2));
    Ok(())
}

/// A leader and one member.
fn of_many() -> (many::Terms, MemberKey) {
    let key = MemberKey::from_seed(&Seed::new([3; 32]));
    (many::Terms { leader_items: 2, members: vec![Member { key: key.public(), items: 2 }] }, key)
}

fn leader(one: Setting<'_>) -> Result<(), Fault> {
    let places = many::lead(vec![one], &of_many().0, &set());
    places.map(in_set).map_err(|blamed| blamed.fault)
}

fn member(one: Setting<'_>) -> Result<(), Fault> {
    let (terms, key) = of_many();
    many::join(one, &terms, 0, &key, &set())
}

/// From the greeting to the last part: two parts, or as many as the peer wants.
fn in_parts(one: Setting<'_>) -> Result<(), Fault> {
    let job = Job { id: [0; 32], whole: CURIOUS, equals: Equals::First, rule: [0; 32] };
    let outcome = memory::once(one, &job, 2, [Item(1), Item(2)].into_iter())?;
    in_set(outcome.places.unwrap_or_default());
    Ok(())
}

/// A table of two items, its index, its key and terms for two more.
fn with_table(run: impl FnOnce(&Index, &[u8], &Key, &unbalanced::Terms)) {
    let seed = Seed::new([2; 32]);
    let key = Key::new(&seed).expect("a key");
    let header = Header { version: 1, entries: 2, client_items: 2, public: key.public() };
    let (mut space, mut bytes) = (InMemory::default(), Vec::new());
    let mut builder = Builder::new(header, &mut space).expect("a small table");
    builder.push(&key.entries(&header, &[Item(1), Item(3)]).expect("entries")).expect("two");
    let index = builder.finish(&mut bytes, &seed).expect("a table");
    let terms = unbalanced::Terms { table: index.digest(), client_items: 2 };
    run(&index, &bytes, &key, &terms);
}

fn table_client(data: &[u8]) {
    with_table(|index, mut bytes, _, terms| {
        let asked = with_setting(Party::Receiver, data, |one| {
            unbalanced::query(one, terms, index, &mut bytes, &set())
        });
        if let Ok(places) = asked {
            assert!(places.iter().all(|place| *place < 2));
        }
    });
}

fn table_server(data: &[u8]) {
    with_table(|index, _, key, terms| {
        let _result =
            with_setting(Party::Sender, data, |one| unbalanced::answer(one, terms, index, key));
    });
}
