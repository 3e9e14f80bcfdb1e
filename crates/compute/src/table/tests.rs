#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::{Path, PathBuf};
use std::thread;

use tempfile::TempDir;

use super::*;
use crate::job::connect::{Address, Way};
use crate::job::order::{Kind, List, Results, hex};
use crate::keys::{Equals, Form, Mapping, Rule};

/// A folder with two lists: the server's keys 0 to 999 (and 7 twice), and the client's.
struct World {
    dir: TempDir,
    equals: Equals,
}

fn list(keys: impl IntoIterator<Item = u32>) -> String {
    keys.into_iter().fold("id,note\n".to_owned(), |all, key| all + &format!("k{key},x{key}\n"))
}

impl World {
    fn new(mine: impl IntoIterator<Item = u32>, equals: Equals) -> Self {
        let it = Self { dir: tempfile::tempdir().unwrap(), equals };
        std::fs::write(it.path("theirs.csv"), list((0..1000).chain([7]))).unwrap();
        std::fs::write(it.path("mine.csv"), list(mine)).unwrap();
        it
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn rule(&self) -> (Rule, Mapping) {
        let rule = Rule::single("key", Form::Text, self.equals).unwrap();
        (rule, Mapping::of([("key", "id")]))
    }

    fn source(&self, name: &str) -> List {
        List::new(self.path(name), Kind::Csv)
    }

    fn prepare(&self) -> Prepare {
        let (rule, mapping) = self.rule();
        Prepare {
            context: "0c".repeat(32),
            key: Seeded::new(&[9; 32]),
            version: 4,
            entries: 1001,
            client_items: 100,
            rule,
            mapping,
            source: self.source("theirs.csv"),
            dir: self.path("made"),
            memory: 256 << 20,
        }
    }

    fn prepared(&self) -> Facts {
        done(&Order::Prepare(self.prepare())).unwrap();
        check(&self.path("made/index"), &self.path("made/table")).unwrap()
    }

    /// Client and server over a socket of the folder.
    fn orders(&self, facts: &Facts, items: u64) -> (Order, Order) {
        let (rule, mapping) = self.rule();
        let address = Address::Unix(self.path("socket"));
        let (job, digest) = ("3c".repeat(32), hex(&facts.digest));
        let (index, table) = (self.path("made/index"), self.path("made/table"));
        let query = Query {
            job: job.clone(),
            context: "0c".repeat(32),
            digest: digest.clone(),
            index: index.clone(),
            table,
            items,
            rule,
            mapping,
            source: self.source("mine.csv"),
            results: Results { rows: Some(self.path("out.csv")), ..Results::default() },
            connect: Way::Dial(address.clone()),
            jail: Vec::new(),
            memory: 256 << 20,
            silence: 5.0,
            patience: 5.0,
        };
        let answer = Answer {
            job,
            key: Seeded::new(&[9; 32]),
            digest,
            index,
            items,
            dir: self.path("server"),
            connect: Way::Listen(address),
            jail: Vec::new(),
            silence: 5.0,
            patience: 5.0,
        };
        (Order::Query(Box::new(query)), Order::Answer(answer))
    }
}

fn done(order: &Order) -> Result<Report, Failure> {
    // As a process reads it.
    let order = Order::of_json(&serde_json::to_string(order).unwrap()).unwrap();
    Opened::new(&order)?.run(Arc::new(|_| {}), Arc::new(AtomicBool::new(false)))
}

fn both((query, answer): (Order, Order)) -> (Result<Report, Failure>, Result<Report, Failure>) {
    thread::scope(|scope| {
        let other = scope.spawn(|| done(&answer));
        (done(&query), other.join().unwrap())
    })
}

fn code(it: Result<Report, Failure>) -> String {
    it.unwrap_err().code().to_owned()
}

#[test]
fn rows_of_the_client_that_are_in_the_table_come_out_and_a_session_is_answered_once() {
    let world = World::new([5, 2000, 998, 5, 2001], Equals::First);
    let facts = world.prepared();
    assert_eq!((facts.version, facts.entries, facts.items), (4, 1001, 100));
    let orders = world.orders(&facts, 6);
    let (asked, answered) = both(orders.clone());
    let (asked, answered) = (asked.unwrap(), answered.unwrap());
    assert_eq!(std::fs::read_to_string(world.path("out.csv")).unwrap(), list([5, 998]));
    assert_eq!((asked.rows, asked.duplicates, asked.matched), (5, 1, Some(2)));
    assert_eq!((answered.rows, answered.matched), (0, None));
    assert_eq!((asked.sent, asked.received), (answered.received, answered.sent));
    assert!(asked.traffic["table-blinded"].sent >= 6 * 32);
    // The same session once more, as if the client had crashed behind the answer: no second one.
    let (asked, answered) = both(orders);
    assert_eq!(code(answered), "mpc.too-many");
    assert_eq!(code(asked), "mpc.peer-stopped");
}

#[test]
fn equal_rows_are_what_was_agreed_on_both_sides() {
    let world = World::new([7, 7, 8], Equals::Multiply);
    let facts = world.prepared();
    let (asked, _) = both(world.orders(&facts, 3));
    assert_eq!(asked.unwrap().matched, Some(3));
    let world = World::new([1], Equals::Refuse);
    assert_eq!(code(done(&Order::Prepare(world.prepare()))), "mpc.duplicate-items");
}

/// The same list, key and version give the same table: to prepare it again changes nothing.
#[test]
fn a_table_is_made_alike_every_time() {
    let world = World::new([1], Equals::First);
    let facts = world.prepared();
    let bytes = std::fs::read(world.path("made/table")).unwrap();
    assert_eq!(world.prepared(), facts);
    assert_eq!(std::fs::read(world.path("made/table")).unwrap(), bytes);
    let other = Prepare { key: Seeded::new(&[8; 32]), ..world.prepare() };
    done(&Order::Prepare(other)).unwrap();
    let found = check(&world.path("made/index"), &world.path("made/table")).unwrap();
    assert_ne!(found.digest, facts.digest);
}

fn flip(path: &Path, at: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[at] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn what_is_not_the_table_that_was_signed_is_not_read() {
    let world = World::new(0..50, Equals::First);
    let facts = world.prepared();
    let (index, table) = (world.path("made/index"), world.path("made/table"));
    let whole = std::fs::read(&table).unwrap();
    for at in [0, whole.len() / 2, whole.len() - 1] {
        flip(&table, at);
        assert_eq!(check(&index, &table).unwrap_err().code(), "mpc.spill-failed");
        flip(&table, at);
    }
    std::fs::write(&table, [whole.as_slice(), b"x"].concat()).unwrap();
    assert_eq!(check(&index, &table).unwrap_err().code(), "mpc.spill-failed");
    // In a session the same is seen, and nothing is written.
    flip(&table, 9);
    let (asked, _) = both(world.orders(&facts, 50));
    assert_eq!(code(asked), "mpc.spill-failed");
    assert!(!world.path("out.csv").exists());
    std::fs::write(&table, &whole).unwrap();
    let kept = std::fs::read(&index).unwrap();
    for at in 0..kept.len() {
        flip(&index, at);
        let (query, answer) = world.orders(&facts, 50);
        // No connection is made: both find it before.
        assert!(done(&query).is_err() && done(&answer).is_err(), "byte {at}");
        flip(&index, at);
    }
}

#[test]
fn orders_are_checked_before_a_file_is_opened_and_hide_their_key() {
    let world = World::new([1], Equals::First);
    let prepare = world.prepare();
    assert!(!format!("{prepare:?}").contains("0909"));
    let facts = Facts { digest: [1; 32], version: 1, entries: 1, items: 1, bytes: 1 };
    let (query, answer) = world.orders(&facts, 5);
    let wrong = |order: &Order, name: &str, value: serde_json::Value| {
        let mut json = serde_json::to_value(order).unwrap();
        json[name] = value;
        assert!(Order::of_json(&json.to_string()).is_err(), "{name}");
    };
    // A list of any length is made into a table in as much memory as a node has by default.
    for entries in [0, 1_000_000_000, 1 << 32] {
        let prepare = Prepare { entries, memory: 512 << 20, ..prepare.clone() };
        Order::Prepare(prepare).check().unwrap();
    }
    let prepare = Order::Prepare(prepare);
    for (order, name, value) in [
        (&prepare, "memory", 1.into()),
        (&prepare, "entries", u64::MAX.into()),
        (&prepare, "client_items", (limits::CLIENT_ITEMS + 1).into()),
        (&prepare, "key", "short".into()),
        (&prepare, "context", "zz".into()),
        (&prepare, "other", 1.into()),
        (&query, "items", (limits::CLIENT_ITEMS + 1).into()),
        (&query, "digest", "".into()),
        (&query, "silence", 0.into()),
        (&query, "step", "guess".into()),
        (&answer, "job", "".into()),
        (&answer, "patience", (-1).into()),
    ] {
        wrong(order, name, value);
    }
    let stop = Arc::new(AtomicBool::new(true));
    let stopped = Opened::new(&prepare).unwrap().run(Arc::new(|_| {}), stop);
    assert_eq!(code(stopped), "mpc.cancelled");
}
