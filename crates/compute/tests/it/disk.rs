//! What a job leaves on a disk while it runs: whoever takes the disk finds no key and no item of either list.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use tidm_compute::job::order::{Learns, Order};
use tidm_compute::keys;

use crate::parties::{Pair, Process, eventually, files, run};

/// The beginning of what is looked for: as long as no file of random bytes has it by chance.
type Begin = [u8; 8];

fn begin(bytes: &[u8]) -> Begin {
    *bytes.first_chunk().unwrap()
}

/// Every way in which a key or its item could stand in a file.
fn traces(order: &Order) -> HashSet<Begin> {
    let mut traces = HashSet::new();
    let text = std::fs::read_to_string(&order.source.path).unwrap();
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
    let id: Vec<u8> = (0..64).step_by(2).map(|at| hex(&order.job[at..at + 2])).collect();
    let (path, format) = (&order.source.path, order.format());
    let id: [u8; 32] = id.try_into().unwrap();
    let mut source = keys::open(path, format, &order.rule, &order.mapping, &id).unwrap();
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

/// Every file of a job's directory with its name.
fn all(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let paths = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
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
