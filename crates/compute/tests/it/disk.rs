//! What a job leaves on a disk while it runs: whoever takes the disk finds no key and no item of either list.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use tidm_compute::job::connect::{Address, Way};
use tidm_compute::job::order::{Learns, List, Order, Results, Role, Security};
use tidm_compute::job::what::{What, Within};
use tidm_compute::keys::{self, Mapping, Rule};
use tidm_compute::table;

use crate::parties::{Pair, Process, eventually, files, run};

/// The beginning of what is looked for: as long as no file of random bytes has it by chance.
type Begin = [u8; 8];

fn begin(bytes: &[u8]) -> Begin {
    *bytes.first_chunk().unwrap()
}

/// Every way in which a key or its item could stand in a file.
fn traces(order: &Order) -> HashSet<Begin> {
    let id: Vec<u8> = (0..64).step_by(2).map(|at| hex(&order.job[at..at + 2])).collect();
    under(&id.try_into().unwrap(), &order.source, &order.rule, &order.mapping)
}

/// The same of a list whose items are hashed under this context.
fn under(context: &[u8; 32], list: &List, rule: &Rule, mapping: &Mapping) -> HashSet<Begin> {
    let mut traces = HashSet::new();
    let text = std::fs::read_to_string(&list.path).unwrap();
    for key in text.lines().skip(1).filter_map(|line| line.split(',').next()) {
        let number: u64 = key.parse().unwrap();
        let wide: Vec<u8> = key.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let hex: String = key.bytes().map(|byte| format!("{byte:02x}")).collect();
        traces.extend([key.as_bytes(), wide.as_slice(), hex.as_bytes()].map(begin));
        // The list's first key is 0, and zeros stand everywhere.
        if number > 1 << 32 {
            traces.extend([number.to_le_bytes(), number.to_be_bytes()]);
            // As text without the zeros in front, and its last digits.
            traces.extend([number.to_string().as_bytes(), &key.as_bytes()[8..]].map(begin));
        }
    }
    let mut source = keys::open(&list.path, list.format.format(), rule, mapping, context).unwrap();
    let mut batch = Vec::new();
    while source.next(&mut batch).unwrap() {
        for item in batch.iter().flatten() {
            let hex = format!("{:032x}", item.0);
            traces.extend([item.0.to_le_bytes(), item.0.to_be_bytes()].map(|it| begin(&it)));
            traces.extend([hex.as_bytes(), hex.to_uppercase().as_bytes()].map(begin));
        }
    }
    traces
}

fn hex(two: &str) -> u8 {
    u8::from_str_radix(two, 16).unwrap()
}

/// Every file of a job's directory with its name; none, where it is not there yet.
fn all(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let paths = std::fs::read_dir(dir).into_iter().flatten().map(|entry| entry.unwrap().path());
    // A worker that is just ending may take one away.
    paths.filter_map(|path| Some((path.clone(), std::fs::read(&path).ok()?))).collect()
}

/// What of the traces stands in a directory, at any byte of any file.
fn found(dir: &Path, traces: &HashSet<Begin>) -> Vec<PathBuf> {
    let holds = |bytes: &[u8]| bytes.windows(8).any(|it| traces.contains(&begin(it)));
    all(dir).into_iter().filter(|(_, bytes)| holds(bytes)).map(|(path, _)| path).collect()
}

#[test]
fn no_key_and_no_item_is_on_a_disk_in_clear() {
    let pair = Pair::new(30_000);
    let mut orders = pair.orders(|order| {
        (order.parts, order.workers, order.terms.learns) = (Some(64), 2, Learns::Both);
    });
    orders[0].results.bitmap = Some(pair.path("bits"));
    let traces: HashSet<Begin> = orders.iter().flat_map(traces).collect();
    // The search finds what is there: in the lists themselves.
    assert_eq!(found(pair.dir.path(), &traces).len(), 2);
    let mut parties = [Process::start(&orders[0]), Process::start(&orders[1])];
    let dirs = ["receiver", "sender"].map(|name| pair.path(name));
    let left = |dir: &PathBuf| files(dir, "part-");
    assert!(parties[0].until_done(4));
    assert!(eventually(|| dirs.iter().all(|dir| (1..64).contains(&left(dir)))));
    parties.iter_mut().for_each(Process::kill);
    for dir in &dirs {
        let bytes: usize = all(dir).iter().map(|(_, bytes)| bytes.len()).sum();
        assert!(files(dir, "journal-") > 0 && files(dir, "run-") > 0);
        assert!(left(dir) > 0 && bytes > 300 * 20, "{bytes}");
        assert_eq!(found(dir, &traces), Vec::<PathBuf>::new());
    }
    let (received, sent) = run(&orders);
    pair.check(&received);
    sent.unwrap();
    for dir in &dirs {
        assert_eq!(found(dir, &traces), Vec::<PathBuf>::new());
    }
}

