//! Targets in `tidm-mpc`: everything that the peer of a computation may say.

use std::io::{Read, Write};

use tidm_mpc::channel::stream::Framed;
use tidm_mpc::curve::Suite;
use tidm_mpc::psi::{Item, Learns, Receiver, Security, Sender, Set, Terms, ecdh};
use tidm_mpc::random::Seed;
use tidm_mpc::session::{Party, SessionId, Setting, Unwatched};
use tidm_mpc::unbalanced::space::InMemory;
use tidm_mpc::unbalanced::{self, Builder, Header, Index, Key};

use crate::{Parser, choose};

/// A party whose peer says any bytes comes to a result within its own set, or to a fault; never to a panic, and never
/// takes memory for what a header claims.
pub(crate) fn peers(data: &[u8]) {
    const PARSERS: [Parser; 9] = [
        ecdh_receiver,
        ecdh_sender,
        |data| receiver(data, &RR22),
        |data| sender(data, &RR22),
        table_index,
        table_client,
        table_server,
        |data| receiver(data, &POINTS),
        |data| sender(data, &POINTS),
    ];
    choose(&PARSERS, data);
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
