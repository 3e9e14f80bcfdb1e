//! From a list to a table: items of the list, each once; F of each under the version's key; sorted, in segments, with an index.

use std::time::Instant;

use tidm_mpc::fault::Fault;
use tidm_mpc::psi::Item;
use tidm_mpc::session::Watch as _;
use tidm_mpc::unbalanced::{Builder, Header, Key};

use super::files::{INDEX, TABLE, Waiting, Written};
use super::limits::{ENTRIES_AT_ONCE, THREADS};
use super::order::{Prepare, bytes32};
use crate::job::failure::Failure;
use crate::job::order::Report;
use crate::job::party::cpu_seconds;
use crate::job::progress::{Progress, peak_bytes};
use crate::keys::{self, Equals};

/// How often progress is told while rows are read.
const TELL_ROWS: u64 = 1 << 18;

pub(super) fn run(order: &Prepare, progress: &Progress) -> Result<Report, Failure> {
    std::fs::create_dir_all(&order.dir).map_err(Failure::directory("opening"))?;
    let mut report = Report { parts: 1, confirmed: true, ..Report::default() };
    let began = Instant::now();
    let items = items(order, progress, &mut report)?;
    report.seconds.insert("reading".to_owned(), began.elapsed().as_secs_f64());

    let seed = order.key.seed()?;
    let key = Key::new(&seed)?;
    let header = Header {
        version: order.version,
        entries: order.entries,
        client_items: order.client_items,
        public: key.public(),
    };
    let mut waiting = Waiting(order.dir.clone());
    let mut builder = Builder::new(header, &mut waiting)?;
    let began = Instant::now();
    progress.phase("table", 0, Some(items.len() as u64));
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(THREADS);
    let mut done = 0;
    for round in items.chunks(ENTRIES_AT_ONCE * threads) {
        for entries in entries(&key, &header, round)? {
            builder.push(&entries)?;
        }
        done += round.len() as u64;
        progress.done(done);
        if progress.cancelled() {
            return Err(Fault::Cancelled.into());
        }
    }
    drop(items);
    report.seconds.insert("table".to_owned(), began.elapsed().as_secs_f64());

    let began = Instant::now();
    progress.phase("writing", 0, None);
    let mut table = Written::create(&order.dir.join(TABLE))?;
    let index = builder.finish(&mut table, &seed)?;
    table.finish()?;
    let mut written = Written::create(&order.dir.join(INDEX))?;
    tidm_mpc::unbalanced::Sink::write(&mut written, &index.bytes())?;
    written.finish()?;
    report.seconds.insert("writing".to_owned(), began.elapsed().as_secs_f64());
    (report.peak_bytes, report.cpu_seconds) = (peak_bytes(), cpu_seconds());
    Ok(report)
}

/// F of a round's items, by several threads.
fn entries(key: &Key, header: &Header, round: &[Item]) -> Result<Vec<Vec<u128>>, Failure> {
    std::thread::scope(|scope| {
        let begun: Vec<_> = round
            .chunks(ENTRIES_AT_ONCE)
            .map(|part| scope.spawn(move || key.entries(header, part)))
            .collect();
        let gone = || Fault::ApiMisuse("a thread of the table panicked");
        begun.into_iter().map(|it| Ok(it.join().map_err(|_| gone())??)).collect()
    })
}

/// The list's items, each once.
fn items(order: &Prepare, progress: &Progress, report: &mut Report) -> Result<Vec<Item>, Failure> {
    progress.phase("reading", 0, None);
    let context = bytes32("context", &order.context)?;
    let (place, format) = (order.source.place(), order.source.format.format());
    let mut source = keys::open(place, format, &order.rule, &order.mapping, &context)?;
    let (mut batch, mut items): (Vec<Option<Item>>, Vec<Item>) = Default::default();
    let (mut row, mut told) = (0u64, 0);
    while source.next(&mut batch)? {
        row += batch.len() as u64;
        items.extend(batch.iter().flatten());
        let (count, most) = (items.len() as u64, order.entries);
        if count > most {
            return Err(Fault::TooMany { what: "entries of the table", count, most }.into());
        }
        if row / TELL_ROWS > told {
            told = row / TELL_ROWS;
            progress.done(row);
            if progress.cancelled() {
                return Err(Fault::Cancelled.into());
            }
        }
    }
    let counts = source.counts();
    (report.rows, report.items) = (counts.rows, counts.items());
    report.malformed = counts.rows - counts.items();
    items.sort_unstable_by_key(|item| item.0);
    items.dedup();
    report.duplicates = report.items - items.len() as u64;
    if report.duplicates > 0 && order.rule.equals == Equals::Refuse {
        return Err(Fault::Duplicates { count: report.duplicates }.into());
    }
    Ok(items)
}