/// Lists with an amount each, which is no other's and is long enough to be looked for.
fn valued(count: u64) -> Pair {
    let pair = Pair::new(count);
    for name in ["receiver.csv", "sender.csv"] {
        let text = std::fs::read_to_string(pair.path(name)).unwrap();
        let mut out = String::new();
        for (row, line) in (0u64..).zip(text.lines()) {
            let key = line.split(',').next().unwrap();
            let cents = cents(row, name);
            match row {
                0 => out += &format!("{key},amount\n"),
                _ => out += &format!("{key},{}.{:02}\n", cents / 100, cents % 100),
            }
        }
        std::fs::write(pair.path(name), out).unwrap();
    }
    pair
}

fn cents(row: u64, name: &str) -> u64 {
    10_000_000_000 + (row * 2 + name.len() as u64 % 2) * 7_919_000_003 % 80_000_000_000
}

/// Every way in which an amount could stand in a file.
fn amounts(pair: &Pair) -> HashSet<Begin> {
    let mut traces = HashSet::new();
    for name in ["receiver.csv", "sender.csv"] {
        let text = std::fs::read_to_string(pair.path(name)).unwrap();
        for (row, line) in (0u64..).zip(text.lines()).skip(1) {
            let (amount, cents) = (line.split(',').nth(1).unwrap(), cents(row, name));
            let digits = cents.to_string();
            traces.extend([amount.as_bytes(), digits.as_bytes()].map(begin));
            traces.extend([cents.to_le_bytes(), cents.to_be_bytes()]);
        }
    }
    traces
}

/// As [`found`], but for a journal.
fn beside_journals(dir: &Path, traces: &HashSet<Begin>) -> Vec<PathBuf> {
    let mut found = found(dir, traces);
    found.retain(|path| !path.file_name().unwrap().to_string_lossy().starts_with("journal-"));
    found
}

/// Whatever is asked for, in every variant: looked at as often as there is time while it runs, and when it is over.
#[test]
fn no_kind_of_job_writes_a_key_or_a_value_in_clear() {
    use Security::{Malicious, SemiHonest, SemiHonestLow};
    let (column, within) = (|| "amount".to_owned(), Within::default());
    let labels = What::Labels { columns: vec![column()], bytes: 24 };
    let sum = |of| What::Sum { of, column: column(), decimals: 2, within };
    for (security, what, workers) in [
        (SemiHonestLow, What::Rows, 2),
        (Malicious, What::Rows, 2),
        (SemiHonest, What::Size { within }, 1),
        (SemiHonest, What::AtLeast { least: 7 }, 1),
        (SemiHonest, sum(Role::Sender), 1),
        (SemiHonest, sum(Role::Receiver), 1),
        (SemiHonest, labels.clone(), 1),
        (Malicious, labels.clone(), 1),
    ] {
        let pair = valued(4000);
        let has_labels = what == labels;
        let mut orders = pair.orders(|order| {
            (order.terms.security, order.what) = (security, what.clone());
            (order.parts, order.workers) = (Some(8), workers);
            order.terms.learns = if has_labels { Learns::Receiver } else { Learns::Both };
            order.results = Results::default();
        });
        if !what.opens() {
            orders[0].results.rows = Some(pair.path("out.csv"));
        }
        if has_labels {
            orders[0].results.labels = Some(pair.path("labels.csv"));
        }
        let keys: HashSet<Begin> = orders.iter().flat_map(traces).collect();
        let values = amounts(&pair);
        for traces in [&keys, &values] {
            assert_eq!(found(pair.dir.path(), traces).len(), 2);
        }
        let dirs = ["receiver", "sender"].map(|name| pair.path(name));
        // What comes as a label is the receiver's result, which its journal holds.
        let nothing_in = |dir: &PathBuf| {
            let none = Vec::<PathBuf>::new();
            assert_eq!(found(dir, &keys), none, "{what:?} {security:?}");
            let values = match has_labels && *dir == dirs[0] {
                true => beside_journals(dir, &values),
                false => found(dir, &values),
            };
            assert_eq!(values, none, "{what:?} {security:?}");
        };
        let mut parties = [Process::start(&orders[1]), Process::start(&orders[0])];
        let (mut parts, mut written) = (0, [0; 2]);
        loop {
            let over = parties.iter_mut().all(Process::ended);
            for (dir, written) in dirs.iter().zip(&mut written) {
                parts += files(dir, "part-");
                *written += files(dir, "journal-");
                nothing_in(dir);
            }
            if over {
                break;
            }
        }
        for told in parties.map(Process::told) {
            told.unwrap();
        }
        // Two workers share their parts by way of the disk.
        assert_eq!(parts > 0, workers == 2, "{what:?} {security:?}");
        assert!(written.iter().all(|it| *it > 0), "{what:?} {security:?}");
        let results = usize::from(has_labels) + usize::from(!what.opens());
        assert_eq!(found(pair.dir.path(), &values).len(), 2 + results);
    }
}

/// A table that is made and asked about: what both sides keep of it.
#[test]
fn a_table_holds_no_key_in_clear() {
    let pair = Pair::new(4000);
    let [query, answer] = pair.orders(|_| {});
    let (context, key) = ([0x0c; 32], table::Seeded::new(&[9; 32]));
    let (made, served) = (pair.path("made"), pair.path("served"));
    let keys: HashSet<Begin> = [&query, &answer]
        .into_iter()
        .flat_map(|it| under(&context, &it.source, &it.rule, &it.mapping))
        .collect();
    assert_eq!(found(pair.dir.path(), &keys).len(), 2);
    let looked = |mut process: Process| {
        while !process.ended() {
            assert_eq!(found(&made, &keys), Vec::<PathBuf>::new());
        }
        process.told().unwrap()
    };
    let report = looked(Process::told_to(
        "table",
        &table::Order::Prepare(table::Prepare {
            context: "0c".repeat(32),
            key: key.clone(),
            version: 1,
            entries: 4000,
            client_items: 4000,
            rule: answer.rule.clone(),
            mapping: answer.mapping.clone(),
            source: answer.source,
            dir: made.clone(),
            memory: 256 << 20,
        }),
    ));
    assert_eq!(report.items, 4000);
    let [index, table] = [table::INDEX, table::TABLE].map(|name| made.join(name));
    let facts = table::check(&index, &table).unwrap();
    let digest: String = facts.digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let address = Address::Unix(pair.path("socket"));
    let server = Process::told_to(
        "table",
        &table::Order::Answer(table::Answer {
            job: query.job.clone(),
            key,
            digest: digest.clone(),
            index: index.clone(),
            items: 4000,
            dir: served.clone(),
            connect: Way::Listen(address.clone()),
            jail: query.jail.clone(),
            silence: 20.0,
            patience: 20.0,
        }),
    );
    let client = Process::told_to(
        "table",
        &table::Order::Query(Box::new(table::Query {
            job: query.job.clone(),
            context: "0c".repeat(32),
            digest,
            index,
            table,
            items: 4000,
            rule: query.rule.clone(),
            mapping: query.mapping.clone(),
            source: query.source.clone(),
            results: query.results.clone(),
            connect: Way::Dial(address),
            jail: query.jail,
            memory: 256 << 20,
            silence: 20.0,
            patience: 20.0,
        })),
    );
    pair.check(&Ok(looked(client)));
    server.told().unwrap();
    for dir in [&made, &served] {
        assert!(!all(dir).is_empty());
        assert_eq!(found(dir, &keys), Vec::<PathBuf>::new());
    }
    assert_eq!(found(pair.dir.path(), &keys).len(), 3, "both lists, and the result");
}
